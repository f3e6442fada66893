//! What can be wrong with a policy text, and what to do about it.

use thiserror::Error;

use super::code::Code;
use super::limits;

/// One fault, with what the message needs. Text of the file is clipped before it comes here.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub(super) enum Fault {
    #[error("the file is larger than {} MiB", limits::FILE_BYTES >> 20)]
    FileTooLarge,
    #[error("byte 0x{byte:02X} is not UTF-8")]
    NotUtf8 { byte: u8 },
    #[error("the file is UTF-16")]
    Utf16,
    #[error("the line holds a NUL byte")]
    NulByte,
    #[error("control character U+{:04X}", u32::from(*character))]
    ControlCharacter { character: char },
    #[error("the line holds {bytes} bytes, more than {}", limits::LINE_BYTES)]
    LineTooLong { bytes: usize },
    #[error("more than {} errors: the rest of the file was not read", limits::DIAGNOSTICS)]
    TooManyErrors,

    #[error("the header is missing")]
    MissingHeader,
    #[error("the header was already given on line {first}")]
    DuplicateHeader { first: u32 },
    #[error("the header must come before everything else")]
    HeaderNotFirst,
    #[error("`{key}` does not belong in the header")]
    BadHeader { key: String, setting: bool },
    #[error("the header names no version")]
    EmptyVersion,
    #[error("unknown version `{version}`")]
    UnknownVersion { version: String },

    #[error("malformed section line")]
    BadSection,
    #[error("unknown section `{name}`")]
    UnknownSection { name: String, nearest: Option<&'static str> },
    #[error("section `{name}` of other AegisBPF releases is not enforced here")]
    UnsupportedSection { name: String },
    #[error("section `{name}` needs version=2")]
    SectionNeedsVersion2 { name: &'static str },
    #[error("an entry before the first section")]
    EntryBeforeSection,

    #[error("the entry is empty")]
    EmptyEntry,
    #[error("`{path}` is not an absolute path")]
    RelativePath { path: String },
    #[error("`..` in a path")]
    ParentInPath { without: Option<String> },
    #[error("the path has {bytes} bytes, more than {}", limits::PATH_BYTES)]
    PathTooLong { bytes: usize },
    #[error("a name of {bytes} bytes, more than {}", limits::NAME_BYTES)]
    NameTooLong { bytes: usize },
    #[error("quoted entries need version=2")]
    QuoteNeedsVersion2,
    #[error("the quote is not closed")]
    UnterminatedQuote,
    #[error("unknown escape `{escape}`")]
    BadEscape { escape: String },
    #[error("a path cannot hold a NUL byte")]
    NulEscape,
    #[error("unexpected text after the entry")]
    TrailingText { help: Trailing },

    #[error("unknown operation `{name}`")]
    UnknownOperation { name: String, nearest: Option<&'static str>, example: Option<String> },
    #[error("an empty operation")]
    EmptyOperation,

    #[error("`{text}` is not an inode rule")]
    BadInodeRule { text: String, path: bool },
    #[error("`{text}` is not a device number")]
    BadDevice { text: String },
    #[error("`{text}` is not an inode number")]
    BadInodeNumber { text: String },
    #[error("`{text}` is not a cgroup id")]
    BadCgroupId { text: String },
    #[error("more than {} rules and cgroups", limits::ENTRIES)]
    TooManyEntries,

    #[error("a setting is written `name=value`")]
    BadSetting,
    #[error("unknown setting `{name}`")]
    UnknownSetting { name: String, nearest: Option<&'static str> },
    #[error("`{name}` was already given on line {first}")]
    DuplicateSetting { name: &'static str, first: u32 },
    #[error("`{name}` has no value")]
    EmptySetting { name: &'static str },
    #[error("`{text}` is not a policy version")]
    BadPolicyVersion { text: String },
    #[error("`{text}` is not a time")]
    BadTime { text: String },
    #[error("the policy is valid at no time")]
    TimesReversed,
    #[error("`{text}` is not a host name pattern")]
    BadHostPattern { text: String },
    #[error("the description has {bytes} bytes, more than {}", limits::DESCRIPTION_BYTES)]
    DescriptionTooLong { bytes: usize },
    #[error("the description holds bytes that are not printable text")]
    BadDescription,

    #[error("the file begins with a byte order mark")]
    ByteOrderMark,
    #[error("the same rule is on line {first}")]
    DuplicateRule { first: u32 },
    #[error("merged with the rule on line {first}: together they deny {ops}")]
    MergedRule { first: u32, ops: String },
    #[error("operation `{name}` is named twice")]
    DuplicateOperation { name: &'static str },
    #[error("the same cgroup is on line {first}")]
    DuplicateCgroup { first: u32 },
    #[error("invisible character U+{:04X}", u32::from(*character))]
    InvisibleCharacter { character: char },
    #[error("a backslash outside quotes is an ordinary character")]
    LiteralBackslash { quoted: Option<String> },
    #[error("in version 1 the whole line is the path, with `{tail}`")]
    WholeLineIsPath { tail: String, comment: bool },
    #[error("`{character}` is an ordinary character here, not a wildcard")]
    GlobCharacter { character: char },
    #[error("device {number} is {kernel} to the kernel")]
    DoubtfulDevice { number: u32, kernel: String, libc: String },
    #[error("the tree on line {first} already denies this")]
    CoveredByTree { first: u32 },
    #[error("the policy denies nothing")]
    NoRules,

    #[error("the rule covers the whole file system")]
    DeniesRoot,
    #[error("without this file {consequence}")]
    CriticalPath { consequence: &'static str },
    #[error("without `{name}` below this directory {consequence}")]
    CriticalTree { name: &'static str, consequence: &'static str },
    #[error("the kernel makes the files below {root} anew each time: the rule may bind nothing")]
    KernelFileSystem { root: &'static str },
    #[error("the root cgroup exempts every process: nothing is denied")]
    AllowsEverything,
    #[error("the cgroup is in scope on line {scope}, and exempt")]
    AllowedAndScoped { scope: u32 },
    #[error("{hidden} more warnings from here on")]
    MoreWarnings { hidden: usize },
}

/// What stands after a complete entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trailing {
    /// A comment at the end of a line of version 1.
    Comment,
    /// Operations, in version 1.
    OperationsInVersion1,
    /// Operations separated by spaces.
    Operations,
    /// Operations after a cgroup.
    CgroupOperations,
    /// Anything else.
    Other,
}

impl Fault {
    /// The code under which the fault is documented.
    pub(super) fn code(&self) -> Code {
        macro_rules! same_names {
            ($($name:ident)*) => {
                match self {
                    $(Self::$name { .. } => Code::$name,)*
                    Self::NulEscape => Code::BadEscape,
                    Self::Utf16 => Code::NotUtf8,
                    Self::EmptyVersion => Code::UnknownVersion,
                }
            };
        }
        same_names! {
            FileTooLarge NotUtf8 NulByte ControlCharacter LineTooLong TooManyErrors
            MissingHeader DuplicateHeader HeaderNotFirst BadHeader UnknownVersion
            BadSection UnknownSection UnsupportedSection SectionNeedsVersion2 EntryBeforeSection
            EmptyEntry RelativePath ParentInPath PathTooLong NameTooLong QuoteNeedsVersion2
            UnterminatedQuote BadEscape TrailingText UnknownOperation EmptyOperation
            BadInodeRule BadDevice BadInodeNumber BadCgroupId TooManyEntries
            BadSetting UnknownSetting DuplicateSetting EmptySetting BadPolicyVersion BadTime
            TimesReversed BadHostPattern DescriptionTooLong BadDescription
            ByteOrderMark DuplicateRule MergedRule DuplicateOperation DuplicateCgroup
            InvisibleCharacter LiteralBackslash WholeLineIsPath GlobCharacter DoubtfulDevice
            CoveredByTree NoRules DeniesRoot CriticalPath CriticalTree KernelFileSystem
            AllowsEverything AllowedAndScoped MoreWarnings
        }
    }
}
