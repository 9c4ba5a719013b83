//! Sign-in, refresh and the end of sessions.

use diesel_async::AsyncPgConnection;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::model::{
    self, RevokedReason, Session, SessionKey, StoredToken, codes::owner_of_address,
};
use crate::{
    app::App,
    auth::{tokens::RefreshToken, viewer::Viewer},
    cursor::{Page, Slice},
    db::{
        Instant,
        ids::{SessionId, UserId},
    },
    error::{Error, ErrorCode, Problem, Problems, Result},
    features::{
        audit::{self, ActorKind, Entry},
        users::model::{self as users, Language, User, UserStatus},
    },
    integrations::telegram::{InitDataError, TelegramUser},
    text,
};

/// How long after its use a refresh token may be presented again for the same successor (rule 21).
const GRACE: SignedDuration = SignedDuration::from_secs(10);

/// What a sign-in or a refresh answers.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// A JWT for the `Authorization: Bearer` header.
    pub access_token: String,
    /// Exchanged for the next pair by `authRefresh`; works once.
    pub refresh_token: String,
    /// When the access token stops working.
    pub expires_at: Timestamp,
    /// The person.
    pub user: User,
}

/// Signs in with what a Telegram Mini App got; the first time makes the account.
///
/// A refusal leaves a row in the audit trail, which nobody may shorten. What bounds their number is the limit on
/// sign-ins from an address (`SIGN_IN_PER_MINUTE`), which callers check first: a sign-in over it never comes here.
///
/// Errors: `INVALID_INPUT` when it is no init data, `INVALID_CREDENTIALS` when it is not signed, too old or about
/// nobody who can sign in, `NOT_ALLOWED` for a suspended person.
pub async fn sign_in_telegram(app: &App, viewer: &Viewer, init_data: &str) -> Result<SignedIn> {
    let now = app.clock.now();
    let checked = app.telegram.verify(init_data, now);
    let mut tx = app.db.begin().await?;
    let sign_in = match checked {
        Ok(sign_in) => sign_in,
        Err(error) => {
            let entry = Entry {
                action: "auth.telegram",
                after: Some(json!({ "refused": error.to_string() })),
                ..Entry::default()
            };
            audit::record_refused(&mut tx, app, viewer, now, entry).await?;
            tx.commit().await?;
            return Err(refused_init_data(error));
        }
    };
    let user = find_or_make(&mut tx, app, viewer, &sign_in.user, Maker::Person, now).await?;
    if user.status != UserStatus::Active {
        let entry = Entry {
            action: "auth.telegram",
            target: Some(("usr", user.id.0)),
            after: Some(json!({ "refused": "not active" })),
            ..Entry::default()
        };
        audit::record_refused(&mut tx, app, viewer, now, entry).await?;
        tx.commit().await?;
        return Err(Error::not_allowed("This account may not sign in."));
    }
    let signed_in = open_session(&mut tx, app, viewer, user, "auth.telegram", now).await?;
    tx.commit().await?;
    Ok(signed_in)
}

pub(super) fn refused_init_data(error: InitDataError) -> Error {
    match error {
        InitDataError::Malformed(why) => Problem::new(
            ErrorCode::InvalidInput,
            format!("This is no init data of Telegram: {why}."),
        ),
        InitDataError::TooOld => Problem::new(
            ErrorCode::InvalidCredentials,
            "The init data is too old: open the app again.",
        ),
        _ => Problem::new(ErrorCode::InvalidCredentials, "The init data is not valid."),
    }
    .at("initData")
    .into()
}

/// Who makes an account.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Maker {
    Person,
    Operator,
}

