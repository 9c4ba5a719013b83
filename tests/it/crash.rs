//! The server and PostgreSQL are killed under load, again and again: what was acknowledged stays, and nothing happens
//! twice. `CRASH_CYCLES` asks for more than the suite's few.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use companion::{
    app::App,
    clock::Clock,
    config::Config,
    db::{
        ids::{BookingId, OrderId, ProviderId, ServiceId, TypedId, UserId},
        migrate,
        private::{PrivateCluster, PrivateOptions},
    },
    entropy::Entropy,
    features::accounts::service,
    integrations::{
        payments::{
            events::{EventHead, session_event},
            webhook_event::SessionChange,
        },
        stripe_signature::sign,
    },
};
use jiff::{SignedDuration, Timestamp};
use rand::{Rng, SeedableRng, rngs::StdRng};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::{sync::Notify, task::JoinHandle, time::timeout};
use uuid::Uuid;

use super::support::{
    fake_stripe::FakeStripe,
    market::CREATE,
    paid::{CHECKOUT_CREATE, ORDER_CREATE, RETURN_URL},
};

const CYCLES: usize = 3;
const LIMIT: Duration = Duration::from_secs(60);
/// Security.md, "database lost in mid-request".
const RECOVERY: Duration = Duration::from_secs(5);
const WEBHOOK_SECRET: &str = "whsec_crash";
/// Who books: more than two, so that they get in each other's way.
const CLIENTS: usize = 4;
const PROVIDERS: usize = 2;
/// Slots of a quarter of an hour that all of them want.
const SLOTS: i64 = 96 * 60;

const ACCEPT: &str = "mutation($id: ID!) { bookingAccept(id: $id) { userErrors { code } } }";
const CANCEL: &str = "mutation($id: ID!, $key: String!) {
    bookingCancel(id: $id, input: {}, idempotencyKey: $key) { booking { state } userErrors { code } } }";

fn now() -> Timestamp {
    #[expect(
        clippy::disallowed_methods,
        reason = "the program has the system's time"
    )]
    Timestamp::now()
}

/// What the server has acknowledged.
#[derive(Default)]
struct Acknowledged {
    bookings: BTreeSet<Uuid>,
    accepted: BTreeSet<Uuid>,
    cancelled: BTreeSet<Uuid>,
    orders: BTreeMap<Uuid, Uuid>,
    paid: BTreeSet<Uuid>,
    events: usize,
    faults: Vec<String>,
}

struct Load {
    http: reqwest::Client,
    base_url: String,
    stripe: FakeStripe,
    clients: Vec<String>,
    providers: Vec<(Uuid, String)>,
    service: Uuid,
    opens: Timestamp,
    over: AtomicBool,
    writes: AtomicUsize,
    written: Notify,
    known: Mutex<Acknowledged>,
}

impl Load {
    /// Notes an acknowledged write.
    fn note(&self, change: impl FnOnce(&mut Acknowledged)) {
        change(&mut self.known.lock().unwrap());
        self.writes.fetch_add(1, SeqCst);
        self.written.notify_waiters();
    }

    /// Waits for so many more acknowledged writes.
    async fn wait(&self, more: usize) {
        let target = self.writes.load(SeqCst) + more;
        let enough = async {
            loop {
                let written = self.written.notified();
                if self.writes.load(SeqCst) >= target {
                    return;
                }
                written.await;
            }
        };
        timeout(LIMIT, enough).await.expect("writes go on");
    }

