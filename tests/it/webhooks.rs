//! The payment webhook: signatures, repetition, order, what does not agree, late money.

use std::collections::BTreeMap;

use companion::integrations::{
    payments::{
        GatewayRefundStatus, PaymentStatus,
        events::{
            ChargeObject, DisputeObject, RefundChange, RefundObject, SessionObject,
            charge_refunded, dispute_event, refund_event, session_event,
        },
        webhook_event::{DisputeStatus, SessionChange},
    },
    stripe_signature::sign,
};
use futures_util::future::join_all;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::support::paid::Shop;

fn charge(shop: &Shop, number: i64, session: &SessionObject, amount_refunded: i64) -> Value {
    let object = ChargeObject {
        id: "ch_1".to_owned(),
        payment_intent: session.payment_intent.clone().unwrap(),
        amount: 5000,
        amount_refunded,
        currency: "eur".to_owned(),
        metadata: BTreeMap::new(),
    };
    charge_refunded(&shop.head(number), &object)
}

fn dispute(shop: &Shop, number: i64, status: DisputeStatus, session: &SessionObject) -> Value {
    let object = DisputeObject {
        id: "dp_1".to_owned(),
        charge: "ch_1".to_owned(),
        payment_intent: session.payment_intent.clone().unwrap(),
        amount: 5000,
        currency: "eur".to_owned(),
    };
    dispute_event(&shop.head(number), status, &object)
}

fn foreign_refund(
    shop: &Shop,
    number: i64,
    session: &SessionObject,
    status: GatewayRefundStatus,
) -> Value {
    let object = RefundObject {
        id: "re_by_hand".to_owned(),
        charge: "ch_1".to_owned(),
        payment_intent: session.payment_intent.clone().unwrap(),
        amount: 2000,
        currency: "eur".to_owned(),
        status,
        metadata: BTreeMap::new(),
    };
    refund_event(&shop.head(number), RefundChange::Updated, &object)
}

