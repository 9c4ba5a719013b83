use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{
    db::Instant,
    integrations::payments::{
        CheckoutStatus,
        events::{
            ChargeObject, DisputeObject, EventHead, RefundChange, RefundObject, SessionObject,
            charge_refunded, dispute_event, refund_event, session_event,
        },
    },
    money::Currency,
};

const ORDER: OrderId = OrderId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001));
const REFUND: RefundId = RefundId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0002));

fn terms() -> Terms {
    Terms {
        order: ORDER,
        total: Money::new(5000, Currency::parse("EUR").unwrap()).unwrap(),
        livemode: false,
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn head(second: i64) -> EventHead {
    EventHead {
        id: format!("evt_{second}"),
        created: at(second),
        livemode: false,
    }
}

fn read(event: &serde_json::Value) -> WebhookEvent {
    WebhookEvent::parse(event.to_string().as_bytes()).unwrap()
}

fn session(
    second: i64,
    change: SessionChange,
    id: &str,
    payment_status: PaymentStatus,
) -> WebhookEvent {
    let object = SessionObject {
        id: id.to_owned(),
        order_id: ORDER.to_string(),
        amount_total: 5000,
        currency: "eur".to_owned(),
        status: CheckoutStatus::Complete,
        payment_status,
        payment_intent: Some(format!("pi_{id}")),
        expires_at: at(3600),
        customer_email: None,
        success_url: String::new(),
        cancel_url: String::new(),
        metadata: BTreeMap::new(),
    };
    read(&session_event(&head(second), change, &object))
}

fn charge(second: i64, session: &str, amount_refunded: i64) -> WebhookEvent {
    let object = ChargeObject {
        id: format!("ch_{session}"),
        payment_intent: format!("pi_{session}"),
        amount: 5000,
        amount_refunded,
        currency: "eur".to_owned(),
        metadata: BTreeMap::new(),
    };
    read(&charge_refunded(&head(second), &object))
}

fn told_refund(second: i64, amount: i64, ours: bool, status: GatewayRefundStatus) -> WebhookEvent {
    let mut metadata = BTreeMap::new();
    if ours {
        metadata.insert("refund_id".to_owned(), REFUND.to_string());
    }
    let object = RefundObject {
        id: if ours { "re_ours" } else { "re_theirs" }.to_owned(),
        charge: "ch_a".to_owned(),
        payment_intent: "pi_a".to_owned(),
        amount,
        currency: "eur".to_owned(),
        status,
        metadata,
    };
    read(&refund_event(&head(second), RefundChange::Updated, &object))
}

fn dispute(second: i64, status: DisputeStatus) -> WebhookEvent {
    dispute_over(second, 5000, status)
}

fn dispute_over(second: i64, amount: i64, status: DisputeStatus) -> WebhookEvent {
    let object = DisputeObject {
        id: "dp_1".to_owned(),
        charge: "ch_a".to_owned(),
        payment_intent: "pi_a".to_owned(),
        amount,
        currency: "eur".to_owned(),
    };
    read(&dispute_event(&head(second), status, &object))
}

fn our_refund(amount_minor: i64, state: RefundState) -> Refund {
    Refund {
        id: REFUND,
        order_id: ORDER,
        payment_intent: "pi_a".to_owned(),
        amount_minor,
        state,
        cause: RefundCause::Staff,
        reason: String::new(),
        requested_by: None,
        gateway_refund_id: None,
        created_at: Instant(at(0)),
        updated_at: Instant(at(0)),
    }
}

fn paid(second: i64, id: &str) -> WebhookEvent {
    session(second, SessionChange::Completed, id, PaymentStatus::Paid)
}

#[test]
fn an_open_dispute_holds_and_a_won_one_does_not_and_a_lost_one_takes() {
    use DisputeStatus::{Lost, Open, Won};
    for (statuses, held, left, said) in [
        (vec![Open], true, 5000, Some("disputes")),
        (vec![Won], false, 5000, None),
        (vec![Open, Won], false, 5000, None),
        (vec![Won, Open], false, 5000, None),
        (vec![Lost, Open], false, 0, Some("€50.00")),
        (vec![Lost, Won], false, 0, Some("lost")),
        (vec![Won, Lost], false, 0, Some("lost")),
    ] {
        let mut events = vec![paid(1, "a")];
        events.extend(
            (2_i64..)
                .zip(&statuses)
                .map(|(second, status)| dispute(second, *status)),
        );
        let facts = fold(&terms(), &events, &[]);
        assert_eq!(facts.disputed_at.is_some(), held, "{statuses:?}");
        assert_eq!(facts.payments[0].refundable_minor(), left, "{statuses:?}");
        assert_eq!(facts.state, Some(OrderState::Paid));
        let attention = facts.attention(&[]).unwrap_or_default();
        assert_eq!(attention.is_empty(), said.is_none());
        assert!(attention.contains(said.unwrap_or_default()), "{attention}");
    }
}

#[test]
fn a_partly_lost_dispute_takes_its_amount_alone() {
    use DisputeStatus::{Lost, Open};
    let of = |dispute: &str, event: WebhookEvent| {
        let EventKind::Dispute(facts) = event.kind.clone() else {
            panic!("a dispute");
        };
        let facts = DisputeFacts {
            id: dispute.to_owned(),
            ..facts
        };
        WebhookEvent {
            kind: EventKind::Dispute(facts),
            ..event
        }
    };
    let mut events = vec![
        paid(1, "a"),
        dispute_over(2, 2000, Open),
        dispute_over(3, 2000, Lost),
    ];
    let facts = fold(
        &terms(),
        &events,
        &[our_refund(1000, RefundState::Succeeded)],
    );
    assert_eq!((facts.disputed_at, facts.lost_minor), (None, 2000));
    assert_eq!(facts.payments[0].refundable_minor(), 2000);
    assert_eq!(facts.state, Some(OrderState::PartiallyRefunded));
    // A second one that is open holds what is left, and one that is lost takes of it.
    events.push(of("dp_2", dispute_over(4, 2500, Open)));
    assert_eq!(fold(&terms(), &events, &[]).disputed_at, Some(at(4)));
    events.push(of("dp_2", dispute_over(5, 2500, Lost)));
    let facts = fold(&terms(), &events, &[our_refund(1000, RefundState::Pending)]);
    assert_eq!((facts.disputed_at, facts.lost_minor), (None, 4500));
    assert!(facts.payments[0].is_overdrawn());
    assert_eq!(facts.payments[0].refundable_minor(), 0);
    assert!(
        facts
            .attention(&[])
            .unwrap()
            .contains("€5.00 beyond its payment")
    );
    // Never more than was paid; an amount that nobody can read is for staff.
    events.push(of("dp_3", dispute_over(6, 9000, Lost)));
    assert_eq!(fold(&terms(), &events, &[]).lost_minor, 5000);
    let unread = fold(&terms(), &[paid(1, "a"), dispute_over(2, -1, Lost)], &[]);
    assert_eq!(
        (unread.lost_minor, unread.mismatches["evt_2"]),
        (0, "amount")
    );
}

#[test]
fn a_refund_that_was_refused_and_is_told_of_after_all_counts() {
    use GatewayRefundStatus::{Failed, Succeeded};
    let refused = [our_refund(2000, RefundState::Failed)];
    let facts =
        |events: &[WebhookEvent]| fold(&terms(), &[&[paid(1, "a")], events].concat(), &refused);
    assert_eq!(facts(&[]).refunded_minor, 0);
    let told = told_refund(2, 2000, true, Succeeded);
    let after_all = facts(&[told.clone(), charge(3, "a", 2000)]);
    assert_eq!(after_all.refunds[&REFUND].0, RefundState::Succeeded);
    assert_eq!(after_all.refunded_minor, 2000);
    let failed = facts(&[told, told_refund(3, 2000, true, Failed)]);
    assert_eq!(failed.refunded_minor, 0);
}

#[test]
fn what_staff_have_settled_comes_up_no_more_and_what_is_new_does() {
    let wrong = |second| WebhookEvent {
        livemode: true,
        ..paid(second, "a")
    };
    let events = [paid(1, "a"), dispute(2, DisputeStatus::Open), wrong(3)];
    let facts = fold(&terms(), &events, &[]);
    let text = facts.attention(&[]).unwrap();
    assert_eq!(
        text,
        "dp_1 disputes the payment; events that do not agree with the order: 1 (livemode)"
    );
    let seen: Vec<String> = facts.reasons.iter().cloned().collect();
    assert_eq!(facts.attention(&seen), None);
    let more = [events.to_vec(), vec![wrong(4), charge(5, "a", 1000)]].concat();
    let facts = fold(&terms(), &more, &[]);
    assert_eq!(
        facts.attention(&seen).unwrap(),
        "events that do not agree with the order: 1 (livemode)"
    );
}

#[test]
fn the_text_of_many_reasons_says_how_many_are_left_out() {
    let reasons = |count: usize| {
        let reasons =
            (100..100 + count).map(|number| format!("{number} is a reason of 29 letters"));
        joined(&reasons.collect::<Vec<_>>()).unwrap()
    };
    assert_eq!(joined(&[]), None);
    assert!(!reasons(16).contains("more"));
    for count in [17, 20, 200] {
        let text = reasons(count);
        assert!(text.chars().count() <= LONGEST_ATTENTION, "{text}");
        let told = text.matches("reason").count();
        assert!(
            told > 10 && text.ends_with(&format!("and {} more", count - told)),
            "{text}"
        );
    }
    assert_eq!(joined(&["x".repeat(501)]).unwrap(), "and 1 more");
}

/// Every order of five events, each of them repeated, for several histories.
#[test]
fn every_order_and_repetition_ends_in_one_state() {
    use GatewayRefundStatus::{Failed, Pending, Succeeded};
    let unpaid = session(1, SessionChange::Completed, "a", PaymentStatus::Unpaid);
    let arrived = session(
        2,
        SessionChange::AsyncPaymentSucceeded,
        "a",
        PaymentStatus::Paid,
    );
    let histories = [
        vec![
            unpaid.clone(),
            arrived,
            charge(3, "a", 2000),
            told_refund(4, 2000, true, Succeeded),
            dispute(5, DisputeStatus::Open),
        ],
        vec![
            paid(1, "a"),
            dispute(2, DisputeStatus::Open),
            dispute(3, DisputeStatus::Won),
            dispute(4, DisputeStatus::Lost),
            told_refund(5, 2000, true, Pending),
        ],
        vec![
            paid(1, "a"),
            paid(2, "b"),
            charge(3, "b", 5000),
            told_refund(4, 2000, true, Pending),
            told_refund(5, 2000, true, Failed),
        ],
        vec![
            unpaid,
            session(
                2,
                SessionChange::AsyncPaymentFailed,
                "a",
                PaymentStatus::Unpaid,
            ),
            session(3, SessionChange::Expired, "b", PaymentStatus::Unpaid),
            paid(4, "c"),
            charge(5, "c", 1),
        ],
        vec![
            paid(1, "a"),
            charge(2, "a", 3000),
            told_refund(3, 1000, false, Failed),
            told_refund(4, 2000, true, Succeeded),
            charge(5, "a", 1000),
        ],
        vec![
            paid(1, "a"),
            charge(2, "a", 1000),
            dispute_over(3, 4000, DisputeStatus::Open),
            dispute_over(4, 4000, DisputeStatus::Lost),
            dispute_over(5, 4000, DisputeStatus::Won),
        ],
        vec![
            paid(1, "a"),
            paid(2, "b"),
            dispute_over(3, 2000, DisputeStatus::Lost),
            dispute_over(4, 3000, DisputeStatus::Lost),
            told_refund(5, 2000, true, Failed),
        ],
    ];
    let rows = [our_refund(2000, RefundState::Pending)];
    for history in histories {
        let expected = fold(&terms(), &history, &rows);
        let mut orders = 0;
        permute(&history, &mut Vec::new(), &mut |order| {
            assert_eq!(fold(&terms(), order, &rows), expected);
            for repeated in 0..order.len() {
                let mut twice = order.to_vec();
                twice.push(order[repeated].clone());
                twice.insert(0, order[repeated].clone());
                assert_eq!(fold(&terms(), &twice, &rows), expected);
            }
            orders += 1;
        });
        assert_eq!(orders, 120);
    }
}

fn permute(
    left: &[WebhookEvent],
    taken: &mut Vec<WebhookEvent>,
    each: &mut impl FnMut(&[WebhookEvent]),
) {
    if left.is_empty() {
        each(taken);
    }
    for index in 0..left.len() {
        let mut rest = left.to_vec();
        taken.push(rest.remove(index));
        permute(&rest, taken, each);
        taken.pop();
    }
}

#[test]
fn a_session_pays_when_the_money_is_there() {
    let facts = |events: &[WebhookEvent]| fold(&terms(), events, &[]);
    let unpaid = session(1, SessionChange::Completed, "a", PaymentStatus::Unpaid);
    let waiting = facts(std::slice::from_ref(&unpaid));
    assert_eq!((waiting.state, waiting.captured_minor), (None, 0));
    assert_eq!(waiting.sessions["a"], CheckoutState::Complete);
    let arrived = session(
        2,
        SessionChange::AsyncPaymentSucceeded,
        "a",
        PaymentStatus::Paid,
    );
    let there = facts(&[unpaid.clone(), arrived]);
    assert_eq!(there.state, Some(OrderState::Paid));
    assert_eq!((there.captured_minor, there.paid_at), (5000, Some(at(2))));
    let failed = session(
        2,
        SessionChange::AsyncPaymentFailed,
        "a",
        PaymentStatus::Unpaid,
    );
    assert_eq!(
        facts(&[unpaid, failed]).sessions["a"],
        CheckoutState::Failed
    );
    let free = session(
        1,
        SessionChange::Completed,
        "a",
        PaymentStatus::NoPaymentRequired,
    );
    assert_eq!(facts(&[free]).state, Some(OrderState::Paid));
}

#[test]
fn two_events_of_one_session_are_one_payment_and_two_sessions_are_two() {
    let late = session(
        3,
        SessionChange::AsyncPaymentSucceeded,
        "a",
        PaymentStatus::Paid,
    );
    assert_eq!(
        fold(&terms(), &[paid(1, "a"), late], &[]).captured_minor,
        5000
    );
    let twice = fold(&terms(), &[paid(2, "b"), paid(1, "a")], &[]);
    assert_eq!(twice.captured_minor, 10_000);
    assert_eq!(twice.payments[0].session_id, "a");
    // Once one of them is given back as a duplicate, it stays the one that does not count.
    let returned = Refund {
        cause: RefundCause::DuplicatePayment,
        ..our_refund(5000, RefundState::Pending)
    };
    let settled = fold(&terms(), &[paid(2, "b"), paid(1, "a")], &[returned]);
    assert_eq!(settled.payments[0].session_id, "b");
    assert_eq!(settled.state, Some(OrderState::Paid));
    assert_eq!(settled.refunded_minor, 5000);
}

#[test]
fn what_does_not_agree_pays_nothing_and_is_flagged() {
    let good = paid(1, "a");
    let EventKind::CheckoutSession { change, session } = good.kind.clone() else {
        panic!("a session event");
    };
    let with = |session: SessionFacts| WebhookEvent {
        kind: EventKind::CheckoutSession { change, session },
        ..good.clone()
    };
    let cases = [
        (
            "livemode",
            WebhookEvent {
                livemode: true,
                ..good.clone()
            },
        ),
        (
            "amount",
            with(SessionFacts {
                amount_total: Some(4999),
                ..session.clone()
            }),
        ),
        (
            "amount",
            with(SessionFacts {
                amount_total: None,
                ..session.clone()
            }),
        ),
        (
            "amount",
            with(SessionFacts {
                amount_total: Some(-5000),
                ..session.clone()
            }),
        ),
        (
            "currency",
            with(SessionFacts {
                currency: Some("usd".to_owned()),
                ..session.clone()
            }),
        ),
        (
            "currency",
            with(SessionFacts {
                currency: None,
                ..session.clone()
            }),
        ),
        (
            "order",
            with(SessionFacts {
                order_id: Some("ord_1".to_owned()),
                ..session.clone()
            }),
        ),
        (
            "order",
            with(SessionFacts {
                order_id: None,
                ..session.clone()
            }),
        ),
        (
            "payment status",
            with(SessionFacts {
                payment_status: None,
                ..session.clone()
            }),
        ),
    ];
    for (what, event) in cases {
        let facts = fold(&terms(), &[event], &[]);
        assert_eq!(facts.mismatches.get("evt_1"), Some(&what));
        assert_eq!((facts.state, facts.captured_minor), (None, 0), "{what}");
        assert!(facts.attention(&[]).unwrap().contains(what));
    }
}

#[test]
fn refunded_is_the_larger_of_ours_and_the_charge_less_what_failed() {
    use GatewayRefundStatus::{Failed, Succeeded};
    let facts = |events: &[WebhookEvent], rows: &[Refund]| {
        let mut all = vec![paid(1, "a")];
        all.extend_from_slice(events);
        fold(&terms(), &all, rows)
    };
    let pending = our_refund(2000, RefundState::Pending);
    let before = facts(&[], std::slice::from_ref(&pending));
    assert_eq!(before.refunded_minor, 2000);
    assert_eq!(before.state, Some(OrderState::PartiallyRefunded));
    let by_hand = facts(&[charge(2, "a", 3000)], std::slice::from_ref(&pending));
    assert_eq!(by_hand.refunded_minor, 3000);
    let failed = told_refund(3, 2000, true, Failed);
    let reopened = facts(
        &[
            charge(2, "a", 2000),
            failed,
            told_refund(2, 2000, true, Succeeded),
        ],
        &[pending],
    );
    assert_eq!(reopened.refunded_minor, 0);
    assert_eq!(reopened.state, Some(OrderState::Paid));
    assert_eq!(reopened.refunds[&REFUND].0, RefundState::Failed);
    assert!(reopened.attention(&[]).unwrap().contains("failed"));
    // Declined at once: it never was part of the charge's amount, so nothing is taken away from it.
    let declined = our_refund(2000, RefundState::Failed);
    let other = facts(&[charge(2, "a", 1000)], &[declined]);
    assert_eq!(other.refunded_minor, 1000);
    let too_much = facts(
        &[charge(2, "a", 5000), told_refund(3, 9000, false, Succeeded)],
        &[],
    );
    assert_eq!(
        (too_much.refunded_minor, too_much.state),
        (5000, Some(OrderState::Refunded))
    );
    assert!(too_much.attention(&[]).is_some());
}

proptest! {
    /// Whatever comes in whatever order: one outcome, and never more back than was paid.
    #[test]
    fn any_set_of_events_ends_in_one_state(
        picks in prop::collection::vec((0_usize..9, 0_i64..6000, 0_usize..3), 0..12),
        seed in any::<u64>(),
        own in 1_i64..=5000,
    ) {
        use GatewayRefundStatus::{Failed, Pending, Succeeded};
        let mut events = Vec::new();
        for (second, (kind, amount, who)) in (1_i64..).zip(picks) {
            let name = ["a", "b", "c"][who];
            let status = [Pending, Succeeded, Failed][who];
            events.push(match kind {
                0 | 1 => paid(second, name),
                2 => session(second, SessionChange::Completed, name, PaymentStatus::Unpaid),
                3 => session(second, SessionChange::AsyncPaymentSucceeded, name, PaymentStatus::Paid),
                4 => session(second, SessionChange::AsyncPaymentFailed, name, PaymentStatus::Unpaid),
                5 => charge(second, name, amount),
                6 => told_refund(second, own, true, status),
                7 => told_refund(second, amount, false, status),
                _ => dispute_over(second, amount, [DisputeStatus::Open, DisputeStatus::Won, DisputeStatus::Lost][who]),
            });
        }
        let rows = [our_refund(own, RefundState::Pending)];
        let expected = fold(&terms(), &events, &rows);
        prop_assert!(expected.refunded_minor <= expected.captured_minor);
        prop_assert!(expected.lost_minor <= expected.captured_minor);
        let mut shuffled = events.clone();
        shuffled.extend(events);
        // A cheap shuffle that the seed decides.
        let mut state = seed | 1;
        for index in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let other = usize::try_from(state >> 33).unwrap() % (index + 1);
            shuffled.swap(index, other);
        }
        prop_assert_eq!(fold(&terms(), &shuffled, &rows), expected);
    }
}
