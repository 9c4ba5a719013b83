//! Sign-in by e-mail address, or username, and password (rule 22).
//!
//! Nothing here tells whether an address has an account: every address gets the same answer after the same work, and
//! what differs is in the mail alone.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    codes::{self, Order},
    linking,
    mail::{self, Notice},
    model::{
        self as sessions, RevokedReason,
        codes::{CodePurpose, owner_of_address},
    },
    service::{SignedIn, open_session},
};
use crate::{
    app::App,
    auth::{
        passwords::{Password, PasswordHash, Verdict},
        viewer::Viewer,
    },
    db::{Instant, Transaction, ids::UserId},
    error::{Error, ErrorCode, Problem, Problems, Result, violated_constraint},
    features::{
        audit::{self, Entry},
        users::model::{self as users, Language, User, UserStatus},
    },
    text,
};

/// Who wants an account.
pub struct Registration {
    /// The address, which a code proves.
    pub email: String,
    /// 8 to 256 characters, unchanged.
    pub password: Password,
    /// The name that everyone sees.
    pub display_name: String,
    /// The unique handle.
    pub username: Option<String>,
    /// The language of texts.
    pub language: Language,
}

/// What of a registration names its account, as it is kept.
struct Named {
    email: String,
    display_name: String,
    username: Option<String>,
}

impl Named {
    /// From what was typed; the password has to fit the rest.
    fn checked(
        email: &str,
        password: &Password,
        display_name: &str,
        username: Option<&str>,
    ) -> Result<Self> {
        let mut problems = Problems::new();
        let email = address(&mut problems, "input.email", email);
        let display_name = text::single_line(display_name, 1..=100);
        let display_name = problems.take("input.displayName", display_name);
        let username =
            username.and_then(|typed| problems.take("input.username", text::username(typed)));
        let good = password.check(email.as_deref(), username.as_deref());
        problems.take("input.password", good);
        problems.check()?;
        Ok(Self {
            email: email.unwrap_or_default(),
            display_name: display_name.unwrap_or_default(),
            username,
        })
    }
}

/// Whether each of these has the right form for a registration: no other one tries its address.
pub fn is_well_formed(
    email: &str,
    password: &Password,
    display_name: &str,
    username: Option<&str>,
) -> bool {
    Named::checked(email, password, display_name, username).is_ok()
}

/// What waits beside a code until its address is proved; the password only as its hash.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pending {
    display_name: String,
    username: Option<String>,
    language: Language,
    password_hash: String,
}

pub(super) fn address(problems: &mut Problems, path: &str, typed: &str) -> Option<String> {
    problems.take(path, text::email(typed))
}

/// Has a code sent to an address that shall get an account; one that has an account gets a mail that says so.
///
/// Errors: `INVALID_INPUT` for every bad field, `ALREADY_EXISTS` for the username, `TOO_MANY_ATTEMPTS`
/// (`details.retryAfterMs`), `UNAVAILABLE`.
pub async fn register(app: &App, viewer: &Viewer, new: &Registration) -> Result<()> {
    let now = app.clock.now();
    let Named {
        email,
        display_name,
        username,
    } = Named::checked(
        &new.email,
        &new.password,
        &new.display_name,
        new.username.as_deref(),
    )?;
    mail::require(app)?;
    // For a known address too: the same work for all.
    let password_hash = app.passwords.hash(&new.password).await?;
    if let Some(username) = &username {
        let mut conn = app.db.conn().await?;
        if users::has_username(&mut conn, username).await? {
            let refusal = Problem::new(ErrorCode::AlreadyExists, "This username is taken.");
            // It used up a try of the address, whose owner gets no mail that tells so.
            let owner = owner_of_address(&mut conn, &email).await?;
            let entry = Entry {
                action: "auth.register",
                target: owner.map(|owner| ("usr", owner.id.0)),
                after: Some(json!({ "code": refusal.code.as_str() })),
                ..Entry::default()
            };
            audit::record_refused(&mut conn, app, viewer, now, entry).await?;
            return Err(refusal.at("input.username").into());
        }
    }
    let pending = Pending {
        display_name,
        username,
        language: new.language,
        password_hash: password_hash.expose().to_owned(),
    };
    let order = Order {
        email,
        purpose: CodePurpose::SignUp,
        user_id: None,
        language: new.language,
        registration: Some(serde_json::to_value(pending).map_err(Error::internal)?),
    };
    send_counted(app, viewer, "auth.register", order, now).await
}

