//! What other copies of the server changed: PostgreSQL's LISTEN, with a heartbeat that says how fresh we are.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinHandle,
    time::timeout,
};
use tokio_postgres::{AsyncMessage, Client};

use super::cause::with_causes;

/// How often the heartbeat asks; a third of the second that rule 17 allows.
const HEARTBEAT: Duration = Duration::from_millis(300);

/// How long opening a connection may take, its greeting and all.
const OPENING: Duration = Duration::from_secs(5);
/// What a listener sends itself to see that messages arrive.
const PROBE: &str = "probe";
/// How long the probe may take.
const PROBE_PATIENCE: Duration = Duration::from_secs(1);

/// LISTEN was accepted and brings nothing: between us and the database is a pooler that gives each transaction
/// another connection.
#[derive(Debug, thiserror::Error)]
#[error("messages of the database do not arrive")]
struct Deaf;

/// Says how long ago the database was last heard.
#[derive(Clone)]
pub struct Freshness {
    origin: Instant,
    heard_at: Arc<AtomicU64>,
    heard: Arc<Notify>,
    /// The database answers, and its messages can't come this way.
    deaf: Arc<AtomicBool>,
}

impl Freshness {
    fn new() -> Self {
        // Never heard yet.
        Self {
            origin: Instant::now(),
            heard_at: Arc::new(AtomicU64::new(u64::MAX)),
            heard: Arc::default(),
            deaf: Arc::default(),
        }
    }

    fn mark(&self, at: Instant) {
        let millis = u64::try_from((at - self.origin).as_millis()).unwrap_or(u64::MAX);
        self.heard_at.store(millis, Relaxed);
        self.heard.notify_waiters();
    }

    /// Waits until everything committed before this call has arrived here.
    pub async fn catch_up(&self) {
        let now = u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX);
        loop {
            let heard = self.heard.notified();
            let at = self.heard_at.load(Relaxed);
            if at != u64::MAX && at >= now {
                return;
            }
            heard.await;
        }
    }

    /// Whether the database was heard within a second, or can't be heard for good: a pooler in between brings no
    /// messages, so that every request asks for its rights and none waits for a connection that never comes.
    pub fn is_settled(&self) -> bool {
        self.is_fresh() || self.deaf.load(Relaxed)
    }

    /// Whether everything committed more than a second ago has arrived here.
    pub fn is_fresh(&self) -> bool {
        let heard = self.heard_at.load(Relaxed);
        if heard == u64::MAX {
            return false;
        }
        let now = u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX);
        now.saturating_sub(heard) < 1000
    }
}

/// Listens in a task of its own until dropped.
pub struct Listener {
    freshness: Freshness,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Listener {
    /// Starts to listen on `channel` and hands each payload to `on_payload`; calls `on_gap` whenever
    /// messages may have been missed (at first, and after each lost connection).
    pub fn start(
        url: String,
        channel: &'static str,
        on_payload: impl Fn(&str) + Send + Sync + 'static,
        on_gap: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let freshness = Freshness::new();
        let heard = freshness.clone();
        let task = tokio::spawn(async move {
            let mut said = false;
            loop {
                if let Err(error) = listen(&url, channel, &heard, &on_payload, &on_gap).await {
                    let cause = with_causes(&*error);
                    tracing::debug!(%cause, channel, "listening was interrupted");
                    heard.deaf.store(error.is::<Deaf>(), Relaxed);
                    if error.is::<Deaf>() && !said {
                        said = true;
                        tracing::warn!(
                            "{error}: set DATABASE_DIRECT_URL past the pooler; until then every request asks for its rights"
                        );
                    }
                }
                tokio::time::sleep(HEARTBEAT).await;
            }
        });
        Self {
            freshness,
            task: Mutex::new(Some(task)),
        }
    }

    /// How fresh what we know is.
    pub fn freshness(&self) -> &Freshness {
        &self.freshness
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Ok(mut task) = self.task.lock()
            && let Some(task) = task.take()
        {
            task.abort();
        }
    }
}

async fn listen(
    url: &str,
    channel: &str,
    freshness: &Freshness,
    on_payload: &(impl Fn(&str) + Sync),
    on_gap: &(impl Fn() + Sync),
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut config: tokio_postgres::Config = url.parse()?;
    config
        .application_name("companion listen")
        .connect_timeout(Duration::from_secs(2));
    let (client, mut messages) = open(&config).await?;
    let listening = format!("LISTEN {channel}");
    timeout(OPENING, client.batch_execute(&listening)).await??;
    let on_payload = |payload: &str| {
        if payload != PROBE {
            on_payload(payload);
        }
    };
    on_gap();
    probe(&config, channel, &mut messages, &on_payload).await?;
    loop {
        let asked = Instant::now();
        // Notifications that were committed before this statement arrive before its answer.
        timeout(Duration::from_secs(1), client.batch_execute("")).await??;
        while let Ok(payload) = messages.try_recv() {
            on_payload(&payload);
        }
        freshness.mark(asked);
        let heartbeat = tokio::time::sleep(HEARTBEAT);
        tokio::pin!(heartbeat);
        loop {
            tokio::select! {
                () = &mut heartbeat => break,
                message = messages.recv() => match message {
                    Some(payload) => on_payload(&payload),
                    None => return Err("the connection was closed".into()),
                },
            }
        }
    }
}

/// Opens a connection, and what its notifications come out of.
async fn open(
    config: &tokio_postgres::Config,
) -> Result<(Client, mpsc::UnboundedReceiver<String>), Box<dyn std::error::Error + Send + Sync>> {
    let (sender, messages) = mpsc::unbounded_channel();
    // `connect_timeout` is over once there is somebody, who need not say a word.
    let client = if config.get_ssl_mode() == tokio_postgres::config::SslMode::Disable {
        let connecting = config.connect(tokio_postgres::NoTls);
        let (client, connection) = timeout(OPENING, connecting).await??;
        forward(connection, sender);
        client
    } else {
        let connecting = config.connect(super::pool::tls()?);
        let (client, connection) = timeout(OPENING, connecting).await??;
        forward(connection, sender);
        client
    };
    Ok((client, messages))
}

/// Makes sure that a message arrives while nothing is asked. A pooler in transaction mode accepts LISTEN and answers
/// every heartbeat, yet brings no message; taken for fresh, an ended session would work on.
async fn probe(
    config: &tokio_postgres::Config,
    channel: &str,
    messages: &mut mpsc::UnboundedReceiver<String>,
    on_payload: impl Fn(&str),
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let (other, _) = open(config).await?;
    let notifying = format!("NOTIFY {channel}, '{PROBE}'");
    timeout(OPENING, other.batch_execute(&notifying)).await??;
    let arrived = async {
        // Another copy's probe proves as much as our own.
        while let Some(payload) = messages.recv().await {
            if payload == PROBE {
                return true;
            }
            on_payload(&payload);
        }
        false
    };
    match timeout(PROBE_PATIENCE, arrived).await {
        Ok(true) => Ok(()),
        Ok(false) => Err("the connection was closed".into()),
        Err(_) => Err(Deaf.into()),
    }
}

/// Drives the connection and passes its notifications on; ends, and with it the channel, when it breaks.
fn forward<S, T>(
    mut connection: tokio_postgres::Connection<S, T>,
    sender: mpsc::UnboundedSender<String>,
) where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notification(notification) = message
                && sender.send(notification.payload().to_owned()).is_err()
            {
                break;
            }
        }
    });
}
