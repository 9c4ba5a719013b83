//! What a cancellation costs, by the policy frozen in the booking (rule 4). Pure.

use jiff::{SignedDuration, Timestamp};

use super::model::CancellationPolicy;

/// What a client gets back, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Percent of what was paid, 0 to 100.
    pub percent: u32,
    /// When the next, smaller share begins; nothing when there is none.
    pub until: Option<Timestamp>,
}

/// The steps of a policy: up to so many hours before the start (inclusive) so many percent; afterwards the last.
fn steps(policy: CancellationPolicy) -> (&'static [(i64, u32)], u32) {
    match policy {
        CancellationPolicy::Flexible => (&[(24, 100)], 50),
        CancellationPolicy::Moderate => (&[(72, 100), (24, 50)], 0),
        CancellationPolicy::Strict => (&[(168, 50)], 0),
    }
}

/// What a client who cancels at `now` gets back of a booking that starts at `start`.
pub fn client_share(policy: CancellationPolicy, start: Timestamp, now: Timestamp) -> Share {
    let (steps, last) = steps(policy);
    for (hours, percent) in steps {
        let until = start
            .checked_sub(SignedDuration::from_hours(*hours))
            .unwrap_or(Timestamp::MIN);
        if now <= until {
            return Share {
                percent: *percent,
                until: Some(until),
            };
        }
    }
    Share {
        percent: last,
        until: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn percent(policy: CancellationPolicy, hours_before: i64, seconds_more: i64) -> u32 {
        let start: Timestamp = "2026-12-01T12:00:00Z".parse().unwrap();
        let before =
            SignedDuration::from_hours(hours_before) + SignedDuration::from_secs(seconds_more);
        client_share(policy, start, start - before).percent
    }

    #[test]
    fn each_step_ends_at_its_hour_and_includes_it() {
        use CancellationPolicy::{Flexible, Moderate, Strict};
        for (policy, hours, at, after) in [
            (Flexible, 24, 100, 50),
            (Moderate, 72, 100, 50),
            (Moderate, 24, 50, 0),
            (Strict, 168, 50, 0),
        ] {
            assert_eq!(percent(policy, hours, 0), at, "{policy} {hours}");
            assert_eq!(percent(policy, hours, -1), after, "{policy} {hours}");
        }
        assert_eq!(percent(Flexible, -1, 0), 50);
        assert_eq!(percent(Strict, 10_000, 0), 50);
    }

    #[test]
    fn the_share_says_when_it_shrinks() {
        let start: Timestamp = "2026-12-01T12:00:00Z".parse().unwrap();
        let day = SignedDuration::from_hours(24);
        let share = client_share(CancellationPolicy::Moderate, start, start - day - day);
        assert_eq!(
            share,
            Share {
                percent: 50,
                until: Some(start - day)
            }
        );
        assert_eq!(
            client_share(CancellationPolicy::Moderate, start, start).until,
            None
        );
    }
}
