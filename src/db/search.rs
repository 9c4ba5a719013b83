//! Pages of lists that no index holds in their order: a text, a price or a role among rows sorted by something else.
//!
//! Either of the planner's two ways can read the whole table: sorting all that match, when that is nearly everything, or
//! walking the order's index until a page has matched, when that is nearly nothing. And it chooses by guesses, which for
//! texts are wild. So the statement itself looks, in four steps of which each is for what the ones before did not find:
//!
//! 1. **Near.** What many rows fulfil soon fills a page in the order: for each row of the page the next [`NEAR`] rows of its
//!    index are looked at, one by one until the page is full. Where an index of another table holds one of the conditions in
//!    this order, that one is walked ([`Walk`]), and all that is met fulfils it.
//! 2. **Few.** What is left to find is rare. The index of each condition is asked for its first rows. The smallest set that
//!    an index has whole holds all that can match: they are looked at and sorted.
//! 3. **Far.** Every condition lets many through, and few rows fulfil all of them: the order is walked on, [`FAR`] times as
//!    far.
//! 4. **All.** Where the page is has to do with the order (names with a Z, by name), or next to nothing fulfils everything:
//!    what matches is sorted, and the planner chooses how it is found.
//!
//! The page is the same whichever step finds it. What matches is counted by the second step, and by the planner where there
//! is no small set.

use std::{fmt, marker::PhantomData};

use diesel::{
    expression::{AppearsOnTable, Expression, SelectableExpression, ValidGrouping, is_aggregate},
    pg::Pg,
    prelude::*,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{BigInt, Bool, Text},
};

use crate::cursor::LARGEST_COUNT;

/// So far an order is walked for each row of the page: what two of a hundred rows fulfil nearly always fills it.
pub const NEAR: i64 = 100;
/// So many times as far it is walked where no condition alone is rare.
pub const FAR: i64 = 5;
/// As many rows of a condition are looked at and sorted in a quarter of a second, if its index tells which they are.
pub const MANY: i64 = 50_000;
/// As many where the rows must be looked at to know them, as with an index of trigrams. A condition that more of a million
/// rows fulfil is found by walking, if it is spread evenly.
pub const FEW: i64 = 5_000;
/// With so few in sight no row is looked at to find fewer.
const ENOUGH: i64 = 1_000;

/// A piece of a statement.
pub type Piece = Box<dyn QueryFragment<Pg> + Send>;

/// What is looked for in a table.
pub struct Search {
    /// Conditions that the order's index holds: its first columns, or what it is limited to.
    pub held: Vec<Piece>,
    /// The other conditions.
    pub rest: Vec<Piece>,
    /// The same as said of one row alone: where a condition asks other tables, such that the planner doesn't read those
    /// from end to end to have every answer at hand (`OFFSET 0` keeps it from that).
    pub each: Vec<Piece>,
    /// What the index of a condition is entered by, where the condition itself tells the planner nothing of it; too dear to be
    /// asked of a row that is found already.
    pub entered: Vec<Piece>,
    /// For each of those that has an index: the ids of [`MANY`] and one rows, or of more that include them, by that index
    /// and nothing else; each a whole `SELECT`.
    pub starts: Vec<Piece>,
    /// The same of the text, whose rows must be looked at: of [`FEW`] and one.
    pub text_start: Option<Piece>,
    /// What is walked instead of the order's own index.
    pub walk: Option<Walk>,
}

/// An index of another table that holds a condition in the list's order. A row of the list may stand in it several times, with
/// the same keys.
pub struct Walk {
    /// That table.
    pub table: &'static str,
    /// Its columns in the list's order; the last is the id of the list's row.
    pub columns: Vec<Piece>,
    /// What the index holds of it.
    pub held: Piece,
}

/// The page in the order, which [`searched!`](crate::searched) makes.
pub struct Place {
    /// The order's columns; the last is the id.
    pub columns: Vec<Piece>,
    /// The cursor's values of them, as one row.
    pub from: Option<Piece>,
    /// Whether the highest come first.
    pub down: bool,
    /// How many rows.
    pub limit: i64,
}

