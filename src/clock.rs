//! The one place where the program reads the time.
//!
//! An operation takes one reading and hands it down, so that everything it checks and writes
//! happens at one instant (rules.md); tests hold the same clock and move it.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// Where "now" comes from: the system, or a hand that a test moves.
///
/// Cloning is cheap, and the clones of a manual clock share its hand.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(Arc<Mutex<Timestamp>>),
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands at `start` until [`advance`](Self::advance) or [`set`](Self::set)
    /// moves it.
    #[must_use]
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(Mutex::new(to_microseconds(start)))))
    }

    /// The current instant, cut to whole microseconds: PostgreSQL keeps no more, and an instant
    /// must compare equal to itself after a round trip through a row.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the place that all others take the time from"
    )]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => to_microseconds(Timestamp::now()),
            Source::Manual(hand) => *hand.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Moves a manual clock by `by`, backwards if negative, and answers the new reading. A step
    /// out of the range of [`Timestamp`] stops at its edge.
    ///
    /// A system clock can't be moved: that is a mistake of the caller, caught in debug builds
    /// and without effect otherwise.
    pub fn advance(&self, by: SignedDuration) -> Timestamp {
        self.change(|hand| {
            let edge = if by.is_negative() {
                Timestamp::MIN
            } else {
                Timestamp::MAX
            };
            hand.checked_add(by).unwrap_or(edge)
        })
    }

    /// Puts a manual clock to `to` and answers the new reading. Of a system clock the same holds
    /// as for [`advance`](Self::advance).
    pub fn set(&self, to: Timestamp) -> Timestamp {
        self.change(|_| to)
    }

    fn change(&self, new: impl FnOnce(Timestamp) -> Timestamp) -> Timestamp {
        match &self.0 {
            Source::System => {
                debug_assert!(false, "the system's clock can't be moved");
                self.now()
            }
            Source::Manual(hand) => {
                let mut hand = hand.lock().unwrap_or_else(PoisonError::into_inner);
                *hand = to_microseconds(new(*hand));
                *hand
            }
        }
    }
}

fn to_microseconds(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_stands_until_moved_and_is_shared_by_its_clones() {
        let start: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        let clock = Clock::manual(start);
        let clone = clock.clone();
        assert_eq!(clone.now(), start);
        assert_eq!(
            clock.advance(SignedDuration::from_mins(90)).to_string(),
            "2026-11-21T11:30:00Z"
        );
        assert_eq!(clone.now().to_string(), "2026-11-21T11:30:00Z");
        clone.advance(SignedDuration::from_secs(-1));
        assert_eq!(clock.now().to_string(), "2026-11-21T11:29:59Z");
        clone.set(start);
        assert_eq!(clock.now(), start);
    }

    #[test]
    fn readings_have_the_resolution_of_the_database() {
        let fine: Timestamp = "2026-11-21T10:00:00.123456789Z".parse().unwrap();
        let clock = Clock::manual(fine);
        assert_eq!(clock.now().to_string(), "2026-11-21T10:00:00.123456Z");
        clock.advance(SignedDuration::from_nanos(1_999));
        assert_eq!(clock.now().to_string(), "2026-11-21T10:00:00.123457Z");
        let system = Clock::system().now();
        assert_eq!(system.subsec_nanosecond() % 1_000, 0);
    }

    #[test]
    fn a_step_over_the_edge_of_time_stops_there() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        clock.advance(SignedDuration::MAX);
        assert!(clock.now() > "9999-01-01T00:00:00Z".parse().unwrap());
        clock.advance(SignedDuration::MIN);
        assert!(clock.now() < Timestamp::UNIX_EPOCH);
    }
}
