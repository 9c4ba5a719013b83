//! The life of a booking: asking, answering, who sees it, what is refused.

use jiff::SignedDuration;
use serde_json::json;

use super::support::{
    TestApp,
    market::{CREATE, Market, act, uuid},
};
use companion::{
    db::ids::{BookingId, ProviderId, ServiceId, UserId},
    features::bookings::service::PaidOutcome,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_booking_is_asked_for_accepted_paid_and_completed() {
    let market = Market::open().await;
    let asked = market.ask(&market.client, market.at(30)).await;
    let booking = asked.payload("bookingCreate")["booking"].clone();
    assert_eq!(booking["state"], "REQUESTED");
    assert_eq!(
        booking["price"],
        json!({ "amountMinor": 5000, "currency": "EUR" })
    );
    assert_eq!(booking["endsAt"], json!(market.at(90)));
    let deadline = market.app.now() + SignedDuration::from_hours(24);
    assert_eq!(booking["answerDeadline"], json!(deadline));
    let id = booking["id"].as_str().unwrap();

    let accepted = act(&market.provider, "Accept", id, "expectedVersion: 1").await;
    let booking = &accepted.payload("bookingAccept")["booking"];
    assert_eq!(
        (&booking["state"], &booking["version"]),
        (&json!("ACCEPTED"), &json!(2))
    );
    let deadline = market.app.now() + SignedDuration::from_hours(2);
    assert_eq!(booking["paymentDeadline"], json!(deadline));

    assert_eq!(market.pay(id).await, PaidOutcome::Confirmed);
    assert_eq!(market.pay(id).await, PaidOutcome::AlreadyPaid);
    assert_eq!(market.app.count("held_times").await, 1);
    let early = act(&market.client, "Complete", id, "expectedVersion: 3").await;
    assert_eq!(early.user_error_codes("bookingComplete"), ["WINDOW_CLOSED"]);
    market.app.app.clock.set(market.at(30));
    let early = act(&market.provider, "Complete", id, "expectedVersion: 3").await;
    assert_eq!(early.user_error_codes("bookingComplete"), ["WINDOW_CLOSED"]);
    let done = act(&market.client, "Complete", id, "expectedVersion: 3").await;
    let booking = &done.payload("bookingComplete")["booking"];
    assert_eq!(
        (&booking["state"], &booking["closedBy"]),
        (&json!("COMPLETED"), &json!("CLIENT"))
    );
    assert_eq!(market.app.count("held_times").await, 0);

    let history =
        format!("{{ booking(id: \"{id}\") {{ events {{ action fromState toState side }} }} }}");
    let history = market.client.query(&history).await;
    assert_eq!(
        history.data()["booking"]["events"],
        json!([
            { "action": "CREATE", "fromState": null, "toState": "REQUESTED", "side": "CLIENT" },
            { "action": "ACCEPT", "fromState": "REQUESTED", "toState": "ACCEPTED", "side": "PROVIDER" },
            { "action": "PAY", "fromState": "ACCEPTED", "toState": "CONFIRMED", "side": "SYSTEM" },
            { "action": "COMPLETE", "fromState": "CONFIRMED", "toState": "COMPLETED", "side": "CLIENT" },
        ])
    );
    let audited = market
        .app
        .count("audit_events WHERE action LIKE 'booking.%'")
        .await;
    assert_eq!(audited, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_free_booking_is_confirmed_by_accepting() {
    let market = Market::open_with("FLEXIBLE", 0).await;
    let id = market.accepted(0).await;
    assert_eq!(market.state(&id).await, "CONFIRMED");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_rejects_with_a_reason_and_the_time_is_free() {
    let market = Market::open().await;
    let id = market.requested(0).await;
    let bad = act(&market.provider, "Reject", &id, "input: { reason: \" \" }").await;
    assert_eq!(bad.user_error_codes("bookingReject"), ["INVALID_INPUT"]);
    let done = act(
        &market.provider,
        "Reject",
        &id,
        "input: { reason: \"Away\" }",
    )
    .await;
    let booking = &done.payload("bookingReject")["booking"];
    assert_eq!(
        (&booking["state"], &booking["reason"]),
        (&json!("REJECTED"), &json!("Away"))
    );
    market.requested(0).await;
    // Rule 7: after REJECTED always refunded.
    assert_eq!(market.pay(&id).await, PaidOutcome::RefundInFull);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_of_asking_has_its_code_and_writes_nothing() {
    let market = Market::open().await;
    let (app, at) = (&market.app, market.at(0));
    let ask = |client: &super::support::Client, change: serde_json::Value| {
        let (client, mut input) = (client.clone(), market.wish(at));
        for (name, value) in change.as_object().unwrap() {
            input[name] = value.clone();
        }
        async move {
            let answer = client
                .post(CREATE, json!({ "input": input, "key": "one" }))
                .await;
            answer.data()["bookingCreate"]["userErrors"].clone()
        }
    };
    let code = |errors: &serde_json::Value| errors[0]["code"].as_str().unwrap().to_owned();

    let both = {
        let mut input = market.wish(at);
        input["note"] = json!("x".repeat(2001));
        market
            .client
            .post(CREATE, json!({ "input": input, "key": "" }))
            .await
    };
    let both = &both.data()["bookingCreate"]["userErrors"];
    assert_eq!(both[0]["field"], json!(["input", "note"]));
    assert_eq!(both[1]["field"], json!(["idempotencyKey"]));

    let unknown = ask(&market.client, json!({ "providerId": market.service_id })).await;
    assert_eq!(unknown[0]["field"], json!(["input", "providerId"]));
    assert_eq!(code(&unknown), "NOT_FOUND");
    let unknown = ask(&market.client, json!({ "serviceId": "srv_x" })).await;
    assert_eq!(unknown[0]["field"], json!(["input", "serviceId"]));
    let own = ask(&market.provider, json!({})).await;
    assert_eq!(code(&own), "SELF_ACTION");
    let stranger = app.user("Nia").await;
    let strange = ask(&stranger, json!({})).await;
    assert_eq!(code(&strange), "BOUNDARY_NOT_ACKNOWLEDGED");
    assert_eq!(strange[0]["details"], json!({ "version": 1 }));
    for minutes in [-15, 7, 7 * 60 + 15] {
        let outside = ask(&market.client, json!({ "startsAt": market.at(minutes) })).await;
        assert_eq!(code(&outside), "OUTSIDE_AVAILABILITY", "{minutes}");
    }
    app.boundary_row(2).await;
    let outdated = ask(&market.client, json!({})).await;
    assert_eq!(code(&outdated), "BOUNDARY_NOT_ACKNOWLEDGED");
    app.acknowledge_row(&market.client, 2).await;

    let (client, provider) = (
        uuid::<UserId>(&market.client.user_id),
        uuid::<UserId>(&market.provider.user_id),
    );
    for (blocker, blocked) in [(client, provider), (provider, client)] {
        app.sql(&format!(
            "INSERT INTO user_blocks VALUES ('{blocker}', '{blocked}', '{at}')"
        ))
        .await;
        assert_eq!(code(&ask(&market.client, json!({})).await), "BLOCKED");
        app.sql("DELETE FROM user_blocks").await;
    }
    let (provider_row, service_row) = (
        uuid::<ProviderId>(&market.provider_id),
        uuid::<ServiceId>(&market.service_id),
    );
    for (out, back) in [
        (
            format!(
                "UPDATE provider_services SET active = false WHERE provider_id = '{provider_row}'"
            ),
            "UPDATE provider_services SET active = true",
        ),
        (
            format!("UPDATE services SET status = 'ARCHIVED' WHERE id = '{service_row}'"),
            "UPDATE services SET status = 'ACTIVE'",
        ),
        (
            format!("UPDATE providers SET status = 'SUSPENDED' WHERE id = '{provider_row}'"),
            "UPDATE providers SET status = 'APPROVED'",
        ),
        (
            format!("UPDATE users SET status = 'SUSPENDED' WHERE id = '{provider}'"),
            "UPDATE users SET status = 'ACTIVE'",
        ),
    ] {
        app.sql(&out).await;
        assert_eq!(
            code(&ask(&market.client, json!({})).await),
            "NOT_FOUND",
            "{out}"
        );
        app.sql(back).await;
    }
    for table in [
        "bookings",
        "held_times",
        "booking_events",
        "idempotency_keys",
    ] {
        assert_eq!(app.count(table).await, 0, "{table}");
    }
    assert_eq!(
        app.count("audit_events WHERE action LIKE 'booking.%'")
            .await,
        0
    );
    // Nothing but the refusals stood in the way.
    assert_eq!(ask(&market.client, json!({})).await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn overlaps_are_told_apart_and_back_to_back_is_allowed() {
    let market = Market::open().await;
    market.requested(60).await;
    let other = market.app.client("Otto").await;
    for minutes in [15, 60, 105] {
        let taken = market.ask(&other, market.at(minutes)).await;
        assert_eq!(
            taken.user_error_codes("bookingCreate"),
            ["SLOT_TAKEN"],
            "{minutes}"
        );
        let own = market.ask(&market.client, market.at(minutes)).await;
        assert_eq!(
            own.user_error_codes("bookingCreate"),
            ["OVERLAPS_OWN_BOOKING"]
        );
    }
    for minutes in [0, 120] {
        market
            .ask(&other, market.at(minutes))
            .await
            .payload("bookingCreate");
    }
    // The client's own time with another provider.
    let pavel = market.app.user("Pavel").await;
    let profile = market.app.provider_row(&pavel, "STRICT").await;
    market
        .app
        .price_row(&profile, &market.service_id, 100, 60)
        .await;
    market
        .app
        .window_row(&profile, market.opens, market.at(240))
        .await;
    let wish = |minutes| json!({ "providerId": profile, "serviceId": market.service_id, "startsAt": market.at(minutes) });
    let own = market
        .client
        .post(CREATE, json!({ "input": wish(75), "key": "a" }))
        .await;
    assert_eq!(
        own.user_error_codes("bookingCreate"),
        ["OVERLAPS_OWN_BOOKING"]
    );
    let free = market
        .client
        .post(CREATE, json!({ "input": wish(120), "key": "b" }))
        .await;
    free.payload("bookingCreate");
}

#[tokio::test(flavor = "multi_thread")]
async fn terms_are_frozen() {
    let market = Market::open().await;
    let id = market.requested(0).await;
    market
        .app
        .sql("UPDATE provider_services SET price_minor = 1, duration_minutes = 15; UPDATE providers SET cancellation_policy = 'STRICT';
              UPDATE services SET status = 'ARCHIVED'; DELETE FROM availabilities")
        .await;
    act(&market.provider, "Accept", &id, "expectedVersion: 1")
        .await
        .payload("bookingAccept");
    let query = format!(
        "{{ booking(id: \"{id}\") {{ price {{ amountMinor }} durationMinutes cancellationPolicy boundaryVersion
            client {{ displayName }} provider {{ displayName }} service {{ title }} }} }}"
    );
    let seen = market.client.query(&query).await;
    assert_eq!(
        seen.data()["booking"],
        json!({ "price": { "amountMinor": 5000 }, "durationMinutes": 60, "cancellationPolicy": "FLEXIBLE",
            "boundaryVersion": 1, "client": { "displayName": "Cleo" }, "provider": { "displayName": "Provider" },
            "service": { "title": "Walk" } })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_booking_shows_to_its_sides_and_staff_alone() {
    let market = Market::open().await;
    let id = market.requested(0).await;
    let other = market.app.client("Otto").await;
    let reader = market
        .app
        .user_with_permissions("Reader", &["bookings:read"])
        .await;
    let query = format!("{{ booking(id: \"{id}\") {{ id }} node(id: \"{id}\") {{ id }} }}");
    for (client, sees) in [
        (&market.client, true),
        (&market.provider, true),
        (&market.staff, true),
        (&reader, true),
        (&other, false),
    ] {
        let answer = client.query(&query).await;
        let wanted = if sees {
            json!({ "id": id })
        } else {
            json!(null)
        };
        assert_eq!(answer.data()["booking"], wanted, "{}", client.user_id);
        assert_eq!(answer.data()["node"], wanted, "{}", client.user_id);
    }
    let anonymous = market
        .app
        .anonymous()
        .query(&format!("{{ booking(id: \"{id}\") {{ id }} }}"))
        .await;
    assert_eq!(anonymous.error_code(), "FORBIDDEN");

    let cases = [
        (&other, "Accept", "", "NOT_FOUND"),
        (&market.client, "Accept", "", "NOT_ALLOWED"),
        (&market.staff, "Accept", "", "NOT_ALLOWED"),
        (
            &reader,
            "Cancel",
            "input: {}, idempotencyKey: \"k\"",
            "NOT_ALLOWED",
        ),
        (
            &other,
            "Cancel",
            "input: {}, idempotencyKey: \"k\"",
            "NOT_FOUND",
        ),
        (
            &market.provider,
            "Cancel",
            "input: {}, idempotencyKey: \"k\"",
            "INVALID_STATE",
        ),
        (
            &market.client,
            "Reject",
            "input: { reason: \"x\" }",
            "NOT_ALLOWED",
        ),
        (&market.staff, "Complete", "", "NOT_ALLOWED"),
        (&other, "NoShow", "", "NOT_FOUND"),
        (&market.provider, "Complete", "", "INVALID_STATE"),
        (&market.provider, "Accept", "expectedVersion: 7", "CONFLICT"),
    ];
    for (client, verb, arguments, code) in cases {
        let answer = act(client, verb, &id, arguments).await;
        assert_eq!(
            answer.user_error_codes(&format!("booking{verb}")),
            [code],
            "{verb}"
        );
    }
    for bad in ["bkg_x", &market.service_id, ""] {
        let answer = act(&market.provider, "Accept", bad, "").await;
        assert_eq!(
            answer.user_error_codes("bookingAccept"),
            ["NOT_FOUND"],
            "{bad}"
        );
        let answer = market
            .client
            .query(&format!("{{ booking(id: \"{bad}\") {{ id }} }}"))
            .await;
        assert_eq!(answer.data()["booking"], json!(null));
    }
    assert_eq!(market.app.count("booking_events").await, 1);
    assert_eq!(market.state(&id).await, "REQUESTED");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_show_each_side_its_own_and_filter_by_what_is_seen() {
    let market = Market::open().await;
    let mut ids = Vec::new();
    for minutes in [0, 60, 120] {
        ids.push(market.requested(minutes).await);
    }
    act(&market.provider, "Accept", &ids[1], "")
        .await
        .payload("bookingAccept");
    let mine = "query($states: [BookingState!], $after: String) { me {
        bookings(first: 2, after: $after, filter: { states: $states }) { nodes { id state } totalCount
            pageInfo { hasNextPage endCursor } }
        provider { bookings(filter: { states: $states }) { nodes { id } totalCount } } } }";
    let first = market.client.post(mine, json!({})).await;
    let list = &first.data()["me"]["bookings"];
    assert_eq!(list["totalCount"], 3);
    assert_eq!(
        list["nodes"],
        json!([{ "id": ids[2], "state": "REQUESTED" }, { "id": ids[1], "state": "ACCEPTED" }])
    );
    let second = market
        .client
        .post(mine, json!({ "after": list["pageInfo"]["endCursor"] }))
        .await;
    assert_eq!(
        second.data()["me"]["bookings"]["nodes"],
        json!([{ "id": ids[0], "state": "REQUESTED" }])
    );
    let theirs = market
        .provider
        .post(mine, json!({ "states": ["ACCEPTED"] }))
        .await;
    assert_eq!(theirs.data()["me"]["bookings"]["nodes"], json!([]));
    assert_eq!(
        theirs.data()["me"]["provider"]["bookings"]["nodes"],
        json!([{ "id": ids[1] }])
    );

    // Past the payment deadline, without the job: rule 8.
    market.app.app.clock.advance(SignedDuration::from_hours(2));
    let expired = market
        .client
        .post(mine, json!({ "states": ["EXPIRED"] }))
        .await;
    assert_eq!(
        expired.data()["me"]["bookings"]["nodes"],
        json!([{ "id": ids[1], "state": "EXPIRED" }])
    );
    let accepted = market
        .client
        .post(mine, json!({ "states": ["ACCEPTED"] }))
        .await;
    assert_eq!(accepted.data()["me"]["bookings"]["totalCount"], 0);

    let other = market.app.client("Otto").await;
    let public = format!(
        "{{ provider(id: \"{}\") {{ bookings {{ totalCount }} }} }}",
        market.provider_id
    );
    assert_eq!(
        other.query(&public).await.data()["provider"]["bookings"],
        json!(null)
    );
    let staff = format!(
        "{{ bookings(filter: {{ clientId: \"{}\", states: [EXPIRED, REQUESTED] }}) {{ nodes {{ id }} totalCount }} }}",
        market.client.user_id
    );
    let all = market.staff.query(&staff).await;
    assert_eq!(
        all.data()["bookings"]["nodes"],
        json!([{ "id": ids[2] }, { "id": ids[1] }, { "id": ids[0] }])
    );
    assert_eq!(other.query(&staff).await.error_code(), "FORBIDDEN");
    let none = market
        .staff
        .query("{ bookings(filter: { clientId: \"usr_x\" }) { nodes { id } } }")
        .await;
    assert_eq!(none.data()["bookings"]["nodes"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn viewer_actions_say_what_the_operations_do() {
    let market = Market::open().await;
    let id = market.requested(0).await;
    let query = format!(
        "{{ booking(id: \"{id}\") {{ viewerActions {{ action allowed reasonCode availableUntil }} }} }}"
    );
    let allowed = |answer: &super::support::Answer| -> Vec<String> {
        let actions = answer.data()["booking"]["viewerActions"]
            .as_array()
            .unwrap()
            .clone();
        actions
            .iter()
            .filter(|one| one["allowed"] == true)
            .map(|one| one["action"].as_str().unwrap().to_owned())
            .collect()
    };
    let client = market.client.query(&query).await;
    assert_eq!(allowed(&client), ["CANCEL"]);
    let deadline = json!(market.app.now() + SignedDuration::from_hours(24));
    assert_eq!(
        client.data()["booking"]["viewerActions"][2],
        json!({ "action": "CANCEL", "allowed": true, "reasonCode": null, "availableUntil": deadline })
    );
    assert_eq!(
        client.data()["booking"]["viewerActions"][0],
        json!({ "action": "ACCEPT", "allowed": false, "reasonCode": "NOT_ALLOWED", "availableUntil": null })
    );
    assert_eq!(
        allowed(&market.provider.query(&query).await),
        ["ACCEPT", "REJECT"]
    );
    assert_eq!(allowed(&market.staff.query(&query).await), ["CANCEL"]);
    market.app.app.clock.advance(SignedDuration::from_hours(24));
    assert!(allowed(&market.client.query(&query).await).is_empty());
    assert!(allowed(&market.provider.query(&query).await).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_answers_again_and_refuses_other_input() {
    let market = Market::open().await;
    let ask = |minutes| {
        let input = market.wish(market.at(minutes));
        let client = market.client.clone();
        async move {
            client
                .post(CREATE, json!({ "input": input, "key": "same" }))
                .await
        }
    };
    let first = ask(0).await;
    let second = ask(0).await;
    assert_eq!(
        first.payload("bookingCreate"),
        second.payload("bookingCreate")
    );
    assert_eq!(
        ask(60).await.user_error_codes("bookingCreate"),
        ["IDEMPOTENCY_KEY_REUSED"]
    );
    assert_eq!(market.app.count("bookings").await, 1);
    // Another person's key is another key.
    let other = market.app.client("Otto").await;
    let input = market.wish(market.at(60));
    other
        .post(CREATE, json!({ "input": input, "key": "same" }))
        .await
        .payload("bookingCreate");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_suspended_party_keeps_what_is_ahead() {
    for provider_is_out in [true, false] {
        let market = Market::open().await;
        let requested = market.requested(0).await;
        let confirmed = market.confirmed(60).await;
        let done = market.confirmed(120).await;
        let app = &market.app;
        app.sql(&format!(
            "UPDATE bookings SET starts_at = '{0}', ends_at = '{0}'::timestamptz + (ends_at - starts_at)
                 WHERE id = '{1}'",
            app.now(),
            uuid::<BookingId>(&done)
        ))
        .await;
        suspend(app, &market, provider_is_out).await;
        for id in [&requested, &confirmed] {
            assert_eq!(market.state(id).await, "CANCELLED");
        }
        assert_eq!(market.state(&done).await, "CONFIRMED");
        assert_eq!(app.count("held_times").await, 1);
        assert_eq!(
            app.count("booking_events WHERE action = 'SUSPEND'").await,
            2
        );
        suspend(app, &market, provider_is_out).await;
        assert_eq!(
            app.count("booking_events WHERE action = 'SUSPEND'").await,
            2
        );
    }
}

async fn suspend(app: &TestApp, market: &Market, provider_is_out: bool) {
    use companion::features::bookings::service;
    if provider_is_out {
        app.sql("UPDATE providers SET status = 'SUSPENDED'").await;
        let id = market.provider_id.parse().unwrap();
        service::cancel_for_suspended_provider(&app.app, id)
            .await
            .unwrap();
    } else {
        let user = uuid::<UserId>(&market.client.user_id);
        app.sql(&format!(
            "UPDATE users SET status = 'SUSPENDED' WHERE id = '{user}'"
        ))
        .await;
        service::cancel_for_suspended_user(&app.app, UserId(user))
            .await
            .unwrap();
    }
}
