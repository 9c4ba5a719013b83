//! Rows of `users`.

pub mod erasure;
pub mod list;

use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::{
    db::{
        Instant,
        ids::{CityId, MediaId, UserId},
        lower,
        schema::users,
    },
    text_enum,
};

text_enum! {
    /// Whether a person may use the service.
    pub enum UserStatus {
        /// May sign in.
        Active = "ACTIVE",
        /// May not, by staff's decision.
        Suspended = "SUSPENDED",
        /// Gone; only what others' history needs is kept.
        Deleted = "DELETED",
    }
}

text_enum! {
    /// A language that the product speaks.
    pub enum Language {
        /// English.
        En = "EN",
        /// Chinese.
        Zh = "ZH",
        /// Russian.
        Ru = "RU",
    }
}

/// A person with an account.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = users, check_for_backend(diesel::pg::Pg))]
pub struct User {
    /// Identity.
    pub id: UserId,
    /// The name that everyone sees, 1 to 100 characters.
    pub display_name: String,
    /// A unique handle in lower case.
    pub username: Option<String>,
    /// The language of texts for this person.
    pub language: Language,
    /// Where the person looks for services.
    pub city_id: Option<CityId>,
    /// The avatar.
    pub avatar_media_id: Option<MediaId>,
    /// The Telegram account that signs this person in.
    pub telegram_id: Option<i64>,
    /// Its name when it last signed in.
    pub telegram_username: Option<String>,
    /// Whether the person may use the service.
    pub status: UserStatus,
    /// Counts the edits.
    pub version: i32,
    /// When the account was made.
    pub created_at: Instant,
    /// When it was last edited.
    pub updated_at: Instant,
    /// The e-mail address, as it was typed.
    pub email: Option<String>,
    /// When the person proved that the address is theirs; it signs in from then on.
    pub email_verified_at: Option<Instant>,
    /// Why staff suspended the person.
    pub status_reason: Option<String>,
}

impl User {
    /// A new account, active and with nothing but a name: what signs it in is the caller's to add.
    pub fn new(id: UserId, display_name: String, language: Language, now: Instant) -> Self {
        Self {
            id,
            display_name,
            username: None,
            language,
            city_id: None,
            avatar_media_id: None,
            telegram_id: None,
            telegram_username: None,
            status: UserStatus::Active,
            version: 1,
            created_at: now,
            updated_at: now,
            email: None,
            email_verified_at: None,
            status_reason: None,
        }
    }

    /// Whether this is the verified address of theirs, in any case.
    pub fn has_email(&self, email: &str) -> bool {
        self.verified_email()
            .is_some_and(|own| own.eq_ignore_ascii_case(email))
    }

    /// The address that signs them in.
    pub fn verified_email(&self) -> Option<&str> {
        self.email_verified_at.and(self.email.as_deref())
    }
}

/// A person as everyone sees them.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = users, check_for_backend(diesel::pg::Pg))]
pub struct Person {
    /// Identity.
    pub id: UserId,
    /// The name that everyone sees.
    pub display_name: String,
}

/// The same people as [`by_ids`], without what lists of others don't show.
pub async fn people_by_ids(
    mut conn: &AsyncPgConnection,
    ids: &[UserId],
) -> QueryResult<Vec<Person>> {
    users::table
        .filter(users::id.eq_any(ids))
        .select(Person::as_select())
        .load(&mut conn)
        .await
}

/// The people with these ids, in no order.
pub async fn by_ids(mut conn: &AsyncPgConnection, ids: &[UserId]) -> QueryResult<Vec<User>> {
    users::table
        .filter(users::id.eq_any(ids))
        .select(User::as_select())
        .load(&mut conn)
        .await
}

/// One person.
pub async fn by_id(conn: &mut AsyncPgConnection, id: UserId) -> QueryResult<Option<User>> {
    users::table
        .find(id)
        .select(User::as_select())
        .first(conn)
        .await
        .optional()
}

/// Locks a person's row against other writers of time and rights, the first lock in the written order
/// (architecture.md, habit 5), and reads it.
pub async fn lock(conn: &mut AsyncPgConnection, id: UserId) -> QueryResult<Option<User>> {
    users::table
        .find(id)
        .select(User::as_select())
        .for_no_key_update()
        .first(conn)
        .await
        .optional()
}

/// Locks one's own row as [`lock`] does, for who writes down what is theirs: nothing where the account was suspended or
/// deleted while the request was on its way.
pub async fn lock_active(conn: &mut AsyncPgConnection, id: UserId) -> QueryResult<Option<User>> {
    users::table
        .find(id)
        .filter(users::status.eq(UserStatus::Active))
        .select(User::as_select())
        .for_no_key_update()
        .first(conn)
        .await
        .optional()
}

/// Locks the row of the person whom this Telegram account signs in, and reads it.
pub async fn lock_by_telegram_id(
    conn: &mut AsyncPgConnection,
    telegram_id: i64,
) -> QueryResult<Option<User>> {
    users::table
        .filter(users::telegram_id.eq(telegram_id))
        .select(User::as_select())
        .for_no_key_update()
        .first(conn)
        .await
        .optional()
}

/// The person whom this Telegram account signs in.
pub async fn by_telegram_id(
    conn: &mut AsyncPgConnection,
    telegram_id: i64,
) -> QueryResult<Option<User>> {
    users::table
        .filter(users::telegram_id.eq(telegram_id))
        .select(User::as_select())
        .first(conn)
        .await
        .optional()
}

