//! How often a refusal of staff's fields is written to the audit trail for who is not of staff.

use std::time::Duration;

use moka::sync::Cache;

use crate::db::ids::UserId;

/// Which refusals of staff's fields to people without any permission were written down lately: one a minute for each
/// person and field, so that not everybody can fill the trail, which nobody can empty. Those of staff all are.
#[derive(Clone)]
pub struct RecentRefusals(Cache<(UserId, &'static str), ()>);

impl RecentRefusals {
    const KEPT: Duration = Duration::from_secs(60);
    const MOST: u64 = 100_000;

    /// None yet.
    pub fn new() -> Self {
        let cache = Cache::builder()
            .max_capacity(Self::MOST)
            .time_to_live(Self::KEPT)
            .build();
        Self(cache)
    }

    /// Whether this one was not written down in the last minute; it is from now on.
    pub fn is_new(&self, person: UserId, field: &'static str) -> bool {
        self.0.entry((person, field)).or_insert(()).is_fresh()
    }
}

impl Default for RecentRefusals {
    fn default() -> Self {
        Self::new()
    }
}
