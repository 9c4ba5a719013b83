//! The list of people for staff.

use diesel::{
    pg::Pg,
    prelude::*,
    sql_types::{Text, Timestamptz, Uuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde::{Deserialize, Serialize};

use super::{User, UserStatus};
use crate::{
    cursor::{Page, Slice},
    db::{
        Instant,
        ids::{RoleId, UserId},
        keyset::{Counted, beginning, containing},
        schema::{user_roles, users},
    },
    keyset, sql_expression,
};

sql_expression! {
    /// What a text is looked for in; the trigram index is on it.
    UserText: Text = "(users.display_name || ' ' || coalesce(users.username, '') || ' ' || coalesce(users.email, '') || ' ' || coalesce(users.telegram_username, ''))" on users::table;
    /// The name in lower case, for a text of which a trigram index knows nothing.
    LowerName: Text = "lower(users.display_name)" on users::table;
}

/// The fewest characters of which the trigram index knows something.
const TRIGRAM: usize = 3;

/// Which people a list shows.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// With this text in name, username, e-mail address or Telegram name, in any case; with fewer than 3 characters at
    /// the beginning of name or username.
    pub text: Option<String>,
    /// In this state.
    pub status: Option<UserStatus>,
    /// With this role.
    pub role: Option<RoleId>,
}

/// How the list is sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// The newest account first.
    Newest,
    /// By name in the database's collation, then by id.
    Name,
}

impl Sort {
    /// The name of the order, for cursors.
    pub fn order(self) -> &'static str {
        match self {
            Self::Newest => "user.newest",
            Self::Name => "user.name",
        }
    }

    /// A row's cursor values.
    pub fn values(self, user: &User) -> Values {
        match self {
            Self::Newest => Values::Newest((user.created_at, user.id)),
            Self::Name => Values::Name((user.display_name.clone(), user.id)),
        }
    }
}

/// The values of a cursor of either order.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Values {
    /// Of [`Sort::Newest`].
    Newest((Instant, UserId)),
    /// Of [`Sort::Name`].
    Name((String, UserId)),
}

/// A page's statement.
pub type UsersQuery = users::BoxedQuery<
    'static,
    Pg,
    diesel::helper_types::SqlTypeOf<diesel::helper_types::AsSelect<User, Pg>>,
>;

fn matching(filter: &Filter) -> users::BoxedQuery<'static, Pg> {
    let Filter { text, status, role } = filter;
    let mut query = users::table.into_boxed();
    match text {
        Some(text) if text.chars().count() >= TRIGRAM => {
            query = query.filter(UserText.ilike(containing(text)));
        }
        Some(text) => {
            let start = beginning(&text.to_lowercase());
            query = query.filter(
                LowerName
                    .like(start.clone())
                    .or(users::username.like(start).assume_not_null()),
            );
        }
        None => {}
    }
    if let Some(status) = *status {
        query = query.filter(users::status.eq(status));
    }
    if let Some(role) = *role {
        let holders = user_roles::table
            .filter(user_roles::role_id.eq(role))
            .select(user_roles::user_id);
        query = query.filter(users::id.eq_any(holders));
    }
    query
}

/// The statement of a page, the newest first.
pub fn newest_query(filter: &Filter, page: &Page<(Instant, UserId)>) -> UsersQuery {
    let query = matching(filter).select(User::as_select());
    keyset!(query, page, true, |(at, id)| (
        users::created_at: Timestamptz = at,
        users::id: Uuid = id,
    ))
}

/// The statement of a page by name.
pub fn name_query(filter: &Filter, page: &Page<(String, UserId)>) -> UsersQuery {
    let query = matching(filter).select(User::as_select());
    keyset!(query, page, false, |(name, id)| (
        users::display_name: Text = name,
        users::id: Uuid = id,
    ))
}

/// How many match, up to [`crate::cursor::LARGEST_COUNT`] and one.
pub async fn count(conn: &mut AsyncPgConnection, filter: &Filter) -> QueryResult<i64> {
    Counted(matching(filter).select(users::id))
        .get_result(conn)
        .await
}

/// A page of a statement above.
pub async fn page<K>(
    conn: &mut AsyncPgConnection,
    query: UsersQuery,
    page: &Page<K>,
) -> QueryResult<Slice<User>> {
    Ok(page.slice(query.load(conn).await?))
}
