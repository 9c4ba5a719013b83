//! Permissions: `resource:action`, with the wildcards `resource:*` and `*`.

use std::{collections::BTreeSet, sync::Arc};

/// What a person's roles allow together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PermissionSet(Arc<BTreeSet<String>>);

impl PermissionSet {
    /// From the names of granted permissions.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(Arc::new(names.into_iter().map(str::to_owned).collect()))
    }

    /// Whether a grant covers this permission: `users:*` covers `users:read` and never `usersx:read`.
    pub fn covers(&self, permission: &str) -> bool {
        let wildcard = permission
            .split_once(':')
            .map(|(resource, _)| format!("{resource}:*"));
        self.0.contains("*")
            || self.0.contains(permission)
            || wildcard.is_some_and(|name| self.0.contains(&name))
    }
}
