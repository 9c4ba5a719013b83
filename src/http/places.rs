//! How many queries are executed at once, and which are refused instead.
//!
//! Each that is let in makes the others wait. A burst drains by itself, so it is let in; a crowd that stays, or comes again
//! within a second, is not, because then everybody would wait for it all the time (RFC 8289 tells a good queue from a bad one
//! by the same sign).

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// As many times the usual number may be executed during a burst.
const BURST: usize = 4;
/// How long a burst may last.
const PATIENCE: Duration = Duration::from_millis(250);
/// After so long without a crowd the next one is a new burst.
const REST: Duration = Duration::from_secs(1);

/// The places for queries.
#[derive(Debug)]
pub struct Places {
    usual: usize,
    most: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    places: usize,
    crowd: Option<Crowd>,
}

/// The last time that there were more than usual.
#[derive(Debug)]
struct Crowd {
    since: Instant,
    until: Instant,
}

impl Places {
    /// So many places, and for a moment some times as many.
    pub fn with_bursts(usual: usize) -> Self {
        Self {
            usual,
            most: usual.saturating_mul(BURST),
            taken: Mutex::default(),
        }
    }

    /// So many places and never more.
    pub fn strict(most: usize) -> Self {
        Self {
            usual: most,
            most,
            taken: Mutex::default(),
        }
    }

    /// A place until it is dropped; nothing where whoever asks is refused.
    pub fn enter(&self) -> Option<Place<'_>> {
        self.enter_at(Instant::now)
    }

    fn enter_at(&self, now: impl FnOnce() -> Instant) -> Option<Place<'_>> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.places >= self.usual {
            let now = now();
            let since = match &taken.crowd {
                Some(crowd) if now.saturating_duration_since(crowd.until) < REST => crowd.since,
                _ => now,
            };
            taken.crowd = Some(Crowd { since, until: now });
            if taken.places >= self.most || now.saturating_duration_since(since) >= PATIENCE {
                return None;
            }
        }
        taken.places += 1;
        Some(Place(self))
    }
}

/// A place of a query that is executed.
#[derive(Debug)]
pub struct Place<'a>(&'a Places);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.places -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_let_in_and_a_crowd_that_stays_is_not() {
        let places = Places::with_bursts(2);
        let start = Instant::now();
        let enter = |millis: u64| places.enter_at(|| start + Duration::from_millis(millis));
        let mut inside: Vec<_> = (0..8).map(|_| enter(0)).collect();
        assert!(inside.iter().all(Option::is_some));
        // Four times the usual is the most, however short the burst is.
        assert!(enter(0).is_none());
        inside.truncate(3);
        inside.push(enter(249));
        assert!(inside[3].is_some());
        assert!(enter(250).is_none());
        // Who leaves makes room for the usual number alone, as long as there is a crowd.
        inside.truncate(2);
        assert!(enter(1_200).is_none());
        inside.truncate(1);
        inside.push(enter(1_900));
        assert!(inside[1].is_some());
        assert!(enter(1_999).is_none());
        // A second without one, and the next is a burst.
        assert!(enter(2_999).is_some());
    }

    #[test]
    fn a_number_that_is_set_is_kept() {
        let places = Places::strict(1);
        let first = places.enter();
        assert!(first.is_some());
        assert!(places.enter().is_none());
        drop(first);
        assert!(places.enter().is_some());
    }
}
