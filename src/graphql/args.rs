//! Arguments that every operation reads the same way.

use async_graphql::{ID, MaybeUndefined};

use crate::{
    db::ids::TypedId,
    error::{Error, Result},
    patch::Patch,
};

/// The typed id, or the one answer for what is not there (rule 18), at this argument.
pub fn id<T: TypedId>(id: &ID, path: &str) -> Result<T> {
    id.parse().map_err(|_| Error::not_found(path))
}

/// The typed id of a query's argument; nothing for what cannot be one.
pub fn maybe_id<T: TypedId>(id: &ID) -> Option<T> {
    id.parse().ok()
}

impl<T> From<MaybeUndefined<T>> for Patch<T> {
    fn from(field: MaybeUndefined<T>) -> Self {
        match field {
            MaybeUndefined::Undefined => Self::Keep,
            MaybeUndefined::Null => Self::Clear,
            MaybeUndefined::Value(value) => Self::Set(value),
        }
    }
}
