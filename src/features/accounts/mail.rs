//! Mails about accounts: enqueued with what they are about, put into words and sent by a job.
//!
//! A job holds neither code nor address, only the id of what to read when it runs: codes are derived from theirs
//! ([`crate::auth::codes`]), and a person is asked for their address and language at that moment. So nothing secret
//! lies in the queue, and somebody who was erased meanwhile gets no mail.
//!
//! A mail server that is away or busy delays a mail, by the queue's back-off; a code is sent until it expires, a notice
//! for three days. What a server refuses for good is given up, logged and counted.

mod layout;
mod words;

use diesel_async::AsyncPgConnection;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::model::codes::{self as model, Addressee, CodePurpose};
use crate::{
    app::App,
    auth::codes::Code,
    db::{
        Instant,
        ids::{EmailCodeId, UserId},
    },
    error::{Error, Result},
    features::users::model::{Language, UserStatus},
    integrations::mail::{Mail, MailError},
    jobs::{self, Kind},
};
use words::Topic;

/// How long a notice is tried.
const NOTICE_LIFE: SignedDuration = SignedDuration::from_hours(72);
/// When mail may be set up again, for who asked in vain.
const RETRY: std::time::Duration = std::time::Duration::from_secs(300);

/// What a person is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Notice {
    /// The password was changed.
    PasswordChanged,
    /// A Telegram account signs in from now on.
    TelegramLinked,
}

/// A mail to be sent, as it lies in the queue.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Order {
    /// The code of this row, or what its address gets instead.
    Code {
        /// The row.
        code: EmailCodeId,
    },
    /// A notice to a person.
    Notice {
        /// Who.
        user: UserId,
        /// What of.
        notice: Notice,
        /// When it happened.
        at: Timestamp,
    },
}

/// Refuses where no mail can be sent, before anything is written that only a mail makes good.
///
/// Errors: `UNAVAILABLE`.
pub fn require(app: &App) -> Result<()> {
    if app.mail.is_configured() {
        Ok(())
    } else {
        Err(Error::unavailable_for("SMTP_HOST is not set", RETRY))
    }
}

/// Has a mail sent once the caller's transaction commits.
pub async fn enqueue(
    tx: &mut AsyncPgConnection,
    app: &App,
    order: Order,
    now: Timestamp,
) -> Result<()> {
    let key = match order {
        Order::Code { code } => code.to_string(),
        Order::Notice { .. } => app.entropy.uuid_v7(now).to_string(),
    };
    jobs::enqueue(tx, app, Kind::SendMail, &key, &order, now).await
}

/// What a mail says, to whom.
struct Letter {
    id: String,
    to: String,
    language: Language,
    topic: Topic,
    sent_at: Timestamp,
}

/// The job of [`enqueue`].
pub(crate) async fn send(app: &App, payload: &serde_json::Value) -> Result<()> {
    let order = Order::deserialize(payload).map_err(Error::internal)?;
    let letter = match order {
        Order::Code { code } => code_letter(app, code).await?,
        Order::Notice { user, notice, at } => notice_letter(app, user, notice, at).await?,
    };
    let Some(letter) = letter else {
        return Ok(());
    };
    let Letter {
        id,
        to,
        language,
        topic,
        sent_at,
    } = letter;
    let kind = topic.name();
    let words = words::of(&topic, language, &app.config.app_title);
    let mail = Mail {
        id: id.clone(),
        to,
        language: words::tag(language),
        text: layout::text(&words),
        html: layout::html(&words, words::tag(language)),
        subject: words.subject,
        sent_at,
    };
    let outcome = app.mail.send(&mail).await;
    let counted = match &outcome {
        Ok(()) => "sent",
        Err(MailError::Later(_)) => "delayed",
        Err(MailError::Refused(_)) => "refused",
    };
    metrics::counter!("companion_mails_total", "kind" => kind, "outcome" => counted).increment(1);
    match outcome {
        Ok(()) => {
            tracing::info!(mail = id, kind, "mail sent");
            Ok(())
        }
        Err(MailError::Refused(why)) => {
            tracing::warn!(mail = id, kind, %why, "mail given up");
            Ok(())
        }
        // The queue tries again.
        Err(error @ MailError::Later(_)) => Err(Error::unavailable(error)),
    }
}

/// A mail that nobody gets, and why: no mistake of anybody's.
fn dropped(id: &str, why: &'static str) -> Result<Option<Letter>> {
    tracing::info!(mail = id, why, "mail not sent");
    metrics::counter!("companion_mails_total", "kind" => "none", "outcome" => "dropped")
        .increment(1);
    Ok(None)
}

async fn code_letter(app: &App, id: EmailCodeId) -> Result<Option<Letter>> {
    let mut conn = app.db.conn().await?;
    let now = Instant(app.clock.now());
    let name = id.to_string();
    let Some(row) = model::live(&mut conn, id, now).await? else {
        return dropped(&name, "the code is spent, replaced or expired");
    };
    let owner = model::owner_of_address(&mut conn, &row.email).await?;
    drop(conn);
    let code = || -> Result<Code> {
        app.codes
            .code(row.id.0, &row.code_hash)
            .ok_or_else(|| Error::internal("a code's key is gone"))
    };
    // The owner of an address is written to as they wrote it, in their own language.
    let to_owner = |owner: Addressee, topic| Letter {
        id: name.clone(),
        to: owner.email.unwrap_or_else(|| row.email.clone()),
        language: owner.language,
        topic,
        sent_at: row.created_at.0,
    };
    let to_row = |topic| Letter {
        id: name.clone(),
        to: row.email.clone(),
        language: row.language,
        topic,
        sent_at: row.created_at.0,
    };
    Ok(Some(match (row.purpose, owner) {
        (CodePurpose::SignUp, Some(owner)) => to_owner(owner, Topic::AccountExists),
        (CodePurpose::SignUp, None) if row.registration.is_none() => {
            return dropped(&name, "nobody signed up with this address");
        }
        (CodePurpose::SignUp, None) => to_row(Topic::SignUp(code()?)),
        (CodePurpose::PasswordReset, Some(owner)) if owner.status == UserStatus::Active => {
            to_owner(owner, Topic::PasswordReset(code()?))
        }
        (CodePurpose::PasswordReset, _) => {
            return dropped(&name, "no account with this address may sign in");
        }
        (CodePurpose::Link, _) => to_row(Topic::Link(code()?)),
    }))
}

async fn notice_letter(
    app: &App,
    user: UserId,
    notice: Notice,
    at: Timestamp,
) -> Result<Option<Letter>> {
    let name = format!("{user}_{}", at.as_millisecond());
    if app.clock.now() > at + NOTICE_LIFE {
        return dropped(&name, "the notice is old");
    }
    let addressee = model::verified(&mut *app.db.conn().await?, user).await?;
    let Some((to, language)) = addressee.and_then(|a| Some((a.email?, a.language))) else {
        return dropped(&name, "the person has no address");
    };
    let topic = match notice {
        Notice::PasswordChanged => Topic::PasswordChanged(at),
        Notice::TelegramLinked => Topic::TelegramLinked(at),
    };
    Ok(Some(Letter {
        id: name,
        to,
        language,
        topic,
        sent_at: at,
    }))
}
