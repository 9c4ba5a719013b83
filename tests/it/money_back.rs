//! Money that goes back or does not, the webhook when the database is away, and the client's pages of orders.

use std::collections::BTreeMap;

use companion::{
    db::ids::{BookingId, ProviderId},
    integrations::{
        payments::{
            GatewayRefundStatus,
            events::{RefundChange, RefundObject, refund_event, session_event},
            webhook_event::SessionChange,
        },
        stripe_signature::sign,
    },
};
use futures_util::future::join_all;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::support::{Client, TestApp, paid::Shop};

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_sent_again_when_the_database_is_away() {
    let app = TestApp::start_with(|config| {
        let nowhere = "postgres://nobody@127.0.0.1:1/none?sslmode=disable";
        config.database_url = Some(nowhere.to_owned().into());
        config.timeouts.pool_wait = std::time::Duration::from_millis(300);
    })
    .await;
    let event = json!({ "id": "evt_1", "type": "customer.created", "created": 1, "livemode": false, "data": { "object": {} } });
    let body = event.to_string();
    let secret = &app.app.config.stripe_webhook_secrets[0];
    let post = async |signature: &str| {
        let client = app.anonymous();
        let request = client.http().post(client.url("/v1/payments/webhook"));
        let request = request
            .header("stripe-signature", signature)
            .body(body.clone());
        let answer = request.send().await.unwrap();
        (
            answer.status().as_u16(),
            answer.json::<Value>().await.unwrap(),
        )
    };
    let good = sign(secret, app.now().as_second(), body.as_bytes());
    let (status, problem) = post(&good).await;
    assert_eq!((status, &problem["code"]), (503, &json!("UNAVAILABLE")));
    // A bad signature is refused without looking there.
    assert_eq!(post("t=1,v1=00").await.0, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_fails_later_opens_its_amount_again() {
    let shop = Shop::open().await;
    let (order, session) = shop.paid().await;
    let asked = shop.ask_refund(&order, None, "first").await;
    let refund = asked.payload("refundCreate")["refund"]["id"].clone();
    shop.app.run_jobs().await;
    let seen = shop.seen(&order).await;
    assert_eq!(
        (&seen["state"], &seen["refunds"][0]["state"]),
        (&json!("REFUNDED"), &json!("SUCCEEDED"))
    );

    let payment = session.payment_intent.clone().unwrap();
    shop.stripe.refund_fails(&payment, 5000);
    let object = RefundObject {
        id: "re_0001".to_owned(),
        charge: "ch_1".to_owned(),
        payment_intent: payment,
        amount: 5000,
        currency: "eur".to_owned(),
        status: GatewayRefundStatus::Failed,
        metadata: BTreeMap::from([("refund_id".to_owned(), refund.as_str().unwrap().to_owned())]),
    };
    let failed = refund_event(&shop.head(2), RefundChange::Failed, &object);
    assert_eq!(shop.tell(&failed).await, 200);
    let seen = shop.seen(&order).await;
    assert_eq!(
        (&seen["state"], &seen["refunded"]["amountMinor"]),
        (&json!("PAID"), &json!(0))
    );
    assert_eq!(seen["refunds"][0]["state"], "FAILED");
    assert!(seen["needsAttention"].as_str().unwrap().contains("failed"));

    let again = shop.ask_refund(&order, None, "second").await;
    assert_eq!(
        again.payload("refundCreate")["refund"]["amount"]["amountMinor"],
        5000
    );
    shop.app.run_jobs().await;
    let seen = shop.seen(&order).await;
    assert_eq!(
        (&seen["state"], &seen["refunds"][1]["state"]),
        (&json!("REFUNDED"), &json!("SUCCEEDED"))
    );
    assert_eq!(shop.stripe.refunds(), 2);
}

/// An order whose client pays in a session that the server hears of later; the event that tells it.
async fn paid_unheard(shop: &Shop) -> (String, Value) {
    let order = shop.order().await;
    let session = shop.session(&order).await;
    let object = shop.stripe.pay(&session);
    let event = session_event(&shop.head(1), SessionChange::Completed, &object);
    (order, event)
}

async fn assert_all_went_back(shop: &Shop, order: &str, booking: &str) {
    shop.app.run_jobs().await;
    let seen = shop.seen(order).await;
    assert_eq!(
        (&seen["booking"]["state"], &seen["state"]),
        (&json!(booking), &json!("REFUNDED"))
    );
    let refund = json!([{ "amount": { "amountMinor": 5000 }, "state": "SUCCEEDED", "cause": "LATE_PAYMENT" }]);
    assert_eq!(seen["refunds"], refund);
    assert_eq!(shop.stripe.refunds(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn late_money_for_a_rejected_booking_goes_back_in_full() {
    let shop = Shop::open().await;
    let (order, event) = paid_unheard(&shop).await;
    shop.app
        .sql("UPDATE bookings SET state = 'REJECTED', closed_by = 'PROVIDER', reason = 'No'; DELETE FROM held_times")
        .await;
    for _ in 0..2 {
        assert_eq!(shop.tell(&event).await, 200);
    }
    assert_all_went_back(&shop, &order, "REJECTED").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn late_money_for_a_time_that_is_taken_meanwhile_goes_back_in_full() {
    let shop = Shop::open().await;
    let (order, event) = paid_unheard(&shop).await;
    shop.app.advance(SignedDuration::from_hours(3)).await;
    // Somebody else has the provider's time.
    let other = shop.app.user("Olga").await;
    let query = format!(
        "{{ booking(id: \"{}\") {{ state provider {{ id }} }} }}",
        shop.booking
    );
    let expired = shop.client.query(&query).await;
    let expired = &expired.data()["booking"];
    assert_eq!(expired["state"], "EXPIRED");
    let provider: ProviderId = expired["provider"]["id"].as_str().unwrap().parse().unwrap();
    let BookingId(theirs) = shop
        .app
        .make_booking(provider, &other, "CONFIRMED", None)
        .await;
    let held = shop.app.app.entropy.uuid_v7(shop.app.now());
    let ours = shop.booking.0;
    shop.app
        .sql(&format!(
            "UPDATE bookings b SET starts_at = o.starts_at, ends_at = o.ends_at FROM bookings o
                 WHERE b.id = '{theirs}' AND o.id = '{ours}';
             INSERT INTO held_times (id, booking_id, provider_id, client_id, during, exact)
                 SELECT '{held}', id, provider_id, client_id, tstzrange(starts_at, ends_at), tstzrange(starts_at, ends_at)
                 FROM bookings WHERE id = '{theirs}'"
        ))
        .await;
    assert_eq!(shop.tell(&event).await, 200);
    assert_all_went_back(&shop, &order, "EXPIRED").await;
    assert_eq!(shop.app.count("held_times").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_at_once_makes_one_refund() {
    let shop = Shop::open().await;
    let (order, _) = shop.paid().await;
    let answers = join_all((0..8).map(|_| shop.ask_refund(&order, Some(500), "k"))).await;
    let first = answers[0].payload("refundCreate")["refund"].clone();
    for answer in &answers {
        assert_eq!(answer.payload("refundCreate")["refund"], first);
    }
    assert_eq!(shop.app.count("refunds").await, 1);
    shop.app.run_jobs().await;
    assert_eq!(shop.stripe.refunds(), 1);
    assert_eq!(shop.seen(&order).await["refunded"]["amountMinor"], 500);
    let other = shop.ask_refund(&order, Some(501), "k").await;
    assert_eq!(
        other.user_error_codes("refundCreate"),
        ["IDEMPOTENCY_KEY_REUSED"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payments_webhook_keeps_its_number_of_statements() {
    let shop = Shop::open().await;
    let (order, event) = paid_unheard(&shop).await;
    let body = event.to_string();
    let secret = &shop.app.app.config.stripe_webhook_secrets[0];
    let signature = sign(secret, shop.app.now().as_second(), body.as_bytes());
    let post = async || {
        let request = shop
            .client
            .http()
            .post(shop.client.url("/v1/payments/webhook"));
        let request = request.header("stripe-signature", &signature);
        let answer = request.body(body.clone()).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let timing = answer.headers()["server-timing"].to_str().unwrap();
        let count = timing.split('"').nth(1).unwrap().split(' ').next().unwrap();
        count.parse::<u32>().unwrap()
    };
    // The event, its payment's lock, its order by the session, order and booking, the locks of client, provider, booking
    // and order, the tie; refunds, events and checkouts; the checkout and the order, each with its audit row; the
    // booking, its change, its event and audit row.
    assert_eq!(post().await, 21);
    assert_eq!(shop.seen(&order).await["booking"]["state"], "CONFIRMED");
    // The same once more: it is there.
    assert_eq!(post().await, 1);
}

async fn page(client: &Client, arguments: &str) -> (Vec<String>, Value) {
    let query = format!(
        "{{ me {{ orders({arguments}) {{ nodes {{ id }} pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }} }}"
    );
    let answer = client.query(&query).await;
    let orders = &answer.data()["me"]["orders"];
    let ids = orders["nodes"].as_array().unwrap().iter();
    let ids = ids.map(|node| node["id"].as_str().unwrap().to_owned());
    (ids.collect(), orders["pageInfo"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn my_orders_page_forward_and_backward() {
    let shop = Shop::open().await;
    shop.order().await;
    // Earlier ones that were never paid, two of each moment.
    shop.app
        .sql(
            "INSERT INTO orders (id, booking_id, client_id, state, currency, total_minor, version, created_at, updated_at)
                 SELECT ('019aa000-0000-7000-8000-0010' || lpad(i::text, 8, '0'))::uuid, booking_id, client_id, 'EXPIRED',
                     'EUR', 5000, 1, created_at - (i / 2) * interval '1 hour', created_at
                 FROM orders, generate_series(2, 7) i",
        )
        .await;
    let (all, _) = page(&shop.client, "first: 100").await;
    assert_eq!(all.len(), 7);
    let mut forward = Vec::new();
    let mut arguments = "first: 2".to_owned();
    loop {
        let (ids, info) = page(&shop.client, &arguments).await;
        assert_eq!(info["hasPreviousPage"], !forward.is_empty());
        forward.extend(ids);
        if info["hasNextPage"] == false {
            break;
        }
        arguments = format!("first: 2, after: {}", info["endCursor"]);
    }
    assert_eq!(forward, all);
    let mut backward = Vec::new();
    let mut arguments = "last: 3".to_owned();
    loop {
        let (ids, info) = page(&shop.client, &arguments).await;
        assert_eq!(info["hasNextPage"], !backward.is_empty());
        backward.splice(0..0, ids);
        if info["hasPreviousPage"] == false {
            break;
        }
        arguments = format!("last: 3, before: {}", info["startCursor"]);
    }
    assert_eq!(backward, all);
    // Nobody else's.
    assert_eq!(page(&shop.provider, "first: 5").await.0, [""; 0]);
}
