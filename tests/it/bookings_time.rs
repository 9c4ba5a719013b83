//! Deadlines, late money, proposals of another time, no-shows, and what cancelling costs.

use jiff::SignedDuration;
use serde_json::json;

use super::support::market::{Market, act, uuid};
use companion::{db::ids::UserId, features::bookings::service::PaidOutcome};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_answers_or_pays_expires_and_frees_its_time() {
    let market = Market::open().await;
    let unanswered = market.requested(0).await;
    let unpaid = market.accepted(60).await;
    market.app.advance(HOUR * 2).await;
    assert_eq!(market.state(&unanswered).await, "REQUESTED");
    assert_eq!(market.state(&unpaid).await, "EXPIRED");
    assert_eq!(market.app.count("held_times").await, 1);
    market.app.advance(HOUR * 22).await;
    assert_eq!(
        market.app.count("bookings WHERE state = 'EXPIRED'").await,
        2
    );
    assert_eq!(market.app.count("held_times").await, 0);
    assert_eq!(
        market
            .app
            .count("booking_events WHERE action = 'EXPIRE'")
            .await,
        2
    );
    // Late, twice: nothing more.
    market.app.advance(HOUR).await;
    assert_eq!(
        market
            .app
            .count("booking_events WHERE action = 'EXPIRE'")
            .await,
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn deadlines_hold_when_the_job_is_late() {
    let market = Market::open().await;
    let id = market.requested(0).await;
    market.app.app.clock.advance(HOUR * 24);
    assert_eq!(market.state(&id).await, "EXPIRED");
    for (client, verb, arguments) in [
        (&market.provider, "Accept", ""),
        (&market.provider, "Reject", "input: { reason: \"x\" }"),
        (&market.client, "Cancel", "input: {}, idempotencyKey: \"k\""),
    ] {
        let answer = act(client, verb, &id, arguments).await;
        let mutation = format!("booking{verb}");
        assert_eq!(
            answer.user_error_codes(&mutation),
            ["INVALID_STATE"],
            "{verb}"
        );
        assert_eq!(
            answer.data()[&mutation]["userErrors"][0]["details"],
            json!({ "state": "EXPIRED" })
        );
    }
    assert_eq!(
        market.app.count("bookings WHERE state = 'REQUESTED'").await,
        1
    );
    // Asking expires it first, in the same transaction.
    let other = market.app.client("Otto").await;
    market
        .ask(&other, market.at(0))
        .await
        .payload("bookingCreate");
    assert_eq!(
        market.app.count("bookings WHERE state = 'EXPIRED'").await,
        1
    );
    assert_eq!(market.app.count("held_times").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn late_money_takes_the_time_back_where_it_can() {
    for job_ran in [true, false] {
        let market = Market::open().await;
        let id = market.accepted(0).await;
        market.app.app.clock.advance(HOUR * 2);
        if job_ran {
            market.app.run_jobs().await;
        }
        assert_eq!(market.pay(&id).await, PaidOutcome::Confirmed);
        assert_eq!(market.state(&id).await, "CONFIRMED");
        assert_eq!(market.app.count("held_times").await, 1);
        assert_eq!(
            market
                .app
                .count("booking_events WHERE action IN ('EXPIRE', 'PAY')")
                .await,
            2
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn late_money_is_refunded_where_it_cannot() {
    type Obstacle = fn(&Market) -> String;
    let obstacles: [(&str, Obstacle); 6] = [
        ("no window", |_| "DELETE FROM availabilities".to_owned()),
        ("client suspended", |market| {
            let user = uuid::<UserId>(&market.client.user_id);
            format!("UPDATE users SET status = 'SUSPENDED' WHERE id = '{user}'")
        }),
        ("provider's person suspended", |market| {
            let user = uuid::<UserId>(&market.provider.user_id);
            format!("UPDATE users SET status = 'SUSPENDED' WHERE id = '{user}'")
        }),
        ("provider suspended", |_| {
            "UPDATE providers SET status = 'SUSPENDED'".to_owned()
        }),
        ("blocked", |market| {
            let client = uuid::<UserId>(&market.client.user_id);
            let provider = uuid::<UserId>(&market.provider.user_id);
            format!(
                "INSERT INTO user_blocks VALUES ('{client}', '{provider}', '{}')",
                market.opens
            )
        }),
        ("never accepted", |_| {
            "UPDATE bookings SET payment_deadline = NULL".to_owned()
        }),
    ];
    for (why, obstacle) in obstacles {
        let market = Market::open().await;
        let id = market.accepted(0).await;
        market.app.advance(HOUR * 2).await;
        market.app.sql(&obstacle(&market)).await;
        assert_eq!(market.pay(&id).await, PaidOutcome::RefundInFull, "{why}");
        assert_eq!(market.state(&id).await, "EXPIRED", "{why}");
        assert_eq!(market.app.count("held_times").await, 0, "{why}");
    }
    // Somebody else has the time, or it is too near.
    let market = Market::open().await;
    let id = market.accepted(0).await;
    market.app.advance(HOUR * 2).await;
    let other = market.app.client("Otto").await;
    market
        .ask(&other, market.at(30))
        .await
        .payload("bookingCreate");
    assert_eq!(market.pay(&id).await, PaidOutcome::RefundInFull);
    let market = Market::open().await;
    let id = market.accepted(0).await;
    market.app.advance(HOUR * 2).await;
    market.app.app.clock.set(market.at(-15));
    assert_eq!(market.pay(&id).await, PaidOutcome::Confirmed);
    let market = Market::open().await;
    let id = market.accepted(0).await;
    market.app.advance(HOUR * 2).await;
    market
        .app
        .app
        .clock
        .set(market.at(-15) + SignedDuration::from_micros(1));
    assert_eq!(market.pay(&id).await, PaidOutcome::RefundInFull);
    // After CANCELLED, always.
    let market = Market::open().await;
    let id = market.accepted(0).await;
    act(
        &market.client,
        "Cancel",
        &id,
        "input: {}, idempotencyKey: \"k\"",
    )
    .await
    .payload("bookingCancel");
    assert_eq!(market.pay(&id).await, PaidOutcome::RefundInFull);
    assert_eq!(market.state(&id).await, "CANCELLED");
}

#[tokio::test(flavor = "multi_thread")]
async fn expiry_against_payment_has_one_outcome_with_a_time_or_a_refund() {
    let market = Market::open().await;
    for round in 0..8 {
        let id = market.accepted((round % 7) * 60).await;
        market.app.app.clock.advance(HOUR * 2);
        let (outcome, ()) = tokio::join!(market.pay(&id), market.app.run_jobs());
        assert_eq!(outcome, PaidOutcome::Confirmed);
        assert_eq!(market.state(&id).await, "CONFIRMED");
        let held = format!(
            "held_times WHERE booking_id = '{}'",
            uuid::<companion::db::ids::BookingId>(&id)
        );
        assert_eq!(market.app.count(&held).await, 1);
        act(
            &market.client,
            "Cancel",
            &id,
            "input: {}, idempotencyKey: \"k\"",
        )
        .await;
        market.app.sql("DELETE FROM idempotency_keys").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_booking_completes_by_itself_a_day_after_its_end() {
    let market = Market::open().await;
    let id = market.confirmed(0).await;
    market
        .app
        .app
        .clock
        .set(market.at(60) + HOUR * 24 - SignedDuration::from_secs(1));
    market.app.run_jobs().await;
    assert_eq!(market.state(&id).await, "CONFIRMED");
    market.app.advance(HOUR).await;
    assert_eq!(market.state(&id).await, "COMPLETED");
    assert_eq!(
        market
            .app
            .count("bookings WHERE closed_by = 'SYSTEM'")
            .await,
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_time_is_proposed_held_and_agreed_to() {
    let market = Market::open().await;
    let id = market.confirmed(0).await;
    let to = |minutes: i64, key: &str| {
        format!(
            "input: {{ startsAt: \"{}\" }}, idempotencyKey: \"{key}\"",
            market.at(minutes)
        )
    };
    let proposed = act(&market.client, "Reschedule", &id, &to(30, "a")).await;
    let booking = &proposed.payload("bookingReschedule")["booking"];
    assert_eq!(booking["proposal"]["state"], "OPEN");
    assert_eq!(booking["proposal"]["proposedBy"], "CLIENT");
    assert_eq!(booking["startsAt"], json!(market.at(0)));
    assert_eq!(market.app.count("held_times").await, 2);
    let again = act(&market.client, "Reschedule", &id, &to(30, "a")).await;
    assert_eq!(
        again.payload("bookingReschedule"),
        proposed.payload("bookingReschedule")
    );
    let second = act(&market.provider, "Reschedule", &id, &to(120, "b")).await;
    assert_eq!(
        second.user_error_codes("bookingReschedule"),
        ["ALREADY_EXISTS"]
    );
    // Both times are taken for others.
    let other = market.app.client("Otto").await;
    for minutes in [0, 60] {
        let taken = market.ask(&other, market.at(minutes)).await;
        assert_eq!(taken.user_error_codes("bookingCreate"), ["SLOT_TAKEN"]);
    }
    let own = act(
        &market.client,
        "RescheduleAnswer",
        &id,
        "input: { accept: true }, idempotencyKey: \"c\"",
    )
    .await;
    assert_eq!(
        own.user_error_codes("bookingRescheduleAnswer"),
        ["NOT_ALLOWED"]
    );
    let yes = act(
        &market.provider,
        "RescheduleAnswer",
        &id,
        "input: { accept: true }, idempotencyKey: \"d\"",
    )
    .await;
    let booking = &yes.payload("bookingRescheduleAnswer")["booking"];
    assert_eq!(booking["startsAt"], json!(market.at(30)));
    assert_eq!(booking["endsAt"], json!(market.at(90)));
    assert_eq!(
        (&booking["state"], &booking["proposal"]["state"]),
        (&json!("CONFIRMED"), &json!("ACCEPTED"))
    );
    assert_eq!(
        market
            .app
            .count("held_times WHERE proposal_id IS NULL")
            .await,
        1
    );
    assert_eq!(market.app.count("held_times").await, 1);
    let late = act(
        &market.provider,
        "RescheduleAnswer",
        &id,
        "input: { accept: true }, idempotencyKey: \"e\"",
    )
    .await;
    assert_eq!(
        late.user_error_codes("bookingRescheduleAnswer"),
        ["INVALID_STATE"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_or_unanswered_proposal_changes_nothing_else() {
    let market = Market::open().await;
    let id = market.confirmed(0).await;
    let to = |minutes: i64, key: &str| {
        format!(
            "input: {{ startsAt: \"{}\" }}, idempotencyKey: \"{key}\"",
            market.at(minutes)
        )
    };
    act(&market.provider, "Reschedule", &id, &to(120, "a"))
        .await
        .payload("bookingReschedule");
    let no = act(
        &market.client,
        "RescheduleAnswer",
        &id,
        "input: { accept: false }, idempotencyKey: \"b\"",
    )
    .await;
    let booking = &no.payload("bookingRescheduleAnswer")["booking"];
    assert_eq!(
        (&booking["startsAt"], &booking["proposal"]["state"]),
        (&json!(market.at(0)), &json!("DECLINED"))
    );
    assert_eq!(market.app.count("held_times").await, 1);

    for job_ran in [false, true] {
        let market = Market::open().await;
        let id = market.confirmed(0).await;
        let key = format!("c{job_ran}");
        act(&market.provider, "Reschedule", &id, &to(120, &key))
            .await
            .payload("bookingReschedule");
        market.app.app.clock.advance(HOUR * 12);
        market.app.app.clock.advance(HOUR * 12);
        if job_ran {
            market.app.run_jobs().await;
            assert_eq!(market.app.count("held_times").await, 1);
        }
        let arguments = format!("input: {{ accept: true }}, idempotencyKey: \"{key}\"");
        let late = act(&market.client, "RescheduleAnswer", &id, &arguments).await;
        assert_eq!(
            late.user_error_codes("bookingRescheduleAnswer"),
            ["WINDOW_CLOSED"],
            "{job_ran}"
        );
        let seen = market
            .client
            .query(&format!(
                "{{ booking(id: \"{id}\") {{ startsAt proposal {{ state }} }} }}"
            ))
            .await;
        assert_eq!(
            seen.data()["booking"],
            json!({ "startsAt": market.at(0), "proposal": { "state": "EXPIRED" } })
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_is_refused_with_a_code_for_each_reason() {
    let market = Market::open().await;
    let requested = market.requested(240).await;
    let id = market.confirmed(0).await;
    let other = market.app.client("Otto").await;
    market
        .ask(&other, market.at(300))
        .await
        .payload("bookingCreate");
    let cases = [
        (&market.client, &requested, 60, "INVALID_STATE"),
        (&market.staff, &id, 60, "NOT_ALLOWED"),
        (&other, &id, 60, "NOT_FOUND"),
        (&market.client, &id, 0, "INVALID_INPUT"),
        (&market.client, &id, 7, "OUTSIDE_AVAILABILITY"),
        (&market.client, &id, 480, "OUTSIDE_AVAILABILITY"),
        (&market.client, &id, 300, "SLOT_TAKEN"),
        (&market.client, &id, 240, "OVERLAPS_OWN_BOOKING"),
    ];
    for (client, booking, minutes, code) in cases {
        let arguments = format!(
            "input: {{ startsAt: \"{}\" }}, idempotencyKey: \"k\"",
            market.at(minutes)
        );
        let answer = act(client, "Reschedule", booking, &arguments).await;
        assert_eq!(
            answer.user_error_codes("bookingReschedule"),
            [code],
            "{minutes}"
        );
    }
    // Within the last hour nobody could answer.
    market.app.app.clock.set(market.at(-60));
    let arguments = format!(
        "input: {{ startsAt: \"{}\" }}, idempotencyKey: \"k\"",
        market.at(120)
    );
    let late = act(&market.client, "Reschedule", &id, &arguments).await;
    assert_eq!(
        late.user_error_codes("bookingReschedule"),
        ["WINDOW_CLOSED"]
    );
    assert_eq!(market.app.count("booking_proposals").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_booking_that_ends_closes_its_proposal() {
    let market = Market::open().await;
    let id = market.confirmed(0).await;
    let to = format!(
        "input: {{ startsAt: \"{}\" }}, idempotencyKey: \"a\"",
        market.at(120)
    );
    act(&market.client, "Reschedule", &id, &to)
        .await
        .payload("bookingReschedule");
    let done = act(
        &market.provider,
        "Cancel",
        &id,
        "input: { reason: \"Ill\" }, idempotencyKey: \"b\"",
    )
    .await;
    let booking = &done.payload("bookingCancel")["booking"];
    assert_eq!(
        (&booking["state"], &booking["proposal"]["state"]),
        (&json!("CANCELLED"), &json!("CLOSED"))
    );
    assert_eq!(market.app.count("held_times").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quote_is_what_cancelling_then_costs() {
    let quote = "refundPercent refund { amountMinor } fee { amountMinor }";
    for (policy, hours_before, by_client) in [
        ("FLEXIBLE", 24, 100),
        ("FLEXIBLE", 23, 50),
        ("MODERATE", 47, 50),
        ("MODERATE", 23, 0),
        ("STRICT", 47, 0),
    ] {
        for client_cancels in [true, false] {
            let market = Market::open_with(policy, 101).await;
            let id = market.confirmed(60).await;
            market
                .app
                .app
                .clock
                .set(market.at(60) - HOUR * hours_before);
            let who = if client_cancels {
                &market.client
            } else {
                &market.provider
            };
            let asked = who
                .query(&format!(
                    "{{ bookingCancelQuote(id: \"{id}\") {{ {quote} }} }}"
                ))
                .await;
            let asked = asked.data()["bookingCancelQuote"].clone();
            let percent = if client_cancels { by_client } else { 100 };
            assert_eq!(asked["refundPercent"], percent, "{policy} {hours_before}");
            let cancel = format!(
                "mutation {{ bookingCancel(id: \"{id}\", input: {{}}, idempotencyKey: \"k\") {{
                    quote {{ {quote} }} userErrors {{ code }} }} }}"
            );
            let done = who.query(&cancel).await;
            assert_eq!(done.payload("bookingCancel")["quote"], asked);
            let again = who.query(&cancel).await;
            assert_eq!(again.payload("bookingCancel")["quote"], asked);
            let sum = asked["refund"]["amountMinor"].as_i64().unwrap()
                + asked["fee"]["amountMinor"].as_i64().unwrap();
            assert_eq!(sum, 101);
            if percent == 50 {
                // 50.5 kept rounds half to even; the remainder goes to the payer.
                assert_eq!(asked["fee"]["amountMinor"], 50);
            }
            let over = who
                .query(&format!(
                    "{{ bookingCancelQuote(id: \"{id}\") {{ {quote} }} }}"
                ))
                .await;
            assert_eq!(over.data()["bookingCancelQuote"], json!(null));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_staff_gave_back_before_is_not_given_back_twice() {
    let market = Market::open_with("FLEXIBLE", 1000).await;
    let id = market.accepted(60).await;
    let order = market.paid(&id).await;
    let staff = market.app.user_with_roles("Ada", &["ADMIN"]).await;
    let refund = "mutation($id: ID!) {
        refundCreate(orderId: $id, input: {amountMinor: 700, reason: \"Rain\"}, idempotencyKey: \"r\") {
            refund { id } userErrors { code } } }";
    staff
        .post(refund, json!({ "id": order }))
        .await
        .payload("refundCreate");
    // Half of 1000 would be 500, and 300 are left.
    market.app.app.clock.set(market.at(60) - HOUR * 2);
    let expected = json!({ "refundPercent": 50, "refund": { "amountMinor": 300 }, "fee": { "amountMinor": 0 } });
    let quote = "{ refundPercent refund { amountMinor } fee { amountMinor } }";
    let asked = format!("{{ bookingCancelQuote(id: \"{id}\") {quote} }}");
    let asked = market.client.query(&asked).await;
    assert_eq!(asked.data()["bookingCancelQuote"], expected);
    let cancel = format!(
        "mutation {{ bookingCancel(id: \"{id}\", input: {{}}, idempotencyKey: \"k\") {{
            quote {quote} booking {{ order {{ state refunded {{ amountMinor }} }} }} userErrors {{ code }} }} }}"
    );
    for _ in 0..2 {
        let done = market.client.query(&cancel).await;
        let done = done.payload("bookingCancel");
        assert_eq!(done["quote"], expected);
        assert_eq!(
            done["booking"]["order"],
            json!({ "state": "REFUNDED", "refunded": { "amountMinor": 1000 } })
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_is_cancelled_by_staff_alone() {
    let market = Market::open_with("FLEXIBLE", 101).await;
    let id = market.confirmed(60).await;
    let staff = market.app.user_with_roles("Ada", &["SUPPORT"]).await;
    market.app.app.clock.set(market.at(60) + HOUR);
    let cancel = "mutation($id: ID!) { bookingCancel(id: $id, input: {reason: \"x\"}, idempotencyKey: \"k\") {
        booking { state } userErrors { code } } }";
    for client in [&market.client, &market.provider] {
        let answer = client.post(cancel, json!({ "id": id })).await;
        assert_eq!(answer.user_error_codes("bookingCancel"), ["WINDOW_CLOSED"]);
        let actions = format!(
            "{{ booking(id: \"{id}\") {{ viewerActions {{ action allowed reasonCode }} }} }}"
        );
        let answer = client.query(&actions).await;
        let actions = answer.data()["booking"]["viewerActions"]
            .as_array()
            .unwrap();
        let cancel = actions
            .iter()
            .find(|one| one["action"] == "CANCEL")
            .unwrap();
        assert_eq!(cancel["allowed"], false);
        assert_eq!(cancel["reasonCode"], "WINDOW_CLOSED");
    }
    let answer = staff.post(cancel, json!({ "id": id })).await;
    assert_eq!(
        answer.payload("bookingCancel")["booking"]["state"],
        "CANCELLED"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_paid_nothing_refunded_and_only_who_may_gets_a_quote() {
    let market = Market::open().await;
    let id = market.requested(0).await;
    let query = format!(
        "{{ bookingCancelQuote(id: \"{id}\") {{ refundPercent refund {{ amountMinor }} fee {{ amountMinor }} }} }}"
    );
    let nothing = json!({ "refundPercent": 100, "refund": { "amountMinor": 0 }, "fee": { "amountMinor": 0 } });
    let other = market.app.client("Otto").await;
    assert_eq!(
        market.client.query(&query).await.data()["bookingCancelQuote"],
        nothing
    );
    assert_eq!(
        market.staff.query(&query).await.data()["bookingCancelQuote"],
        nothing
    );
    assert_eq!(
        market.provider.query(&query).await.data()["bookingCancelQuote"],
        json!(null)
    );
    assert_eq!(
        other.query(&query).await.data()["bookingCancelQuote"],
        json!(null)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_did_not_come_is_said_by_the_other_and_contested_once() {
    let market = Market::open().await;
    let id = market.confirmed(0).await;
    market
        .app
        .app
        .clock
        .set(market.at(15) - SignedDuration::from_secs(1));
    let early = act(&market.provider, "NoShow", &id, "expectedVersion: 3").await;
    assert_eq!(early.user_error_codes("bookingNoShow"), ["WINDOW_CLOSED"]);
    market.app.app.clock.set(market.at(15));
    let said = act(
        &market.provider,
        "NoShow",
        &id,
        "input: { reason: \"Nobody there\" }",
    )
    .await;
    let booking = &said.payload("bookingNoShow")["booking"];
    assert_eq!(
        (&booking["state"], &booking["absentSide"]),
        (&json!("NO_SHOW"), &json!("CLIENT"))
    );
    let again = act(&market.provider, "NoShow", &id, "expectedVersion: 4").await;
    assert_eq!(again.user_error_codes("bookingNoShow"), ["INVALID_STATE"]);
    let contrary = act(&market.client, "NoShow", &id, "expectedVersion: 4").await;
    let booking = &contrary.payload("bookingNoShow")["booking"];
    assert_eq!(
        (&booking["state"], &booking["absentSide"]),
        (&json!("NO_SHOW"), &json!("CLIENT"))
    );
    let attention =
        "{ bookings(filter: { needsAttention: true }) { nodes { id needsAttention } } }";
    let attention = market.staff.query(attention).await;
    assert_eq!(attention.data()["bookings"]["nodes"][0]["id"], json!(id));
    let hidden = market
        .client
        .query(&format!("{{ booking(id: \"{id}\") {{ needsAttention }} }}"))
        .await;
    assert_eq!(hidden.data()["booking"]["needsAttention"], json!(null));
    let third = act(&market.client, "NoShow", &id, "expectedVersion: 5").await;
    assert_eq!(third.user_error_codes("bookingNoShow"), ["INVALID_STATE"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_denies_what_the_provider_completed_and_its_review_hides() {
    let market = Market::open().await;
    let id = market.confirmed(0).await;
    market.app.app.clock.set(market.at(60));
    act(&market.provider, "Complete", &id, "expectedVersion: 3")
        .await
        .payload("bookingComplete");
    let booking = uuid::<companion::db::ids::BookingId>(&id);
    market
        .app
        .sql(&format!(
            "INSERT INTO reviews SELECT id, id, provider_id, client_id, 1, '', true, NULL, NULL, NULL, 1, starts_at, starts_at
             FROM bookings WHERE id = '{booking}'"
        ))
        .await;
    assert_eq!(
        market.app.count("providers WHERE rating_count = 1").await,
        1
    );
    let denied = act(&market.client, "NoShow", &id, "expectedVersion: 4").await;
    let seen = &denied.payload("bookingNoShow")["booking"];
    assert_eq!(
        (&seen["state"], &seen["absentSide"]),
        (&json!("NO_SHOW"), &json!("PROVIDER"))
    );
    assert_eq!(market.app.count("reviews WHERE visible").await, 0);
    let told = format!(
        "audit_events WHERE action = 'review.hide' AND target_kind = 'rev' AND target_id = '{booking}' AND actor_id = '{}'
            AND before->>'state' = 'VISIBLE' AND after->>'state' = 'HIDDEN' AND after->>'booking' = '{id}'",
        uuid::<companion::db::ids::UserId>(&market.client.user_id)
    );
    assert_eq!(market.app.count(&told).await, 1);
    assert_eq!(
        market.app.count("providers WHERE rating_count = 0").await,
        1
    );
    // Too late for a contrary claim.
    market.app.app.clock.set(market.at(60) + HOUR * 24);
    let late = act(&market.provider, "NoShow", &id, "expectedVersion: 5").await;
    assert_eq!(late.user_error_codes("bookingNoShow"), ["WINDOW_CLOSED"]);
}
