//! The shared connections for reads come back by themselves.

use std::{collections::BTreeSet, time::Duration};

use diesel::{QueryableByName, sql_query, sql_types::Integer};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use tokio::time::timeout;

use super::support::TestApp;

#[derive(QueryableByName)]
struct Backend {
    #[diesel(sql_type = Integer)]
    pid: i32,
}

async fn shared(conn: &mut AsyncPgConnection) -> BTreeSet<i32> {
    let open = "SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'companion reads'";
    let open: Vec<Backend> = sql_query(open).load(conn).await.unwrap();
    open.into_iter().map(|backend| backend.pid).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_connection_that_was_killed_is_opened_again() {
    let app = TestApp::start().await;
    let person = app.anonymous();
    let mut conn = app.conn().await;
    let read = async || {
        let answer = person
            .query("{ providers(first: 1) { totalCount nodes { id } } cities { id } }")
            .await;
        answer.data();
        person
            .query("{ providers(first: 1) { nodes { id } } }")
            .await
            .data();
    };
    app.app.db.ping().await.unwrap();
    read().await;
    let before = shared(&mut conn).await;
    assert!(!before.is_empty());

    let killed = before.iter().copied().next().unwrap();
    let kill = format!("SELECT pg_terminate_backend({killed})");
    sql_query(kill).execute(&mut conn).await.unwrap();
    let gone = async { while shared(&mut conn).await.contains(&killed) {} };
    timeout(Duration::from_secs(10), gone).await.unwrap();
    // Whoever asks now, and until it is there again, is answered.
    let back = async {
        loop {
            read().await;
            let now = shared(&mut conn).await;
            if now.len() == before.len() {
                break now;
            }
        }
    };
    let after = timeout(Duration::from_secs(10), back).await.unwrap();
    assert!(!after.contains(&killed));
    assert_eq!(after.difference(&before).count(), 1, "{before:?} {after:?}");
    assert_eq!(after.intersection(&before).count(), before.len() - 1);
}
