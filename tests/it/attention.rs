//! What needs a person: staff settle it, and it leaves their lists.

use companion::{
    db::ids::OrderId,
    integrations::payments::{
        events::{DisputeObject, SessionObject, dispute_event, session_event},
        webhook_event::{DisputeStatus, SessionChange},
    },
};
use serde_json::{Value, json};

use super::support::{
    Answer, Client,
    market::{Market, act, uuid},
    paid::{REFUND_CREATE, Shop},
};

const CLEAR_ORDER: &str = "mutation($id: ID!, $input: OrderAttentionClearInput, $version: Int) {
    orderAttentionClear(id: $id, input: $input, expectedVersion: $version) {
    order { id version needsAttention } userErrors { code field details } } }";
const CLEAR_BOOKING: &str =
    "mutation($id: ID!, $input: BookingAttentionClearInput, $version: Int) {
    bookingAttentionClear(id: $id, input: $input, expectedVersion: $version) {
    booking { id state version needsAttention } userErrors { code field details } } }";

/// `expectedVersion` stands beside the input, and is taken out of it here.
fn variables(id: &str, mut input: Value) -> Value {
    let version = input
        .as_object_mut()
        .and_then(|fields| fields.remove("expectedVersion"));
    json!({ "id": id, "input": input, "version": version })
}

async fn clear_order(who: &Client, id: &str, input: Value) -> Answer {
    who.post(CLEAR_ORDER, variables(id, input)).await
}

async fn clear_booking(who: &Client, id: &str, input: Value) -> Answer {
    who.post(CLEAR_BOOKING, variables(id, input)).await
}

fn dispute(shop: &Shop, number: i64, id: &str, paid: &SessionObject) -> Value {
    let object = DisputeObject {
        id: id.to_owned(),
        charge: "ch_1".to_owned(),
        payment_intent: paid.payment_intent.clone().unwrap(),
        amount: 5000,
        currency: "eur".to_owned(),
    };
    dispute_event(&shop.head(number), DisputeStatus::Open, &object)
}

/// A paid order whose payment is disputed, and its session.
async fn disputed(shop: &Shop) -> (String, SessionObject) {
    let (order, object) = shop.paid().await;
    assert_eq!(shop.tell(&dispute(shop, 2, "dp_1", &object)).await, 200);
    (order, object)
}

