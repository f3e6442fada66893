//! Whether the kernel has a function of which its type information says nothing.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _},
};

/// More than any kernel's list; what does not fit is not known.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// Looks in the kernel's list of symbols, which names functions also where it hides their addresses. The type information
/// can lack a function that is there and is called: then it cannot be attached to, and must not pass for absent.
pub fn has_function(name: &str) -> io::Result<bool> {
    let list = File::open("/proc/kallsyms")?;
    for line in BufReader::new(list.take(MAX_BYTES)).split(b'\n') {
        // `ffffffff81000000 T name`, and the module behind it where it is of one.
        if line?.split(u8::is_ascii_whitespace).nth(2) == Some(name.as_bytes()) {
            return Ok(true);
        }
    }
    Ok(false)
}
