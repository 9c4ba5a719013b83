//! Two ways into one account: a Telegram account and an e-mail address are joined with proof of both, a sign-in of the
//! last minutes to the one and fresh init data or a mailed code of the other. An older session is no proof: who has
//! stolen an access token would make a lasting way in of it.
//!
//! Where each has an account already, the one on which nothing hangs is given up, and the other gets its ways in. No
//! history is ever moved: two accounts that are both in use are refused, and stay as they are.

use diesel_async::AsyncPgConnection;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{
    codes,
    email::address,
    mail::{self, Notice},
    model::{
        self as sessions,
        codes::{CodePurpose, owner_of_address},
        linking::in_use,
    },
    service::{SignedIn, open_session, refused_init_data},
};
use crate::{
    app::App,
    auth::viewer::Viewer,
    db::{Instant, Transaction, ids::UserId},
    error::{Error, ErrorCode, Problem, Problems, Result, violated_constraint},
    features::{
        audit::{self, Entry},
        roles::model as roles,
        users::{
            model::{self as users, User, UserStatus},
            service::erase,
        },
    },
};

/// How long after it began a session proves that its person is there.
const PROOF_LIFE: SignedDuration = SignedDuration::from_mins(15);

/// What is left when two accounts were joined.
pub struct Linked {
    /// The account.
    pub user: User,
    /// A session of it, where it is not the viewer's, which is gone.
    pub session: Option<SignedIn>,
}

/// A way into an account, proved.
enum WayIn {
    Telegram { id: i64, username: Option<String> },
    Email(String),
}

impl WayIn {
    fn action(&self) -> &'static str {
        match self {
            Self::Telegram { .. } => "account.linkTelegram",
            Self::Email(_) => "account.linkEmail",
        }
    }

    /// The argument that names it.
    fn path(&self) -> &'static str {
        match self {
            Self::Telegram { .. } => "initData",
            Self::Email(_) => "email",
        }
    }

    fn leads_to(&self, user: &User) -> bool {
        match self {
            Self::Telegram { id, .. } => user.telegram_id == Some(*id),
            Self::Email(email) => user.has_email(email),
        }
    }
}

fn refused(state: &'static str, message: &'static str) -> Error {
    Problem::new(ErrorCode::InvalidState, message)
        .with(json!({ "state": state }))
        .into()
}

fn has_email() -> Error {
    let message = "Your account has an e-mail address already.";
    refused("EMAIL_LINKED", message)
}

/// The viewer, who signed in a moment ago.
///
/// Errors: `NOT_ALLOWED` for an anonymous one, `INVALID_STATE` with the state SIGN_IN_AGAIN for an older session.
async fn proven(conn: &mut AsyncPgConnection, viewer: &Viewer, now: Timestamp) -> Result<UserId> {
    let Some(person) = viewer.signed_in() else {
        return Err(Error::not_allowed("Sign in first."));
    };
    let began_at = sessions::began_at(conn, person.session_id).await?;
    let began_at = began_at.ok_or(Error::Forbidden)?;
    if now.duration_since(*began_at) > PROOF_LIFE {
        let message = "Sign in again first: this session is older than 15 minutes.";
        return Err(refused("SIGN_IN_AGAIN", message));
    }
    Ok(person.user_id)
}

/// The viewer, who signed in a moment ago, and whose account has no e-mail address that signs in.
///
/// Errors: `NOT_ALLOWED` for an anonymous one, `INVALID_STATE` for an older session and where there is an address.
pub(super) async fn without_email(app: &App, viewer: &Viewer, now: Timestamp) -> Result<UserId> {
    let mut conn = app.db.conn().await?;
    let id = proven(&mut conn, viewer, now).await?;
    let own = users::by_id(&mut conn, id).await?;
    match own.ok_or(Error::Forbidden)?.verified_email() {
        Some(_) => Err(has_email()),
        None => Ok(id),
    }
}

