//! How often a refusal is written to the audit trail where each of them would be too many.

use std::time::Duration;

use moka::sync::Cache;
use uuid::Uuid;

/// Which refusals were written down lately, of those that are written once a minute only, so that not everybody can fill
/// the trail, which nobody can empty: staff's fields asked for by people without any permission, by person and field; and
/// documents of staff that can't be executed, by session, field and code.
#[derive(Clone)]
pub struct RecentRefusals(Cache<(Uuid, &'static str, &'static str), ()>);

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

    /// Whether a refusal of this field with this code to this person or session was not written down in the last minute;
    /// it is from now on.
    pub fn is_new(&self, whose: Uuid, field: &'static str, code: &'static str) -> bool {
        let entry = self.0.entry((whose, field, code));
        entry.or_insert(()).is_fresh()
    }
}

impl Default for RecentRefusals {
    fn default() -> Self {
        Self::new()
    }
}
