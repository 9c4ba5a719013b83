//! The limits of a request, counted before validation and before any SQL (api.md, "Limits").
//!
//! [`scan`](scan()) bounds the text before the parser, whose recursion it protects; [`structure`](structure()) bounds a parsed document as a
//! whole, once, because validation walks all of it; [`overlap`](overlap()) compares, once too, what is selected of one object in several
//! places; [`measure`] counts the selected operation with its variables. Each is
//! one pass: a fragment is counted once and remembered, so that a bomb of nested spreads costs its text, not its expansion.

use std::{fmt, ops::AddAssign};

use async_graphql::Pos;

use crate::config::Limits;

mod costs;
mod input;
mod keys;
mod model;
mod overlap;
mod roots;
mod scan;
mod structure;
#[cfg(test)]
mod tests;

pub use costs::{Measured, measure, select};
pub use model::CostModel;
pub use overlap::overlap;
pub use roots::root_arguments;
pub use scan::scan;
pub use structure::structure;

/// Why a request is refused before it is validated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitError {
    /// Which code the caller sees.
    pub kind: LimitKind,
    /// For a person; speaks of the document alone.
    pub message: String,
    /// Where in the document.
    pub position: Option<Pos>,
    /// The response key that it is about, if it is about one.
    pub key: Option<String>,
}

/// Which code a [`LimitError`] is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitKind {
    /// `BAD_REQUEST`: the document could never be executed.
    BadRequest,
    /// `QUERY_TOO_COMPLEX`: a limit is exceeded.
    TooComplex,
}

impl LimitError {
    fn bad(message: impl Into<String>, position: Option<Pos>) -> Self {
        Self {
            kind: LimitKind::BadRequest,
            message: message.into(),
            position,
            key: None,
        }
    }

    fn complex(message: impl Into<String>, position: Option<Pos>) -> Self {
        Self {
            kind: LimitKind::TooComplex,
            message: message.into(),
            position,
            key: None,
        }
    }
}

impl fmt::Display for LimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for LimitError {}

/// What a request asks for; the sum over the operations of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// The complexity: a field 1, times the page sizes around it.
    pub complexity: u64,
    /// Fields with an alias.
    pub aliases: u64,
    /// Fields of `Query` and `Mutation`.
    pub root_fields: u64,
    /// Values in the variables, nested ones counted.
    pub variable_values: u64,
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.complexity = self.complexity.saturating_add(other.complexity);
        self.aliases = self.aliases.saturating_add(other.aliases);
        self.root_fields = self.root_fields.saturating_add(other.root_fields);
        self.variable_values = self.variable_values.saturating_add(other.variable_values);
    }
}

impl Cost {
    /// Whether the sum stays within the limits.
    ///
    /// # Errors
    /// `QUERY_TOO_COMPLEX` with the limit that is exceeded and by what.
    pub fn within(&self, limits: &Limits) -> Result<(), LimitError> {
        let counts = [
            ("costs", self.complexity, limits.complexity),
            (
                "has an alias count of",
                self.aliases,
                u64::from(limits.aliases),
            ),
            (
                "has a root field count of",
                self.root_fields,
                u64::from(limits.root_fields),
            ),
            (
                "has a variable value count of",
                self.variable_values,
                as_u64(limits.variable_values),
            ),
        ];
        for (what, count, limit) in counts {
            if count > limit {
                return Err(LimitError::complex(
                    format!("The request {what} {count}, more than the {limit} allowed."),
                    None,
                ));
            }
        }
        Ok(())
    }
}

fn as_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
