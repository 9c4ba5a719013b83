//! Windows, and that slots equal bookings (rule 6).

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::support::{
    Answer, Client,
    market::{Market, act},
};

const MAKE: &str = "mutation($windows: [AvailabilityWindowInput!]!) {
    availabilitiesCreate(input: { windows: $windows }) {
        availabilities { id startsAt endsAt } userErrors { code field details } } }";

async fn make(client: &Client, windows: Value) -> Answer {
    client.post(MAKE, json!({ "windows": windows })).await
}

fn window(from: Timestamp, minutes: i64) -> Value {
    json!({ "startsAt": from, "endsAt": from + SignedDuration::from_mins(minutes) })
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_are_made_many_at_once_and_every_bad_one_is_reported() {
    let market = Market::open().await;
    let day = |days: i64| market.opens + SignedDuration::from_hours(24 * days);
    let made = make(
        &market.provider,
        json!([
            window(day(1), 60),
            window(day(1) + SignedDuration::from_mins(60), 60),
            window(day(2), 30)
        ]),
    )
    .await;
    let made = made.payload("availabilitiesCreate")["availabilities"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(made, 3);
    let before = market.app.count("availabilities").await;
    let bad = make(
        &market.provider,
        json!([
            window(day(3), 60),
            window(day(4), 0),
            window(day(5), 14),
            window(market.app.now() - SignedDuration::from_hours(2), 60),
            window(day(3) + SignedDuration::from_mins(30), 60),
        ]),
    )
    .await;
    let errors = bad.data()["availabilitiesCreate"]["userErrors"]
        .as_array()
        .unwrap()
        .clone();
    let paths: Vec<Value> = errors.iter().map(|error| error["field"].clone()).collect();
    assert_eq!(
        paths,
        [
            json!(["input", "windows", "1", "endsAt"]),
            json!(["input", "windows", "2", "endsAt"]),
            json!(["input", "windows", "3", "endsAt"]),
            json!(["input", "windows", "4", "startsAt"]),
        ]
    );
    let overlapping = make(
        &market.provider,
        json!([
            window(day(1) - SignedDuration::from_mins(15), 30),
            window(day(6), 60),
            window(market.at(479), 60)
        ]),
    )
    .await;
    let errors = overlapping.data()["availabilitiesCreate"]["userErrors"]
        .as_array()
        .unwrap()
        .clone();
    let paths: Vec<Value> = errors
        .iter()
        .map(|error| error["field"][2].clone())
        .collect();
    assert_eq!(paths, ["0", "2"]);
    for windows in [
        json!([]),
        Value::Array((0..101).map(|n| window(day(n), 15)).collect()),
    ] {
        let wrong = make(&market.provider, windows).await;
        // More than 100 is refused before by the limit on lists.
        let refused = wrong.body.get("errors").is_some()
            || wrong.user_error_codes("availabilitiesCreate") == ["INVALID_INPUT"];
        assert!(refused, "{:#}", wrong.body);
    }
    let none = make(&market.client, json!([window(day(7), 60)])).await;
    assert_eq!(
        none.user_error_codes("availabilitiesCreate"),
        ["NOT_ALLOWED"]
    );
    assert_eq!(market.app.count("availabilities").await, before);
    let anonymous = make(&market.app.anonymous(), json!([window(day(7), 60)])).await;
    assert_eq!(anonymous.error_code(), "FORBIDDEN");
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_windows_never_overlap() {
    let market = Market::open().await;
    let from = market.opens + SignedDuration::from_hours(100);
    let makes = (0..8).map(|n| {
        make(
            &market.provider,
            json!([window(from + SignedDuration::from_mins(n), 60)]),
        )
    });
    let answers = futures_util::future::join_all(makes).await;
    let codes: Vec<String> = answers
        .iter()
        .flat_map(|answer| answer.user_error_codes("availabilitiesCreate"))
        .collect();
    assert_eq!(codes, ["INVALID_INPUT"; 7]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_unbooked_window_of_ones_own_is_deleted() {
    let market = Market::open().await;
    let list = format!(
        "query($from: DateTime!, $to: DateTime!) {{ provider(id: \"{}\") {{ availabilities(from: $from, to: $to) {{ id startsAt }} }} }}",
        market.provider_id
    );
    let range =
        json!({ "from": market.app.now(), "to": market.at(0) + SignedDuration::from_hours(24) });
    let windows = market.client.post(&list, range.clone()).await;
    let id = windows.data()["provider"]["availabilities"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let delete = format!(
        "mutation {{ availabilityDelete(id: \"{id}\") {{ deletedId userErrors {{ code details }} }} }}"
    );
    let booking = market.requested(0).await;
    let booked = market.provider.query(&delete).await;
    assert_eq!(
        booked.user_error_codes("availabilityDelete"),
        ["INVALID_STATE"]
    );
    assert_eq!(
        market
            .client
            .query(&delete)
            .await
            .user_error_codes("availabilityDelete"),
        ["NOT_FOUND"]
    );
    act(
        &market.client,
        "Cancel",
        &booking,
        "input: {}, idempotencyKey: \"k\"",
    )
    .await
    .payload("bookingCancel");
    assert_eq!(
        market
            .provider
            .query(&delete)
            .await
            .payload("availabilityDelete")["deletedId"],
        json!(id)
    );
    let gone = market.client.post(&list, range).await;
    assert_eq!(gone.data()["provider"]["availabilities"], json!([]));
    assert_eq!(
        market
            .provider
            .query(&delete)
            .await
            .user_error_codes("availabilityDelete"),
        ["NOT_FOUND"]
    );
}

async fn slots(market: &Market, from: Timestamp, to: Timestamp) -> Answer {
    let query = format!(
        "query($from: DateTime!, $to: DateTime!) {{ provider(id: \"{}\") {{
            slots(serviceId: \"{}\", from: $from, to: $to) {{ startsAt endsAt }} }} }}",
        market.provider_id, market.service_id
    );
    market
        .app
        .anonymous()
        .post(&query, json!({ "from": from, "to": to }))
        .await
}

async fn starts(market: &Market) -> BTreeSet<Timestamp> {
    let to = market.opens + SignedDuration::from_hours(24 * 10);
    let answer = slots(market, market.app.now(), to).await;
    let slots = answer.data()["provider"]["slots"]
        .as_array()
        .unwrap()
        .clone();
    slots
        .iter()
        .map(|slot| slot["startsAt"].as_str().unwrap().parse().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_are_bounded_and_what_is_not_offered_has_no_slots() {
    let market = Market::open().await;
    let day = SignedDuration::from_hours(24);
    let now = market.app.now();
    assert_eq!(
        slots(&market, now, now + day * 31).await.data()["provider"]["slots"]
            .as_array()
            .unwrap()
            .len(),
        29
    );
    for (from, to) in [
        (now, now),
        (now + day, now),
        (now, now + day * 31 + SignedDuration::from_secs(1)),
    ] {
        assert_eq!(slots(&market, from, to).await.error_code(), "BAD_REQUEST");
    }
    // From inclusive, to exclusive.
    let two = slots(&market, market.at(15), market.at(45)).await;
    assert_eq!(
        two.data()["provider"]["slots"][1],
        json!({ "startsAt": market.at(30), "endsAt": market.at(90) })
    );
    assert_eq!(two.data()["provider"]["slots"].as_array().unwrap().len(), 2);
    market
        .app
        .sql("UPDATE provider_services SET active = false")
        .await;
    assert!(starts(&market).await.is_empty());
    market
        .app
        .sql("UPDATE provider_services SET active = true")
        .await;
    let far = market.opens + day * 3;
    for n in 0..20 {
        market
            .app
            .window_row(
                &market.provider_id,
                far + day * n,
                far + day * n + SignedDuration::from_hours(20),
            )
            .await;
    }
    let capped = slots(&market, now, now + day * 31).await;
    assert_eq!(
        capped.data()["provider"]["slots"].as_array().unwrap().len(),
        500
    );
}

/// Rule 6: at rest every listed time can be booked, and every other is refused.
#[tokio::test(flavor = "multi_thread")]
async fn slots_equal_bookings() {
    let market = Market::open().await;
    let app = &market.app;
    // Windows off the hour, touching, short, and one that has begun.
    app.window_row(
        &market.provider_id,
        app.now() - SignedDuration::from_mins(20),
        app.now() + SignedDuration::from_mins(200),
    )
    .await;
    app.window_row(&market.provider_id, market.at(480), market.at(480 + 65))
        .await;
    app.window_row(&market.provider_id, market.at(607), market.at(607 + 59))
        .await;
    app.window_row(&market.provider_id, market.at(707), market.at(707 + 95))
        .await;
    // Held: a request, an overdue request, a confirmed booking with an open and one with an overdue proposal.
    let overdue = market.requested(0).await;
    let moving = market.confirmed(120).await;
    let to = |minutes: i64| {
        format!(
            "input: {{ startsAt: \"{}\" }}, idempotencyKey: \"a\"",
            market.at(minutes)
        )
    };
    act(&market.provider, "Reschedule", &moving, &to(480))
        .await
        .payload("bookingReschedule");
    app.app.clock.advance(SignedDuration::from_hours(23));
    let kept = market.requested(240).await;
    let staying = market.confirmed(300).await;
    app.app.clock.advance(SignedDuration::from_hours(1));
    let to = format!(
        "input: {{ startsAt: \"{}\" }}, idempotencyKey: \"b\"",
        market.at(390)
    );
    act(&market.client, "Reschedule", &staying, &to)
        .await
        .payload("bookingReschedule");
    let states = [&overdue, &moving, &kept, &staying].map(|id| market.state(id));
    assert_eq!(
        futures_util::future::join_all(states).await,
        ["EXPIRED", "CONFIRMED", "REQUESTED", "CONFIRMED"]
    );

    let listed = starts(&market).await;
    assert!(listed.len() >= 10, "{listed:?}");
    // The last proposal has expired what was overdue (rule 8): three bookings and one proposal hold their times.
    assert_eq!(app.count("held_times").await, 4);
    let mut candidates: BTreeSet<Timestamp> = listed.clone();
    for minute in (-60..840).step_by(5) {
        candidates.insert(market.at(minute));
    }
    candidates.insert(market.at(707));
    candidates.insert(market.at(722));
    let other = app.client("Otto").await;
    for start in candidates {
        let answer = market.ask(&other, start).await;
        let booking = &answer.data()["bookingCreate"]["booking"];
        assert_eq!(
            booking.is_object(),
            listed.contains(&start),
            "{start}: {:#}",
            answer.body
        );
        if let Some(id) = booking["id"].as_str() {
            act(
                &other,
                "Cancel",
                id,
                &format!("input: {{}}, idempotencyKey: \"{id}\""),
            )
            .await
            .payload("bookingCancel");
        } else {
            let code = answer.user_error_codes("bookingCreate");
            assert!(
                code == ["SLOT_TAKEN"] || code == ["OUTSIDE_AVAILABILITY"],
                "{code:?}"
            );
        }
    }
    assert_eq!(starts(&market).await, listed);
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_of_a_page_of_providers_cost_three_statements() {
    let market = Market::open().await;
    let cost = |providers: usize| {
        let market = &market;
        async move {
            let query = format!(
                "query($from: DateTime!, $to: DateTime!) {{ providers(first: {providers}) {{ nodes {{
                    slots(serviceId: \"{}\", from: $from, to: $to) {{ startsAt }}
                    availabilities(from: $from, to: $to) {{ startsAt }} }} }} }}",
                market.service_id
            );
            let to = market.app.now() + SignedDuration::from_hours(72);
            let answer = market
                .client
                .post(&query, json!({ "from": market.app.now(), "to": to }))
                .await;
            let nodes = answer.data()["providers"]["nodes"]
                .as_array()
                .unwrap()
                .len();
            assert_eq!(nodes, providers);
            answer.statements
        }
    };
    // A new session's rights are read once.
    cost(1).await;
    let one = cost(1).await;
    for name in ["Ada", "Bea", "Coy"] {
        let person = market.app.user(name).await;
        let profile = market.app.provider_row(&person, "STRICT").await;
        market
            .app
            .price_row(&profile, &market.service_id, 100, 30)
            .await;
        market
            .app
            .window_row(&profile, market.opens, market.at(120))
            .await;
    }
    assert_eq!(cost(4).await, one);
    assert!(one <= 5, "{one}");
}
