//! Sign-in by e-mail address and password (rule 22): from the registration to a new password, and what nobody learns.

use argon2::{Algorithm, Argon2, PasswordHasher, Version};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::support::{Answer, Client, TestApp};

const EMAIL: &str = "mia@example.org";
const PASSWORD: &str = " corréct horse battery ";
const ERRORS: &str = "userErrors { code field details }";
const TOKENS: &str = "accessToken refreshToken expiresAt user { id displayName account { email username } } userErrors { code field details }";

async fn register(app: &TestApp, email: &str, password: &str) -> Answer {
    let query = format!(
        "mutation($email: EmailAddress!, $password: String!) {{ authRegister(input: {{
            email: $email, password: $password, displayName: \"Mia\", username: \"mia_w\", language: EN }}) {{ emailSent {ERRORS} }} }}"
    );
    let variables = json!({ "email": email, "password": password });
    app.anonymous().post(&query, variables).await
}

async fn send_code(app: &TestApp, email: &str, purpose: &str) -> Answer {
    let query = format!(
        "mutation($email: EmailAddress!) {{ emailCodeSend(email: $email, purpose: {purpose}) {{ emailSent {ERRORS} }} }}"
    );
    app.anonymous()
        .post(&query, json!({ "email": email }))
        .await
}

async fn verify(app: &TestApp, email: &str, code: &str, password: &str) -> Answer {
    let query = format!(
        "mutation($email: EmailAddress!, $code: String!, $password: String!) {{
            emailVerify(email: $email, code: $code, password: $password) {{ {TOKENS} }} }}"
    );
    let variables = json!({ "email": email, "code": code, "password": password });
    app.anonymous().post(&query, variables).await
}

async fn log_in(app: &TestApp, login: &str, password: &str) -> Answer {
    let query = format!(
        "mutation($login: String!, $password: String!) {{ authLogin(login: $login, password: $password) {{ {TOKENS} }} }}"
    );
    app.anonymous()
        .post(&query, json!({ "login": login, "password": password }))
        .await
}

async fn reset(app: &TestApp, code: &str, password: &str) -> Answer {
    let query = format!(
        "mutation($email: EmailAddress!, $code: String!, $password: String!) {{
            passwordReset(email: $email, code: $code, newPassword: $password) {{ {TOKENS} }} }}"
    );
    let variables = json!({ "email": EMAIL, "code": code, "password": password });
    app.anonymous().post(&query, variables).await
}

async fn change(client: &Client, current: &str, new: &str) -> Answer {
    let query = format!(
        "mutation($current: String!, $new: String!) {{ passwordChange(input: {{ currentPassword: $current, newPassword: $new }}) {{
            me {{ id }} {ERRORS} }} }}"
    );
    client
        .post(&query, json!({ "current": current, "new": new }))
        .await
}

/// Registered, verified and signed in.
async fn account(app: &TestApp) -> Client {
    register(app, EMAIL, PASSWORD).await.payload("authRegister");
    app.run_jobs().await;
    let done = verify(app, EMAIL, &app.mailed_code(), PASSWORD).await;
    signed_in(app, done.payload("emailVerify"))
}

fn signed_in(app: &TestApp, payload: &Value) -> Client {
    let mut client = app
        .anonymous()
        .with_token(payload["accessToken"].as_str().unwrap());
    client.user_id = payload["user"]["id"].as_str().unwrap().to_owned();
    client
}

fn code(answer: &Answer, mutation: &str) -> (String, Value) {
    let error = &answer.data()[mutation]["userErrors"][0];
    let code = error["code"]
        .as_str()
        .unwrap_or_else(|| panic!("{}", answer.body));
    (code.to_owned(), error["field"].clone())
}

