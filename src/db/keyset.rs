//! Keyset pages in SQL: where a page goes on, in which direction it reads, and how many rows a list has.

use diesel::{
    pg::Pg,
    prelude::*,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::BigInt,
};

use crate::cursor::LARGEST_COUNT;

/// Puts a boxed query into an order and after (or before) a cursor, and limits it to the rows that are read for a page.
///
/// `keyset!(query, page, descending, |(created_at, id)| (table::created_at: Timestamptz = created_at, table::id: Uuid = id))`:
/// all columns run in one direction, the last is the id, and one row comparison goes on from the cursor's values, so
/// that an index over the columns is entered at the cursor, however far down the list that is.
///
/// `, of value.is_some() => table::state` at the end, beside the condition `state = ANY(ARRAY[value])`, puts a column first in
/// the order of which all rows have the one value. That changes nothing of the list, but only the index that begins with
/// this column has such an order: for a value that the statistics say is frequent, the planner would walk the index of
/// the bare order and leave out all others.
#[macro_export]
macro_rules! keyset {
    (
        $query:expr, $page:expr, $descending:expr,
        |$key:pat_param| ($($column:path: $sql_type:ty = $value:expr),+ $(,)?)
        $(, of $one:expr => $same:path)*
    ) => {{
        use ::diesel::{ExpressionMethods as _, IntoSql as _, QueryDsl as _};
        type Row = ::diesel::pg::sql_types::Record<($($sql_type,)+)>;
        let page = $page;
        let down = $descending != page.backwards;
        let mut query = $query;
        if let Some($key) = page.from.clone() {
            let columns = ($($column,)+).into_sql::<Row>();
            let values = ($(::diesel::expression::AsExpression::<$sql_type>::as_expression($value),)+).into_sql::<Row>();
            query = if down { query.filter(columns.lt(values)) } else { query.filter(columns.gt(values)) };
        }
        $(if $one {
            query = if page.backwards { query.then_order_by($same.desc()) } else { query.then_order_by($same.asc()) };
        })*
        let query = if down {
            query.then_order_by(($($column.desc(),)+))
        } else {
            query.then_order_by(($($column.asc(),)+))
        };
        $crate::db::keyset::Limited::new(query, page.fetch)
    }};
}

/// A query and its LIMIT as a number in the text, of which there are a few ([`Page`](crate::cursor::Page)).
///
/// For a bound one the planner guesses a tenth of all rows, which makes the plan that it could keep look so bad that it
/// plans every execution anew: more work than reading 20 rows.
#[derive(Clone, Copy, Debug)]
pub struct Limited<Q> {
    query: Q,
    rows: i64,
}

impl<Q> Limited<Q> {
    /// At most so many rows.
    pub const fn new(query: Q, rows: i64) -> Self {
        Self { query, rows }
    }
}

impl<Q: Query> Query for Limited<Q> {
    type SqlType = Q::SqlType;
}

// The text differs with the number, so it is its own key in the statement cache.
impl<Q> QueryId for Limited<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Limited<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.query.walk_ast(out.reborrow())?;
        out.push_sql(&format!(" LIMIT {}", self.rows));
        Ok(())
    }
}

/// `SELECT count(*)` of a query's rows, up to [`LARGEST_COUNT`] and one.
#[derive(Clone, Copy, Debug, QueryId)]
pub struct Counted<Q>(pub Q);

impl<Q: Query> Query for Counted<Q> {
    type SqlType = BigInt;
}

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Counted<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT count(*) FROM (");
        self.0.walk_ast(out.reborrow())?;
        out.push_sql(&format!(" LIMIT {}) AS counted", LARGEST_COUNT + 1));
        Ok(())
    }
}

/// Declares an SQL expression over one table which diesel's builder cannot say, e.g. the one that an index is on.
///
/// Unlike `diesel::dsl::sql` it keeps the statement in the cache of prepared ones.
#[macro_export]
macro_rules! sql_expression {
    ($($(#[$doc:meta])* $name:ident: $sql_type:ty = $sql:literal on $table:path;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, ::diesel::query_builder::QueryId, ::diesel::expression::ValidGrouping)]
        pub struct $name;

        impl ::diesel::expression::Expression for $name {
            type SqlType = $sql_type;
        }

        impl ::diesel::expression::AppearsOnTable<$table> for $name {}

        impl ::diesel::expression::SelectableExpression<$table> for $name {}

        impl ::diesel::query_builder::QueryFragment<::diesel::pg::Pg> for $name {
            fn walk_ast<'b>(
                &'b self,
                mut out: ::diesel::query_builder::AstPass<'_, 'b, ::diesel::pg::Pg>,
            ) -> ::diesel::QueryResult<()> {
                out.push_sql($sql);
                Ok(())
            }
        }
    )+};
}

/// The pattern of `ILIKE` that finds this text anywhere.
pub fn containing(text: &str) -> String {
    format!("%{}", beginning(text))
}

/// The pattern of `LIKE` that finds what begins with this text.
pub fn beginning(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 1);
    for character in text.chars() {
        if matches!(character, '\\' | '%' | '_') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_in_a_text_are_only_characters() {
        assert_eq!(containing(r"50%_a\b"), r"%50\%\_a\\b%");
    }
}
