//! What stands beside a released binary, so that others can tell what is in it and where it comes from: the list of its
//! parts, their licences, the statement of how it was built.

pub(crate) mod licences;
pub(crate) mod parts;
pub(crate) mod provenance;
pub(crate) mod sbom;
pub(crate) mod source;
