//! How many queries are executed and how many mutations wait at once, and which are refused instead.
//!
//! Each that is let in makes the others wait. A burst drains by itself, so it is let in; a crowd that stays is not, because
//! then everybody would wait for it all the time (RFC 8289 tells a good queue from a bad one by the same sign). While it
//! stays, fewer are let in than otherwise: PostgreSQL is as busy with them, and each is answered sooner. Now and then more
//! are let in again, because who comes back at once when refused looks like a crowd, however few they are.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// As many times the usual number may be executed during a burst.
const BURST: usize = 4;
/// How long a burst may last. At 80 % of the peak, what gathers while the database stalls for a sixth of a second is gone
/// after twice as long.
const PATIENCE: Duration = Duration::from_millis(500);
/// So long after the last refusal a crowd is gone, if there are places; not sooner, because answers come in heaps and leave
/// most places free for a moment.
const REST: Duration = Duration::from_millis(100);
/// At least so often it is tried whether more have room. Sooner at first: when the crowd is twice as old as it was the last
/// time.
const LONGEST_STRAIN: Duration = Duration::from_secs(8);

/// How many may be there.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// With as many a burst begins; it is over with three quarters of them.
    usual: usize,
    /// So many in a burst.
    most: usize,
    /// So many while a crowd stays.
    strained: usize,
    /// So many when it is tried whether it is still one.
    tried: usize,
}

/// The places for queries.
#[derive(Debug)]
pub struct Places {
    bounds: Bounds,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    places: usize,
    crowd: Option<Crowd>,
}

/// Who waits for the pool of connections, which mutations, payment events, sign-ins and uploads are executed with. Those
/// that have one may be waiting for somebody else; they are not counted.
#[derive(Debug)]
pub struct Queue {
    bounds: Bounds,
    crowd: Mutex<Option<Crowd>>,
}

/// More than usual.
#[derive(Debug)]
struct Crowd {
    since: Instant,
    /// Nothing while it is a burst.
    refused: Option<Refusals>,
}

#[derive(Clone, Copy, Debug)]
struct Refusals {
    last: Instant,
    /// From then on it is tried whether more have room, until somebody is refused.
    trial: Instant,
}

/// There is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Whether it is the first that this crowd costs its place.
    pub first: bool,
}

impl Crowd {
    fn is_gone(&self, places: usize, usual: usize, now: Instant) -> bool {
        match self.refused {
            Some(Refusals { last, .. }) => {
                places <= usual && now.saturating_duration_since(last) >= REST
            }
            None => places <= usual - usual.div_ceil(4),
        }
    }
}

impl Bounds {
    /// Whether one more may come to those who are there.
    fn admit(
        &self,
        crowd: &mut Option<Crowd>,
        there: usize,
        now: impl Fn() -> Instant,
    ) -> Result<(), Refused> {
        crowd.take_if(|crowd| crowd.is_gone(there, self.usual, now()));
        if there < self.usual && crowd.is_none() {
            return Ok(());
        }
        let now = now();
        let crowd = crowd.get_or_insert(Crowd {
            since: now,
            refused: None,
        });
        let age = now.saturating_duration_since(crowd.since);
        let strained = crowd.refused.filter(|refused| now < refused.trial);
        let room = match (strained, crowd.refused) {
            (Some(_), _) => self.strained,
            (None, Some(_)) => self.tried,
            (None, None) if age >= PATIENCE => self.usual,
            (None, None) => self.most,
        };
        if there < room {
            return Ok(());
        }
        let trial = match strained {
            Some(Refusals { trial, .. }) => trial,
            None => now + age.clamp(REST, LONGEST_STRAIN),
        };
        let before = crowd.refused.replace(Refusals { last: now, trial });
        Err(Refused {
            first: before.is_none(),
        })
    }
}

impl Places {
    /// So many places, for a moment some times as many, and a quarter of them while the crowd stays.
    pub fn with_bursts(usual: usize) -> Self {
        Self::of(Bounds {
            usual,
            most: usual.saturating_mul(BURST),
            strained: usual.div_ceil(4),
            tried: usual,
        })
    }

