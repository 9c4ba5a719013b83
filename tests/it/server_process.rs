//! The program itself, as an operator runs it: what it prints and logs, and how it stops.

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use companion::integrations::telegram;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::support::{Client, TestDatabase, cluster::cluster};

const BOT: &str = "123456:test-bot-token-of-this-suite";
const LIMIT: Duration = Duration::from_secs(60);

fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// `companion serve` on a database.
struct Process {
    child: Child,
    base_url: String,
    stdout: thread::JoinHandle<String>,
    stderr: thread::JoinHandle<String>,
}

impl Process {
    fn start(database_url: &str, metrics: SocketAddr) -> Self {
        let address = free_address();
        let base_url = format!("http://{address}");
        let folder = std::env::temp_dir();
        let mut child = Command::new(env!("CARGO_BIN_EXE_companion"))
            .arg("serve")
            // Where no `.env` lies.
            .current_dir(&folder)
            .env_clear()
            .env("DATABASE_URL", database_url)
            .env("PORT", address.port().to_string())
            .env("BASE_URL", &base_url)
            .env("LOG_FORMAT", "json")
            .env("METRICS_ADDR", metrics.to_string())
            .env("TELEGRAM_BOT_TOKEN", BOT)
            .env(
                "DATA_DIR",
                folder.join(format!("companion-process-{}", address.port())),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let begun = until_served(&mut stdout);
        let stdout = thread::spawn(move || begun + &rest(stdout));
        let stderr = child.stderr.take().unwrap();
        let stderr = thread::spawn(move || rest(stderr));
        Self {
            child,
            base_url,
            stdout,
            stderr,
        }
    }

    /// Asks it to stop; answers how it ended and all that it printed and logged.
    fn stop(mut self) -> (ExitStatus, String, String) {
        let killed = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status();
        assert!(killed.unwrap().success());
        let status = self.child.wait().unwrap();
        (
            status,
            self.stdout.join().unwrap(),
            self.stderr.join().unwrap(),
        )
    }
}

/// Reads until the program says where it serves.
fn until_served(stdout: &mut BufReader<ChildStdout>) -> String {
    let mut text = String::new();
    while !text.contains("GraphQL ") {
        assert_ne!(stdout.read_line(&mut text).unwrap(), 0, "it ended: {text}");
    }
    text
}

fn rest(mut source: impl Read) -> String {
    let mut text = String::new();
    source.read_to_string(&mut text).unwrap();
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn log_lines_say_what_happened_and_no_secret() {
    let database = TestDatabase::create().await;
    let (url, metrics) = (database.url(), free_address());
    let process = tokio::task::spawn_blocking(move || Process::start(&url, metrics))
        .await
        .unwrap();
    let anyone = Client::new(&process.base_url, None);
    #[expect(
        clippy::disallowed_methods,
        reason = "the program has the system's time"
    )]
    let now = jiff::Timestamp::now();
    let user = json!({ "id": 77, "first_name": "Xaverine", "username": "xaverine_x" }).to_string();
    let init_data = telegram::sign(&user, &SecretString::from(BOT), now, &[]).unwrap();
    let signed_in = anyone
        .post(
            "mutation SignIn($d: String!) { authTelegram(initData: $d) {
                accessToken refreshToken user { id } userErrors { code } } }",
            json!({ "d": init_data }),
        )
        .await;
    let tokens = signed_in.payload("authTelegram");
    let text = |field: &str| tokens[field].as_str().unwrap().to_owned();
    let (access, refresh) = (text("accessToken"), text("refreshToken"));
    let me = anyone.with_token(&access);

    let asked = me
        .http()
        .post(me.url("/graphql"))
        .bearer_auth(&access)
        .header("x-request-id", "asked-1")
        .json(&json!({ "query": "query Mine { me { id sessions { nodes { id } } } }" }));
    assert_eq!(asked.send().await.unwrap().status(), 200);
    let refused = anyone.query("{ me { id } }").await;
    assert_eq!(refused.error_code(), "FORBIDDEN");
    let bad = json!({ "initData": init_data.replace("hash=", "hash=0") });
    let bad = anyone
        .http()
        .post(anyone.url("/v1/auth/telegram"))
        .json(&bad);
    assert_eq!(bad.send().await.unwrap().status(), 401);
    let upload = anyone
        .http()
        .put(anyone.url("/v1/uploads/a-secret-upload-token"));
    let upload = upload.body("x").send().await.unwrap();
    assert!(upload.status().is_client_error(), "{}", upload.status());
    anyone
        .post(
            "mutation Renew($t: String!) { authRefresh(refreshToken: $t) { accessToken userErrors { code } } }",
            json!({ "t": refresh }),
        )
        .await
        .payload("authRefresh");
    anyone
        .with_token("a-forged-token")
        .query("{ me { id } }")
        .await;
    let text = reqwest::Client::new().get(format!("http://{metrics}/metrics"));
    let text = text.send().await.unwrap().text().await.unwrap();
    assert!(text.contains("http_requests_total{"), "{text}");

    let stopped = tokio::task::spawn_blocking(move || process.stop());
    let stopped = tokio::time::timeout(LIMIT, stopped).await;
    let (status, stdout, stderr) = stopped.expect("it stops").unwrap();
    assert!(status.success(), "{status}: {stderr}");

    let hash = init_data.rsplit_once("hash=").unwrap().1;
    for secret in [
        access.as_str(),
        &access[access.len() - 20..],
        &refresh,
        hash,
        BOT,
        "Xaverine",
        "xaverine_x",
        "a-secret-upload-token",
        "a-forged-token",
        "initData",
    ] {
        assert!(!stderr.contains(secret), "{secret} is in the log: {stderr}");
        assert!(!stdout.contains(secret), "{secret} is printed: {stdout}");
    }
    let lines: Vec<Value> = stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect();
    let requests: Vec<&Value> = lines
        .iter()
        .filter(|line| line["target"] == "companion::request")
        .collect();
    assert_eq!(requests.len(), 7, "{requests:#?}");
    for line in &requests {
        assert!(
            line["request_id"].as_str().is_some_and(|id| !id.is_empty()),
            "{line}"
        );
        assert!(
            line["latency_ms"].as_f64().is_some_and(|ms| ms > 0.0),
            "{line}"
        );
        assert!(
            line["sql_statements"].is_u64() && line["sql_ms"].is_number(),
            "{line}"
        );
        assert!(
            line["timestamp"].is_string() && line["level"] == "INFO",
            "{line}"
        );
    }
    let shown = |line: &Value| {
        let parts = [
            "method",
            "route",
            "status",
            "operation",
            "operation_type",
            "codes",
        ];
        parts.map(|part| line.get(part).cloned().unwrap_or(Value::Null))
    };
    let none = Value::Null;
    let graphql = |operation: Value, kind: Value, status: u16, codes: Value| {
        [
            json!("POST"),
            json!("/graphql"),
            json!(status),
            operation,
            kind,
            codes,
        ]
    };
    let rest = |method: &str, route: &str, status: u16, code: Value| {
        [
            json!(method),
            json!(route),
            json!(status),
            none.clone(),
            none.clone(),
            code,
        ]
    };
    assert_eq!(
        shown(requests[0]),
        graphql(json!("SignIn"), json!("mutation"), 200, none.clone())
    );
    assert_eq!(
        shown(requests[1]),
        graphql(json!("Mine"), json!("query"), 200, none.clone())
    );
    assert_eq!(requests[1]["request_id"], "asked-1");
    assert_eq!(requests[1]["user_id"], tokens["user"]["id"]);
    assert!(requests[1]["sql_statements"].as_u64() >= Some(1));
    assert!(requests[1]["sql_ms"].as_f64() > Some(0.0));
    assert_eq!(
        shown(requests[2]),
        graphql(none.clone(), json!("query"), 200, json!("FORBIDDEN"))
    );
    assert!(requests[2]["user_id"].is_null());
    let refused_by_rest = shown(requests[3]);
    assert_eq!(
        refused_by_rest[..3],
        rest("POST", "/v1/auth/telegram", 401, none.clone())[..3]
    );
    assert!(refused_by_rest[5].is_string(), "{refused_by_rest:?}");
    assert_eq!(requests[4]["route"], "/v1/uploads/{token}");
    assert_eq!(
        shown(requests[5]),
        graphql(json!("Renew"), json!("mutation"), 200, none.clone())
    );
    assert_eq!(
        shown(requests[6]),
        graphql(none.clone(), none.clone(), 401, json!("UNAUTHENTICATED"))
    );
}