    /// Asks until there is an answer; answers its payload, and whether it was asked more than once.
    async fn surely(&self, token: &str, query: &str, variables: Value) -> (Value, bool) {
        let body = json!({ "query": query, "variables": variables });
        let mut again = false;
        loop {
            let request = self.http.post(format!("{}/graphql", self.base_url));
            let sent = request.bearer_auth(token).json(&body).send().await;
            let answer = match sent {
                Ok(response) => response.json::<Value>().await.unwrap_or(Value::Null),
                Err(_) => Value::Null,
            };
            let payload = answer["data"]
                .as_object()
                .and_then(|data| data.values().next());
            // A mutation that finished may still lack what was to be read for its answer.
            let whole = answer.get("errors").is_none();
            if let Some(payload) = payload.filter(|payload| whole && payload.is_object()) {
                return (payload.clone(), again);
            }
            let code = answer["errors"][0]["extensions"]["code"].as_str();
            if !matches!(code, None | Some("UNAVAILABLE" | "TIMEOUT")) {
                self.known.lock().unwrap().faults.push(answer.to_string());
            }
            again = true;
            // As a frontend would, so as not to keep a server busy that is about to start.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn deliver(&self, event: &Value) {
        loop {
            let body = event.to_string();
            let signature = sign(&WEBHOOK_SECRET.into(), now().as_second(), body.as_bytes());
            let request = self
                .http
                .post(format!("{}/v1/payments/webhook", self.base_url));
            let request = request.header("stripe-signature", signature).body(body);
            match request
                .send()
                .await
                .map(|response| response.status().as_u16())
            {
                Ok(200) => return,
                Ok(status) if status != 503 => {
                    self.known
                        .lock()
                        .unwrap()
                        .faults
                        .push(format!("webhook: {status}"));
                }
                _ => {}
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// One client's life until the load is over.
    async fn live(self: Arc<Self>, who: usize) {
        let mut rng = StdRng::seed_from_u64(who as u64);
        while !self.over.load(SeqCst) {
            self.book(who, &mut rng).await;
        }
    }

    async fn book(&self, who: usize, rng: &mut StdRng) {
        let me = &self.clients[who];
        let (provider, owner) = &self.providers[rng.random_range(0..PROVIDERS)];
        let start = self.opens + SignedDuration::from_mins(15 * rng.random_range(0..SLOTS));
        let key = || Uuid::from_u128(rand::rng().random()).to_string();
        let input = json!({
            "providerId": ProviderId(*provider).to_string(),
            "serviceId": ServiceId(self.service).to_string(),
            "startsAt": start,
        });
        let wish = json!({ "input": input, "key": key() });
        // Sent twice at once, as by a finger that trembles.
        let ((one, _), (other, _)) = tokio::join!(
            self.surely(me, CREATE, wish.clone()),
            self.surely(me, CREATE, wish)
        );
        let Some(id) = one["booking"]["id"].as_str() else {
            return;
        };
        assert_eq!(other["booking"]["id"], id, "one key, one booking");
        let booking = id.parse::<BookingId>().unwrap().uuid();
        self.note(|known| _ = known.bookings.insert(booking));
        let (answer, again) = self.surely(owner, ACCEPT, json!({ "id": id })).await;
        let code = answer["userErrors"][0]["code"].as_str();
        // Asked again, it may be told of what it did itself.
        if code.is_none() || (again && code == Some("INVALID_STATE")) {
            self.note(|known| _ = known.accepted.insert(booking));
        } else {
            self.known.lock().unwrap().faults.push(answer.to_string());
            return;
        }
        if rng.random_bool(0.3) {
            return self.cancel(me, id, booking, key()).await;
        }
        let wish = json!({ "id": id, "key": key() });
        let (answer, _) = self.surely(me, ORDER_CREATE, wish).await;
        let Some(order_id) = answer["order"]["id"].as_str().map(str::to_owned) else {
            self.known
                .lock()
                .unwrap()
                .faults
                .push(format!("{id}: {answer}"));
            return;
        };
        let order = order_id.parse::<OrderId>().unwrap().uuid();
        self.note(|known| _ = known.orders.insert(order, booking));
        let wish = json!({ "id": order_id, "url": RETURN_URL, "key": key() });
        let (answer, _) = self.surely(me, CHECKOUT_CREATE, wish).await;
        if let Some(error) = answer["userErrors"].get(0) {
            self.known.lock().unwrap().faults.push(error.to_string());
            return;
        }
        let sessions: Vec<_> = self.stripe.sessions();
        let mine: Vec<_> = sessions
            .iter()
            .filter(|session| self.stripe.session(session).order_id == order_id)
            .collect();
        assert_eq!(mine.len(), 1, "one session an order");
        let paid = self.stripe.pay(mine[0]);
        for (name, change) in [
            ("a", SessionChange::Completed),
            ("b", SessionChange::AsyncPaymentSucceeded),
        ] {
            let head = EventHead {
                id: format!("evt_{name}_{}", order.simple()),
                created: now(),
                livemode: false,
            };
            let event = session_event(&head, change, &paid);
            // At least once: here, twice at the same time.
            tokio::join!(self.deliver(&event), self.deliver(&event));
            self.note(|known| {
                known.paid.insert(order);
                known.events += 1;
            });
        }
        if rng.random_bool(0.3) {
            self.cancel(me, id, booking, key()).await;
        }
    }

    async fn cancel(&self, me: &str, id: &str, booking: Uuid, key: String) {
        let wish = json!({ "id": id, "key": key });
        let (answer, _) = self.surely(me, CANCEL, wish).await;
        if answer["booking"]["state"] == "CANCELLED" {
            self.note(|known| _ = known.cancelled.insert(booking));
        } else {
            self.known.lock().unwrap().faults.push(answer.to_string());
        }
    }
}

/// What is killed and started again.
struct Machines {
    folder: PathBuf,
    cluster: Option<PrivateCluster>,
    server: Option<Child>,
    base_url: String,
    stripe_base: String,
    stripe_key: SecretString,
}

impl Machines {
    async fn start_database(&mut self) {
        let options =
            PrivateOptions::development(self.folder.join(".companion")).install_missing(false);
        let started = tokio::task::spawn_blocking(|| PrivateCluster::start(options)).await;
        self.cluster = Some(started.unwrap().unwrap());
    }

    fn kill_database(&mut self) {
        let cluster = self.cluster.take().unwrap();
        let killed = Command::new("kill")
            .args(["-KILL", &cluster.pid().to_string()])
            .status();
        assert!(killed.unwrap().success());
    }

    fn url(&self) -> String {
        self.cluster.as_ref().unwrap().url()
    }

    async fn start_server(&mut self) {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("server.log"))
            .unwrap();
        let port = self.base_url.rsplit(':').next().unwrap().to_owned();
        let mut child = Command::new(env!("CARGO_BIN_EXE_companion"))
            .arg("serve")
            .current_dir(&self.folder)
            .env_clear()
            .env("DATABASE_URL", self.url())
            .env("PORT", port)
            .env("BASE_URL", &self.base_url)
            .env("LOG_LEVEL", "warn")
            .env("ACCESS_TOKEN_TTL", "86400")
            // All the load comes from one address.
            .env("GRAPHQL_POINTS_PER_MINUTE_ADDRESS", "0")
            .env("GRAPHQL_POINTS_PER_MINUTE_USER", "0")
            .env("PAYMENTS", "stripe")
            .env("STRIPE_API_BASE", &self.stripe_base)
            .env("STRIPE_SECRET_KEY", self.stripe_key.expose_secret())
            .env("STRIPE_WEBHOOK_SECRET", WEBHOOK_SECRET)
            .env("DATA_DIR", self.folder.join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let serves = tokio::task::spawn_blocking(move || {
            let mut lines = stdout.lines();
            let serves = lines.any(|line| line.is_ok_and(|line| line.starts_with("GraphQL ")));
            // Reads on, or else the server would write to nobody.
            std::thread::spawn(move || lines.count());
            serves
        });
        assert!(serves.await.unwrap(), "the server starts");
        self.server = Some(child);
    }

    fn kill_server(&mut self) {
        let mut server = self.server.take().unwrap();
        server.kill().unwrap();
        server.wait().unwrap();
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            let _ = server.kill();
            let _ = server.wait();
        }
        let home = self.cluster.take().map(|cluster| {
            let home = cluster.folder().to_owned();
            let _ = cluster.stop();
            home
        });
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.folder);
            let _ = home.map(std::fs::remove_dir_all);
        }
    }
}

/// The people, their prices and windows; answers the tokens.
async fn furnish(url: &str, opens: Timestamp) -> (Vec<String>, Vec<(Uuid, String)>, Uuid) {
    migrate::up(url).await.unwrap();
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let mut config = Config::development();
    config.database_url = Some(SecretString::from(url.to_owned()));
    config.access_token_ttl = Duration::from_secs(24 * 3600);
    let app = App::new(config, Clock::system(), Entropy::system()).unwrap();
    let now = app.clock.now();
    let id = || app.entropy.uuid_v7(now);
    let (category, service) = (id(), id());
    let mut sql = format!(
        "INSERT INTO categories VALUES ('{category}', 'crash', 'Test', 0);
         INSERT INTO services VALUES ('{service}', '{category}', 'Walk', '', 'ACTIVE', 1, '{now}', '{now}');"
    );
    let people: Vec<Uuid> = (0..CLIENTS + PROVIDERS).map(|_| id()).collect();
    for person in &people {
        sql += &format!(
            "INSERT INTO users (id, display_name, language, status, version, created_at, updated_at)
                 VALUES ('{person}', 'Person', 'EN', 'ACTIVE', 1, '{now}', '{now}');
             INSERT INTO user_roles (user_id, role_id, granted_at) SELECT '{person}', id, '{now}' FROM roles WHERE name = 'USER';
             INSERT INTO boundary_acknowledgements VALUES ('{person}', 1, '{now}');"
        );
    }
    let mut profiles = Vec::new();
    let closes = opens + SignedDuration::from_mins(15 * SLOTS);
    for person in &people[CLIENTS..] {
        let (profile, price, window) = (id(), id(), id());
        profiles.push(profile);
        sql += &format!(
            "INSERT INTO providers (id, user_id, status, display_name, headline, bio, city_id, time_zone,
                 cancellation_policy, applied_at, version, created_at, updated_at)
                 SELECT '{profile}', '{person}', 'APPROVED', 'Provider', '', '', id, time_zone, 'FLEXIBLE', '{now}', 1,
                 '{now}', '{now}' FROM cities LIMIT 1;
             INSERT INTO provider_services VALUES ('{price}', '{profile}', '{service}', 5000, 'EUR', 15, true, 1, '{now}', '{now}');
             INSERT INTO availabilities VALUES ('{window}', '{profile}', '{opens}', '{closes}', '{now}');"
        );
    }
    client.batch_execute(&sql).await.unwrap();
    let mut tokens = Vec::new();
    for person in people {
        let signed_in = service::issue_for_operator(&app, UserId(person)).await;
        tokens.push(signed_in.unwrap().access_token);
    }
    let providers = profiles
        .into_iter()
        .zip(tokens.split_off(CLIENTS))
        .collect();
    (tokens, providers, service)
}

