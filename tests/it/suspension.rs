//! What becomes of bookings when one of their sides is suspended (rules.md, Bookings).

use companion::{
    db::ids::{ProviderId, UserId},
    jobs::{self, Kind},
};
use diesel_async::SimpleAsyncConnection;
use serde_json::{Value, json};

use super::support::{
    Client, TestApp,
    market::{Market, act, uuid},
};

const BOOKING: &str = "query($id: ID!) { booking(id: $id) { state closedBy proposal { state }
    order { state refunded { amountMinor } refunds { state amount { amountMinor } } } } }";

/// An order of an accepted booking, made by its client.
async fn ordered(market: &Market, booking: &str) -> String {
    let query = "mutation($id: ID!) { orderCreate(bookingId: $id, idempotencyKey: $id) { order { id } userErrors { code } } }";
    let query = query.replace(
        "idempotencyKey: $id",
        &format!("idempotencyKey: \"{booking}\""),
    );
    let answer = market.client.post(&query, json!({ "id": booking })).await;
    answer.payload("orderCreate")["order"]["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// A booking that its client has paid on the sandbox's page.
async fn paid(market: &Market, minutes: i64) -> String {
    let booking = market.accepted(minutes).await;
    let order = ordered(market, &booking).await;
    let query = format!(
        "mutation($url: URL!) {{ checkoutCreate(orderId: \"{order}\", idempotencyKey: \"{order}\",
            input: {{ successUrl: $url, cancelUrl: $url }}) {{ checkout {{ url }} userErrors {{ code }} }} }}"
    );
    let back = format!("{}/health/live", market.app.base_url);
    let answer = market.client.post(&query, json!({ "url": back })).await;
    let page = &answer.payload("checkoutCreate")["checkout"]["url"];
    let http = market.client.http();
    let pressed = http.post(page.as_str().unwrap()).form(&[("action", "pay")]);
    let pressed = pressed.send().await.unwrap();
    assert!(!pressed.status().is_client_error() && !pressed.status().is_server_error());
    assert_eq!(market.state(&booking).await, "CONFIRMED");
    booking
}

async fn look(staff: &Client, booking: &str) -> Value {
    let answer = staff.post(BOOKING, json!({ "id": booking })).await;
    answer.data()["booking"].clone()
}

async fn staff(app: &TestApp) -> Client {
    let permissions = ["providers:*", "bookings:read", "orders:read"];
    app.user_with_permissions("Stella", &permissions).await
}