/// Sends it; one that is too many leaves a row in the audit trail.
async fn send_counted(
    app: &App,
    viewer: &Viewer,
    action: &'static str,
    order: Order,
    now: Timestamp,
) -> Result<()> {
    let email = order.email.clone();
    let sent = async {
        let mut tx = app.db.begin().await?;
        codes::send(&mut tx, app, viewer, order, now).await?;
        tx.commit().await
    };
    let sent = sent.await;
    refused(app, viewer, action, &email, sent).await
}

/// Has a code sent again, one for a new password, or one to add the address to the viewer's account.
///
/// Errors: `INVALID_INPUT`, `TOO_MANY_ATTEMPTS` (`details.retryAfterMs`), `UNAVAILABLE`; to add an address `NOT_ALLOWED`
/// for an anonymous viewer and `INVALID_STATE` for one who has an address or signed in longer than 15 minutes ago.
pub async fn send_code(
    app: &App,
    viewer: &Viewer,
    typed: &str,
    purpose: CodePurpose,
    language: Language,
) -> Result<()> {
    let now = app.clock.now();
    let mut problems = Problems::new();
    let email = address(&mut problems, "email", typed);
    problems.check()?;
    let user_id = match purpose {
        CodePurpose::SignUp | CodePurpose::PasswordReset => None,
        CodePurpose::Link => Some(linking::without_email(app, viewer, now).await?),
    };
    let order = Order {
        email: email.unwrap_or_default(),
        purpose,
        user_id,
        language,
        registration: None,
    };
    send_counted(app, viewer, "auth.codeSend", order, now).await
}

const SAME_PASSWORD: &str = "This must differ from the current password.";

fn wrong_code() -> Error {
    let message = "The code is wrong or works no longer.";
    Problem::new(ErrorCode::InvalidCode, message)
        .at("code")
        .into()
}

fn wrong_password(path: &str) -> Error {
    Problem::new(ErrorCode::InvalidCredentials, "The password is wrong.")
        .at(path)
        .into()
}

/// Writes a refused code or password down, with the account that has the address, if one has; looked for either way.
async fn refused<T>(
    app: &App,
    viewer: &Viewer,
    action: &'static str,
    typed: &str,
    outcome: Result<T>,
) -> Result<T> {
    if !audit::service::is_refusal(&outcome) {
        return outcome;
    }
    let email = text::email(typed).unwrap_or_default();
    let owner = owner_of_address(&mut *app.db.conn().await?, &email).await?;
    let target = owner.map(|owner| ("usr", owner.id.0));
    audit::service::refusal(app, viewer, action, target, outcome).await
}

/// Makes the account of a registration whose address the code proves, and signs in. A failure that tells of a guess
/// leaves a row in the audit trail.
///
/// The password is asked for again: whoever registered the same address last chose the one that waits, and need not be
/// who reads its mail.
///
/// Errors: `INVALID_INPUT`, `INVALID_CODE`, `INVALID_CREDENTIALS`, `ALREADY_EXISTS` for a username that was taken
/// meanwhile.
pub async fn verify(
    app: &App,
    viewer: &Viewer,
    typed: &str,
    code: &str,
    password: &Password,
) -> Result<SignedIn> {
    let verified = try_verify(app, viewer, typed, code, password).await;
    refused(app, viewer, "auth.emailVerify", typed, verified).await
}

async fn try_verify(
    app: &App,
    viewer: &Viewer,
    typed: &str,
    code: &str,
    password: &Password,
) -> Result<SignedIn> {
    let now = app.clock.now();
    let mut problems = Problems::new();
    let email = address(&mut problems, "email", typed).unwrap_or_default();
    problems.check()?;
    let code = codes::attempt(app, &email, CodePurpose::SignUp, None, code, "code").await?;
    let pending = code.registration.clone().ok_or_else(wrong_code)?;
    let pending: Pending = serde_json::from_value(pending).map_err(Error::internal)?;
    let hash = PasswordHash::from_stored(pending.password_hash);
    if app.passwords.verify(password, Some(&hash)).await? == Verdict::Wrong {
        return Err(wrong_password("password"));
    }
    let id = UserId(app.entropy.uuid_v7(now));
    let user = User {
        username: pending.username,
        email: Some(code.email.clone()),
        email_verified_at: Some(Instant(now)),
        ..User::new(id, pending.display_name, pending.language, Instant(now))
    };
    let mut tx = app.db.begin().await?;
    codes::spend(&mut tx, &code, "code").await?;
    users::insert(&mut tx, &user)
        .await
        .map_err(|error| match violated_constraint(&error) {
            // The address has an account: its owner was told so by mail, and got no code.
            Some("users_one_per_verified_email") => wrong_code(),
            Some("users_username_key") => {
                let message = "This username was taken meanwhile: register again.";
                Problem::new(ErrorCode::AlreadyExists, message).into()
            }
            _ => error.into(),
        })?;
    users::set_password(&mut tx, user.id, Some(hash.expose())).await?;
    users::grant_role(&mut tx, user.id, "USER", Instant(now)).await?;
    let entry = Entry {
        action: "user.create",
        target: Some(("usr", user.id.0)),
        after: Some(json!({ "by": "email" })),
        ..Entry::default()
    };
    audit::record_by(&mut tx, app, viewer, user.id, now, entry).await?;
    let signed_in = open_session(&mut tx, app, viewer, user, "auth.emailVerify", now).await?;
    tx.commit().await?;
    Ok(signed_in)
}