/// The person of a Telegram account, made when new; two first sign-ins at once make one. The row is locked, so that a
/// suspension at the same time ends the session that is about to begin, or is seen.
async fn find_or_make(
    conn: &mut AsyncPgConnection,
    app: &App,
    viewer: &Viewer,
    telegram: &TelegramUser,
    maker: Maker,
    now: Timestamp,
) -> Result<User> {
    if let Some(user) = users::lock_by_telegram_id(conn, telegram.id).await? {
        return Ok(user);
    }
    let id = UserId(app.entropy.uuid_v7(now));
    let language = language(telegram.language_code.as_deref());
    let user = User {
        telegram_id: Some(telegram.id),
        telegram_username: telegram.username.clone(),
        ..User::new(id, display_name(telegram), language, Instant(now))
    };
    if users::insert_new(conn, &user).await? {
        users::grant_role(conn, user.id, "USER", Instant(now)).await?;
        let entry = Entry {
            action: "user.create",
            target: Some(("usr", user.id.0)),
            after: Some(json!({ "by": "telegram" })),
            ..Entry::default()
        };
        if maker == Maker::Person {
            audit::record_by(conn, app, viewer, user.id, now, entry).await?;
        } else {
            audit::record(conn, app, viewer, now, entry).await?;
        }
        return Ok(user);
    }
    let other = users::lock_by_telegram_id(conn, telegram.id).await?;
    other.ok_or_else(|| Error::internal("a Telegram account was taken and is gone"))
}

/// Telegram allows any characters in a name; ours is 1 to 100 on one line.
fn display_name(telegram: &TelegramUser) -> String {
    let full = [
        Some(telegram.first_name.as_str()),
        telegram.last_name.as_deref(),
    ];
    let full: Vec<&str> = full.into_iter().flatten().collect();
    let line: String = full
        .join(" ")
        .chars()
        .filter(|c| !c.is_control())
        .take(100)
        .collect();
    match line.trim() {
        "" => "Anonymous".to_owned(),
        name => name.to_owned(),
    }
}

fn language(code: Option<&str>) -> Language {
    match code.map(|code| code.get(..2).unwrap_or(code)) {
        Some("zh") => Language::Zh,
        Some("ru") => Language::Ru,
        _ => Language::En,
    }
}

/// The action of a session that the operator begins, in somebody's name and not by them.
const BY_OPERATOR: &str = "auth.operator";

/// Begins a session for a person whose identity is proven.
pub async fn open_session(
    conn: &mut AsyncPgConnection,
    app: &App,
    viewer: &Viewer,
    user: User,
    action: &'static str,
    now: Timestamp,
) -> Result<SignedIn> {
    let refresh_token = RefreshToken::generate(&app.entropy);
    let expires_at = Instant(later(now, app.config.refresh_token_ttl)?);
    let session = Session {
        id: SessionId(app.entropy.uuid_v7(now)),
        user_id: user.id,
        device_name: viewer
            .user_agent
            .as_deref()
            .unwrap_or("Unknown device")
            .to_owned(),
        ip_address: viewer.ip_address.map(|address| address.to_string()),
        created_at: Instant(now),
        last_used_at: Instant(now),
        expires_at,
        revoked_at: None,
        revoked_reason: None,
    };
    model::insert_session(conn, &session).await?;
    store(conn, &refresh_token, session.id, now, expires_at).await?;
    let entry = Entry {
        action,
        target: Some(("usr", user.id.0)),
        after: Some(json!({ "session": session.id })),
        ..Entry::default()
    };
    if action == BY_OPERATOR {
        audit::record(conn, app, viewer, now, entry).await?;
    } else {
        audit::record_by(conn, app, viewer, user.id, now, entry).await?;
    }
    answer(app, user, session.id, &refresh_token, now)
}

async fn store(
    conn: &mut AsyncPgConnection,
    token: &RefreshToken,
    session_id: SessionId,
    now: Timestamp,
    expires_at: Instant,
) -> Result<()> {
    let stored = StoredToken {
        token_hash: token.hash().to_vec(),
        session_id,
        created_at: Instant(now),
        expires_at,
        used_at: None,
    };
    Ok(model::insert_token(conn, &stored).await?)
}

