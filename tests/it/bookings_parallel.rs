//! What holds with real parallel connections.

use companion::features::bookings::service;
use futures_util::future::join_all;
use jiff::SignedDuration;
use serde_json::json;

use super::support::market::{CREATE, Market, act};

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_who_ask_for_one_time_exactly_one_gets_it() {
    let market = Market::open().await;
    let mut clients = Vec::new();
    for index in 0..50 {
        clients.push(market.app.client(&format!("Client {index}")).await);
    }
    let answers = join_all(
        clients
            .iter()
            .map(|client| market.ask(client, market.at(0))),
    )
    .await;
    let won = answers
        .iter()
        .filter(|answer| answer.data()["bookingCreate"]["booking"].is_object());
    assert_eq!(won.count(), 1);
    let lost = answers
        .iter()
        .filter(|answer| answer.user_error_codes("bookingCreate") == ["SLOT_TAKEN"]);
    assert_eq!(lost.count(), 49);
    assert_eq!(market.app.count("bookings").await, 1);
    assert_eq!(market.app.count("held_times").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn accepting_against_cancelling_has_one_winner() {
    let market = Market::open().await;
    let cancel = "input: {}, idempotencyKey: \"c\"";
    let (mut accepted, mut cancelled) = (0, 0);
    for round in 0..20 {
        let other = market.app.client(&format!("Client {round}")).await;
        let asked = market.ask(&other, market.at(0)).await;
        let id = asked.payload("bookingCreate")["booking"]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        // With the version that both have read, so that a cancellation cannot come after the acceptance.
        let version = "expectedVersion: 1";
        let cancelling = format!("{cancel}, {version}");
        let (yes, no) = tokio::join!(
            act(&market.provider, "Accept", &id, version),
            act(&other, "Cancel", &id, &cancelling)
        );
        let yes_won = yes.data()["bookingAccept"]["booking"].is_object();
        let no_won = no.data()["bookingCancel"]["booking"].is_object();
        assert!(yes_won != no_won, "{:#} {:#}", yes.body, no.body);
        if yes_won {
            accepted += 1;
            assert_eq!(no.user_error_codes("bookingCancel"), ["CONFLICT"]);
            let again = act(&other, "Cancel", &id, "input: {}, idempotencyKey: \"d\"").await;
            again.payload("bookingCancel");
        } else {
            cancelled += 1;
            assert_eq!(market.state(&id).await, "CANCELLED");
        }
    }
    assert_eq!(accepted + cancelled, 20);
    assert_eq!(market.app.count("held_times").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_twice_at_once_books_once() {
    let market = Market::open().await;
    let variables = json!({ "input": market.wish(market.at(0)), "key": "same" });
    let asks = (0..8).map(|_| market.client.post(CREATE, variables.clone()));
    let answers = join_all(asks).await;
    for answer in &answers {
        assert_eq!(
            answer.payload("bookingCreate"),
            answers[0].payload("bookingCreate")
        );
    }
    assert_eq!(market.app.count("bookings").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_cannot_be_with_two_providers_at_once() {
    let market = Market::open().await;
    let pavel = market.app.user("Pavel").await;
    let profile = market.app.provider_row(&pavel, "STRICT").await;
    market
        .app
        .price_row(&profile, &market.service_id, 100, 60)
        .await;
    market
        .app
        .window_row(&profile, market.opens, market.at(480))
        .await;
    for round in 0..10 {
        let start = market.at(round * 45);
        let elsewhere =
            json!({ "providerId": profile, "serviceId": market.service_id, "startsAt": start });
        let client = market.app.client(&format!("Client {round}")).await;
        market.app.sql("DELETE FROM held_times").await;
        let (here, there) = tokio::join!(
            market.ask(&client, start),
            client.post(CREATE, json!({ "input": elsewhere, "key": "there" }))
        );
        let mut codes = here.user_error_codes("bookingCreate");
        codes.extend(there.user_error_codes("bookingCreate"));
        assert_eq!(
            codes,
            ["OVERLAPS_OWN_BOOKING"],
            "{:#} {:#}",
            here.body,
            there.body
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn moving_against_asking_has_one_winner() {
    let market = Market::open_with("FLEXIBLE", 0).await;
    for round in 0..10 {
        let mover = market.app.client(&format!("Mover {round}")).await;
        let asker = market.app.client(&format!("Asker {round}")).await;
        market.app.sql("DELETE FROM held_times").await;
        let asked = market.ask(&mover, market.at(0)).await;
        let id = asked.payload("bookingCreate")["booking"]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        act(&market.provider, "Accept", &id, "")
            .await
            .payload("bookingAccept");
        let to = format!(
            "input: {{ startsAt: \"{}\" }}, idempotencyKey: \"m\"",
            market.at(120)
        );
        let (moved, booked) = tokio::join!(
            act(&mover, "Reschedule", &id, &to),
            market.ask(&asker, market.at(150))
        );
        let mut codes = moved.user_error_codes("bookingReschedule");
        codes.extend(booked.user_error_codes("bookingCreate"));
        assert_eq!(codes, ["SLOT_TAKEN"], "{:#} {:#}", moved.body, booked.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_expires_from_several_sides_at_once_never_deadlocks() {
    let market = Market::open().await;
    let app = &market.app;
    let (day, long) = (
        SignedDuration::from_hours(24),
        SignedDuration::from_hours(24 * 40),
    );
    let pavel = app.user("Pavel").await;
    let other = app.provider_row(&pavel, "STRICT").await;
    app.price_row(&other, &market.service_id, 100, 60).await;
    let opens = market.at(480);
    for profile in [&market.provider_id, &other] {
        app.window_row(profile, opens, opens + long).await;
    }
    let mut people = Vec::new();
    for name in ["Carl", "Dora", "Emil", "Fred"] {
        people.push(app.client(name).await);
    }
    // Each person at both providers, at hours that nobody else wants.
    let ask_all = async |first: jiff::Timestamp| {
        let asks = people.iter().enumerate().flat_map(|(number, person)| {
            let of = |profile: &str, hour: usize| {
                let hour = i64::try_from(hour).unwrap();
                let start = first + SignedDuration::from_hours(hour);
                let input = json!({ "providerId": profile, "serviceId": market.service_id, "startsAt": start });
                let key = format!("{profile} {start}");
                person.post(CREATE, json!({ "input": input, "key": key }))
            };
            let last = 2 * people.len() - 1;
            [of(&market.provider_id, number), of(&other, last - number)]
        });
        for answer in join_all(asks).await {
            answer.payload("bookingCreate");
        }
    };
    let rounds = 8;
    for round in 0..rounds {
        // The requests of the round before are overdue: each belongs to two who now ask at once, and the job comes too.
        let first = opens + day * 20 + day * round;
        let (_, one, two) = tokio::join!(
            ask_all(first),
            service::expire_all(&app.app),
            service::expire_all(&app.app)
        );
        one.unwrap();
        two.unwrap();
        app.app.clock.advance(day);
    }
    let made = i64::from(rounds) * 2 * 4;
    assert_eq!(app.count("bookings").await, made);
    assert_eq!(
        app.count("bookings WHERE state = 'EXPIRED'").await,
        made - 8
    );
    assert_eq!(app.count("held_times").await, 8);
    // A connection reports the deadlocks it saw when it ends.
    app.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    .await;
    while app
        .count("pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'companion%' AND application_name <> 'companion listen'")
        .await
        > 0
    {}
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(app.number(deadlocks).await, 0);
}
