use super::*;

fn at(minutes: i64) -> Timestamp {
    let start: Timestamp = "2026-12-01T12:00:00Z".parse().unwrap();
    start + SignedDuration::from_mins(minutes)
}

/// A booking from minute 0 to minute 60, asked for five hours before.
fn facts(state: State) -> Facts {
    Facts {
        state,
        starts_at: at(0),
        ends_at: at(60),
        answer_deadline: at(-60),
        payment_deadline: (state != State::Requested).then(|| at(-120)),
        free: false,
        closed_by: match state {
            State::Completed | State::NoShow => Some(Side::Provider),
            _ => None,
        },
        contested: false,
        needs_attention: false,
        proposal: None,
    }
}

fn proposed(by: Party) -> Facts {
    Facts {
        proposal: Some(Proposal {
            by,
            answer_deadline: at(-90),
        }),
        ..facts(State::Confirmed)
    }
}

/// A moment at which nothing but the table decides.
fn moment(action: Action) -> Timestamp {
    match action {
        Action::Complete => at(60 + 24 * 60),
        Action::NoShow => at(20),
        Action::RescheduleExpire => at(-90),
        _ => at(-180),
    }
}

/// Every row of rules.md's table, with the row's own facts.
fn table() -> Vec<(Facts, Action, Side, State)> {
    use Side::{Client, Provider, Staff, System};
    let mut rows = vec![
        (
            facts(State::Requested),
            Action::Accept,
            Provider,
            State::Accepted,
        ),
        (
            Facts {
                free: true,
                ..facts(State::Requested)
            },
            Action::Accept,
            Provider,
            State::Confirmed,
        ),
        (
            facts(State::Requested),
            Action::Reject,
            Provider,
            State::Rejected,
        ),
        (
            facts(State::Accepted),
            Action::Pay,
            System,
            State::Confirmed,
        ),
        (facts(State::Expired), Action::Pay, System, State::Confirmed),
        (
            facts(State::Completed),
            Action::NoShow,
            Client,
            State::NoShow,
        ),
        // The provider said first that the client did not come.
        (facts(State::NoShow), Action::NoShow, Client, State::NoShow),
        (
            proposed(Party::Client),
            Action::RescheduleAccept,
            Provider,
            State::Confirmed,
        ),
        (
            proposed(Party::Client),
            Action::RescheduleDecline,
            Provider,
            State::Confirmed,
        ),
        (
            proposed(Party::Provider),
            Action::RescheduleAccept,
            Client,
            State::Confirmed,
        ),
        (
            proposed(Party::Provider),
            Action::RescheduleDecline,
            Client,
            State::Confirmed,
        ),
        (
            proposed(Party::Client),
            Action::RescheduleExpire,
            System,
            State::Confirmed,
        ),
    ];
    for side in [Client, Staff] {
        rows.push((
            facts(State::Requested),
            Action::Cancel,
            side,
            State::Cancelled,
        ));
    }
    for side in [Client, Provider, Staff] {
        rows.push((
            facts(State::Accepted),
            Action::Cancel,
            side,
            State::Cancelled,
        ));
        rows.push((
            facts(State::Confirmed),
            Action::Cancel,
            side,
            State::Cancelled,
        ));
    }
    for side in [Client, Provider, System] {
        rows.push((
            facts(State::Confirmed),
            Action::Complete,
            side,
            State::Completed,
        ));
    }
    for side in [Client, Provider] {
        rows.push((facts(State::Confirmed), Action::NoShow, side, State::NoShow));
        rows.push((
            facts(State::Confirmed),
            Action::Reschedule,
            side,
            State::Confirmed,
        ));
    }
    for state in [State::Requested, State::Accepted, State::Confirmed] {
        rows.push((facts(state), Action::Suspend, System, State::Cancelled));
    }
    rows
}

#[test]
fn every_row_of_the_table_succeeds() {
    for (facts, action, side, to) in table() {
        let decision = decide(&facts, action, side, moment(action));
        assert_eq!(
            decision.map(|permit| permit.to),
            Ok(to),
            "{} {action} {side}",
            facts.state
        );
    }
}

#[test]
fn everything_else_is_refused() {
    let rows = table();
    let mut refused = 0;
    for state in State::ALL {
        for action in Action::ALL {
            for side in Side::ALL {
                for facts in [
                    facts(*state),
                    Facts {
                        free: true,
                        ..facts(*state)
                    },
                    Facts {
                        proposal: proposed(Party::Client).proposal,
                        ..facts(*state)
                    },
                ] {
                    let now = moment(*action);
                    let in_table = rows.iter().any(|(row, does, by, _)| {
                        row.state == facts.state_at(now) && (does, by) == (action, side)
                    });
                    if in_table || *action == Action::Expire {
                        continue;
                    }
                    refused += 1;
                    let decision = decide(&facts, *action, *side, now);
                    assert!(
                        matches!(
                            decision,
                            Err(Refusal::NotAllowed
                                | Refusal::InvalidState(_)
                                | Refusal::NothingToSettle(_))
                        ),
                        "{state} {action} {side}: {decision:?}"
                    );
                    if let Err(Refusal::InvalidState(shown) | Refusal::NothingToSettle(shown)) =
                        decision
                    {
                        assert_eq!(shown, facts.state_at(now));
                    }
                }
            }
        }
    }
    assert!(refused > 900, "{refused}");
}

