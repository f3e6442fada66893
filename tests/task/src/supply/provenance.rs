//! How the files of a release were made: a statement of in-toto with the predicate of SLSA.

use serde_json::{Value, json};

/// What the statement says.
pub(crate) struct Build<'a> {
    /// Each file's name, and its sum.
    pub(crate) files: &'a [(String, String)],
    pub(crate) version: &'a str,
    /// The commit, and when it was made.
    pub(crate) commit: &'a str,
    pub(crate) time: &'a str,
    /// Who built it, as a URI.
    pub(crate) builder: &'a str,
    pub(crate) rustc: &'a str,
    pub(crate) clang: &'a str,
    pub(crate) lock_sha256: &'a str,
}

/// The document.
pub(crate) fn statement(build: &Build<'_>) -> Value {
    let subject: Vec<Value> = build
        .files
        .iter()
        .map(|(name, sha256)| json!({ "name": name, "digest": { "sha256": sha256 } }))
        .collect();
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subject,
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                // docs/RELEASING.md says what this type means.
                "buildType": "urn:x-aegisbpf:build:1",
                "externalParameters": { "command": "./dev release", "version": build.version },
                "internalParameters": { "rustc": build.rustc, "clang": build.clang, "sourceDate": build.time },
                "resolvedDependencies": [
                    { "name": "source", "uri": "git+.", "digest": { "gitCommit": build.commit } },
                    { "name": "Cargo.lock", "uri": "Cargo.lock", "digest": { "sha256": build.lock_sha256 } },
                ],
            },
            "runDetails": { "builder": { "id": build.builder } },
        },
    })
}
