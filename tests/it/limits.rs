//! Limits: points of GraphQL, and buckets that copies of the server share.

use std::time::Duration;

use companion::{
    config::{Config, LimitStore, PointLimit},
    features::accounts::service,
};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::support::{Client, TestApp, held::LIMIT};

/// Costs 13 points.
const THIRTEEN: &str = "{ me { id sessions(first: 5) { nodes { id } } } }";
const STORES: [LimitStore; 2] = [LimitStore::Memory, LimitStore::Postgres];

struct Raw {
    status: u16,
    retry_after: Option<String>,
    limits: String,
    policy: String,
    statements: u32,
    body: Value,
}

/// Posts a body, asking for its cost.
async fn post(client: &Client, body: Value) -> Raw {
    let request = client.http().post(client.url("/graphql"));
    let mut request = request.header("x-cost", "1").json(&body);
    if let Some(token) = client.token() {
        request = request.bearer_auth(token);
    }
    raw(request.send().await.unwrap()).await
}

async fn raw(response: reqwest::Response) -> Raw {
    let header = |name: &str| {
        let value = response.headers().get(name)?;
        Some(value.to_str().unwrap().to_owned())
    };
    let statements = header("server-timing").unwrap();
    let statements = statements.split(['"', ' ']).nth(1).unwrap().parse();
    Raw {
        status: response.status().as_u16(),
        retry_after: header("retry-after"),
        limits: header("ratelimit").unwrap_or_default(),
        policy: header("ratelimit-policy").unwrap_or_default(),
        statements: statements.unwrap(),
        body: response.json().await.unwrap(),
    }
}

async fn ask(client: &Client, query: &str) -> Raw {
    post(client, json!({ "query": query })).await
}

impl Raw {
    fn extensions(&self) -> &Value {
        &self.body["errors"][0]["extensions"]
    }

    fn cost(&self) -> &Value {
        &self.body["extensions"]["cost"]
    }
}

fn points(config: &mut Config, store: LimitStore, user: u64, address: u64) {
    let bucket = |burst| PointLimit {
        per_minute: 60,
        burst,
    };
    config.limit_store = store;
    config.points.user = bucket(user);
    config.points.address = bucket(address);
}

