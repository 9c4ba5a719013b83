//! Requests that are stopped at a known point, by a lock which the test holds in the database.

use std::time::Duration;

use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use serde_json::json;
use tokio::{task::JoinHandle, time::timeout};

use super::{Answer, Client, TestApp, market::uuid};

/// Long past what any step takes on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Changes a name, for which the person's row is locked.
pub const RENAME: &str = "mutation Rename($name: String!) {
    meUpdate(input: { displayName: $name }) { me { user { displayName } } userErrors { code } } }";

/// A transaction of the test's that keeps others waiting.
pub struct Held(AsyncPgConnection);

impl Held {
    pub async fn by(app: &TestApp, lock: &str) -> Self {
        let mut conn = app.conn().await;
        conn.batch_execute(&format!("BEGIN; {lock}")).await.unwrap();
        Self(conn)
    }

    /// Keeps this person's row from being changed.
    pub async fn person(app: &TestApp, person: &Client) -> Self {
        let id = uuid::<companion::db::ids::UserId>(&person.user_id);
        Self::by(
            app,
            &format!("SELECT FROM users WHERE id = '{id}' FOR UPDATE"),
        )
        .await
    }

    pub async fn release(mut self) {
        self.0.batch_execute("COMMIT").await.unwrap();
    }
}

/// How many statements of the server wait for a lock.
pub const WAITING: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
    AND application_name IN ('companion', 'companion reads') AND wait_event_type = 'Lock'";

/// Waits until a statement of the server waits for a lock.
pub async fn until_held(app: &TestApp) {
    until_so_many_are_held(app, 1).await;
}

/// Waits until so many statements of the server wait for locks.
pub async fn until_so_many_are_held(app: &TestApp, statements: i64) {
    let held = async { while app.number(WAITING).await < statements {} };
    timeout(LIMIT, held).await.expect("statements wait");
}

/// What a person is called.
pub async fn name_of(person: &Client) -> String {
    let answer = person.query("{ me { user { displayName } } }").await;
    answer.data()["me"]["user"]["displayName"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// Renames in a task of its own.
pub fn rename(person: &Client, name: &str) -> JoinHandle<Answer> {
    let (person, variables) = (person.clone(), json!({ "name": name }));
    tokio::spawn(async move { person.post(RENAME, variables).await })
}
