use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::integrations::payments::{
    CheckoutStatus,
    events::{
        ChargeObject, DisputeObject, EventHead, RefundChange, RefundObject, SessionObject,
        charge_refunded, dispute_event, refund_event, session_event,
    },
};

fn head() -> EventHead {
    EventHead::derived(
        &["test"],
        b"",
        Timestamp::from_second(1_795_255_200).unwrap(),
    )
}

fn session_object() -> SessionObject {
    SessionObject {
        id: "cs_test_1".into(),
        order_id: "ord_1".into(),
        amount_total: 12_500,
        currency: "usd".into(),
        status: CheckoutStatus::Complete,
        payment_status: PaymentStatus::Paid,
        payment_intent: Some("pi_1".into()),
        expires_at: Timestamp::from_second(1_795_260_000).unwrap(),
        customer_email: None,
        success_url: "http://localhost:3000/done".into(),
        cancel_url: "http://localhost:3000/back".into(),
        metadata: BTreeMap::new(),
    }
}

fn parse(event: &Value) -> WebhookEvent {
    WebhookEvent::parse(&serde_json::to_vec(event).unwrap()).unwrap()
}

fn used_types() -> [&'static str; 11] {
    [
        "checkout.session.completed",
        "checkout.session.async_payment_succeeded",
        "checkout.session.async_payment_failed",
        "checkout.session.expired",
        "charge.refunded",
        "refund.created",
        "refund.updated",
        "charge.refund.updated",
        "refund.failed",
        "charge.dispute.created",
        "charge.dispute.closed",
    ]
}

#[test]
fn every_event_that_the_builders_make_is_read_back() {
    let session = SessionFacts {
        id: "cs_test_1".into(),
        payment_status: Some(PaymentStatus::Paid),
        payment_intent: Some("pi_1".into()),
        amount_total: Some(12_500),
        currency: Some("usd".into()),
        order_id: Some("ord_1".into()),
    };
    for change in [
        SessionChange::Completed,
        SessionChange::AsyncPaymentSucceeded,
        SessionChange::AsyncPaymentFailed,
        SessionChange::Expired,
    ] {
        let event = parse(&session_event(&head(), change, &session_object()));
        assert_eq!(event.id, head().id);
        assert_eq!(event.created, head().created);
        assert!(!event.livemode);
        let session = session.clone();
        assert_eq!(event.kind, EventKind::CheckoutSession { change, session });
    }
    let charge = ChargeObject {
        id: "ch_1".into(),
        payment_intent: "pi_1".into(),
        amount: 12_500,
        amount_refunded: 500,
        currency: "usd".into(),
        metadata: [("order_id".into(), "ord_1".into())].into(),
    };
    assert_eq!(
        parse(&charge_refunded(&head(), &charge)).kind,
        EventKind::ChargeRefunded(ChargeFacts {
            id: "ch_1".into(),
            payment_intent: Some("pi_1".into()),
            amount: Some(12_500),
            amount_refunded: Some(500),
            currency: Some("usd".into()),
            order_id: Some("ord_1".into()),
        })
    );
    let refund = RefundObject {
        id: "re_1".into(),
        charge: "ch_1".into(),
        payment_intent: "pi_1".into(),
        amount: 500,
        currency: "usd".into(),
        status: GatewayRefundStatus::Succeeded,
        metadata: [("refund_id".into(), "rfd_1".into())].into(),
    };
    for (change, status) in [
        (RefundChange::Created, GatewayRefundStatus::Succeeded),
        (RefundChange::Updated, GatewayRefundStatus::Succeeded),
        (RefundChange::Failed, GatewayRefundStatus::Failed),
    ] {
        assert_eq!(
            parse(&refund_event(&head(), change, &refund)).kind,
            EventKind::RefundUpdated(RefundFacts {
                id: "re_1".into(),
                status: Some(status),
                amount: Some(500),
                currency: Some("usd".into()),
                charge: Some("ch_1".into()),
                payment_intent: Some("pi_1".into()),
                refund_id: Some("rfd_1".into()),
            })
        );
    }
    let dispute = DisputeObject {
        id: "dp_1".into(),
        charge: "ch_1".into(),
        payment_intent: "pi_1".into(),
        amount: 12_500,
        currency: "usd".into(),
    };
    for status in [DisputeStatus::Open, DisputeStatus::Won, DisputeStatus::Lost] {
        assert_eq!(
            parse(&dispute_event(&head(), status, &dispute)).kind,
            EventKind::Dispute(DisputeFacts {
                id: "dp_1".into(),
                status,
                charge: Some("ch_1".into()),
                payment_intent: Some("pi_1".into()),
                amount: Some(12_500),
                currency: Some("usd".into()),
            })
        );
    }
}