/// Has a Telegram account sign the viewer in from now on.
///
/// Errors: those of sign-in by Telegram for the init data, those of `proven` and of `join`.
pub async fn link_telegram(app: &App, viewer: &Viewer, init_data: &str) -> Result<Linked> {
    let now = app.clock.now();
    let telegram = app.telegram.verify(init_data, now);
    let telegram = telegram.map_err(refused_init_data)?.user;
    let mut tx = app.db.begin().await?;
    let own = proven(&mut tx, viewer, now).await?;
    roles::lock_grants(&mut tx).await?;
    let owner = users::by_telegram_id(&mut tx, telegram.id).await?;
    let way = WayIn::Telegram {
        id: telegram.id,
        username: telegram.username,
    };
    join(tx, app, viewer, own, owner.map(|owner| owner.id), way, now).await
}

/// Has an e-mail address, which the code proves, sign the viewer in from now on, once it has a password.
///
/// Errors: `INVALID_INPUT` for the address, `INVALID_CODE`, those of `proven` and of `join`.
pub async fn link_email(app: &App, viewer: &Viewer, typed: &str, code: &str) -> Result<Linked> {
    let now = app.clock.now();
    let mut problems = Problems::new();
    let email = address(&mut problems, "email", typed).unwrap_or_default();
    problems.check()?;
    let own = proven(&mut *app.db.conn().await?, viewer, now).await?;
    let code = codes::attempt(app, &email, CodePurpose::Link, Some(own), code, "code").await?;
    let mut tx = app.db.begin().await?;
    roles::lock_grants(&mut tx).await?;
    codes::spend(&mut tx, &code, "code").await?;
    let owner = owner_of_address(&mut tx, &email).await?;
    let way = WayIn::Email(code.email);
    join(tx, app, viewer, own, owner.map(|owner| owner.id), way, now).await
}

/// Somebody else was faster with the same account or address.
fn changed_meanwhile() -> Error {
    let message = "One of the accounts was changed at this moment. Try again.";
    Problem::new(ErrorCode::Conflict, message).into()
}

/// Which of the two accounts stays, and which goes.
async fn choose(tx: &mut Transaction, own: User, other: User) -> Result<(User, User)> {
    if other.status != UserStatus::Active {
        return Err(Error::not_allowed("That account may not sign in."));
    }
    if own.telegram_id.is_some() && other.telegram_id.is_some() {
        let message = "Both accounts are linked to a Telegram account.";
        return Err(refused("TELEGRAM_LINKED", message));
    }
    if own.verified_email().is_some() && other.verified_email().is_some() {
        return Err(refused(
            "EMAIL_LINKED",
            "Both accounts have an e-mail address.",
        ));
    }
    if !in_use(tx, other.id).await? {
        return Ok((own, other));
    }
    if !in_use(tx, own.id).await? {
        return Ok((other, own));
    }
    let message = "Both accounts are in use, with a profile, bookings, reports, blocks or roles: they cannot become one.";
    Err(refused("BOTH_IN_USE", message))
}

