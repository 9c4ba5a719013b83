//! What surrounds every request: its id, its client's address, its line in the log, its metrics.

use std::{
    net::IpAddr,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use tracing::Instrument;

use super::{problem::Problem, proxies, router::Http, serve::Peer};
use crate::{
    auth::viewer::Viewer,
    db::{
        ids::UserId,
        stats::{SQL_STATS, SqlStats},
    },
    graphql::errors::TopLevelCode,
};

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
/// The longest `User-Agent` kept, in characters.
const USER_AGENT: usize = 200;
/// The longest operation name in the log.
const OPERATION_NAME: usize = 100;
/// What the log shows where the client hung up before the answer.
const HUNG_UP: u16 = 499;

/// A request as its handlers see it, a request extension.
#[derive(Debug)]
pub struct RequestInfo {
    /// As in `X-Request-Id`.
    pub request_id: Arc<str>,
    /// The client's address, past trusted proxies.
    pub address: Option<IpAddr>,
    /// The client's `User-Agent`, at most 200 characters.
    pub user_agent: Option<Arc<str>>,
    /// What the request costs in SQL.
    pub stats: Arc<SqlStats>,
    note: Mutex<Note>,
}

#[derive(Debug, Default)]
struct Note {
    user: Option<UserId>,
    operation: Option<String>,
    operation_type: Option<&'static str>,
    codes: Vec<String>,
}

impl RequestInfo {
    /// The viewer before anybody is known.
    pub fn anonymous(&self) -> Viewer {
        Viewer::anonymous(
            self.request_id.clone(),
            self.address,
            self.user_agent.clone(),
        )
    }

    fn note(&self, change: impl FnOnce(&mut Note)) {
        change(&mut self.note.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Notes for the log who it is.
    pub fn is_by(&self, user: Option<UserId>) {
        self.note(|note| note.user = user);
    }

    /// Notes an operation for the log; of a batch, the last stays.
    pub fn operation(&self, name: Option<&str>, operation_type: &'static str) {
        self.note(|note| {
            note.operation = name.map(|name| name.chars().take(OPERATION_NAME).collect());
            note.operation_type = Some(operation_type);
        });
    }

    /// Notes an error code for the log.
    pub fn code(&self, code: &str) {
        self.note(|note| {
            if !note.codes.iter().any(|known| known == code) {
                note.codes.push(code.to_owned());
            }
        });
    }
}

/// The middleware around everything.
pub async fn around(State(http): State<Arc<Http>>, mut request: Request, next: Next) -> Response {
    let info = Arc::new(info(&http, &request));
    let mut line = Line {
        info: info.clone(),
        method: method(&request),
        route: request
            .extensions()
            .get::<MatchedPath>()
            .map_or_else(|| "other".to_owned(), |path| path.as_str().to_owned()),
        started: Instant::now(),
        status: HUNG_UP,
    };
    request.extensions_mut().insert(info.clone());
    let refused = host_refused(&http, &request, &line.route);
    let span = tracing::info_span!("request", request_id = %info.request_id);
    let answer = async {
        match refused {
            Some(problem) => Ok(problem.into_response()),
            None => AssertUnwindSafe(next.run(request)).catch_unwind().await,
        }
    };
    let answer = SQL_STATS
        .scope(info.stats.clone(), answer)
        .instrument(span)
        .await;
    let mut response = answer.unwrap_or_else(|_| {
        tracing::error!(request_id = %info.request_id, "a handler panicked");
        Problem::internal().into_response()
    });
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        info.code(problem.code);
        let mut written = problem.with_request_id(&info.request_id);
        for (name, value) in response.headers() {
            if name != header::CONTENT_LENGTH && !written.headers().contains_key(name) {
                written.headers_mut().append(name, value.clone());
            }
        }
        response = written;
    }
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&info.request_id) {
        headers.insert(&REQUEST_ID, value);
    }
    if !http.app.config.is_production() {
        let (statements, time) = (info.stats.statements(), info.stats.time());
        let timing = format!(
            "db;desc=\"{statements} statements\";dur={:.3}, plan;desc=\"{} written\"",
            time.as_secs_f64() * 1000.0,
            info.stats.plans()
        );
        if let Ok(value) = HeaderValue::from_str(&timing) {
            headers.insert(&SERVER_TIMING, value);
        }
    }
    line.status = response.status().as_u16();
    response
}

fn info(http: &Http, request: &Request) -> RequestInfo {
    let headers = request.headers();
    let app = &http.app;
    let request_id = headers
        .get(&REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(|value| is_sane(value))
        .map_or_else(
            || app.entropy.uuid_v7(app.clock.now()).to_string(),
            str::to_owned,
        );
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0.ip());
    RequestInfo {
        request_id: request_id.into(),
        address: peer.map(|peer| proxies::client(peer, headers, &app.config.trusted_proxies)),
        user_agent: user_agent(headers),
        stats: Arc::default(),
        note: Mutex::default(),
    }
}

/// A caller's request id is kept when it can stand in a header, a log and a URL as it is.
fn is_sane(id: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=64).contains(&id.len()) && id.bytes().all(legal)
}

