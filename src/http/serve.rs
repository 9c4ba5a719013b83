//! The accept loop: HTTP/1.1 and HTTP/2 over hyper, with an end for whoever keeps a connection open and says nothing.
//!
//! hyper bounds neither the wait for the first bytes (it looks for HTTP/2's preface first) nor slow HTTP/2 headers, so
//! each connection has a watch of its own over what arrives, what leaves and which requests run.

use std::{
    convert::Infallible,
    future::Future,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{Router, body::Body};
use http::Request;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, sleep_until, timeout},
};
use tower::ServiceExt;

use super::tasks::Tasks;

/// Connections that may wait to be accepted; the kernel takes `net.core.somaxconn` where that is less. A crowd that comes
/// back at once, as after a restart, overflows the usual 128: whom the kernel then drops tries again a second later.
const BACKLOG: u32 = 4_096;
/// Connections served at once; more wait in the listener's backlog.
const CONNECTIONS: u32 = 8_192;
/// How long a connection that is used again and again may rest between two requests.
const REST: Duration = Duration::from_secs(75);
/// How long to wait after an `accept` that failed for want of file descriptors or memory.
const BREATH: Duration = Duration::from_millis(100);
/// Fewer bytes written at once are taken for frames about the connection, such as the answer to a ping.
const SMALL_TALK: usize = 512;
/// Requests that one HTTP/2 connection may have open at once.
const STREAMS: u32 = 100;
/// The largest header section, in bytes.
const HEADERS: usize = 32 * 1024;

/// The other end of the connection, a request extension; perhaps a proxy.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// How long the loop waits for what.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a request's headers to arrive, and for the client to take some of the answer.
    pub headers: Duration,
    /// For running requests after the stop.
    pub shutdown: Duration,
}

/// Listens on `address`, on one that is still closing connections too. Needs a runtime.
///
/// # Errors
/// When the address can't be had.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // Elsewhere it would let another program take the address away.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves until `stop` is ready; then takes no more connections, lets running requests and `tasks` finish for at most
/// `patience.shutdown`, and returns.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    patience: Patience,
    tasks: Tasks,
    stop: impl Future<Output = ()>,
) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS as usize));
    let (stopping, stopped) = watch::channel(false);
    let mut stop = pin!(stop);
    loop {
        let next = accept(&listener, &connections);
        let (stream, peer, permit) = tokio::select! {
            () = &mut stop => break,
            next = next => next,
        };
        let connection = connection(stream, peer, router.clone(), patience, stopped.clone());
        tokio::spawn(async move {
            connection.await;
            drop(permit);
        });
    }
    drop(listener);
    stopping.send_replace(true);
    let finished = async {
        let _ = connections.acquire_many(CONNECTIONS).await;
        tasks.finish().await;
    };
    if timeout(patience.shutdown, finished).await.is_err() {
        tracing::warn!("stopped with requests still running");
    }
}

async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    loop {
        let Ok(permit) = connections.clone().acquire_owned().await else {
            // The semaphore is never closed.
            return std::future::pending().await;
        };
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, permit),
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept connections");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}

fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    patience: Patience,
    mut stopped: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let activity = Arc::new(Activity::new());
    let io = TokioIo::new(Watched {
        stream,
        activity: activity.clone(),
    });
    let service = service_fn({
        let activity = activity.clone();
        move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer));
            let running = Running::new(activity.clone());
            let answer = router.clone().oneshot(request.map(Body::new));
            async move {
                let answer = answer.await;
                drop(running);
                answer.map_err(|never: Infallible| match never {})
            }
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    // The watch below tells a slow header from a connection that rests; hyper's own timer does not.
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_buf_size(HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADERS as u32);
    let mut connection = pin!(builder.serve_connection_with_upgrades(io, service));
    let mut draining = *stopped.borrow();
    if draining {
        connection.as_mut().graceful_shutdown();
    }
    loop {
        // What is still far off while it rests comes nearer once it asks.
        let soon = Instant::now() + patience.headers;
        let check = activity.deadline(patience.headers).min(soon);
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "connection ended");
                }
                return;
            }
            () = sleep_until(check) => {
                if activity.deadline(patience.headers) <= Instant::now() {
                    tracing::debug!(%peer, "closed a silent connection");
                    return;
                }
            }
            changed = stopped.changed(), if !draining => {
                draining = true;
                if changed.is_ok() {
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

/// What a connection did last.
struct Activity {
    running: AtomicUsize,
    /// Whether something arrived since the last answer.
    heard: AtomicBool,
    /// Whether a request was answered at all.
    served: AtomicBool,
    /// Whether what is written finds no room, because the client takes nothing.
    stuck: AtomicBool,
    progress: Mutex<Instant>,
}

impl Activity {
    fn new() -> Self {
        Self {
            running: AtomicUsize::new(0),
            heard: AtomicBool::new(false),
            served: AtomicBool::new(false),
            stuck: AtomicBool::new(false),
            progress: Mutex::new(Instant::now()),
        }
    }

    fn progressed(&self) {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// When to close, if nothing changes until then.
    fn deadline(&self, headers: Duration) -> Instant {
        let progress = *self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        if self.running.load(SeqCst) > 0 {
            // Handlers bound their own time; look again later.
            return Instant::now() + headers;
        }
        let busy = self.heard.load(SeqCst) || self.stuck.load(SeqCst);
        let rests = self.served.load(SeqCst) && !busy;
        progress + if rests { headers.max(REST) } else { headers }
    }
}

/// A request that runs.
struct Running(Arc<Activity>);

impl Running {
    fn new(activity: Arc<Activity>) -> Self {
        activity.running.fetch_add(1, SeqCst);
        Self(activity)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.progressed();
        self.0.heard.store(false, SeqCst);
        self.0.served.store(true, SeqCst);
        self.0.running.fetch_sub(1, SeqCst);
    }
}

/// A stream that reports what passes.
struct Watched {
    stream: TcpStream,
    activity: Arc<Activity>,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before && !self.activity.heard.swap(true, SeqCst) {
            // The clock of a request starts with its first byte, and no later byte moves it.
            self.activity.progressed();
        }
        polled
    }
}

impl Watched {
    fn wrote(&self, polled: &Poll<io::Result<usize>>) {
        self.activity.stuck.store(polled.is_pending(), SeqCst);
        // A connection that never asked for anything, and the few bytes of HTTP/2's own talk, get no time by it.
        let answers = self.activity.served.load(SeqCst);
        if answers && matches!(polled, Poll::Ready(Ok(SMALL_TALK..))) {
            self.activity.progressed();
        }
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, buffer);
        self.wrote(&polled);
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, buffers);
        self.wrote(&polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