#[test]
fn a_row_past_its_deadline_reads_as_expired_and_only_expires() {
    for (state, deadline) in [(State::Requested, at(-60)), (State::Accepted, at(-120))] {
        let facts = facts(state);
        let just_before = deadline - SignedDuration::from_nanos(1);
        assert_eq!(facts.state_at(just_before), state);
        assert_eq!(facts.state_at(deadline), State::Expired);
        assert!(decide(&facts, Action::Expire, Side::System, just_before).is_err());
        for action in Action::ALL {
            for side in Side::ALL {
                let decision = decide(&facts, *action, *side, deadline);
                match (action, side) {
                    (Action::Expire, Side::System) => {
                        assert_eq!(decision.map(|permit| permit.to), Ok(State::Expired));
                    }
                    // A late payment too waits until the row itself says EXPIRED (see `paid`).
                    _ => assert!(decision.is_err(), "{state} {action} {side}"),
                }
            }
        }
    }
}

#[test]
fn times_are_half_open() {
    let confirmed = facts(State::Confirmed);
    let instant = SignedDuration::from_nanos(1);
    for (action, side, from) in [
        (Action::Complete, Side::Client, at(0)),
        (Action::Complete, Side::Provider, at(60)),
        (Action::Complete, Side::System, at(60 + 24 * 60)),
        (Action::NoShow, Side::Client, at(15)),
        (Action::NoShow, Side::Provider, at(15)),
    ] {
        let early = decide(&confirmed, action, side, from - instant);
        assert_eq!(early, Err(Refusal::WindowClosed), "{action} {side}");
        assert!(decide(&confirmed, action, side, from).is_ok());
    }
    for (action, side, until) in [
        (Action::NoShow, Side::Client, at(60 + 24 * 60)),
        (Action::Suspend, Side::System, at(0)),
        (Action::Reschedule, Side::Client, at(-60)),
    ] {
        let permit = decide(&confirmed, action, side, until - instant);
        assert_eq!(
            permit.map(|permit| permit.until),
            Ok(Some(until)),
            "{action}"
        );
        let late = decide(&confirmed, action, side, until);
        assert_eq!(late, Err(Refusal::WindowClosed), "{action}");
    }
}

#[test]
fn one_open_proposal_and_the_other_side_answers_it() {
    let facts = proposed(Party::Client);
    let now = at(-180);
    assert_eq!(
        decide(&facts, Action::Reschedule, Side::Provider, now),
        Err(Refusal::AlreadyProposed)
    );
    // Past its deadline another may be made, although the job has not closed it yet.
    assert!(decide(&facts, Action::Reschedule, Side::Provider, at(-90)).is_ok());
    assert_eq!(
        decide(&facts, Action::RescheduleAccept, Side::Client, now),
        Err(Refusal::NotAllowed)
    );
    assert_eq!(
        decide(&facts, Action::RescheduleAccept, Side::Provider, at(-90)),
        Err(Refusal::WindowClosed)
    );
}

#[test]
fn a_claim_is_made_once_by_each_side() {
    let first_by = |side| Facts {
        closed_by: Some(side),
        ..facts(State::NoShow)
    };
    let now = at(20);
    assert!(decide(&first_by(Side::Client), Action::NoShow, Side::Provider, now).is_ok());
    for (facts, side) in [
        (first_by(Side::Client), Side::Client),
        (
            Facts {
                contested: true,
                ..first_by(Side::Client)
            },
            Side::Provider,
        ),
        (
            Facts {
                closed_by: Some(Side::Client),
                ..facts(State::Completed)
            },
            Side::Provider,
        ),
        (
            Facts {
                closed_by: Some(Side::System),
                ..facts(State::Completed)
            },
            Side::Client,
        ),
    ] {
        assert!(matches!(
            decide(&facts, Action::NoShow, side, now),
            Err(Refusal::InvalidState(_))
        ));
    }
}

#[test]
fn what_needs_staff_is_settled_by_staff_in_whatever_state() {
    for state in State::ALL {
        let flagged = Facts {
            needs_attention: true,
            ..facts(*state)
        };
        let decided = decide(&flagged, Action::Settle, Side::Staff, at(-180));
        assert_eq!(decided.map(|permit| permit.to), Ok(*state));
        for side in [Side::Client, Side::Provider, Side::System] {
            assert_eq!(
                decide(&flagged, Action::Settle, side, at(-180)),
                Err(Refusal::NotAllowed)
            );
        }
    }
}

#[test]
fn deadlines_are_the_lesser_of_two() {
    let day = 24 * 60;
    assert_eq!(answer_deadline(at(-3 * day), at(0)), at(-2 * day));
    assert_eq!(answer_deadline(at(-75), at(0)), at(-60));
    assert_eq!(payment_deadline(at(-3 * day), at(0)), at(-3 * day + 120));
    assert_eq!(payment_deadline(at(-61), at(0)), at(-15));
}
