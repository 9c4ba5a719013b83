//! Loaders of windows and slots, so that a list of providers costs no more than one.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use jiff::Timestamp;

use super::{
    model::{self, Availability},
    service::{self, Slot, SlotsOf},
    slots::Grid,
};
use crate::{
    clock::Clock,
    db::{
        Db,
        batch::{BatchFn, Rows},
        ids::{AvailabilityId, ProviderId},
    },
    error::Result,
    row_loader,
};

row_loader! {
    /// A window by id; who may see its provider is the reader's to check.
    WindowById: AvailabilityId => Availability, model::by_ids, |window| window.id
}

/// Which windows of a provider are asked for: those that overlap `[from, to)`.
pub type WindowsOf = (ProviderId, Timestamp, Timestamp);

/// The windows of providers, at most `limit` each.
pub struct WindowsByProvider {
    /// The database.
    pub db: Db,
    /// The most windows of an answer.
    pub limit: usize,
}

impl WindowsByProvider {
    async fn windows(&self, keys: &[WindowsOf]) -> Result<HashMap<WindowsOf, Rows<Availability>>> {
        let of: HashSet<ProviderId> = keys.iter().map(|(provider, ..)| *provider).collect();
        let of: Vec<ProviderId> = of.into_iter().collect();
        let from = keys.iter().map(|(_, from, _)| *from).min();
        let to = keys.iter().map(|(.., to)| *to).max();
        let (Some(from), Some(to)) = (from, to) else {
            return Ok(HashMap::new());
        };
        let rows = model::between(&mut *self.db.slow_reader().await?, &of, from, to).await?;
        let of_key = |&(provider, from, to): &WindowsOf| {
            let rows = rows.iter().filter(|row| {
                row.provider_id == provider && *row.ends_at > from && *row.starts_at < to
            });
            Arc::new(rows.take(self.limit).cloned().collect())
        };
        Ok(keys.iter().map(|key| (*key, of_key(key))).collect())
    }
}

impl BatchFn<WindowsOf, Result<Rows<Availability>>> for WindowsByProvider {
    async fn load(&mut self, keys: &[WindowsOf]) -> HashMap<WindowsOf, Result<Rows<Availability>>> {
        spread(keys, self.windows(keys).await)
    }
}

/// The slots of providers, at most `limit` each.
pub struct SlotsByProvider {
    /// The database.
    pub db: Db,
    /// What "ahead" is measured from.
    pub clock: Clock,
    /// Where slots start.
    pub grid: Grid,
    /// The most slots of an answer.
    pub limit: usize,
}

impl BatchFn<SlotsOf, Result<Rows<Slot>>> for SlotsByProvider {
    async fn load(&mut self, keys: &[SlotsOf]) -> HashMap<SlotsOf, Result<Rows<Slot>>> {
        let now = self.clock.now();
        let slots = service::slots(&self.db, self.grid, keys, now, self.limit).await;
        let slots = slots.map(|slots| {
            slots
                .into_iter()
                .map(|(key, slots)| (key, Arc::new(slots)))
                .collect()
        });
        spread(keys, slots)
    }
}

/// A batch's outcome for each of its keys.
fn spread<K: Copy + Eq + std::hash::Hash, V>(
    keys: &[K],
    outcome: Result<HashMap<K, V>>,
) -> HashMap<K, Result<V>> {
    match outcome {
        Ok(found) => found
            .into_iter()
            .map(|(key, value)| (key, Ok(value)))
            .collect(),
        Err(error) => keys.iter().map(|key| (*key, Err(error.clone()))).collect(),
    }
}