/// The condition on rows of `T` that those of the page fulfil, and some beyond it: who asks says the order and the limit
/// besides.
pub struct Found<T> {
    search: Search,
    place: Place,
    table: &'static str,
    of: PhantomData<T>,
}

impl<T> fmt::Debug for Found<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Found").field("table", &self.table).finish()
    }
}

impl Search {
    /// How many match in the table.
    pub fn number(self, table: &'static str) -> Number {
        Number {
            search: self,
            table,
        }
    }

    /// The condition for this page; the table's name is that of `T`.
    pub fn found<T>(self, table: &'static str, place: Place) -> Found<T> {
        Found {
            search: self,
            place,
            table,
            of: PhantomData,
        }
    }
}

impl<T> Expression for Found<T> {
    type SqlType = Bool;
}

impl<T> AppearsOnTable<T> for Found<T> {}

impl<T> SelectableExpression<T> for Found<T> {}

impl<T, G> ValidGrouping<G> for Found<T> {
    type IsAggregate = is_aggregate::Never;
}

// The text differs with the conditions, so it is its own key in the statement cache.
impl<T> QueryId for Found<T> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

type Out<'a, 'b> = AstPass<'a, 'b, Pg>;

/// One of the two times that the order is walked.
struct Look {
    /// The name of the rows that are taken in, and of those of them that match.
    keys: &'static str,
    found: &'static str,
    /// So many times [`NEAR`].
    times: i64,
    /// Which must have been short before.
    after: Option<&'static Look>,
}

const NEAR_LOOK: Look = Look {
    keys: "next",
    found: "near",
    times: 1,
    after: None,
};
const FAR_LOOK: Look = Look {
    keys: "farther",
    found: "far",
    times: FAR,
    after: Some(&NEAR_LOOK),
};

/// `true AND …` of conditions.
fn all<'b>(conditions: &'b [Piece], out: &mut Out<'_, 'b>) -> QueryResult<()> {
    out.push_sql("true");
    for condition in conditions {
        out.push_sql(" AND ");
        condition.walk_ast(out.reborrow())?;
    }
    Ok(())
}

/// Columns with something after each.
fn columns<'b>(
    columns: &'b [Piece],
    out: &mut Out<'_, 'b>,
    after_each: impl Fn(usize) -> String,
) -> QueryResult<()> {
    for (number, column) in columns.iter().enumerate() {
        out.push_sql(if number > 0 { ", " } else { "" });
        column.walk_ast(out.reborrow())?;
        out.push_sql(&after_each(number));
    }
    Ok(())
}

/// Columns as they are.
fn plain<'b>(list: &'b [Piece], out: &mut Out<'_, 'b>) -> QueryResult<()> {
    columns(list, out, |_| String::new())
}

impl<T> Found<T> {
    /// The columns of the index that is walked.
    fn walked(&self) -> &[Piece] {
        let walk = self.search.walk.as_ref();
        walk.map_or(&self.place.columns, |walk| &walk.columns)
    }