async fn works(client: &Client) -> bool {
    client.query("{ me { id } }").await.body["errors"].is_null()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_a_code_and_a_password_open_an_account() {
    let app = TestApp::start().await;
    let sent = register(&app, EMAIL, PASSWORD).await;
    assert_eq!(sent.payload("authRegister")["emailSent"], true);
    // Nothing is there before the address is proved.
    assert_eq!(app.count("users").await, 0);
    let early = log_in(&app, EMAIL, PASSWORD).await;
    assert_eq!(
        code(&early, "authLogin"),
        ("INVALID_CREDENTIALS".into(), Value::Null)
    );
    app.run_jobs().await;
    let mailed = app.mailed_code();
    // Who reads the mail has to know the password, too: another may have registered the address.
    let other = verify(&app, EMAIL, &mailed, "another password").await;
    assert_eq!(
        code(&other, "emailVerify"),
        ("INVALID_CREDENTIALS".into(), json!(["password"]))
    );
    let done = verify(&app, "MIA@Example.ORG", &mailed, PASSWORD).await;
    let done = done.payload("emailVerify");
    assert_eq!(done["user"]["displayName"], "Mia");
    assert_eq!(
        done["user"]["account"],
        Value::Null,
        "the answer is of an anonymous request"
    );
    assert!(works(&signed_in(&app, done)).await);
    let again = verify(&app, EMAIL, &mailed, PASSWORD).await;
    assert_eq!(
        code(&again, "emailVerify"),
        ("INVALID_CODE".into(), json!(["code"]))
    );
    let refused = "audit_events WHERE action = 'auth.emailVerify' AND outcome = 'REFUSED'";
    assert_eq!(
        app.count(refused).await,
        2,
        "a wrong password and a spent code"
    );

    for login in [EMAIL, " Mia@EXAMPLE.org ", "mia_w", "MIA_W"] {
        let answer = log_in(&app, login, PASSWORD).await;
        assert!(
            works(&signed_in(&app, answer.payload("authLogin"))).await,
            "{login}"
        );
    }
    for (login, password) in [
        (EMAIL, "corréct horse battery"),
        (EMAIL, ""),
        ("mia", PASSWORD),
        ("nobody@example.org", PASSWORD),
        ("", PASSWORD),
    ] {
        let wrong = log_in(&app, login, password).await;
        assert_eq!(
            code(&wrong, "authLogin"),
            ("INVALID_CREDENTIALS".into(), Value::Null)
        );
    }
    let kept = "users WHERE password_hash LIKE '$argon2id$v=19$m=19456,t=2,p=1$%' AND email_verified_at IS NOT NULL";
    assert_eq!(app.count(kept).await, 1);
    let refused = "audit_events WHERE action = 'auth.login' AND outcome = 'REFUSED'";
    assert_eq!(app.count(refused).await, 6);
    assert_eq!(
        app.count("audit_events WHERE action = 'auth.login' AND outcome = 'DONE'")
            .await,
        4
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn known_and_unknown_addresses_get_the_same_answers() {
    let app = TestApp::start().await;
    account(&app).await;
    app.advance(SignedDuration::from_mins(2)).await;
    let (known, unknown) = (
        register(&app, EMAIL, PASSWORD).await,
        register(&app, "else@example.org", PASSWORD).await,
    );
    assert_eq!(
        (&known.body, known.statements),
        (&unknown.body, unknown.statements)
    );
    app.advance(SignedDuration::from_mins(2)).await;
    let mails = app.mail().len();
    let (known, unknown) = (
        send_code(&app, EMAIL, "PASSWORD_RESET").await,
        send_code(&app, "third@example.org", "PASSWORD_RESET").await,
    );
    assert_eq!(
        (&known.body, known.statements),
        (&unknown.body, unknown.statements)
    );
    // One that is too many is told of, of both alike.
    let (known, unknown) = (
        send_code(&app, EMAIL, "SIGN_UP").await,
        send_code(&app, "third@example.org", "SIGN_UP").await,
    );
    assert_eq!(
        (&known.body, known.statements),
        (&unknown.body, unknown.statements)
    );
    assert_eq!(code(&known, "emailCodeSend").0, "TOO_MANY_ATTEMPTS");
    let trail = "audit_events WHERE action = 'auth.codeSend' AND outcome = 'REFUSED'";
    assert_eq!(app.count(trail).await, 2);
    let of_known = format!("{trail} AND target_id = (SELECT id FROM users)");
    assert_eq!(app.count(&of_known).await, 1);
    app.run_jobs().await;
    assert_eq!(app.mail().len(), mails + 1);
    let (known, unknown) = (
        log_in(&app, EMAIL, "wrong password").await,
        log_in(&app, "else@example.org", "wrong password").await,
    );
    assert_eq!(
        (&known.body, known.statements),
        (&unknown.body, unknown.statements)
    );
    // An account is not made twice, whatever the code.
    app.advance(SignedDuration::from_mins(2)).await;
    assert_eq!(app.count("users").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_registration_is_named_and_nothing_is_sent() {
    let app = TestApp::start().await;
    let query = format!(
        "mutation {{ authRegister(input: {{ email: \"mia\", password: \"short\", displayName: \"\", username: \"x\" }}) {{ emailSent {ERRORS} }} }}"
    );
    let answer = app.anonymous().query(&query).await;
    let fields: Vec<_> = answer.data()["authRegister"]["userErrors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["field"][1].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(fields, ["email", "displayName", "username", "password"]);
    for password in ["password1", "MIA@example.org", "mia_w", &"x".repeat(257)] {
        let refused = register(&app, EMAIL, password).await;
        assert_eq!(
            code(&refused, "authRegister"),
            ("INVALID_INPUT".into(), json!(["input", "password"]))
        );
    }
    assert_eq!(app.count("email_codes").await, 0);
    register(&app, EMAIL, PASSWORD)
        .await
        .payload("authRegister");
    let soon = register(&app, EMAIL, PASSWORD).await;
    assert_eq!(code(&soon, "authRegister").0, "TOO_MANY_ATTEMPTS");
    let wait = &soon.data()["authRegister"]["userErrors"][0]["details"]["retryAfterMs"];
    assert_eq!(wait, 60_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_ends_the_other_sessions() {
    let app = TestApp::start().await;
    let first = account(&app).await;
    let second = log_in(&app, EMAIL, PASSWORD).await;
    let second = signed_in(&app, second.payload("authLogin"));
    let wrong = change(&first, "wrong", "a new password").await;
    assert_eq!(
        code(&wrong, "passwordChange"),
        (
            "INVALID_CREDENTIALS".into(),
            json!(["input", "currentPassword"])
        )
    );
    let weak = change(&first, PASSWORD, "12345678").await;
    assert_eq!(
        code(&weak, "passwordChange"),
        ("INVALID_INPUT".into(), json!(["input", "newPassword"]))
    );
    // Whether what is typed twice is the password of now shows in nothing.
    for same in [PASSWORD, "another password"] {
        let same = change(&first, same, same).await;
        assert_eq!(
            code(&same, "passwordChange"),
            ("INVALID_INPUT".into(), json!(["input", "newPassword"]))
        );
    }
    assert!(works(&second).await);
    change(&first, PASSWORD, "a new password")
        .await
        .payload("passwordChange");
    let told = "audit_events WHERE action = 'auth.passwordChange' AND after->'changed' = '[\"password\"]' AND jsonb_array_length(after->'sessions') = 1";
    assert_eq!(app.count(told).await, 1);
    app.settle(&[&first]).await;
    assert!(works(&first).await && !works(&second).await);
    let old = log_in(&app, EMAIL, PASSWORD).await;
    assert_eq!(code(&old, "authLogin").0, "INVALID_CREDENTIALS");
    let mails = app.mail().len();
    app.run_jobs().await;
    assert_eq!(app.mail().len(), mails + 1, "the person is told");

    app.advance(SignedDuration::from_mins(2)).await;
    send_code(&app, EMAIL, "PASSWORD_RESET")
        .await
        .payload("emailCodeSend");
    app.run_jobs().await;
    let mailed = app.mailed_code();
    let weak = reset(&app, &mailed, "qwertyuiop").await;
    assert_eq!(
        code(&weak, "passwordReset"),
        ("INVALID_INPUT".into(), json!(["newPassword"]))
    );
    // The one of now is no new one; the code still works, however often.
    for _ in 0..3 {
        let same = reset(&app, &mailed, "a new password").await;
        assert_eq!(
            code(&same, "passwordReset"),
            ("INVALID_INPUT".into(), json!(["newPassword"]))
        );
    }
    let done = reset(&app, &mailed, "a third password").await;
    let third = signed_in(&app, done.payload("passwordReset"));
    app.settle(&[&third]).await;
    assert!(works(&third).await && !works(&first).await);
    let again = reset(&app, &mailed, "a fourth password").await;
    assert_eq!(
        code(&again, "passwordReset"),
        ("INVALID_CODE".into(), json!(["code"]))
    );
    // What is malformed used up a try, and is told of.
    for (action, refused) in [("passwordReset", 5), ("passwordChange", 4)] {
        let trail = format!("audit_events WHERE action = 'auth.{action}' AND outcome = 'REFUSED'");
        assert_eq!(app.count(&trail).await, refused, "{action}");
    }
    log_in(&app, "mia_w", "a third password")
        .await
        .payload("authLogin");

    // Who signs in by Telegram alone has none to change.
    let other = app.user("Tom").await;
    let none = change(&other, "", "a new password").await;
    assert_eq!(code(&none, "passwordChange").0, "INVALID_STATE");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_suspended_does_not_sign_in_and_guessing_is_slow() {
    let app = TestApp::start_with(|config| config.sign_in_limits.per_account_per_minute = 3).await;
    account(&app).await;
    app.sql("UPDATE users SET status = 'SUSPENDED'").await;
    app.app.clock.advance(SignedDuration::from_mins(1));
    let refused = log_in(&app, EMAIL, PASSWORD).await;
    assert_eq!(code(&refused, "authLogin").0, "NOT_ALLOWED");
    app.sql("UPDATE users SET status = 'ACTIVE'").await;
    for _ in 0..2 {
        log_in(&app, " MIA@example.org", "wrong").await.data();
    }
    let limited = log_in(&app, EMAIL, PASSWORD).await;
    assert_eq!(
        (limited.status, limited.error_code()),
        (429, "RATE_LIMITED")
    );
    // PostgreSQL takes this letter for a capital i.
    let spelled = log_in(&app, "m\u{130}a@example.org", PASSWORD).await;
    assert_eq!(code(&spelled, "authLogin").0, "INVALID_CREDENTIALS");
    log_in(&app, "other@example.org", PASSWORD).await.data();
    // What can be nobody's name is told like what is nobody's.
    let refused = "audit_events WHERE action = 'auth.login' AND outcome = 'REFUSED'";
    let before = app.count(refused).await;
    let odd = ["", "a\u{0}b", "a\u{0}@example.org", "имя", "a b", "'"];
    for odd in odd {
        let answer = log_in(&app, odd, PASSWORD).await;
        assert_eq!(
            code(&answer, "authLogin").0,
            "INVALID_CREDENTIALS",
            "{odd:?}"
        );
    }
    assert_eq!(app.count(refused).await, before + odd.len() as i64);
    app.app.clock.advance(SignedDuration::from_mins(1));
    log_in(&app, EMAIL, PASSWORD).await.payload("authLogin");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hash_of_older_parameters_is_renewed_at_sign_in() {
    let app = TestApp::start().await;
    account(&app).await;
    let older = argon2::Params::new(8 * 1024, 1, 1, None).unwrap();
    let older = Argon2::new(Algorithm::Argon2id, Version::V0x13, older);
    let older = older.hash_password_with_salt(PASSWORD.as_bytes(), b"sixteen byte salt");
    let older: String = older.unwrap().to_string();
    app.sql(&format!("UPDATE users SET password_hash = '{older}'"))
        .await;
    let current = "users WHERE password_hash LIKE '$argon2id$v=19$m=19456,t=2,p=1$%'";
    log_in(&app, EMAIL, "wrong password").await.data();
    assert_eq!(
        app.count(current).await,
        0,
        "a wrong password renews nothing"
    );
    for _ in 0..2 {
        log_in(&app, EMAIL, PASSWORD).await.payload("authLogin");
        assert_eq!(app.count(current).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_kept_of_an_address_that_staff_replaced() {
    let app = TestApp::start().await;
    let admin = app.user_with_roles("Ada", &["ADMIN"]).await;
    let mia = app.user("Mia").await;
    app.verified_email(&mia, EMAIL).await;
    for address in [EMAIL, "eve@example.org"] {
        let sent = send_code(&app, address, "PASSWORD_RESET").await;
        sent.payload("emailCodeSend");
    }
    let update = format!(
        "mutation {{ userUpdate(id: \"{}\", input: {{ email: \"new@example.org\" }}) {{ userErrors {{ code }} }} }}",
        mia.user_id
    );
    admin.query(&update).await.payload("userUpdate");
    for table in ["email_sends", "email_codes"] {
        assert_eq!(app.count(table).await, 1, "{table}");
    }
}
