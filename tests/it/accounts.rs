//! Sign-in, sessions and one's own profile.

use companion::integrations::telegram;
use diesel::{
    QueryableByName, sql_query,
    sql_types::{Bool, Nullable, Text},
};
use diesel_async::RunQueryDsl;
use jiff::SignedDuration;
use secrecy::SecretString;
use serde_json::json;

use super::support::TestApp;

const SIGN_IN: &str = "mutation($initData: String!) { authTelegram(initData: $initData) {
    accessToken refreshToken expiresAt user { id displayName } userErrors { code field } } }";
const REFRESH: &str = "mutation($token: String!) { authRefresh(refreshToken: $token) {
    accessToken refreshToken userErrors { code } } }";
const TOKEN: &str = "123456:test-bot-token-of-this-suite";

async fn start() -> TestApp {
    TestApp::start_with(|config| config.telegram_bot_tokens = vec![SecretString::from(TOKEN)]).await
}

fn init_data(app: &TestApp, id: i64, name: &str) -> String {
    let user = json!({ "id": id, "first_name": name, "username": name.to_lowercase() }).to_string();
    telegram::sign(&user, &SecretString::from(TOKEN), app.now(), &[]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn telegram_sign_in_makes_one_account_and_me_answers() {
    let app = start().await;
    let client = app.anonymous();
    let first = client
        .post(SIGN_IN, json!({ "initData": init_data(&app, 42, "Mia") }))
        .await;
    let first = first.payload("authTelegram").clone();
    let again = client
        .post(SIGN_IN, json!({ "initData": init_data(&app, 42, "Mia") }))
        .await;
    assert_eq!(first["user"], again.payload("authTelegram")["user"]);
    assert_eq!(first["user"]["displayName"], "Mia");

    let me = client.with_token(first["accessToken"].as_str().unwrap());
    let answer = me
        .query("{ me { user { id } sessions { nodes { isCurrent } totalCount } } }")
        .await;
    assert_eq!(answer.data()["me"]["user"]["id"], first["user"]["id"]);
    assert_eq!(answer.data()["me"]["sessions"]["totalCount"], 2);
}

/// A row of the audit trail, as far as a refused sign-in fills it.
#[derive(Debug, PartialEq, QueryableByName)]
struct Refused {
    #[diesel(sql_type = Text)]
    action: String,
    #[diesel(sql_type = Text)]
    outcome: String,
    #[diesel(sql_type = Text)]
    actor_kind: String,
    #[diesel(sql_type = Bool)]
    anonymous: bool,
    #[diesel(sql_type = Nullable<Text>)]
    ip_address: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    why: Option<String>,
}

async fn audit_trail(app: &TestApp) -> Vec<Refused> {
    sql_query(
        "SELECT action, outcome, actor_kind, actor_id IS NULL AND target_id IS NULL AS anonymous, ip_address,
                after ->> 'refused' AS why
         FROM audit_events ORDER BY created_at, id",
    )
    .load(&mut app.conn().await)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_init_data_signs_nobody_in_and_is_in_the_audit_trail() {
    let app = start().await;
    let old = init_data(&app, 42, "Mia");
    app.app.clock.advance(SignedDuration::from_hours(2));
    let forged = init_data(&app, 42, "Mia").replace("Mia", "Eve");
    let mut expected = Vec::new();
    for (data, code, why) in [
        (forged.as_str(), "INVALID_CREDENTIALS", "not signed"),
        (&old, "INVALID_CREDENTIALS", "too old"),
        ("?", "INVALID_INPUT", "malformed"),
        ("", "INVALID_INPUT", "malformed"),
    ] {
        // Rows of one instant have no order.
        app.app.clock.advance(SignedDuration::from_secs(1));
        let answer = app
            .anonymous()
            .post(SIGN_IN, json!({ "initData": data }))
            .await;
        assert_eq!(answer.user_error_codes("authTelegram"), [code], "{data}");
        let payload = &answer.data()["authTelegram"];
        assert!(payload["accessToken"].is_null() && payload["refreshToken"].is_null());
        expected.push(why);
    }
    let rows = audit_trail(&app).await;
    assert_eq!(rows.len(), expected.len(), "{rows:#?}");
    for (row, expected) in rows.iter().zip(expected) {
        let why = row.why.as_deref().unwrap_or_default();
        assert!(why.contains(expected), "{row:?}");
        let refused = Refused {
            action: "auth.telegram".to_owned(),
            outcome: "REFUSED".to_owned(),
            actor_kind: "USER".to_owned(),
            anonymous: true,
            ip_address: Some("127.0.0.1".to_owned()),
            why: row.why.clone(),
        };
        assert_eq!(*row, refused);
    }
    assert_eq!(app.count("users").await, 0);
    assert_eq!(app.count("sessions").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_refreshes_of_one_token_get_one_and_the_same() {
    let app = start().await;
    let client = app.anonymous();
    let signed_in = client
        .post(SIGN_IN, json!({ "initData": init_data(&app, 42, "Mia") }))
        .await;
    let token = signed_in.payload("authTelegram")["refreshToken"]
        .as_str()
        .unwrap()
        .to_owned();
    let refreshes = (0..100).map(|_| client.post(REFRESH, json!({ "token": token })));
    let mut successors: Vec<String> = futures_util::future::join_all(refreshes)
        .await
        .iter()
        .map(|answer| {
            answer.payload("authRefresh")["refreshToken"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    successors.sort();
    successors.dedup();
    assert_eq!(successors.len(), 1);
    assert_ne!(successors[0], token);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reused_refresh_token_ends_the_family() {
    let app = start().await;
    let client = app.anonymous();
    let signed_in = client
        .post(SIGN_IN, json!({ "initData": init_data(&app, 42, "Mia") }))
        .await;
    let signed_in = signed_in.payload("authTelegram").clone();
    let first = signed_in["refreshToken"].as_str().unwrap();
    let second = client.post(REFRESH, json!({ "token": first })).await;
    let second = second.payload("authRefresh")["refreshToken"]
        .as_str()
        .unwrap()
        .to_owned();
    app.app.clock.advance(SignedDuration::from_secs(11));

    let reused = client.post(REFRESH, json!({ "token": first })).await;
    assert_eq!(
        reused.user_error_codes("authRefresh"),
        ["INVALID_CREDENTIALS"]
    );
    let successor = client.post(REFRESH, json!({ "token": second })).await;
    assert_eq!(
        successor.user_error_codes("authRefresh"),
        ["INVALID_CREDENTIALS"]
    );
    let me = client.with_token(signed_in["accessToken"].as_str().unwrap());
    assert_eq!(
        me.query("{ me { user { id } } }").await.error_code(),
        "UNAUTHENTICATED"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn logging_out_ends_one_session_or_all_of_them() {
    const LOG_OUT: &str = "mutation($token: String!, $everywhere: Boolean!) {
        authLogout(refreshToken: $token, everywhere: $everywhere) { loggedOut userErrors { code } } }";
    let app = start().await;
    let client = app.anonymous();
    let mut signed_in = Vec::new();
    for _ in 0..3 {
        let answer = client
            .post(SIGN_IN, json!({ "initData": init_data(&app, 42, "Mia") }))
            .await;
        signed_in.push(answer.payload("authTelegram").clone());
    }
    let lives = async |number: usize| {
        let me = client.with_token(signed_in[number]["accessToken"].as_str().unwrap());
        me.query("{ me { id } }").await.body.get("errors").is_none()
    };
    let token = signed_in[0]["refreshToken"].clone();
    let answer = client
        .post(LOG_OUT, json!({ "token": token, "everywhere": false }))
        .await;
    assert_eq!(answer.payload("authLogout")["loggedOut"], true);
    assert_eq!(
        [lives(0).await, lives(1).await, lives(2).await],
        [false, true, true]
    );
    // Once more ends nothing else; everywhere ends the rest, whatever became of the session that asks.
    for (everywhere, others_live) in [(false, true), (true, false)] {
        let answer = client
            .post(LOG_OUT, json!({ "token": token, "everywhere": everywhere }))
            .await;
        answer.payload("authLogout");
        assert_eq!([lives(1).await, lives(2).await], [others_live; 2]);
    }
    let ended = app.count("audit_events WHERE action = 'auth.logout'").await;
    assert_eq!(ended, 2);
    let unknown = client
        .post(LOG_OUT, json!({ "token": "x", "everywhere": true }))
        .await;
    assert_eq!(
        unknown.user_error_codes("authLogout"),
        ["INVALID_CREDENTIALS"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_session_stops_and_nobody_elses_can_be_revoked() {
    let app = start().await;
    let (mia, eve) = (app.user("Mia").await, app.user("Eve").await);
    let revoke =
        "mutation($id: ID!) { sessionRevoke(id: $id) { session { id } userErrors { code } } }";
    let mine = app.sessions(&mia).await[0].to_string();
    let refused = eve.post(revoke, json!({ "id": mine })).await;
    assert_eq!(refused.user_error_codes("sessionRevoke"), ["NOT_FOUND"]);
    mia.query("{ me { user { id } } }").await.data();
    mia.post(revoke, json!({ "id": mine }))
        .await
        .payload("sessionRevoke");
    assert_eq!(
        mia.query("{ me { user { id } } }").await.error_code(),
        "UNAUTHENTICATED"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_fields_of_a_profile_come_back_together_and_nothing_is_written() {
    let app = start().await;
    let (mia, eve) = (app.user("Mia").await, app.user("Eve").await);
    let update = "mutation($input: MeUpdateInput!, $version: Int) {
        meUpdate(input: $input, expectedVersion: $version) { me { user { displayName } username version city { slug } }
        userErrors { code field } } }";
    let bad = mia
        .post(
            update,
            json!({ "input": { "displayName": " ", "username": "X!" } }),
        )
        .await;
    assert_eq!(
        bad.data()["meUpdate"]["userErrors"],
        json!([
            { "code": "INVALID_INPUT", "field": ["input", "displayName"] },
            { "code": "INVALID_INPUT", "field": ["input", "username"] },
        ])
    );
    let good = mia
        .post(
            update,
            json!({ "input": { "username": "mia_1" }, "version": 1 }),
        )
        .await;
    assert_eq!(
        good.payload("meUpdate")["me"],
        json!({ "user": { "displayName": "Mia" }, "username": "mia_1", "version": 2, "city": null })
    );
    let cities = mia.query("{ cities { id slug } }").await;
    let berlin = cities.data()["cities"]
        .as_array()
        .unwrap()
        .iter()
        .find(|city| city["slug"] == "berlin");
    for (city, expected) in [
        (berlin.unwrap()["id"].clone(), json!({ "slug": "berlin" })),
        (json!(null), json!(null)),
    ] {
        let answer = mia
            .post(update, json!({ "input": { "cityId": city } }))
            .await;
        assert_eq!(answer.payload("meUpdate")["me"]["city"], expected);
    }
    let nowhere = mia
        .post(update, json!({ "input": { "cityId": mia.user_id } }))
        .await;
    assert_eq!(nowhere.user_error_codes("meUpdate"), ["NOT_FOUND"]);
    let taken = eve
        .post(update, json!({ "input": { "username": "mia_1" } }))
        .await;
    assert_eq!(taken.user_error_codes("meUpdate"), ["ALREADY_EXISTS"]);
    let stale = mia
        .post(
            update,
            json!({ "input": { "username": null }, "version": 1 }),
        )
        .await;
    assert_eq!(stale.user_error_codes("meUpdate"), ["CONFLICT"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_sign_ins_fill_the_audit_trail_no_faster_than_the_limit() {
    const SEVERAL: &str = "mutation($initData: String!) {
        a: authTelegram(initData: $initData) { userErrors { code } }
        b: authTelegram(initData: $initData) { userErrors { code } }
        c: authTelegram(initData: $initData) { userErrors { code } } }";
    let app = TestApp::start_with(|config| {
        config.telegram_bot_tokens = vec![SecretString::from(TOKEN)];
        config.sign_in_limits.per_address_per_minute = 5;
    })
    .await;
    let client = app.anonymous();
    let refused = || app.count("audit_events WHERE outcome = 'REFUSED'");
    let rest = async |number: i32| {
        let answer = client
            .http()
            .post(client.url("/v1/auth/telegram"))
            .json(&json!({ "initData": format!("hash={number}") }))
            .send()
            .await
            .unwrap();
        answer.status().as_u16()
    };
    for number in 0..3 {
        let data = json!({ "initData": format!("hash={number}") });
        assert_eq!(client.post(SIGN_IN, data).await.status, 200);
    }
    assert_eq!([rest(3).await, rest(4).await], [400, 400]);
    assert_eq!(refused().await, 5);
    // Over the limit nothing is looked at, and nothing is written, by either door or many at once.
    assert_eq!([rest(5).await, rest(6).await], [429, 429]);
    for query in [SIGN_IN, SEVERAL] {
        let answer = client.post(query, json!({ "initData": "hash=7" })).await;
        assert_eq!(answer.error_code(), "RATE_LIMITED");
    }
    assert_eq!(refused().await, 5);

    // Each of several in one request counts.
    app.app.clock.advance(SignedDuration::from_mins(1));
    let answer = client.post(SEVERAL, json!({ "initData": "hash=8" })).await;
    assert_eq!(answer.data()["c"]["userErrors"][0]["code"], "INVALID_INPUT");
    assert_eq!(refused().await, 8);
    let answer = client.post(SEVERAL, json!({ "initData": "hash=9" })).await;
    assert_eq!(answer.error_code(), "RATE_LIMITED");
    assert_eq!(refused().await, 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_and_tokens_are_removed_thirty_days_after_their_end() {
    const DAY: SignedDuration = SignedDuration::from_hours(24);
    let app = TestApp::start_with(|config| {
        config.telegram_bot_tokens = vec![SecretString::from(TOKEN)];
        config.access_token_ttl = std::time::Duration::from_secs(1800);
        config.refresh_token_ttl = std::time::Duration::from_secs(7 * 24 * 3600);
    })
    .await;
    let client = app.anonymous();
    let sign_in = async || {
        let data = json!({ "initData": init_data(&app, 42, "Mia") });
        let answer = client.post(SIGN_IN, data).await;
        answer.payload("authTelegram")["refreshToken"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let refresh = async |token: &str| {
        let answer = client.post(REFRESH, json!({ "token": token })).await;
        answer.payload("authRefresh")["refreshToken"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let refused = async |token: &str| {
        let answer = client.post(REFRESH, json!({ "token": token })).await;
        assert_eq!(
            answer.user_error_codes("authRefresh"),
            ["INVALID_CREDENTIALS"]
        );
    };
    let rows = async || {
        (
            app.count("sessions").await,
            app.count("refresh_tokens").await,
        )
    };

    let (ended, _left, first) = (sign_in().await, sign_in().await, sign_in().await);
    let log_out = "mutation($token: String!) { authLogout(refreshToken: $token) { loggedOut } }";
    client.post(log_out, json!({ "token": ended })).await.data();
    let mut used = vec![first];
    // On the days 6, 12, …, 30.
    for _ in 0..5 {
        app.advance(DAY * 6).await;
        used.push(refresh(used.last().unwrap()).await);
    }
    // Day 30: nothing has been over for longer.
    assert_eq!(rows().await, (3, 8));
    app.advance(SignedDuration::from_hours(1)).await;
    assert_eq!(rows().await, (2, 7), "the session that was ended on day 0");
    app.advance(DAY * 5).await;
    used.push(refresh(used.last().unwrap()).await);
    assert_eq!(rows().await, (2, 8));
    // Day 37: what was signed in on day 0 and never used, and the first token of what is in use.
    app.advance(DAY * 2).await;
    assert_eq!(rows().await, (1, 6));
    app.advance(SignedDuration::from_hours(1)).await;
    assert_eq!(rows().await, (1, 6), "a second run finds nothing");

    // A token that is gone is refused as it was; one that is used and not expired still ends the family.
    refused(&used[0]).await;
    assert_eq!(app.count("sessions WHERE revoked_at IS NULL").await, 1);
    used.push(refresh(&used[6]).await);
    app.advance(SignedDuration::from_secs(11)).await;
    refused(&used[6]).await;
    assert_eq!(
        app.count("sessions WHERE revoked_reason = 'TOKEN_REUSE'")
            .await,
        1
    );
    assert_eq!(
        app.count("audit_events WHERE action = 'auth.refreshReuse'")
            .await,
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sweep_of_sessions_takes_more_than_one_batch() {
    let app = start().await;
    let mia = app.user("Mia").await;
    app.sql(
        "INSERT INTO sessions (id, user_id, device_name, created_at, last_used_at, expires_at)
             SELECT gen_random_uuid(), users.id, '', '2020-01-01Z', '2020-01-01Z', '2020-01-08Z'
             FROM users, generate_series(1, 2500);
         INSERT INTO refresh_tokens (token_hash, session_id, created_at, expires_at, used_at)
             SELECT sha256((s.id::text || i)::bytea), s.id, '2020-01-01Z', '2020-01-08Z', '2020-01-01Z'
             FROM (SELECT id FROM sessions ORDER BY created_at LIMIT 1000) s, generate_series(1, 3) i",
    )
    .await;
    app.run_jobs().await;
    assert_eq!(app.count("sessions").await, 1);
    assert_eq!(app.count("refresh_tokens").await, 1);
    mia.query("{ me { id } }").await.data();
}
