//! The list of parts as `CycloneDX` has it.

use super::parts::Part;
use serde_json::{Value, json};

/// What the list is of, and when.
pub(crate) struct Subject<'a> {
    pub(crate) sha256: &'a str,
    /// RFC 3339.
    pub(crate) time: &'a str,
}

/// The document. The first part is the released package, of which the others are components.
pub(crate) fn document(parts: &[Part], subject: &Subject<'_>) -> Value {
    let component = |part: &Part| {
        let is_root = parts.first().is_some_and(|root| root.name == part.name);
        let mut value = json!({
            "type": if is_root { "application" } else { "library" },
            "bom-ref": part.reference(),
            "name": part.name,
            "version": part.version,
            "description": part.description,
            "scope": if part.linked { "required" } else { "excluded" },
            "licenses": [{ "expression": expression(&part.licence) }],
            "purl": format!("pkg:cargo/{}", part.reference()),
        });
        let sha256 = if is_root { Some(subject.sha256) } else { part.sha256.as_deref() };
        if let Some(sha256) = sha256 {
            set(&mut value, "hashes", json!([{ "alg": "SHA-256", "content": sha256 }]));
        }
        if let Some(url) = &part.repository {
            set(&mut value, "externalReferences", json!([{ "type": "vcs", "url": url }]));
        }
        value
    };
    let mut root = parts.first().map(component).unwrap_or_default();
    if let Some(fields) = root.as_object_mut() {
        // Nothing has it as a part.
        fields.remove("scope");
        fields.remove("purl");
    }
    let dependencies: Vec<Value> =
        parts.iter().map(|part| json!({ "ref": part.reference(), "dependsOn": part.needs })).collect();
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial(subject.sha256),
        "version": 1,
        "metadata": { "timestamp": subject.time, "component": root },
        "components": parts.iter().skip(1).map(component).collect::<Vec<_>>(),
        "dependencies": dependencies,
    })
}

fn set(value: &mut Value, key: &str, to: Value) {
    if let Some(fields) = value.as_object_mut() {
        fields.insert(key.to_owned(), to);
    }
}

/// Old manifests write a slash for "or".
fn expression(licence: &str) -> String {
    licence.replace(" / ", " OR ").replace('/', " OR ")
}

/// A UUID (version 8) of the binary's sum: the same bytes have the same list.
fn serial(sha256: &str) -> String {
    let digit = |range: std::ops::Range<usize>| sha256.get(range).unwrap_or_default();
    format!(
        "urn:uuid:{}-{}-8{}-8{}-{}",
        digit(0..8),
        digit(8..12),
        digit(13..16),
        digit(17..20),
        digit(20..32)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_is_a_uuid_of_the_sum() {
        let sum = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        assert_eq!(serial(sum), "urn:uuid:01234567-89ab-8def-8123-456789abcdef");
        assert_eq!(expression("MIT/Apache-2.0"), "MIT OR Apache-2.0");
    }
}
