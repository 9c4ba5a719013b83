//! GraphQL over HTTP: media types, statuses, shapes, limits, batches, persisted queries.

use jiff::SignedDuration;
use reqwest::Method;
use serde_json::{Value, json};

use super::support::TestApp;

const JSON: &str = "application/json";
const GRAPHQL: &str = "application/graphql-response+json";

/// What came back: status, content type, body.
struct Raw {
    status: u16,
    content_type: String,
    headers: reqwest::header::HeaderMap,
    body: Value,
}

impl Raw {
    fn code(&self) -> &str {
        assert!(self.body.get("data").is_none(), "{:#}", self.body);
        let extensions = &self.body["errors"][0]["extensions"];
        assert_eq!(
            extensions["requestId"],
            self.headers["x-request-id"].to_str().unwrap()
        );
        extensions["code"].as_str().unwrap()
    }
}

async fn send(
    app: &TestApp,
    method: Method,
    headers: &[(&str, &str)],
    path: &str,
    body: impl Into<reqwest::Body>,
) -> Raw {
    let client = app.anonymous();
    let mut request = client.http().request(method, client.url(path)).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let content_type = headers
        .get("content-type")
        .map(|value| value.to_str().unwrap().to_owned())
        .unwrap_or_default();
    let body = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or(Value::Null);
    Raw {
        status,
        content_type,
        headers,
        body,
    }
}

