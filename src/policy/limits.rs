//! Every bound of the language. What is too large is an error that names the bound; nothing is cut silently.

/// Bytes of a policy file. A million inode rules at their longest (`4095:1048575:` and twenty digits) are 34 MB, so
/// that many fit twice; reading more than this into a root process on the word of a file is refused.
pub const FILE_BYTES: usize = 64 << 20;

/// Bytes of one line. The longest entry is a path of which every byte is written as `\xNN`
/// (4 × [`PATH_BYTES`]), in quotes and with operations: the normalized form of any valid rule fits.
pub const LINE_BYTES: usize = 20 << 10;

/// Bytes of a path: `PATH_MAX` of `include/uapi/linux/limits.h` without the NUL.
pub const PATH_BYTES: usize = 4095;

/// Bytes of one component of a path: `NAME_MAX` of `include/uapi/linux/limits.h`.
pub const NAME_BYTES: usize = 255;

/// Rules and cgroups of one policy: [`FILE_BYTES`] full of the shortest usual inode rule (16 bytes).
pub const ENTRIES: usize = 4_000_000;

/// Bytes of `description=`: it is carried into status output and audit log.
pub const DESCRIPTION_BYTES: usize = 1024;

/// Characters of `host=`: a host name of DNS has at most 253 (RFC 1035, 2.3.4).
pub const HOST_CHARS: usize = 253;

/// Errors after which reading stops, and warnings after which the others are only counted.
pub const DIAGNOSTICS: usize = 50;
