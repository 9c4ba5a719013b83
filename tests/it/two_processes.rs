//! Two servers of one database, each a process of its own: what one counts, ends or takes away holds at the other.

use std::time::{Duration, Instant};

use companion::{clock::Clock, db::ids::UserId, features::accounts::service};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, UnixStream},
    task::JoinHandle,
};
use tokio_postgres::config::Host;

use super::support::{Answer, Client, TestApp, process::Process};

/// Rule 17.
const AT_ONCE: Duration = Duration::from_secs(1);
/// When a test gives up.
const LIMIT: Duration = Duration::from_secs(60);
const ME: &str = "{ me { id } }";

/// People and their database, by the system's clock, which processes have.
async fn people() -> TestApp {
    TestApp::start_by(Clock::system(), |_| {}).await
}

async fn two(app: &TestApp, settings: &[(&str, String)]) -> (Process, Process) {
    tokio::join!(
        Process::start(app.database_url(), settings),
        Process::start(app.database_url(), settings)
    )
}

/// Asks until it is refused with this code; answers how long after `since` a request was sent that was not.
async fn refused_after(client: &Client, query: &str, code: &str, since: Instant) -> Duration {
    let mut last = Duration::ZERO;
    loop {
        let sent = since.elapsed();
        assert!(sent < LIMIT, "{code} never comes");
        let answer = client.query(query).await;
        if answer.body.get("errors").is_some() {
            assert_eq!(answer.error_code(), code, "{}", answer.body);
            println!(
                "accepted until {last:?}, {code} after {:?}",
                since.elapsed()
            );
            return last;
        }
        last = sent;
    }
}

