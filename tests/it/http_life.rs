//! Requests from their beginning to their end: hang-ups, stops, time-outs, panics, slow clients, readiness.
//!
//! A lock that the test holds in the database stops a request at a known point.

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
    task::{JoinHandle, JoinSet},
    time::timeout,
};

use super::support::{
    Client, TestApp,
    cluster::cluster,
    market::{Market, uuid},
    relay::stalling,
};

/// Long past what any step takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

const RENAME: &str = "mutation Rename($name: String!) {
    meUpdate(input: { displayName: $name }) { me { user { displayName } } userErrors { code } } }";

/// A transaction of the test's that keeps others waiting.
struct Held(AsyncPgConnection);

impl Held {
    async fn by(app: &TestApp, lock: &str) -> Self {
        let mut conn = app.conn().await;
        conn.batch_execute(&format!("BEGIN; {lock}")).await.unwrap();
        Self(conn)
    }

    /// Keeps this person's row from being changed.
    async fn person(app: &TestApp, person: &Client) -> Self {
        let id = uuid::<companion::db::ids::UserId>(&person.user_id);
        Self::by(
            app,
            &format!("SELECT FROM users WHERE id = '{id}' FOR UPDATE"),
        )
        .await
    }

    async fn release(mut self) {
        self.0.batch_execute("COMMIT").await.unwrap();
    }
}

const WAITING: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
    AND application_name IN ('companion', 'companion reads') AND wait_event_type = 'Lock'";

/// Waits until a statement of the server waits for a lock.
async fn until_held(app: &TestApp) {
    let held = async { while app.number(WAITING).await == 0 {} };
    timeout(LIMIT, held).await.expect("a statement waits");
}

async fn name_of(person: &Client) -> String {
    let answer = person.query("{ me { user { displayName } } }").await;
    answer.data()["me"]["user"]["displayName"]
        .as_str()
        .unwrap()
        .to_owned()
}

async fn until_named(person: &Client, name: &str) {
    let named = async { while name_of(person).await != name {} };
    timeout(LIMIT, named).await.expect("the mutation finishes");
}