#[tokio::test(flavor = "multi_thread")]
async fn only_well_signed_events_are_taken() {
    let shop = Shop::open().await;
    let order = shop.order().await;
    let session = shop.session(&order).await;
    let event = session_event(
        &shop.head(1),
        SessionChange::Completed,
        &shop.stripe.pay(&session),
    );
    let body = event.to_string();
    let secret = shop.app.app.config.stripe_webhook_secrets[0].clone();
    let now = shop.app.now().as_second();
    let good = sign(&secret, now, body.as_bytes());
    let other = sign(&"whsec_other".into(), now, body.as_bytes());
    let old = sign(&secret, now - 301, body.as_bytes());
    for signature in ["", "t=1", other.as_str(), old.as_str()] {
        assert_eq!(
            shop.post_event(body.clone(), signature).await,
            400,
            "{signature}"
        );
    }
    assert_eq!(shop.post_event(format!("{body} "), &good).await, 400);
    let nonsense = "[]".to_owned();
    let signed = sign(&secret, now, nonsense.as_bytes());
    assert_eq!(shop.post_event(nonsense, &signed).await, 400);
    // What no column can hold is no event, or Stripe would send it again and again.
    let ancient = r#"{"id":"evt_1","type":"x","created":-219000000000,"livemode":false,"data":{"object":{}}}"#;
    let signed = sign(&secret, now, ancient.as_bytes());
    assert_eq!(shop.post_event(ancient.to_owned(), &signed).await, 400);
    let large = " ".repeat(1024 * 1024 + 1);
    let signed = sign(&secret, now, large.as_bytes());
    assert_eq!(shop.post_event(large, &signed).await, 413);
    assert_eq!(
        shop.app.number("SELECT count(*) FROM payment_events").await,
        0
    );
    assert_eq!(shop.seen(&order).await["state"], "PENDING");
    let edge = sign(&secret, now - 300, body.as_bytes());
    assert_eq!(shop.post_event(body, &edge).await, 200);
    assert_eq!(shop.seen(&order).await["state"], "PAID");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_event_many_times_at_once_is_applied_once() {
    let shop = Shop::open().await;
    let order = shop.order().await;
    let session = shop.session(&order).await;
    let event = session_event(
        &shop.head(1),
        SessionChange::Completed,
        &shop.stripe.pay(&session),
    );
    let statuses = join_all((0..8).map(|_| shop.tell(&event))).await;
    assert_eq!(statuses, [200; 8]);
    assert_eq!(
        shop.app.number("SELECT count(*) FROM payment_events").await,
        1
    );
    assert_eq!(
        shop.app
            .number("SELECT count(*) FROM booking_events WHERE to_state = 'CONFIRMED'")
            .await,
        1
    );
    assert_eq!(shop.seen(&order).await["captured"]["amountMinor"], 5000);
    let unknown = json!({ "id": "evt_9", "type": "customer.created", "created": 1, "livemode": false, "data": { "object": {} } });
    assert_eq!(shop.tell(&unknown).await, 200);
    assert_eq!(shop.tell(&unknown).await, 200);
    assert_eq!(
        shop.app.number("SELECT count(*) FROM payment_events").await,
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_order_of_five_events_ends_in_the_same_rows() {
    let shop = Shop::open().await;
    let order = shop.order().await;
    let session = shop.session(&order).await;
    let unpaid = SessionObject {
        payment_status: PaymentStatus::Unpaid,
        ..shop.stripe.pay(&session)
    };
    let object = shop.stripe.pay(&session);
    let events = [
        session_event(&shop.head(1), SessionChange::Completed, &unpaid),
        session_event(&shop.head(2), SessionChange::AsyncPaymentSucceeded, &object),
        charge(&shop, 3, &object, 2000),
        foreign_refund(&shop, 4, &object, GatewayRefundStatus::Succeeded),
        dispute(&shop, 5, DisputeStatus::Open, &object),
    ];
    let mut orders = Vec::new();
    permutations(&mut [0, 1, 2, 3, 4], 0, &mut orders);
    assert_eq!(orders.len(), 120);
    let mut expected = None;
    for indices in orders {
        // Back to before the first event; the rows of events can't be deleted, so the trigger is off for that.
        shop.app
            .sql(
                "ALTER TABLE payment_events DISABLE TRIGGER payment_events_append_only; DELETE FROM payment_events;
                 ALTER TABLE payment_events ENABLE TRIGGER payment_events_append_only;
                 UPDATE orders SET state = 'PENDING', captured_minor = 0, refunded_minor = 0, paid_at = NULL, disputed_at = NULL,
                     needs_attention = NULL, version = 1;
                 UPDATE bookings SET state = 'ACCEPTED';
                 UPDATE checkouts SET state = 'EXPIRED'",
            )
            .await;
        for index in indices {
            assert_eq!(shop.tell(&events[index]).await, 200);
            assert_eq!(shop.tell(&events[index]).await, 200);
        }
        let seen = shop.seen(&order).await;
        let version = shop.app.number("SELECT version FROM orders").await;
        let rows = (seen, version);
        assert_eq!(expected.get_or_insert(rows.clone()), &rows, "{indices:?}");
    }
    let (seen, version) = expected.unwrap();
    assert_eq!(seen["state"], "PARTIALLY_REFUNDED");
    assert_eq!(seen["refunded"]["amountMinor"], 2000);
    assert_eq!(seen["booking"]["state"], "CONFIRMED");
    assert!(seen["disputedAt"].is_string() && seen["needsAttention"].is_string());
    assert_eq!(version, 6);
}

fn permutations(items: &mut [usize; 5], from: usize, into: &mut Vec<[usize; 5]>) {
    if from == items.len() {
        into.push(*items);
    }
    for other in from..items.len() {
        items.swap(from, other);
        permutations(items, from + 1, into);
        items.swap(from, other);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_agree_fulfils_nothing_and_needs_a_person() {
    let shop = Shop::open().await;
    let order = shop.order().await;
    let session = shop.session(&order).await;
    let good = shop.stripe.pay(&session);
    let cases = [
        SessionObject {
            amount_total: 4999,
            ..good.clone()
        },
        SessionObject {
            currency: "usd".to_owned(),
            ..good.clone()
        },
        SessionObject {
            order_id: "ord_other".to_owned(),
            ..good.clone()
        },
    ];
    for (number, object) in (1..).zip(&cases) {
        let event = session_event(&shop.head(number), SessionChange::Completed, object);
        assert_eq!(shop.tell(&event).await, 200);
    }
    let mut live = session_event(&shop.head(4), SessionChange::Completed, &good);
    live["livemode"] = json!(true);
    assert_eq!(shop.tell(&live).await, 200);
    let seen = shop.seen(&order).await;
    assert_eq!(
        (&seen["state"], &seen["booking"]["state"]),
        (&json!("PENDING"), &json!("ACCEPTED"))
    );
    let why = seen["needsAttention"].as_str().unwrap();
    for what in ["amount", "currency", "order", "livemode"] {
        assert!(why.contains(what), "{why}");
    }
    let flagged = shop
        .staff
        .query("{ orders(filter: { needsAttention: true }) { nodes { id } } }")
        .await;
    assert_eq!(flagged.data()["orders"]["nodes"], json!([{ "id": order }]));
}

#[tokio::test(flavor = "multi_thread")]
async fn late_money_takes_the_time_back_or_goes_back() {
    // Expired, and the time is free: confirmed after all.
    let shop = Shop::open().await;
    let order = shop.order().await;
    let session = shop.session(&order).await;
    let object = shop.stripe.pay(&session);
    shop.app.advance(SignedDuration::from_hours(3)).await;
    let event = session_event(&shop.head(1), SessionChange::Completed, &object);
    assert_eq!(shop.tell(&event).await, 200);
    let state = shop
        .app
        .number("SELECT count(*) FROM bookings WHERE state = 'CONFIRMED'")
        .await;
    assert_eq!(state, 1);
    assert_eq!(
        shop.app
            .number("SELECT count(*) FROM orders WHERE state = 'PAID'")
            .await,
        1
    );
    assert_eq!(shop.app.number("SELECT count(*) FROM refunds").await, 0);

    // Cancelled: always refunded in full, once.
    let shop = Shop::open().await;
    let order = shop.order().await;
    let session = shop.session(&order).await;
    let object = shop.stripe.pay(&session);
    let id = shop.booking.to_string();
    let cancelled = shop
        .client
        .post(
            "mutation($id: ID!) { bookingCancel(id: $id, input: {}, idempotencyKey: \"c\") { booking { state } userErrors { code } } }",
            json!({ "id": id }),
        )
        .await;
    assert_eq!(
        cancelled.payload("bookingCancel")["booking"]["state"],
        "CANCELLED"
    );
    assert_eq!(shop.seen(&order).await["state"], "CANCELLED");
    for number in [1, 2] {
        let event = session_event(&shop.head(number), SessionChange::Completed, &object);
        assert_eq!(shop.tell(&event).await, 200);
    }
    shop.app.run_jobs().await;
    let seen = shop.seen(&order).await;
    assert_eq!(seen["booking"]["state"], "CANCELLED");
    assert_eq!(seen["state"], "REFUNDED");
    let refund = json!([{ "amount": { "amountMinor": 5000 }, "state": "SUCCEEDED", "cause": "LATE_PAYMENT" }]);
    assert_eq!(seen["refunds"], refund);
    assert_eq!(shop.stripe.refunds(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn expiry_against_payment_ends_with_a_time_or_a_refund() {
    for _ in 0..5 {
        let shop = Shop::open().await;
        let order = shop.order().await;
        let session = shop.session(&order).await;
        let object = shop.stripe.pay(&session);
        shop.app.app.clock.advance(SignedDuration::from_hours(2));
        let event = session_event(&shop.head(1), SessionChange::Completed, &object);
        let (status, ()) = tokio::join!(shop.tell(&event), shop.app.run_jobs());
        assert_eq!(status, 200);
        shop.app.run_jobs().await;
        let confirmed = shop
            .app
            .number("SELECT count(*) FROM bookings WHERE state = 'CONFIRMED'")
            .await;
        let held = shop.app.number("SELECT count(*) FROM held_times").await;
        let refunds = shop.app.number("SELECT count(*) FROM refunds").await;
        assert_eq!((confirmed, held), (1 - refunds, 1 - refunds));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_payment_goes_back_in_full() {
    let shop = Shop::open().await;
    let order = shop.order().await;
    let session = shop.session(&order).await;
    let object = shop.stripe.pay(&session);
    let event = session_event(&shop.head(1), SessionChange::Completed, &object);
    assert_eq!(shop.tell(&event).await, 200);
    let second = SessionObject {
        id: "cs_test_second".to_owned(),
        payment_intent: Some("pi_second".to_owned()),
        ..object.clone()
    };
    let event = session_event(&shop.head(2), SessionChange::Completed, &second);
    assert_eq!(shop.tell(&event).await, 200);
    let seen = shop.seen(&order).await;
    assert_eq!(seen["state"], "PAID");
    let refund = json!([{ "amount": { "amountMinor": 5000 }, "state": "PENDING", "cause": "DUPLICATE_PAYMENT" }]);
    assert_eq!(seen["refunds"], refund);
    shop.app.run_jobs().await;
    // The fake knows of no second payment: what the gateway refuses is for a person.
    let seen = shop.seen(&order).await;
    assert_eq!(seen["refunds"][0]["state"], "FAILED");
    assert!(seen["needsAttention"].as_str().unwrap().contains("failed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_holds_refunds_until_it_is_won() {
    let shop = Shop::open().await;
    let order = shop.order().await;
    let session = shop.session(&order).await;
    let object = shop.stripe.pay(&session);
    let event = session_event(&shop.head(1), SessionChange::Completed, &object);
    assert_eq!(shop.tell(&event).await, 200);
    shop.ask_refund(&order, Some(2000), "held")
        .await
        .payload("refundCreate");
    let opened = dispute(&shop, 3, DisputeStatus::Open, &object);
    assert_eq!(shop.tell(&opened).await, 200);
    shop.app.run_jobs().await;
    assert_eq!(shop.stripe.refunds(), 0);
    let seen = shop.seen(&order).await;
    assert!(seen["disputedAt"].is_string() && seen["needsAttention"].is_string());
    let refused = shop.ask_refund(&order, Some(1), "k").await;
    assert_eq!(refused.user_error_codes("refundCreate"), ["INVALID_STATE"]);

    // Won: what was held goes on its way by itself, and staff may refund again.
    let won = dispute(&shop, 4, DisputeStatus::Won, &object);
    assert_eq!(shop.tell(&won).await, 200);
    shop.app.advance(SignedDuration::from_hours(1)).await;
    assert_eq!(shop.stripe.refunds(), 1);
    let seen = shop.seen(&order).await;
    assert_eq!(
        (&seen["disputedAt"], &seen["needsAttention"]),
        (&json!(null), &json!(null))
    );
    shop.ask_refund(&order, Some(1), "l")
        .await
        .payload("refundCreate");
    // Lost after all: the client has all of the money, and a person should know.
    let lost = dispute(&shop, 5, DisputeStatus::Lost, &object);
    assert_eq!(shop.tell(&lost).await, 200);
    let seen = shop.seen(&order).await;
    assert!(seen["needsAttention"].as_str().unwrap().contains("lost"));
    let refused = shop.ask_refund(&order, Some(1), "m").await;
    assert_eq!(refused.user_error_codes("refundCreate"), ["INVALID_STATE"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_automatic_refund_that_fails_is_staffs_to_repeat() {
    let shop = Shop::open().await;
    let (order, object) = shop.paid().await;
    // Paid a second time, in a payment that can't be given back.
    let second = SessionObject {
        id: "cs_test_second".to_owned(),
        payment_intent: Some("pi_second".to_owned()),
        ..object
    };
    let event = session_event(&shop.head(2), SessionChange::Completed, &second);
    assert_eq!(shop.tell(&event).await, 200);
    shop.app.run_jobs().await;
    let seen = shop.seen(&order).await;
    assert_eq!(seen["refunds"][0]["state"], "FAILED");
    assert!(seen["needsAttention"].as_str().unwrap().contains("failed"));
    let queue = "{ orders(filter: { needsAttention: true }) { nodes { id } } }";
    let queue = shop.staff.query(queue).await;
    assert_eq!(queue.data()["orders"]["nodes"], json!([{ "id": order }]));
    // What staff gives back is the second payment: the booking stays paid.
    let refund = shop.ask_refund(&order, None, "k").await;
    assert_eq!(
        refund.payload("refundCreate")["refund"]["amount"]["amountMinor"],
        5000
    );
    let seen = shop.seen(&order).await;
    assert_eq!(seen["state"], "PAID");
    assert_eq!(seen["refunded"]["amountMinor"], 5000);
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_does_not_arrive_lets_the_client_pay_again() {
    let shop = Shop::open().await;
    let order = shop.order().await;
    let session = shop.session(&order).await;
    let object = shop.stripe.pay_later(&session);
    let event = session_event(&shop.head(1), SessionChange::Completed, &object);
    assert_eq!(shop.tell(&event).await, 200);
    let seen = shop.seen(&order).await;
    assert_eq!(
        (&seen["state"], &seen["booking"]["state"]),
        (&json!("PENDING"), &json!("ACCEPTED"))
    );
    let event = session_event(&shop.head(2), SessionChange::AsyncPaymentFailed, &object);
    assert_eq!(shop.tell(&event).await, 200);
    assert_eq!(shop.seen(&order).await["checkout"]["state"], "FAILED");
    let again = shop.ask_checkout(&order, "again").await;
    assert_eq!(again.payload("checkoutCreate")["checkout"]["state"], "OPEN");
    assert_eq!(shop.stripe.sessions().len(), 2);
}
