//! Two ways into one account, with proof of both: what is joined, what is refused, what is never lost.

use companion::integrations::telegram;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::support::{Answer, Client, TestApp};

const TOKEN: &str = "123456:test-bot-token-of-this-suite";
const PASSWORD: &str = "correct horse battery";
const LINKED: &str =
    "user { id } accessToken refreshToken expiresAt userErrors { code field details }";

async fn start() -> TestApp {
    TestApp::start_with(|config| {
        config.telegram_bot_tokens = vec![SecretString::from(TOKEN)];
        config.sign_in_limits.per_init_data = 100;
    })
    .await
}

fn init_data(app: &TestApp, id: i64) -> String {
    let user = json!({ "id": id, "first_name": "Tom", "username": format!("tom{id}") }).to_string();
    telegram::sign(&user, &SecretString::from(TOKEN), app.now(), &[]).unwrap()
}

fn client_of(app: &TestApp, payload: &Value) -> Client {
    let token = payload["accessToken"].as_str().unwrap();
    let mut client = app.anonymous().with_token(token);
    client.user_id = payload["user"]["id"].as_str().unwrap().to_owned();
    client
}

/// Signs in by Telegram, the first time with a new account.
async fn by_telegram(app: &TestApp, id: i64) -> Client {
    let query = "mutation($initData: String!) { authTelegram(initData: $initData) {
        accessToken user { id } userErrors { code } } }";
    let variables = json!({ "initData": init_data(app, id) });
    let answer = app.anonymous().post(query, variables).await;
    client_of(app, answer.payload("authTelegram"))
}

/// A new account with this address and [`PASSWORD`].
async fn by_email(app: &TestApp, email: &str) -> Client {
    // Mails of one instant have no order.
    app.app.clock.advance(jiff::SignedDuration::from_secs(1));
    let register = "mutation($email: EmailAddress!, $password: String!) {
        authRegister(input: { email: $email, password: $password, displayName: \"Mia\" }) { emailSent userErrors { code } } }";
    let variables = json!({ "email": email, "password": PASSWORD });
    let sent = app.anonymous().post(register, variables).await;
    sent.payload("authRegister");
    app.run_jobs().await;
    let verify = "mutation($email: EmailAddress!, $code: String!, $password: String!) {
        emailVerify(email: $email, code: $code, password: $password) { accessToken user { id } userErrors { code } } }";
    let variables = json!({ "email": email, "code": app.mailed_code(), "password": PASSWORD });
    let done = app.anonymous().post(verify, variables).await;
    client_of(app, done.payload("emailVerify"))
}

async fn log_in(app: &TestApp, email: &str, password: &str) -> Answer {
    let query = "mutation($login: String!, $password: String!) {
        authLogin(login: $login, password: $password) { accessToken user { id } userErrors { code } } }";
    let variables = json!({ "login": email, "password": password });
    app.anonymous().post(query, variables).await
}

async fn link_telegram(client: &Client, init_data: &str) -> Answer {
    let query = format!(
        "mutation($initData: String!) {{ accountLinkTelegram(initData: $initData) {{ {LINKED} }} }}"
    );
    client.post(&query, json!({ "initData": init_data })).await
}

async fn send_code(client: &Client, email: &str) -> Answer {
    let query = "mutation($email: EmailAddress!) {
        emailCodeSend(email: $email, purpose: LINK) { emailSent userErrors { code field details } } }";
    client.post(query, json!({ "email": email })).await
}

async fn mailed_code(app: &TestApp, client: &Client, email: &str) -> String {
    send_code(client, email).await.payload("emailCodeSend");
    app.run_jobs().await;
    app.mailed_code()
}

async fn link_email(client: &Client, email: &str, code: &str) -> Answer {
    let query = format!(
        "mutation($email: EmailAddress!, $code: String!) {{ accountLinkEmail(email: $email, code: $code) {{ {LINKED} }} }}"
    );
    client
        .post(&query, json!({ "email": email, "code": code }))
        .await
}

/// Something that ties the person to somebody else.
async fn use_account(app: &TestApp, client: &Client) {
    let other = app.user("Other").await;
    let query = "mutation($id: ID!) { userBlock(userId: $id) { userErrors { code } } }";
    let done = client.post(query, json!({ "id": other.user_id })).await;
    done.payload("userBlock");
}

