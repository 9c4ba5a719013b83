//! Rows of `email_codes` and `email_sends`.

use diesel::{prelude::*, upsert::excluded};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::Value;

use crate::{
    db::{
        Instant,
        ids::{EmailCodeId, UserId},
        lower,
        schema::{email_codes, email_sends, users},
    },
    features::users::model::{Language, UserStatus},
    text_enum,
};

text_enum! {
    /// What a code by e-mail is good for.
    pub enum CodePurpose {
        /// To make an account with this address.
        SignUp = "SIGN_UP",
        /// To set a new password.
        PasswordReset = "PASSWORD_RESET",
        /// To add the address to an account.
        Link = "LINK",
    }
}

/// A code that waits to be typed in. The code itself is nowhere: see [`crate::auth::codes`].
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = email_codes, check_for_backend(diesel::pg::Pg))]
pub struct EmailCode {
    /// Identity, of which the code is derived.
    pub id: EmailCodeId,
    /// Where it is sent, as it was typed.
    pub email: String,
    /// What it is good for.
    pub purpose: CodePurpose,
    /// The account to which the address is to be added; only for [`CodePurpose::Link`].
    pub user_id: Option<UserId>,
    /// The language of who asked, for whom has no account.
    pub language: Language,
    /// What is stored of the code.
    pub code_hash: Vec<u8>,
    /// What the account will be made of; only for [`CodePurpose::SignUp`].
    pub registration: Option<Value>,
    /// Tries so far; three burn it.
    pub attempts: i32,
    /// When it was made.
    pub created_at: Instant,
    /// When it stops working.
    pub expires_at: Instant,
}

/// When codes were last sent to an address.
#[derive(Clone, Debug, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = email_sends, check_for_backend(diesel::pg::Pg))]
pub struct EmailSends {
    /// The address in lower case.
    pub address: String,
    /// The last ten times, newest first.
    pub sent_at: Vec<Instant>,
    /// The newest of them.
    pub last_sent_at: Instant,
}

/// Puts a code in the place of the one before it. Without a registration of its own it takes over that one's: the
/// person asks for another mail.
pub async fn replace(conn: &mut AsyncPgConnection, code: &EmailCode) -> QueryResult<()> {
    let before: Option<Option<Value>> = diesel::delete(
        email_codes::table
            .filter(lower(email_codes::email).eq(lower(&code.email)))
            .filter(email_codes::purpose.eq(code.purpose))
            .filter(email_codes::user_id.is_not_distinct_from(code.user_id)),
    )
    .returning(email_codes::registration)
    .get_result(conn)
    .await
    .optional()?;
    let mut code = code.clone();
    if code.purpose == CodePurpose::SignUp {
        code.registration = code.registration.or(before.flatten());
    }
    diesel::insert_into(email_codes::table)
        .values(&code)
        .execute(conn)
        .await?;
    Ok(())
}

/// One code, spent or expired ones gone.
pub async fn live(
    conn: &mut AsyncPgConnection,
    id: EmailCodeId,
    now: Instant,
) -> QueryResult<Option<EmailCode>> {
    email_codes::table
        .find(id)
        .filter(email_codes::expires_at.gt(now))
        .select(EmailCode::as_select())
        .first(conn)
        .await
        .optional()
}

/// Takes one of the tries that a code has before anybody looks whether it is right, so that guesses made at once are
/// counted like guesses made one after the other. Nothing when there is no code, no try left or no time.
pub async fn take_try(
    conn: &mut AsyncPgConnection,
    email: &str,
    purpose: CodePurpose,
    user_id: Option<UserId>,
    most: i32,
    now: Instant,
) -> QueryResult<Option<EmailCode>> {
    diesel::update(
        email_codes::table
            .filter(lower(email_codes::email).eq(lower(email)))
            .filter(email_codes::purpose.eq(purpose))
            .filter(email_codes::user_id.is_not_distinct_from(user_id))
            .filter(email_codes::expires_at.gt(now))
            .filter(email_codes::attempts.lt(most)),
    )
    .set(email_codes::attempts.eq(email_codes::attempts + 1))
    .returning(EmailCode::as_returning())
    .get_result(conn)
    .await
    .optional()
}

