//! What the agent writes, in each of its formats, against the schema of each.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

mod catalog;
mod formats;
mod native;
mod samples;
mod schema;
mod siem;
