//! The demo data: as much as a newcomer wants to see, the same everywhere, and alive: it can be cancelled, refunded
//! and booked like any other.

use std::collections::{BTreeMap, BTreeSet};

use companion::{
    demo::{self, DemoSignIn},
    http::graphiql::DemoPeople,
};
use jiff::{SignedDuration, ToSpan};
use serde_json::{Value, json};

use super::support::{Client, TestApp};

async fn loaded() -> TestApp {
    let app = TestApp::start().await;
    assert!(demo::load(&app.app).await.unwrap());
    app
}

async fn signed_in(app: &TestApp, role: &str) -> Client {
    let token = DemoSignIn(app.app.clone()).sign_in(role).await.unwrap();
    app.anonymous().with_token(&token)
}

/// Every node of a list, page by page.
async fn all(client: &Client, list: &str, arguments: &str, node: &str) -> Vec<Value> {
    let query = format!(
        "query($after: String) {{ {list}(first: 20, after: $after {arguments}) {{
            nodes {{ {node} }} pageInfo {{ hasNextPage endCursor }} }} }}"
    );
    let (mut nodes, mut after) = (Vec::new(), Value::Null);
    loop {
        let answer = client.post(&query, json!({ "after": after })).await;
        let page = &answer.data()[list];
        nodes.extend(page["nodes"].as_array().unwrap().iter().cloned());
        if page["pageInfo"]["hasNextPage"] == false {
            return nodes;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_something_of_everything_and_all_of_it_can_be_read() {
    let app = loaded().await;
    assert!(!demo::load(&app.app).await.unwrap(), "once");
    let admin = signed_in(&app, "admin").await;
    let providers = all(
        &admin,
        "providers",
        "",
        "displayName city { slug } rating ratingCount stats { completedBookings }",
    )
    .await;
    assert!(providers.len() >= 40, "{} providers", providers.len());
    let cities: BTreeSet<_> = providers
        .iter()
        .map(|one| one["city"]["slug"].as_str().unwrap())
        .collect();
    assert_eq!(cities.len(), 6);
    let names: BTreeSet<_> = providers
        .iter()
        .map(|one| one["displayName"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), providers.len(), "no name twice");
    let services = all(&admin, "services", "", "title category { title }").await;
    assert_eq!(services.len(), 12);
    let bookings = all(
        &admin,
        "bookings",
        "",
        "state version client { displayName } provider { displayName } service { title }
         price { amountMinor } closedBy absentSide completedAt needsAttention proposal { id }
         order { state captured { amountMinor } refunded { amountMinor } }
         events { action fromState toState side createdAt } viewerActions { action allowed }
         review { rating comment reply }",
    )
    .await;
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    for booking in &bookings {
        let state = booking["state"].as_str().unwrap();
        *states.entry(state).or_default() += 1;
        let events = booking["events"].as_array().unwrap();
        assert_eq!(events.last().unwrap()["toState"], state);
        // Each step counts one.
        assert_eq!(booking["version"], events.len(), "{booking:#}");
        let is_paid = matches!(state, "CONFIRMED" | "COMPLETED" | "NO_SHOW")
            && booking["price"]["amountMinor"] != 0;
        let order = is_paid.then(|| {
            json!({ "state": "PAID", "captured": booking["price"], "refunded": { "amountMinor": 0 } })
        });
        assert_eq!(booking["order"], json!(order), "{booking:#}");
        assert!(booking["needsAttention"].is_null());
    }
    assert_eq!(
        states.keys().copied().collect::<Vec<_>>(),
        [
            "ACCEPTED",
            "CANCELLED",
            "COMPLETED",
            "CONFIRMED",
            "EXPIRED",
            "NO_SHOW",
            "REJECTED",
            "REQUESTED"
        ]
    );
    let reviewed = bookings.iter().filter(|one| !one["review"].is_null());
    assert!(reviewed.count() >= 20);
    let reports = all(&admin, "reports", "", "state reason").await;
    let open = reports.iter().filter(|one| one["state"] == "OPEN").count();
    assert!(open > 0 && open < reports.len());
    let orders = all(&admin, "orders", "", "state needsAttention").await;
    assert!(orders.iter().all(|one| one["needsAttention"].is_null()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paid_booking_is_cancelled_and_refunded_like_any_other() {
    let app = loaded().await;
    let admin = signed_in(&app, "admin").await;
    let bookings = all(
        &admin,
        "bookings",
        ", filter: {states: [CONFIRMED, COMPLETED]}",
        "id state order { id }",
    )
    .await;
    let find = |state: &str| {
        let found = bookings
            .iter()
            .find(|one| one["state"] == state && !one["order"].is_null());
        found.unwrap()
    };
    let cancel = "mutation($id: ID!) {
        bookingCancel(id: $id, input: {reason: \"Ill\"}, idempotencyKey: \"a\") {
            booking { state order { state refunded { amountMinor } total { amountMinor } } } userErrors { code } } }";
    let confirmed = &find("CONFIRMED")["id"];
    let answer = admin.post(cancel, json!({ "id": confirmed })).await;
    let booking = &answer.payload("bookingCancel")["booking"];
    assert_eq!(
        (&booking["state"], &booking["order"]["state"]),
        (&json!("CANCELLED"), &json!("REFUNDED"))
    );
    assert_eq!(booking["order"]["refunded"], booking["order"]["total"]);

    let refund = "mutation($id: ID!) {
        refundCreate(orderId: $id, input: {amountMinor: 500, reason: \"Rain\"}, idempotencyKey: \"b\") {
            refund { state } userErrors { code } } }";
    let order = &find("COMPLETED")["order"]["id"];
    admin
        .post(refund, json!({ "id": order }))
        .await
        .payload("refundCreate");
    app.run_jobs().await;
    let state = "query($id: ID!) { order(id: $id) { state needsAttention refunds { state } } }";
    let answer = admin.post(state, json!({ "id": order })).await;
    assert_eq!(
        answer.data()["order"],
        json!({ "state": "PARTIALLY_REFUNDED", "needsAttention": null, "refunds": [{ "state": "SUCCEEDED" }] })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_the_same_everywhere() {
    let (one, other) = (loaded().await, loaded().await);
    let nodes = "id displayName headline lowestPrice { formatted } rating reviews(first: 2) { nodes { id } }";
    assert_eq!(
        all(&one.anonymous(), "providers", "", nodes).await,
        all(&other.anonymous(), "providers", "", nodes).await
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_times_for_the_next_two_weeks_also_after_a_month() {
    let app = loaded().await;
    for _ in 0..2 {
        let free_days = days_with_a_free_provider(&app).await;
        assert_eq!(free_days, 13);
        app.app.clock.advance(SignedDuration::from_hours(30 * 24));
        demo::load(&app.app).await.unwrap();
    }
}

/// On how many of the 13 days after today somebody can be booked for an hour in the afternoon, in any of the cities.
async fn days_with_a_free_provider(app: &TestApp) -> usize {
    let query = "query($from: DateTime!, $to: DateTime!) {
        providers(first: 1, filter: {free: {from: $from, to: $to}}) { nodes { id } } }";
    let noon = "2026-11-21T14:00:00Z".parse::<jiff::Timestamp>().unwrap();
    let today = noon + (app.now() - noon).round(jiff::Unit::Hour).unwrap();
    let mut days = 0;
    for day in 1..=13 {
        let from = today + (day * 24).hours();
        let variables = json!({ "from": from.to_string(), "to": (from + 1.hours()).to_string() });
        let answer = app.anonymous().post(query, variables).await;
        days += answer.data()["providers"]["nodes"]
            .as_array()
            .unwrap()
            .len();
    }
    days
}
