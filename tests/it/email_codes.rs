//! Codes by e-mail (rule 22): tries, limits, expiry, and what holds under concurrency.

use companion::{
    auth::viewer::Viewer,
    error::{Error, ErrorCode},
    features::accounts::{
        codes,
        model::codes::{
            CodePurpose::{self, PasswordReset, SignUp},
            EmailCode,
        },
    },
};
use diesel_async::SimpleAsyncConnection;
use jiff::SignedDuration;

use super::support::{TestApp, mail::order};

const EMAIL: &str = "ada@example.com";

fn refusal<T: std::fmt::Debug>(outcome: Result<T, Error>) -> (ErrorCode, Option<u64>) {
    match outcome {
        Err(Error::Rejected(problems)) => {
            let details = problems[0].details.as_ref();
            let wait = details.and_then(|details| details["retryAfterMs"].as_u64());
            (problems[0].code, wait)
        }
        other => panic!("{other:?}"),
    }
}

async fn attempt(app: &TestApp, purpose: CodePurpose, code: &str) -> Result<EmailCode, Error> {
    codes::attempt(&app.app, EMAIL, purpose, None, code, "input.code").await
}

/// A sign-up's code, as it was mailed.
async fn mailed(app: &TestApp) -> String {
    app.order_code(order(EMAIL, SignUp)).await.unwrap();
    app.run_jobs().await;
    app.mailed_code()
}

