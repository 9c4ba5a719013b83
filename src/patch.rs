//! Edits: a field that is left alone, cleared or set, and the version that an edit is of.

use serde_json::json;

use crate::error::{ErrorCode, Problem, Result};

/// What an update says about one field. Services take this, since they know nothing of GraphQL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// The field was left out: the value stays.
    #[default]
    Keep,
    /// The field was null: the value is cleared.
    Clear,
    /// The new value.
    Set(T),
}

impl<T> Patch<T> {
    /// The value after the update.
    pub fn apply(self, current: Option<T>) -> Option<T> {
        match self {
            Self::Keep => current,
            Self::Clear => None,
            Self::Set(value) => Some(value),
        }
    }
}

/// Refuses an edit of another version than this one with `CONFLICT` and `details.version`.
pub fn expect_version(expected: Option<i32>, version: i32) -> Result<()> {
    if expected.is_none_or(|expected| expected == version) {
        return Ok(());
    }
    let problem = Problem::new(ErrorCode::Conflict, "It was changed meanwhile.");
    Err(problem
        .at("expectedVersion")
        .with(json!({ "version": version }))
        .into())
}