/// One second brings one point back. The whole story holds wherever buckets are kept.
#[tokio::test(flavor = "multi_thread")]
async fn points_are_counted_by_person_and_by_address() {
    for store in STORES {
        let app = TestApp::start_with(|config| points(config, store, 30, 50)).await;
        let (mia, eve) = (app.user("Mia").await, app.user("Eve").await);
        app.app.access.ready().await;
        let first = ask(&mia, THIRTEEN).await;
        assert_eq!(first.body["data"]["me"]["id"], mia.user_id);
        let cost = json!({ "requested": 13, "remaining": 17, "limit": 30, "resetsInMs": 13_000 });
        assert_eq!(first.cost(), &cost);
        assert_eq!(first.policy, "\"user\";q=30;w=30, \"address\";q=50;w=50");
        assert_eq!(first.limits, "\"user\";r=17;t=13, \"address\";r=37;t=13");
        ask(&mia, THIRTEEN).await;

        let refused = ask(&mia, THIRTEEN).await;
        assert_eq!(refused.status, 429);
        assert_eq!(refused.extensions()["code"], "RATE_LIMITED");
        assert_eq!(refused.extensions()["retryAfterMs"], 9_000);
        assert_eq!(refused.retry_after.as_deref(), Some("9"));
        assert_eq!(refused.limits, "\"user\";r=4;t=9");
        assert!(refused.body.get("data").is_none());
        let cost = json!({ "requested": 13, "remaining": 4, "limit": 30, "resetsInMs": 26_000 });
        assert_eq!(refused.cost(), &cost);
        let own = if store == LimitStore::Memory { 0 } else { 1 };
        assert_eq!(refused.statements, own, "refused before any of its own");

        // What was refused took nothing from the address, which others share.
        let other = ask(&eve, THIRTEEN).await;
        assert_eq!(other.limits, "\"user\";r=17;t=13, \"address\";r=11;t=39");
        assert_eq!(other.cost()["remaining"], 11);
        let anyone = app.anonymous();
        let anonymous = ask(&anyone, "{ __typename }").await;
        assert_eq!(anonymous.limits, "\"address\";r=10;t=40");
        let refused = ask(&anyone, THIRTEEN).await;
        assert_eq!(refused.limits, "\"address\";r=10;t=3");
        // A document that can't be executed costs nothing.
        assert_eq!(ask(&anyone, "{").await.limits, "");

        app.app.clock.advance(SignedDuration::from_secs(8));
        assert_eq!(ask(&mia, THIRTEEN).await.status, 429);
        app.app.clock.advance(SignedDuration::from_secs(1));
        let again = ask(&mia, THIRTEEN).await;
        assert_eq!((again.status, &again.cost()["remaining"]), (200, &json!(0)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_one_sum_and_more_than_a_bucket_holds_is_refused_for_good() {
    for store in STORES {
        let app = TestApp::start_with(|config| points(config, store, 30, 100)).await;
        let mia = app.user("Mia").await;
        let one = json!({ "query": THIRTEEN });
        // What can't be executed has been read, and counts as 1.
        let batch = post(&mia, json!([one, { "query": "{" }, one])).await;
        assert_eq!(batch.limits, "\"user\";r=3;t=27, \"address\";r=73;t=27");
        assert_eq!(batch.body[0]["extensions"]["cost"]["requested"], 13);
        assert_eq!(batch.body[2]["extensions"]["cost"]["remaining"], 3);
        let refused = post(&mia, json!([one, one])).await;
        assert_eq!(
            (refused.status, refused.retry_after),
            (429, Some("23".into()))
        );
        let never = post(&mia, json!([one, one, one])).await;
        assert_eq!(never.extensions()["code"], "QUERY_TOO_COMPLEX");
        assert_eq!((&never.retry_after, never.limits.as_str()), (&None, ""));
        assert!(never.extensions().get("retryAfterMs").is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_limit_points_are_only_told() {
    let app = TestApp::start().await;
    let mia = app.user("Mia").await;
    let answer = ask(&mia, THIRTEEN).await;
    assert_eq!(answer.cost(), &json!({ "requested": 13 }));
    assert_eq!(answer.limits, "");
}

/// Somebody who got hold of a session guesses its person's password no faster than anybody else.
#[tokio::test(flavor = "multi_thread")]
async fn ones_own_password_is_guessed_slowly_from_wherever() {
    let app = TestApp::start_with(|config| config.sign_in_limits.per_account_per_minute = 2).await;
    let (mia, eve) = (app.user("Mia").await, app.user("Eve").await);
    let guess = "mutation { passwordChange(input: { currentPassword: \"a guess\", newPassword: \"a new password\" }) {
        userErrors { code } } }";
    let statuses = [
        ask(&mia, guess).await.status,
        ask(&mia, guess).await.status,
        ask(&mia, guess).await.status,
        ask(&eve, guess).await.status,
    ];
    assert_eq!(statuses, [200, 200, 429, 200]);
}

/// Posts from this address, as a proxy tells it.
async fn post_from(client: &Client, address: &str, query: &str, variables: Value) -> Raw {
    let body = json!({ "query": query, "variables": variables });
    let request = client.http().post(client.url("/graphql"));
    let request = request.header("x-forwarded-for", address).json(&body);
    raw(request.send().await.unwrap()).await
}

/// An address that nothing came from before.
fn somewhere(number: usize) -> String {
    format!("198.51.100.{number}")
}

const REFRESH: &str = "mutation($token: String!) { authRefresh(refreshToken: $token) { refreshToken userErrors { code } } }";

async fn refresh_from(app: &TestApp, address: &str, token: &str) -> Raw {
    let token = json!({ "token": token });
    post_from(&app.anonymous(), address, REFRESH, token).await
}

/// The refresh token of a new session of this person.
async fn session_of(app: &TestApp, person: &Client) -> String {
    let id = person.user_id.parse().unwrap();
    let signed_in = service::issue_for_operator(&app.app, id).await.unwrap();
    signed_in.refresh_token
}

/// A person's sessions share a bucket, from wherever they are refreshed; whoever has none of them stays out of it.
#[tokio::test(flavor = "multi_thread")]
async fn refreshes_are_counted_by_account_from_wherever() {
    for store in STORES {
        let app = TestApp::start_with(|config| {
            config.limit_store = store;
            config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
            config.sign_in_limits.refreshes_per_minute = 4;
            config.sign_in_limits.refreshes_per_account_per_minute = 3;
        })
        .await;
        let (mia, eve) = (app.user("Mia").await, app.user("Eve").await);
        let mut mias = Vec::new();
        for _ in 0..4 {
            mias.push(session_of(&app, &mia).await);
        }
        let eves = session_of(&app, &eve).await;
        // Nobody's, and one whose session has ended, as often as anybody likes.
        let ended = session_of(&app, &mia).await;
        let log_out = "mutation($token: String!) { authLogout(refreshToken: $token) { loggedOut userErrors { code } } }";
        let token = json!({ "token": ended });
        app.anonymous()
            .post(log_out, token)
            .await
            .payload("authLogout");
        let made_up = "A".repeat(43);
        for (number, token) in [&ended, &made_up, "x"]
            .into_iter()
            .cycle()
            .take(9)
            .enumerate()
        {
            let answer = refresh_from(&app, &somewhere(number), token).await;
            let payload = &answer.body["data"]["authRefresh"];
            assert_eq!(payload["userErrors"][0]["code"], "INVALID_CREDENTIALS");
            assert_eq!(answer.limits, "\"refresh\";r=3;t=15");
        }

        for (number, token) in mias.iter().take(3).enumerate() {
            let answer = refresh_from(&app, &somewhere(20 + number), token).await;
            let payload = &answer.body["data"]["authRefresh"];
            assert!(payload["refreshToken"].is_string(), "{}", answer.body);
            // What is left to the account is for nobody to see.
            assert_eq!(answer.limits, "\"refresh\";r=3;t=15");
        }
        let refused = refresh_from(&app, &somewhere(30), &mias[3]).await;
        assert_eq!(refused.status, 429);
        assert_eq!(refused.extensions()["code"], "RATE_LIMITED");
        assert_eq!(refused.extensions()["retryAfterMs"], 20_000);
        assert_eq!(refused.retry_after.as_deref(), Some("20"));
        assert_eq!(refused.limits, "\"refresh-account\";r=0;t=20");
        assert!(refused.body.get("data").is_none());
        // It took nothing from the address, which others share, nor from the token.
        let other = refresh_from(&app, &somewhere(30), &eves).await;
        assert_eq!(other.limits, "\"refresh\";r=3;t=15");
        app.app.clock.advance(SignedDuration::from_secs(20));
        let again = refresh_from(&app, &somewhere(31), &mias[3]).await;
        let payload = &again.body["data"]["authRefresh"];
        assert!(payload["refreshToken"].is_string(), "{}", again.body);

        // Several at once are one sum, which no waiting makes smaller.
        app.app.clock.advance(SignedDuration::from_mins(1));
        let many = "mutation($t: String!) { a: authRefresh(refreshToken: $t) { expiresAt } b: authRefresh(refreshToken: $t) { expiresAt }
            c: authRefresh(refreshToken: $t) { expiresAt } d: authRefresh(refreshToken: $t) { expiresAt } }";
        let token = json!({ "t": eves });
        let never = post_from(&app.anonymous(), &somewhere(40), many, token).await;
        assert_eq!(never.extensions()["code"], "QUERY_TOO_COMPLEX");

        // An address over its own limit makes the database look for no token.
        for _ in 0..4 {
            let answer = refresh_from(&app, &somewhere(50), &made_up).await;
            assert_eq!(answer.status, 200);
        }
        let refused = refresh_from(&app, &somewhere(50), &eves).await;
        assert_eq!(refused.limits, "\"refresh\";r=0;t=15");
        if store == LimitStore::Memory {
            assert_eq!(refused.statements, 0);
        }
    }
}

/// Whoever registers tries an account, however the document is written.
#[tokio::test(flavor = "multi_thread")]
async fn registrations_are_counted_by_account_from_wherever() {
    let app = TestApp::start_with(|config| {
        config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
        config.sign_in_limits.per_account_per_minute = 3;
    })
    .await;
    let literal = "mutation { authRegister(input: { email: \"mia@example.org\", password: \"correct horse battery\", displayName: \"Mia\" }) { emailSent userErrors { code } } }";
    let inside = "mutation($email: EmailAddress!) { authRegister(input: { email: $email, password: \"correct horse battery\", displayName: \"Mia\" }) { emailSent userErrors { code } } }";
    let whole = "mutation($input: AuthRegisterInput!) { authRegister(input: $input) { emailSent userErrors { code } } }";
    let input = |email: &str| json!({ "input": { "email": email, "password": "correct horse battery", "displayName": "Mia" } });
    let anyone = app.anonymous();
    let mut statuses = Vec::new();
    for (number, (query, variables)) in [
        (literal, json!({})),
        (inside, json!({ "email": " MIA@example.org" })),
        (whole, input("mia@EXAMPLE.org")),
        (literal, json!({})),
        (whole, input("mia@example.org")),
        (whole, input("eve@example.org")),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = post_from(&anyone, &somewhere(number), query, variables).await;
        statuses.push(answer.status);
    }
    assert_eq!(statuses, [200, 200, 200, 429, 429, 200]);
    // Which shuts nobody out of signing in.
    let log_in = "mutation { authLogin(login: \"mia@example.org\", password: \"a guess\") { userErrors { code } } }";
    let tried = post_from(&anyone, &somewhere(10), log_in, json!({})).await;
    assert_eq!(tried.status, 200);
}

/// What skips a try, or is refused before it tries, uses up nobody's tries but those of the address it comes from.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_pays_only_for_what_is_executed() {
    for store in STORES {
        let app = TestApp::start_with(|config| {
            config.limit_store = store;
            config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
            config.sign_in_limits.per_address_per_minute = 3;
            config.sign_in_limits.per_account_per_minute = 2;
        })
        .await;
        let anyone = app.anonymous();
        let named = "login: \"mia@example.org\"";
        let log_in =
            format!("authLogin({named}, password: \"a guess\") {{ userErrors {{ code }} }}");
        let refused = "{ userErrors { code } }";
        let none = json!({});
        let harmless = [
            (format!("mutation {{ authLogin({named}, password: \"x\") @skip(if: true) {refused} }}"), none.clone()),
            (format!("mutation($no: Boolean!) {{ ...on Mutation @include(if: $no) {{ {log_in} }} }}"), json!({ "no": false })),
            (format!("mutation {{ {log_in} nothing }}"), none.clone()),
            (format!("mutation {{ authLogin({named}, password: 5) {refused} }}"), none.clone()),
            (format!("mutation {{ meUpdate(input: {{}}) {refused} authLogin({named}, password: \"x\") {refused} }}"), none.clone()),
            (format!("mutation($p: String!) {{ authLogin({named}, password: $p) {refused} }}"), none.clone()),
            ("mutation($input: AuthRegisterInput!) { authRegister(input: $input) { emailSent } }".to_owned(), json!({ "input": { "email": "mia@example.org" } })),
            (format!("mutation {{ accountLinkEmail(email: \"mia@example.org\", code: \"123456\") {refused} }}"), none.clone()),
        ];
        for (number, (query, variables)) in harmless.iter().chain(&harmless).enumerate() {
            let answer = post_from(&anyone, &somewhere(number), query, variables.clone()).await;
            let executed = answer.body["data"]["authLogin"].is_object();
            assert!(answer.status != 429 && !executed, "{}", answer.body);
        }
        // What is no address is nobody's, not even of who has it as a username.
        for number in 100..104 {
            let send = "mutation { emailCodeSend(email: \"mia\", purpose: SIGN_UP) { emailSent userErrors { code } } }";
            let answer = post_from(&anyone, &somewhere(number), send, none.clone()).await;
            assert_eq!(answer.status, 200);
        }
        let by_name =
            "mutation { authLogin(login: \"mia\", password: \"a guess\") { userErrors { code } } }";
        assert_eq!(
            post_from(&anyone, &somewhere(105), by_name, none.clone())
                .await
                .status,
            200
        );
        assert_eq!(
            app.count("audit_events WHERE action = 'auth.login'").await,
            1
        );

        // All of the tries of a document, or none; skipped ones aside, but for the address.
        let three = format!("mutation {{ a: {log_in} b: {log_in} c: {log_in} }}");
        let three = post_from(&anyone, &somewhere(50), &three, none.clone()).await;
        assert_eq!(three.extensions()["code"], "QUERY_TOO_COMPLEX");
        let skips = format!(
            "mutation {{ a: {log_in} b: {log_in} c: authLogin({named}, password: \"x\") @skip(if: true) {refused} }}"
        );
        let done = post_from(&anyone, &somewhere(51), &skips, none.clone()).await;
        assert_eq!(
            done.body["data"]["b"]["userErrors"][0]["code"], "INVALID_CREDENTIALS",
            "{}",
            done.body
        );
        assert_eq!(done.limits, "\"sign-in\";r=0;t=60");
        assert_eq!(
            app.count("audit_events WHERE action = 'auth.login'").await,
            3
        );
        let one = format!("mutation {{ {log_in} }}");
        let limited = post_from(&anyone, &somewhere(52), &one, none.clone()).await;
        assert_eq!(limited.limits, "\"account\";r=0;t=30");
        // An address pays for what it skips.
        let (skipped, variables) = &harmless[0];
        for status in [200, 200, 200, 429] {
            let answer = post_from(&anyone, &somewhere(53), skipped, variables.clone()).await;
            assert_eq!(answer.status, status);
        }
    }
}

/// Whatever has no mail sent to an address keeps nobody else from having one sent there.
#[tokio::test(flavor = "multi_thread")]
async fn what_sends_no_mail_uses_up_nobodys_mails() {
    let app = TestApp::start_with(|config| {
        config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
        config.sign_in_limits.per_account_per_minute = 2;
    })
    .await;
    let (anyone, eve) = (app.anonymous(), app.user("Eve").await);
    app.sql("UPDATE users SET username = 'eve'").await;
    let register = "mutation($input: AuthRegisterInput!) { authRegister(input: $input) { emailSent userErrors { code } } }";
    let good = json!({ "email": "mia@example.org", "password": "correct horse battery", "displayName": "Mia" });
    let but = |name: &str, value: &str| {
        let mut input = good.clone();
        input[name] = value.into();
        json!({ "input": input })
    };
    let send = |purpose: &str| {
        format!(
            "mutation {{ emailCodeSend(email: \"mia@example.org\", purpose: {purpose}) {{ emailSent userErrors {{ code }} }} }}"
        )
    };
    let link = send("LINK");
    let none = json!({});
    for (number, (query, variables)) in [
        (register, but("password", "short")),
        (register, but("password", "password1")),
        (register, but("displayName", " ")),
        (register, but("username", "!")),
        (&link, none.clone()),
    ]
    .iter()
    .cycle()
    .take(10)
    .enumerate()
    {
        let answer = post_from(&anyone, &somewhere(number), query, variables.clone()).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let payload = answer.body["data"].as_object().unwrap().values().next();
        assert_eq!(payload.unwrap()["emailSent"], false, "{}", answer.body);
    }
    // What adds an address to an account uses up that account's, whose session is too old here.
    app.advance(SignedDuration::from_mins(16)).await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(ask(&eve, &link).await.status);
    }
    assert_eq!(statuses, [200, 200, 429]);
    // A taken username is told after a try, and so written down.
    let taken = but("username", "eve");
    let taken = post_from(&anyone, &somewhere(20), register, taken).await;
    let error = &taken.body["data"]["authRegister"]["userErrors"][0]["code"];
    assert_eq!(error, "ALREADY_EXISTS");
    let written = "audit_events WHERE action = 'auth.register' AND outcome = 'REFUSED' AND after = '{\"code\": \"ALREADY_EXISTS\"}'";
    assert_eq!(app.count(written).await, 1);
    let input = json!({ "input": good });
    let sent = post_from(&anyone, &somewhere(21), register, input).await;
    let payload = &sent.body["data"]["authRegister"];
    assert_eq!(payload["emailSent"], true, "{}", sent.body);
    let over = post_from(&anyone, &somewhere(22), &send("SIGN_UP"), none).await;
    assert_eq!(over.limits, "\"account\";r=0;t=30");
}

/// Who guesses at a code of one purpose leaves the codes of the others, and everybody's own, alone.
#[tokio::test(flavor = "multi_thread")]
async fn codes_of_each_purpose_are_counted_alone() {
    let app = TestApp::start_with(|config| config.sign_in_limits.per_account_per_minute = 2).await;
    let (mia, eve) = (app.user("Mia").await, app.user("Eve").await);
    let named = "email: \"mia@example.org\", code: \"123456\"";
    let codes = "{ userErrors { code } }";
    let link = format!("mutation {{ accountLinkEmail({named}) {codes} }}");
    let verify = format!("mutation {{ emailVerify({named}, password: \"a guess\") {codes} }}");
    let reset = format!(
        "mutation {{ passwordReset({named}, newPassword: \"correct horse battery\") {codes} }}"
    );
    let anyone = app.anonymous();
    for (client, query) in [
        (&eve, &link),
        (&anyone, &verify),
        (&anyone, &reset),
        (&mia, &link),
    ] {
        // What can't be a code guesses nothing.
        for malformed in ["", "abc", "１２３４５６", "12345"] {
            let slip = query.replace("123456", malformed);
            assert_eq!(ask(client, &slip).await.status, 200, "{slip}");
        }
        let mut statuses = Vec::new();
        for _ in 0..3 {
            statuses.push(ask(client, query).await.status);
        }
        assert_eq!(statuses, [200, 200, 429], "{query}");
    }
    // Nor does who knows somebody's id shut them out of their own password.
    let log_in = format!(
        "mutation {{ authLogin(login: \"{}\", password: \"a guess\") {codes} }}",
        mia.user_id
    );
    for status in [200, 200, 429] {
        assert_eq!(ask(&anyone, &log_in).await.status, status);
    }
    let change = "mutation { passwordChange(input: { currentPassword: \"a\", newPassword: \"b\" }) { userErrors { code } } }";
    assert_eq!(ask(&mia, change).await.status, 200);
}

/// Two servers of one database, by one clock.
async fn pair(change: impl Fn(&mut Config)) -> (TestApp, TestApp) {
    let change = |config: &mut Config| {
        config.limit_store = LimitStore::Postgres;
        // Whoever waits for the others has its turn, however busy the machine is.
        config.timeouts.pool_wait = LIMIT;
        change(config);
    };
    let one = TestApp::start_with(change).await;
    let other = TestApp::start_by(one.app.clock.clone(), |config| {
        config.database_url = Some(one.database_url().into());
        change(config);
    })
    .await;
    (one, other)
}

/// Sends this `times`, half to each server, all at once; answers how many passed.
async fn passed(servers: &(TestApp, TestApp), times: usize, query: &str) -> usize {
    let clients = [servers.0.anonymous(), servers.1.anonymous()];
    let requests = (0..times).map(|number| ask(&clients[number % 2], query));
    let answers = futures_util::future::join_all(requests).await;
    for answer in &answers {
        assert!([200, 429].contains(&answer.status), "{}", answer.body);
    }
    answers.iter().filter(|it| it.status == 200).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_that_share_their_limits_let_exactly_as_many_through() {
    let servers = pair(|config| {
        config.sign_in_limits.refreshes_per_minute = 7;
        config.sign_in_limits.per_init_data = 3;
        config.points.address = PointLimit {
            per_minute: 1,
            burst: 60,
        };
    })
    .await;
    let refresh = "mutation { authRefresh(refreshToken: \"x\") { userErrors { code } } }";
    let sign_in = "mutation { authTelegram(initData: \"hash=1\") { userErrors { code } } }";
    // All begin with no row at all, so that they make it at the same time; then with the rows there.
    assert_eq!(passed(&servers, 40, refresh).await, 7);
    assert_eq!(passed(&servers, 40, refresh).await, 0);
    assert_eq!(passed(&servers, 40, sign_in).await, 3);
    servers.0.app.clock.advance(SignedDuration::from_secs(60));
    assert_eq!(passed(&servers, 40, refresh).await, 7);
    // 17 documents of 3 points each passed, and a point came back in the minute.
    assert_eq!(passed(&servers, 40, "{ __typename }").await, 60 - 51 + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_limits_cost_one_statement_and_are_swept() {
    let (one, other) = pair(|config| {
        let bucket = PointLimit {
            per_minute: 600,
            burst: 100,
        };
        config.points.user = bucket;
        config.points.address = bucket;
    })
    .await;
    let mia = one.user("Mia").await;
    one.settle(&[&mia]).await;
    // Person, address, sign-in, account: four buckets.
    let query = "mutation { passwordChange(input: { currentPassword: \"\", newPassword: \"\" }) { userErrors { code } } }";
    let plain = "{ __typename }";
    assert_eq!(ask(&mia, plain).await.statements, 1);
    ask(&mia, query).await;
    assert_eq!(one.count("rate_limits").await, 4);
    assert_eq!(ask(&one.anonymous(), plain).await.statements, 1);
    // Not by address: keys are MACs, of which none is the address's plain hash.
    let plain_hash = "rate_limits WHERE key IN (sha256('127.0.0.1'), sha256('address127.0.0.1'))";
    assert_eq!(one.count(plain_hash).await, 0);

    // Full, but kept for a clock that may be behind.
    other.advance(SignedDuration::from_secs(61)).await;
    assert!(one.count("rate_limits").await > 0);
    other.advance(SignedDuration::from_mins(20)).await;
    assert_eq!(one.count("rate_limits").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_limits_without_their_database_are_unavailable() {
    let app = TestApp::start_with(|config| {
        let nowhere = "postgres://nobody@127.0.0.1:1/none?sslmode=disable";
        config.database_url = Some(nowhere.to_owned().into());
        config.timeouts.pool_wait = Duration::from_millis(300);
        points(config, LimitStore::Postgres, 100, 100);
    })
    .await;
    let anyone = app.anonymous();
    let down = ask(&anyone, "{ __typename }").await;
    assert_eq!((down.status, down.retry_after.is_some()), (503, true));
    assert_eq!(down.extensions()["code"], "UNAVAILABLE");
    let body = json!({ "initData": "hash=1" });
    let rest = anyone.http().post(anyone.url("/v1/auth/telegram"));
    let rest = rest.json(&body).send().await.unwrap();
    assert_eq!(rest.status(), 503);
    assert!(rest.headers().contains_key("retry-after"));
}
