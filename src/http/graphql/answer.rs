//! Answers and their statuses (api.md, "Errors").

use std::collections::BTreeMap;

use async_graphql::{ServerError, Value};
use axum::{body::Body, response::Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use super::{accept::Media, trail::Trail};
use crate::{
    entropy::Entropy,
    error::Error,
    features::limits::bucket::Standing,
    graphql::{
        errors::{TopLevelCode, UNAVAILABLE, top_level},
        limits::{LimitError, LimitKind},
        plan::json::write_value,
        refused::Asked,
    },
    http::{
        limits::Standings,
        problem::{retry_seconds, soon},
    },
};

/// The longest message passed on: a part of the document can stand in it.
const MESSAGE: usize = 500;
/// What a body has room for before it must grow.
const BODY: usize = 1024;

/// What stands in `errors` before the request id is known.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) code: TopLevelCode,
    pub(super) error: ServerError,
}

/// The answer to one operation, or to the whole request.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: Status,
    /// Nothing for a request error, which has no `data` key.
    pub(super) data: Option<Value>,
    pub(super) faults: Vec<Fault>,
    pub(super) cost: Option<AnswerCost>,
    pub(super) retry_after: Option<u64>,
}

/// How an answer's status depends on its media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// Executed, with or without errors: 200.
    Executed,
    /// The document can't be executed: 400, in `application/json` 200.
    Document,
    /// Refused or failed as a whole: this status in both.
    Whole(StatusCode),
}

impl Answer {
    fn of(status: Status, code: TopLevelCode, error: ServerError) -> Box<Self> {
        Box::new(Self {
            status,
            data: None,
            faults: vec![Fault { code, error }],
            cost: None,
            retry_after: None,
        })
    }

    /// The whole request is refused or fails, with this status in both media types.
    pub(super) fn refused(
        status: StatusCode,
        code: TopLevelCode,
        message: impl Into<String>,
    ) -> Box<Self> {
        Self::of(Status::Whole(status), code, ServerError::new(message, None))
    }

    /// The document can't be executed.
    pub(super) fn document(error: ServerError) -> Box<Self> {
        Self::of(Status::Document, TopLevelCode::BadRequest, error)
    }

    /// A limit is exceeded.
    pub(super) fn limit(error: LimitError) -> Box<Self> {
        let code = match error.kind {
            LimitKind::BadRequest => TopLevelCode::BadRequest,
            LimitKind::TooComplex => TopLevelCode::QueryTooComplex,
        };
        let server_error = ServerError::new(error.message, error.position);
        let mut answer = Self::of(Status::Document, code, server_error);
        if let Some(key) = error.key {
            answer.extend("key", key.into());
        }
        answer
    }

    /// A limit of requests in a time is exceeded.
    pub(super) fn rate_limited(standing: &Standing) -> Box<Self> {
        let message = match standing.rate.name {
            "user" | "address" => "Too much was asked for in a short time. Try again later.",
            _ => "Too many attempts. Try again later.",
        };
        let mut answer = Self::refused(
            StatusCode::TOO_MANY_REQUESTS,
            TopLevelCode::RateLimited,
            message,
        );
        let wait = standing.retry_after.unwrap_or_default();
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
        answer.extend("retryAfterMs", millis.into());
        answer
    }

    /// What broke before anything was executed.
    pub(super) fn failed(error: &Error) -> Box<Self> {
        let problem = crate::http::problem::Problem::of(error);
        let code = match error {
            Error::Unavailable { .. } | Error::LockConflict(_) => TopLevelCode::Unavailable,
            Error::Timeout(_) => TopLevelCode::Timeout,
            Error::Forbidden | Error::Lacking { .. } => TopLevelCode::Forbidden,
            _ => TopLevelCode::Internal,
        };
        let mut answer = Self::refused(problem.status, code, problem.detail);
        if code == TopLevelCode::Unavailable {
            answer.retry_after = Some(retry_seconds(error));
        }
        answer
    }

    /// There is no place for it now.
    pub(super) fn shed(entropy: &Entropy) -> Box<Self> {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let mut answer = Self::refused(status, TopLevelCode::Unavailable, UNAVAILABLE);
        answer.retry_after = Some(soon(entropy));
        answer
    }

    /// It took too long.
    pub(super) fn timed_out() -> Box<Self> {
        let message = "This took too long.";
        Self::refused(StatusCode::GATEWAY_TIMEOUT, TopLevelCode::Timeout, message)
    }

    /// Our fault.
    pub(super) fn internal() -> Box<Self> {
        let message = "Something went wrong on our side.";
        Self::refused(
            StatusCode::INTERNAL_SERVER_ERROR,
            TopLevelCode::Internal,
            message,
        )
    }