/// One command of the program on a database: whether it went well, and what it said.
fn command(database_url: &str, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_companion"))
        .args(arguments)
        .current_dir(std::env::temp_dir())
        .env_clear()
        .env("DATABASE_URL", database_url)
        .output()
        .unwrap();
    let said = if output.status.success() {
        output.stdout
    } else {
        output.stderr
    };
    (
        output.status.success(),
        String::from_utf8(said).unwrap().trim().to_owned(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_makes_administrators_at_the_command_line() {
    let database = TestDatabase::create().await;
    let url = database.url();
    let create = |by: [&str; 2]| command(&url, &[&["admin", "create"], by.as_slice()].concat());
    let (done, first) = create(["--email", "Ada@example.org"]);
    assert!(done && first.ends_with(" is an administrator"), "{first}");
    // The address in another case is the same person; a Telegram account is somebody else.
    assert_eq!(
        create(["--email", "ada@EXAMPLE.org"]),
        (true, first.clone())
    );
    let (done, second) = create(["--telegram-id", "42"]);
    assert!(done && second != first, "{second}");
    let (done, error) = command(&url, &["admin", "create", "--name", "Ada"]);
    assert!(
        !done && error.contains("--telegram-id") && error.contains("--email"),
        "{error}"
    );
    let id = first.split(' ').next().unwrap();
    let (done, tokens) = command(&url, &["token", "issue", id]);
    assert!(done && tokens.contains("eyJ"), "{tokens}");
    for (by, said) in [
        (["--email", "nobody"], "email: "),
        (["--telegram-id", "x"], "error: invalid value"),
        (["--telegram-id", "0"], "error: invalid value"),
    ] {
        let (done, error) = create(by);
        assert!(!done && error.contains(said), "{error}");
        assert!(!error.contains("Rejected"), "{error}");
    }
}

/// A start that comes to nothing: its status, what it printed and what it said.
async fn refused_start(settings: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let port = free_address().port().to_string();
    let folder = std::env::temp_dir().join(format!("companion-refused-{port}"));
    let run = tokio::process::Command::new(env!("CARGO_BIN_EXE_companion"))
        .arg("serve")
        .current_dir(std::env::temp_dir())
        .env_clear()
        .env("PORT", port)
        .env("LOG_LEVEL", "error")
        .env("DATA_DIR", &folder)
        .envs(settings.iter().copied())
        .kill_on_drop(true)
        .output();
    let ended = tokio::time::timeout(LIMIT, run).await;
    let ended = ended.expect("it does not serve").unwrap();
    let _ = std::fs::remove_dir_all(&folder);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (ended.status.code(), text(ended.stdout), text(ended.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_is_no_good_is_a_wrong_setting() {
    let database = TestDatabase::create().await;
    let url = database.url();
    let folder = std::env::temp_dir();
    let file = folder.join(format!("companion-manifest-{}.json", std::process::id()));
    let place = file.to_str().unwrap();
    // The last is about the schema's rules, which the settings don't know.
    for (manifest, cause) in [
        (None, "No such file"),
        (Some(("00", "{ __typename }")), "00 is not the SHA-256"),
        (
            Some((
                "021fb596db81e6d02bf3d2586ee3981fe519f275c0ac9ca76bbcf2ebb4097d96",
                "{",
            )),
            "021fb596",
        ),
    ] {
        if let Some((id, body)) = manifest {
            std::fs::write(&file, json!({ id: body }).to_string()).unwrap();
        }
        let settings = [
            ("DATABASE_URL", url.as_str()),
            ("PERSISTED_OPERATIONS", place),
        ];
        let (status, printed, said) = refused_start(&settings).await;
        assert_eq!((status, printed.as_str()), (Some(78), ""), "{said}");
        let begins =
            format!("the settings are wrong:\n  - PERSISTED_OPERATIONS cannot be used: {place}: ");
        assert!(said.starts_with(&begins), "{said}");
        assert!(said.contains(cause), "{said}");
    }
    std::fs::remove_file(&file).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_taken_is_named_before_anything_is_done() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    // Nobody answers there, which it would find out later.
    let settings = [
        ("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing"),
        ("METRICS_ADDR", address.as_str()),
    ];
    let (status, printed, said) = refused_start(&settings).await;
    assert_eq!((status, printed.as_str()), (Some(1), ""), "{said}");
    let expected = format!("cannot listen on {address}: Address already in use");
    assert!(said.starts_with(&expected), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_not_reached_is_said_with_the_cause() {
    let database = TestDatabase::create().await;
    let here = cluster().port();
    let closed = free_address().port();
    let name = database.name();
    for (url, cause) in [
        (
            format!("postgres://companion:not-the-pass@127.0.0.1:{here}/{name}"),
            "password authentication failed for user \"companion\" (SQLSTATE 28P01)",
        ),
        (
            format!("postgres://companion:not-the-pass@127.0.0.1:{closed}/{name}"),
            "Connection refused",
        ),
        (
            format!("postgres://companion:not-the-pass@nowhere.invalid/{name}"),
            "failed to lookup address",
        ),
    ] {
        for arguments in [
            &["migrate", "status"][..],
            &["admin", "create", "--telegram-id", "1"],
        ] {
            let (done, said) = command(&url, arguments);
            assert!(!done && said.contains(cause), "{said}");
            assert!(!said.contains("not-the-pass"), "{said}");
        }
    }
}
