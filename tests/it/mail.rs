//! Mail on its way out, to a real mail server in a process of its own; and in development, into a folder.

use companion::{
    config::{Environment, SmtpSecurity},
    error::Error,
    features::{
        accounts::{
            codes,
            mail::{self, Notice},
            model::codes::CodePurpose::{Link, PasswordReset, SignUp},
        },
        users::model::Language,
    },
};
use diesel::{QueryableByName, sql_query, sql_types};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use jiff::SignedDuration;
use serde_json::Value;

use super::support::{
    TestApp,
    mail::{code_in, order},
    smtp::{Certificates, Options, SmtpServer},
};

#[derive(QueryableByName, Debug)]
struct Row {
    #[diesel(sql_type = sql_types::Text)]
    text: String,
}

async fn texts(app: &TestApp, sql: &str) -> Vec<String> {
    let rows: Vec<Row> = sql_query(sql).load(&mut app.conn().await).await.unwrap();
    rows.into_iter().map(|row| row.text).collect()
}

/// The mail jobs that wait, whole.
async fn waiting(app: &TestApp) -> Vec<String> {
    texts(
        app,
        "SELECT jobs::text AS text FROM jobs WHERE kind = 'SEND_MAIL'",
    )
    .await
}

fn data(message: &Value) -> &str {
    message["data"].as_str().unwrap()
}

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// A server of ours that sends to a mail server like this; nothing where there can be none.
async fn sending(options: Options) -> Option<(TestApp, SmtpServer, Certificates)> {
    let certificates = Certificates::make();
    let server = SmtpServer::start(&certificates, &options).await?;
    let settings = server.settings(&certificates, &options);
    let app = TestApp::start_with(|config| config.smtp = Some(settings)).await;
    Some((app, server, certificates))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_goes_through_starttls_and_sign_in_and_works() {
    let user = Some(("companion", "pass word"));
    let options = Options {
        user,
        ..Options::default()
    };
    let Some((app, mut server, _files)) = sending(options).await else {
        return;
    };
    app.order_code(order("Ada@example.com", SignUp))
        .await
        .unwrap();
    app.run_jobs().await;
    let message = server.next().await;
    assert_eq!(message["encrypted"], true);
    assert_eq!(message["user"], "companion");
    assert_eq!(message["from"], "no-reply@example.org");
    assert_eq!(message["to"], serde_json::json!(["Ada@example.com"]));
    let text = data(&message);
    assert!(
        text.contains("Subject: Companion: confirm your e-mail address"),
        "{text}"
    );
    assert!(
        text.contains("text/plain") && text.contains("text/html"),
        "{text}"
    );
    let code = code_in(text).unwrap();
    let row = codes::attempt(&app.app, "ada@EXAMPLE.com", SignUp, None, &code, "code")
        .await
        .unwrap();
    assert_eq!(row.email, "Ada@example.com");
    assert_eq!(waiting(&app).await, [""; 0]);
    assert!(server.stop().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_from_the_start_and_a_server_next_door_without_it() {
    for security in [SmtpSecurity::Tls, SmtpSecurity::None] {
        let options = Options {
            security,
            ..Options::default()
        };
        let Some((app, mut server, _files)) = sending(options).await else {
            return;
        };
        app.order_code(order("ada@example.com", SignUp))
            .await
            .unwrap();
        app.run_jobs().await;
        let message = server.next().await;
        assert_eq!(message["encrypted"], security == SmtpSecurity::Tls);
        assert!(server.stop().await.is_empty());
    }
}

/// The mail server is away, then back: the mail comes late, once, and the queue never held code or address.
#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_that_is_down_delays_a_mail_and_loses_nothing() {
    let Some((app, server, files)) = sending(Options::default()).await else {
        return;
    };
    let port = server.port;
    assert!(server.stop().await.is_empty());
    app.order_code(order("ada@example.com", SignUp))
        .await
        .unwrap();
    app.run_jobs().await;
    let jobs = waiting(&app).await;
    assert_eq!(jobs.len(), 1);
    assert!(jobs[0].contains("is not reached"), "{}", jobs[0]);
    app.advance(SignedDuration::from_secs(3)).await;
    assert_eq!(waiting(&app).await.len(), 1);

    let options = Options {
        port,
        ..Options::default()
    };
    let mut server = SmtpServer::start(&files, &options).await.unwrap();
    app.advance(SignedDuration::from_secs(10)).await;
    let message = server.next().await;
    let code = code_in(data(&message)).unwrap();
    for job in jobs {
        assert!(!job.contains("ada@") && !job.contains(&code), "{job}");
    }
    assert_eq!(waiting(&app).await, [""; 0]);
    // The date is when it was asked for, not when the server came back.
    assert!(data(&message).contains("Date: Sat, 21 Nov 2026 12:00:00 +0000"));
    app.advance(MINUTE).await;
    assert!(server.stop().await.is_empty());
    codes::attempt(&app.app, "ada@example.com", SignUp, None, &code, "code")
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_recipient_is_given_up_and_keeps_nobody_waiting() {
    let Some((app, mut server, _files)) = sending(Options::default()).await else {
        return;
    };
    for address in ["refused@example.com", "full@example.com", "ada@example.com"] {
        app.order_code(order(address, SignUp)).await.unwrap();
    }
    app.run_jobs().await;
    assert_eq!(waiting(&app).await, [""; 0]);
    let message = server.next().await;
    assert_eq!(message["to"], serde_json::json!(["ada@example.com"]));
    assert!(server.stop().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_server_is_tried_again_until_the_code_has_expired() {
    let Some((app, server, _files)) = sending(Options::default()).await else {
        return;
    };
    app.order_code(order("later@example.com", SignUp))
        .await
        .unwrap();
    app.run_jobs().await;
    app.advance(MINUTE).await;
    let jobs = waiting(&app).await;
    assert_eq!(jobs.len(), 1);
    assert!(jobs[0].contains("answered 451"), "{}", jobs[0]);
    // What the server said repeats the address.
    assert!(!jobs[0].contains("later@"), "{}", jobs[0]);
    app.advance(codes::LIFE).await;
    assert_eq!(waiting(&app).await, [""; 0]);
    assert!(server.stop().await.is_empty());
}

/// What an operator puts right delays, and nothing leaves in the clear or to somebody else's server.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_leaves_without_the_security_that_was_asked_for() {
    let user = Some(("companion", "pass word"));
    let plain = Options {
        security: SmtpSecurity::None,
        ..Options::default()
    };
    let with_user = Options {
        user,
        ..Options::default()
    };
    let certificates = Certificates::make();
    let foreign = Certificates::make();
    let cases = [
        // No STARTTLS there.
        (plain, Options::default(), &certificates),
        // A certificate that we don't trust.
        (Options::default(), Options::default(), &foreign),
        // Another password there, and no user here.
        (
            with_user.clone(),
            Options {
                user: Some(("companion", "password")),
                ..Options::default()
            },
            &certificates,
        ),
        (with_user, Options::default(), &certificates),
    ];
    for (number, (theirs, ours, trusted)) in cases.into_iter().enumerate() {
        let Some(server) = SmtpServer::start(&certificates, &theirs).await else {
            return;
        };
        let settings = server.settings(trusted, &ours);
        let app = TestApp::start_with(|config| config.smtp = Some(settings)).await;
        app.order_code(order("ada@example.com", SignUp))
            .await
            .unwrap();
        app.run_jobs().await;
        assert_eq!(waiting(&app).await.len(), 1, "case {number}");
        assert!(server.stop().await.is_empty(), "case {number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_development_mail_goes_into_a_folder() {
    let app = TestApp::start().await;
    for (email, language) in [
        ("a@example.com", Language::En),
        ("b@example.com", Language::Zh),
        ("c@example.com", Language::Ru),
    ] {
        let order = codes::Order {
            language,
            ..order(email, SignUp)
        };
        app.order_code(order).await.unwrap();
    }
    app.run_jobs().await;
    let mail = app.mail();
    for (mail, tag) in mail.iter().zip(["en", "zh-Hans", "ru"]) {
        assert!(
            mail.contains(&format!("Content-Language: {tag}\r\n")),
            "{mail}"
        );
        assert!(
            mail.contains("From: Companion <no-reply@localhost>\r\n"),
            "{mail}"
        );
    }
    assert_eq!(mail.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn production_without_a_mail_server_says_so_and_writes_nothing() {
    let app = TestApp::start_with(|config| config.environment = Environment::Production).await;
    let refused = app.order_code(order("ada@example.com", SignUp)).await;
    assert!(
        matches!(
            refused,
            Err(Error::Unavailable {
                retry_after: Some(_),
                ..
            })
        ),
        "{refused:?}"
    );
    let written = texts(
        &app,
        "SELECT address AS text FROM email_sends UNION ALL SELECT email FROM email_codes",
    )
    .await;
    assert_eq!(written, [""; 0]);
}

/// For a known and an unknown address the same is written; only the mail differs.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_with_an_account_is_told_so_in_its_own_language() {
    let app = TestApp::start().await;
    let ada = app.user("Ada").await;
    app.verified_email(&ada, "Ada@example.com").await;
    let mut conn = app.conn().await;
    conn.batch_execute("UPDATE users SET language = 'RU' WHERE email = 'Ada@example.com'")
        .await
        .unwrap();
    app.order_code(order("ada@EXAMPLE.com", SignUp))
        .await
        .unwrap();
    app.order_code(order("new@example.com", SignUp))
        .await
        .unwrap();
    let rows = texts(
        &app,
        "SELECT (to_jsonb(c) - 'id' - 'email' - 'code_hash')::text AS text FROM email_codes c",
    )
    .await;
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0], rows[1]);
    app.run_jobs().await;
    let mail = app.mail();
    assert_eq!(mail.len(), 2);
    let known = mail
        .iter()
        .find(|mail| mail.contains("To: Ada@example.com"))
        .unwrap();
    assert!(known.contains("Content-Language: ru"), "{known}");
    assert!(code_in(known).is_none());
    let new = mail
        .iter()
        .find(|mail| mail.contains("To: new@example.com"))
        .unwrap();
    assert!(code_in(new).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_reaches_only_who_may_sign_in() {
    let app = TestApp::start().await;
    let ada = app.user("Ada").await;
    app.verified_email(&ada, "ada@example.com").await;
    let bob = app.user("Bob").await;
    app.verified_email(&bob, "bob@example.com").await;
    let mut conn = app.conn().await;
    conn.batch_execute("UPDATE users SET status = 'SUSPENDED' WHERE email = 'bob@example.com'")
        .await
        .unwrap();
    for email in ["ada@example.com", "bob@example.com", "nobody@example.com"] {
        app.order_code(order(email, PasswordReset)).await.unwrap();
    }
    app.run_jobs().await;
    assert_eq!(waiting(&app).await, [""; 0]);
    let mail = app.mail();
    assert_eq!(mail.len(), 1);
    assert!(mail[0].contains("To: ada@example.com"), "{}", mail[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_to_link_an_address_and_another_mail_for_a_sign_up() {
    let app = TestApp::start().await;
    let ada = app.user("Ada").await;
    let link = codes::Order {
        user_id: Some(ada.user_id.parse().unwrap()),
        ..order("ada@example.com", Link)
    };
    app.order_code(link).await.unwrap();
    app.run_jobs().await;
    assert!(app.mail()[0].contains("add this address"));
    let user = Some(ada.user_id.parse().unwrap());
    let code = app.mailed_code();
    let nobodys = codes::attempt(&app.app, "ada@example.com", Link, None, &code, "code").await;
    assert!(nobodys.is_err());
    codes::attempt(&app.app, "ada@example.com", Link, user, &code, "code")
        .await
        .unwrap();

    // Asked for again, a sign-up keeps what it was to be made of; without one there is no mail.
    app.order_code(order("new@example.com", SignUp))
        .await
        .unwrap();
    app.advance(MINUTE).await;
    for email in ["new@example.com", "never@example.com"] {
        let again = codes::Order {
            registration: None,
            ..order(email, SignUp)
        };
        app.order_code(again).await.unwrap();
    }
    app.run_jobs().await;
    let code = app.mailed_code();
    let row = codes::attempt(&app.app, "new@example.com", SignUp, None, &code, "code").await;
    assert_eq!(row.unwrap().registration.unwrap()["displayName"], "Ada");
    assert!(!app.mail().iter().any(|mail| mail.contains("never@")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_goes_to_the_address_of_then_and_grows_old() {
    let app = TestApp::start().await;
    let ada = app.user("Ada").await;
    let user = ada.user_id.parse().unwrap();
    let notice = async || {
        let order = mail::Order::Notice {
            user,
            notice: Notice::PasswordChanged,
            at: app.now(),
        };
        let mut tx = app.app.db.begin().await.unwrap();
        mail::enqueue(&mut tx, &app.app, order, app.now())
            .await
            .unwrap();
        tx.commit().await.unwrap();
    };
    // Nobody to write to.
    notice().await;
    app.run_jobs().await;
    assert!(app.mail().is_empty());
    app.verified_email(&ada, "ada@example.com").await;
    notice().await;
    app.run_jobs().await;
    assert!(app.mail()[0].contains("your password was changed"));
    assert!(app.mail()[0].contains("2026-11-21 12:00 UTC"));
    // A queue that stood still for days sends no old news.
    notice().await;
    app.advance(SignedDuration::from_hours(73)).await;
    assert_eq!(app.mail().len(), 1);
    assert_eq!(waiting(&app).await, [""; 0]);
}
