//! Whether the kernel has a function, by its list of symbols: some seven megabytes, which it takes its time to write.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _},
};

/// More than any kernel's list; what does not fit is not known.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// The list names functions also where it hides their addresses.
pub(super) fn has_function(name: &str) -> io::Result<bool> {
    let list = File::open("/proc/kallsyms")?;
    for line in BufReader::new(list.take(MAX_BYTES)).split(b'\n') {
        // `ffffffff81000000 T name`, and the module behind it where it is of one.
        if line?.split(u8::is_ascii_whitespace).nth(2) == Some(name.as_bytes()) {
            return Ok(true);
        }
    }
    Ok(false)
}