    fn walked_table(&self) -> &'static str {
        let walk = self.search.walk.as_ref();
        walk.map_or(self.table, |walk| walk.table)
    }

    /// In the list's order, by these columns.
    fn ordered<'b>(&'b self, by: &'b [Piece], out: &mut Out<'_, 'b>, rows: i64) -> QueryResult<()> {
        out.push_sql(" ORDER BY ");
        let direction = if self.place.down { " DESC" } else { " ASC" };
        columns(by, out, |_| direction.to_owned())?;
        out.push_sql(&format!(" LIMIT {rows}"));
        Ok(())
    }

    /// Where the page begins, by these columns.
    fn begin<'b>(&'b self, by: &'b [Piece], out: &mut Out<'_, 'b>) -> QueryResult<()> {
        if let Some(from) = &self.place.from {
            out.push_sql(" AND (");
            plain(by, out)?;
            out.push_sql(if self.place.down { ") < " } else { ") > " });
            from.walk_ast(out.reborrow())?;
        }
        Ok(())
    }

    /// What the order's index holds, and where the page begins.
    fn held<'b>(&'b self, out: &mut Out<'_, 'b>) -> QueryResult<()> {
        all(&self.search.held, out)?;
        self.begin(&self.place.columns, out)
    }

    /// The same of the index that is walked.
    fn held_walked<'b>(&'b self, out: &mut Out<'_, 'b>) -> QueryResult<()> {
        match &self.search.walk {
            Some(walk) => {
                walk.held.walk_ast(out.reborrow())?;
                self.begin(&walk.columns, out)
            }
            None => self.held(out),
        }
    }

    /// How many rows of the order a look takes in.
    fn reach(&self, look: &Look) -> i64 {
        self.place.limit * NEAR * look.times
    }

    /// The keys of the next rows of the order, from the index alone.
    fn next<'b>(&'b self, look: &Look, out: &mut Out<'_, 'b>) -> QueryResult<()> {
        out.push_sql(&format!("{} AS MATERIALIZED (SELECT ", look.keys));
        columns(self.walked(), out, |number| format!(" AS k{number}"))?;
        out.push_sql(&format!(" FROM {} WHERE ", self.walked_table()));
        self.held_walked(out)?;
        if let Some(after) = look.after {
            let short = self.is_short(after);
            out.push_sql(&format!(" AND {short} AND NOT EXISTS (SELECT FROM few)"));
        }
        self.ordered(self.walked(), out, self.reach(look))?;
        out.push_sql(")");
        Ok(())
    }

    /// What is found up to the last of them. The CASE hides the conditions from the planner, which would enter an index of
    /// theirs.
    fn look<'b>(&'b self, look: &Look, out: &mut Out<'_, 'b>) -> QueryResult<()> {
        self.next(look, out)?;
        let (end, back) = if self.place.down {
            (">=", "ASC")
        } else {
            ("<=", "DESC")
        };
        out.push_sql(&format!(", {} AS MATERIALIZED (SELECT ", look.found));
        if self.search.walk.is_some() {
            out.push_sql("DISTINCT ON (");
            plain(self.walked(), out)?;
            out.push_sql(") ");
        }
        if let Some(id) = self.walked().last() {
            id.walk_ast(out.reborrow())?;
        }
        out.push_sql(&format!(" AS id FROM {} WHERE ", self.walked_table()));
        self.held_walked(out)?;
        out.push_sql(" AND (");
        plain(self.walked(), out)?;
        out.push_sql(&format!(
            ") {end} (SELECT {} FROM {} ORDER BY {} LIMIT 1) AND CASE WHEN ",
            self.keys(""),
            look.keys,
            self.keys(back)
        ));
        self.each(out)?;
        out.push_sql(" THEN true ELSE false END");
        self.ordered(self.walked(), out, self.place.limit)?;
        out.push_sql(")");
        Ok(())
    }

    /// Whether a row that is met on the walk is looked for.
    fn each<'b>(&'b self, out: &mut Out<'_, 'b>) -> QueryResult<()> {
        let Some(walk) = &self.search.walk else {
            return all(&self.search.each, out);
        };
        let table = self.table;
        out.push_sql(&format!("EXISTS (SELECT FROM {table} WHERE {table}.id = "));
        if let Some(id) = walk.columns.last() {
            id.walk_ast(out.reborrow())?;
        }
        out.push_sql(" AND ");
        all(&self.search.held, out)?;
        out.push_sql(" AND ");
        all(&self.search.each, out)?;
        out.push_sql(" OFFSET 0)");
        Ok(())
    }

    fn keys(&self, direction: &str) -> String {
        let numbers = 0..self.place.columns.len();
        let keys: Vec<String> = numbers
            .map(|number| format!("k{number} {direction}"))
            .collect();
        keys.join(", ")
    }

    /// Whether a look came to its end without a full page.
    fn is_short(&self, look: &Look) -> String {
        let Look { keys, found, .. } = look;
        let (limit, reach) = (self.place.limit, self.reach(look));
        format!(
            "(SELECT count(*) FROM {found}) < {limit} AND (SELECT count(*) FROM {keys}) = {reach}"
        )
    }
}