    /// So many places and never more.
    pub fn strict(most: usize) -> Self {
        Self::of(Bounds {
            usual: most,
            most,
            strained: most,
            tried: most,
        })
    }

    fn of(bounds: Bounds) -> Self {
        Self {
            bounds,
            taken: Mutex::default(),
        }
    }

    /// A place until it is dropped. So many of those who have one are `elsewhere`, where they are in nobody's way, and
    /// don't count.
    ///
    /// # Errors
    /// When there is none.
    pub fn enter(&self, elsewhere: usize) -> Result<Place<'_>, Refused> {
        self.enter_at(elsewhere, Instant::now)
    }

    fn enter_at(&self, elsewhere: usize, now: impl Fn() -> Instant) -> Result<Place<'_>, Refused> {
        let mut taken = self.taken();
        let places = taken.places.saturating_sub(elsewhere);
        self.bounds.admit(&mut taken.crowd, places, now)?;
        taken.places += 1;
        drop(taken);
        Ok(Place(self))
    }

    /// How many are taken.
    pub fn in_use(&self) -> usize {
        self.taken().places
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Before a pool of so many connections: five for each wait usually, ten in a burst, and one for every tenth while a crowd
    /// stays, or now and then two for each. A turn comes after some 5 ms: fifty who want the same time at once are not too many
    /// for ten, nor a hundred that refresh one token (rules.md). The last waits for all before it, so that a trial, which fails
    /// while the crowd stays, has only as many as it needs.
    pub fn before(connections: usize) -> Self {
        Self {
            bounds: Bounds {
                usual: connections * 5,
                most: connections * 10,
                strained: connections.div_ceil(10),
                tried: connections * 2,
            },
            crowd: Mutex::default(),
        }
    }

    /// Whether one more may come to so many who wait.
    ///
    /// # Errors
    /// When it would wait for too long.
    pub fn join(&self, waiting: usize) -> Result<(), Refused> {
        self.join_at(waiting, Instant::now)
    }

    fn join_at(&self, waiting: usize, now: impl Fn() -> Instant) -> Result<(), Refused> {
        let mut crowd = self.crowd.lock().unwrap_or_else(PoisonError::into_inner);
        self.bounds.admit(&mut crowd, waiting, now)
    }
}