fn answer(
    app: &App,
    user: User,
    session: SessionId,
    refresh_token: &RefreshToken,
    now: Timestamp,
) -> Result<SignedIn> {
    use secrecy::ExposeSecret;
    let access = app
        .tokens
        .issue(user.id, session, now, app.config.access_token_ttl)
        .map_err(Error::internal)?;
    Ok(SignedIn {
        access_token: access.token.expose_secret().to_owned(),
        refresh_token: refresh_token.expose().to_owned(),
        expires_at: access.expires_at,
        user,
    })
}

fn later(now: Timestamp, by: std::time::Duration) -> Result<Timestamp> {
    now.checked_add(by).map_err(Error::internal)
}

fn invalid_refresh_token() -> Error {
    Problem::new(
        ErrorCode::InvalidCredentials,
        "The refresh token is not valid: sign in again.",
    )
    .at("refreshToken")
    .into()
}

/// Whose live session each of these refresh tokens belongs to, for the limit of an account. One that belongs to none,
/// made up or of a session that has ended, is nobody's: whoever has such a one must not use up what a person may do.
pub async fn refreshed(app: &App, presented: &[String]) -> Result<Vec<UserId>> {
    let tokens = presented
        .iter()
        .filter_map(|text| RefreshToken::parse(text));
    let hashes: Vec<[u8; 32]> = tokens.map(|token| token.hash()).collect();
    if hashes.is_empty() {
        return Ok(Vec::new());
    }
    let now = Instant(app.clock.now());
    let mut conn = app.db.conn().await?;
    let live = model::people_of_live_tokens(&mut conn, &hashes, now).await?;
    let owner = |hash: &[u8; 32]| {
        let mut live = live.iter();
        live.find(|(of, _)| of == hash).map(|(_, person)| *person)
    };
    Ok(hashes.iter().filter_map(owner).collect())
}

/// Exchanges a refresh token for the next pair (rule 21).
///
/// Errors: `INVALID_CREDENTIALS` for every token that does not work, whatever the reason; a reuse outside of the grace
/// also ends the session.
pub async fn refresh(app: &App, viewer: &Viewer, presented: &str) -> Result<SignedIn> {
    let now = app.clock.now();
    let presented = RefreshToken::parse(presented).ok_or_else(invalid_refresh_token)?;
    let hash = presented.hash();
    let mut tx = app.db.begin().await?;
    let id = model::session_of_token(&mut tx, &hash)
        .await?
        .ok_or_else(invalid_refresh_token)?;
    // Refreshes of one family take turns here: 100 at once get one and the same successor.
    let session = model::lock_session(&mut tx, id)
        .await?
        .ok_or_else(invalid_refresh_token)?;
    let token = model::token(&mut tx, &hash)
        .await?
        .ok_or_else(invalid_refresh_token)?;
    if session.revoked_at.is_some() || *token.expires_at <= now {
        return Err(invalid_refresh_token());
    }
    let user = model::user_of_session(&mut tx, id).await?;
    if user.status != UserStatus::Active {
        return Err(invalid_refresh_token());
    }
    let successor = match token.used_at {
        None => {
            let successor = app.tokens.successor(&presented);
            let expires_at = Instant(later(now, app.config.refresh_token_ttl)?);
            model::use_token(&mut tx, &hash, Instant(now)).await?;
            store(&mut tx, &successor, id, now, expires_at).await?;
            let ip_address = viewer.ip_address.map(|address| address.to_string());
            model::touch_session(&mut tx, id, Instant(now), expires_at, ip_address.as_deref())
                .await?;
            successor
        }
        Some(used_at) => {
            let live = model::live_token(&mut tx, id).await?;
            let successor = live.and_then(|live| app.tokens.stored_successor(&presented, &live));
            let in_grace = now.duration_since(*used_at) <= GRACE;
            match successor.filter(|_| in_grace) {
                Some(successor) => successor,
                None => {
                    model::revoke(&mut tx, id, RevokedReason::TokenReuse, Instant(now)).await?;
                    let entry = Entry {
                        action: "auth.refreshReuse",
                        target: Some(("ses", id.0)),
                        after: Some(json!({ "user": user.id })),
                        ..Entry::default()
                    };
                    audit::record_refused(&mut tx, app, viewer, now, entry).await?;
                    tx.commit().await?;
                    app.access.forget_session(id);
                    return Err(invalid_refresh_token());
                }
            }
        }
    };
    let signed_in = answer(app, user, id, &successor, now)?;
    tx.commit().await?;
    Ok(signed_in)
}