fn user_agent(headers: &HeaderMap) -> Option<Arc<str>> {
    let value = headers.get(header::USER_AGENT)?.to_str().ok()?;
    Some(value.chars().take(USER_AGENT).collect::<String>().into())
}

/// The method for the log and the metrics, which would otherwise have a series for each word that somebody invents.
fn method(request: &Request) -> String {
    let method = request.method();
    let known = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
    ];
    if known.contains(method) {
        method.to_string()
    } else {
        "other".to_owned()
    }
}

/// Refuses names that are not ours; whoever checks our health may use any.
fn host_refused(http: &Http, request: &Request, route: &str) -> Option<Problem> {
    if route.starts_with("/health/") || route == "/metrics" {
        return None;
    }
    let mut headers = request.headers().get_all(header::HOST).iter();
    let header = headers.next().and_then(|value| value.to_str().ok());
    // RFC 9112, section 3.2: an address in the request line wins, and of two headers nobody knows which is meant.
    let host = request.uri().host().or(header).unwrap_or_default();
    (headers.next().is_some() || !http.app.config.allows_host(host)).then(|| {
        Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            TopLevelCode::BadRequest,
            "This host name is not served here.",
        )
    })
}

/// The request's line in the log, written when it ends, however it ends.
struct Line {
    info: Arc<RequestInfo>,
    method: String,
    route: String,
    started: Instant,
    status: u16,
}

impl Drop for Line {
    fn drop(&mut self) {
        let Self {
            info,
            method,
            route,
            started,
            status,
        } = self;
        let latency = started.elapsed();
        let (statements, time) = (info.stats.statements(), info.stats.time());
        let note = std::mem::take(&mut *info.note.lock().unwrap_or_else(PoisonError::into_inner));
        tracing::info!(
            target: "companion::request",
            request_id = %info.request_id,
            user_id = note.user.map(|user| user.to_string()),
            operation = note.operation,
            operation_type = note.operation_type,
            method = method.as_str(),
            route = route.as_str(),
            status,
            codes = (!note.codes.is_empty()).then(|| note.codes.join(",")),
            latency_ms = latency.as_secs_f64() * 1000.0,
            sql_statements = statements,
            sql_ms = time.as_secs_f64() * 1000.0,
            "request"
        );
        let labels = [
            ("route", route.clone()),
            ("method", method.clone()),
            ("status", status.to_string()),
        ];
        metrics::counter!("http_requests_total", &labels).increment(1);
        metrics::histogram!("http_request_duration_seconds", "route" => route.clone())
            .record(latency.as_secs_f64());
        metrics::counter!("sql_statements_total").increment(u64::from(statements));
    }
}
