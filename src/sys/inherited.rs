//! What a process is given by whoever starts it, and can do without: descriptors and the environment.

use std::{
    ffi::{CStr, c_char},
    io,
    ptr::null_mut,
};

unsafe extern "C" {
    static mut environ: *mut *mut c_char;
}

/// Closes every descriptor but the standard ones. Call it while this process has opened nothing itself.
pub fn close_descriptors() -> io::Result<()> {
    // SAFETY: nobody here owns any of them, which the caller sees to.
    if unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) } == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() != Some(libc::ENOSYS) {
        return Err(error);
    }
    // Before v5.9: one by one, up to the limit that processes have unless somebody raises it.
    for descriptor in 3..1024 {
        // SAFETY: as above; that most of them are not open does no harm.
        unsafe { libc::close(descriptor) };
    }
    Ok(())
}

/// Removes all variables but these, and wipes them from the memory that `/proc/PID/environ` shows. Call it while there is
/// one thread.
pub fn keep_environment(kept: &[&str]) {
    // SAFETY: the list of the C library: with one thread nobody changes it meanwhile, and std hands out copies alone.
    unsafe { keep(environ, kept) }
}

/// # Safety
/// A list of strings that ends with a null pointer, all of which may be written, and into which nobody holds references.
unsafe fn keep(list: *mut *mut c_char, kept: &[&str]) {
    if list.is_null() {
        return;
    }
    let (mut from, mut to) = (list, list);
    // SAFETY: both walk the list no further than its end, and `to` is never ahead of `from`.
    unsafe {
        while !(*from).is_null() {
            let variable = *from;
            let bytes = CStr::from_ptr(variable).to_bytes();
            let name = bytes.split(|byte| *byte == b'=').next().unwrap_or_default();
            if kept.iter().any(|kept| kept.as_bytes() == name) {
                *to = variable;
                to = to.add(1);
            } else {
                variable.write_bytes(0, bytes.len());
            }
            from = from.add(1);
        }
        *to = null_mut();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_kept_is_wiped() {
        let mut texts = ["A=1", "SECRET=2", "B", "AB=3"].map(|text| [text.as_bytes(), b"\0"].concat());
        let mut list: Vec<*mut c_char> = texts.iter_mut().map(|text| text.as_mut_ptr().cast()).collect();
        list.push(null_mut());
        // SAFETY: made here, for this.
        unsafe { keep(list.as_mut_ptr(), &["A", "B"]) };
        let left: Vec<*mut c_char> = list.iter().copied().take_while(|one| !one.is_null()).collect();
        assert_eq!(left, [texts[0].as_mut_ptr().cast(), texts[2].as_mut_ptr().cast()]);
        assert_eq!(texts[0], b"A=1\0");
        assert_eq!(texts[1], [0; 9]);
        assert_eq!(texts[3], [0; 5]);
    }
}