/// Ends the session that a refresh token belongs to, or every session of its person.
///
/// Errors: `INVALID_CREDENTIALS` when it belongs to none. A session that has ended stays ended without an error, and
/// does not keep the others alive.
pub async fn log_out(app: &App, viewer: &Viewer, presented: &str, everywhere: bool) -> Result<()> {
    let now = app.clock.now();
    let presented = RefreshToken::parse(presented).ok_or_else(invalid_refresh_token)?;
    let mut tx = app.db.begin().await?;
    let id = model::session_of_token(&mut tx, &presented.hash())
        .await?
        .ok_or_else(invalid_refresh_token)?;
    let session = model::lock_session(&mut tx, id)
        .await?
        .ok_or_else(invalid_refresh_token)?;
    let ended = if everywhere {
        model::revoke_all(
            &mut tx,
            session.user_id,
            RevokedReason::Logout,
            Instant(now),
        )
        .await?
    } else {
        let lives = session.revoked_at.is_none();
        if lives {
            model::revoke(&mut tx, id, RevokedReason::Logout, Instant(now)).await?;
        }
        lives.then_some(id).into_iter().collect()
    };
    if ended.is_empty() {
        return Ok(());
    }
    let entry = Entry {
        action: "auth.logout",
        target: Some(("usr", session.user_id.0)),
        after: Some(json!({ "sessions": ended })),
        ..Entry::default()
    };
    audit::record_by(&mut tx, app, viewer, session.user_id, now, entry).await?;
    tx.commit().await?;
    for session in ended {
        app.access.forget_session(session);
    }
    Ok(())
}

/// Ends one of the viewer's own sessions; answers it. `NOT_FOUND` for any other.
pub async fn revoke_session(app: &App, viewer: &Viewer, id: SessionId) -> Result<Session> {
    let user = viewer.require_user()?;
    let now = app.clock.now();
    let mut tx = app.db.begin().await?;
    let session = model::lock_session(&mut tx, id)
        .await?
        .filter(|session| session.user_id == user)
        .ok_or_else(|| Error::not_found("id"))?;
    if session.revoked_at.is_some() {
        return Ok(session);
    }
    model::revoke(&mut tx, id, RevokedReason::Revoked, Instant(now)).await?;
    let entry = Entry {
        action: "session.revoke",
        target: Some(("ses", id.0)),
        ..Entry::default()
    };
    audit::record(&mut tx, app, viewer, now, entry).await?;
    tx.commit().await?;
    app.access.forget_session(id);
    Ok(Session {
        revoked_at: Some(Instant(now)),
        revoked_reason: Some(RevokedReason::Revoked),
        ..session
    })
}

/// The viewer's live sessions, the last used first.
pub async fn live_sessions(
    app: &App,
    viewer: &Viewer,
    page: &Page<SessionKey>,
    count: bool,
) -> Result<Slice<Session>> {
    let user = viewer.require_user()?;
    let now = Instant(app.clock.now());
    let mut conn = app.db.slow_reader().await?;
    let slice = page.slice(model::live_sessions(&mut conn, user, now, page).await?);
    if count {
        let counted = model::count_live_sessions(&mut conn, user, now).await?;
        return Ok(slice.with_total(counted));
    }
    Ok(slice)
}

