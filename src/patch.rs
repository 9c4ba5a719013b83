//! A field of an update: left alone, cleared, or set.

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

    /// Whether the value stays.
    pub fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }
}
