//! `src/db/schema.rs` is what the migrated database says; `UPDATE=1` writes it.

use std::fmt::Write;

use diesel::{QueryableByName, sql_query, sql_types::Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::support::TestApp;

#[derive(QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    column_name: String,
    #[diesel(sql_type = Text)]
    udt_name: String,
    #[diesel(sql_type = Text)]
    is_nullable: String,
}

#[derive(QueryableByName)]
struct KeyColumn {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    column_name: String,
}

fn diesel_type(udt_name: &str) -> &'static str {
    match udt_name {
        "_text" => "Array<Text>",
        "bool" => "Bool",
        "bytea" => "Bytea",
        "date" => "Date",
        "float8" => "Float8",
        "int4" => "Int4",
        "int8" => "Int8",
        "jsonb" => "Jsonb",
        "numeric" => "Numeric",
        "text" => "Text",
        "timestamptz" => "Timestamptz",
        "tstzrange" => "Tstzrange",
        "uuid" => "Uuid",
        "_timestamptz" => "Array<Timestamptz>",
        other => panic!("teach this test the type {other}"),
    }
}

async fn generate(conn: &mut AsyncPgConnection) -> String {
    let columns: Vec<Column> = sql_query(
        "SELECT table_name::text, column_name::text, udt_name::text, is_nullable::text
         FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE '\\_\\_%'
         ORDER BY table_name COLLATE \"C\", ordinal_position",
    )
    .load(conn)
    .await
    .unwrap();
    let keys: Vec<KeyColumn> = sql_query(
        "SELECT tc.table_name::text, kcu.column_name::text
         FROM information_schema.table_constraints tc
         JOIN information_schema.key_column_usage kcu USING (constraint_name, table_name)
         WHERE tc.constraint_type = 'PRIMARY KEY' AND tc.table_schema = 'public'
         ORDER BY 1, kcu.ordinal_position",
    )
    .load(conn)
    .await
    .unwrap();
    let mut tables: Vec<&str> = columns
        .iter()
        .map(|column| column.table_name.as_str())
        .collect();
    tables.dedup();
    let mut text = String::from(
        "//! The tables as diesel sees them. Written by `UPDATE=1 cargo test --test it schema_rs`; do not edit.\n\
         #![allow(missing_docs)]\n\n",
    );
    for table in &tables {
        let key: Vec<&str> = keys
            .iter()
            .filter(|key| key.table_name == *table)
            .map(|key| key.column_name.as_str())
            .collect();
        writeln!(
            text,
            "diesel::table! {{\n    {table} ({}) {{",
            key.join(", ")
        )
        .unwrap();
        for column in columns.iter().filter(|column| column.table_name == *table) {
            let mut kind = diesel_type(&column.udt_name).to_owned();
            if column.is_nullable == "YES" {
                kind = format!("Nullable<{kind}>");
            }
            writeln!(text, "        {} -> {kind},", column.column_name).unwrap();
        }
        text.push_str("    }\n}\n\n");
    }
    text.push_str("diesel::allow_tables_to_appear_in_same_query!(\n");
    for table in &tables {
        writeln!(text, "    {table},").unwrap();
    }
    text.push_str(");\n");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn schema_rs_equals_the_database() {
    let app = TestApp::start().await;
    let expected = generate(&mut app.conn().await).await;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/db/schema.rs");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &expected).unwrap();
    }
    let actual = std::fs::read_to_string(path).unwrap();
    assert!(
        actual == expected,
        "src/db/schema.rs is stale: run UPDATE=1 cargo test --test it schema_rs"
    );
}
