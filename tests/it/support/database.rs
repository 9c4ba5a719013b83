//! A database for each test, cloned from a migrated template.

use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::{Mutex, OnceCell};

static TEMPLATE: OnceCell<String> = OnceCell::const_new();
static CLONING: Mutex<()> = Mutex::const_new(());
static NEXT: AtomicU32 = AtomicU32::new(0);

fn server() -> String {
    std::env::var("TEST_PG").expect("TEST_PG: a PostgreSQL for tests")
}

fn url(database: &str) -> String {
    format!("{}/{database}?sslmode=disable", server())
}

async fn admin(sql: &str) {
    let mut conn = AsyncPgConnection::establish(&url("postgres"))
        .await
        .unwrap();
    conn.batch_execute(sql).await.unwrap();
}

async fn template() -> &'static str {
    TEMPLATE
        .get_or_init(|| async {
            let name = format!("template_{}", std::process::id());
            admin(&format!("CREATE DATABASE {name}")).await;
            companion::db::migrate::up(&url(&name)).await.unwrap();
            name
        })
        .await
}

/// Makes a database; answers its URL.
pub async fn create() -> String {
    let template = template().await;
    let name = format!(
        "test_{}_{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::SeqCst)
    );
    let _one_at_a_time = CLONING.lock().await;
    admin(&format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
    url(&name)
}