async fn post(person: &Client, query: &str, variables: Value, mutation: &str) -> Instant {
    person.post(query, variables).await.payload(mutation);
    Instant::now()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_ends_the_other_refuses_within_a_second() {
    let app = people().await;
    let admin = app.user_with_roles("Ada", &["USER", "ADMIN"]).await;
    let (mia, sam) = (app.user("Mia").await, app.user("Sam").await);
    let clerk = app.user_with_permissions("Rita", &["users:read"]).await;
    let leo = app.user("Leo").await;
    let leo: UserId = leo.user_id.parse().unwrap();
    let first = service::issue_for_operator(&app.app, leo).await.unwrap();
    let second = service::issue_for_operator(&app.app, leo).await.unwrap();
    let session = app.sessions(&sam).await[0];
    let (one, other) = two(&app, &[]).await;
    let staff = one.as_seen_by(&admin);
    let leo = [&first, &second].map(|it| other.anonymous().with_token(&it.access_token));
    let [mia_there, sam_there] = [&mia, &sam].map(|person| other.as_seen_by(person));
    // From here on the other process knows their rights.
    for person in [&mia_there, &sam_there, &leo[0], &leo[1]] {
        person.query(ME).await.data();
    }

    let query = "mutation($id: ID!) { userStatusSet(id: $id, input: { decision: SUSPEND, reason: \"Test\" }) { userErrors { code } } }";
    let since = post(&staff, query, json!({ "id": mia.user_id }), "userStatusSet").await;
    let suspended = refused_after(&mia_there, ME, "UNAUTHENTICATED", since).await;

    let query = "mutation($id: ID!) { sessionRevoke(id: $id) { userErrors { code } } }";
    let sam = one.as_seen_by(&sam);
    let since = post(&sam, query, json!({ "id": session }), "sessionRevoke").await;
    let revoked = refused_after(&sam_there, ME, "UNAUTHENTICATED", since).await;

    let query = "mutation($token: String!) { authLogout(refreshToken: $token, everywhere: true) { loggedOut userErrors { code } } }";
    let token = json!({ "token": first.refresh_token });
    let since = post(&one.anonymous(), query, token, "authLogout").await;
    let left = [
        refused_after(&leo[0], ME, "UNAUTHENTICATED", since).await,
        refused_after(&leo[1], ME, "UNAUTHENTICATED", since).await,
    ];

    let users = "{ users(first: 1) { nodes { id } } }";
    let clerk_there = other.as_seen_by(&clerk);
    clerk_there.query(users).await.data();
    let query = "mutation($id: ID!) { userRolesSet(userId: $id, input: { roleIds: [] }) { userErrors { code } } }";
    let variables = json!({ "id": clerk.user_id });
    let since = post(&staff, query, variables, "userRolesSet").await;
    let taken = refused_after(&clerk_there, users, "FORBIDDEN", since).await;
    // Only the right is gone, not the person.
    clerk_there.query(ME).await.data();

    for waited in [suspended, revoked, left[0], left[1], taken] {
        assert!(waited < AT_ONCE, "still accepted after {waited:?}");
    }
}

/// A way to the database that can be cut.
struct Way {
    url: String,
    door: JoinHandle<()>,
}

impl Way {
    async fn open(app: &TestApp) -> Self {
        let config: tokio_postgres::Config = app.database_url().parse().unwrap();
        let Host::Unix(folder) = &config.get_hosts()[0] else {
            panic!("tests reach their database over a socket")
        };
        let socket = folder.join(format!(".s.PGSQL.{}", config.get_ports()[0]));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!(
            "postgres://{}@{}/{}?sslmode=disable",
            config.get_user().unwrap(),
            listener.local_addr().unwrap(),
            config.get_dbname().unwrap(),
        );
        let door = tokio::spawn(async move {
            while let Ok((mut caller, _)) = listener.accept().await {
                let mut server = UnixStream::connect(&socket).await.unwrap();
                tokio::spawn(async move { copy_bidirectional(&mut caller, &mut server).await });
            }
        });
        Self { url, door }
    }

    /// Nobody comes in any more; who is in is thrown out.
    async fn cut(self, app: &TestApp) {
        self.door.abort();
        let _ = self.door.await;
        cut_listeners(app).await;
    }
}

async fn cut_listeners(app: &TestApp) {
    // In this order and no other: the cluster has the databases of other tests.
    let listeners = "pg_stat_activity WHERE
        CASE WHEN datname = current_database() AND application_name = 'companion listen'
        THEN pg_terminate_backend(pid) ELSE false END";
    assert!(app.count(listeners).await >= 2);
}

async fn revoke(process: &Process, app: &TestApp, person: &Client) -> Instant {
    let session = app.sessions(person).await[0];
    let query = "mutation($id: ID!) { sessionRevoke(id: $id) { userErrors { code } } }";
    let person = process.as_seen_by(person);
    post(&person, query, json!({ "id": session }), "sessionRevoke").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_hears_nothing_asks_for_each_request() {
    let app = people().await;
    let (mia, sam, eve) = (
        app.user("Mia").await,
        app.user("Sam").await,
        app.user("Eve").await,
    );
    let way = Way::open(&app).await;
    let settings = [("DATABASE_DIRECT_URL", way.url.clone())];
    let (one, other) = tokio::join!(
        Process::start(app.database_url(), &[]),
        Process::start(app.database_url(), &settings)
    );
    let [mia_there, sam_there, eve_there] =
        [&mia, &sam, &eve].map(|person| other.as_seen_by(person));
    for person in [&mia_there, &sam_there, &eve_there] {
        person.query(ME).await.data();
    }
    // Cut for a moment: what is said meanwhile may be lost.
    cut_listeners(&app).await;
    let since = revoke(&one, &app, &mia).await;
    let waited = refused_after(&mia_there, ME, "UNAUTHENTICATED", since).await;
    assert!(waited < AT_ONCE, "still accepted after {waited:?}");
    // Cut for good.
    way.cut(&app).await;
    let cut = Instant::now();
    let since = revoke(&one, &app, &sam).await;
    let waited = refused_after(&sam_there, ME, "UNAUTHENTICATED", since).await;
    assert!(waited < AT_ONCE, "still accepted after {waited:?}");
    let http = other.anonymous();
    loop {
        let ready = http.http().get(http.url("/health/ready")).send().await;
        let ready: Value = ready.unwrap().json().await.unwrap();
        if ready["missing"] == json!(["messages"]) {
            break;
        }
        assert!(cut.elapsed() < LIMIT, "{ready}");
    }
    // From now on not a single request more, and who may still does.
    eve_there.query(ME).await.data();
    revoke(&one, &app, &eve).await;
    assert_eq!(eve_there.query(ME).await.error_code(), "UNAUTHENTICATED");
}

/// Sends it `times` at once, to both in turn; answers how many were not limited.
async fn passed(both: [&Client; 2], times: usize, query: &str) -> usize {
    let answers: Vec<Answer> =
        join_all((0..times).map(|number| both[number % 2].query(query))).await;
    for answer in &answers {
        assert!([200, 429].contains(&answer.status), "{}", answer.body);
    }
    answers.iter().filter(|answer| answer.status == 200).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_in_postgresql_are_those_of_both() {
    let app = people().await;
    app.user("Mia").await;
    let settings = [
        ("LIMITS", "postgres"),
        ("REFRESH_PER_MINUTE", "3"),
        ("SIGN_IN_PER_ACCOUNT", "2"),
        ("GRAPHQL_POINTS_PER_MINUTE_ADDRESS", "1"),
        ("GRAPHQL_POINTS_BURST_ADDRESS", "100"),
    ];
    let settings = settings.map(|(name, value)| (name, value.to_owned()));
    let (one, other) = two(&app, &settings).await;
    let (one, other) = (one.anonymous(), other.anonymous());
    let both = [&one, &other];
    let refresh = "mutation { authRefresh(refreshToken: \"x\") { userErrors { code } } }";
    assert_eq!(passed(both, 30, refresh).await, 3);
    let log_in = "mutation { authLogin(login: \"mia@example.org\", password: \"a guess\") { userErrors { code } } }";
    assert_eq!(passed(both, 12, log_in).await, 2);
    let cost = one.http().post(one.url("/graphql")).header("x-cost", "1");
    let cost = cost.json(&json!({ "query": "{ __typename }" })).send();
    let cost: Value = cost.await.unwrap().json().await.unwrap();
    let cost = &cost["extensions"]["cost"];
    assert_eq!(
        (&cost["requested"], &cost["limit"]),
        (&json!(1), &json!(100))
    );
    let left = usize::try_from(cost["remaining"].as_u64().unwrap()).unwrap();
    assert!(left > 50, "{cost}");
    assert_eq!(passed(both, 120, "{ __typename }").await, left);
}

/// One account's sessions, refreshed all at once from many addresses at both processes, have as many as the setting says.
#[tokio::test(flavor = "multi_thread")]
async fn refreshes_of_an_account_are_those_of_both() {
    let app = people().await;
    let (mia, eve) = (app.user("Mia").await, app.user("Eve").await);
    let settings = [
        ("LIMITS", "postgres"),
        ("TRUSTED_PROXIES", "127.0.0.1"),
        ("REFRESH_PER_ACCOUNT", "3"),
    ];
    let settings = settings.map(|(name, value)| (name, value.to_owned()));
    let (one, other) = two(&app, &settings).await;
    let both = [one.anonymous(), other.anonymous()];
    let token_of = async |person: &Client| {
        let id: UserId = person.user_id.parse().unwrap();
        let signed_in = service::issue_for_operator(&app.app, id).await.unwrap();
        signed_in.refresh_token
    };
    let mut tokens = Vec::new();
    for _ in 0..5 {
        tokens.push(token_of(&mia).await);
    }
    let refresh = async |number: usize, token: &str| {
        let query = "mutation($token: String!) { authRefresh(refreshToken: $token) { refreshToken userErrors { code } } }";
        let body = json!({ "query": query, "variables": { "token": token } });
        let client = &both[number % 2];
        let address = format!("198.51.100.{number}");
        let request = client.http().post(client.url("/graphql"));
        let request = request.header("x-forwarded-for", address).json(&body);
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json::<Value>().await.unwrap())
    };
    let made_up = "A".repeat(43);
    for (status, answer) in join_all((0..20).map(|number| refresh(number, &made_up))).await {
        assert_eq!(status, 200, "{answer}");
    }
    let tries = (0..30).map(|number| refresh(number, &tokens[number % tokens.len()]));
    let mut passed = 0;
    for (status, answer) in join_all(tries).await {
        if status == 200 {
            passed += 1;
            let payload = &answer["data"]["authRefresh"];
            assert!(payload["refreshToken"].is_string(), "{answer}");
        } else {
            let extensions = &answer["errors"][0]["extensions"];
            assert_eq!((status, &extensions["code"]), (429, &json!("RATE_LIMITED")));
            assert!(extensions["retryAfterMs"].as_u64().unwrap() > 0);
        }
    }
    assert_eq!(passed, 3);
    let others = token_of(&eve).await;
    assert_eq!(refresh(0, &others).await.0, 200);
}

/// By default each counts for itself.
#[tokio::test(flavor = "multi_thread")]
async fn limits_in_memory_are_those_of_each() {
    let app = people().await;
    app.user("Mia").await;
    let settings = [("REFRESH_PER_MINUTE", "3".to_owned())];
    let (one, other) = two(&app, &settings).await;
    let refresh = "mutation { authRefresh(refreshToken: \"x\") { userErrors { code } } }";
    let (one, other) = (one.anonymous(), other.anonymous());
    assert_eq!(passed([&one, &other], 30, refresh).await, 6);
}

/// Rule 22: whoever guesses, from wherever, at whichever process, has three tries together.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_guessed_three_times_over_addresses_and_processes() {
    const EMAIL: &str = "mia@example.org";
    let app = people().await;
    app.user("Somebody").await;
    let settings = [
        ("TRUSTED_PROXIES", "127.0.0.1"),
        ("SIGN_IN_PER_ACCOUNT", "1000"),
        ("SIGN_IN_PER_MINUTE", "1000"),
    ];
    let settings = settings.map(|(name, value)| (name, value.to_owned()));
    let (one, other) = two(&app, &settings).await;
    let both = [one.anonymous(), other.anonymous()];
    let register = "mutation($email: EmailAddress!) { authRegister(input: {
        email: $email, password: \"correct horse battery\", displayName: \"Mia\", language: EN }) { emailSent userErrors { code } } }";
    let registered = both[0].post(register, json!({ "email": EMAIL })).await;
    registered.payload("authRegister");
    app.run_jobs().await;
    let code = app.mailed_code();
    let number: u32 = code.parse().unwrap();
    let verify = async |guess: u32, process: usize, address: &str| {
        let query = "mutation($email: EmailAddress!, $code: String!) {
            emailVerify(email: $email, code: $code, password: \"correct horse battery\") { accessToken userErrors { code } } }";
        let code = format!("{:06}", guess % 1_000_000);
        let body = json!({ "query": query, "variables": { "email": EMAIL, "code": code } });
        let client = &both[process];
        let request = client.http().post(client.url("/graphql"));
        let request = request.header("x-forwarded-for", address).json(&body);
        request.send().await.unwrap().json::<Value>().await.unwrap()
    };
    let addresses = ["198.51.100.7", "203.0.113.9"];
    let guesses = (1..=40_u32).map(|guess| {
        let (process, address) = (guess as usize % 2, addresses[guess as usize / 2 % 2]);
        verify(number + guess, process, address)
    });
    for answer in join_all(guesses).await {
        let payload = &answer["data"]["emailVerify"];
        assert_eq!(payload["userErrors"][0]["code"], "INVALID_CODE", "{answer}");
    }
    assert_eq!(app.count("email_codes WHERE attempts = 3").await, 1);
    for process in [0, 1] {
        let right = verify(number, process, "192.0.2.1").await;
        let payload = &right["data"]["emailVerify"];
        assert_eq!(payload["userErrors"][0]["code"], "INVALID_CODE", "{right}");
        assert_eq!(payload["accessToken"], Value::Null);
    }
    assert_eq!(app.count("users").await, 1);
}
