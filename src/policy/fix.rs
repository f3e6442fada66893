//! What an author can do about a fault: one sentence, with the text to write where it is known.

use super::fault::{Fault, Trailing};
use super::limits;
use super::text::hex;

impl Fault {
    /// The fix, where there is one that is right without knowing what the author wanted.
    pub(super) fn fix(&self) -> Option<String> {
        self.fixed_fix().map(str::to_owned).or_else(|| self.built_fix())
    }

    /// Fixes that are the same wherever the fault is.
    fn fixed_fix(&self) -> Option<&'static str> {
        self.layout_fix()
            .or_else(|| self.entry_fix())
            .or_else(|| self.setting_fix())
            .or_else(|| self.warning_fix())
    }

    fn layout_fix(&self) -> Option<&'static str> {
        Some(match self {
            Self::Utf16 => "save the file as UTF-8",
            Self::NulByte => "save the file as plain UTF-8 text",
            Self::TooManyErrors => "mend these and check again",
            Self::MissingHeader => {
                "begin the file with `version=1`, or with `version=2` for operations, quotes, trees, scopes and \
                 settings"
            }
            Self::DuplicateHeader { .. } => "remove this line",
            Self::HeaderNotFirst => "move this line to the top of the file",
            Self::BadHeader { setting: true, .. } => "write it below `[settings]` (with version=2)",
            Self::BadHeader { .. } => "the header holds `version=1` or `version=2` and nothing else",
            Self::UnknownVersion { .. } | Self::EmptyVersion => {
                "the versions are `version=1` and `version=2`"
            }
            Self::BadSection => "a section line is a name in brackets and nothing else: `[deny_path]`",
            Self::UnknownSection { nearest: None, .. } => {
                "the sections are deny_path, deny_inode, deny_tree, allow_cgroup, scope_cgroup and settings"
            }
            Self::UnsupportedSection { .. } => {
                "remove the section: keeping it would promise what is not enforced"
            }
            Self::SectionNeedsVersion2 { .. } => "set version=2",
            Self::EntryBeforeSection => "write the section it belongs to above it, like `[deny_path]`",
            _ => return None,
        })
    }

    fn entry_fix(&self) -> Option<&'static str> {
        Some(match self {
            Self::RelativePath { path } if path.starts_with(['~', '$']) => {
                "write the path from the root: variables and `~` are not expanded"
            }
            Self::RelativePath { path } if path.to_ascii_lowercase().starts_with("cgid") => {
                "a cgroup id is written `cgid:NUMBER`, below `[allow_cgroup]` or `[scope_cgroup]`"
            }
            Self::RelativePath { path }
                if path.starts_with(|c: char| c.is_ascii_digit()) && path.contains(':') =>
            {
                "inodes belong below `[deny_inode]`"
            }
            Self::RelativePath { .. } => "write the path from the root, beginning with `/`",
            Self::QuoteNeedsVersion2 => {
                "set version=2; or remove the quotes: in version 1 the whole line is the path"
            }
            Self::UnterminatedQuote => "close it with `\"`; a quote inside is written `\\\"`",
            Self::BadEscape { .. } => {
                "the escapes are `\\xNN` with two hexadecimal digits, `\\\\` and `\\\"`"
            }
            Self::TrailingText { help } => help.fix(),
            Self::EmptyOperation => "separate operations by one comma and no spaces, like `read,exec`",
            Self::BadInodeRule { path: true, .. } => "paths belong below `[deny_path]`",
            Self::BadInodeRule { .. } => "write `MAJOR:MINOR:INODE`, like `8:1:1234`",
            Self::BadDevice { .. } => {
                "write `MAJOR:MINOR` with at most 4095 and 1048575, or MAJOR × 1048576 + MINOR as one number"
            }
            Self::BadInodeNumber { .. } => {
                "an inode number is decimal, from 1 to 18446744073709551615; `stat -c %i FILE` prints it"
            }
            Self::BadCgroupId { .. } => "a cgroup id is decimal, from 1; `stat -c %i DIRECTORY` prints it",
            _ => return None,
        })
    }

    fn setting_fix(&self) -> Option<&'static str> {
        Some(match self {
            Self::BadSetting => "write `name=value`, like `policy_version=7`",
            Self::UnknownSetting { nearest: None, .. } => {
                "the settings are policy_version, not_before, expires, host and description"
            }
            Self::DuplicateSetting { .. } => "keep one of the two",
            Self::EmptySetting { .. } => "give it a value, or remove the line",
            Self::BadPolicyVersion { .. } => "a policy version is decimal, from 1 to 18446744073709551615",
            Self::BadTime { .. } => {
                "write the time in UTC, like `2027-01-31T12:00:00Z`, or a date, like `2027-01-31`"
            }
            Self::TimesReversed => "`expires` must be later than `not_before`",
            Self::BadHostPattern { .. } => {
                "write one host name of letters, digits, `-`, `.` and `_`; `*` stands for any characters, `?` for \
                 one"
            }
            Self::BadDescription => "write UTF-8 text without control characters",
            _ => return None,
        })
    }

    fn warning_fix(&self) -> Option<&'static str> {
        Some(match self {
            Self::ByteOrderMark => "save the file as UTF-8 without a byte order mark",
            Self::DuplicateRule { .. } | Self::DuplicateCgroup { .. } | Self::CoveredByTree { .. } => {
                "remove this line"
            }
            Self::MergedRule { .. } => "write one rule with all operations",
            Self::DuplicateOperation { .. } => "name it once",
            Self::WholeLineIsPath { comment: true, .. } => {
                "put the comment on a line of its own, or set version=2"
            }
            Self::WholeLineIsPath { .. } => "set version=2 for operations",
            Self::GlobCharacter { .. } => {
                "name each file, or the directory below `[deny_tree]`; if the name has it, write the path in quotes \
                 (both with version=2)"
            }
            Self::CriticalPath { .. } | Self::CriticalTree { .. } | Self::DeniesRoot => {
                "name the cgroups that the policy is for below `[scope_cgroup]` (with version=2), or deny fewer \
                 operations"
            }
            Self::AllowsEverything => "name the cgroups to exempt",
            Self::AllowedAndScoped { .. } => "keep one of the two: an exempt cgroup is never denied anything",
            _ => return None,
        })
    }

    /// Fixes with text of the file in them.
    fn built_fix(&self) -> Option<String> {
        Some(match self {
            Self::NotUtf8 { byte } => {
                let escaped = hex(&[*byte]);
                format!(
                    "save the file as UTF-8; in a path, write the byte as `{escaped}` in quotes (with version=2)"
                )
            }
            Self::ControlCharacter { character } | Self::InvisibleCharacter { character } => {
                let escaped = hex(character.encode_utf8(&mut [0; 4]).as_bytes());
                format!("remove it; in a path, write it as `{escaped}` in quotes (with version=2)")
            }
            Self::UnknownSection { nearest, .. } => format!("write `[{}]`", (*nearest)?),
            Self::UnknownSetting { nearest, .. } => format!("write `{}=`", (*nearest)?),
            Self::ParentInPath { without } => {
                format!("write the path without it, like `{}`", without.as_ref()?)
            }
            Self::UnknownOperation { nearest: Some(name), .. } => format!("write `{name}`"),
            Self::UnknownOperation { example, .. } => {
                let quotes = |path| format!("; a path with spaces is written in quotes, like `{path}`");
                let quotes = example.as_ref().map(quotes).unwrap_or_default();
                format!("the operations are read, write and exec{quotes}")
            }
            Self::LiteralBackslash { quoted } => format!("write `{}` to say so", quoted.as_ref()?),
            Self::DoubtfulDevice { libc, kernel, .. } => {
                format!("if the number is from `stat -c %d`, write `{libc}`; if not, write `{kernel}`")
            }
            Self::LineTooLong { .. } | Self::PathTooLong { .. } => format!(
                "a path has at most {} bytes; a line, with escapes and operations, {}",
                limits::PATH_BYTES,
                limits::LINE_BYTES
            ),
            _ => return None,
        })
    }
}

impl Trailing {
    fn fix(self) -> &'static str {
        match self {
            Self::Comment => "put the comment on a line of its own, or set version=2",
            Self::OperationsInVersion1 => "set version=2 for operations",
            Self::Operations => "separate operations by one comma and no spaces, like `read,exec`",
            Self::CgroupOperations => "a cgroup has no operations: remove them",
            Self::Other => "write one entry a line; an entry with spaces is written in quotes",
        }
    }
}