/// Another code than this one.
fn wrong(code: &str, number: u32) -> String {
    format!(
        "{:06}",
        (code.parse::<u32>().unwrap() + 1 + number) % 1_000_000
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn three_wrong_tries_burn_a_code() {
    let app = TestApp::start().await;
    let code = mailed(&app).await;
    for number in 0..2 {
        let refused = attempt(&app, SignUp, &wrong(&code, number)).await;
        assert_eq!(refusal(refused).0, ErrorCode::InvalidCode);
    }
    // What can't be a code is a slip and no try.
    for slip in ["", "12345", "abcdef"] {
        assert_eq!(
            refusal(attempt(&app, SignUp, slip).await).0,
            ErrorCode::InvalidCode
        );
    }
    attempt(&app, SignUp, &code).await.unwrap();
    assert_eq!(
        refusal(attempt(&app, SignUp, &code).await).0,
        ErrorCode::InvalidCode
    );

    app.advance(SignedDuration::from_secs(60)).await;
    let code = mailed(&app).await;
    for number in 0..3 {
        assert!(attempt(&app, SignUp, &wrong(&code, number)).await.is_err());
    }
    assert_eq!(
        refusal(attempt(&app, SignUp, &code).await).0,
        ErrorCode::InvalidCode
    );
}

/// Fifty guesses at once, over two servers of one database: no more than three are even looked at.
#[tokio::test(flavor = "multi_thread")]
async fn guesses_at_once_are_counted_like_guesses_in_turn() {
    let app = TestApp::start().await;
    let other = TestApp::start_by(app.app.clock.clone(), |config| {
        config.database_url = Some(app.database_url().into());
    })
    .await;
    let code = mailed(&app).await;
    let guesses = (0..50).map(|number| {
        let server = if number % 2 == 0 { &app } else { &other };
        let server = server.app.clone();
        let guess = wrong(&code, number);
        tokio::spawn(
            async move { codes::attempt(&server, EMAIL, SignUp, None, &guess, "code").await },
        )
    });
    for guess in guesses.collect::<Vec<_>>() {
        assert_eq!(refusal(guess.await.unwrap()).0, ErrorCode::InvalidCode);
    }
    assert!(attempt(&app, SignUp, &code).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_code_tried_twice_at_once_is_spent_once() {
    let app = TestApp::start().await;
    let code = mailed(&app).await;
    let row = attempt(&app, SignUp, &code).await.unwrap();
    let again = attempt(&app, SignUp, &code).await.unwrap();
    let spend = |row: EmailCode| {
        let app = app.app.clone();
        tokio::spawn(async move {
            let mut tx = app.db.begin().await.unwrap();
            codes::spend(&mut tx, &row, "code").await?;
            tx.commit().await
        })
    };
    let (one, two) = (spend(row), spend(again));
    let (one, two) = (one.await.unwrap(), two.await.unwrap());
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    assert!(attempt(&app, SignUp, &code).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_works_for_ten_minutes_its_purpose_and_its_address() {
    let app = TestApp::start().await;
    let code = mailed(&app).await;
    assert!(attempt(&app, PasswordReset, &code).await.is_err());
    let elsewhere = codes::attempt(&app.app, "bob@example.com", SignUp, None, &code, "code");
    assert!(elsewhere.await.is_err());
    app.advance(codes::LIFE - SignedDuration::from_millis(1))
        .await;
    attempt(&app, SignUp, &code).await.unwrap();
    app.advance(SignedDuration::from_millis(1)).await;
    assert_eq!(
        refusal(attempt(&app, SignUp, &code).await).0,
        ErrorCode::InvalidCode
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_code_takes_the_place_of_the_old_one() {
    let app = TestApp::start().await;
    let old = mailed(&app).await;
    app.advance(SignedDuration::from_secs(60)).await;
    let new = mailed(&app).await;
    assert_ne!(old, new);
    assert!(attempt(&app, SignUp, &old).await.is_err());
    attempt(&app, SignUp, &new).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sends_are_a_minute_apart_and_ten_a_day_whatever_they_are_for() {
    let app = TestApp::start().await;
    app.order_code(order(EMAIL, SignUp)).await.unwrap();
    app.advance(SignedDuration::from_secs(45)).await;
    let refused = app
        .order_code(order("ADA@example.com", PasswordReset))
        .await;
    assert_eq!(refusal(refused), (ErrorCode::TooManyAttempts, Some(15_000)));
    app.order_code(order("bob@example.com", SignUp))
        .await
        .unwrap();
    app.advance(SignedDuration::from_secs(15)).await;
    for _ in 1..10 {
        app.order_code(order(EMAIL, PasswordReset)).await.unwrap();
        app.advance(SignedDuration::from_secs(60)).await;
    }
    let refused = app.order_code(order(EMAIL, SignUp)).await;
    let wait = (24 * 3600 - 600) * 1000;
    assert_eq!(refusal(refused), (ErrorCode::TooManyAttempts, Some(wait)));
    // Sweeps forget, but not too early.
    app.advance(SignedDuration::from_secs(24 * 3600 - 601))
        .await;
    assert!(app.order_code(order(EMAIL, SignUp)).await.is_err());
    app.advance(SignedDuration::from_secs(1)).await;
    app.order_code(order(EMAIL, SignUp)).await.unwrap();
}

/// Twenty wishes for a code at once, over two servers of one database: one mail.
#[tokio::test(flavor = "multi_thread")]
async fn wishes_at_once_send_one_mail() {
    let app = TestApp::start().await;
    let other = TestApp::start_by(app.app.clock.clone(), |config| {
        config.database_url = Some(app.database_url().into());
    })
    .await;
    let wishes = (0..20).map(|number| {
        let server = if number % 2 == 0 { &app } else { &other };
        let (server, now) = (server.app.clone(), app.now());
        tokio::spawn(async move {
            let mut tx = server.db.begin().await?;
            let viewer = Viewer::anonymous("test".into(), None, None);
            codes::send(&mut tx, &server, &viewer, order(EMAIL, SignUp), now).await?;
            tx.commit().await
        })
    });
    let mut sent = 0;
    for wish in wishes.collect::<Vec<_>>() {
        match wish.await.unwrap() {
            Ok(()) => sent += 1,
            refused => assert_eq!(refusal(refused).0, ErrorCode::TooManyAttempts),
        }
    }
    assert_eq!(sent, 1);
    app.run_jobs().await;
    assert_eq!(app.mail().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verified_address_is_one_persons_in_whatever_case() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.user("Ada").await, app.user("Bob").await);
    app.verified_email(&ada, "ada@example.com").await;
    let mut conn = app.conn().await;
    let claim = "UPDATE users SET email = 'ADA@Example.com' WHERE display_name = 'Bob'";
    conn.batch_execute(claim).await.unwrap();
    let taken = conn
        .batch_execute("UPDATE users SET email_verified_at = created_at WHERE display_name = 'Bob'")
        .await;
    assert!(
        taken
            .unwrap_err()
            .to_string()
            .contains("users_one_per_verified_email")
    );
    drop(bob);
}

/// A day later nothing is left of who asked.
#[tokio::test(flavor = "multi_thread")]
async fn codes_and_addresses_are_forgotten_after_a_day() {
    use diesel::{QueryableByName, sql_query, sql_types::BigInt};
    use diesel_async::RunQueryDsl;
    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = BigInt)]
        count: i64,
    }
    let app = TestApp::start().await;
    let count = async || {
        let sql = "SELECT (SELECT count(*) FROM email_codes) + (SELECT count(*) FROM email_sends) AS count";
        let row: Count = sql_query(sql)
            .get_result(&mut app.conn().await)
            .await
            .unwrap();
        row.count
    };
    app.order_code(order(EMAIL, SignUp)).await.unwrap();
    app.advance(SignedDuration::from_hours(23)).await;
    assert_eq!(count().await, 2);
    app.advance(SignedDuration::from_hours(2)).await;
    assert_eq!(count().await, 0);
}