impl Search {
    /// Whether a row matches.
    fn matches<'b>(&'b self, out: &mut Out<'_, 'b>) -> QueryResult<()> {
        all(&self.held, out)?;
        out.push_sql(" AND ");
        all(&self.rest, out)
    }

    /// The smallest set that holds all that match, if a condition's index has one; asked for under this condition alone.
    fn few<'b>(&'b self, only_if: &str, out: &mut Out<'_, 'b>) -> QueryResult<()> {
        let smallest = |most: i64| {
            format!("cardinality(start.ids) <= {most} ORDER BY cardinality(start.ids) LIMIT 1)")
        };
        out.push_sql("known AS MATERIALIZED (SELECT start.ids FROM (VALUES (NULL::uuid[])");
        for start in &self.starts {
            out.push_sql(", (ARRAY(");
            start.walk_ast(out.reborrow())?;
            out.push_sql("))");
        }
        out.push_sql(&format!(") AS start (ids) WHERE {only_if} AND "));
        out.push_sql(&smallest(MANY));
        out.push_sql(", few AS MATERIALIZED (SELECT start.ids FROM (SELECT known.ids FROM known");
        if let Some(start) = &self.text_start {
            out.push_sql(" UNION ALL (SELECT text.ids FROM (SELECT ARRAY(");
            start.walk_ast(out.reborrow())?;
            out.push_sql(&format!(
                ") AS ids WHERE {only_if} AND NOT EXISTS (SELECT FROM known WHERE cardinality(known.ids) <= {ENOUGH}) OFFSET 0) AS text \
                 WHERE cardinality(text.ids) <= {FEW})"
            ));
        }
        out.push_sql(") AS start WHERE ");
        out.push_sql(&smallest(MANY));
        Ok(())
    }
}

impl<T> QueryFragment<Pg> for Found<T> {
    fn walk_ast<'b>(&'b self, mut out: Out<'_, 'b>) -> QueryResult<()> {
        // There are too many combinations of conditions to keep each prepared.
        out.unsafe_to_cache_prepared();
        let (table, limit) = (self.table, self.place.limit);
        out.push_sql(&format!("{table}.id = ANY (ARRAY(WITH "));
        self.look(&NEAR_LOOK, &mut out)?;
        out.push_sql(", ");
        self.search.few(&self.is_short(&NEAR_LOOK), &mut out)?;
        out.push_sql(", ");
        self.look(&FAR_LOOK, &mut out)?;
        out.push_sql(&format!(
            " SELECT near.id FROM near UNION ALL SELECT far.id FROM far UNION ALL (SELECT {table}.id FROM {table} \
             WHERE {table}.id = ANY ((SELECT few.ids FROM few)::uuid[]) AND "
        ));
        self.held(&mut out)?;
        out.push_sql(" AND ");
        all(&self.search.rest, &mut out)?;
        self.ordered(&self.place.columns, &mut out, limit)?;
        // OFFSET 0 finds first and sorts then; with the order in sight the planner would walk it once more.
        out.push_sql(") UNION ALL (SELECT found.id FROM (SELECT ");
        columns(&self.place.columns, &mut out, |number| {
            format!(" AS k{number}")
        })?;
        out.push_sql(&format!(
            ", {table}.id FROM {table} WHERE {} AND ",
            self.is_short(&FAR_LOOK)
        ));
        self.held(&mut out)?;
        out.push_sql(" AND ");
        all(&self.search.rest, &mut out)?;
        out.push_sql(" AND ");
        all(&self.search.entered, &mut out)?;
        let direction = if self.place.down { "DESC" } else { "ASC" };
        out.push_sql(&format!(
            " OFFSET 0) AS found ORDER BY {} LIMIT {limit})))",
            self.keys(direction)
        ));
        Ok(())
    }
}