#[test]
fn fields_of_another_form_are_absent_and_the_rest_is_read() {
    let mut event = session_event(&head(), SessionChange::Completed, &session_object());
    let object = &mut event["data"]["object"];
    object["amount_total"] = json!("12500");
    object["currency"] = json!(7);
    object["payment_status"] = json!("some_new_word");
    object["payment_intent"] = json!({ "id": "pi_1", "object": "payment_intent" });
    object["metadata"] = json!([]);
    object["surprise"] = json!({ "deep": [1, 2, 3] });
    let EventKind::CheckoutSession { session, .. } = parse(&event).kind else {
        panic!("not a session")
    };
    assert_eq!(session.id, "cs_test_1");
    assert_eq!(session.payment_intent.as_deref(), Some("pi_1"));
    assert_eq!(
        session.order_id.as_deref(),
        Some("ord_1"),
        "from client_reference_id"
    );
    assert_eq!(session.amount_total, None);
    assert_eq!(session.currency, None);
    assert_eq!(session.payment_status, None);
}

#[test]
fn texts_that_no_column_takes_are_absent() {
    let mut event = session_event(&head(), SessionChange::Completed, &session_object());
    event["data"]["object"]["payment_intent"] = json!("pi_\u{0}");
    event["data"]["object"]["currency"] = json!("x".repeat(256));
    let EventKind::CheckoutSession { session, .. } = parse(&event).kind else {
        panic!("not a session")
    };
    assert_eq!(session.payment_intent, None);
    assert_eq!(session.currency, None);
}

#[test]
fn a_used_type_without_an_object_is_unreadable_and_an_unused_one_is_other() {
    for event_type in used_types() {
        for data in [json!(null), json!({ "object": 7 }), json!({ "object": {} })] {
            let event = json!({
                "id": "evt_1", "type": event_type, "created": 1, "livemode": true, "data": data,
            });
            let event = parse(&event);
            assert_eq!(event.kind, EventKind::Unreadable, "{event_type}");
            assert!(event.livemode);
        }
    }
    let event = json!({ "id": "evt_1", "type": "payout.paid", "created": 1, "livemode": false });
    assert_eq!(parse(&event).kind, EventKind::Other);
}

#[test]
fn what_is_no_event_is_refused() {
    for body in [
        "",
        "null",
        "[]",
        "{",
        "7",
        "\u{feff}{}",
        &"[".repeat(100_000),
    ] {
        assert_eq!(
            WebhookEvent::parse(body.as_bytes()),
            Err(EventError::NotJson),
            "{body:.20}"
        );
    }
    assert_eq!(WebhookEvent::parse(b"\xff"), Err(EventError::NotJson));
    let whole = json!({ "id": "evt_1", "type": "x", "created": 1, "livemode": false });
    parse(&whole);
    for field in ["id", "type", "created", "livemode"] {
        for bad in [
            None,
            Some(json!(null)),
            Some(json!([])),
            Some(json!(i64::MAX)),
            Some(json!("")),
        ] {
            let mut event = whole.clone();
            match bad {
                None => drop(event.as_object_mut().unwrap().remove(field)),
                Some(bad) => event[field] = bad,
            }
            let body = serde_json::to_vec(&event).unwrap();
            assert_eq!(
                WebhookEvent::parse(&body),
                Err(EventError::Missing(field)),
                "{event}"
            );
        }
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(Value::from("paid")),
        Just(Value::from("x".repeat(300))),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        let key = prop_oneof![
            Just("id".to_owned()),
            Just("metadata".to_owned()),
            Just("order_id".to_owned()),
            Just("payment_intent".to_owned()),
            Just("amount_total".to_owned()),
            ".{0,6}",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..512)) {
        let _ = WebhookEvent::parse(&body);
    }

    #[test]
    fn any_object_in_an_event_is_read_with_bounded_texts(
        object in any_json(),
        event_type in prop::sample::select(used_types().to_vec()),
    ) {
        let event = json!({
            "id": "evt_1", "type": event_type, "created": 1, "livemode": false,
            "data": { "object": object },
        });
        let event = parse(&event);
        prop_assert!(event.kind != EventKind::Other);
        if let EventKind::CheckoutSession { session, .. } = event.kind {
            for text in [Some(session.id), session.payment_intent, session.order_id, session.currency]
                .into_iter()
                .flatten()
            {
                prop_assert!(!text.is_empty() && text.len() <= 255);
                prop_assert!(!text.contains(char::is_control));
            }
        }
    }

    #[test]
    fn a_cut_or_bent_event_never_breaks_the_reader(cut in 0_usize..2_000, at in 0_usize..2_000, byte in any::<u8>()) {
        let event = session_event(&head(), SessionChange::Completed, &session_object());
        let mut body = serde_json::to_vec(&event).unwrap();
        let length = body.len();
        body[at % length] = byte;
        let _ = WebhookEvent::parse(&body);
        body.truncate(cut % length);
        prop_assert_eq!(WebhookEvent::parse(&body), Err(EventError::NotJson));
    }
}
