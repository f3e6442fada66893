//! `aegisbpf version`

use serde::Serialize;

use crate::{
    abi,
    cli::JsonArgs,
    exit::{Exit, Failure},
};

#[derive(Serialize)]
struct Version {
    #[serde(rename = "schema_version")]
    schema: u32,
    #[serde(rename = "version")]
    number: &'static str,
    abi: u32,
    arch: &'static str,
}

/// Prints what this binary is.
pub(super) fn run(args: JsonArgs) -> Result<Exit, Failure> {
    let version = Version {
        schema: 1,
        number: env!("CARGO_PKG_VERSION"),
        abi: abi::ABI_VERSION,
        arch: std::env::consts::ARCH,
    };
    if args.json {
        super::print_json(&version)?;
    } else {
        super::print(&format!(
            "aegisbpf {} (kernel ABI {}, {})\n",
            version.number, version.abi, version.arch
        ))?;
    }
    Ok(Exit::Done)
}
