//! Reviews: who may, once, in time; replies, moderation, and the rating that follows.

use companion::db::ids::{BookingId, ProviderId};
use futures_util::future::join_all;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::support::{Answer, Client, TestApp};

const CREATE: &str = "mutation($booking: ID!, $rating: Int!, $comment: String!) {
    reviewCreate(bookingId: $booking, input: {rating: $rating, comment: $comment}) {
        review { id rating comment visible reply version author { displayName } }
        userErrors { code field details } } }";
const REPLY: &str = "mutation($id: ID!, $reply: String!, $version: Int) {
    reviewReply(id: $id, input: {reply: $reply}, expectedVersion: $version) {
        review { reply repliedAt version } userErrors { code field details } } }";
const MODERATE: &str = "mutation($id: ID!, $visible: Boolean!, $reason: String, $version: Int) {
    reviewModerate(id: $id, input: {visible: $visible, reason: $reason}, expectedVersion: $version) {
        review { visible hiddenReason version } userErrors { code field details } } }";
const LIST: &str = "query($of: ID!, $rating: Int, $first: Int, $after: String) {
    reviews(of: $of, rating: $rating, first: $first, after: $after) {
        nodes { rating author { displayName } } pageInfo { hasNextPage endCursor } } }";

async fn review(client: &Client, booking: BookingId, rating: i32) -> Answer {
    let variables =
        json!({ "booking": booking.to_string(), "rating": rating, "comment": "Good\r\nday" });
    client.post(CREATE, variables).await
}

