//! What a statement's plan does, by row counts: costs that no clock and no machine changes.

use companion::cursor::PageArgs;
use std::collections::BTreeMap;

use diesel::{
    QueryResult, QueryableByName,
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_query,
    sql_types::{Array, BigInt, Json, Text},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use serde_json::Value;

/// `EXPLAIN (ANALYZE)` of a statement with its bound values.
#[derive(QueryId)]
struct Explain<Q>(Q);

impl<Q: Query> Query for Explain<Q> {
    type SqlType = Json;
}

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Explain<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("EXPLAIN (ANALYZE, FORMAT JSON) ");
        self.0.walk_ast(out.reborrow())
    }
}

/// What a plan did: rows that its nodes touched at most, the kinds of its nodes, and of the tables it read: how many rows of
/// each in one node, and which from end to end.
#[derive(Debug, Default)]
struct Work {
    rows: u64,
    nodes: Vec<String>,
    tables: Vec<(String, u64)>,
    scanned: Vec<String>,
}

fn work(plan: &Value) -> Work {
    fn visit(node: &Value, work: &mut Work) {
        let number = |key: &str| node[key].as_f64().unwrap_or_default();
        let removed = number("Rows Removed by Filter") + number("Rows Removed by Index Recheck");
        let touched = (number("Actual Rows") + removed) * number("Actual Loops").max(1.0);
        work.rows = work.rows.max(touched as u64);
        if let Some(table) = node["Relation Name"].as_str()
            && number("Actual Loops") > 0.0
        {
            work.tables.push((table.to_owned(), touched as u64));
            if node["Node Type"] == "Seq Scan" {
                work.scanned.push(table.to_owned());
            }
        }
        // What was never executed read nothing.
        if number("Actual Loops") > 0.0 {
            work.nodes
                .push(node["Node Type"].as_str().unwrap().to_owned());
        }
        for child in node["Plans"].as_array().into_iter().flatten() {
            visit(child, work);
        }
    }
    let mut work = Work::default();
    visit(&plan[0]["Plan"], &mut work);
    work
}

/// A page of 20 touches 21 rows, whatever the plan is: for the last few rows of a list, sorting them is as good as
/// walking an index.
pub async fn reads_only_its_page<'q, Q>(conn: &mut AsyncPgConnection, what: &str, query: Q)
where
    Q: Query + QueryFragment<Pg> + QueryId + Send + 'q,
{
    reads_at_most(conn, 21, what, query).await;
}

/// No node of the statement's plan touches more rows than this.
pub async fn reads_at_most<'q, Q>(conn: &mut AsyncPgConnection, most: u64, what: &str, query: Q)
where
    Q: Query + QueryFragment<Pg> + QueryId + Send + 'q,
{
    let plan: Value = Explain(query).get_result(conn).await.unwrap();
    let work = work(&plan);
    assert!(work.rows <= most, "{what}: {work:?}\n{plan:#}");
}

/// No node of the statement's plan reads a table from end to end.
pub async fn reads_by_index<'q, Q>(conn: &mut AsyncPgConnection, what: &str, query: Q)
where
    Q: Query + QueryFragment<Pg> + QueryId + Send + 'q,
{
    let plan: Value = Explain(query).get_result(conn).await.unwrap();
    let nodes = work(&plan).nodes;
    assert!(
        !nodes.iter().any(|node| node == "Seq Scan"),
        "{what}: {plan:#}"
    );
}

/// No node of the statement's plan touches more rows of one of these tables than this, nor reads one from end to end.
pub async fn reads_only<'q, Q>(
    conn: &mut AsyncPgConnection,
    tables: &[&str],
    most: u64,
    what: &str,
    query: Q,
) where
    Q: Query + QueryFragment<Pg> + QueryId + Send + 'q,
{
    let plan: Value = Explain(query).get_result(conn).await.unwrap();
    let work = work(&plan);
    for (table, rows) in &work.tables {
        let grows = tables.contains(&table.as_str());
        assert!(!grows || *rows <= most, "{what}: {table} {rows}\n{plan:#}");
    }
    for table in &work.scanned {
        assert!(
            !tables.contains(&table.as_str()),
            "{what}: {table}\n{plan:#}"
        );
    }
}

/// What has been read of a table in this transaction.
#[derive(QueryableByName)]
struct TableRows {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

async fn rows_read(conn: &mut AsyncPgConnection, tables: &[&str]) -> BTreeMap<String, i64> {
    let counted = sql_query(
        "SELECT c.relname::text AS name, pg_stat_get_xact_tuples_returned(c.oid) + (
             SELECT coalesce(sum(pg_stat_get_xact_tuples_returned(indexrelid)), 0) FROM pg_index WHERE indrelid = c.oid
         )::bigint AS rows
         FROM pg_class c WHERE c.relname = ANY($1) AND c.relkind = 'r'",
    )
    .bind::<Array<Text>, _>(tables)
    .load::<TableRows>(conn)
    .await
    .unwrap();
    assert_eq!(counted.len(), tables.len());
    let named = counted.into_iter().map(|table| (table.name, table.rows));
    named.collect()
}

/// The statement reads no more rows of one of these tables than this, and entries of its indexes, by a plan that is made for
/// any values, which prepared statements come to have. `EXPLAIN` shows plans for the values alone, so this counts.
pub async fn reads_only_for_any_values<'q, Q>(
    conn: &mut AsyncPgConnection,
    tables: &[&str],
    most: u64,
    what: &str,
    query: Q,
) where
    Q: QueryFragment<Pg> + QueryId + Send + 'q,
{
    all_read_only_for_any_values(conn, tables, most, what, async |conn| {
        query.execute(conn).await.unwrap();
    })
    .await;
}

/// The same of all statements that this sends.
pub async fn all_read_only_for_any_values(
    conn: &mut AsyncPgConnection,
    tables: &[&str],
    most: u64,
    what: &str,
    send: impl AsyncFnOnce(&mut AsyncPgConnection),
) {
    conn.batch_execute("BEGIN; SET LOCAL plan_cache_mode = force_generic_plan")
        .await
        .unwrap();
    let before = rows_read(conn, tables).await;
    send(conn).await;
    let after = rows_read(conn, tables).await;
    conn.batch_execute("ROLLBACK").await.unwrap();
    for (table, rows) in &after {
        let read = u64::try_from(rows - before[table]).unwrap();
        assert!(read <= most, "{what}, for any values: {table} {read}");
    }
}

/// The 20 rows after this cursor; the first ones without.
pub fn after(cursor: Option<String>) -> PageArgs {
    PageArgs {
        first: Some(20),
        after: cursor,
        ..PageArgs::default()
    }
}

/// The 20 rows before this cursor.
pub fn before(cursor: String) -> PageArgs {
    PageArgs {
        last: Some(20),
        before: Some(cursor),
        ..PageArgs::default()
    }
}