async fn suspend(staff: &Client, provider: &str) {
    let query = "mutation($id: ID!) { providerSuspend(id: $id, input: { reason: \"Complaints\" }) { provider { status } userErrors { code } } }";
    staff
        .post(query, json!({ "id": provider }))
        .await
        .payload("providerSuspend");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_suspended_provider_has_ahead_is_called_off_and_paid_back_in_full() {
    // By this policy the client would get nothing back.
    let market = Market::open_with("STRICT", 5000).await;
    let (app, staff) = (&market.app, staff(&market.app).await);
    let done = paid(&market, 0).await;
    let begun = paid(&market, 60).await;
    app.app.clock.set(market.at(60));
    act(&market.client, "Complete", &done, "expectedVersion: 3")
        .await
        .payload("bookingComplete");
    let requested = market.requested(150).await;
    let accepted = market.accepted(225).await;
    ordered(&market, &accepted).await;
    let confirmed = paid(&market, 300).await;
    let to = format!(
        "input: {{ startsAt: \"{}\" }}, idempotencyKey: \"move\"",
        market.at(390)
    );
    act(&market.client, "Reschedule", &confirmed, &to)
        .await
        .payload("bookingReschedule");
    assert_eq!(app.count("held_times").await, 5);

    suspend(&staff, &market.provider_id).await;
    app.run_jobs().await;

    let paid_back = json!({ "state": "REFUNDED", "refunded": { "amountMinor": 5000 },
        "refunds": [{ "state": "SUCCEEDED", "amount": { "amountMinor": 5000 } }] });
    let closed = json!({ "state": "CANCELLED", "refunded": { "amountMinor": 0 }, "refunds": [] });
    let kept = json!({ "state": "PAID", "refunded": { "amountMinor": 0 }, "refunds": [] });
    for (booking, state, by, proposal, order) in [
        (
            &requested,
            "CANCELLED",
            json!("SYSTEM"),
            Value::Null,
            Value::Null,
        ),
        (&accepted, "CANCELLED", json!("SYSTEM"), Value::Null, closed),
        (
            &confirmed,
            "CANCELLED",
            json!("SYSTEM"),
            json!({ "state": "CLOSED" }),
            paid_back,
        ),
        (&begun, "CONFIRMED", Value::Null, Value::Null, kept.clone()),
        (&done, "COMPLETED", json!("CLIENT"), Value::Null, kept),
    ] {
        assert_eq!(
            look(&staff, booking).await,
            json!({ "state": state, "closedBy": by, "proposal": proposal, "order": order })
        );
    }
    // The one that has begun.
    assert_eq!(app.count("held_times").await, 1);
    let audited = "audit_events WHERE action = 'booking.suspend' AND actor_kind = 'SYSTEM'";
    assert_eq!(app.count(audited).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_suspended_client_has_ahead_is_called_off_by_the_policy() {
    // Two days before, half.
    let market = Market::open_with("MODERATE", 5000).await;
    let (app, staff) = (&market.app, staff(&market.app).await);
    let requested = market.requested(0).await;
    let accepted = market.accepted(60).await;
    let confirmed = paid(&market, 120).await;
    let other = app.client("Otto").await;
    let others = market.ask(&other, market.at(180)).await;
    let others = others.payload("bookingCreate")["booking"]["id"].clone();

    let user = UserId(uuid::<UserId>(&market.client.user_id));
    let suspended = async |status: &str| {
        app.sql(&format!(
            "UPDATE users SET status = '{status}' WHERE id = '{}'",
            user.0
        ))
        .await;
        let payload = json!({ "userId": user });
        let (conn, kind) = (&mut app.conn().await, Kind::CancelBookingsOfUser);
        let key = user.to_string();
        jobs::enqueue(conn, &app.app, kind, &key, &payload, app.now())
            .await
            .unwrap();
        app.run_jobs().await;
    };
    // Active again before the job came: nothing happens.
    suspended("ACTIVE").await;
    assert_eq!(market.state(&requested).await, "REQUESTED");

    suspended("SUSPENDED").await;
    for booking in [&requested, &accepted, &confirmed] {
        assert_eq!(market.state(booking).await, "CANCELLED");
    }
    assert_eq!(
        look(&staff, &confirmed).await["order"],
        json!({ "state": "PARTIALLY_REFUNDED", "refunded": { "amountMinor": 2500 },
            "refunds": [{ "state": "SUCCEEDED", "amount": { "amountMinor": 2500 } }] })
    );
    assert_eq!(market.state(others.as_str().unwrap()).await, "REQUESTED");
    assert_eq!(app.count("held_times").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_who_is_reinstated_while_the_job_waits_keeps_its_bookings() {
    let market = Market::open().await;
    let (app, staff) = (&market.app, staff(&market.app).await);
    let requested = market.requested(0).await;
    suspend(&staff, &market.provider_id).await;

    let mut conn = app.conn().await;
    let profile = uuid::<ProviderId>(&market.provider_id);
    conn.batch_execute(&format!(
        "BEGIN; SELECT 1 FROM providers WHERE id = '{profile}' FOR NO KEY UPDATE"
    ))
    .await
    .unwrap();
    let reinstate = async {
        let waits =
            "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while app.count(waits).await == 0 {}
        // The provider comes before the booking in the order of locks, so the booking is still free.
        conn.batch_execute("SELECT 1 FROM bookings FOR UPDATE NOWAIT")
            .await
            .unwrap();
        conn.batch_execute("UPDATE providers SET status = 'APPROVED'; COMMIT")
            .await
            .unwrap();
    };
    tokio::join!(app.run_jobs(), reinstate);
    assert_eq!(market.state(&requested).await, "REQUESTED");
    assert_eq!(app.count("held_times").await, 1);
    assert_eq!(
        app.count("jobs WHERE kind = 'CANCEL_BOOKINGS_OF_PROVIDER'")
            .await,
        0
    );
}
