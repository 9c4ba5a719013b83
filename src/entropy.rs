//! The one place where the program draws randomness.
//!
//! Ids, tokens and codes are drawn from `App`'s [`Entropy`], so that a test which seeds it gets
//! the same ones again.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use rand::rngs::{OsRng, StdRng};
use rand::{RngCore, SeedableRng, TryRngCore};
use uuid::Uuid;

/// Where randomness comes from: the operating system, or a seed that a test chose.
///
/// Cloning is cheap, and the clones of a seeded source share its one stream; several threads may
/// draw at once, but only one thread alone sees a deterministic order.
#[derive(Clone)]
pub struct Entropy(Arc<State>);

struct State {
    /// `None` draws from the operating system.
    seeded: Option<Mutex<StdRng>>,
    /// The last UUID given out, for order within a millisecond.
    last: Mutex<LastUuid>,
}

/// The millisecond of the last UUID and its 74 bits beside time, version and variant.
#[derive(Clone, Copy, Default)]
struct LastUuid {
    millis: u64,
    tail: u128,
}

const TAIL_BITS: u32 = 74;

impl Entropy {
    /// The operating system's randomness, fit for keys and tokens.
    #[must_use]
    pub fn system() -> Self {
        Self::new(None)
    }

    /// A stream that depends on `seed` alone, within one version of the `rand` crate. For tests
    /// and demo data only: whoever knows the seed knows every token.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self::new(Some(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    fn new(seeded: Option<Mutex<StdRng>>) -> Self {
        Self(Arc::new(State {
            seeded,
            last: Mutex::default(),
        }))
    }

    /// Fills `buffer` with random bytes.
    ///
    /// # Panics
    /// When the operating system has no randomness to give: there is no safe way to go on.
    pub fn fill(&self, buffer: &mut [u8]) {
        match &self.0.seeded {
            None => OsRng.unwrap_err().fill_bytes(buffer),
            Some(rng) => locked(rng).fill_bytes(buffer),
        }
    }

    /// `N` random bytes.
    ///
    /// # Panics
    /// As [`fill`](Self::fill).
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// A UUIDv7 (RFC 9562) with the milliseconds of `now` and 74 random bits.
    ///
    /// Those which one `Entropy` and its clones draw within one millisecond ascend in the order
    /// in which they were drawn, so that rows sorted by id are sorted by creation. The step
    /// between two of them is random (32 bits), but an id is no secret. When `now` goes back, the
    /// time in the id goes back too. A time before 1970 counts as 1970.
    ///
    /// # Panics
    /// As [`fill`](Self::fill).
    #[must_use]
    pub fn uuid_v7(&self, now: Timestamp) -> Uuid {
        let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
        // Drawn before the lock, which is held for arithmetic alone.
        let fresh = u128::from_be_bytes(self.bytes());
        let mut last = locked(&self.0.last);
        let follows = last.tail + 1 + (fresh & u128::from(u32::MAX));
        let tail = if millis == last.millis && follows >> TAIL_BITS == 0 {
            follows
        } else {
            // The highest bit stays free, which leaves room for 2^41 successors.
            fresh >> (u128::BITS - TAIL_BITS + 1)
        };
        *last = LastUuid { millis, tail };
        drop(last);
        // Layout: 48 bits of time, 4 of version, 12 of tail, 2 of variant, 62 of tail.
        let value = (u128::from(millis) << 80)
            | (7 << 76)
            | ((tail >> 62) << 64)
            | (0b10 << 62)
            | (tail & ((1 << 62) - 1));
        Uuid::from_u128(value)
    }
}

impl fmt::Debug for Entropy {
    /// Says which kind of source it is, never its state.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0.seeded {
            None => "Entropy(system)",
            Some(_) => "Entropy(seeded)",
        })
    }
}

/// The guard of a lock whose data is whole even where a thread died holding it.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).unwrap()
    }

    #[test]
    fn a_seed_gives_the_same_stream_again_and_another_seed_another() {
        let draw = |entropy: &Entropy| {
            (
                entropy.bytes::<32>(),
                entropy.uuid_v7(at(1)),
                entropy.uuid_v7(at(1)),
            )
        };
        assert_eq!(draw(&Entropy::seeded(7)), draw(&Entropy::seeded(7)));
        assert_ne!(draw(&Entropy::seeded(7)), draw(&Entropy::seeded(8)));
        let one = Entropy::seeded(7);
        let clone = one.clone();
        assert_ne!(one.bytes::<32>(), clone.bytes::<32>());
    }

    #[test]
    fn the_system_does_not_repeat_itself() {
        let entropy = Entropy::system();
        let drawn: HashSet<_> = (0..1_000).map(|_| entropy.bytes::<16>()).collect();
        assert_eq!(drawn.len(), 1_000);
        assert_ne!(
            Entropy::system().uuid_v7(at(5)),
            Entropy::system().uuid_v7(at(5))
        );
    }

    #[test]
    fn a_uuid_carries_the_given_time_version_and_variant() {
        let entropy = Entropy::seeded(1);
        let now: Timestamp = "2026-11-21T10:00:00.123456Z".parse().unwrap();
        for _ in 0..1_000 {
            let id = entropy.uuid_v7(now);
            assert_eq!(id.get_version_num(), 7);
            assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
            let millis = id.as_u128() >> 80;
            assert_eq!(millis, 1_795_255_200_123);
        }
        assert_eq!(entropy.uuid_v7(at(-1)).as_u128() >> 80, 0);
        assert_eq!(
            entropy.uuid_v7(Timestamp::MAX).as_u128() >> 80,
            253_402_207_200_999
        );
    }

    #[test]
    fn uuids_of_one_millisecond_ascend_and_the_rest_follows_the_clock() {
        let entropy = Entropy::system();
        let mut before = entropy.uuid_v7(at(1_000));
        for _ in 0..10_000 {
            let next = entropy.uuid_v7(at(1_000));
            assert!(next > before);
            before = next;
        }
        assert!(entropy.uuid_v7(at(1_001)) > before);
        assert!(entropy.uuid_v7(at(999)) < before);
    }

    #[test]
    fn threads_drawing_at_once_get_different_uuids() {
        let entropy = Entropy::seeded(3);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let entropy = entropy.clone();
                std::thread::spawn(move || {
                    (0..2_000)
                        .map(|_| entropy.uuid_v7(at(1)))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        let drawn: HashSet<_> = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        assert_eq!(drawn.len(), 8_000);
    }

    #[test]
    fn debug_shows_no_state() {
        assert_eq!(format!("{:?}", Entropy::seeded(9)), "Entropy(seeded)");
        assert_eq!(format!("{:?}", Entropy::system()), "Entropy(system)");
    }
}