/// Signs in by verified address, or username, and password. Each failure leaves a row in the audit trail.
///
/// Errors: `INVALID_CREDENTIALS`, the same for an unknown name, an unproved address and a wrong password;
/// `NOT_ALLOWED` for a suspended person who knows the password.
pub async fn sign_in(
    app: &App,
    viewer: &Viewer,
    login: &str,
    password: &Password,
) -> Result<SignedIn> {
    let now = app.clock.now();
    let mut conn = app.db.conn().await?;
    // As they are kept: whatever else they could be written like is none, for the limits of tries, too.
    let login = match login.trim() {
        address if address.contains('@') => text::email(address),
        username => text::username(username),
    };
    let login = login.unwrap_or_default();
    let found = users::by_login(&mut conn, &login).await?;
    drop(conn);
    let stored = found
        .as_ref()
        .and_then(|(_, hash)| hash.clone())
        .map(PasswordHash::from_stored);
    let verdict = app.passwords.verify(password, stored.as_ref()).await?;
    let rehashed = match verdict {
        Verdict::Right { needs_rehash: true } => Some(app.passwords.hash(password).await?),
        _ => None,
    };
    let mut tx = app.db.begin().await?;
    let known = found.as_ref().map(|(user, _)| ("usr", user.id.0));
    let user = match found {
        // A password that was changed while its hash was computed is wrong now.
        Some((user, hash)) if verdict != Verdict::Wrong => {
            let locked = users::lock_with_password(&mut tx, user.id).await?;
            locked.and_then(|(user, current)| (current == hash).then_some(user))
        }
        _ => None,
    };
    let (why, refusal) = match user {
        Some(user) if user.status == UserStatus::Active => {
            if let Some(hash) = rehashed {
                users::set_password(&mut tx, user.id, Some(hash.expose())).await?;
            }
            let signed_in = open_session(&mut tx, app, viewer, user, "auth.login", now).await?;
            tx.commit().await?;
            return Ok(signed_in);
        }
        Some(_) => {
            let message = "This account may not sign in.";
            ("not active", Error::not_allowed(message))
        }
        None => {
            let message = "The name or the password is wrong.";
            let problem = Problem::new(ErrorCode::InvalidCredentials, message);
            ("wrong", problem.into())
        }
    };
    let entry = Entry {
        action: "auth.login",
        target: known,
        after: Some(json!({ "refused": why })),
        ..Entry::default()
    };
    audit::record_refused(&mut tx, app, viewer, now, entry).await?;
    tx.commit().await?;
    Err(refusal)
}

/// A new password: kept, told to the person by mail, written to the trail; every session but `but` ends.
async fn replace(
    tx: &mut Transaction,
    app: &App,
    viewer: &Viewer,
    user: &User,
    hash: &PasswordHash,
    action: &'static str,
) -> Result<()> {
    let now = app.clock.now();
    users::set_password(tx, user.id, Some(hash.expose())).await?;
    let but = viewer
        .signed_in()
        .filter(|person| person.user_id == user.id)
        .map(|person| person.session_id);
    let reason = RevokedReason::Revoked;
    let ended = sessions::revoke_others(tx, user.id, but, reason, Instant(now)).await?;
    let entry = Entry {
        action,
        target: Some(("usr", user.id.0)),
        after: Some(json!({ "changed": ["password"], "sessions": ended })),
        ..Entry::default()
    };
    audit::record_by(tx, app, viewer, user.id, now, entry).await?;
    if user.email_verified_at.is_some() && app.mail.is_configured() {
        let notice = mail::Order::Notice {
            user: user.id,
            notice: Notice::PasswordChanged,
            at: now,
        };
        mail::enqueue(tx, app, notice, now).await?;
    }
    Ok(())
}