/// Renames in a task of its own.
fn rename(person: &Client, name: &str) -> JoinHandle<super::support::Answer> {
    let (person, variables) = (person.clone(), json!({ "name": name }));
    tokio::spawn(async move { person.post(RENAME, variables).await })
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

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_too_long_for_a_connection_is_told_when_to_come_back() {
    let app = TestApp::start_with(|config| {
        config.database_pool_size = 1;
        config.timeouts.pool_wait = Duration::from_millis(300);
    })
    .await;
    let mia = app.user("Mia").await;
    assert_eq!(name_of(&mia).await, "Mia");
    let held = Held::person(&app, &mia).await;
    let renamed = rename(&mia, "Maria");
    until_held(&app).await;
    let body = json!({ "query": "{ categories { id } }" });
    let refused = mia
        .http()
        .post(mia.url("/graphql"))
        .json(&body)
        .send()
        .await;
    let refused = refused.unwrap();
    assert_eq!(refused.status(), 503);
    let seconds: u64 = refused.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    let refused: Value = refused.json().await.unwrap();
    assert_eq!(refused["errors"][0]["extensions"]["code"], "UNAVAILABLE");
    held.release().await;
    renamed.await.unwrap().payload("meUpdate");
    assert_eq!(name_of(&mia).await, "Maria");
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

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_has_places_for_twenty_queries_and_for_no_more_than_eighty() {
    let app = TestApp::start_with(|config| config.database_read_connections = 1).await;
    let held = Held::by(&app, "LOCK TABLE providers IN ACCESS EXCLUSIVE MODE").await;
    let person = app.anonymous();
    let query = "{ providers(first: 1) { nodes { id } } }";
    let mut crowd: JoinSet<u16> = JoinSet::new();
    for _ in 0..100 {
        let person = person.clone();
        crowd.spawn(async move { person.query(query).await.status });
    }
    // Nothing leaves the connection as long as the table is held, so whoever is answered now is one too many.
    for _ in 0..20 {
        assert_eq!(crowd.join_next().await.unwrap().unwrap(), 503);
    }
    held.release().await;
    let statuses = crowd.join_all().await;
    assert!(statuses.iter().all(|status| [200, 503].contains(status)));
    // How many of the burst came in time is theirs; the usual number has places in any case.
    let served = statuses.iter().filter(|status| **status == 200).count();
    assert!((20..=80).contains(&served), "{served}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mutation_that_would_wait_in_vain_for_the_pool_is_refused_at_once() {
    let app = TestApp::start_with(|config| config.database_pool_size = 1).await;
    let mia = app.user("Mia").await;
    assert_eq!(name_of(&mia).await, "Mia");
    let held = Held::person(&app, &mia).await;
    let first = rename(&mia, "Maria");
    until_held(&app).await;
    // The first has the connection, and ten may wait for it, for a moment.
    let mut crowd = JoinSet::new();
    for _ in 0..40 {
        let renamed = rename(&mia, "Mira");
        crowd.spawn(async move { renamed.await.unwrap() });
    }
    let refused = crowd.join_next().await.unwrap().unwrap();
    assert_eq!(
        (refused.status, refused.error_code()),
        (503, "UNAVAILABLE"),
        "{:#}",
        refused.body
    );
    // Nor does a payment event wait, which comes again.
    let event = mia.http().post(mia.url("/v1/payments/webhook")).body("{}");
    let event = event.send().await.unwrap();
    assert_eq!(event.status(), 503);
    assert_eq!(event.headers()["retry-after"], "1");
    held.release().await;
    first.await.unwrap().data();
    let statuses: Vec<u16> = crowd
        .join_all()
        .await
        .iter()
        .map(|one| one.status)
        .collect();
    assert!(statuses.contains(&200), "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 503].contains(status)));
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_beyond_what_is_worked_on_are_refused_at_once() {
    let app = TestApp::start_with(|config| config.limits.queries_at_once = 1).await;
    let held = Held::by(&app, "LOCK TABLE cities IN ACCESS EXCLUSIVE MODE").await;
    let person = app.anonymous();
    let waiting = tokio::spawn({
        let person = person.clone();
        async move { person.query("{ cities { id } }").await }
    });
    until_held(&app).await;

    let query = json!({ "query": "{ __typename }" });
    // Of a batch everything is, a mutation that would have come first too.
    let logout = "mutation { authLogout(refreshToken: \"x\") { userErrors { code } } }";
    for asked in [query.clone(), json!([{ "query": logout }, query])] {
        let request = person.http().post(person.url("/graphql")).json(&asked);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["retry-after"], "1");
        // No points were taken.
        assert!(response.headers().get("ratelimit").is_none());
        let body: serde_json::Value = response.json().await.unwrap();
        assert_eq!(body["errors"][0]["extensions"]["code"], "UNAVAILABLE");
        assert!(body.get("data").is_none(), "{body}");
    }
    // A mutation is none of them.
    let mutation = person.query(logout).await;
    assert_ne!(mutation.status, 503, "{:#}", mutation.body);

    held.release().await;
    waiting.await.unwrap().data();
    person.query("{ __typename }").await.data();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_gives_its_place_back_while_its_mutation_waits() {
    let app = TestApp::start_with(|config| config.limits.queries_at_once = 1).await;
    let mia = app.user("Mia").await;
    let held = Held::person(&app, &mia).await;
    let query = json!({ "query": "{ __typename }" });
    let renamed = json!({ "query": RENAME, "variables": { "name": "Maria" } });
    let batch = mia
        .http()
        .post(mia.url("/graphql"))
        .bearer_auth(mia.token().unwrap())
        .json(&json!([query, renamed, query]));
    let batch = tokio::spawn(batch.send());
    until_held(&app).await;
    // It waits for somebody else, and so would everybody who wants to read.
    mia.query("{ __typename }").await.data();
    held.release().await;
    let answers: Value = batch.await.unwrap().unwrap().json().await.unwrap();
    let answers = answers.as_array().unwrap();
    assert!(answers.iter().all(|answer| answer["data"].is_object()));
    assert_eq!(answers.len(), 3);
}