/// Joins the way in with the viewer's account and commits.
///
/// Errors: `INVALID_STATE` where the viewer's account has another way in of the kind, or the two accounts have two of one
/// kind, or both are in use; `NOT_ALLOWED` where one of the accounts is suspended; `CONFLICT` for a change at this moment.
async fn join(
    mut tx: Transaction,
    app: &App,
    viewer: &Viewer,
    own: UserId,
    owner: Option<UserId>,
    way: WayIn,
    now: Timestamp,
) -> Result<Linked> {
    let ids: Vec<UserId> = [Some(own), owner].into_iter().flatten().collect();
    let mut locked = users::lock_all(&mut tx, &ids).await?;
    let own = locked.iter().position(|user| user.id == own);
    let own = locked.swap_remove(own.ok_or(Error::Forbidden)?);
    let other = locked.pop();
    // It may have been suspended, deleted or given up while the request was on its way.
    if own.status != UserStatus::Active {
        return Err(Error::not_allowed("Your account may not sign in."));
    }
    if way.leads_to(&own) {
        tx.commit().await?;
        return Ok(Linked {
            user: own,
            session: None,
        });
    }
    if other.as_ref().is_some_and(|other| !way.leads_to(other)) {
        return Err(changed_meanwhile());
    }
    match way {
        WayIn::Telegram { .. } if own.telegram_id.is_some() => {
            let message = "Your account is linked to another Telegram account.";
            return Err(refused("TELEGRAM_LINKED", message));
        }
        WayIn::Email(_) if own.verified_email().is_some() => return Err(has_email()),
        _ => {}
    }
    let viewer_id = own.id;
    let (kept, given_up) = match other {
        Some(other) => {
            let (kept, given_up) = choose(&mut tx, own, other).await?;
            (kept, Some(given_up))
        }
        None => (own, None),
    };
    let mut password = None;
    if let Some(given_up) = &given_up {
        let before = users::with_password(&mut tx, given_up.id).await?;
        password = before.and_then(|(_, hash)| hash);
        erase(&mut tx, app, viewer, given_up.clone(), way.path(), now).await?;
    }
    let before = kept.clone();
    let user = with_way_in(kept, given_up.as_ref(), &way, now);
    let changed = audit::changed(&[
        ("telegram", before.telegram_id != user.telegram_id),
        ("email", before.verified_email() != user.verified_email()),
        ("username", before.username != user.username),
        ("city", before.city_id != user.city_id),
        ("password", password.is_some()),
    ]);
    write(&mut tx, &user, password.as_deref()).await?;
    let entry = Entry {
        action: way.action(),
        target: Some(("usr", user.id.0)),
        before: Some(json!({ "version": before.version })),
        after: Some(json!({
            "changed": changed,
            "version": user.version,
            "givenUp": given_up.as_ref().map(|user| user.id),
        })),
    };
    audit::record(&mut tx, app, viewer, now, entry).await?;
    tell(&mut tx, app, &user, &way, now).await?;
    let session = if user.id == viewer_id {
        None
    } else {
        let signed_in = open_session(&mut tx, app, viewer, user.clone(), way.action(), now);
        Some(signed_in.await?)
    };
    tx.commit().await?;
    Ok(Linked { user, session })
}

/// The account that stays, with what the other had of ways in and names that it lacks.
fn with_way_in(kept: User, given_up: Option<&User>, way: &WayIn, now: Timestamp) -> User {
    let mut user = User {
        version: kept.version + 1,
        updated_at: Instant(now),
        ..kept
    };
    if let Some(given_up) = given_up {
        if user.telegram_id.is_none() {
            user.telegram_id = given_up.telegram_id;
            user.telegram_username = given_up.telegram_username.clone();
        }
        if user.verified_email().is_none() {
            user.email = given_up.email.clone();
            user.email_verified_at = given_up.email_verified_at;
        }
        user.username = user.username.or_else(|| given_up.username.clone());
        user.city_id = user.city_id.or(given_up.city_id);
    }
    match way {
        WayIn::Telegram { id, username } => {
            user.telegram_id = Some(*id);
            user.telegram_username = username.clone();
        }
        WayIn::Email(email) if user.verified_email().is_none() => {
            user.email = Some(email.clone());
            user.email_verified_at = Some(Instant(now));
        }
        WayIn::Email(_) => {}
    }
    user
}

async fn write(tx: &mut Transaction, user: &User, password: Option<&str>) -> Result<()> {
    let taken = |error| match violated_constraint(&error) {
        Some("users_telegram_id_key" | "users_one_per_verified_email") => changed_meanwhile(),
        _ => error.into(),
    };
    users::save(tx, user).await.map_err(taken)?;
    let name = user.telegram_username.as_deref();
    let telegram = users::set_telegram(tx, user.id, user.telegram_id, name);
    telegram.await.map_err(taken)?;
    if password.is_some() {
        users::set_password(tx, user.id, password).await?;
    }
    Ok(())
}

/// Tells the person by mail that a Telegram account signs in, in case it was somebody else who had their session.
async fn tell(
    tx: &mut Transaction,
    app: &App,
    user: &User,
    way: &WayIn,
    now: Timestamp,
) -> Result<()> {
    if matches!(way, WayIn::Email(_))
        || user.verified_email().is_none()
        || !app.mail.is_configured()
    {
        return Ok(());
    }
    let notice = mail::Order::Notice {
        user: user.id,
        notice: Notice::TelegramLinked,
        at: now,
    };
    mail::enqueue(tx, app, notice, now).await
}
