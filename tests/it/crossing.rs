//! A suspension or deletion that crosses a request of the same person: what was let in a moment before is decided again
//! under the lock of the person's row, so that nothing comes after the end.

use companion::{db::ids::UserId, integrations::telegram};
use diesel_async::SimpleAsyncConnection;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::support::{Answer, Client, TestApp, market::uuid};

const TOKEN: &str = "123456:test-bot-token-of-this-suite";

async fn start() -> TestApp {
    TestApp::start_with(|config| config.telegram_bot_tokens = vec![SecretString::from(TOKEN)]).await
}

fn init_data(app: &TestApp, id: i64) -> Value {
    let user = json!({ "id": id, "first_name": "Tom" }).to_string();
    let data = telegram::sign(&user, &SecretString::from(TOKEN), app.now(), &[]).unwrap();
    json!({ "initData": data })
}

/// Sends a request that has to wait for the person's row, which another transaction holds until it commits `end`.
async fn crossed(
    app: &TestApp,
    person: &Client,
    end: &str,
    client: &Client,
    query: &str,
    variables: Value,
) -> Answer {
    let id = uuid::<UserId>(&person.user_id);
    let mut conn = app.conn().await;
    let hold = format!("BEGIN; SELECT 1 FROM users WHERE id = '{id}' FOR NO KEY UPDATE");
    conn.batch_execute(&hold).await.unwrap();
    let ended = async {
        let waits =
            "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while app.count(waits).await == 0 {}
        let end = format!("UPDATE users SET {end} WHERE id = '{id}'; COMMIT");
        conn.batch_execute(&end).await.unwrap();
    };
    tokio::join!(client.post(query, variables), ended).0
}

const SUSPENDED: &str = "status = 'SUSPENDED'";
const DELETED: &str = "status = 'DELETED', display_name = 'Deleted user', username = NULL";

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_for_a_person_who_is_gone() {
    let app = start().await;
    let city = app.anonymous().query("{ cities { id } }").await;
    let city = city.data()["cities"][0]["id"].clone();
    let update = "mutation { meUpdate(input: { displayName: \"Real Name\", username: \"real_name\" }) { userErrors { code } } }";
    let apply = "mutation($city: ID!) { providerApply(input: { displayName: \"Real Name\", headline: \"Real\", bio: \"Real\",
        cityId: $city, cancellationPolicy: FLEXIBLE }) { userErrors { code } } }";
    let block = "mutation($id: ID!) { userBlock(userId: $id) { userErrors { code } } }";
    let other = app.user("Other").await;
    for (query, variables) in [
        (update, Value::Null),
        (apply, json!({ "city": city })),
        (block, json!({ "id": other.user_id })),
    ] {
        for end in [DELETED, SUSPENDED] {
            let mia = app.user("Mia").await;
            let answer = crossed(&app, &mia, end, &mia, query, variables.clone()).await;
            assert_eq!(answer.error_code(), "FORBIDDEN", "{query} {}", answer.body);
        }
    }
    for left in [
        "users WHERE display_name = 'Real Name' OR username IS NOT NULL",
        "providers",
        "user_blocks",
    ] {
        assert_eq!(app.count(left).await, 0, "{left}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_stays_as_its_person_s_deletion_left_it() {
    let app = start().await;
    let mia = app.user("Mia").await;
    let profile = app.provider_row(&mia, "FLEXIBLE").await;
    let update = "mutation($id: ID!) { providerUpdate(id: $id, input: { bio: \"Real life\" }) { userErrors { code } } }";
    let answer = crossed(&app, &mia, DELETED, &mia, update, json!({ "id": profile })).await;
    assert_eq!(answer.error_code(), "FORBIDDEN", "{}", answer.body);
    assert_eq!(app.count("providers WHERE bio <> ''").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_ends_is_linked_to_nothing() {
    let app = start().await;
    let link = "mutation($initData: String!) { accountLinkTelegram(initData: $initData) { userErrors { code } } }";
    for (telegram, end) in [(42, DELETED), (43, SUSPENDED)] {
        let mia = app.user("Mia").await;
        let data = init_data(&app, telegram);
        let answer = crossed(&app, &mia, end, &mia, link, data).await;
        assert_eq!(
            answer.user_error_codes("accountLinkTelegram"),
            ["NOT_ALLOWED"]
        );
    }
    assert_eq!(app.count("users WHERE telegram_id IS NOT NULL").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_crosses_a_suspension_leaves_no_session() {
    let app = start().await;
    let sign_in = "mutation($initData: String!) { authTelegram(initData: $initData) {
        accessToken user { id } userErrors { code } } }";
    let first = app.anonymous().post(sign_in, init_data(&app, 42)).await;
    let mut tom = app.anonymous();
    tom.user_id = first.payload("authTelegram")["user"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let sessions = app.count("sessions").await;
    let data = init_data(&app, 42);
    let answer = crossed(&app, &tom, SUSPENDED, &app.anonymous(), sign_in, data).await;
    assert_eq!(answer.user_error_codes("authTelegram"), ["NOT_ALLOWED"]);
    assert_eq!(app.count("sessions").await, sessions);
}
