//! The migrations: down and up again is the same database, and what the schema promises of keys, names and times.

use std::collections::BTreeSet;

use companion::db::migrate;
use diesel::{QueryableByName, sql_query, sql_types::Text};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};

use super::support::TestDatabase;

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

async fn lines(conn: &mut AsyncPgConnection, sql: &str) -> Vec<String> {
    let rows: Vec<Line> = sql_query(sql).load(conn).await.unwrap();
    rows.into_iter().map(|row| row.line).collect()
}

/// Our own things: nothing of an extension, nor diesel's table of what was applied.
const OWN_TABLES: &str =
    "SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
      AND c.relname <> '__diesel_schema_migrations'
      AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')";

/// Everything that makes the database what it is, a line each: tables, columns in their order, constraints, indexes,
/// triggers, functions, types, extensions, comments, and every row.
async fn dump(conn: &mut AsyncPgConnection) -> BTreeSet<String> {
    let catalogue = [
        "SELECT 'extension ' || extname AS line FROM pg_extension".to_owned(),
        format!("SELECT 'relation ' || relkind::text || ' ' || relname AS line FROM pg_class WHERE oid IN ({OWN_TABLES})"),
        format!(
            "SELECT format('column %s.%s #%s %s not null: %s default: %s generated: %s', attrelid::regclass, attname,
                    row_number() OVER (PARTITION BY attrelid ORDER BY attnum), format_type(atttypid, atttypmod),
                    attnotnull, pg_get_expr(adbin, adrelid), attgenerated) AS line
             FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
             WHERE attnum > 0 AND NOT attisdropped AND attrelid IN ({OWN_TABLES})"
        ),
        format!(
            "SELECT format('constraint %s on %s: %s validated: %s', conname, conrelid::regclass,
                    pg_get_constraintdef(oid), convalidated) AS line
             FROM pg_constraint WHERE conrelid IN ({OWN_TABLES})"
        ),
        format!(
            "SELECT format('index %s valid: %s', pg_get_indexdef(indexrelid), indisvalid) AS line
             FROM pg_index WHERE indrelid IN ({OWN_TABLES})"
        ),
        format!(
            "SELECT format('trigger %s enabled: %s', pg_get_triggerdef(oid), tgenabled) AS line
             FROM pg_trigger WHERE NOT tgisinternal AND tgrelid IN ({OWN_TABLES})"
        ),
        format!(
            "SELECT format('comment %s %s: %s', objoid::regclass, objsubid, description) AS line
             FROM pg_description WHERE classoid = 'pg_class'::regclass AND objoid IN ({OWN_TABLES})"
        ),
        "SELECT 'function ' || pg_get_functiondef(p.oid) AS line
         FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
         WHERE n.nspname = 'public' AND p.prokind IN ('f', 'p')
           AND p.proname NOT LIKE 'diesel\\_%'
           AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')"
            .to_owned(),
        "SELECT 'type ' || t.typname AS line FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
         WHERE n.nspname = 'public' AND t.typtype IN ('e', 'd', 'r')
           AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = t.oid AND d.deptype = 'e')"
            .to_owned(),
    ];
    let mut dump = BTreeSet::new();
    for sql in catalogue {
        dump.extend(lines(conn, &sql).await);
    }
    let tables = format!(
        "SELECT relname::text AS line FROM pg_class WHERE relkind = 'r' AND oid IN ({OWN_TABLES}) ORDER BY 1"
    );
    for table in lines(conn, &tables).await {
        let rows = format!("SELECT 'row {table} ' || t::text AS line FROM {table} t");
        dump.extend(lines(conn, &rows).await);
    }
    dump
}

