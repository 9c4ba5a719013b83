//! What surrounds every request: ids, hosts, CORS, problems, health, metrics, slow clients.

use std::time::Duration;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::support::TestApp;

async fn get(app: &TestApp, path: &str, headers: &[(&str, &str)]) -> reqwest::Response {
    let client = app.anonymous();
    let mut request = client.http().get(client.url(path));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn problems_name_the_request_and_sane_ids_are_kept() {
    let app = TestApp::start().await;
    let missing = get(&app, "/nothing", &[("x-request-id", "my-id.1_2")]).await;
    assert_eq!(missing.status(), 404);
    assert_eq!(
        missing.headers()["content-type"],
        "application/problem+json"
    );
    assert_eq!(missing.headers()["x-request-id"], "my-id.1_2");
    let body: Value = missing.json().await.unwrap();
    assert_eq!(
        (body["code"].as_str(), body["requestId"].as_str()),
        (Some("NOT_FOUND"), Some("my-id.1_2"))
    );
    let method = get(&app, "/v1/auth/telegram", &[("x-request-id", "no spaces")]).await;
    assert_eq!(method.status(), 405);
    assert_eq!(method.headers()["x-request-id"].len(), 36);
}

/// What comes back to bytes that no proper client would send.
async fn raw(app: &TestApp, request: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let address = app.base_url.trim_start_matches("http://");
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn only_our_names_are_served() {
    let app = TestApp::start().await;
    for request in [
        "GET /graphql HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\nconnection: close\r\n\r\n",
        "GET http://evil.example/graphql HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
    ] {
        let answer = raw(&app, request).await;
        assert!(answer.starts_with("HTTP/1.1 421 "), "{answer}");
    }
    let foreign = get(
        &app,
        "/graphql?query=%7B__typename%7D",
        &[("host", "evil.example")],
    )
    .await;
    assert_eq!(foreign.status(), 421);
    assert_eq!(
        get(&app, "/health/live", &[("host", "10.0.0.7")])
            .await
            .status(),
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn other_origins_may_call_as_the_settings_say() {
    use companion::config::CorsOrigins;
    let app = TestApp::start_with(|config| {
        config.cors_origins = CorsOrigins::List(vec!["https://shop.example".to_owned()]);
    })
    .await;
    let allowed = async |origin: &str| {
        let client = app.anonymous();
        let request = client
            .http()
            .request(reqwest::Method::OPTIONS, client.url("/graphql"));
        let request = request
            .header("origin", origin)
            .header("access-control-request-method", "POST");
        let answer = request.send().await.unwrap();
        answer
            .headers()
            .get("access-control-allow-origin")
            .map(|value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(
        allowed("https://shop.example").await.as_deref(),
        Some("https://shop.example")
    );
    assert_eq!(allowed("https://evil.example").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_metrics_answer() {
    let app = TestApp::start().await;
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(get(&app, path, &[]).await.status(), 200);
    }
    let invented = "INVENTED /graphql HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let answer = raw(&app, invented).await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    let text = get(&app, "/metrics", &[]).await.text().await.unwrap();
    assert!(!text.contains("INVENTED"), "{text}");
    assert!(text.contains("http_requests_total{"), "{text}");
}

/// Writes `pieces` one by one, then reads until the server closes; how long that took.
async fn until_closed(app: &TestApp, pieces: &[&[u8]], pause: Duration) -> (Duration, String) {
    let address = app.base_url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let started = tokio::time::Instant::now();
    for piece in pieces {
        if stream.write_all(piece).await.is_err() {
            break;
        }
        tokio::time::sleep(pause).await;
    }
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "the connection stayed open");
    (
        started.elapsed(),
        String::from_utf8_lossy(&answer).into_owned(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_dawdles_is_hung_up_on() {
    let patience = Duration::from_millis(400);
    let app = TestApp::start_with(|config| config.timeouts.body = patience).await;
    let dribble: Vec<&[u8]> = vec![b"G"; 12];
    let preface: Vec<&[u8]> = vec![b"PRI * HT"];
    let half_headers: Vec<&[u8]> = vec![b"POST /graphql HTTP/1.1\r\nHost: localhost\r\n"];
    for pieces in [vec![], dribble, preface, half_headers] {
        let (took, answer) = until_closed(&app, &pieces, Duration::from_millis(50)).await;
        assert!(took >= patience / 2, "{took:?}");
        assert!(answer.is_empty() || answer.contains(" 400 "), "{answer}");
    }
    let half_body: Vec<&[u8]> =
        vec![b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"];
    let (_, answer) = until_closed(&app, &half_body, Duration::ZERO).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("TIMEOUT"), "{answer}");
}
