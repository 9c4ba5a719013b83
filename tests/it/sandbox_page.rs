//! The sandbox's pay page through HTTP, as a browser without scripts uses it.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use companion::{
    clock::Clock,
    http::sandbox::routes,
    integrations::payments::{
        CheckoutLine, CheckoutRequest, PaymentGateway,
        sandbox::{SandboxGateway, WebhookSink},
        webhook_event::WebhookEvent,
    },
};
use reqwest::{Client, Response, StatusCode, redirect::Policy};

#[derive(Default)]
struct Sink(Mutex<Vec<String>>);

#[async_trait]
impl WebhookSink for Sink {
    async fn deliver(&self, body: Vec<u8>, _signature_header: String) -> bool {
        let event = WebhookEvent::parse(&body).unwrap();
        self.0.lock().unwrap().push(event.event_type);
        true
    }
}

struct Page {
    url: String,
    sink: Arc<Sink>,
    client: Client,
}

impl Page {
    async fn open() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let clock = Clock::manual("2026-11-21T10:00:00Z".parse().unwrap());
        let gateway = SandboxGateway::new(base.parse().unwrap(), "whsec_test".into(), clock);
        let sink = Arc::new(Sink::default());
        gateway.connect(sink.clone());
        let request = CheckoutRequest {
            idempotency_key: "checkout-1".into(),
            order_id: "ord_1".into(),
            lines: vec![CheckoutLine {
                title: "Tea <for> two".into(),
                amount: 1_250,
                quantity: 1,
            }],
            currency: "eur".into(),
            expires_at: "2026-11-21T10:45:00Z".parse().unwrap(),
            success_url: "http://localhost:3000/done?order=1".into(),
            cancel_url: "http://localhost:3000/back".into(),
            customer_email: None,
            locale: None,
            metadata: [].into(),
        };
        let url = gateway
            .create_checkout(&request)
            .await
            .unwrap()
            .url
            .unwrap();
        let router = routes(gateway);
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let client = Client::builder().redirect(Policy::none()).build().unwrap();
        Self { url, sink, client }
    }

    async fn press(&self, word: &str) -> Response {
        self.client
            .post(&self.url)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("action={word}"))
            .send()
            .await
            .unwrap()
    }

    fn told(&self) -> Vec<String> {
        self.sink.0.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn the_page_is_shown_safely_and_paying_goes_back_to_the_shop() {
    let page = Page::open().await;
    let shown = page.client.get(&page.url).send().await.unwrap();
    assert_eq!(shown.status(), StatusCode::OK);
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
    ] {
        assert_eq!(shown.headers()[name], value);
    }
    let policy = shown.headers()["content-security-policy"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(
        policy.contains("form-action 'self' http://localhost:3000"),
        "{policy}"
    );
    let html = shown.text().await.unwrap();
    assert!(html.contains("Tea &lt;for&gt; two"), "{html}");
    assert!(
        html.contains("method=\"post\"") && html.contains("value=\"pay\""),
        "{html}"
    );
    assert!(page.told().is_empty());

    let paid = page.press("pay").await;
    assert_eq!(paid.status(), StatusCode::SEE_OTHER);
    assert_eq!(
        paid.headers()["location"],
        "http://localhost:3000/done?order=1"
    );
    assert_eq!(
        page.told(),
        ["checkout.session.completed"],
        "told before the client is back"
    );
    assert_eq!(page.press("pay").await.status(), StatusCode::CONFLICT);
    assert_eq!(page.told().len(), 1);
}

#[tokio::test]
async fn a_slow_payment_has_a_page_of_its_own() {
    let page = Page::open().await;
    assert_eq!(page.press("decline").await.status(), StatusCode::OK);
    let pending = page.press("later").await;
    assert_eq!(pending.status(), StatusCode::OK);
    let html = pending.text().await.unwrap();
    assert!(
        html.contains("value=\"arrived\"") && html.contains("value=\"failed\""),
        "{html}"
    );
    assert!(!html.contains("value=\"pay\""), "{html}");
    assert_eq!(page.press("failed").await.status(), StatusCode::OK);
    assert_eq!(
        page.told(),
        [
            "checkout.session.completed",
            "checkout.session.async_payment_failed"
        ]
    );
}

#[tokio::test]
async fn a_bent_address_or_an_unknown_button_does_nothing() {
    let page = Page::open().await;
    let bent = page.url.replace("sig=", "sig=0");
    let answer = page.client.get(&bent).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    let bare = page.url.split('?').next().unwrap();
    let answer = page.client.get(bare).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert_eq!(page.press("steal").await.status(), StatusCode::OK);
    let foreign = page
        .client
        .post(&page.url)
        .header("content-type", "text/plain");
    let answer = foreign.body("action=pay").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert!(page.told().is_empty());
}
