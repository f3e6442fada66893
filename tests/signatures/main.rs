//! Keys and signatures, with the real `ssh-keygen` on the other side. The cases are data: `*.toml` in this directory.

#![expect(clippy::expect_used, reason = "a test stops at the first surprise")]

mod cases;
mod document;
mod race;
mod scene;
