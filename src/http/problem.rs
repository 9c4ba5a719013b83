//! Errors of REST routes: RFC 9457 with `code` and `requestId`.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use crate::{
    entropy::Entropy,
    error::{Error, ErrorCode},
    graphql::errors::{TopLevelCode, UNAVAILABLE},
};

/// Why a REST request failed. The request id is filled in on the way out.
#[derive(Clone, Debug)]
pub struct Problem {
    /// HTTP status.
    pub status: StatusCode,
    /// As in GraphQL: a top-level code or a user error's.
    pub code: &'static str,
    /// For a person, in plain English.
    pub detail: String,
    /// When to come back, in seconds.
    pub retry_after: Option<u64>,
}

impl Problem {
    /// A problem with a status, a code and what to tell a person.
    pub fn new(status: StatusCode, code: TopLevelCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            code: code.as_str(),
            detail: detail.into(),
            retry_after: None,
        }
    }

    /// What is not there, was used up or is not wanted, with the user error's code where there is one for the status.
    pub fn refused(status: StatusCode, detail: impl Into<String>) -> Self {
        let code = match status {
            StatusCode::NOT_FOUND => ErrorCode::NotFound.as_str(),
            StatusCode::GONE => ErrorCode::Expired.as_str(),
            _ => TopLevelCode::BadRequest.as_str(),
        };
        Self {
            code,
            ..Self::new(status, TopLevelCode::BadRequest, detail)
        }
    }

    /// 400 `BAD_REQUEST`.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, TopLevelCode::BadRequest, detail)
    }

    /// 500 `INTERNAL`.
    pub fn internal() -> Self {
        let detail = "Something went wrong on our side.";
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            TopLevelCode::Internal,
            detail,
        )
    }

    /// 503 `UNAVAILABLE`: there is no place for it now.
    pub fn shed(entropy: &Entropy) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self {
            retry_after: Some(soon(entropy)),
            ..Self::new(status, TopLevelCode::Unavailable, UNAVAILABLE)
        }
    }

    /// What of a service's error may be shown; the cause is logged.
    pub fn of(error: &Error) -> Self {
        match error {
            Error::Rejected(problems) => match problems.first() {
                Some(first) => Self {
                    status: StatusCode::BAD_REQUEST,
                    code: first.code.as_str(),
                    detail: first.message.clone().into_owned(),
                    retry_after: None,
                },
                None => Self::internal(),
            },
            Error::BadRequest(detail) => Self::bad_request(detail.clone()),
            Error::Forbidden | Error::Lacking { .. } => Self::new(
                StatusCode::FORBIDDEN,
                TopLevelCode::Forbidden,
                "You may not do this.",
            ),
            Error::Unavailable { cause, .. } | Error::LockConflict(cause) => {
                tracing::warn!(%cause, "unavailable");
                let mut problem = Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    TopLevelCode::Unavailable,
                    UNAVAILABLE,
                );
                problem.retry_after = Some(retry_seconds(error));
                problem
            }
            Error::Timeout(cause) => {
                tracing::warn!(%cause, "timed out");
                let detail = "This took too long.";
                Self::new(StatusCode::GATEWAY_TIMEOUT, TopLevelCode::Timeout, detail)
            }
            Error::Internal(cause) => {
                tracing::error!(%cause, "internal error");
                Self::internal()
            }
        }
    }

    /// The answer for the request of this id.
    pub fn with_request_id(self, request_id: &str) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let body = json!({
            "type": "about:blank",
            "title": title,
            "status": self.status.as_u16(),
            "detail": self.detail,
            "code": self.code,
            "requestId": request_id,
        });
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        let media_type = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, media_type);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// When to come back once there may be a place, in seconds: not all at once, who were refused together.
pub fn soon(entropy: &Entropy) -> u64 {
    let [drawn] = entropy.bytes();
    1 + u64::from(drawn) % 3
}

/// When to come back after an `UNAVAILABLE`, in seconds.
pub fn retry_seconds(error: &Error) -> u64 {
    match error {
        Error::Unavailable {
            retry_after: Some(after),
            ..
        } => super::limits::whole_seconds(*after),
        _ => 1,
    }
}

/// Handlers answer a problem without knowing the request id: the log's middleware writes the body.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn who_is_refused_for_want_of_a_place_comes_back_in_one_to_three_seconds() {
        let entropy = Entropy::seeded(1);
        let seconds: BTreeSet<u64> = (0..100).map(|_| soon(&entropy)).collect();
        assert_eq!(seconds, BTreeSet::from([1, 2, 3]));
    }
}