fn assert_same(expected: &BTreeSet<String>, actual: &BTreeSet<String>, when: &str) {
    let missing: Vec<_> = expected.difference(actual).collect();
    let surplus: Vec<_> = actual.difference(expected).collect();
    assert!(
        missing.is_empty() && surplus.is_empty(),
        "{when}\nmissing: {missing:#?}\nleft over: {surplus:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn down_and_up_again_is_the_same_database() {
    let database = TestDatabase::blank().await;
    let url = database.url();
    let mut conn = AsyncPgConnection::establish(&url).await.unwrap();
    let blank = dump(&mut conn).await;
    let applied = migrate::up(&url).await.unwrap();
    let full = dump(&mut conn).await;
    assert!(full.len() > 500, "the dump sees only {} things", full.len());
    // Each step back on its own, so that no later one hides what an earlier one leaves behind.
    for depth in 1..=applied.len() {
        for name in applied.iter().rev().take(depth) {
            assert_eq!(migrate::down(&url).await.unwrap().as_ref(), Some(name));
        }
        if depth == applied.len() {
            assert_same(
                &blank,
                &dump(&mut conn).await,
                "after every migration was taken back",
            );
            assert_eq!(migrate::down(&url).await.unwrap(), None);
        }
        assert_eq!(migrate::up(&url).await.unwrap().len(), depth);
        let oldest = &applied[applied.len() - depth];
        assert_same(
            &full,
            &dump(&mut conn).await,
            &format!("back to before {oldest} and up again"),
        );
    }
}

/// Without one, each change of the other table reads this one from end to end.
#[tokio::test(flavor = "multi_thread")]
async fn every_foreign_key_has_an_index() {
    let database = TestDatabase::create().await;
    let mut conn = AsyncPgConnection::establish(&database.url()).await.unwrap();
    let keys = "SELECT conname::text AS line FROM pg_constraint
        WHERE contype = 'f' AND connamespace = 'public'::regnamespace";
    assert!(lines(&mut conn, keys).await.len() > 30);
    let without = lines(
        &mut conn,
        "SELECT format('%s on %s', f.conname, f.conrelid::regclass) AS line FROM pg_constraint f
         WHERE f.contype = 'f' AND f.connamespace = 'public'::regnamespace AND NOT EXISTS (
             SELECT 1 FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
             WHERE i.indrelid = f.conrelid AND i.indisvalid AND a.amname = 'btree'
               -- All rows, or all that the key can hold back.
               AND (i.indpred IS NULL OR (cardinality(f.conkey) = 1 AND pg_get_expr(i.indpred, i.indrelid) =
                   format('(%I IS NOT NULL)', (SELECT attname FROM pg_attribute
                       WHERE attrelid = f.conrelid AND attnum = f.conkey[1]))))
               AND i.indnkeyatts >= cardinality(f.conkey)
               AND (SELECT array_agg(k ORDER BY k) FROM unnest((i.indkey::int2[])[0:cardinality(f.conkey) - 1]) k)
                 = (SELECT array_agg(k ORDER BY k) FROM unnest(f.conkey) k))",
    )
    .await;
    assert!(
        without.is_empty(),
        "foreign keys without an index: {without:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_column_fills_in_a_time() {
    let database = TestDatabase::create().await;
    let mut conn = AsyncPgConnection::establish(&database.url()).await.unwrap();
    let times = "FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE '\\_\\_%'
        AND (data_type LIKE 'time%' OR data_type IN ('date', 'interval', 'uuid'))";
    let all = lines(
        &mut conn,
        &format!("SELECT column_name::text AS line {times}"),
    )
    .await;
    assert!(all.len() > 80);
    let filled = format!(
        "SELECT format('%s.%s', table_name, column_name) AS line {times} AND column_default IS NOT NULL"
    );
    assert_eq!(lines(&mut conn, &filled).await, [""; 0]);
    let naive = format!(
        "SELECT format('%s.%s', table_name, column_name) AS line {times} AND data_type LIKE '%without time zone'"
    );
    assert_eq!(lines(&mut conn, &naive).await, [""; 0]);
}

/// A fault names its constraint, and services look that name up: it says the table, then what it is.
#[tokio::test(flavor = "multi_thread")]
async fn constraints_and_indexes_say_their_table_and_kind() {
    let database = TestDatabase::create().await;
    let mut conn = AsyncPgConnection::establish(&database.url()).await.unwrap();
    let odd = lines(
        &mut conn,
        "SELECT format('%s on %s', conname, relname) AS line
         FROM pg_constraint JOIN pg_class c ON c.oid = conrelid
         WHERE connamespace = 'public'::regnamespace AND relname NOT LIKE '\\_\\_%' AND contype IN ('p', 'f', 'u', 'c', 'x')
           AND NOT (starts_with(conname, relname || '_') AND conname ~ CASE contype
               WHEN 'p' THEN '_pkey$' WHEN 'f' THEN '_fkey$' WHEN 'u' THEN '_key$' WHEN 'c' THEN '_check$'
               ELSE '_no_overlap$' END)
         UNION ALL
         SELECT format('%s on %s', i.relname, t.relname)
         FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
         WHERE t.relnamespace = 'public'::regnamespace AND t.relname NOT LIKE '\\_\\_%'
           AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = i.oid AND contype IN ('p', 'u', 'x'))
           AND NOT (starts_with(i.relname, t.relname || '_')
               AND i.relname ~ CASE WHEN x.indisunique THEN '_one_' ELSE '_idx$' END)",
    )
    .await;
    assert_eq!(odd, [""; 0]);
}
