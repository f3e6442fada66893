//! Paths of rules and cgroups: absolute and in one spelling.

use std::borrow::Cow;

use super::fault::Fault;
use super::limits;
use super::text::{clip, example};

/// A fault of a path, and the bytes of the path that it is about.
#[derive(Debug)]
pub(super) struct PathFault {
    pub(super) fault: Fault,
    pub(super) start: usize,
    pub(super) len: usize,
}

/// The path without `//`, `/./` and trailing slashes; borrowed when it had none.
///
/// `..` is refused and not resolved: what it means depends on symbolic links, and the author did not see them.
pub(super) fn normalize(bytes: &[u8]) -> Result<Cow<'_, [u8]>, PathFault> {
    let whole = |fault| PathFault { fault, start: 0, len: bytes.len() };
    if bytes.is_empty() {
        return Err(whole(Fault::EmptyEntry));
    }
    let Some(inner) = bytes.strip_prefix(b"/") else {
        return Err(whole(Fault::RelativePath { path: clip(&String::from_utf8_lossy(bytes)) }));
    };
    let mut start = 1;
    let mut normal = true;
    for name in inner.split(|&byte| byte == b'/') {
        let (len, at) = (name.len(), start);
        start += len + 1;
        match name {
            b".." => return Err(PathFault { fault: parent(inner), start: at, len }),
            b"" | b"." => normal = false,
            _ if len > limits::NAME_BYTES => {
                return Err(PathFault { fault: Fault::NameTooLong { bytes: len }, start: at, len });
            }
            _ => {}
        }
    }
    let path =
        if normal || inner.is_empty() { Cow::Borrowed(bytes) } else { Cow::Owned(join(inner, |_| {})) };
    if path.len() > limits::PATH_BYTES {
        return Err(whole(Fault::PathTooLong { bytes: path.len() }));
    }
    Ok(path)
}

fn parent(inner: &[u8]) -> Fault {
    let path = join(inner, |names| {
        names.pop();
        names.pop();
    });
    Fault::ParentInPath { without: example(&path) }
}

/// The names as a path; at each `..`, which is last then, `up` decides.
fn join(inner: &[u8], up: impl Fn(&mut Vec<&[u8]>)) -> Vec<u8> {
    let mut names = Vec::new();
    for name in inner.split(|&byte| byte == b'/').filter(|name| !matches!(*name, b"" | b".")) {
        names.push(name);
        if name == b".." {
            up(&mut names);
        }
    }
    let mut path = Vec::with_capacity(inner.len() + 1);
    for name in &names {
        path.push(b'/');
        path.extend_from_slice(name);
    }
    if path.is_empty() {
        path.push(b'/');
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling() {
        let cases: [(&[u8], &[u8]); 8] = [
            (b"/", b"/"),
            (b"//", b"/"),
            (b"/.", b"/"),
            (b"/etc/shadow", b"/etc/shadow"),
            (b"//etc///shadow/", b"/etc/shadow"),
            (b"/./etc/./shadow/.", b"/etc/shadow"),
            (b"/etc/...", b"/etc/..."),
            (b"/caf\xe9/", b"/caf\xe9"),
        ];
        for (written, normal) in cases {
            assert_eq!(normalize(written).unwrap().as_ref(), normal);
        }
    }

    #[test]
    fn a_parent_is_refused_with_the_path_it_looks_like() {
        for (written, without) in
            [("/etc/../etc/shadow", "/etc/shadow"), ("/..", "/"), ("/a/b/../../..", "/")]
        {
            let refused = normalize(written.as_bytes()).unwrap_err();
            let without = Some(format!("\"{without}\""));
            assert_eq!(refused.fault, Fault::ParentInPath { without });
            assert_eq!(written.get(refused.start..refused.start + refused.len), Some(".."));
        }
    }

    #[test]
    fn bounds() {
        let name = "n".repeat(limits::NAME_BYTES);
        assert!(normalize(format!("/{name}").as_bytes()).is_ok());
        assert!(normalize(format!("/{name}n").as_bytes()).is_err());
        let longest = "/n".repeat(limits::PATH_BYTES / 2) + "x";
        assert_eq!(normalize(longest.as_bytes()).unwrap().len(), limits::PATH_BYTES);
        assert!(normalize(format!("{longest}/").as_bytes()).is_ok());
        assert!(normalize(format!("{longest}/x").as_bytes()).is_err());
    }
}
