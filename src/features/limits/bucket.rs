//! What buckets are and how they are reckoned: the generic cell rate algorithm.
//!
//! A bucket is one instant, the one at which it will be full again. Whatever is taken moves it into the future by the time
//! in which so much comes back; where that would be further ahead than the whole bucket takes, it is refused.

use std::time::Duration;

/// Whose bucket: a MAC of the limit's name and of whom it counts.
pub type Key = [u8; 32];

/// A limit, the same for everybody it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// As in the `RateLimit` headers.
    pub name: &'static str,
    /// What a full bucket holds; at least 1.
    pub quota: u64,
    /// How long an empty bucket takes to be full.
    pub window: Duration,
}

impl Rate {
    /// The window in microseconds, at most some 70 000 years, which leaves room for sums.
    pub(super) fn micros(&self) -> i64 {
        const MOST: i64 = i64::MAX / 4;
        i64::try_from(self.window.as_micros()).map_or(MOST, |micros| micros.min(MOST))
    }

    /// How long it takes until so much has come back, in microseconds. Rounded down, so that a bucket gives its quota
    /// whole; never nothing.
    fn micros_of(&self, cost: u64) -> i64 {
        let micros =
            self.window.as_micros().saturating_mul(cost.into()) / u128::from(self.quota.max(1));
        i64::try_from(micros).unwrap_or(i64::MAX).max(1)
    }
}

/// What is to be taken from one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Of which limit.
    pub rate: Rate,
    /// Whose.
    pub key: Key,
    /// How much.
    pub cost: u64,
}

impl Charge {
    /// How far this moves the bucket, in microseconds.
    pub(super) fn micros(&self) -> i64 {
        self.rate.micros_of(self.cost)
    }

    /// How far the bucket is from full at `now`, given when it is full; never further than when it is empty, so that a
    /// clock that was ahead, or a limit that was slower, locks nobody out for longer than the limit says.
    pub(super) fn ahead(&self, full_at: Option<i64>, now: i64) -> i64 {
        let ahead = full_at.map_or(0, |full_at| full_at.saturating_sub(now));
        ahead.clamp(0, self.rate.micros())
    }

    /// Whether a bucket that is `ahead` microseconds from full has so much.
    pub(super) fn fits(&self, ahead: i64) -> bool {
        ahead.saturating_add(self.micros()) <= self.rate.micros()
    }

    /// How the bucket stands that was `ahead` microseconds from full before this was `taken`, or was not.
    pub(super) fn standing(&self, ahead: i64, taken: bool) -> Standing {
        let (window, wanted) = (self.rate.micros(), ahead.saturating_add(self.micros()));
        let ahead = if taken { wanted } else { ahead };
        let left = u128::from(window.saturating_sub(ahead).max(0).unsigned_abs());
        let whole = u128::from(window.max(1).unsigned_abs());
        let remaining = left * u128::from(self.rate.quota) / whole;
        let over = wanted.saturating_sub(window);
        Standing {
            rate: self.rate,
            remaining: u64::try_from(remaining).unwrap_or(u64::MAX),
            full_in: Duration::from_micros(ahead.unsigned_abs()),
            retry_after: (!taken && over > 0).then(|| Duration::from_micros(over.unsigned_abs())),
        }
    }
}

/// How a bucket stands after a request took from it, or was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Of which limit.
    pub rate: Rate,
    /// What is left.
    pub remaining: u64,
    /// How long until it is full again, if nothing more is taken.
    pub full_in: Duration,
    /// How long until it has what was asked for; nothing where it had it.
    pub retry_after: Option<Duration>,
}

/// All that one request takes, from each bucket once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Charges(Vec<Charge>);

impl Charges {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds to what is taken from this bucket.
    pub fn add(&mut self, rate: Rate, key: Key, cost: u64) {
        match self.0.iter_mut().find(|charge| charge.key == key) {
            Some(known) => known.cost = known.cost.saturating_add(cost),
            None => self.0.push(Charge { rate, key, cost }),
        }
    }

    /// One that asks for more than the bucket holds when full, for which waiting is of no use.
    pub fn beyond(&self) -> Option<&Charge> {
        self.0.iter().find(|charge| charge.cost > charge.rate.quota)
    }

    /// Each, in the order of their first addition.
    pub fn as_slice(&self) -> &[Charge] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charge(quota: u64, seconds: u64, cost: u64) -> Charge {
        let rate = Rate {
            name: "test",
            quota,
            window: Duration::from_secs(seconds),
        };
        Charge {
            rate,
            key: [0; 32],
            cost,
        }
    }

    /// Takes as often as it can at one instant.
    fn gives(charge: Charge) -> u64 {
        let (mut ahead, mut count) = (0, 0);
        while charge.fits(ahead) && count < 100_000 {
            count += 1;
            let standing = charge.standing(ahead, true);
            assert_eq!(standing.remaining, charge.rate.quota - count * charge.cost);
            ahead += charge.micros();
        }
        count
    }

    #[test]
    fn a_full_bucket_gives_its_quota_and_no_more() {
        for quota in [1, 2, 3, 7, 10, 60, 299, 300, 1_000] {
            assert_eq!(gives(charge(quota, 60, 1)), quota, "{quota}");
        }
        assert_eq!(gives(charge(20_000, 20, 5_000)), 4);
    }

    #[test]
    fn what_is_refused_fits_when_it_was_told_to_come_back() {
        let charge = charge(7, 60, 2);
        let ahead = charge.ahead(Some(60_000_000), 0);
        let refused = charge.standing(ahead, false);
        let wait = i64::try_from(refused.retry_after.unwrap().as_micros()).unwrap();
        assert!(!charge.fits(charge.ahead(Some(60_000_000), wait - 1)));
        assert!(charge.fits(charge.ahead(Some(60_000_000), wait)));
        assert_eq!(
            (refused.remaining, refused.full_in),
            (0, Duration::from_secs(60))
        );
    }

    #[test]
    fn extremes_overflow_nothing_and_a_clock_set_back_locks_nobody_out() {
        let much = charge(u64::MAX, u64::MAX, u64::MAX);
        assert!(!much.fits(i64::MAX) && much.standing(i64::MAX, false).remaining == 0);
        let charge = charge(3, 60, 1);
        assert_eq!(charge.ahead(Some(i64::MAX), 0), 60_000_000);
        assert_eq!(charge.ahead(Some(i64::MIN), i64::MAX), 0);
    }

    #[test]
    fn a_request_takes_from_a_bucket_once() {
        let one = charge(3, 60, 1);
        let mut charges = Charges::new();
        for _ in 0..3 {
            charges.add(one.rate, one.key, 1);
            charges.add(one.rate, [1; 32], 1);
        }
        assert_eq!(charges.as_slice().len(), 2);
        assert_eq!(charges.as_slice()[0].cost, 3);
        assert!(charges.beyond().is_none());
        charges.add(one.rate, [1; 32], 1);
        assert_eq!(charges.beyond().unwrap().key, [1; 32]);
    }
}
