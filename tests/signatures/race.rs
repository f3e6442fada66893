//! Directories that are exchanged while they are read.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use aegisbpf::provenance::{self, TrustError};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::scene::Scene;

/// One directory is good; the other is anybody's, and says that somebody else is trusted. What is read is of one and the
/// same directory, and never of that one.
#[test]
fn a_directory_that_is_exchanged_gives_no_wrong_answer() {
    let scene = Scene::new();
    let (code, text) =
        scene.run("set -e; mkdir evil; chmod 777 evil; echo \"evil $(cat other.pub)\" >evil/allowed_signers");
    assert_eq!(code, 0, "{text}");
    let [good, evil] = ["etc/keys", "evil"].map(|name| scene.path().join(name));
    let stop = AtomicBool::new(false);
    let (mut read, mut refused) = (0, 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                renameat_with(CWD, &good, CWD, &evil, RenameFlags::EXCHANGE).expect("exchanged");
            }
        });
        while (read < 1000 || refused < 1000) && read + refused < 1_000_000 {
            match provenance::load(&good) {
                Ok(trust) => {
                    let names: Vec<&str> =
                        trust.signers.iter().map(|signer| signer.principals.as_str()).collect();
                    assert_eq!(names, ["ops@example.org"]);
                    read += 1;
                }
                Err(TrustError::Exposed { path, .. }) => {
                    assert_eq!(path, good);
                    refused += 1;
                }
                Err(other) => panic!("{other}"),
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(read >= 1000 && refused >= 1000, "{read} read, {refused} refused");
}

/// Ten at once: each line arrives, whole, or its command says that it did not.
#[test]
fn keys_that_are_added_at_once() {
    let scene = Scene::new();
    let added = thread::scope(|scope| {
        let add = |number: usize| {
            let script = format!(
                "aegisbpf keys generate --output k{number} --comment k{number} && aegisbpf keys add k{number}.pub --principal k{number}"
            );
            let scene = &scene;
            scope.spawn(move || scene.run(&script).0)
        };
        let codes: Vec<i32> = (0..10)
            .map(add)
            .collect::<Vec<_>>()
            .into_iter()
            .map(|one| one.join().expect("no panic"))
            .collect();
        assert!(codes.iter().all(|code| matches!(code, 0 | 75)), "{codes:?}");
        codes.iter().filter(|code| **code == 0).count()
    });
    assert!(added > 0);
    let trust = provenance::load(&scene.path().join("etc/keys")).expect("lines");
    assert_eq!(trust.signers.len(), added + 1);
    let names = fs::read_dir(scene.path().join("etc/keys")).expect("a directory").count();
    assert_eq!(names, 1, "nothing but allowed_signers");
    let mode =
        fs::metadata(scene.path().join("etc/keys/allowed_signers")).expect("a file").permissions().mode();
    assert_eq!(mode & 0o7777, 0o644);
}
