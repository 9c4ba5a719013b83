//! Orders, checkouts and refunds.

use futures_util::future::join_all;
use jiff::SignedDuration;
use serde_json::json;

use super::support::{
    fake_stripe::Trouble,
    paid::{CHECKOUT_CREATE, ORDER_CREATE, REFUND_CREATE, RETURN_URL, Shop},
};
use companion::integrations::payments::{events::session_event, webhook_event::SessionChange};

/// An order that is paid.
async fn paid(shop: &Shop) -> String {
    let order = shop.order().await;
    let session = shop.session(&order).await;
    let object = shop.stripe.pay(&session);
    let event = session_event(&shop.head(1), SessionChange::Completed, &object);
    assert_eq!(shop.tell(&event).await, 200);
    assert_eq!(shop.seen(&order).await["state"], "PAID");
    order
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paid_order_confirms_its_booking() {
    let shop = Shop::open().await;
    let order = paid(&shop).await;
    let seen = shop.seen(&order).await;
    assert_eq!(seen["booking"]["state"], "CONFIRMED");
    assert_eq!(seen["captured"]["amountMinor"], 5000);
    assert_eq!(seen["checkout"]["state"], "COMPLETE");
    let mine = shop
        .client
        .query("{ me { orders { totalCount nodes { id state } } } }")
        .await;
    assert_eq!(
        mine.data()["me"]["orders"],
        json!({ "totalCount": 1, "nodes": [{ "id": order, "state": "PAID" }] })
    );
    assert!(
        shop.app
            .number("SELECT count(*) FROM audit_events WHERE actor_kind = 'GATEWAY'")
            .await
            >= 2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_order_a_booking_and_one_open_session_an_order() {
    let shop = Shop::open().await;
    let id = shop.booking.to_string();
    let ask = |key: &str| {
        shop.client
            .post(ORDER_CREATE, json!({ "id": id, "key": key }))
    };
    let first = ask("a").await;
    let order = first.payload("orderCreate")["order"]["id"].clone();
    assert_eq!(
        first.payload("orderCreate")["order"]["total"]["amountMinor"],
        5000
    );
    assert_eq!(ask("a").await.payload("orderCreate")["order"]["id"], order);
    let second = ask("b").await;
    assert_eq!(second.user_error_codes("orderCreate"), ["ALREADY_EXISTS"]);
    let order = order.as_str().unwrap();
    let opened = shop.ask_checkout(order, "a").await;
    let again = shop.ask_checkout(order, "b").await;
    assert_eq!(
        opened.payload("checkoutCreate")["checkout"],
        again.payload("checkoutCreate")["checkout"]
    );
    assert_eq!(shop.stripe.sessions().len(), 1);
    let expires = &opened.payload("checkoutCreate")["checkout"]["expiresAt"];
    assert_eq!(expires, "2026-11-21T14:00:00Z");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_many_times_at_once_does_it_once() {
    let shop = Shop::open().await;
    let id = shop.booking.to_string();
    let ask = || {
        shop.client
            .post(ORDER_CREATE, json!({ "id": id, "key": "k" }))
    };
    let answers = join_all((0..8).map(|_| ask())).await;
    let ids: std::collections::BTreeSet<String> = answers
        .iter()
        .map(|answer| answer.payload("orderCreate")["order"]["id"].to_string())
        .collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(shop.app.number("SELECT count(*) FROM orders").await, 1);
    let order = shop.order_id().await;
    let answers = join_all((0..8).map(|_| shop.ask_checkout(&order, "k"))).await;
    for answer in &answers {
        assert_eq!(
            answer.payload("checkoutCreate")["checkout"]["state"],
            "OPEN"
        );
    }
    assert_eq!(shop.app.number("SELECT count(*) FROM checkouts").await, 1);
    assert_eq!(shop.stripe.sessions().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_coded_and_write_nothing() {
    let shop = Shop::open().await;
    let stranger = shop.app.user("Sam").await;
    let id = shop.booking.to_string();
    let variables = json!({ "id": id, "key": "k" });
    let codes = |who, mutation: &'static str, query: &'static str, variables: serde_json::Value| {
        let who: &super::support::Client = who;
        let who = who.clone();
        async move { who.post(query, variables).await.user_error_codes(mutation) }
    };
    for (who, code) in [
        (&stranger, "NOT_FOUND"),
        (&shop.provider, "NOT_ALLOWED"),
        (&shop.staff, "NOT_ALLOWED"),
    ] {
        assert_eq!(
            codes(who, "orderCreate", ORDER_CREATE, variables.clone()).await,
            [code]
        );
    }
    let bad = json!({ "id": "nonsense", "key": "k" });
    assert_eq!(
        codes(&shop.client, "orderCreate", ORDER_CREATE, bad).await,
        ["NOT_FOUND"]
    );
    assert_eq!(shop.app.number("SELECT count(*) FROM orders").await, 0);

    let order = shop.order().await;
    let ask = |url: &str, key: &str| json!({ "id": order, "url": url, "key": key });
    for (who, code) in [
        (&stranger, "NOT_FOUND"),
        (&shop.provider, "NOT_ALLOWED"),
        (&shop.staff, "NOT_ALLOWED"),
    ] {
        assert_eq!(
            codes(who, "checkoutCreate", CHECKOUT_CREATE, ask(RETURN_URL, "k")).await,
            [code]
        );
    }
    for url in ["https://evil.example/", "javascript:alert(1)", ""] {
        let refused = codes(
            &shop.client,
            "checkoutCreate",
            CHECKOUT_CREATE,
            ask(url, ""),
        )
        .await;
        assert_eq!(
            refused,
            ["INVALID_INPUT", "INVALID_INPUT", "INVALID_INPUT"],
            "{url}"
        );
    }
    assert_eq!(shop.app.number("SELECT count(*) FROM checkouts").await, 0);

    let refund = json!({ "id": order, "amount": 1, "key": "k" });
    let forbidden = shop.client.post(REFUND_CREATE, refund.clone()).await;
    assert_eq!(forbidden.error_code(), "FORBIDDEN");
    assert_eq!(
        codes(&shop.staff, "refundCreate", REFUND_CREATE, refund).await,
        ["INVALID_STATE"]
    );
    let seen = |who: &super::support::Client| {
        let (who, order) = (who.clone(), order.clone());
        async move {
            let query = "query($id: ID!) { order(id: $id) { id } node(id: $id) { id } }";
            who.post(query, json!({ "id": order })).await.data()["order"].is_object()
        }
    };
    assert!(seen(&shop.client).await && seen(&shop.provider).await && seen(&shop.staff).await);
    assert!(!seen(&stranger).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deadline_expires_order_and_session() {
    let shop = Shop::open().await;
    let order = shop.order().await;
    let session = shop.session(&order).await;
    shop.app.advance(SignedDuration::from_hours(2)).await;
    let seen = shop
        .app
        .number("SELECT count(*) FROM orders WHERE state = 'EXPIRED'")
        .await;
    assert_eq!(seen, 1);
    assert_eq!(
        shop.app
            .number("SELECT count(*) FROM checkouts WHERE state = 'EXPIRED'")
            .await,
        1
    );
    let at_stripe = shop.stripe.session(&session).status;
    assert_eq!(
        at_stripe,
        companion::integrations::payments::CheckoutStatus::Expired
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_intent_and_result_is_finished_by_a_job() {
    let shop = Shop::open().await;
    let order = shop.order().await;
    shop.stripe.trouble(Trouble::Status(500), 3);
    let failed = shop.ask_checkout(&order, "k").await;
    assert_eq!(failed.error_code(), "UNAVAILABLE");
    assert_eq!(
        shop.app
            .number("SELECT count(*) FROM checkouts WHERE state = 'CREATING'")
            .await,
        1
    );
    shop.app.advance(SignedDuration::from_mins(2)).await;
    assert_eq!(
        shop.app
            .number("SELECT count(*) FROM checkouts WHERE state = 'OPEN'")
            .await,
        1
    );
    let again = shop.ask_checkout(&order, "k").await;
    assert_eq!(again.payload("checkoutCreate")["checkout"]["state"], "OPEN");
    assert_eq!(shop.stripe.sessions().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn refunds_at_once_never_exceed_what_was_paid() {
    let shop = Shop::open().await;
    let order = paid(&shop).await;
    let keys: Vec<String> = (0..8).map(|n| n.to_string()).collect();
    let answers = join_all(
        keys.iter()
            .map(|key| shop.ask_refund(&order, Some(2000), key)),
    )
    .await;
    let done = answers
        .iter()
        .filter(|answer| answer.data()["refundCreate"]["refund"].is_object())
        .count();
    assert_eq!(done, 2);
    let seen = shop.seen(&order).await;
    assert_eq!(seen["refunded"]["amountMinor"], 4000);
    assert_eq!(seen["state"], "PARTIALLY_REFUNDED");
    let rest = shop.ask_refund(&order, None, "rest").await;
    assert_eq!(
        rest.payload("refundCreate")["refund"]["amount"]["amountMinor"],
        1000
    );
    let more = shop.ask_refund(&order, None, "more").await;
    assert_eq!(more.user_error_codes("refundCreate"), ["INVALID_STATE"]);
    shop.app.run_jobs().await;
    assert_eq!(shop.stripe.refunds(), 3);
    let seen = shop.seen(&order).await;
    assert_eq!(seen["state"], "REFUNDED");
    for refund in seen["refunds"].as_array().unwrap() {
        assert_eq!(refund["state"], "SUCCEEDED");
    }
    shop.app.run_jobs().await;
    assert_eq!(shop.stripe.refunds(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_operation_keeps_its_number_of_statements() {
    let shop = Shop::open().await;
    let order = paid(&shop).await;
    let full = "id state booking { id } lines { title } refunds { id } checkout { id } client { displayName }";
    let one = shop
        .client
        .query(&format!("{{ order(id: \"{order}\") {{ {full} }} }}"))
        .await;
    one.data();
    assert_eq!(one.statements, 6);
    let list = format!(
        "{{ orders(first: 20, filter: {{ needsAttention: false, state: PAID }}) {{ nodes {{ {full} }} }} }}"
    );
    let many = shop.staff.query(&list).await;
    assert_eq!(many.data()["orders"]["nodes"].as_array().unwrap().len(), 1);
    assert_eq!(many.statements, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_keeps_its_number_of_statements() {
    let shop = Shop::open().await;
    for who in [&shop.client, &shop.staff] {
        who.query("{ me { id } }").await.data();
    }
    let id = shop.booking.to_string();
    let asked = json!({ "id": id, "key": "o" });
    let ordered = shop.client.post(ORDER_CREATE, asked).await;
    let order = shop.order_id().await;
    let opened = shop.ask_checkout(&order, "c").await;
    let session = shop.stripe.sessions().pop().unwrap();
    let object = shop.stripe.pay(&session);
    let event = session_event(&shop.head(1), SessionChange::Completed, &object);
    assert_eq!(shop.tell(&event).await, 200);
    let refunded = shop.ask_refund(&order, Some(1000), "r").await;
    let mine = "{ me { orders { nodes { id state booking { id } lines { title } refunds { id } checkout { id } } } } }";
    let mine = shop.client.query(mine).await;
    let quote = "query($id: ID!) { bookingCancelQuote(id: $id) { refundPercent } }";
    let quote = shop.client.post(quote, json!({ "id": id })).await;
    quote.data();
    let cancel = "mutation($id: ID!) { bookingCancel(id: $id, input: {}, idempotencyKey: \"c\") { booking { state } userErrors { code } } }";
    let cancelled = shop.client.post(cancel, json!({ "id": id })).await;
    assert_eq!(
        cancelled.payload("bookingCancel")["booking"]["state"],
        "CANCELLED"
    );
    let counts =
        [ordered, opened, refunded, mine, quote, cancelled].map(|answer| answer.statements);
    assert_eq!(counts, [10, 21, 17, 6, 2, 22]);
}