/// Begins a session for a person by the operator's word (`companion token issue`, demo people).
pub async fn issue_for_operator(app: &App, user: UserId) -> Result<SignedIn> {
    let now = app.clock.now();
    let viewer = Viewer::anonymous(
        "operator".into(),
        None,
        Some("companion token issue".into()),
    );
    let mut tx = app.db.begin().await?;
    let user = users::by_id(&mut tx, user)
        .await?
        .filter(|user| user.status == UserStatus::Active)
        .ok_or_else(|| Error::not_found("user"))?;
    let entry = Entry {
        action: "operator.tokenIssue",
        target: Some(("usr", user.id.0)),
        ..Entry::default()
    };
    audit::record_ours(&mut tx, app, ActorKind::System, now, entry).await?;
    let signed_in = open_session(&mut tx, app, &viewer, user, BY_OPERATOR, now).await?;
    tx.commit().await?;
    Ok(signed_in)
}

/// How an administrator signs in.
#[derive(Clone, Debug)]
pub enum AdminSignIn {
    /// By the Telegram account of this number.
    Telegram(i64),
    /// By this e-mail address, once `passwordReset` has set a password.
    Email(String),
}

/// Makes a person an administrator by the operator's word, who vouches for the way in; makes the account when new.
///
/// Errors: `INVALID_INPUT` for a bad address or name, `INVALID_STATE` for somebody who is suspended.
pub async fn create_admin(app: &App, sign_in: AdminSignIn, name: &str) -> Result<User> {
    let now = app.clock.now();
    let viewer = Viewer::anonymous("operator".into(), None, None);
    let mut problems = Problems::new();
    let name = problems.take("name", text::single_line(name, 1..=100));
    let sign_in = match sign_in {
        AdminSignIn::Email(typed) => {
            let email = problems.take("email", text::email(&typed));
            AdminSignIn::Email(email.unwrap_or_default())
        }
        telegram => telegram,
    };
    problems.check()?;
    let name = name.unwrap_or_default();
    let mut tx = app.db.begin().await?;
    let user = match sign_in {
        AdminSignIn::Telegram(id) => {
            let telegram = TelegramUser {
                id,
                first_name: name,
                last_name: None,
                username: None,
                language_code: None,
                is_premium: false,
                photo_url: None,
            };
            find_or_make(&mut tx, app, &viewer, &telegram, Maker::Operator, now).await?
        }
        AdminSignIn::Email(email) => match owner_of_address(&mut tx, &email).await? {
            Some(owner) => users::lock(&mut tx, owner.id)
                .await?
                .ok_or_else(|| Error::internal("an address's owner is gone"))?,
            None => make_of_address(&mut tx, app, &viewer, email, name, now).await?,
        },
    };
    if user.status != UserStatus::Active {
        let message = "This person is suspended.";
        return Err(Problem::new(ErrorCode::InvalidState, message).into());
    }
    users::grant_role(&mut tx, user.id, "ADMIN", Instant(now)).await?;
    let entry = Entry {
        action: "operator.adminCreate",
        target: Some(("usr", user.id.0)),
        after: Some(json!({ "role": "ADMIN" })),
        ..Entry::default()
    };
    audit::record_ours(&mut tx, app, ActorKind::System, now, entry).await?;
    tx.commit().await?;
    Ok(user)
}

async fn make_of_address(
    tx: &mut AsyncPgConnection,
    app: &App,
    viewer: &Viewer,
    email: String,
    display_name: String,
    now: Timestamp,
) -> Result<User> {
    let id = UserId(app.entropy.uuid_v7(now));
    let user = User {
        email: Some(email),
        email_verified_at: Some(Instant(now)),
        ..User::new(id, display_name, Language::En, Instant(now))
    };
    users::insert(tx, &user).await?;
    users::grant_role(tx, user.id, "USER", Instant(now)).await?;
    let entry = Entry {
        action: "user.create",
        target: Some(("usr", user.id.0)),
        after: Some(json!({ "by": "operator" })),
        ..Entry::default()
    };
    audit::record(tx, app, viewer, now, entry).await?;
    Ok(user)
}
