//! The routes of the GraphiQL page. What the page does in a browser is tested in `tests/browser`.

use std::sync::Arc;

use async_trait::async_trait;
use companion::http::graphiql::{self, DemoPeople, DemoPerson};
use reqwest::{StatusCode, header::HeaderMap};

struct Mia;

#[async_trait]
impl DemoPeople for Mia {
    async fn people(&self) -> Vec<DemoPerson> {
        vec![DemoPerson {
            label: "Client Mia".to_owned(),
            role: "client".to_owned(),
        }]
    }

    async fn sign_in(&self, role: &str) -> Option<String> {
        (role == "client").then(|| "abc.def.ghi".to_owned())
    }
}

/// Serves the page alone and answers its address.
async fn serve(title: &str, people: Option<Arc<dyn DemoPeople>>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = graphiql::router::<()>(title, people);
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

fn assert_safe(headers: &HeaderMap) {
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    let policy = text("content-security-policy");
    assert!(policy.contains("default-src 'none'"), "{policy}");
    assert!(policy.contains("script-src 'self';"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(
        !policy.contains("eval") && !policy.contains("http"),
        "{policy}"
    );
    assert_eq!(text("x-content-type-options"), "nosniff");
    assert_eq!(text("referrer-policy"), "no-referrer");
}

#[tokio::test]
async fn the_page_carries_its_title_safely_and_loads_only_its_own_files() {
    let base = serve("Nora's <script>alert(1)</script> & Co", None).await;
    let answer = reqwest::get(format!("{base}/graphiql")).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
    assert_safe(answer.headers());
    let page = answer.text().await.unwrap();
    assert!(
        page.contains("<title>Nora&#x27;s &lt;script&gt;alert(1)&lt;/script&gt; &amp; Co</title>"),
        "{page}"
    );
    assert!(
        !page.contains("<script>") && !page.contains("__APP_TITLE__"),
        "{page}"
    );
    assert!(
        !page.contains("http://") && !page.contains("https://"),
        "{page}"
    );

    // Without npm there are no files, and the page says what to do.
    let files: Vec<&str> = page
        .split('"')
        .filter(|part| part.starts_with("/graphiql/assets/"))
        .collect();
    assert_eq!(files.is_empty(), page.contains("make web"), "{page}");
    for file in files {
        let answer = reqwest::get(format!("{base}{file}")).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{file}");
        assert_safe(answer.headers());
        assert_eq!(
            answer.headers()["cache-control"],
            "public, max-age=31536000, immutable"
        );
        let kind = answer.headers()["content-type"].to_str().unwrap();
        assert!(kind != "application/octet-stream", "{file}: {kind}");

        let tag = answer.headers()["etag"].clone();
        let again = reqwest::Client::new()
            .get(format!("{base}{file}"))
            .header("if-none-match", tag);
        let again = again.send().await.unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{file}");
        assert_eq!(again.bytes().await.unwrap().len(), 0);
    }
}

#[tokio::test]
async fn files_outside_the_page_are_out_of_reach() {
    let base = serve("Companion", None).await;
    for path in [
        "nothing.js",
        "..%2findex.html",
        "..%2f..%2f..%2fCargo.toml",
        "%2e%2e/%2e%2e/package.json",
        "%2fetc%2fpasswd",
        "a%00b",
    ] {
        let answer = reqwest::get(format!("{base}/graphiql/assets/{path}"))
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn demo_people_are_signed_in_in_development_by_the_own_page_only() {
    let base = serve("Companion", Some(Arc::new(Mia))).await;
    let url = format!("{base}/graphiql/people.json");
    let answer = reqwest::get(&url).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert_safe(answer.headers());
    let people: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(
        people,
        serde_json::json!([
            { "label": "Client Mia", "role": "client" }
        ])
    );

    let client = reqwest::Client::new();
    let url = format!("{base}/graphiql/people/client");
    let own = client.post(&url).send().await.unwrap();
    assert_eq!(own.headers()["cache-control"], "no-store");
    let token: serde_json::Value = own.json().await.unwrap();
    assert_eq!(token, serde_json::json!({ "accessToken": "abc.def.ghi" }));
    let nobody = client.post(format!("{base}/graphiql/people/x"));
    assert_eq!(nobody.send().await.unwrap().status(), StatusCode::NOT_FOUND);
    let read = reqwest::get(&url).await.unwrap();
    assert_eq!(read.status(), StatusCode::METHOD_NOT_ALLOWED);

    let foreign = client.post(&url).header("sec-fetch-site", "cross-site");
    let foreign = foreign.send().await.unwrap();
    assert_eq!(foreign.status(), StatusCode::FORBIDDEN);
    assert!(!foreign.text().await.unwrap().contains("abc.def.ghi"));

    let base = serve("Companion", None).await;
    let answer = reqwest::get(format!("{base}/graphiql/people.json"))
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
}