/// Changes the viewer's password; their other sessions end.
///
/// Errors: `INVALID_INPUT` for the new one, which must be another one, `INVALID_STATE` without a password,
/// `INVALID_CREDENTIALS` for the old one.
pub async fn change_password(
    app: &App,
    viewer: &Viewer,
    current: &Password,
    new: &Password,
) -> Result<User> {
    let id = viewer.require_user()?;
    let mut conn = app.db.conn().await?;
    let (user, kept) = users::with_password(&mut conn, id)
        .await?
        .ok_or(Error::Forbidden)?;
    drop(conn);
    let mut problems = Problems::new();
    let good = new.check(user.email.as_deref(), user.username.as_deref());
    let good = problems.take("input.newPassword", good);
    // Before the old one is tried: whether it is right shows in nothing that is said here.
    if good.is_some() && new.is(current) {
        problems.invalid("input.newPassword", SAME_PASSWORD);
    }
    problems.check()?;
    let Some(stored) = kept.clone().map(PasswordHash::from_stored) else {
        let message = "This account has no password: `passwordReset` sets one.";
        return Err(Problem::new(ErrorCode::InvalidState, message)
            .with(json!({ "state": "NO_PASSWORD" }))
            .into());
    };
    if app.passwords.verify(current, Some(&stored)).await? == Verdict::Wrong {
        return Err(wrong_password("input.currentPassword"));
    }
    let hash = app.passwords.hash(new).await?;
    let mut tx = app.db.begin().await?;
    let (user, current) = users::lock_with_password(&mut tx, id)
        .await?
        .ok_or(Error::Forbidden)?;
    // Changed while its hash was computed.
    if current != kept {
        return Err(wrong_password("input.currentPassword"));
    }
    replace(&mut tx, app, viewer, &user, &hash, "auth.passwordChange").await?;
    tx.commit().await?;
    Ok(user)
}

/// Sets a new password by a code that was mailed to the person's address, and signs in; every other session ends. A
/// failure that tells of a guess leaves a row in the audit trail.
///
/// Errors: `INVALID_INPUT`, also for the password of now, `INVALID_CODE`, `NOT_ALLOWED` for a suspended person.
pub async fn reset_password(
    app: &App,
    viewer: &Viewer,
    typed: &str,
    code: &str,
    new: &Password,
) -> Result<SignedIn> {
    let reset = try_reset(app, viewer, typed, code, new).await;
    refused(app, viewer, "auth.passwordReset", typed, reset).await
}

async fn try_reset(
    app: &App,
    viewer: &Viewer,
    typed: &str,
    code: &str,
    new: &Password,
) -> Result<SignedIn> {
    let now = app.clock.now();
    let mut problems = Problems::new();
    let email = address(&mut problems, "email", typed);
    problems.take("newPassword", new.check(email.as_deref(), None));
    problems.check()?;
    let email = email.unwrap_or_default();
    let code = codes::attempt(app, &email, CodePurpose::PasswordReset, None, code, "code").await?;
    let mut conn = app.db.conn().await?;
    let owner = owner_of_address(&mut conn, &email).await?;
    let owner = owner.ok_or_else(wrong_code)?;
    let kept = users::with_password(&mut conn, owner.id).await?;
    drop(conn);
    let kept = kept
        .and_then(|(_, hash)| hash)
        .map(PasswordHash::from_stored);
    // Only who reads the mail of the address comes here.
    if let Some(kept) = kept
        && app.passwords.verify(new, Some(&kept)).await? != Verdict::Wrong
    {
        codes::give_try_back(app, &code).await?;
        let mut problems = Problems::new();
        problems.invalid("newPassword", SAME_PASSWORD);
        problems.check()?;
    }
    let hash = app.passwords.hash(new).await?;
    let mut tx = app.db.begin().await?;
    let user = users::lock(&mut tx, owner.id)
        .await?
        .filter(|user| user.has_email(&email))
        .ok_or_else(wrong_code)?;
    if user.status != UserStatus::Active {
        return Err(Error::not_allowed("This account may not sign in."));
    }
    codes::spend(&mut tx, &code, "code").await?;
    replace(&mut tx, app, viewer, &user, &hash, "auth.passwordReset").await?;
    let signed_in = open_session(&mut tx, app, viewer, user, "auth.passwordReset", now).await?;
    tx.commit().await?;
    Ok(signed_in)
}