async fn post(app: &TestApp, accept: &str, body: Value) -> Raw {
    let headers = [("content-type", JSON), ("accept", accept)];
    send(app, Method::POST, &headers, "/graphql", body.to_string()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_media_type_has_its_statuses() {
    let app = TestApp::start().await;
    for accept in [JSON, GRAPHQL] {
        let fine = post(&app, accept, json!({ "query": "{ __typename }" })).await;
        assert_eq!(
            (fine.status, &fine.body),
            (200, &json!({ "data": { "__typename": "Query" } }))
        );
        assert_eq!(fine.content_type, format!("{accept}; charset=utf-8"));
        assert_eq!(fine.headers["cache-control"], "no-store");
        let document_status = if accept == JSON { 200 } else { 400 };
        for query in [
            "{",
            "{ nothing }",
            "query($a: ID!) { __typename }",
            "subscription { a }",
        ] {
            let bad = post(&app, accept, json!({ "query": query })).await;
            assert_eq!(
                (bad.status, bad.code()),
                (document_status, "BAD_REQUEST"),
                "{query}"
            );
        }
        let large = format!("{{ me {{ {} }} }}", "a: id ".repeat(31));
        let complex = post(&app, accept, json!({ "query": large })).await;
        assert_eq!(
            (complex.status, complex.code()),
            (document_status, "QUERY_TOO_COMPLEX")
        );
        for shape in [
            json!({}),
            json!([]),
            json!(1),
            json!({ "query": 1 }),
            json!({ "query": "{ a }", "variables": [] }),
        ] {
            let bad = post(&app, accept, shape).await;
            assert_eq!((bad.status, bad.code()), (400, "BAD_REQUEST"));
        }
        let field = post(&app, accept, json!({ "query": "{ me { id } }" })).await;
        assert_eq!(field.status, 200);
        assert_eq!(field.body.get("data"), Some(&json!({ "me": null })));
        assert_eq!(field.body["errors"][0]["extensions"]["code"], "FORBIDDEN");
    }
    let neither = post(&app, "text/html", json!({ "query": "{ __typename }" })).await;
    assert_eq!((neither.status, neither.code()), (406, "BAD_REQUEST"));
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_content_types_and_sizes_are_refused_in_both_media_types() {
    let app = TestApp::start().await;
    let query = r#"{"query":"{ __typename }"}"#;
    for accept in [JSON, GRAPHQL] {
        for content_type in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/graphql",
            "application/json; charset=utf-16",
            "multipart/form-data; boundary=x",
            "",
        ] {
            let headers = [("content-type", content_type), ("accept", accept)];
            let refused = send(&app, Method::POST, &headers, "/graphql", query).await;
            assert_eq!(
                (refused.status, refused.code()),
                (415, "BAD_REQUEST"),
                "{content_type}"
            );
        }
        let headers = [("content-type", JSON), ("accept", accept)];
        for method in [Method::PUT, Method::DELETE, Method::PATCH] {
            let refused = send(&app, method, &headers, "/graphql", query).await;
            assert_eq!((refused.status, refused.code()), (405, "BAD_REQUEST"));
            assert_eq!(refused.headers["allow"], "GET, POST");
        }
        let large = format!(
            "{{\"query\":\"{{ __typename }} #{}\"}}",
            "x".repeat(1 << 20)
        );
        let refused = send(&app, Method::POST, &headers, "/graphql", large).await;
        assert_eq!((refused.status, refused.code()), (413, "BAD_REQUEST"));
        let mutation = "/graphql?query=mutation%7Bx:authLogout(refreshToken:%22a%22)%7BuserErrors%7Bcode%7D%7D%7D";
        let refused = send(&app, Method::GET, &headers, mutation, "").await;
        assert_eq!((refused.status, refused.code()), (405, "BAD_REQUEST"));
    }
    let utf8 = [("content-type", "Application/JSON; Charset=\"UTF-8\"")];
    let marked = format!("\u{feff}{query}");
    assert_eq!(
        send(&app, Method::POST, &utf8, "/graphql", marked)
            .await
            .status,
        200
    );
    let latin = send(
        &app,
        Method::POST,
        &utf8,
        "/graphql",
        b"{\"query\":\"{ a(b: \\\"\xe4\\\") }\"}".to_vec(),
    )
    .await;
    assert_eq!((latin.status, latin.code()), (400, "BAD_REQUEST"));
    let get = send(
        &app,
        Method::GET,
        &[],
        "/graphql?query=%7B+__typename+%7D&variables=%7B%7D",
        "",
    )
    .await;
    assert_eq!(
        (get.status, get.headers["cache-control"].to_str().unwrap()),
        (200, "no-store")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_token_is_refused_but_not_where_it_could_be_renewed() {
    let app = TestApp::start_with(|config| {
        config.access_token_ttl = std::time::Duration::from_secs(30 * 60);
    })
    .await;
    let mia = app.user("Mia").await;
    let token = mia.token().unwrap();
    let ask = async |authorization: &str, query: &str| {
        let headers = [("content-type", JSON), ("authorization", authorization)];
        send(
            &app,
            Method::POST,
            &headers,
            "/graphql",
            json!({ "query": query }).to_string(),
        )
        .await
    };
    let fine = ask(&format!("bearer {token}"), "{ me { id } }").await;
    assert_eq!(fine.body["data"]["me"]["id"], mia.user_id);
    for bad in [
        "",
        "Bearer",
        "Bearer ",
        "Basic eDp5",
        "Bearer nonsense",
        token.as_str(),
    ] {
        let refused = ask(bad, "{ __typename }").await;
        assert_eq!(
            (refused.status, refused.code()),
            (401, "UNAUTHENTICATED"),
            "{bad}"
        );
        assert_eq!(
            refused.body["errors"][0]["extensions"]["reason"],
            "TOKEN_INVALID"
        );
        assert_eq!(refused.headers["www-authenticate"], "Bearer");
        let unread = ask(bad, "{").await;
        assert_eq!(
            (unread.status, unread.code()),
            (401, "UNAUTHENTICATED"),
            "{bad}"
        );
        let refresh = ask(
            bad,
            r#"mutation { authRefresh(refreshToken: "x") { userErrors { code } } }"#,
        )
        .await;
        assert_eq!(
            refresh.body["data"]["authRefresh"]["userErrors"][0]["code"],
            "INVALID_CREDENTIALS"
        );
    }
    app.app.clock.advance(SignedDuration::from_hours(1));
    let expired = ask(&format!("Bearer {token}"), "{ __typename }").await;
    assert_eq!(
        expired.body["errors"][0]["extensions"]["reason"],
        "TOKEN_EXPIRED"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_run_in_order_and_cost_their_sum() {
    let app = TestApp::start().await;
    let typename = json!({ "query": "{ __typename }" });
    let mixed = json!([typename, { "query": "{" }, { "query": "{ me { id } }" }]);
    let answer = post(&app, GRAPHQL, mixed).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body[0], json!({ "data": { "__typename": "Query" } }));
    assert_eq!(
        answer.body[1]["errors"][0]["extensions"]["code"],
        "BAD_REQUEST"
    );
    assert_eq!(
        answer.body[2]["errors"][0]["extensions"]["code"],
        "FORBIDDEN"
    );
    assert_eq!(
        post(&app, JSON, json!(vec![typename.clone(); 10]))
            .await
            .status,
        200
    );
    let many = post(&app, JSON, json!(vec![typename; 11])).await;
    assert_eq!((many.status, many.code()), (400, "QUERY_TOO_COMPLEX"));
    let roots = json!({ "query": "{ a: __typename b: __typename c: __typename }" });
    let sum = post(&app, GRAPHQL, json!(vec![roots; 10])).await;
    assert_eq!((sum.status, sum.code()), (400, "QUERY_TOO_COMPLEX"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_can_be_asked_for_by_its_hash() {
    let app = TestApp::start().await;
    let hash = "ecf4edb46db40b5132295c0291d62fb65d6759a9eedfa4d5d612dd5ec54a6b38";
    let extensions = json!({ "persistedQuery": { "version": 1, "sha256Hash": hash } });
    let unknown = post(&app, JSON, json!({ "extensions": extensions })).await;
    assert_eq!((unknown.status, unknown.code()), (200, "BAD_REQUEST"));
    assert_eq!(
        unknown.body["errors"][0]["message"],
        "PersistedQueryNotFound"
    );
    let wrong = post(
        &app,
        JSON,
        json!({ "query": "{ a }", "extensions": extensions }),
    )
    .await;
    assert_eq!(
        wrong.body["errors"][0]["message"],
        "provided sha does not match query"
    );
    let sent = post(
        &app,
        JSON,
        json!({ "query": "{__typename}", "extensions": extensions }),
    )
    .await;
    assert_eq!(sent.body["data"]["__typename"], "Query");
    let known = post(&app, JSON, json!({ "extensions": extensions })).await;
    assert_eq!(known.body["data"]["__typename"], "Query");
    let query = format!(
        "/graphql?extensions=%7B%22persistedQuery%22:%7B%22version%22:1,%22sha256Hash%22:%22{hash}%22%7D%7D"
    );
    assert_eq!(
        send(&app, Method::GET, &[], &query, "").await.body["data"]["__typename"],
        "Query"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn introspection_is_for_whom_the_settings_say() {
    use companion::config::Introspection;
    let schema = json!({ "query": "{ __schema { queryType { name } } }" });
    let app = TestApp::start().await;
    assert_eq!(
        post(&app, JSON, schema.clone()).await.body["data"]["__schema"]["queryType"]["name"],
        "Query"
    );
    let app = TestApp::start_with(|config| config.introspection = Introspection::Staff).await;
    let refused = post(&app, JSON, schema).await;
    assert_eq!(refused.body["errors"][0]["extensions"]["code"], "FORBIDDEN");
    let mia = app.user("Mia").await;
    assert_eq!(
        mia.query("{ __type(name: \"User\") { name } }")
            .await
            .error_code(),
        "FORBIDDEN"
    );
    let admin = app.user_with_roles("Ada", &["USER", "ADMIN"]).await;
    let seen = admin.query("{ __type(name: \"User\") { name } }").await;
    assert_eq!(seen.data()["__type"]["name"], "User");
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_in_and_refresh_are_limited() {
    let app = TestApp::start_with(|config| {
        config.sign_in_limits.per_address_per_minute = 2;
        config.sign_in_limits.refreshes_per_minute = 1;
    })
    .await;
    let refresh =
        json!({ "query": "mutation { authRefresh(refreshToken: \"x\") { userErrors { code } } }" });
    let first = post(&app, JSON, refresh.clone()).await;
    assert_eq!(first.status, 200);
    assert_eq!(first.headers["ratelimit"], "\"refresh\";r=0;t=60");
    let second = post(&app, JSON, refresh.clone()).await;
    assert_eq!((second.status, second.code()), (429, "RATE_LIMITED"));
    assert_eq!(second.headers["retry-after"], "60");
    assert_eq!(
        second.body["errors"][0]["extensions"]["retryAfterMs"],
        60_000
    );
    app.app.clock.advance(SignedDuration::from_mins(1));
    assert_eq!(post(&app, JSON, refresh).await.status, 200);

    let sign_in =
        "mutation($d: String!) { a: authTelegram(initData: $d) { userErrors { code } } ...M }
        fragment M on Mutation { b: authTelegram(initData: \"hash=2\") { userErrors { code } } }";
    let twice = json!({ "query": sign_in, "variables": { "d": "hash=1" } });
    assert_eq!(post(&app, JSON, twice.clone()).await.status, 200);
    assert_eq!(post(&app, JSON, twice).await.code(), "RATE_LIMITED");
    let rest = [("content-type", JSON)];
    let rest = send(
        &app,
        Method::POST,
        &rest,
        "/v1/auth/telegram",
        r#"{"initData":"hash=3"}"#,
    )
    .await;
    assert_eq!(
        (rest.status, rest.body["code"].as_str()),
        (429, Some("RATE_LIMITED"))
    );
    assert!(rest.headers.contains_key("retry-after"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cost_is_told_on_demand_and_unread_errors_are_few() {
    let app = TestApp::start().await;
    let headers = [("content-type", JSON), ("x-cost", "1")];
    let query = json!({ "query": "{ me { id sessions(first: 5) { nodes { id } } } }" }).to_string();
    let answer = send(&app, Method::POST, &headers, "/graphql", query).await;
    assert_eq!(
        answer.body["extensions"],
        json!({ "cost": { "requested": 13 } })
    );
    let unknown = format!(
        "{{ {} }}",
        (0..25).map(|i| format!("nothing{i} ")).collect::<String>()
    );
    let answer = post(&app, JSON, json!({ "query": unknown })).await;
    assert!(answer.body["errors"].as_array().unwrap().len() <= 25);
    let text = post(
        &app,
        JSON,
        json!({ "query": "{ me { sessions(first: \"x\") { nodes { id } } } }" }),
    )
    .await;
    assert_eq!(text.code(), "BAD_REQUEST");
    assert!(!text.body.to_string().contains("::"), "{}", text.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_said_so() {
    let app = TestApp::start_with(|config| {
        let nowhere = "postgres://nobody@127.0.0.1:1/none?sslmode=disable";
        config.database_url = Some(nowhere.to_owned().into());
        config.timeouts.pool_wait = std::time::Duration::from_millis(300);
    })
    .await;
    let id = "usr_01jd6xk5wvfz6bqkdzn6g5r3a1";
    for accept in [JSON, GRAPHQL] {
        let query = json!({ "query": "query($id: ID!) { __typename node(id: $id) { id } }", "variables": { "id": id } });
        let down = post(&app, accept, query).await;
        assert_eq!((down.status, down.code()), (503, "UNAVAILABLE"));
        assert!(down.headers.contains_key("retry-after"));
        let mutation = "mutation { authLogout(refreshToken: \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\") { userErrors { code } } }";
        // Whose refreshes to count is asked before execution.
        let refresh = mutation.replace("authLogout", "authRefresh");
        let down = post(&app, accept, json!({ "query": refresh })).await;
        assert_eq!((down.status, down.code()), (503, "UNAVAILABLE"));
        assert!(down.headers.contains_key("retry-after"));
        let down = post(&app, accept, json!({ "query": mutation })).await;
        assert_eq!(down.status, 200, "{:#}", down.body);
        assert_eq!(down.body.get("data"), Some(&Value::Null));
        assert_eq!(down.body["errors"][0]["extensions"]["code"], "UNAVAILABLE");
    }
    let ready = send(&app, Method::GET, &[], "/health/ready", "").await;
    assert_eq!(
        (ready.status, &ready.body["missing"]),
        (503, &json!(["database", "messages"]))
    );
}
