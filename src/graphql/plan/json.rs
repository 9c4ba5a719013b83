//! What a plan writes: JSON text, spelled as execution's own answer is.

use std::io::Write;

use async_graphql::{Value, resolver_utils::EnumType};
use jiff::Timestamp;

use crate::db::ids::TypedId;

/// What a text has room for before it must grow: most answers fit.
const TEXT: usize = 16 * 1024;

/// A buffer of JSON text.
#[derive(Debug)]
pub struct Json {
    text: Vec<u8>,
    failed: bool,
}

impl Default for Json {
    fn default() -> Self {
        Self {
            text: Vec::with_capacity(TEXT),
            failed: false,
        }
    }
}

impl Json {
    /// The text; nothing when something could not be written.
    pub(super) fn finish(self) -> Option<Vec<u8>> {
        (!self.failed).then_some(self.text)
    }

    /// Gives up: the resolvers must answer.
    pub fn fail(&mut self) {
        self.failed = true;
    }

    /// What is JSON already.
    pub(super) fn raw(&mut self, text: &str) {
        self.text.extend_from_slice(text.as_bytes());
    }

    /// `null`.
    pub fn null(&mut self) {
        self.raw("null");
    }

    /// A string.
    pub fn text(&mut self, text: &str) {
        self.failed |= serde_json::to_writer(&mut self.text, text).is_err();
    }

    /// A string, or `null`.
    pub fn maybe_text(&mut self, text: Option<&str>) {
        self.maybe(text, Self::text);
    }

    /// A value, or `null`.
    pub fn maybe<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        match value {
            Some(value) => write(self, value),
            None => self.null(),
        }
    }

    /// An integer.
    pub fn int(&mut self, number: i64) {
        self.failed |= serde_json::to_writer(&mut self.text, &number).is_err();
    }

    /// A number with a fraction.
    pub fn float(&mut self, number: f64) {
        self.failed |= serde_json::to_writer(&mut self.text, &number).is_err();
    }

    /// `true` or `false`.
    pub fn bool(&mut self, value: bool) {
        self.raw(if value { "true" } else { "false" });
    }

    /// A typed id.
    pub fn id(&mut self, id: impl TypedId) {
        self.text.push(b'"');
        self.failed |= write!(self.text, "{id}").is_err();
        self.text.push(b'"');
    }

    /// A point in time.
    pub fn time(&mut self, at: Timestamp) {
        self.text.push(b'"');
        self.failed |= write!(self.text, "{at}").is_err();
        self.text.push(b'"');
    }

    /// A value of an enumeration.
    pub fn name<T: EnumType>(&mut self, value: &T) {
        match T::items().iter().find(|item| item.value == *value) {
            Some(item) => {
                self.text.push(b'"');
                self.raw(item.name);
                self.text.push(b'"');
            }
            None => self.fail(),
        }
    }
}

/// Writes the data of an answer: values, among them what plans have written.
pub fn write_value(value: &Value, out: &mut Vec<u8>) -> serde_json::Result<()> {
    match value {
        Value::Binary(json) => out.extend_from_slice(json),
        Value::Object(fields) => {
            let mut before = b'{';
            for (key, value) in fields {
                out.push(before);
                before = b',';
                serde_json::to_writer(&mut *out, key.as_str())?;
                out.push(b':');
                write_value(value, out)?;
            }
            if before == b'{' {
                out.push(before);
            }
            out.push(b'}');
        }
        Value::List(items) => {
            let mut before = b'[';
            for item in items {
                out.push(before);
                before = b',';
                write_value(item, out)?;
            }
            if before == b'[' {
                out.push(before);
            }
            out.push(b']');
        }
        leaf => serde_json::to_writer(out, leaf)?,
    }
    Ok(())
}
