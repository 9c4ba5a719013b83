//! Boundary rules: the version in force, its acknowledgement, the next version.

use futures_util::future::join_all;
use serde_json::json;

use super::support::TestApp;

const POLICY: &str = "{ boundaryPolicy { version text publishedAt acknowledged acknowledgedAt } }";
const ACKNOWLEDGE: &str = "mutation($version: Int!) { boundaryAcknowledge(version: $version) {
    boundaryPolicy { version acknowledged acknowledgedAt } userErrors { code field details } } }";
const PUBLISH: &str = "mutation($text: String!, $version: Int) {
    boundaryPolicyPublish(input: {text: $text}, expectedVersion: $version) {
        boundaryPolicy { version text acknowledged } userErrors { code field details } } }";

#[tokio::test(flavor = "multi_thread")]
async fn a_new_installation_has_rules_that_each_person_acknowledges() {
    let app = TestApp::start().await;
    let (mia, eve) = (app.user("Mia").await, app.user("Eve").await);
    let answer = app.anonymous().query(POLICY).await;
    let policy = &answer.data()["boundaryPolicy"];
    assert_eq!(
        (&policy["version"], &policy["acknowledged"]),
        (&json!(1), &json!(false))
    );
    assert!(policy["text"].as_str().unwrap().contains("Consent"));
    assert_eq!(answer.statements, 1);

    for _ in 0..2 {
        let answer = mia.post(ACKNOWLEDGE, json!({ "version": 1 })).await;
        assert_eq!(
            answer.payload("boundaryAcknowledge")["boundaryPolicy"],
            json!({ "version": 1, "acknowledged": true, "acknowledgedAt": "2026-11-21T12:00:00Z" })
        );
    }
    let answer = mia.query(POLICY).await;
    assert_eq!(answer.data()["boundaryPolicy"]["acknowledged"], true);
    assert_eq!(answer.statements, 1);
    assert_eq!(
        eve.query(POLICY).await.data()["boundaryPolicy"]["acknowledged"],
        false
    );
    let audit = "SELECT count(*) FROM audit_events WHERE action = 'boundary.acknowledge'";
    assert_eq!(app.number(audit).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_version_in_force_is_acknowledged() {
    let app = TestApp::start().await;
    let mia = app.user("Mia").await;
    let staff = app.user_with_roles("Ada", &["ADMIN"]).await;
    staff
        .post(PUBLISH, json!({ "text": "Two" }))
        .await
        .payload("boundaryPolicyPublish");
    for (version, code) in [
        (1, "CONFLICT"),
        (3, "NOT_FOUND"),
        (0, "NOT_FOUND"),
        (-1, "NOT_FOUND"),
    ] {
        let answer = mia.post(ACKNOWLEDGE, json!({ "version": version })).await;
        assert_eq!(
            answer.user_error_codes("boundaryAcknowledge"),
            [code],
            "{version}"
        );
        let field = &answer.data()["boundaryAcknowledge"]["userErrors"][0]["field"];
        assert_eq!(field, &json!(["version"]));
    }
    let refused = app
        .anonymous()
        .post(ACKNOWLEDGE, json!({ "version": 2 }))
        .await;
    assert_eq!(refused.error_code(), "FORBIDDEN");
    assert_eq!(
        app.number("SELECT count(*) FROM boundary_acknowledgements")
            .await,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_publish_the_next_version_and_everyone_has_to_acknowledge_again() {
    let app = TestApp::start().await;
    let mia = app.user("Mia").await;
    let staff = app.user_with_roles("Ada", &["ADMIN"]).await;
    mia.post(ACKNOWLEDGE, json!({ "version": 1 }))
        .await
        .payload("boundaryAcknowledge");
    for (text, version, code) in [
        ("", 1, "INVALID_INPUT"),
        ("a\u{0}b", 1, "INVALID_INPUT"),
        (&"x".repeat(20_001), 1, "INVALID_INPUT"),
        ("Two", 2, "CONFLICT"),
    ] {
        let answer = staff
            .post(PUBLISH, json!({ "text": text, "version": version }))
            .await;
        assert_eq!(answer.user_error_codes("boundaryPolicyPublish"), [code]);
    }
    assert_eq!(
        mia.post(PUBLISH, json!({ "text": "Two" }))
            .await
            .error_code(),
        "FORBIDDEN"
    );
    assert_eq!(
        app.number("SELECT count(*) FROM boundary_policies").await,
        1
    );
    let answer = staff
        .post(PUBLISH, json!({ "text": "Two\r\nlines", "version": 1 }))
        .await;
    assert_eq!(
        answer.payload("boundaryPolicyPublish")["boundaryPolicy"],
        json!({ "version": 2, "text": "Two\nlines", "acknowledged": false })
    );
    let policy = mia.query(POLICY).await;
    assert_eq!(policy.data()["boundaryPolicy"]["version"], 2);
    assert_eq!(policy.data()["boundaryPolicy"]["acknowledged"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_published_at_once_get_numbers_without_gaps_or_a_conflict() {
    let app = TestApp::start().await;
    let staff = app.user_with_roles("Ada", &["ADMIN"]).await;
    let answers = join_all((0..8).map(|_| staff.post(PUBLISH, json!({ "text": "Next" })))).await;
    let mut published = 0;
    for answer in &answers {
        let codes = answer.user_error_codes("boundaryPolicyPublish");
        assert!(codes.is_empty() || codes == ["CONFLICT"], "{codes:?}");
        published += i64::from(codes.is_empty());
    }
    assert!(published >= 1);
    let (count, newest) = (
        app.number("SELECT count(*) FROM boundary_policies").await,
        app.number("SELECT max(version) FROM boundary_policies")
            .await,
    );
    assert_eq!((count, newest), (1 + published, 1 + published));
}