    /// Adds to the extensions of every error.
    pub(super) fn extend(&mut self, name: &str, value: Value) {
        for fault in &mut self.faults {
            fault
                .error
                .extensions
                .get_or_insert_default()
                .set(name, value.clone());
        }
    }

    /// Notes for the audit trail that this answers what was asked for by a document that can't be executed.
    pub(super) fn in_vain(&self, trail: &Trail, asked: &Asked) {
        for fault in &self.faults {
            trail.in_vain(fault.code, asked);
        }
    }

    pub(super) fn status(&self, media: Media) -> StatusCode {
        match (self.status, media) {
            (Status::Whole(status), _) => status,
            (Status::Document, Media::GraphqlResponse) => StatusCode::BAD_REQUEST,
            (Status::Document, Media::Json) | (Status::Executed, _) => StatusCode::OK,
        }
    }

    /// Appends the answer as JSON.
    fn write(self, request_id: &str, out: &mut Vec<u8>) -> serde_json::Result<()> {
        let errors: Vec<ServerError> = self
            .faults
            .into_iter()
            .map(|fault| with_id(fault, request_id))
            .collect();
        let mut before = b'{';
        let mut key = |out: &mut Vec<u8>, name: &str| {
            out.push(before);
            before = b',';
            out.extend_from_slice(name.as_bytes());
        };
        if !errors.is_empty() {
            key(out, "\"errors\":");
            serde_json::to_writer(&mut *out, &errors)?;
        }
        if let Some(data) = &self.data {
            key(out, "\"data\":");
            write_value(data, out)?;
        }
        if let Some(cost) = self.cost {
            key(out, "\"extensions\":");
            serde_json::to_writer(&mut *out, &BTreeMap::from([("cost", cost)]))?;
        }
        if before == b'{' {
            out.push(before);
        }
        out.push(b'}');
        Ok(())
    }
}

/// The error with code and request id; what it brought in its extensions stays.
fn with_id(fault: Fault, request_id: &str) -> ServerError {
    let Fault { code, mut error } = fault;
    if let Some((end, _)) = error.message.char_indices().nth(MESSAGE) {
        error.message.truncate(end);
        error.message.push('…');
    }
    let mut named = top_level(code, &error.message, request_id);
    named.locations = error.locations;
    named.path = error.path;
    if let (Some(extensions), Some(given)) = (&mut named.extensions, &error.extensions) {
        for name in ["reason", "retryAfterMs", "permission", "key"] {
            if let Some(value) = given.get(name) {
                extensions.set(name, value.clone());
            }
        }
    }
    named
}

/// What `X-Cost: 1` asks for.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AnswerCost {
    /// What the operation costs.
    requested: u64,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    bucket: Option<Bucket>,
}

/// The bucket of points with the fewest left, after the request.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Bucket {
    remaining: u64,
    limit: u64,
    resets_in_ms: u64,
}

impl AnswerCost {
    pub(super) fn new(requested: u64, standings: &Standings) -> Self {
        let bucket = standings.points().map(|standing| Bucket {
            remaining: standing.remaining,
            limit: standing.rate.quota,
            resets_in_ms: u64::try_from(standing.full_in.as_millis()).unwrap_or(u64::MAX),
        });
        Self { requested, bucket }
    }
}

fn write_batch(
    answers: Vec<Answer>,
    request_id: &str,
    out: &mut Vec<u8>,
) -> serde_json::Result<()> {
    let mut before = b'[';
    for answer in answers {
        out.push(before);
        before = b',';
        answer.write(request_id, out)?;
    }
    if before == b'[' {
        out.push(before);
    }
    out.push(b']');
    Ok(())
}

/// One answer, or those of a batch in its order.
#[derive(Debug)]
pub(super) enum Answers {
    One(Box<Answer>),
    Batch(Vec<Answer>),
}

impl Answers {
    /// The HTTP response. A batch that was looked at is 200, whatever became of its operations; it says when to come back
    /// for those that were `UNAVAILABLE`.
    pub(super) fn response(self, media: Media, request_id: &str) -> Response {
        let mut body = Vec::with_capacity(BODY);
        let (status, retry_after, written) = match self {
            Self::One(answer) => {
                let (status, retry_after) = (answer.status(media), answer.retry_after);
                let written = answer.write(request_id, &mut body);
                (status, retry_after, written)
            }
            Self::Batch(answers) => {
                let retry_after = answers.iter().filter_map(|it| it.retry_after).max();
                let written = write_batch(answers, request_id, &mut body);
                (StatusCode::OK, retry_after, written)
            }
        };
        let (status, body) = match written {
            Ok(()) => (status, body),
            Err(error) => {
                tracing::error!(request_id, %error, "an answer could not be written");
                (StatusCode::INTERNAL_SERVER_ERROR, Vec::new())
            }
        };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, media.content_type());
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(header::ALLOW, HeaderValue::from_static("GET, POST"));
        }
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
