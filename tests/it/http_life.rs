//! Requests from their beginning to their end: hang-ups, stops, time-outs, panics, slow clients, readiness.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::{Router, routing::get};
use companion::{
    app::App,
    http::{Http, serve::listen},
    integrations::payments::{
        CheckoutRequest, CheckoutSession, GatewayError, GatewayRefund, PaymentGateway,
        RefundRequest,
    },
};
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{oneshot, watch},
    task::JoinHandle,
    time::timeout,
};

use super::support::{
    Client, TestApp,
    cluster::cluster,
    held::{Held, LIMIT, RENAME, WAITING, name_of, rename, until_held},
    market::Market,
    relay::stalling,
};

async fn until_named(person: &Client, name: &str) {
    let named = async { while name_of(person).await != name {} };
    timeout(LIMIT, named).await.expect("the mutation finishes");
}

/// Another server on the same application, which can be stopped.
struct Second {
    client: Client,
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

impl Second {
    async fn start(app: App, client: &Client, more: Router<Arc<Http>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let http = Http::new(app).unwrap();
        let server = tokio::spawn(async move {
            let stopped = async { _ = stopped.await };
            companion::http::run(&http, more, listener, stopped)
                .await
                .unwrap();
        });
        let mut there = Client::new(&format!("http://{address}"), client.token());
        there.user_id = client.user_id.clone();
        Self {
            client: there,
            address,
            stop,
            server,
        }
    }
}

fn post_head(client: &Client, length: usize) -> String {
    format!(
        "POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAuthorization: Bearer {}\r\nContent-Length: {length}\r\n\r\n",
        client.token().unwrap()
    )
}

/// How many clients hung up, by the metrics.
async fn hang_ups(app: &TestApp) -> f64 {
    let client = app.anonymous();
    let text = client.http().get(client.url("/metrics")).send().await;
    let text = text.unwrap().text().await.unwrap();
    text.lines()
        .filter(|line| line.starts_with("http_requests_total{") && line.contains("\"499\""))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum()
}

/// Asks for what is held, and hangs up; until the server has noticed.
async fn ask_and_hang_up(app: &TestApp, client: &Client, body: &Value) {
    let body = body.to_string();
    let mut stream = TcpStream::connect(app.base_url.trim_start_matches("http://"))
        .await
        .unwrap();
    let request = post_head(client, body.len()) + &body;
    stream.write_all(request.as_bytes()).await.unwrap();
    until_held(app).await;
    let before = hang_ups(app).await;
    drop(stream);
    let noticed = async { while hang_ups(app).await <= before {} };
    timeout(LIMIT, noticed)
        .await
        .expect("the hang-up is noticed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mutation_outlives_a_client_that_hangs_up() {
    let app = TestApp::start().await;
    let mia = app.user("Mia").await;
    let held = Held::person(&app, &mia).await;
    let body = json!({ "query": RENAME, "variables": { "name": "Maria" } });
    // The server has noticed before the mutation may go on.
    ask_and_hang_up(&app, &mia, &body).await;
    assert_eq!(name_of(&mia).await, "Mia");
    held.release().await;
    until_named(&mia, "Maria").await;
    assert_eq!(
        app.count("audit_events WHERE action = 'user.update'").await,
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_written_though_who_is_refused_hangs_up() {
    let app = TestApp::start().await;
    let clerk = app.user_with_permissions("Carl", &["roles:read"]).await;
    app.settle(&[&clerk]).await;
    let refusals = "audit_events WHERE action = 'access.refused'";
    let held = Held::by(&app, "LOCK TABLE audit_events IN EXCLUSIVE MODE").await;
    let body = json!({ "query": "{ orders { nodes { id } } }" });
    // The server has noticed before the row may be written.
    ask_and_hang_up(&app, &clerk, &body).await;
    assert_eq!(app.count(refusals).await, 0);
    held.release().await;
    let written = async { while app.count(refusals).await == 0 {} };
    timeout(LIMIT, written).await.expect("the row is written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_refuses_new_connections_and_waits_for_mutations() {
    let app = TestApp::start().await;
    let mia = app.user("Mia").await;
    let second = Second::start(app.app.clone(), &mia, Router::new()).await;
    let held = Held::person(&app, &mia).await;
    let renamed = rename(&second.client, "Maria");
    until_held(&app).await;
    second.stop.send(()).unwrap();
    let refused = async { while TcpStream::connect(second.address).await.is_ok() {} };
    timeout(LIMIT, refused)
        .await
        .expect("new connections are refused");
    assert!(!second.server.is_finished(), "the stop waits");
    held.release().await;
    let answer = renamed.await.unwrap();
    assert_eq!(
        answer.payload("meUpdate")["me"]["user"]["displayName"],
        "Maria"
    );
    timeout(LIMIT, second.server)
        .await
        .expect("and ends then")
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_ever() {
    let app = TestApp::start_with(|config| {
        config.timeouts.shutdown = Duration::from_millis(300);
    })
    .await;
    let mia = app.user("Mia").await;
    let second = Second::start(app.app.clone(), &mia, Router::new()).await;
    let held = Held::person(&app, &mia).await;
    let renamed = rename(&second.client, "Maria");
    until_held(&app).await;
    second.stop.send(()).unwrap();
    timeout(LIMIT, second.server)
        .await
        .expect("it ends")
        .unwrap();
    assert_eq!(
        app.number(WAITING).await,
        1,
        "with the mutation still waiting"
    );
    held.release().await;
    renamed.abort();
    until_named(&mia, "Maria").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_nothing_of_its_answer_is_not_waited_for() {
    let app = TestApp::start_with(|config| {
        config.timeouts.body = Duration::from_millis(300);
        config.timeouts.shutdown = 2 * LIMIT;
    })
    .await;
    // More than the kernels on both sides keep for who does not read.
    let long = get(|| async { vec![b'x'; 64 * 1024 * 1024] });
    let more = Router::new().route("/long", long);
    let second = Second::start(app.app.clone(), &app.anonymous(), more).await;
    let mut stream = TcpStream::connect(second.address).await.unwrap();
    let request = b"GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(request).await.unwrap();
    stream.read_u8().await.unwrap();
    // It waits for the connections that are open, so that its end tells of theirs: of one that rests much later.
    second.stop.send(()).unwrap();
    timeout(LIMIT, second.server)
        .await
        .expect("the connection ends")
        .unwrap();
    drop(stream);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_comes_at_once_waits_to_be_accepted() {
    let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let most = std::fs::read_to_string("/proc/sys/net/core/somaxconn");
    let most = most.ok().and_then(|most| most.trim().parse().ok());
    // Nobody accepts; of the standard library's listener 129 would wait, and the others not be connected at all.
    let mut crowd = Vec::new();
    for _ in 0..most.unwrap_or(128).min(500) {
        let came = timeout(LIMIT, TcpStream::connect(address)).await;
        crowd.push(came.expect("it is let wait").unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_request_is_answered_timeout_and_a_mutation_still_finishes() {
    let app = TestApp::start_with(|config| {
        config.timeouts.request = Duration::from_millis(500);
    })
    .await;
    let mia = app.user("Mia").await;
    assert_eq!(name_of(&mia).await, "Mia");
    let held = Held::by(&app, "LOCK TABLE categories IN ACCESS EXCLUSIVE MODE").await;
    let query = mia.query("{ __typename categories { id } }").await;
    assert_eq!((query.status, query.error_code()), (504, "TIMEOUT"));
    assert!(query.body.get("data").is_none(), "{:#}", query.body);
    held.release().await;

    let held = Held::person(&app, &mia).await;
    let mutation = rename(&mia, "Maria").await.unwrap();
    assert_eq!((mutation.status, mutation.error_code()), (504, "TIMEOUT"));
    until_held(&app).await;
    held.release().await;
    until_named(&mia, "Maria").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_statement_is_ended_and_writes_nothing() {
    let app = TestApp::start_with(|config| {
        config.timeouts.statement = Duration::from_millis(300);
    })
    .await;
    let mia = app.user("Mia").await;
    let held = Held::by(&app, "LOCK TABLE categories IN ACCESS EXCLUSIVE MODE").await;
    let query = mia.query("{ __typename categories { id } }").await;
    assert_eq!((query.status, query.error_code()), (504, "TIMEOUT"));
    assert!(query.body.get("data").is_none(), "{:#}", query.body);
    held.release().await;

    let held = Held::person(&app, &mia).await;
    let mutation = rename(&mia, "Maria").await.unwrap();
    assert_eq!(
        (mutation.status, mutation.error_code()),
        (200, "TIMEOUT"),
        "{:#}",
        mutation.body
    );
    held.release().await;
    assert_eq!(name_of(&mia).await, "Mia");
    assert_eq!(app.number(WAITING).await, 0);
    let again = rename(&mia, "Maria").await.unwrap();
    again.payload("meUpdate");
}

/// A gateway with a fault of ours in it.
struct Broken;

#[async_trait]
impl PaymentGateway for Broken {
    async fn create_checkout(&self, _: &CheckoutRequest) -> Result<CheckoutSession, GatewayError> {
        panic!("a secret of the panic")
    }
    async fn retrieve_checkout(&self, _: &str) -> Result<CheckoutSession, GatewayError> {
        unreachable!()
    }
    async fn expire_checkout(&self, _: &str, _: &str) -> Result<CheckoutSession, GatewayError> {
        unreachable!()
    }
    async fn create_refund(&self, _: &RefundRequest) -> Result<GatewayRefund, GatewayError> {
        unreachable!()
    }
    fn livemode(&self) -> bool {
        false
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_one_answer_and_no_more() {
    let market = Market::open().await;
    let booking = market.accepted(0).await;
    let more = Router::new().route(
        "/panic",
        get(async || -> &'static str { panic!("a secret") }),
    );
    let broken = market.app.app.clone().with_payments(Arc::new(Broken));
    let second = Second::start(broken, &market.client, more).await;
    let client = &second.client;
    let created = client
        .query(&format!(
            "mutation {{ orderCreate(bookingId: \"{booking}\", idempotencyKey: \"a\") {{ order {{ id }} userErrors {{ code }} }} }}"
        ))
        .await;
    let order = created.payload("orderCreate")["order"]["id"]
        .as_str()
        .unwrap();
    let checkout = client
        .query(&format!(
            "mutation {{ checkoutCreate(orderId: \"{order}\", idempotencyKey: \"b\", input: {{
                successUrl: \"http://localhost:3000/a\", cancelUrl: \"http://localhost:3000/b\" }}) {{ userErrors {{ code field }} }} }}"
        ))
        .await;
    assert_eq!(checkout.error_code(), "INTERNAL", "{:#}", checkout.body);
    let id = &checkout.body["errors"][0]["extensions"]["requestId"];
    assert!(id.as_str().is_some_and(|id| !id.is_empty()));
    assert!(!checkout.body.to_string().contains("secret"));

    let panicked = client
        .http()
        .get(client.url("/panic"))
        .send()
        .await
        .unwrap();
    assert_eq!(panicked.status(), 500);
    let id = panicked.headers()["x-request-id"]
        .to_str()
        .unwrap()
        .to_owned();
    let body: Value = panicked.json().await.unwrap();
    assert_eq!(
        (&body["code"], &body["requestId"]),
        (&json!("INTERNAL"), &json!(id))
    );
    assert!(!body.to_string().contains("secret"));

    assert_eq!(name_of(client).await, "Cleo");
    let unused = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND application_name = 'companion' AND state LIKE 'idle in transaction%'";
    assert_eq!(
        market.app.number(unused).await,
        0,
        "no transaction is left open"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_dawdles_is_cut_and_may_be_sent_again() {
    let app = TestApp::start_with(|config| {
        config.timeouts.body = Duration::from_millis(400);
    })
    .await;
    let mia = app.user("Mia").await;
    let mut picture = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(9, 9)
        .write_to(&mut picture, image::ImageFormat::Png)
        .unwrap();
    let picture = picture.into_inner();
    let begun = mia
        .query(&format!(
            "mutation {{ mediaUploadBegin(input: {{ purpose: AVATAR, byteSize: {} }}) {{ upload {{ url }} userErrors {{ code }} }} }}",
            picture.len()
        ))
        .await;
    let url = begun.payload("mediaUploadBegin")["upload"]["url"]
        .as_str()
        .unwrap();
    let host = app.base_url.trim_start_matches("http://");
    let path = url.strip_prefix(&app.base_url).unwrap();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let head = format!(
        "PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
        picture.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&picture[..10]).await.unwrap();
    let mut answer = Vec::new();
    let read = timeout(LIMIT, stream.read_to_end(&mut answer)).await;
    read.expect("the connection is closed").unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("\"TIMEOUT\""), "{answer}");
    let whole = mia.http().put(url).body(picture).send().await.unwrap();
    assert_eq!(whole.status(), 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_have_their_own_address_where_one_is_set() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let app = TestApp::start_with(|config| config.metrics_addr = Some(address)).await;
    let client = app.anonymous();
    let beside = client.http().get(client.url("/metrics")).send().await;
    assert_eq!(beside.unwrap().status(), 404);
    let get = async |path: &str| {
        let url = format!("http://{address}{path}");
        client.http().get(url).send().await.unwrap()
    };
    let text = get("/metrics").await.text().await.unwrap();
    assert!(
        text.contains("database_connections{state=\"open\"}"),
        "{text}"
    );
    assert_eq!(get("/graphql").await.status(), 404);
}

async fn ready(app: &TestApp) -> (u16, Value) {
    let client = app.anonymous();
    let answer = client.http().get(client.url("/health/ready")).send().await;
    let answer = answer.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn until_ready_is(app: &TestApp, expected: (u16, Value)) {
    let so = async { while ready(app).await != expected {} };
    timeout(LIMIT, so)
        .await
        .unwrap_or_else(|_| panic!("never {expected:?}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_hear_the_database_is_not_ready() {
    let app = TestApp::start().await;
    let fine = (200, json!({ "status": "ok" }));
    assert_eq!(ready(&app).await, fine);
    let mut conn = app.conn().await;
    let database = app.database_name();
    let mut outside = AsyncPgConnection::establish(&cluster().socket_url_of("companion"))
        .await
        .unwrap();
    // Statements go on over the pool's connections; the listener alone loses its own and gets no other.
    let close = format!("ALTER DATABASE {database} WITH ALLOW_CONNECTIONS false");
    outside.batch_execute(&close).await.unwrap();
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'companion listen'";
    conn.batch_execute(end).await.unwrap();
    let deaf = json!({ "status": "unavailable", "missing": ["messages"] });
    until_ready_is(&app, (503, deaf)).await;
    let open = format!("ALTER DATABASE {database} WITH ALLOW_CONNECTIONS true");
    outside.batch_execute(&open).await.unwrap();
    until_ready_is(&app, fine).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_falls_silent_is_missed_in_time_and_found_again() {
    let (silence, silent) = watch::channel(false);
    let app = TestApp::start_with(|config| {
        let url = config.database_url.take();
        config.database_url = url.map(|url| stalling(&url, silent));
        // The one connection would be missed for ever if it stayed the pool's.
        config.database_pool_size = 1;
        // Only a lost one is opened again, and these are not lost.
        config.database_read_connections = 0;
    })
    .await;
    let fine = (200, json!({ "status": "ok" }));
    until_ready_is(&app, fine.clone()).await;
    silence.send_replace(true);
    // Not what a request that takes too long is told.
    let (status, body) = ready(&app).await;
    assert_eq!(
        (status, &body["missing"][0]),
        (503, &json!("database")),
        "{body}"
    );
    let all = json!({ "status": "unavailable", "missing": ["database", "messages"] });
    until_ready_is(&app, (503, all)).await;
    silence.send_replace(false);
    until_ready_is(&app, fine).await;
}