async fn reviewed(client: &Client, booking: BookingId, rating: i32) -> String {
    let answer = review(client, booking, rating).await;
    answer.payload("reviewCreate")["review"]["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// That the provider's row says what the visible reviews say.
async fn assert_rating(app: &TestApp, provider: ProviderId, sum: i64, count: i64) {
    let id = provider.0;
    for (column, counted, expected) in [
        ("rating_sum", "coalesce(sum(rating), 0)", sum),
        ("rating_count", "count(*)", count),
    ] {
        let kept = app
            .number(&format!("SELECT {column} FROM providers WHERE id = '{id}'"))
            .await;
        let true_one = app
            .number(&format!(
                "SELECT {counted} FROM reviews WHERE provider_id = '{id}' AND visible"
            ))
            .await;
        assert_eq!((kept, true_one), (expected, expected), "{column}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_reviews_a_completed_booking_and_everyone_reads_it() {
    let app = TestApp::start().await;
    let (mia, pro) = (app.user("Mia").await, app.user("Pro").await);
    let provider = app.make_provider(&pro).await;
    let booking = app.make_completed(provider, &mia).await;
    let answer = review(&mia, booking, 4).await;
    let made = answer.payload("reviewCreate")["review"].clone();
    assert_eq!(made["comment"], "Good\nday");
    assert_eq!(
        (&made["visible"], &made["author"]["displayName"]),
        (&json!(true), &json!("Mia"))
    );
    assert_rating(&app, provider, 4, 1).await;
    let list = app
        .anonymous()
        .post(LIST, json!({ "of": provider.to_string() }))
        .await;
    assert_eq!(
        list.data()["reviews"]["nodes"],
        json!([{ "rating": 4, "author": { "displayName": "Mia" } }])
    );
    // Whether the provider is known, the page, the authors.
    assert_eq!(list.statements, 3);
    assert_eq!(
        app.number("SELECT count(*) FROM audit_events WHERE action = 'review.create'")
            .await,
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_review_is_refused_and_nothing_is_written() {
    let app = TestApp::start().await;
    let (mia, eve, pro) = (
        app.user("Mia").await,
        app.user("Eve").await,
        app.user("Pro").await,
    );
    let support = app.user_with_roles("Ada", &["ADMIN"]).await;
    let provider = app.make_provider(&pro).await;
    let booking = app.make_completed(provider, &mia).await;
    for (client, code) in [
        (&eve, "NOT_FOUND"),
        (&pro, "NOT_ALLOWED"),
        (&support, "NOT_ALLOWED"),
    ] {
        assert_eq!(
            review(client, booking, 4)
                .await
                .user_error_codes("reviewCreate"),
            [code]
        );
    }
    assert_eq!(
        review(&app.anonymous(), booking, 4).await.error_code(),
        "FORBIDDEN"
    );
    for id in ["", "bkg_01k4000000e008000000000001", &provider.to_string()] {
        let answer = mia
            .post(CREATE, json!({ "booking": id, "rating": 4, "comment": "" }))
            .await;
        assert_eq!(
            answer.user_error_codes("reviewCreate"),
            ["NOT_FOUND"],
            "{id}"
        );
        assert_eq!(
            answer.data()["reviewCreate"]["userErrors"][0]["field"],
            json!(["bookingId"])
        );
    }
    for rating in [0, 6, -1] {
        let comment = "x".repeat(2001);
        let variables =
            json!({ "booking": booking.to_string(), "rating": rating, "comment": comment });
        let answer = mia.post(CREATE, variables).await;
        // Both bad fields at once.
        assert_eq!(
            answer.user_error_codes("reviewCreate"),
            ["INVALID_INPUT", "INVALID_INPUT"]
        );
    }
    for state in [
        "REQUESTED",
        "ACCEPTED",
        "CONFIRMED",
        "NO_SHOW",
        "REJECTED",
        "CANCELLED",
        "EXPIRED",
    ] {
        let other = app.make_booking(provider, &mia, state, None).await;
        let answer = review(&mia, other, 4).await;
        assert_eq!(
            answer.user_error_codes("reviewCreate"),
            ["INVALID_STATE"],
            "{state}"
        );
        let details = &answer.data()["reviewCreate"]["userErrors"][0]["details"];
        assert_eq!(details, &json!({ "state": state }));
    }
    assert_rating(&app, provider, 0, 0).await;
    assert_eq!(
        app.number("SELECT count(*) FROM audit_events WHERE action LIKE 'review.%'")
            .await,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_window_is_thirty_days_to_the_second() {
    let app = TestApp::start().await;
    let (mia, pro) = (app.user("Mia").await, app.user("Pro").await);
    let provider = app.make_provider(&pro).await;
    let window = SignedDuration::from_hours(30 * 24);
    let last = app
        .make_booking(provider, &mia, "COMPLETED", Some(app.now() - window))
        .await;
    let late = app.now() - window - SignedDuration::from_secs(1);
    let late = app
        .make_booking(provider, &mia, "COMPLETED", Some(late))
        .await;
    reviewed(&mia, last, 5).await;
    assert_eq!(
        review(&mia, late, 5).await.user_error_codes("reviewCreate"),
        ["WINDOW_CLOSED"]
    );
    assert_rating(&app, provider, 5, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_reviews_of_one_booking_at_once_one_is_written() {
    let app = TestApp::start().await;
    let (mia, pro) = (app.user("Mia").await, app.user("Pro").await);
    let provider = app.make_provider(&pro).await;
    let booking = app.make_completed(provider, &mia).await;
    let answers = join_all((0..20).map(|_| review(&mia, booking, 3))).await;
    let codes: Vec<_> = answers
        .iter()
        .map(|answer| answer.user_error_codes("reviewCreate"))
        .collect();
    assert_eq!(codes.iter().filter(|codes| codes.is_empty()).count(), 1);
    assert_eq!(
        codes
            .iter()
            .filter(|codes| **codes == ["ALREADY_EXISTS"])
            .count(),
        19
    );
    assert_rating(&app, provider, 3, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rating_equals_the_visible_reviews_under_concurrent_reviews_and_moderation() {
    let app = TestApp::start().await;
    let pro = app.user("Pro").await;
    let staff = app.user_with_roles("Ada", &["MODERATOR"]).await;
    let provider = app.make_provider(&pro).await;
    let mut clients = Vec::new();
    for number in 0..10 {
        let client = app.user(&format!("C{number}")).await;
        let booking = app.make_completed(provider, &client).await;
        clients.push((client, booking, 1 + number % 5));
    }
    let ids = join_all(
        clients
            .iter()
            .map(|(client, booking, rating)| reviewed(client, *booking, *rating)),
    )
    .await;
    assert_rating(&app, provider, 30, 10).await;
    let decide = |id: &str, visible: bool| {
        let variables = json!({ "id": id, "visible": visible, "reason": if visible { Value::Null } else { json!("rude") } });
        staff.post(MODERATE, variables)
    };
    // Half are hidden, each by three moderators at once; one of them wins.
    let hidden = join_all(
        ids.iter()
            .take(5)
            .flat_map(|id| (0..3).map(|_| decide(id, false))),
    )
    .await;
    let won = hidden
        .iter()
        .filter(|answer| answer.user_error_codes("reviewModerate").is_empty())
        .count();
    let lost = hidden
        .iter()
        .filter(|answer| answer.user_error_codes("reviewModerate") == ["INVALID_STATE"])
        .count();
    assert_eq!((won, lost), (5, 10));
    assert_rating(&app, provider, 15, 5).await;
    for answer in join_all(ids.iter().take(5).map(|id| decide(id, true))).await {
        let review = &answer.payload("reviewModerate")["review"];
        assert_eq!(
            (&review["visible"], &review["hiddenReason"]),
            (&json!(true), &json!(null))
        );
    }
    assert_rating(&app, provider, 30, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_review_is_seen_by_its_author_and_moderators_alone() {
    let app = TestApp::start().await;
    let (mia, eve, pro) = (
        app.user("Mia").await,
        app.user("Eve").await,
        app.user("Pro").await,
    );
    let staff = app.user_with_roles("Ada", &["MODERATOR"]).await;
    let provider = app.make_provider(&pro).await;
    let booking = app.make_completed(provider, &mia).await;
    let id = reviewed(&mia, booking, 2).await;
    for (variables, code) in [
        (json!({ "id": id, "visible": false }), "INVALID_INPUT"),
        (
            json!({ "id": id, "visible": false, "reason": "" }),
            "INVALID_INPUT",
        ),
        (json!({ "id": id, "visible": true }), "INVALID_STATE"),
        (
            json!({ "id": id, "visible": false, "reason": "rude", "version": 9 }),
            "CONFLICT",
        ),
        (
            json!({ "id": "rev_x", "visible": false, "reason": "rude" }),
            "NOT_FOUND",
        ),
    ] {
        assert_eq!(
            staff
                .post(MODERATE, variables)
                .await
                .user_error_codes("reviewModerate"),
            [code]
        );
    }
    let hide = json!({ "id": id, "visible": false, "reason": "rude", "version": 1 });
    for client in [&mia, &pro] {
        assert_eq!(
            client.post(MODERATE, hide.clone()).await.error_code(),
            "FORBIDDEN"
        );
    }
    assert_rating(&app, provider, 2, 1).await;
    staff.post(MODERATE, hide).await.payload("reviewModerate");
    assert_rating(&app, provider, 0, 0).await;

    let node = format!("{{ node(id: \"{id}\") {{ ... on Review {{ visible hiddenReason }} }} }}");
    for client in [&mia, &staff] {
        let answer = client.query(&node).await;
        assert_eq!(
            answer.data()["node"],
            json!({ "visible": false, "hiddenReason": "rude" })
        );
    }
    for client in [&eve, &pro, &app.anonymous()] {
        assert_eq!(client.query(&node).await.data()["node"], json!(null));
    }
    let of_booking =
        format!("{{ booking(id: \"{booking}\") {{ review {{ id booking {{ id }} }} }} }}");
    for client in [&mia, &staff] {
        let answer = client.query(&of_booking).await;
        let review = json!({ "id": id, "booking": { "id": booking.to_string() } });
        assert_eq!(answer.data()["booking"]["review"], review);
    }
    let answer = pro.query(&of_booking).await;
    assert_eq!(answer.data()["booking"], json!({ "review": null }));
    for client in [&mia, &eve, &staff] {
        let list = client
            .post(LIST, json!({ "of": provider.to_string() }))
            .await;
        assert_eq!(list.data()["reviews"]["nodes"], json!([]));
    }
    let reply = pro.post(REPLY, json!({ "id": id, "reply": "No" })).await;
    assert_eq!(reply.user_error_codes("reviewReply"), ["NOT_FOUND"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_leads_to_its_provider_and_for_its_sides_to_its_booking() {
    let app = TestApp::start().await;
    let (mia, eve, pro) = (
        app.user("Mia").await,
        app.user("Eve").await,
        app.user("Pro").await,
    );
    let support = app.user_with_roles("Ada", &["SUPPORT"]).await;
    let provider = app.make_provider(&pro).await;
    for rating in [2, 3, 4] {
        reviewed(&mia, app.make_completed(provider, &mia).await, rating).await;
    }
    let list = format!(
        "{{ reviews(of: \"{provider}\") {{ nodes {{ provider {{ id }} booking {{ review {{ rating }} }} }} }} }}"
    );
    for (client, sees_booking) in [
        (&mia, true),
        (&pro, true),
        (&support, true),
        (&eve, false),
        (&app.anonymous(), false),
    ] {
        client.query("{ me { id } }").await;
        let answer = client.query(&list).await;
        let node = |rating: i32| {
            let booking = sees_booking.then(|| json!({ "review": { "rating": rating } }));
            json!({ "provider": { "id": provider.to_string() }, "booking": booking })
        };
        let nodes = json!([node(4), node(3), node(2)]);
        assert_eq!(answer.data()["reviews"]["nodes"], nodes);
        // Whether the provider is known, the page, the providers, the bookings, and their reviews.
        assert_eq!(answer.statements, if sees_booking { 5 } else { 4 });
    }
    app.sql("UPDATE providers SET status = 'SUSPENDED'").await;
    let node = "{ me { bookings { nodes { provider { id } review { provider { id } } } } } }";
    let answer = mia.query(node).await;
    let booking = &answer.data()["me"]["bookings"]["nodes"][0];
    assert_eq!(booking["provider"]["id"], provider.to_string());
    assert_eq!(booking["review"]["provider"], json!(null));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_moderates_a_review_by_them_or_of_them() {
    let app = TestApp::start().await;
    let (mia, pro) = (
        app.user_with_roles("Mia", &["USER", "MODERATOR"]).await,
        app.user_with_roles("Pro", &["USER", "MODERATOR"]).await,
    );
    let provider = app.make_provider(&pro).await;
    let id = reviewed(&mia, app.make_completed(provider, &mia).await, 1).await;
    for client in [&mia, &pro] {
        let answer = client
            .post(
                MODERATE,
                json!({ "id": id, "visible": false, "reason": "x" }),
            )
            .await;
        assert_eq!(answer.user_error_codes("reviewModerate"), ["SELF_ACTION"]);
    }
    assert_rating(&app, provider, 1, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_replies_and_edits_the_reply() {
    let app = TestApp::start().await;
    let (mia, eve, pro) = (
        app.user("Mia").await,
        app.user("Eve").await,
        app.user("Pro").await,
    );
    let provider = app.make_provider(&pro).await;
    let id = reviewed(&mia, app.make_completed(provider, &mia).await, 2).await;
    for (client, reply, version, code) in [
        (&pro, "", json!(null), "INVALID_INPUT"),
        (&pro, &*"x".repeat(2001), json!(null), "INVALID_INPUT"),
        (&pro, "Thanks", json!(5), "CONFLICT"),
        (&mia, "Thanks", json!(null), "NOT_ALLOWED"),
        (&eve, "Thanks", json!(null), "NOT_ALLOWED"),
    ] {
        let answer = client
            .post(
                REPLY,
                json!({ "id": id, "reply": reply, "version": version }),
            )
            .await;
        assert_eq!(answer.user_error_codes("reviewReply"), [code]);
    }
    let anonymous = app
        .anonymous()
        .post(REPLY, json!({ "id": id, "reply": "Thanks" }))
        .await;
    assert_eq!(anonymous.error_code(), "FORBIDDEN");
    assert_eq!(
        app.number("SELECT count(*) FROM reviews WHERE reply IS NOT NULL")
            .await,
        0
    );
    for (version, reply) in [(1, "Thanks"), (2, "Thank you")] {
        let answer = pro
            .post(
                REPLY,
                json!({ "id": id, "reply": reply, "version": version }),
            )
            .await;
        assert_eq!(
            answer.payload("reviewReply")["review"],
            json!({ "reply": reply, "repliedAt": "2026-11-21T12:00:00Z", "version": version + 1 })
        );
    }
    let trail = "audit_events a WHERE action = 'review.reply' AND after->'changed' = '[\"reply\"]'";
    assert_eq!(app.count(trail).await, 2);
    let typed = "audit_events a WHERE a::text LIKE '%Thank%'";
    assert_eq!(app.count(typed).await, 0);
    app.sql("UPDATE providers SET status = 'SUSPENDED'").await;
    let answer = pro.post(REPLY, json!({ "id": id, "reply": "Now" })).await;
    assert_eq!(answer.user_error_codes("reviewReply"), ["INVALID_STATE"]);
    let list = eve.post(LIST, json!({ "of": provider.to_string() })).await;
    assert_eq!(list.data()["reviews"]["nodes"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn reviews_come_in_pages_by_rating_the_newest_first() {
    let app = TestApp::start().await;
    let (mia, pro) = (app.user("Mia").await, app.user("Pro").await);
    let provider = app.make_provider(&pro).await;
    for rating in [1, 2, 3, 4, 5, 5, 5] {
        reviewed(&mia, app.make_completed(provider, &mia).await, rating).await;
        app.app.clock.advance(SignedDuration::from_secs(1));
    }
    let of = provider.to_string();
    let mut found = Vec::new();
    let mut after = Value::Null;
    loop {
        let answer = mia
            .post(LIST, json!({ "of": of, "first": 3, "after": after }))
            .await;
        let page = &answer.data()["reviews"];
        found.extend(
            page["nodes"]
                .as_array()
                .unwrap()
                .iter()
                .map(|node| node["rating"].as_i64().unwrap()),
        );
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
    assert_eq!(found, [5, 5, 5, 4, 3, 2, 1]);
    let fives = mia.post(LIST, json!({ "of": of, "rating": 5 })).await;
    assert_eq!(
        fives.data()["reviews"]["nodes"].as_array().unwrap().len(),
        3
    );
    let counted = "query($of: ID!) { reviews(of: $of, rating: 5, last: 1) { totalCount nodes { rating } pageInfo { hasPreviousPage } } }";
    let counted = mia.post(counted, json!({ "of": of })).await;
    assert_eq!(
        counted.data()["reviews"],
        json!({ "totalCount": 3, "nodes": [{ "rating": 5 }], "pageInfo": { "hasPreviousPage": true } })
    );
    assert_eq!(counted.statements, 3);
    // Pages of several sizes at once, in the fields of one provider and of itself.
    let sizes: String = (1..=8)
        .map(|size| {
            format!(
                "r{size}: reviews(first: {size}) {{ nodes {{ id }} pageInfo {{ hasNextPage }} }}"
            )
        })
        .collect();
    let several = format!(
        "query($of: ID!) {{ provider(id: $of) {{ {sizes} }} unplanned: provider(id: $of) {{ media {{ id }} {sizes} }} }}"
    );
    let several = mia.post(&several, json!({ "of": of })).await;
    for size in 1..=8 {
        for provider in ["provider", "unplanned"] {
            let page = &several.data()[provider][format!("r{size}")];
            let found = page["nodes"].as_array().unwrap().len();
            let more = &page["pageInfo"]["hasNextPage"];
            assert_eq!((found, more), (size.min(7), &json!(size < 7)), "{size}");
        }
    }
    for bad in [
        json!({ "of": of, "rating": 6 }),
        json!({ "of": of, "first": 0 }),
        json!({ "of": of, "after": "x" }),
    ] {
        assert_eq!(mia.post(LIST, bad).await.error_code(), "BAD_REQUEST");
    }
    for nobody in ["", "prv_01k4000000e008000000000001", &mia.user_id] {
        let answer = mia.post(LIST, json!({ "of": nobody })).await;
        assert_eq!(answer.data()["reviews"]["nodes"], json!([]), "{nobody}");
    }
}
