//! Codes by e-mail (rule 22): made, limited, sent by a job, tried.
//!
//! Whether an address has an account shows nowhere: a code is made, counted and enqueued for every address alike, and
//! only the job that sends it ([`super::mail`]) looks whose address it is.

use diesel_async::AsyncPgConnection;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{
    mail,
    model::codes::{self as model, CodePurpose, EmailCode, EmailSends},
};
use crate::{
    app::App,
    auth::{codes::Code, viewer::Viewer},
    db::{
        Instant,
        ids::{EmailCodeId, UserId},
    },
    error::{Error, ErrorCode, Problem, Result},
    features::{
        audit::{self, Entry},
        users::model::Language,
    },
};

/// How long a code works.
pub const LIFE: SignedDuration = SignedDuration::from_mins(10);
/// Wrong tries that burn a code.
const TRIES: i32 = 3;
/// The least time between two sends to an address.
const BETWEEN_SENDS: SignedDuration = SignedDuration::from_secs(60);
/// Sends to an address in [`DAY`].
const SENDS_A_DAY: usize = 10;
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// A code to be sent.
#[derive(Clone, Debug)]
pub struct Order {
    /// Where to, as [`crate::text::email`] answers it.
    pub email: String,
    /// What for.
    pub purpose: CodePurpose,
    /// The account to which the address is to be added, for [`CodePurpose::Link`] and only then.
    pub user_id: Option<UserId>,
    /// The language of who asks; a mail to an account is in that account's.
    pub language: Language,
    /// What the account will be made of, for [`CodePurpose::SignUp`]. Absent there: as when it was asked for before.
    pub registration: Option<serde_json::Value>,
}

/// Makes a code and has it sent, in the caller's transaction. It takes the place of the address's earlier code of this
/// purpose.
///
/// Errors: `TOO_MANY_ATTEMPTS` with `details.retryAfterMs` within 60 s of the last send to the address and after 10 of
/// them in 24 h, whatever they were for; `UNAVAILABLE` where no mail can be sent.
pub async fn send(
    tx: &mut AsyncPgConnection,
    app: &App,
    viewer: &Viewer,
    order: Order,
    now: Timestamp,
) -> Result<()> {
    mail::require(app)?;
    let address = order.email.to_ascii_lowercase();
    let sends = model::lock_sends(tx, &address, Instant(now)).await?;
    let sends = one_more(sends, now).map_err(|wait| {
        let wait = u64::try_from(wait.as_millis()).unwrap_or(0);
        Problem::new(
            ErrorCode::TooManyAttempts,
            "Too many codes were sent to this address. Try again later.",
        )
        .with(json!({ "retryAfterMs": wait }))
    })?;
    model::save_sends(tx, &sends).await?;
    let id = EmailCodeId(app.entropy.uuid_v7(now));
    let Order {
        email,
        purpose,
        user_id,
        language,
        registration,
    } = order;
    let code = EmailCode {
        id,
        email,
        purpose,
        user_id,
        language,
        code_hash: app
            .codes
            .hash(id.0)
            .ok_or_else(|| Error::internal("no key for codes"))?
            .to_vec(),
        registration,
        attempts: 0,
        created_at: Instant(now),
        expires_at: Instant(now + LIFE),
    };
    model::replace(tx, &code).await?;
    // Looked for whether there is one or not, and told to the trail alone: not the address, which is personal.
    let owner = model::owner_of_address(tx, &code.email).await?;
    let account = user_id.or(owner.map(|owner| owner.id));
    let entry = Entry {
        action: "auth.codeSend",
        target: account.map(|id| ("usr", id.0)),
        after: Some(json!({ "purpose": purpose })),
        ..Entry::default()
    };
    audit::record(tx, app, viewer, now, entry).await?;
    mail::enqueue(tx, app, mail::Order::Code { code: id }, now).await
}

/// The sends with one at `now`, or how long to wait.
fn one_more(mut sends: EmailSends, now: Timestamp) -> Result<EmailSends, SignedDuration> {
    let until = |at: Option<&Instant>, pause: SignedDuration| at.map_or(now, |at| at.0 + pause);
    let free = until(sends.sent_at.first(), BETWEEN_SENDS)
        .max(until(sends.sent_at.get(SENDS_A_DAY - 1), DAY));
    if free > now {
        return Err(free.duration_since(now));
    }
    sends.sent_at.truncate(SENDS_A_DAY - 1);
    sends.sent_at.insert(0, Instant(now));
    sends.last_sent_at = Instant(now);
    Ok(sends)
}

/// Tries a code, in a transaction of its own: a wrong try counts whatever becomes of the caller. The answer is the code,
/// for [`spend`] in the caller's transaction.
///
/// Errors: `INVALID_CODE`, at `field`, for a wrong, burnt, spent, expired or absent one alike.
pub async fn attempt(
    app: &App,
    email: &str,
    purpose: CodePurpose,
    user_id: Option<UserId>,
    presented: &str,
    field: &str,
) -> Result<EmailCode> {
    let now = Instant(app.clock.now());
    // What can't be a code costs no try: it is a slip, and guesses nothing.
    let presented = Code::parse(presented).ok_or_else(|| invalid(field))?;
    let mut conn = app.db.conn().await?;
    let code = model::take_try(&mut conn, email, purpose, user_id, TRIES, now).await?;
    code.filter(|code| app.codes.matches(code.id.0, &code.code_hash, &presented))
        .ok_or_else(|| invalid(field))
}

/// Gives back the try that a right code took, where something else was wrong: rule 22 counts wrong ones.
pub async fn give_try_back(app: &App, code: &EmailCode) -> Result<()> {
    Ok(model::give_try_back(&mut *app.db.conn().await?, code.id).await?)
}

/// Spends a code that was right; it works once, also when it is tried twice at once.
///
/// Errors: `INVALID_CODE`, at `field`.
pub async fn spend(tx: &mut AsyncPgConnection, code: &EmailCode, field: &str) -> Result<()> {
    if model::spend(tx, code.id).await? {
        Ok(())
    } else {
        Err(invalid(field))
    }
}

fn invalid(field: &str) -> Error {
    Problem::new(
        ErrorCode::InvalidCode,
        "The code is wrong or works no longer.",
    )
    .at(field)
    .into()
}

/// Forgets codes and sends that count no longer.
pub async fn forget_old(app: &App) -> Result<()> {
    let limit = Instant(app.clock.now() - DAY);
    Ok(model::forget_old(&mut *app.db.conn().await?, limit).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn sends_to_an_address_are_a_minute_apart_and_ten_in_any_day() {
        let mut sends = EmailSends {
            address: "ada@example.com".to_owned(),
            sent_at: Vec::new(),
            last_sent_at: Instant(at(0)),
        };
        for number in 0..10 {
            let now = at(number * 60);
            sends = one_more(sends, now).unwrap();
            assert_eq!(sends.last_sent_at.0, now);
            let wait = one_more(sends.clone(), at(number * 60 + 59)).unwrap_err();
            assert!(wait >= SignedDuration::from_secs(1));
        }
        assert_eq!(
            one_more(sends.clone(), at(600)).unwrap_err(),
            SignedDuration::from_secs(86_400 - 600)
        );
        // A day after the first, and again a minute later after the second; not before.
        sends = one_more(sends, at(86_400)).unwrap();
        assert_eq!(sends.sent_at.len(), SENDS_A_DAY);
        assert_eq!(
            one_more(sends.clone(), at(86_430)).unwrap_err(),
            SignedDuration::from_secs(30)
        );
        one_more(sends, at(86_460)).unwrap();
    }
}
