//! The list of people for staff.

use diesel::{
    dsl::exists,
    pg::Pg,
    prelude::*,
    query_builder::{AstPass, QueryFragment},
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
        keyset::{Counted, Limited, beginning, containing},
        lower,
        schema::{user_roles, users},
        search::{FEW, MANY, Search, Unseen, has_some_trigram},
    },
    keyset, searched, sql_expression,
};

sql_expression! {
    /// What a text is looked for in; the trigram index is on it.
    UserText: Text = "(users.display_name || ' ' || coalesce(users.username, '') || ' ' || coalesce(users.email, '') || ' ' || coalesce(users.telegram_username, ''))" on users::table;
    /// The name in lower case, for a text of which a trigram index knows nothing.
    LowerName: Text = "lower(users.display_name)" on users::table;
}

/// Which people a list shows.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// With this text in name, username, e-mail address or Telegram name, in any case; one of which the trigram index knows
    /// nothing at the beginning of name or username.
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
pub type UsersQuery = Limited<
    users::BoxedQuery<
        'static,
        Pg,
        diesel::helper_types::SqlTypeOf<diesel::helper_types::AsSelect<User, Pg>>,
    >,
>;

#[diesel::dsl::auto_type(no_type_alias)]
fn begins_with(text: &str) -> _ {
    let start: String = beginning(text);
    let named: String = start.clone();
    LowerName
        .like(lower(start))
        .or(users::username.assume_not_null().like(lower(named)))
}

/// Whose name or username begins with this text, the first of each by its index: from the text itself to the last
/// that begins with it, which unlike a pattern the planner needn't know to enter the index.
struct Beginning {
    first: String,
    last: String,
}

impl Beginning {
    fn of(text: &str) -> Self {
        let first = text.to_owned();
        let last = format!("{first}{}", String::from(char::MAX).repeat(2));
        Self { first, last }
    }
}

impl QueryFragment<Pg> for Beginning {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let columns = ["lower(users.display_name)", "users.username"];
        for (between, column) in ["", " UNION ALL "].into_iter().zip(columns) {
            out.push_sql(&format!(
                "{between}(SELECT users.id FROM users WHERE {column} ~>=~ lower("
            ));
            out.push_bind_param::<Text, _>(&self.first)?;
            out.push_sql(&format!(") AND {column} ~<=~ lower("));
            out.push_bind_param::<Text, _>(&self.last)?;
            out.push_sql(&format!(
                ") ORDER BY {column} USING ~<~ LIMIT {})",
                MANY + 1
            ));
        }
        Ok(())
    }
}

/// Whether the person has this role, asked of one after the other.
struct Has(RoleId);

impl QueryFragment<Pg> for Has {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("EXISTS (SELECT FROM user_roles WHERE user_roles.user_id = users.id AND user_roles.role_id = ");
        out.push_bind_param::<Uuid, _>(&self.0)?;
        out.push_sql(" OFFSET 0)");
        Ok(())
    }
}

/// What no index holds in either order; nothing when one does.
fn search(filter: &Filter) -> Option<Search> {
    let Filter { text, status, role } = filter;
    if text.is_none() && role.is_none() {
        return None;
    }
    let mut search = Search {
        held: Vec::new(),
        rest: Vec::new(),
        each: Vec::new(),
        entered: Vec::new(),
        starts: Vec::new(),
        text_start: None,
        walk: None,
    };
    if let Some(status) = *status {
        search.held.push(Box::new(users::status.eq(status)));
    }
    match text {
        Some(text) if has_some_trigram(text) => {
            let text = containing(text);
            let found = users::table
                .filter(UserText.ilike(Unseen(text.clone())))
                .select(users::id);
            search.text_start = Some(Box::new(Limited::new(found, FEW + 1)));
            let unseen = Unseen(text);
            search.rest.push(Box::new(UserText.ilike(unseen.clone())));
            search.each.push(Box::new(UserText.ilike(unseen)));
        }
        Some(text) => {
            search.starts.push(Box::new(Beginning::of(text)));
            search.rest.push(Box::new(begins_with(text)));
            search.each.push(Box::new(begins_with(text)));
        }
        None => {}
    }
    if let Some(role) = *role {
        let holders = user_roles::table
            .filter(user_roles::role_id.eq(role))
            .select(user_roles::user_id);
        let found = holders.order(user_roles::user_id);
        search.starts.push(Box::new(Limited::new(found, MANY + 1)));
        let has = user_roles::table
            .filter(user_roles::user_id.eq(users::id))
            .filter(user_roles::role_id.eq(role));
        search.rest.push(Box::new(exists(has)));
        search.each.push(Box::new(Has(role)));
    }
    Some(search)
}

/// A page in one of the orders, by its index or by a search.
macro_rules! in_order {
    ($filter:expr, $page:expr, $descending:expr, |$key:pat_param| $columns:tt) => {
        match search($filter) {
            None => {
                let query = users::table.select(User::as_select()).into_boxed();
                match $filter.status {
                    None => keyset!(query, $page, $descending, |$key| $columns),
                    Some(status) => {
                        let query = query.filter(users::status.eq_any([status]));
                        keyset!(query, $page, $descending, |$key| $columns, of true => users::status)
                    }
                }
            }
            Some(search) => {
                let query = users::table.select(User::as_select()).into_boxed();
                searched!(users => query, search, $page, $descending, |$key| $columns)
            }
        }
    };
}

/// The statement of a page, the newest first.
pub fn newest_query(filter: &Filter, page: &Page<(Instant, UserId)>) -> UsersQuery {
    in_order!(filter, page, true, |(at, id)| (
        users::created_at: Timestamptz = at,
        users::id: Uuid = id,
    ))
}

/// The statement of a page by name.
pub fn name_query(filter: &Filter, page: &Page<(String, UserId)>) -> UsersQuery {
    in_order!(filter, page, false, |(name, id)| (
        users::display_name: Text = name,
        users::id: Uuid = id,
    ))
}

/// How many match, up to [`crate::cursor::LARGEST_COUNT`] and one.
pub async fn count(conn: &mut AsyncPgConnection, filter: &Filter) -> QueryResult<i64> {
    match search(filter) {
        Some(search) => search.number("users").get_result(conn).await,
        None => {
            let mut all = users::table.select(users::id).into_boxed();
            if let Some(status) = filter.status {
                all = all.filter(users::status.eq(status));
            }
            Counted(all).get_result(conn).await
        }
    }
}

/// A page of a statement above.
pub async fn page<K>(
    conn: &mut AsyncPgConnection,
    query: UsersQuery,
    page: &Page<K>,
) -> QueryResult<Slice<User>> {
    Ok(page.slice(query.load(conn).await?))
}