/// The ids of staff's list of orders.
async fn orders_list(shop: &Shop) -> Value {
    let list = "{ orders(filter: { needsAttention: true }) { nodes { id } } }";
    shop.staff.query(list).await.data()["orders"]["nodes"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_settled_is_listed_again_for_a_new_reason_alone() {
    let shop = Shop::open().await;
    let (order, object) = disputed(&shop).await;
    assert_eq!(orders_list(&shop).await, json!([{ "id": order }]));
    let version = shop.app.number("SELECT version FROM orders").await;
    let input = json!({ "note": "The client\r\nwas right.", "expectedVersion": version });
    let cleared = clear_order(&shop.staff, &order, input).await;
    let cleared = &cleared.payload("orderAttentionClear")["order"];
    assert_eq!(
        (&cleared["needsAttention"], &cleared["version"]),
        (&json!(null), &json!(version + 1))
    );
    assert_eq!(orders_list(&shop).await, json!([]));
    let told = shop
        .app
        .number(&format!(
            "SELECT count(*) FROM audit_events WHERE action = 'order.attention_clear' AND actor_kind = 'USER'
                 AND target_id = '{}' AND before->>'needsAttention' LIKE 'dp_1%' AND after->'needsAttention' = 'null'
                 AND after->>'note' = E'The client\\nwas right.'",
            uuid::<OrderId>(&order)
        ))
        .await;
    assert_eq!(told, 1);
    let again = clear_order(&shop.staff, &order, json!(null)).await;
    assert_eq!(
        again.user_error_codes("orderAttentionClear"),
        ["INVALID_STATE"]
    );

    // The next event about something else, and the same thing told once more, bring nothing up again.
    let repeated = session_event(&shop.head(3), SessionChange::Completed, &object);
    let same = dispute(&shop, 4, "dp_1", &object);
    for event in [&repeated, &same] {
        assert_eq!(shop.tell(event).await, 200);
        assert_eq!(orders_list(&shop).await, json!([]));
    }
    // It is disputed all the same.
    assert!(shop.seen(&order).await["disputedAt"].is_string());
    let refused = shop.ask_refund(&order, Some(1), "k").await;
    assert_eq!(refused.user_error_codes("refundCreate"), ["INVALID_STATE"]);

    assert_eq!(shop.tell(&dispute(&shop, 5, "dp_2", &object)).await, 200);
    assert_eq!(orders_list(&shop).await, json!([{ "id": order }]));
    let why = shop.seen(&order).await["needsAttention"].clone();
    assert_eq!(why, "dp_2 disputes the payment");
    clear_order(&shop.staff, &order, json!({}))
        .await
        .payload("orderAttentionClear");
    assert_eq!(orders_list(&shop).await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_settled_by_staff_who_may_refund_and_refusals_write_nothing() {
    let shop = Shop::open().await;
    let (order, _) = disputed(&shop).await;
    let reader = shop
        .app
        .user_with_permissions("Rea", &["orders:read"])
        .await;
    let support = shop.app.user_with_roles("Sue", &["USER", "SUPPORT"]).await;
    let sees = shop.seen(&order).await;
    let rows = "SELECT (SELECT version FROM orders) * 1000 + (SELECT count(*) FROM audit_events WHERE outcome = 'DONE')";
    let anonymous = shop.app.anonymous();
    for who in [&anonymous, &shop.client, &shop.provider, &reader] {
        let answer = clear_order(who, &order, json!({})).await;
        assert_eq!(answer.error_code(), "FORBIDDEN");
    }
    let before = shop.app.number(rows).await;
    let unknown = "ord_01jd6xk5wvfz6bqkdzn6g5r3a1";
    let booking = shop.booking.to_string();
    let long = "x".repeat(2001);
    for (id, input, code) in [
        (unknown, json!({}), "NOT_FOUND"),
        ("nonsense", json!({}), "NOT_FOUND"),
        (&booking, json!({}), "NOT_FOUND"),
        (&order, json!({ "note": long }), "INVALID_INPUT"),
        ("nonsense", json!({ "note": long }), "INVALID_INPUT"),
        (&order, json!({ "expectedVersion": 99 }), "CONFLICT"),
    ] {
        let answer = clear_order(&support, id, input).await;
        assert_eq!(answer.user_error_codes("orderAttentionClear"), [code]);
    }
    let stale = clear_order(&support, &order, json!({ "expectedVersion": 99 })).await;
    let error = &stale.data()["orderAttentionClear"]["userErrors"][0];
    assert_eq!(error["field"], json!(["expectedVersion"]));
    assert_eq!(shop.app.number(rows).await, before);
    let refused = "audit_events WHERE outcome = 'REFUSED' AND action = 'order.attention_clear'";
    assert_eq!(shop.app.count(refused).await, 7);
    assert_eq!(shop.seen(&order).await, sees);
    clear_order(&support, &order, json!(null))
        .await
        .payload("orderAttentionClear");
}

/// The ids of staff's list of bookings.
async fn bookings_list(market: &Market) -> Value {
    let list = "{ bookings(filter: { needsAttention: true }) { nodes { id } } }";
    market.staff.query(list).await.data()["bookings"]["nodes"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn contrary_claims_are_settled_with_a_refund_and_stay_contested() {
    let market = Market::open().await;
    let id = market.accepted(0).await;
    let order = market.paid(&id).await;
    market.app.app.clock.set(market.at(15));
    act(&market.provider, "NoShow", &id, "")
        .await
        .payload("bookingNoShow");
    let early = clear_booking(&market.staff, &id, json!({})).await;
    assert_eq!(
        early.user_error_codes("bookingAttentionClear"),
        ["INVALID_STATE"]
    );
    act(&market.client, "NoShow", &id, "")
        .await
        .payload("bookingNoShow");
    assert_eq!(bookings_list(&market).await, json!([{ "id": id }]));

    let reader = market
        .app
        .user_with_permissions("Rea", &["bookings:read"])
        .await;
    let anonymous = market.app.anonymous();
    for who in [&anonymous, &market.client, &market.provider, &reader] {
        let answer = clear_booking(who, &id, json!({})).await;
        assert_eq!(answer.error_code(), "FORBIDDEN");
    }
    let rows = "SELECT (SELECT sum(version) FROM bookings) * 1000 + (SELECT count(*) FROM audit_events WHERE outcome = 'DONE')";
    let before = market.app.number(rows).await;
    let unknown = "bkg_01jd6xk5wvfz6bqkdzn6g5r3a1";
    for (id, input, code) in [
        (unknown, json!({}), "NOT_FOUND"),
        ("nonsense", json!({}), "NOT_FOUND"),
        (&order, json!({}), "NOT_FOUND"),
        (&id, json!({ "note": "x".repeat(2001) }), "INVALID_INPUT"),
        (&id, json!({ "expectedVersion": 4 }), "CONFLICT"),
    ] {
        let answer = clear_booking(&market.staff, id, input).await;
        assert_eq!(answer.user_error_codes("bookingAttentionClear"), [code]);
    }
    assert_eq!(market.app.number(rows).await, before);
    // These, and the first one, of a booking that needed nobody.
    let refused = "audit_events WHERE outcome = 'REFUSED' AND action = 'booking.attention_clear'";
    assert_eq!(market.app.count(refused).await, 6);
    assert_eq!(bookings_list(&market).await, json!([{ "id": id }]));

    // Staff give a half back and settle it.
    let money = market
        .app
        .user_with_permissions("Mona", &["refunds:create"])
        .await;
    let refund = json!({ "id": order, "amount": 2500, "key": "half" });
    money
        .post(REFUND_CREATE, refund)
        .await
        .payload("refundCreate");
    let input = json!({ "note": "Half of it.", "expectedVersion": 5 });
    let cleared = clear_booking(&market.staff, &id, input).await;
    assert_eq!(
        cleared.payload("bookingAttentionClear")["booking"],
        json!({ "id": id, "state": "NO_SHOW", "version": 6, "needsAttention": null })
    );
    assert_eq!(bookings_list(&market).await, json!([]));
    let told = "SELECT count(*) FROM audit_events WHERE action = 'booking.attention_clear'
        AND before->>'needsAttention' LIKE 'Each side%' AND after->'needsAttention' = 'null' AND after->>'note' = 'Half of it.'";
    assert_eq!(market.app.number(told).await, 1);

    // Both sides read that staff have looked, and nothing of the note.
    let history = format!("{{ booking(id: \"{id}\") {{ events {{ action side reason }} }} }}");
    let history = market.client.query(&history).await;
    assert_eq!(
        history.data()["booking"]["events"]
            .as_array()
            .unwrap()
            .last()
            .unwrap(),
        &json!({ "action": "SETTLE", "side": "STAFF", "reason": null })
    );
    // Contested once, cleared or not.
    for who in [&market.client, &market.provider] {
        let third = act(who, "NoShow", &id, "").await;
        assert_eq!(third.user_error_codes("bookingNoShow"), ["INVALID_STATE"]);
    }
    let again = clear_booking(&market.staff, &id, json!({})).await;
    assert_eq!(
        again.user_error_codes("bookingAttentionClear"),
        ["INVALID_STATE"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_settles_a_claim_of_their_own() {
    let market = Market::open().await;
    let id = market.confirmed(0).await;
    market.app.app.clock.set(market.at(15));
    for who in [&market.provider, &market.client] {
        act(who, "NoShow", &id, "").await.payload("bookingNoShow");
    }
    // The client becomes one of the staff.
    let grant = format!(
        "INSERT INTO user_roles (user_id, role_id, granted_at) SELECT '{}', id, '{}' FROM roles WHERE name = 'SUPPORT'",
        uuid::<companion::db::ids::UserId>(&market.client.user_id),
        market.app.now()
    );
    market.app.sql(&grant).await;
    market.app.settle(&[&market.client]).await;
    let own = clear_booking(&market.client, &id, json!({ "expectedVersion": 1 })).await;
    assert_eq!(
        own.user_error_codes("bookingAttentionClear"),
        ["NOT_ALLOWED"]
    );
    assert_eq!(bookings_list(&market).await, json!([{ "id": id }]));
    let refused = format!(
        "audit_events WHERE outcome = 'REFUSED' AND action = 'booking.attention_clear' AND after->>'code' = 'NOT_ALLOWED'
            AND target_kind = 'bkg' AND target_id = '{}'",
        uuid::<companion::db::ids::BookingId>(&id)
    );
    assert_eq!(market.app.count(&refused).await, 1);
}