/// Adds a person; false when the Telegram account has one already.
pub async fn insert_new(conn: &mut AsyncPgConnection, user: &User) -> QueryResult<bool> {
    let inserted = diesel::insert_into(users::table)
        .values(user)
        .on_conflict(users::telegram_id)
        .do_nothing()
        .execute(conn)
        .await?;
    Ok(inserted == 1)
}

/// Gives a person the role of this name, if they don't have it.
pub async fn grant_role(
    conn: &mut AsyncPgConnection,
    user: UserId,
    role: &str,
    now: Instant,
) -> QueryResult<()> {
    use crate::db::schema::{roles, user_roles};
    let grant = roles::table.filter(roles::name.eq(role)).select((
        user.into_sql::<diesel::sql_types::Uuid>(),
        roles::id,
        now.into_sql::<diesel::sql_types::Timestamptz>(),
    ));
    diesel::insert_into(user_roles::table)
        .values(grant)
        .into_columns((
            user_roles::user_id,
            user_roles::role_id,
            user_roles::granted_at,
        ))
        .on_conflict_do_nothing()
        .execute(conn)
        .await?;
    Ok(())
}

/// Takes the role of this name from a person.
pub async fn take_role(conn: &mut AsyncPgConnection, user: UserId, role: &str) -> QueryResult<()> {
    use crate::db::schema::{roles, user_roles};
    let role = roles::table.filter(roles::name.eq(role)).select(roles::id);
    diesel::delete(
        user_roles::table
            .filter(user_roles::user_id.eq(user))
            .filter(user_roles::role_id.eq_any(role)),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes what an edit can change. Violates `users_username_key` and `users_one_per_verified_email` for what is taken,
/// `users_last_admin` where the last active administrator would go.
pub async fn save(conn: &mut AsyncPgConnection, user: &User) -> QueryResult<()> {
    diesel::update(users::table.find(user.id))
        .set((
            users::display_name.eq(&user.display_name),
            users::username.eq(&user.username),
            users::language.eq(user.language),
            users::city_id.eq(user.city_id),
            users::avatar_media_id.eq(user.avatar_media_id),
            users::email.eq(&user.email),
            users::email_verified_at.eq(user.email_verified_at),
            users::status.eq(user.status),
            users::status_reason.eq(&user.status_reason),
            users::version.eq(user.version),
            users::updated_at.eq(user.updated_at),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// Adds a person. Violates `users_username_key` and `users_one_per_verified_email` for what is taken.
pub async fn insert(conn: &mut AsyncPgConnection, user: &User) -> QueryResult<()> {
    diesel::insert_into(users::table)
        .values(user)
        .execute(conn)
        .await?;
    Ok(())
}

/// Locks these people, by id so that two such never wait for each other, and reads them.
pub async fn lock_all(conn: &mut AsyncPgConnection, ids: &[UserId]) -> QueryResult<Vec<User>> {
    users::table
        .filter(users::id.eq_any(ids))
        .order(users::id)
        .select(User::as_select())
        .for_no_key_update()
        .load(conn)
        .await
}

/// A person and what is kept of their password.
type WithPassword = (User, Option<String>);

/// Whom this signs in by a password: their verified address, as [`crate::text::email`] answers it, or their username.
/// Who has no verified address is not found.
pub async fn by_login(
    conn: &mut AsyncPgConnection,
    login: &str,
) -> QueryResult<Option<WithPassword>> {
    let mut query = users::table
        .filter(users::email_verified_at.is_not_null())
        .select((User::as_select(), users::password_hash))
        .into_boxed();
    query = if login.contains('@') {
        query.filter(lower(users::email.assume_not_null()).eq(lower(login.to_owned())))
    } else {
        query.filter(users::username.eq(login.to_owned()))
    };
    query.first(conn).await.optional()
}

/// One person with what is kept of their password.
pub async fn with_password(
    conn: &mut AsyncPgConnection,
    id: UserId,
) -> QueryResult<Option<WithPassword>> {
    users::table
        .find(id)
        .select((User::as_select(), users::password_hash))
        .first(conn)
        .await
        .optional()
}

/// Locks a person's row as [`lock`] does, and reads it with what is kept of their password.
pub async fn lock_with_password(
    conn: &mut AsyncPgConnection,
    id: UserId,
) -> QueryResult<Option<WithPassword>> {
    users::table
        .find(id)
        .select((User::as_select(), users::password_hash))
        .for_no_key_update()
        .first(conn)
        .await
        .optional()
}

/// Whether somebody has this username, given in lower case.
pub async fn has_username(conn: &mut AsyncPgConnection, username: &str) -> QueryResult<bool> {
    diesel::select(diesel::dsl::exists(
        users::table.filter(users::username.eq(username)),
    ))
    .get_result(conn)
    .await
}

/// Keeps which Telegram account signs a person in. Violates `users_telegram_id_key` for one that signs in another.
pub async fn set_telegram(
    conn: &mut AsyncPgConnection,
    id: UserId,
    telegram_id: Option<i64>,
    telegram_username: Option<&str>,
) -> QueryResult<()> {
    diesel::update(users::table.find(id))
        .set((
            users::telegram_id.eq(telegram_id),
            users::telegram_username.eq(telegram_username),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// Keeps the hash of a password; nothing takes the password away.
pub async fn set_password(
    conn: &mut AsyncPgConnection,
    id: UserId,
    hash: Option<&str>,
) -> QueryResult<()> {
    diesel::update(users::table.find(id))
        .set(users::password_hash.eq(hash))
        .execute(conn)
        .await?;
    Ok(())
}
