//! Why the database did not answer, in words for an operator.

use std::{error::Error, fmt::Write};

use tokio_postgres::error::DbError;

/// The error and everything behind it: its own text alone is "db error". Of what PostgreSQL refuses, the message and
/// the SQLSTATE. Not for errors about an address, whose text may repeat a piece of it.
pub(super) fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        // Writing to a string can't fail.
        let _ = match cause.downcast_ref::<DbError>() {
            Some(refusal) => {
                let code = refusal.code().code();
                write!(text, ": {} (SQLSTATE {code})", refusal.message())
            }
            None => write!(text, ": {cause}"),
        };
        next = cause.source();
    }
    text
}