async fn ids(client: &tokio_postgres::Client, sql: &str) -> BTreeSet<Uuid> {
    let rows = client.query(sql, &[]).await.unwrap();
    rows.iter()
        .map(|row| row.get::<_, String>(0).parse().unwrap())
        .collect()
}

/// Compares what the database has with what was acknowledged.
async fn check(url: &str, known: &Acknowledged) {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    // Whatever had no answer was asked again until it had one, so there is no more than what was acknowledged.
    assert_eq!(
        ids(&client, "SELECT id::text FROM bookings").await,
        known.bookings
    );
    let accepted =
        "SELECT id::text FROM bookings WHERE state IN ('ACCEPTED', 'CONFIRMED', 'CANCELLED')";
    assert!(
        ids(&client, accepted).await.is_superset(&known.accepted),
        "an acceptance is lost"
    );
    let cancelled = "SELECT id::text FROM bookings WHERE state = 'CANCELLED'";
    assert_eq!(ids(&client, cancelled).await, known.cancelled);
    let orders = ids(&client, "SELECT id::text FROM orders").await;
    assert_eq!(orders, known.orders.keys().copied().collect());
    let paid =
        "SELECT id::text FROM orders WHERE captured_minor = total_minor AND paid_at IS NOT NULL";
    assert_eq!(ids(&client, paid).await, known.paid);
    let events = ids(
        &client,
        "SELECT order_id::text FROM payment_events GROUP BY 1",
    )
    .await;
    assert_eq!(events, known.paid);
    for (what, sql) in [
        (
            "overlapping bookings",
            "SELECT a.id::text FROM bookings a JOIN bookings b ON a.id < b.id AND a.starts_at < b.ends_at AND b.starts_at < a.ends_at
                 AND (a.provider_id = b.provider_id OR a.client_id = b.client_id)
             WHERE a.state IN ('REQUESTED', 'ACCEPTED', 'CONFIRMED') AND b.state IN ('REQUESTED', 'ACCEPTED', 'CONFIRMED')",
        ),
        (
            "bookings that hold no time, or hold it for nothing",
            "SELECT b.id::text FROM bookings b LEFT JOIN held_times h ON h.booking_id = b.id
             WHERE (b.state IN ('REQUESTED', 'ACCEPTED', 'CONFIRMED')) <> (h.id IS NOT NULL)",
        ),
        (
            "steps that happened twice",
            "SELECT booking_id::text FROM booking_events GROUP BY booking_id, action HAVING count(*) > 1",
        ),
        (
            "paid bookings that are not confirmed",
            "SELECT b.id::text FROM orders o JOIN bookings b ON b.id = o.booking_id WHERE o.paid_at IS NOT NULL
                 AND NOT EXISTS (SELECT 1 FROM booking_events e WHERE e.booking_id = b.id AND e.action = 'PAY')",
        ),
        (
            "bookings with two orders",
            "SELECT booking_id::text FROM orders GROUP BY booking_id HAVING count(*) > 1",
        ),
        (
            "orders that need a person",
            "SELECT id::text FROM orders WHERE needs_attention IS NOT NULL",
        ),
    ] {
        assert_eq!(ids(&client, sql).await, BTreeSet::new(), "{what}");
    }
    let row = client
        .query_one("SELECT count(*) FROM payment_events", &[])
        .await
        .unwrap();
    assert_eq!(row.get::<_, i64>(0), known.events as i64, "each event once");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_and_nothing_happens_twice() {
    let cycles = std::env::var("CRASH_CYCLES").map_or(CYCLES, |text| text.parse().unwrap());
    let stripe = FakeStripe::start(Clock::system()).await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let folder = std::env::temp_dir().join(format!("companion-crash-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut machines = Machines {
        folder,
        cluster: None,
        server: None,
        base_url: base_url.clone(),
        stripe_base: stripe.base.to_string(),
        stripe_key: stripe.key(),
    };
    machines.start_database().await;
    let opens = Timestamp::from_second(now().as_second() / 900 * 900).unwrap()
        + SignedDuration::from_hours(48);
    let (clients, providers, service) = furnish(&machines.url(), opens).await;
    machines.start_server().await;
    let load = Arc::new(Load {
        http: reqwest::Client::builder().no_proxy().build().unwrap(),
        base_url,
        stripe,
        clients,
        providers,
        service,
        opens,
        over: AtomicBool::new(false),
        writes: AtomicUsize::new(0),
        written: Notify::new(),
        known: Mutex::default(),
    });
    let lives: Vec<JoinHandle<()>> = (0..CLIENTS)
        .map(|who| tokio::spawn(load.clone().live(who)))
        .collect();

    let mut rng = StdRng::seed_from_u64(cycles as u64);
    let mut slowest = Duration::ZERO;
    for cycle in 0..cycles {
        load.wait(rng.random_range(1..=25)).await;
        let faults = load.known.lock().unwrap().faults.clone();
        assert!(faults.is_empty(), "after {cycle} kills: {faults:#?}");
        // The first three are one of each kind.
        match if cycle < 3 {
            cycle
        } else {
            rng.random_range(0..3)
        } {
            0 => {
                machines.kill_server();
                machines.start_server().await;
            }
            1 => {
                machines.kill_database();
                machines.start_database().await;
                let back = Instant::now();
                load.wait(1).await;
                slowest = slowest.max(back.elapsed());
            }
            _ => {
                machines.kill_database();
                machines.kill_server();
                machines.start_database().await;
                machines.start_server().await;
            }
        }
    }
    load.wait(10).await;
    load.over.store(true, SeqCst);
    for life in lives {
        timeout(LIMIT, life).await.expect("it ends").unwrap();
    }
    let known = std::mem::take(&mut *load.known.lock().unwrap());
    println!(
        "{cycles} kills: {} bookings, {} accepted, {} paid, {} cancelled, {} events acknowledged; slowest recovery {slowest:?}",
        known.bookings.len(),
        known.accepted.len(),
        known.paid.len(),
        known.cancelled.len(),
        known.events
    );
    check(&machines.url(), &known).await;
    assert!(
        known.faults.is_empty(),
        "{:#?}",
        known.faults.iter().take(5).collect::<Vec<_>>()
    );
    assert!(slowest < RECOVERY, "back after {slowest:?}");
}
