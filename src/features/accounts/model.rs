//! Rows of `sessions` and `refresh_tokens`; those of codes by e-mail are in [`codes`].

pub mod codes;
pub mod linking;

use diesel::{
    prelude::*,
    sql_types::{Timestamptz, Uuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::{
    cursor::Page,
    db::{
        Instant,
        ids::{SessionId, UserId},
        schema::{refresh_tokens, sessions, users},
    },
    features::users::model::User,
    keyset, text_enum,
};

text_enum! {
    /// Why a session ended before its time.
    pub enum RevokedReason {
        /// The person signed out.
        Logout = "LOGOUT",
        /// The person ended it from another session.
        Revoked = "REVOKED",
        /// A refresh token was used twice.
        TokenReuse = "TOKEN_REUSE",
        /// Staff suspended the person.
        Suspended = "SUSPENDED",
    }
}

/// A sign-in and all refresh tokens that descend from it.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = sessions, check_for_backend(diesel::pg::Pg))]
pub struct Session {
    /// Identity.
    pub id: SessionId,
    /// Whose it is.
    pub user_id: UserId,
    /// What signed in, from its `User-Agent`.
    pub device_name: String,
    /// From where it was last used.
    pub ip_address: Option<String>,
    /// When it began.
    pub created_at: Instant,
    /// When it last got a new access token.
    pub last_used_at: Instant,
    /// When it ends unless it is used before.
    pub expires_at: Instant,
    /// When it was ended before its time.
    pub revoked_at: Option<Instant>,
    /// Why.
    pub revoked_reason: Option<RevokedReason>,
}

/// A refresh token, by its hash.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = refresh_tokens, check_for_backend(diesel::pg::Pg))]
pub struct StoredToken {
    /// SHA-256 of the token.
    pub token_hash: Vec<u8>,
    /// The family.
    pub session_id: SessionId,
    /// When it was made.
    pub created_at: Instant,
    /// When it stops working.
    pub expires_at: Instant,
    /// When it was exchanged for its successor.
    pub used_at: Option<Instant>,
}

/// Adds a session.
pub async fn insert_session(conn: &mut AsyncPgConnection, session: &Session) -> QueryResult<()> {
    diesel::insert_into(sessions::table)
        .values(session)
        .execute(conn)
        .await?;
    Ok(())
}

/// Adds a token; the database refuses a second live one of a session.
pub async fn insert_token(conn: &mut AsyncPgConnection, token: &StoredToken) -> QueryResult<()> {
    diesel::insert_into(refresh_tokens::table)
        .values(token)
        .execute(conn)
        .await?;
    Ok(())
}

/// The sessions with these ids, whosever they are, in no order.
pub async fn by_ids(mut conn: &AsyncPgConnection, ids: &[SessionId]) -> QueryResult<Vec<Session>> {
    sessions::table
        .filter(sessions::id.eq_any(ids))
        .select(Session::as_select())
        .load(&mut conn)
        .await
}

/// The session that a token belongs to.
pub async fn session_of_token(
    conn: &mut AsyncPgConnection,
    hash: &[u8],
) -> QueryResult<Option<SessionId>> {
    refresh_tokens::table
        .find(hash)
        .select(refresh_tokens::session_id)
        .first(conn)
        .await
        .optional()
}

/// Which of these hashes are of tokens whose session lives, used ones too, and whose session it is.
pub async fn people_of_live_tokens(
    conn: &mut AsyncPgConnection,
    hashes: &[[u8; 32]],
    now: Instant,
) -> QueryResult<Vec<(Vec<u8>, UserId)>> {
    let hashes: Vec<&[u8]> = hashes.iter().map(|hash| hash.as_slice()).collect();
    refresh_tokens::table
        .inner_join(sessions::table.on(sessions::id.eq(refresh_tokens::session_id)))
        .filter(refresh_tokens::token_hash.eq_any(hashes))
        .filter(refresh_tokens::expires_at.gt(now))
        .filter(sessions::revoked_at.is_null())
        .select((refresh_tokens::token_hash, sessions::user_id))
        .load(conn)
        .await
}

/// A session with its person, locked against other refreshes and endings of it.
pub async fn lock_session(
    conn: &mut AsyncPgConnection,
    id: SessionId,
) -> QueryResult<Option<Session>> {
    sessions::table
        .find(id)
        .select(Session::as_select())
        .for_no_key_update()
        .first(conn)
        .await
        .optional()
}

/// When a session began; nothing when it is gone.
pub async fn began_at(conn: &mut AsyncPgConnection, id: SessionId) -> QueryResult<Option<Instant>> {
    sessions::table
        .find(id)
        .select(sessions::created_at)
        .first(conn)
        .await
        .optional()
}

/// The person of a session.
pub async fn user_of_session(conn: &mut AsyncPgConnection, id: SessionId) -> QueryResult<User> {
    sessions::table
        .find(id)
        .inner_join(users::table.on(users::id.eq(sessions::user_id)))
        .select(User::as_select())
        .first(conn)
        .await
}

/// A token by its hash.
pub async fn token(conn: &mut AsyncPgConnection, hash: &[u8]) -> QueryResult<Option<StoredToken>> {
    refresh_tokens::table
        .find(hash)
        .select(StoredToken::as_select())
        .first(conn)
        .await
        .optional()
}

/// The hash of a session's one live token.
pub async fn live_token(
    conn: &mut AsyncPgConnection,
    id: SessionId,
) -> QueryResult<Option<Vec<u8>>> {
    refresh_tokens::table
        .filter(refresh_tokens::session_id.eq(id))
        .filter(refresh_tokens::used_at.is_null())
        .select(refresh_tokens::token_hash)
        .first(conn)
        .await
        .optional()
}

/// Marks a token as exchanged.
pub async fn use_token(conn: &mut AsyncPgConnection, hash: &[u8], now: Instant) -> QueryResult<()> {
    diesel::update(refresh_tokens::table.find(hash))
        .set(refresh_tokens::used_at.eq(now))
        .execute(conn)
        .await?;
    Ok(())
}

/// Notes that a session was used, and lets it live on.
pub async fn touch_session(
    conn: &mut AsyncPgConnection,
    id: SessionId,
    now: Instant,
    expires_at: Instant,
    ip_address: Option<&str>,
) -> QueryResult<()> {
    diesel::update(sessions::table.find(id))
        .set((
            sessions::last_used_at.eq(now),
            sessions::expires_at.eq(expires_at),
            sessions::ip_address.eq(ip_address),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// Ends a live session; false when it had ended.
pub async fn revoke(
    conn: &mut AsyncPgConnection,
    id: SessionId,
    reason: RevokedReason,
    now: Instant,
) -> QueryResult<bool> {
    let ended = diesel::update(
        sessions::table
            .find(id)
            .filter(sessions::revoked_at.is_null()),
    )
    .set((
        sessions::revoked_at.eq(now),
        sessions::revoked_reason.eq(reason),
    ))
    .execute(conn)
    .await?;
    Ok(ended == 1)
}

/// Ends every live session of a person but this one; answers which.
pub async fn revoke_others(
    conn: &mut AsyncPgConnection,
    user: UserId,
    but: Option<SessionId>,
    reason: RevokedReason,
    now: Instant,
) -> QueryResult<Vec<SessionId>> {
    diesel::update(
        sessions::table
            .filter(sessions::user_id.eq(user))
            .filter(sessions::id.is_distinct_from(but.unwrap_or(SessionId(uuid::Uuid::nil()))))
            .filter(sessions::revoked_at.is_null()),
    )
    .set((
        sessions::revoked_at.eq(now),
        sessions::revoked_reason.eq(reason),
    ))
    .returning(sessions::id)
    .get_results(conn)
    .await
}

/// Ends every live session of a person; answers which.
pub async fn revoke_all(
    conn: &mut AsyncPgConnection,
    user: UserId,
    reason: RevokedReason,
    now: Instant,
) -> QueryResult<Vec<SessionId>> {
    revoke_others(conn, user, None, reason, now).await
}

/// Removes refresh tokens that expired before `before`, about `most` of them; answers how many. One that is locked stays.
pub async fn delete_tokens(
    conn: &mut AsyncPgConnection,
    before: Instant,
    most: usize,
) -> QueryResult<usize> {
    let old = diesel::alias!(refresh_tokens as old);
    diesel::delete(
        refresh_tokens::table.filter(
            refresh_tokens::token_hash.eq_any(
                old.filter(old.field(refresh_tokens::expires_at).lt(before))
                    .limit(i64::try_from(most).unwrap_or(i64::MAX))
                    .for_update()
                    .skip_locked()
                    .select(old.field(refresh_tokens::token_hash)),
            ),
        ),
    )
    .execute(conn)
    .await
}

/// Removes sessions that ended or expired before `before`, with their tokens, about `most` of them; answers how many. One
/// that is locked stays.
pub async fn delete_sessions(
    conn: &mut AsyncPgConnection,
    before: Instant,
    most: usize,
) -> QueryResult<usize> {
    let old = diesel::alias!(sessions as old);
    diesel::delete(
        sessions::table.filter(
            sessions::id.eq_any(
                old.filter(
                    old.field(sessions::expires_at)
                        .lt(before)
                        .or(old.field(sessions::revoked_at).assume_not_null().lt(before)),
                )
                .limit(i64::try_from(most).unwrap_or(i64::MAX))
                .for_update()
                .skip_locked()
                .select(old.field(sessions::id)),
            ),
        ),
    )
    .execute(conn)
    .await
}

/// The values of a cursor of [`live_sessions`]: last use and id.
pub type SessionKey = (Instant, SessionId);

/// A person's live sessions, the last used first.
pub async fn live_sessions(
    conn: &mut AsyncPgConnection,
    user: UserId,
    now: Instant,
    page: &Page<SessionKey>,
) -> QueryResult<Vec<Session>> {
    let query = sessions::table
        .filter(sessions::user_id.eq(user))
        .filter(sessions::revoked_at.is_null())
        .filter(sessions::expires_at.gt(now))
        .select(Session::as_select())
        .into_boxed();
    keyset!(query, page, true, |(used, id)| (
        sessions::last_used_at: Timestamptz = used,
        sessions::id: Uuid = id,
    ))
    .load(conn)
    .await
}

/// How many live sessions a person has.
pub async fn count_live_sessions(
    conn: &mut AsyncPgConnection,
    user: UserId,
    now: Instant,
) -> QueryResult<i64> {
    sessions::table
        .filter(sessions::user_id.eq(user))
        .filter(sessions::revoked_at.is_null())
        .filter(sessions::expires_at.gt(now))
        .limit(crate::cursor::LARGEST_COUNT + 1)
        .select(sessions::id)
        .load::<SessionId>(conn)
        .await
        .map(|ids| i64::try_from(ids.len()).unwrap_or(i64::MAX))
}
