//! One private PostgreSQL for the whole test process, and a database of its own for each test.
//!
//! A database is cloned from a template that is migrated once. `STRATEGY file_copy` takes 40 ms where `wal_log` takes
//! 135 ms (60 tables, no fsync); both want a template without connections, so one thread makes them one after the other.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use companion::db::{
    migrate,
    private::{PrivateCluster, PrivateOptions},
};
use tokio::sync::{mpsc, oneshot};
use tokio_postgres::{Client, NoTls};

const TEMPLATE: &str = "companion_template";

/// So many dropped databases may wait while tests wait for new ones; each takes some 10 MB.
const DROPS_IN_ARREARS: usize = 16;

/// A database of one test: migrated, empty of rows other than the migrations', dropped with this.
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
}

impl TestDatabase {
    /// Clones the migrated template.
    pub async fn create() -> Self {
        Self::new(TEMPLATE).await
    }

    /// A database without any table, for tests of the migrations.
    pub async fn blank() -> Self {
        Self::new("template0").await
    }

    async fn new(template: &'static str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let (reply, made) = oneshot::channel();
        let order = Create {
            name: name.clone(),
            template,
            reply,
        };
        // The first test of all starts the cluster, which blocks.
        tokio::task::spawn_blocking(move || office().creates.send(order))
            .await
            .expect("the cluster starts")
            .expect("the office works");
        made.await
            .expect("the office answers")
            .expect("the database is made");
        Self { name }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address, for a pool or a process.
    pub fn url(&self) -> String {
        office().cluster.socket_url_of(&self.name)
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let _ = office().drops.send(self.name.clone());
    }
}

/// The cluster that every test shares.
pub fn cluster() -> &'static PrivateCluster {
    &office().cluster
}

struct Create {
    name: String,
    template: &'static str,
    reply: oneshot::Sender<Result<(), tokio_postgres::Error>>,
}

/// Where databases are ordered. It lives as long as the process; the cluster's watcher clears up after it.
struct Office {
    cluster: PrivateCluster,
    creates: mpsc::UnboundedSender<Create>,
    drops: mpsc::UnboundedSender<String>,
}

fn office() -> &'static Office {
    static OFFICE: OnceLock<Office> = OnceLock::new();
    OFFICE.get_or_init(|| {
        // `make test` installs what is missing; `cargo test` alone asks nobody for rights.
        let install = std::env::var_os("INSTALL_POSTGRESQL").is_some();
        let options = PrivateOptions::throwaway().install_missing(install);
        let cluster = PrivateCluster::start(options).expect("a cluster");
        let (creates, ordered) = mpsc::unbounded_channel();
        let (drops, dropped) = mpsc::unbounded_channel();
        let main = cluster.socket_url_of("companion");
        let template = cluster.socket_url_of(TEMPLATE);
        thread::spawn(move || {
            // Of more than one thread, because the migrations block one.
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .expect("a runtime")
                .block_on(work(&main, &template, ordered, dropped));
        });
        Office {
            cluster,
            creates,
            drops,
        }
    })
}

async fn work(
    main: &str,
    template: &str,
    mut creates: mpsc::UnboundedReceiver<Create>,
    mut drops: mpsc::UnboundedReceiver<String>,
) {
    let (client, connection) = tokio_postgres::connect(main, NoTls)
        .await
        .expect("the cluster answers");
    tokio::spawn(connection);
    let run = async |sql: String| client.batch_execute(&sql).await;
    run(format!("CREATE DATABASE {TEMPLATE}"))
        .await
        .expect("a template");
    migrate::up(template).await.expect("the migrations run");
    run(format!(
        "ALTER DATABASE {TEMPLATE} WITH ALLOW_CONNECTIONS false"
    ))
    .await
    .expect("a closed template");
    let strategy = strategy(&client).await;
    loop {
        if drops.len() > DROPS_IN_ARREARS
            && let Ok(name) = drops.try_recv()
        {
            drop_database(&client, &name).await;
        }
        tokio::select! {
            biased;
            Some(Create { name, template, reply }) = creates.recv() => {
                let _ = reply.send(run(format!("CREATE DATABASE {name} TEMPLATE {template}{strategy}")).await);
            }
            Some(name) = drops.recv() => drop_database(&client, &name).await,
            else => return,
        }
    }
}

/// PostgreSQL 14 knows one way only, and does not know its name.
async fn strategy(client: &Client) -> &'static str {
    let row = client
        .query_one("SELECT current_setting('server_version_num')::int4", &[])
        .await
        .expect("a version");
    if row.get::<_, i32>(0) >= 150_000 {
        " STRATEGY file_copy"
    } else {
        ""
    }
}

async fn drop_database(client: &Client, name: &str) {
    // Connections that a test left open go with it. A failure costs disk space until the end, no more.
    let _ = client
        .batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)"))
        .await;
}