fn refusal(answer: &Answer, mutation: &str) -> (String, Value, Value) {
    let error = &answer.data()[mutation]["userErrors"][0];
    let code = error["code"].as_str();
    let code = code.unwrap_or_else(|| panic!("{}", answer.body)).to_owned();
    (
        code,
        error["field"].clone(),
        error["details"]["state"].clone(),
    )
}

fn invalid_state(state: &str) -> (String, Value, Value) {
    ("INVALID_STATE".to_owned(), Value::Null, state.into())
}

async fn works(client: &Client) -> bool {
    client.query("{ me { id } }").await.body["errors"].is_null()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_telegram_account_that_is_new_here_becomes_a_second_way_in() {
    let app = start().await;
    let mia = by_email(&app, "mia@example.org").await;
    let mails = app.mail().len();
    let linked = link_telegram(&mia, &init_data(&app, 42)).await;
    let linked = linked.payload("accountLinkTelegram");
    assert_eq!(linked["user"]["id"], mia.user_id);
    assert_eq!(linked["accessToken"], Value::Null, "the session goes on");
    assert!(works(&mia).await);
    assert_eq!(by_telegram(&app, 42).await.user_id, mia.user_id);
    assert_eq!(app.count("users").await, 1);
    let account = "{ me { user { account { email telegramLinked telegramUsername } } } }";
    let account = mia.query(account).await;
    assert_eq!(
        account.data()["me"]["user"]["account"],
        json!({ "email": "mia@example.org", "telegramLinked": true, "telegramUsername": "tom42" })
    );
    // The mailbox is told, in case it was somebody else.
    app.run_jobs().await;
    assert_eq!(app.mail().len(), mails + 1);
    assert!(
        app.mail()
            .last()
            .unwrap()
            .contains("Telegram account was added")
    );
    // Once more changes nothing; another Telegram account is refused.
    let again = link_telegram(&mia, &init_data(&app, 42)).await;
    again.payload("accountLinkTelegram");
    let trail = "audit_events WHERE action = 'account.linkTelegram' AND outcome = 'DONE'";
    assert_eq!(app.count(trail).await, 1);
    let another = link_telegram(&mia, &init_data(&app, 43)).await;
    assert_eq!(
        refusal(&another, "accountLinkTelegram"),
        invalid_state("TELEGRAM_LINKED")
    );
    // Proof is needed: what Telegram did not sign links nothing.
    let forged = init_data(&app, 44).replace("Tom", "Tim");
    let forged = link_telegram(&mia, &forged).await;
    let refused = "audit_events WHERE action = 'account.linkTelegram' AND outcome = 'REFUSED' AND target_id IS NOT NULL";
    assert_eq!(app.count(refused).await, 1);
    assert_eq!(
        refusal(&forged, "accountLinkTelegram"),
        (
            "INVALID_CREDENTIALS".to_owned(),
            json!(["initData"]),
            Value::Null
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_becomes_a_second_way_in_for_who_reads_its_mail() {
    let app = start().await;
    let (tom, eve) = (by_telegram(&app, 42).await, by_telegram(&app, 66).await);
    let email = "tom@example.org";
    let stranger = send_code(&app.anonymous(), email).await;
    assert_eq!(refusal(&stranger, "emailCodeSend").0, "NOT_ALLOWED");
    let code = mailed_code(&app, &tom, email).await;
    // A code is good for whom it was made alone.
    let stolen = link_email(&eve, email, &code).await;
    let invalid = ("INVALID_CODE".to_owned(), json!(["code"]), Value::Null);
    assert_eq!(refusal(&stolen, "accountLinkEmail"), invalid);
    let linked = link_email(&tom, "Tom@Example.org", &code).await;
    assert_eq!(
        linked.payload("accountLinkEmail")["user"]["id"],
        tom.user_id
    );
    let again = link_email(&tom, email, &code).await;
    assert_eq!(refusal(&again, "accountLinkEmail"), invalid);
    let second = send_code(&tom, "else@example.org").await;
    assert_eq!(
        refusal(&second, "emailCodeSend"),
        invalid_state("EMAIL_LINKED")
    );

    app.advance(jiff::SignedDuration::from_mins(2)).await;
    let send = "mutation { emailCodeSend(email: \"tom@example.org\", purpose: PASSWORD_RESET) { emailSent userErrors { code } } }";
    app.anonymous().query(send).await.payload("emailCodeSend");
    app.run_jobs().await;
    let reset = "mutation($code: String!, $password: String!) {
        passwordReset(email: \"tom@example.org\", code: $code, newPassword: $password) { user { id } userErrors { code } } }";
    let variables = json!({ "code": app.mailed_code(), "password": PASSWORD });
    let done = app.anonymous().post(reset, variables).await;
    done.payload("passwordReset");
    let signed_in = log_in(&app, email, PASSWORD).await;
    assert_eq!(signed_in.payload("authLogin")["user"]["id"], tom.user_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_accounts_the_one_that_is_in_use_stays() {
    let app = start().await;
    // The viewer's own is in use: the Telegram account's goes.
    let mia = by_email(&app, "mia@example.org").await;
    let unused = by_telegram(&app, 42).await;
    use_account(&app, &mia).await;
    let linked = link_telegram(&mia, &init_data(&app, 42)).await;
    let linked = linked.payload("accountLinkTelegram");
    assert_eq!(linked["user"]["id"], mia.user_id);
    app.settle(&[&mia]).await;
    assert!(works(&mia).await && !works(&unused).await);
    assert_eq!(by_telegram(&app, 42).await.user_id, mia.user_id);
    assert_eq!(app.count("users WHERE status = 'DELETED'").await, 1);

    // The other is in use: the viewer's own goes, with its password, and the viewer goes on in the other.
    let new = by_email(&app, "tom@example.org").await;
    let tom = by_telegram(&app, 43).await;
    use_account(&app, &tom).await;
    let linked = link_telegram(&new, &init_data(&app, 43)).await;
    let linked = client_of(&app, linked.payload("accountLinkTelegram"));
    assert_eq!(linked.user_id, tom.user_id);
    app.settle(&[&linked]).await;
    assert!(works(&linked).await && works(&tom).await && !works(&new).await);
    let signed_in = log_in(&app, "tom@example.org", PASSWORD).await;
    assert_eq!(signed_in.payload("authLogin")["user"]["id"], tom.user_id);

    // The same from the other side.
    let zoe = by_email(&app, "zoe@example.org").await;
    use_account(&app, &zoe).await;
    let fresh = by_telegram(&app, 44).await;
    app.advance(jiff::SignedDuration::from_mins(2)).await;
    let code = mailed_code(&app, &fresh, "zoe@example.org").await;
    let linked = link_email(&fresh, "zoe@example.org", &code).await;
    let linked = client_of(&app, linked.payload("accountLinkEmail"));
    assert_eq!(linked.user_id, zoe.user_id);
    assert_eq!(by_telegram(&app, 44).await.user_id, zoe.user_id);
    let signed_in = log_in(&app, "zoe@example.org", PASSWORD).await;
    assert_eq!(signed_in.payload("authLogin")["user"]["id"], zoe.user_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_one_is_refused_and_stays_as_it_is() {
    let app = start().await;
    let mia = by_email(&app, "mia@example.org").await;
    let tom = by_telegram(&app, 42).await;
    use_account(&app, &mia).await;
    use_account(&app, &tom).await;
    let both = link_telegram(&mia, &init_data(&app, 42)).await;
    assert_eq!(
        refusal(&both, "accountLinkTelegram"),
        invalid_state("BOTH_IN_USE")
    );
    app.advance(jiff::SignedDuration::from_mins(2)).await;
    let code = mailed_code(&app, &tom, "mia@example.org").await;
    let both = link_email(&tom, "mia@example.org", &code).await;
    assert_eq!(
        refusal(&both, "accountLinkEmail"),
        invalid_state("BOTH_IN_USE")
    );

    // Two addresses, or two Telegram accounts, don't fit into one account.
    let ann = by_telegram(&app, 45).await;
    app.verified_email(&ann, "ann@example.org").await;
    let two = link_telegram(&mia, &init_data(&app, 45)).await;
    assert_eq!(
        refusal(&two, "accountLinkTelegram"),
        invalid_state("EMAIL_LINKED")
    );
    app.advance(jiff::SignedDuration::from_mins(2)).await;
    let code = mailed_code(&app, &tom, "ann@example.org").await;
    let two = link_email(&tom, "ann@example.org", &code).await;
    assert_eq!(
        refusal(&two, "accountLinkEmail"),
        invalid_state("TELEGRAM_LINKED")
    );

    // Nobody gets rid of a suspension by linking.
    by_telegram(&app, 46).await;
    app.sql("UPDATE users SET status = 'SUSPENDED' WHERE telegram_id = 46")
        .await;
    let suspended = link_telegram(&mia, &init_data(&app, 46)).await;
    assert_eq!(refusal(&suspended, "accountLinkTelegram").0, "NOT_ALLOWED");

    assert_eq!(app.count("users WHERE status = 'DELETED'").await, 0);
    assert_eq!(
        app.count("audit_events WHERE action LIKE 'account.link%' AND outcome = 'DONE'")
            .await,
        0
    );
    assert_eq!(by_telegram(&app, 42).await.user_id, tom.user_id);
    let signed_in = log_in(&app, "mia@example.org", PASSWORD).await;
    assert_eq!(signed_in.payload("authLogin")["user"]["id"], mia.user_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_telegram_account_linked_at_once_goes_to_one_account() {
    let app = start().await;
    for round in 0..5 {
        let people: Vec<Client> = futures_util::future::join_all((0..6).map(|number| {
            let app = &app;
            async move {
                let person = app.user("Mia").await;
                app.verified_email(&person, &format!("mia{round}-{number}@example.org"))
                    .await;
                use_account(app, &person).await;
                person
            }
        }))
        .await;
        let telegram = 100 + round;
        let data = init_data(&app, telegram);
        let first_sign_in = async {
            by_telegram(&app, telegram).await;
        };
        let links = futures_util::future::join_all(
            people.iter().map(|person| link_telegram(person, &data)),
        );
        let (links, ()) = tokio::join!(links, first_sign_in);
        let linked = links
            .iter()
            .filter(|answer| {
                let errors = &answer.data()["accountLinkTelegram"]["userErrors"];
                match errors[0]["code"].as_str() {
                    None => true,
                    // The winner has an address, too, or was in the middle of it.
                    Some("INVALID_STATE" | "CONFLICT") => false,
                    Some(other) => panic!("{other}"),
                }
            })
            .count();
        assert_eq!(linked, 1);
        let owners = format!("users WHERE telegram_id = {telegram}");
        assert_eq!(app.count(&owners).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tries_to_link_are_limited_as_tries_to_sign_in_are() {
    let app = TestApp::start_with(|config| {
        config.telegram_bot_tokens = vec![SecretString::from(TOKEN)];
        config.sign_in_limits.per_account_per_minute = 2;
        config.sign_in_limits.per_init_data = 2;
    })
    .await;
    let mia = app.user("Mia").await;
    let data = init_data(&app, 42);
    for _ in 0..2 {
        link_email(&mia, "mia@example.org", "123456").await.data();
        link_telegram(&mia, &data).await.data();
    }
    for limited in [
        link_email(&mia, "MIA@example.org", "123456").await,
        link_telegram(&mia, &data).await,
    ] {
        let answer = (limited.status, limited.error_code());
        assert_eq!(answer, (429, "RATE_LIMITED"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_session_is_no_proof() {
    let app = start().await;
    let (mia, tom) = (app.user("Mia").await, app.user("Tom").await);
    let code = mailed_code(&app, &tom, "tom@example.org").await;
    app.advance(jiff::SignedDuration::from_mins(9)).await;
    app.sql("UPDATE sessions SET created_at = created_at - interval '7 minutes'")
        .await;
    let again = invalid_state("SIGN_IN_AGAIN");
    let telegram = link_telegram(&mia, &init_data(&app, 42)).await;
    assert_eq!(refusal(&telegram, "accountLinkTelegram"), again);
    let email = link_email(&tom, "tom@example.org", &code).await;
    assert_eq!(refusal(&email, "accountLinkEmail"), again);
    let sent = send_code(&mia, "mia@example.org").await;
    assert_eq!(refusal(&sent, "emailCodeSend"), again);
    app.sql("UPDATE sessions SET created_at = created_at + interval '7 minutes'")
        .await;
    link_email(&tom, "tom@example.org", &code)
        .await
        .payload("accountLinkEmail");
    link_telegram(&mia, &init_data(&app, 42))
        .await
        .payload("accountLinkTelegram");
}
