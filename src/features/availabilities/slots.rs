//! The listed times of a window (rule 6). Pure, and the only place that knows.

use jiff::{SignedDuration, Timestamp};

use crate::app::App;

/// Where slots start: at their window's start + n × step, and far enough ahead.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    /// The distance between two starts.
    pub step: SignedDuration,
    /// How far ahead a booking must start.
    pub lead: SignedDuration,
}

/// A half-open stretch of time.
pub type Stretch = (Timestamp, Timestamp);

impl Grid {
    /// By the settings.
    pub fn of(app: &App) -> Self {
        Self {
            step: SignedDuration::from_mins(i64::from(app.config.slot_step_minutes.max(1))),
            lead: SignedDuration::from_mins(i64::from(app.config.booking_min_lead_minutes)),
        }
    }

    /// The earliest start.
    fn earliest(self, now: Timestamp) -> Timestamp {
        now.checked_add(self.lead).unwrap_or(Timestamp::MAX)
    }

    /// Whether `start` is one of the times of the window that starts at `window`; that it fits is for the caller, who
    /// has found the window by it.
    pub fn lists(self, window: Timestamp, start: Timestamp, now: Timestamp) -> bool {
        let offset = start.duration_since(window);
        !offset.is_negative()
            && offset.as_nanos() % self.step.as_nanos() == 0
            && start >= self.earliest(now)
    }

    /// The starts in `[from, to)` of free stretches of `length` in one window, at most `limit`. `busy` is sorted by
    /// start.
    pub fn free_starts(
        self,
        window: Stretch,
        length: SignedDuration,
        busy: &[Stretch],
        (from, to): Stretch,
        now: Timestamp,
        limit: usize,
    ) -> Vec<Timestamp> {
        let (opens, closes) = window;
        let from = from.max(self.earliest(now));
        let mut starts = Vec::new();
        let mut start = opens;
        if from > opens {
            // The first step at or after `from`, without walking there.
            let steps = from
                .duration_since(opens)
                .as_nanos()
                .div_euclid(self.step.as_nanos());
            let ahead = i32::try_from(steps)
                .ok()
                .and_then(|steps| self.step.checked_mul(steps));
            match ahead.and_then(|ahead| opens.checked_add(ahead).ok()) {
                Some(at_or_before) => start = at_or_before,
                None => return starts,
            }
        }
        while starts.len() < limit && start < to {
            let Ok(end) = start.checked_add(length) else {
                break;
            };
            if end > closes {
                break;
            }
            let meets = busy
                .iter()
                .any(|(taken, freed)| *taken < end && start < *freed);
            if start >= from && !meets {
                starts.push(start);
            }
            let Ok(next) = start.checked_add(self.step) else {
                break;
            };
            start = next;
        }
        starts
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(minutes: i64) -> Timestamp {
        let base: Timestamp = "2026-12-01T00:00:00Z".parse().unwrap();
        base + SignedDuration::from_mins(minutes)
    }

    fn grid() -> Grid {
        Grid {
            step: SignedDuration::from_mins(15),
            lead: SignedDuration::from_mins(75),
        }
    }

    fn starts(window: (i64, i64), length: i64, busy: &[(i64, i64)], now: i64) -> Vec<Timestamp> {
        let busy: Vec<Stretch> = busy.iter().map(|(from, to)| (at(*from), at(*to))).collect();
        grid().free_starts(
            (at(window.0), at(window.1)),
            SignedDuration::from_mins(length),
            &busy,
            (at(-10_000), at(10_000)),
            at(now),
            500,
        )
    }

    #[test]
    fn a_slot_fits_wholly_and_back_to_back_is_allowed() {
        assert_eq!(starts((0, 60), 60, &[], -100), [at(0)]);
        assert!(starts((0, 59), 60, &[], -100).is_empty());
        assert_eq!(starts((0, 90), 30, &[(30, 60)], -100), [at(0), at(60)]);
    }

    #[test]
    fn a_slot_is_far_enough_ahead_and_on_its_windows_grid() {
        assert_eq!(starts((0, 60), 30, &[], -75), [at(0), at(15), at(30)]);
        assert_eq!(starts((0, 60), 30, &[], -74), [at(15), at(30)]);
        assert_eq!(starts((7, 60), 30, &[], -60), [at(22)]);
    }

    proptest! {
        #[test]
        fn what_is_listed_is_what_is_accepted(
            opens in -300i64..300, minutes in 1i64..600, length in 15i64..180, now in -600i64..600,
            from in -300i64..300, range in 1i64..600, busy in prop::collection::vec((-300i64..600, 1i64..120), 0..4),
        ) {
            let window = (at(opens), at(opens + minutes));
            let length = SignedDuration::from_mins(length);
            let mut busy: Vec<Stretch> = busy.into_iter().map(|(from, for_)| (at(from), at(from + for_))).collect();
            busy.sort();
            let asked = (at(from), at(from + range));
            let listed = grid().free_starts(window, length, &busy, asked, at(now), 10_000);
            for minute in from..from + range {
                let (start, end) = (at(minute), at(minute) + length);
                let accepted = window.0 <= start
                    && end <= window.1
                    && grid().lists(window.0, start, at(now))
                    && !busy.iter().any(|(taken, freed)| *taken < end && start < *freed);
                prop_assert_eq!(listed.contains(&start), accepted);
            }
            prop_assert!(listed.is_sorted());
        }
    }
}
