//! Buckets of this process alone.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use super::bucket::{Charge, Key, Standing};

/// So few are not worth a look at which are full again.
const FEW: usize = 4_096;

/// When each bucket that is not full will be, in microseconds since 1970.
#[derive(Default)]
pub(super) struct Memory(Mutex<Kept>);

/// Telegram's init data are kept for as long as they are good for, a day: a tree grows with them bit by bit, where a hash table
/// stops everybody to double.
#[derive(Default)]
struct Kept {
    full_at: BTreeMap<u128, i64>,
    /// How many were left when full ones were last forgotten.
    left: usize,
}

/// Half of a key, by which buckets are told apart as surely.
fn place(key: &Key) -> u128 {
    key.first_chunk()
        .map_or(0, |half| u128::from_be_bytes(*half))
}

impl Memory {
    /// Takes all of it or nothing, at `now`. One lock for all buckets: it is held for less than a microsecond.
    pub(super) fn take(&self, charges: &[Charge], now: i64) -> Vec<Standing> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ahead = kept.ahead(charges, now);
        let both = || charges.iter().zip(&ahead);
        let taken = both().all(|(charge, ahead)| charge.fits(*ahead));
        if taken {
            for (charge, ahead) in both() {
                let full_at = now.saturating_add(*ahead).saturating_add(charge.micros());
                kept.full_at.insert(place(&charge.key), full_at);
            }
            kept.forget(now);
        }
        both()
            .map(|(charge, ahead)| charge.standing(*ahead, taken))
            .collect()
    }

    /// What [`take`](Self::take) would answer where it would refuse; takes nothing.
    pub(super) fn refusal(&self, charges: &[Charge], now: i64) -> Option<Vec<Standing>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ahead = kept.ahead(charges, now);
        let both = || charges.iter().zip(ahead.iter().copied());
        let refuses = both().any(|(charge, ahead)| !charge.fits(ahead));
        let standings = both().map(|(charge, ahead)| charge.standing(ahead, false));
        refuses.then(|| standings.collect())
    }
}

impl Kept {
    /// How far each bucket is from full.
    fn ahead(&self, charges: &[Charge], now: i64) -> Vec<i64> {
        let full_at = |charge: &Charge| self.full_at.get(&place(&charge.key)).copied();
        let ahead = charges.iter();
        ahead
            .map(|charge| charge.ahead(full_at(charge), now))
            .collect()
    }

    /// Forgets full buckets whenever there are twice as many as the last time, so that each is looked at a few times
    /// at most.
    fn forget(&mut self, now: i64) {
        if self.full_at.len() < FEW.max(self.left.saturating_mul(2)) {
            return;
        }
        self.full_at.retain(|_, full_at| *full_at > now);
        self.left = self.full_at.len();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::features::limits::bucket::Rate;

    fn charge(number: u64, quota: u64) -> Charge {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_be_bytes());
        let rate = Rate {
            name: "test",
            quota,
            window: Duration::from_secs(60),
        };
        Charge { rate, key, cost: 1 }
    }

    #[test]
    fn one_bucket_that_refuses_keeps_the_others_full() {
        let memory = Memory::default();
        let (small, large) = (charge(1, 1), charge(2, 10));
        let first = memory.take(&[small, large], 0);
        assert_eq!((first[0].remaining, first[1].remaining), (0, 9));
        let refusal = memory.refusal(&[large, small], 0);
        assert_eq!(memory.refusal(&[large], 0), None);
        let refused = memory.take(&[large, small], 0);
        assert_eq!(refusal.as_ref(), Some(&refused));
        assert_eq!((refused[0].remaining, refused[0].retry_after), (9, None));
        assert_eq!(refused[1].retry_after, Some(Duration::from_secs(60)));
        assert_eq!(memory.take(&[large], 0)[0].remaining, 8);
    }

    #[test]
    fn full_buckets_are_forgotten() {
        let memory = Memory::default();
        for number in 0..100_000 {
            // A second each: no more than sixty are not full.
            memory.take(
                &[charge(number, 1)],
                i64::try_from(number).unwrap() * 1_000_000,
            );
        }
        let kept = memory.0.lock().unwrap();
        assert!(kept.full_at.len() <= FEW, "{}", kept.full_at.len());
    }
}