/// How many rows match, up to [`LARGEST_COUNT`] and one.
pub struct Number {
    search: Search,
    table: &'static str,
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Number")
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

impl Query for Number {
    type SqlType = BigInt;
}

// As that of `Found`.
impl QueryId for Number {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl QueryFragment<Pg> for Number {
    fn walk_ast<'b>(&'b self, mut out: Out<'_, 'b>) -> QueryResult<()> {
        out.unsafe_to_cache_prepared();
        let Self { search, table } = self;
        out.push_sql("SELECT count(*) FROM (WITH ");
        search.few("true", &mut out)?;
        let each = format!("SELECT {table}.id FROM {table} WHERE");
        out.push_sql(&format!(
            " ({each} {table}.id = ANY ((SELECT few.ids FROM few)::uuid[]) AND "
        ));
        search.matches(&mut out)?;
        out.push_sql(&format!(
            ") UNION ALL ({each} NOT EXISTS (SELECT FROM few) AND "
        ));
        search.matches(&mut out)?;
        out.push_sql(" AND ");
        all(&search.entered, &mut out)?;
        out.push_sql(&format!(") LIMIT {}) AS counted", LARGEST_COUNT + 1));
        Ok(())
    }
}

/// Whether a text has three letters or digits in a row, and so a whole trigram of its own.
pub fn has_trigram(text: &str) -> bool {
    words(text).any(|word| word.chars().count() >= 3)
}

/// Whether a trigram index knows anything of what contains a text; for any other it would be read from end to end. It
/// counts two blanks before each word and one after, but not where the text begins and ends, which may be inside of a word.
pub fn has_some_trigram(text: &str) -> bool {
    let last = words(text).count() - 1;
    words(text).enumerate().any(|(place, word)| {
        let before = if place == 0 { 0 } else { 2 };
        let after = usize::from(place != last);
        !word.is_empty() && before + word.chars().count() + after >= 3
    })
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_alphanumeric())
}

/// A text that the planner doesn't see, so that it takes the index of an `ILIKE` for every text alike.
#[derive(Clone, Debug, QueryId, ValidGrouping)]
pub struct Unseen(pub String);

impl Expression for Unseen {
    type SqlType = Text;
}

impl<T> AppearsOnTable<T> for Unseen {}

impl<T> SelectableExpression<T> for Unseen {}

impl QueryFragment<Pg> for Unseen {
    fn walk_ast<'b>(&'b self, mut out: Out<'_, 'b>) -> QueryResult<()> {
        out.push_sql("(SELECT ");
        out.push_bind_param::<Text, _>(&self.0)?;
        out.push_sql(")");
        Ok(())
    }
}

/// `keyset!` for a list that a [`Search`] finds: `searched!(table => query, search, page, descending, |…| (…))`.
#[macro_export]
macro_rules! searched {
    (
        $table:ident => $query:expr, $search:expr, $page:expr, $descending:expr,
        |$key:pat_param| ($($column:path: $sql_type:ty = $value:expr),+ $(,)?)
    ) => {{
        use ::diesel::IntoSql as _;
        type Row = ::diesel::pg::sql_types::Record<($($sql_type,)+)>;
        let page = $page;
        let from = page.from.clone().map(|$key| -> $crate::db::search::Piece {
            let values = ($(::diesel::expression::AsExpression::<$sql_type>::as_expression($value),)+);
            Box::new(values.into_sql::<Row>())
        });
        let place = $crate::db::search::Place {
            columns: vec![$(Box::new($column)),+],
            from,
            down: $descending != page.backwards,
            limit: page.fetch,
        };
        let found = $search.found::<$table::table>(stringify!($table), place);
        $crate::keyset!($query.filter(found), page, $descending, |$key| ($($column: $sql_type = $value),+))
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_of_trigrams_counts_the_blanks_around_words() {
        for text in ["abc", "x abc", "жжж", "a1b", "-123-"] {
            assert!(has_trigram(text), "{text}");
        }
        for text in ["", "ab", "ab cd", "!!!", "%%%", "a-b-c"] {
            assert!(!has_trigram(text), "{text}");
        }
        for text in ["abc", "ab-", "-a", "a@b", "жж "] {
            assert!(has_some_trigram(text), "{text}");
        }
        for text in ["", "ab", "a-", "!!!", "李明"] {
            assert!(!has_some_trigram(text), "{text}");
        }
    }
}
