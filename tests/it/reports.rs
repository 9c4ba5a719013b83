//! Reports to staff.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::support::{Client, TestApp};

const CREATE: &str = "mutation($target: ReportTargetInput!, $reason: ReportReason!, $details: String!) {
    reportCreate(input: {target: $target, reason: $reason, details: $details}) {
        report { id state reason details reporter { displayName } user { displayName } review { id } version }
        userErrors { code field } } }";
const RESOLVE: &str = "mutation($id: ID!, $decision: ReportDecision!, $text: String!, $version: Int) {
    reportResolve(id: $id, input: {decision: $decision, resolution: $text}, expectedVersion: $version) {
        report { state resolution resolvedAt resolvedBy { displayName } reporter { displayName } details version }
        userErrors { code field details } } }";
const QUEUE: &str = "query($filter: ReportFilter) { reports(filter: $filter) {
    nodes { reporter { displayName } user { displayName } booking { id } review { id } state } totalCount } }";
const MINE: &str = "{ me { reports { nodes { id state details resolution reporter { id } resolvedBy { id } } } } }";

async fn report(client: &Client, target: Value) -> super::support::Answer {
    let variables = json!({ "target": target, "reason": "SPAM", "details": "look" });
    client.post(CREATE, variables).await
}

async fn reported(client: &Client, target: Value) -> String {
    let answer = report(client, target).await;
    answer.payload("reportCreate")["report"]["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_a_booking_and_a_review_are_reported_and_the_reporter_stays_hidden() {
    let app = TestApp::start().await;
    let (mia, eve, pro) = (
        app.user("Mia").await,
        app.user("Eve").await,
        app.user("Pro").await,
    );
    let provider = app.make_provider(&pro).await;
    let booking = app.make_completed(provider, &mia).await;
    let answer = report(&eve, json!({ "userId": mia.user_id })).await;
    let made = &answer.payload("reportCreate")["report"];
    assert_eq!(made["user"]["displayName"], "Mia");
    // Rule 19: staff alone, not even the reporter's own answer.
    assert_eq!(made["reporter"], json!(null));
    reported(&mia, json!({ "bookingId": booking.to_string() })).await;
    let review = mia
        .query(&format!("mutation {{ reviewCreate(bookingId: \"{booking}\", input: {{rating: 1}}) {{ review {{ id }} userErrors {{ code }} }} }}"))
        .await;
    let review = review.payload("reviewCreate")["review"]["id"].clone();
    reported(&pro, json!({ "reviewId": review })).await;

    let staff = app.user_with_roles("Ada", &["MODERATOR"]).await;
    // A new session's rights are read once.
    staff.query("{ me { id } }").await.data();
    let answer = staff.post(QUEUE, json!({})).await;
    let queue = &answer.data()["reports"];
    assert_eq!(queue["totalCount"], 3);
    let mut reporters: Vec<_> = queue["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| node["reporter"]["displayName"].as_str().unwrap().to_owned())
        .collect();
    reporters.sort();
    assert_eq!(reporters, ["Eve", "Mia", "Pro"]);
    let bookings: Vec<_> = queue["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|node| node["booking"]["id"].as_str())
        .collect();
    assert_eq!(bookings, [booking.to_string()]);
    // The page, the count, the people (reporters and reported in one), the bookings, the reviews.
    assert_eq!(answer.statements, 5);
    for client in [&mia, &eve, &pro] {
        assert_eq!(
            client.post(QUEUE, json!({})).await.error_code(),
            "FORBIDDEN"
        );
        let mine = client.query(MINE).await;
        assert_eq!(
            mine.data()["me"]["reports"]["nodes"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
        assert_eq!(
            mine.data()["me"]["reports"]["nodes"][0]["reporter"],
            json!(null)
        );
    }
    assert_eq!(
        app.anonymous().post(QUEUE, json!({})).await.error_code(),
        "FORBIDDEN"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_reported_is_refused_and_leaves_nothing() {
    let app = TestApp::start().await;
    let (mia, eve, pro) = (
        app.user("Mia").await,
        app.user("Eve").await,
        app.user("Pro").await,
    );
    let provider = app.make_provider(&pro).await;
    let booking = app.make_completed(provider, &mia).await;
    let review = mia
        .query(&format!("mutation {{ reviewCreate(bookingId: \"{booking}\", input: {{rating: 1}}) {{ review {{ id }} userErrors {{ code }} }} }}"))
        .await;
    let review = review.payload("reviewCreate")["review"]["id"].clone();
    app.sql("UPDATE reviews SET visible = false, hidden_reason = 'x'")
        .await;
    for (client, target, code, field) in [
        (
            &mia,
            json!({ "userId": mia.user_id }),
            "SELF_ACTION",
            "userId",
        ),
        (
            &mia,
            json!({ "reviewId": review }),
            "SELF_ACTION",
            "reviewId",
        ),
        (&mia, json!({ "userId": "usr_x" }), "NOT_FOUND", "userId"),
        (
            &mia,
            json!({ "userId": booking.to_string() }),
            "NOT_FOUND",
            "userId",
        ),
        (
            &eve,
            json!({ "bookingId": booking.to_string() }),
            "NOT_FOUND",
            "bookingId",
        ),
        (&eve, json!({ "reviewId": review }), "NOT_FOUND", "reviewId"),
    ] {
        let answer = report(client, target.clone()).await;
        assert_eq!(answer.user_error_codes("reportCreate"), [code], "{target}");
        let error = &answer.data()["reportCreate"]["userErrors"][0];
        assert_eq!(error["field"], json!(["input", "target", field]));
    }
    for (reason, details) in [
        ("OTHER", ""),
        ("SPAM", "a\u{7}"),
        ("SPAM", &"x".repeat(4001)),
    ] {
        let target = json!({ "userId": eve.user_id });
        let answer = mia
            .post(
                CREATE,
                json!({ "target": target, "reason": reason, "details": details }),
            )
            .await;
        assert_eq!(answer.user_error_codes("reportCreate"), ["INVALID_INPUT"]);
    }
    let both = json!({ "userId": eve.user_id, "bookingId": booking.to_string() });
    assert_eq!(report(&mia, both).await.error_code(), "BAD_REQUEST");
    assert_eq!(
        report(&app.anonymous(), json!({ "userId": eve.user_id }))
            .await
            .error_code(),
        "FORBIDDEN"
    );
    assert_eq!(app.number("SELECT count(*) FROM reports").await, 0);
    assert_eq!(
        app.number("SELECT count(*) FROM audit_events WHERE action LIKE 'report.%'")
            .await,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_reports_of_one_person_about_one_thing_at_once_one_is_open() {
    let app = TestApp::start().await;
    let (mia, eve) = (app.user("Mia").await, app.user("Eve").await);
    let answers = join_all((0..10).map(|_| report(&mia, json!({ "userId": eve.user_id })))).await;
    let made = answers
        .iter()
        .filter(|answer| answer.user_error_codes("reportCreate").is_empty())
        .count();
    let refused = answers
        .iter()
        .filter(|answer| answer.user_error_codes("reportCreate") == ["ALREADY_EXISTS"])
        .count();
    assert_eq!((made, refused), (1, 9));
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_decide_a_report_once_and_not_one_that_concerns_them() {
    let app = TestApp::start().await;
    let (mia, eve) = (app.user("Mia").await, app.user("Eve").await);
    let staff = app.user_with_roles("Ada", &["MODERATOR"]).await;
    let id = reported(&mia, json!({ "userId": eve.user_id })).await;
    let decide = |version: Value, text: &str| json!({ "id": id, "decision": "DISMISSED", "text": text, "version": version });
    for (variables, code) in [
        (decide(json!(1), ""), "INVALID_INPUT"),
        (decide(json!(7), "done"), "CONFLICT"),
        (
            json!({ "id": "rep_x", "decision": "DISMISSED", "text": "done" }),
            "NOT_FOUND",
        ),
    ] {
        let answer = staff.post(RESOLVE, variables).await;
        assert_eq!(answer.user_error_codes("reportResolve"), [code]);
    }
    assert_eq!(
        mia.post(RESOLVE, decide(json!(1), "done"))
            .await
            .error_code(),
        "FORBIDDEN"
    );
    let about_staff = reported(&mia, json!({ "userId": staff.user_id })).await;
    let by_staff = reported(&staff, json!({ "userId": mia.user_id })).await;
    for id in [&about_staff, &by_staff] {
        let answer = staff
            .post(
                RESOLVE,
                json!({ "id": id, "decision": "DISMISSED", "text": "done" }),
            )
            .await;
        assert_eq!(answer.user_error_codes("reportResolve"), ["SELF_ACTION"]);
    }
    assert_eq!(
        app.number("SELECT count(*) FROM reports WHERE state = 'OPEN'")
            .await,
        3
    );

    let answers = join_all((0..6).map(|_| staff.post(RESOLVE, decide(json!(null), "done")))).await;
    let mut done = 0;
    for answer in &answers {
        let codes = answer.user_error_codes("reportResolve");
        assert!(codes.is_empty() || codes == ["INVALID_STATE"], "{codes:?}");
        done += i32::from(codes.is_empty());
        if codes.is_empty() {
            let report = &answer.payload("reportResolve")["report"];
            assert_eq!(report["resolvedBy"]["displayName"], "Ada");
            assert_eq!(report["reporter"]["displayName"], "Mia");
            assert_eq!(
                (&report["state"], &report["version"]),
                (&json!("DISMISSED"), &json!(2))
            );
        }
    }
    assert_eq!(done, 1);
    assert_eq!(
        app.number(
            "SELECT count(*) FROM audit_events WHERE action = 'report.resolve' AND outcome = 'DONE'"
        )
        .await,
        1
    );
    // Those who reached for a report that concerns them are written down.
    assert_eq!(
        app.number("SELECT count(*) FROM audit_events WHERE action = 'report.resolve' AND after->>'code' = 'SELF_ACTION'")
            .await,
        2
    );
    // The reporter learns that it is decided, not what staff wrote or who.
    let mine = mia.query(MINE).await;
    let node = mine.data()["me"]["reports"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|node| node["id"] == id)
        .unwrap()
        .clone();
    assert_eq!(node["state"], "DISMISSED");
    assert_eq!(
        (&node["resolution"], &node["resolvedBy"]),
        (&json!(null), &json!(null))
    );
    // It may be reported anew.
    reported(&mia, json!({ "userId": eve.user_id })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_found_by_its_id_by_its_reporter_and_by_staff_alone() {
    let app = TestApp::start().await;
    let (mia, eve) = (app.user("Mia").await, app.user("Eve").await);
    let staff = app.user_with_roles("Ada", &["MODERATOR"]).await;
    let id = reported(&mia, json!({ "userId": eve.user_id })).await;
    let node =
        format!("{{ node(id: \"{id}\") {{ id ... on Report {{ reporter {{ displayName }} }} }} }}");
    assert_eq!(
        mia.query(&node).await.data()["node"],
        json!({ "id": id, "reporter": null })
    );
    assert_eq!(
        staff.query(&node).await.data()["node"]["reporter"]["displayName"],
        "Mia"
    );
    for client in [&eve, &app.anonymous()] {
        assert_eq!(client.query(&node).await.data()["node"], json!(null));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_is_filtered_and_paged_the_oldest_first() {
    let app = TestApp::start().await;
    let mia = app.user("Mia").await;
    let staff = app.user_with_roles("Ada", &["MODERATOR"]).await;
    for number in 0..5 {
        let other = app.user(&format!("P{number}")).await;
        let id = reported(&mia, json!({ "userId": other.user_id })).await;
        app.app.clock.advance(jiff::SignedDuration::from_mins(1));
        if number % 2 == 0 {
            let decision = json!({ "id": id, "decision": "ACTION_TAKEN", "text": "done" });
            staff.post(RESOLVE, decision).await.payload("reportResolve");
        }
    }
    let query = "query($filter: ReportFilter, $first: Int, $after: String, $last: Int, $before: String) {
        reports(filter: $filter, first: $first, after: $after, last: $last, before: $before) {
            nodes { user { displayName } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }";
    let names = |answer: &super::support::Answer| -> Vec<String> {
        answer.data()["reports"]["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|node| node["user"]["displayName"].as_str().unwrap().to_owned())
            .collect()
    };
    let first = staff.post(query, json!({ "first": 2 })).await;
    assert_eq!(names(&first), ["P0", "P1"]);
    let after = &first.data()["reports"]["pageInfo"]["endCursor"];
    let second = staff
        .post(query, json!({ "first": 2, "after": after }))
        .await;
    assert_eq!(names(&second), ["P2", "P3"]);
    let before = &second.data()["reports"]["pageInfo"]["startCursor"];
    let back = staff
        .post(query, json!({ "last": 1, "before": before }))
        .await;
    assert_eq!(names(&back), ["P1"]);
    assert_eq!(back.data()["reports"]["pageInfo"]["hasPreviousPage"], true);
    let open = staff
        .post(query, json!({ "filter": { "state": "OPEN" } }))
        .await;
    assert_eq!(names(&open), ["P1", "P3"]);
    let fraud = staff
        .post(query, json!({ "filter": { "reason": "FRAUD" } }))
        .await;
    assert!(names(&fraud).is_empty());
}