/// Gives a try back that a right code took.
pub async fn give_try_back(conn: &mut AsyncPgConnection, id: EmailCodeId) -> QueryResult<()> {
    diesel::update(
        email_codes::table
            .find(id)
            .filter(email_codes::attempts.gt(0)),
    )
    .set(email_codes::attempts.eq(email_codes::attempts - 1))
    .execute(conn)
    .await?;
    Ok(())
}

/// Spends a code; false when somebody was faster.
pub async fn spend(conn: &mut AsyncPgConnection, id: EmailCodeId) -> QueryResult<bool> {
    let spent = diesel::delete(email_codes::table.find(id))
        .execute(conn)
        .await?;
    Ok(spent == 1)
}

/// Locks what is known of sends to an address, `address` in lower case, until the caller's transaction ends.
pub async fn lock_sends(
    conn: &mut AsyncPgConnection,
    address: &str,
    now: Instant,
) -> QueryResult<EmailSends> {
    let first = EmailSends {
        address: address.to_owned(),
        sent_at: Vec::new(),
        last_sent_at: now,
    };
    diesel::insert_into(email_sends::table)
        .values(&first)
        .on_conflict(email_sends::address)
        // Changes nothing: it makes the statement lock and answer the row that is there.
        .do_update()
        .set(email_sends::address.eq(excluded(email_sends::address)))
        .returning(EmailSends::as_returning())
        .get_result(conn)
        .await
}

/// Keeps when codes were sent.
pub async fn save_sends(conn: &mut AsyncPgConnection, sends: &EmailSends) -> QueryResult<()> {
    diesel::update(email_sends::table.find(&sends.address))
        .set(sends)
        .execute(conn)
        .await?;
    Ok(())
}

/// Forgets codes and sends from before `limit`.
pub async fn forget_old(conn: &mut AsyncPgConnection, limit: Instant) -> QueryResult<()> {
    diesel::delete(email_codes::table.filter(email_codes::created_at.le(limit)))
        .execute(conn)
        .await?;
    diesel::delete(email_sends::table.filter(email_sends::last_sent_at.le(limit)))
        .execute(conn)
        .await?;
    Ok(())
}

/// Forgets every code of a person, and what else is known of their verified address.
pub async fn forget_person(
    conn: &mut AsyncPgConnection,
    user: UserId,
    address: Option<&str>,
) -> QueryResult<()> {
    diesel::delete(email_codes::table.filter(email_codes::user_id.eq(user)))
        .execute(conn)
        .await?;
    let Some(address) = address else {
        return Ok(());
    };
    diesel::delete(email_codes::table.filter(lower(email_codes::email).eq(lower(address))))
        .execute(conn)
        .await?;
    diesel::delete(email_sends::table.filter(email_sends::address.eq(lower(address))))
        .execute(conn)
        .await?;
    Ok(())
}

/// To whom a mail about an account goes.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = users, check_for_backend(diesel::pg::Pg))]
pub struct Addressee {
    /// Whose account it is.
    pub id: UserId,
    /// The address, if there is one.
    pub email: Option<String>,
    /// The language of mails to this person.
    pub language: Language,
    /// Whether the person may use the service.
    pub status: UserStatus,
}

/// Whose verified address this is.
pub async fn owner_of_address(
    conn: &mut AsyncPgConnection,
    email: &str,
) -> QueryResult<Option<Addressee>> {
    users::table
        .filter(users::email_verified_at.is_not_null())
        .filter(lower(users::email.assume_not_null()).eq(lower(email)))
        .select(Addressee::as_select())
        .first(conn)
        .await
        .optional()
}

/// A person, if the address of theirs is verified.
pub async fn verified(conn: &mut AsyncPgConnection, id: UserId) -> QueryResult<Option<Addressee>> {
    users::table
        .find(id)
        .filter(users::email_verified_at.is_not_null())
        .select(Addressee::as_select())
        .first(conn)
        .await
        .optional()
}
