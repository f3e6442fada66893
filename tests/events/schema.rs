//! A JSON Schema, to hold documents against.

use std::cell::RefCell;

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::Value;

/// One schema, compiled.
pub(crate) struct Schema(RefCell<Schemas>, SchemaIndex);

impl Schema {
    /// Formats are not taken on trust.
    pub(crate) fn of(text: &str) -> Self {
        let schema: Value = serde_json::from_str(text).expect("JSON");
        let mut compiler = Compiler::new();
        compiler.enable_format_assertions();
        compiler.add_resource("schema", schema).expect("a schema");
        let mut schemas = Schemas::new();
        let index = compiler.compile("schema", &mut schemas).expect("a schema that compiles");
        Self(RefCell::new(schemas), index)
    }

    /// What is wrong with a document.
    pub(crate) fn fault(&self, document: &Value) -> Option<String> {
        self.0.borrow().validate(document, self.1).err().map(|fault| format!("{fault:#}"))
    }

    /// Fails when a document is not what the schema says.
    pub(crate) fn takes(&self, what: &str, document: &Value) {
        let fault = self.fault(document);
        assert_eq!(fault, None, "{what}: {document:#}");
    }
}