/// A place of a query that is executed.
#[derive(Debug)]
pub struct Place<'a>(&'a Places);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut taken = self.0.taken();
        taken.places -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_let_in_and_a_crowd_that_stays_is_not() {
        let places = Places::with_bursts(4);
        let start = Instant::now();
        let enter = |millis: u64| places.enter_at(0, || start + Duration::from_millis(millis));
        let refused = |mut times: std::iter::StepBy<std::ops::Range<u64>>| {
            times.all(|millis| enter(millis).is_err())
        };
        // More than usual for a moment, and then no more than usual.
        let mut inside: Vec<_> = (0..5).map(|_| enter(0).unwrap()).collect();
        inside.push(enter(499).unwrap());
        assert_eq!(enter(500).unwrap_err(), Refused { first: true });
        // While somebody is refused every moment, who leaves makes room for one, a quarter of the usual number.
        inside.truncate(4);
        assert!(refused((550..60_000).step_by(50)));
        inside.clear();
        inside.push(enter(60_000).unwrap());
        assert_eq!(enter(60_000).unwrap_err(), Refused { first: false });
        // Nobody is for a moment, and the next is a burst, of four times the usual at most.
        inside.extend((0..15).map(|_| enter(60_100).unwrap()));
        assert_eq!(enter(60_110).unwrap_err(), Refused { first: true });
        // It is over once it was too large, and not gone as long as it is, though nobody is refused for a moment.
        inside.truncate(5);
        assert_eq!(enter(60_300).unwrap_err(), Refused { first: false });
        inside.truncate(3);
        assert!(refused((60_301..60_499).step_by(1)));
    }

    #[test]
    fn those_who_come_back_at_once_are_let_in_again_if_the_usual_number_is_enough() {
        let places = Places::with_bursts(4);
        let start = Instant::now();
        let enter = |millis: u64| places.enter_at(0, || start + Duration::from_millis(millis));
        let too_many = |from: u64, to: u64| (from..to).all(|millis| enter(millis).is_err());
        let mut inside: Vec<_> = (0..16).map(|_| enter(0).unwrap()).collect();
        assert!(too_many(200, 201));
        // Sixteen were too many; three of them stay, which one place is too few for, and one comes back again and again.
        inside.truncate(2);
        assert!(too_many(201, 400));
        inside.push(enter(400).unwrap());
        // Nobody is refused, and the next is a burst again.
        inside.push(enter(500).unwrap());
        inside.extend((0..12).map(|_| enter(500).unwrap()));
        assert!(too_many(1000, 1001));
        // Whoever is too many for the usual number is so for twice as long the next time.
        inside.truncate(2);
        assert!(too_many(1001, 1500));
        inside.extend((0..2).map(|_| enter(1500).unwrap()));
        assert!(too_many(1500, 1501));
        inside.truncate(2);
        assert!(too_many(1501, 2500));
        assert!(enter(2500).is_ok());
    }

    #[test]
    fn a_burst_that_drains_leaves_nothing_behind() {
        let places = Places::with_bursts(4);
        let start = Instant::now();
        let enter = |millis: u64| places.enter_at(0, || start + Duration::from_millis(millis));
        let mut inside: Vec<_> = (0..5).map(|_| enter(0).unwrap()).collect();
        // Three are a usual number, for as long as they stay.
        inside.truncate(3);
        inside.push(enter(600).unwrap());
        inside.extend((0..12).map(|_| enter(700).unwrap()));
        assert!(enter(700).is_err());
    }

    #[test]
    fn a_pool_of_ten_serves_fifty_who_wait_all_the_time_and_no_more() {
        let queue = Queue::before(10);
        let start = Instant::now();
        let join =
            |waiting, millis: u64| queue.join_at(waiting, || start + Duration::from_millis(millis));
        assert!((0..2000).step_by(100).all(|at| join(49, at).is_ok()));
        // Twice as many for half a second.
        assert!((2000..2500).step_by(100).all(|at| join(99, at).is_ok()));
        assert_eq!(join(50, 2500).unwrap_err(), Refused { first: true });
        // Then those who are answered soon.
        assert_eq!(join(1, 2501).unwrap_err(), Refused { first: false });
        assert!(join(0, 2502).is_ok());
    }

    #[test]
    fn a_queue_is_as_long_as_usual_again_after_a_crowd() {
        let queue = Queue::before(10);
        let start = Instant::now();
        let join =
            |waiting, millis: u64| queue.join_at(waiting, || start + Duration::from_millis(millis));
        assert!(join(50, 0).is_ok());
        assert_eq!(join(50, 500).unwrap_err(), Refused { first: true });
        // Who comes back again and again finds it short, until it is tried whether two for each are enough.
        assert!((501..1000).all(|at| join(1, at).is_err()));
        assert!(join(19, 1000).is_ok());
        // It is not, and tried again when the crowd is twice as old.
        assert_eq!(join(20, 1001).unwrap_err(), Refused { first: false });
        assert!((1002..2002).all(|at| join(1, at).is_err()));
        assert!((2002..2100).all(|at| join(19, at).is_ok()));
        // Nobody was refused for a moment, and the next is a burst.
        assert!(join(50, 2101).is_ok());
        assert!(join(99, 2600).is_ok());
        assert_eq!(join(100, 2600).unwrap_err(), Refused { first: true });
    }

    #[test]
    fn a_number_that_is_set_is_kept() {
        let places = Places::strict(1);
        let first = places.enter(0);
        assert!(first.is_ok());
        assert!(places.enter(0).is_err());
        drop(first);
        assert!(places.enter(0).is_ok());
    }

    #[test]
    fn who_is_elsewhere_leaves_the_place_to_somebody_else() {
        let places = Places::strict(1);
        let slow = places.enter(0).unwrap();
        let fast = places.enter(1).unwrap();
        assert!(places.enter(1).is_err());
        drop(fast);
        // There and back within a moment: more are elsewhere than have a place.
        drop(slow);
        assert!(places.enter(1).is_ok());
    }
}
