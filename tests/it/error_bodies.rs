//! What errors look like, whole, as a frontend gets them: snapshots, in which alone the request id is left out.

use insta::{Settings, assert_json_snapshot};
use serde_json::{Value, json};

use super::support::TestApp;

/// Checks the form of a request id and leaves it out.
fn settings() -> Settings {
    let mut settings = Settings::new();
    settings.add_dynamic_redaction(".**.requestId", |id, _| {
        let id = id.as_str().unwrap().to_owned();
        assert!(uuid::Uuid::parse_str(&id).is_ok(), "{id}");
        insta::internals::Content::from("[request id]")
    });
    settings.set_sort_maps(true);
    settings
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_caller_did_wrong() {
    let app = TestApp::start().await;
    let mia = app.user("Mia").await;
    let bodies = [
        mia.query("{ me { id }").await.body,
        mia.query("{ nothing }").await.body,
        mia.post("query($id: ID!) { provider(id: $id) { id } }", json!({}))
            .await
            .body,
        mia.query("{ providerApplications { nodes { id } } }")
            .await
            .body,
        mia.with_token("a.b.c").query("{ me { id } }").await.body,
        mia.query("{ providers(first: 100) { nodes { reviews(first: 100) { nodes { id } } } } }")
            .await
            .body,
        mia.query("{ providers(first: 101) { nodes { id } } }")
            .await
            .body,
    ];
    settings().bind(|| {
        assert_json_snapshot!(bodies);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_user_did_wrong() {
    let app = TestApp::start().await;
    let mia = app.user("Mia").await;
    let apply = "mutation { providerApply(input: {displayName: \" \", cityId: \"x\", timeZone: \"Mars/Base\",
        headline: \"a\\nb\"}) { provider { id } userErrors { code message field details } } }";
    let booking =
        "mutation { bookingCancel(id: \"bkg_x\", input: {reason: \"no\"}, idempotencyKey: \"k\") {
        booking { id } userErrors { code message field details } } }";
    let bodies = [mia.query(apply).await.body, mia.query(booking).await.body];
    settings().bind(|| {
        assert_json_snapshot!(bodies);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_rest_side_answers() {
    let app = TestApp::start().await;
    let http = app.anonymous();
    let post = async |path: &str, kind: &str, body: &'static str| -> Value {
        let request = http
            .http()
            .post(http.url(path))
            .header("content-type", kind);
        request
            .body(body)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    };
    let bodies = [
        post("/nothing", "application/json", "{}").await,
        post("/v1/auth/telegram", "text/plain", "x").await,
        post("/v1/auth/telegram", "application/json", "{}").await,
        post("/v1/auth/telegram", "application/json", "[\"a=b\"]").await,
        post(
            "/v1/auth/telegram",
            "application/json",
            "{\"initData\": \"a=b\"}",
        )
        .await,
        post("/v1/payments/webhook", "application/json", "{}").await,
    ];
    settings().bind(|| {
        assert_json_snapshot!(bodies);
    });
}
