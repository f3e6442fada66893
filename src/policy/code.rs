//! The names of the diagnostics. A code is never reused for another situation: scripts and runbooks know them.

use std::fmt;

use serde::{Serialize, Serializer};

/// How much a diagnostic weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The policy is refused.
    Error,
    /// The policy is accepted; it may not mean what its author thinks.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

macro_rules! codes {
    ($($name:ident = $id:literal $severity:ident $title:literal;)*) => {
        /// What a diagnostic is about. The documentation's table of codes is this list.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Code { $(#[doc = $title] $name),* }

        impl Code {
            /// Every code, in the order of the identifiers.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The stable identifier, like `P031`.
            pub const fn id(self) -> &'static str {
                match self { $(Self::$name => $id),* }
            }

            /// How much the situation weighs where nothing else is known.
            pub const fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity),* }
            }

            /// The situation in a few words.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title),* }
            }
        }
    };
}

codes! {
    FileTooLarge = "P001" Error "the file is too large";
    NotUtf8 = "P002" Error "the file is not UTF-8";
    NulByte = "P003" Error "a NUL byte";
    ControlCharacter = "P004" Error "a control character";
    LineTooLong = "P005" Error "a line is too long";
    TooManyErrors = "P006" Error "too many errors, the rest of the file was not read";

    MissingHeader = "P010" Error "the header `version=` is missing";
    DuplicateHeader = "P011" Error "a second header";
    HeaderNotFirst = "P012" Error "the header does not come first";
    BadHeader = "P013" Error "something else than `version=` in the header";
    UnknownVersion = "P014" Error "an unknown version of the language";

    BadSection = "P020" Error "a malformed section line";
    UnknownSection = "P021" Error "an unknown section";
    UnsupportedSection = "P022" Error "a section that is not enforced here";
    SectionNeedsVersion2 = "P023" Error "a section that needs version=2";
    EntryBeforeSection = "P024" Error "an entry before the first section";

    EmptyEntry = "P030" Error "an empty entry";
    RelativePath = "P031" Error "a relative path";
    ParentInPath = "P032" Error "`..` in a path";
    PathTooLong = "P033" Error "a path is too long";
    NameTooLong = "P034" Error "a name in a path is too long";
    QuoteNeedsVersion2 = "P035" Error "a quoted entry needs version=2";
    UnterminatedQuote = "P036" Error "a quote is not closed";
    BadEscape = "P037" Error "an unknown escape";
    TrailingText = "P038" Error "text after the entry";

    UnknownOperation = "P040" Error "an unknown operation";
    EmptyOperation = "P041" Error "an empty operation";

    BadInodeRule = "P050" Error "not an inode rule";
    BadDevice = "P051" Error "not a device number";
    BadInodeNumber = "P052" Error "not an inode number";
    BadCgroupId = "P053" Error "not a cgroup id";
    TooManyEntries = "P054" Error "too many rules and cgroups";

    BadSetting = "P060" Error "a setting without `=`";
    UnknownSetting = "P061" Error "an unknown setting";
    DuplicateSetting = "P062" Error "a setting is given twice";
    EmptySetting = "P063" Error "a setting without a value";
    BadPolicyVersion = "P064" Error "not a policy version";
    BadTime = "P065" Error "not a time";
    TimesReversed = "P066" Error "the policy is valid at no time";
    BadHostPattern = "P067" Error "not a host name pattern";
    DescriptionTooLong = "P068" Error "the description is too long";
    BadDescription = "P069" Error "the description is not printable text";

    ByteOrderMark = "P101" Warning "a byte order mark";
    DuplicateRule = "P102" Warning "a rule is given twice";
    MergedRule = "P103" Warning "two rules on the same file were merged";
    DuplicateOperation = "P104" Warning "an operation is named twice";
    DuplicateCgroup = "P105" Warning "a cgroup is given twice";
    InvisibleCharacter = "P106" Warning "an invisible character";
    LiteralBackslash = "P107" Warning "a backslash outside quotes is an ordinary character";
    WholeLineIsPath = "P108" Warning "in version 1 the whole line is the path";
    GlobCharacter = "P109" Warning "wildcards are ordinary characters";
    DoubtfulDevice = "P110" Warning "a device number in the encoding of the C library";
    CoveredByTree = "P111" Warning "a tree already covers the rule";
    NoRules = "P112" Warning "the policy denies nothing";

    DeniesRoot = "P120" Warning "the rule covers the whole file system";
    CriticalPath = "P121" Warning "the host does not run without this file";
    CriticalTree = "P122" Warning "the host does not run without a file below this directory";
    KernelFileSystem = "P123" Warning "a file that the kernel makes anew each time";
    AllowsEverything = "P124" Warning "the root cgroup exempts every process";
    AllowedAndScoped = "P125" Warning "a cgroup is both allowed and in scope";
    MoreWarnings = "P126" Warning "more warnings than are shown";

    PathMissing = "P201" Error "the path does not exist";
    CgroupMissing = "P202" Error "the cgroup does not exist";
    TreeNotDirectory = "P203" Error "a tree that is not a directory";
    MatchesNothing = "P204" Warning "the rule matches nothing";
    HardLinks = "P205" Warning "the file has more than one name";
    SymbolicLink = "P206" Warning "the path is a symbolic link";
    Expired = "P207" Warning "the policy has expired";
    NotYetValid = "P208" Warning "the policy is not valid yet";
    OtherHost = "P209" Warning "the policy is meant for another host";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}
