//! One file a chore.

pub(crate) mod bench;
pub(crate) mod build;
pub(crate) mod check;
pub(crate) mod demo;
pub(crate) mod dist;
pub(crate) mod docs;
pub(crate) mod fuzz;
pub(crate) mod kubernetes;
pub(crate) mod release;
pub(crate) mod soak;
pub(crate) mod test;
pub(crate) mod vm;
