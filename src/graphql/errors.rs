//! What of an error leaves the process: one allow-list, everything else becomes `INTERNAL` (api.md, Errors).

use async_graphql::{ErrorExtensionValues, ServerError};

use crate::error::Error;

/// What a person is told with [`TopLevelCode::Unavailable`].
pub const UNAVAILABLE: &str = "The service is not available right now. Try again.";

/// The message to who is not signed in.
const SIGN_IN: &str = "Sign in first.";

/// The codes of top-level errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopLevelCode {
    /// Syntax, validation, variables and literals that don't coerce.
    BadRequest,
    /// The bearer token is not acceptable.
    Unauthenticated,
    /// The viewer is not in the field's audience.
    Forbidden,
    /// Too many requests; `retryAfterMs` says when to come back.
    RateLimited,
    /// The operation is over a limit of size, depth or cost.
    QueryTooComplex,
    /// It took too long.
    Timeout,
    /// Something that we need does not answer now.
    Unavailable,
    /// Our fault.
    Internal,
}

impl TopLevelCode {
    /// The code as clients see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "BAD_REQUEST",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Forbidden => "FORBIDDEN",
            Self::RateLimited => "RATE_LIMITED",
            Self::QueryTooComplex => "QUERY_TOO_COMPLEX",
            Self::Timeout => "TIMEOUT",
            Self::Unavailable => "UNAVAILABLE",
            Self::Internal => "INTERNAL",
        }
    }
}

/// A top-level error with its code and request id.
pub fn top_level(code: TopLevelCode, message: &str, request_id: &str) -> ServerError {
    with_code(ServerError::new(message, None), code, request_id)
}

fn with_code(mut error: ServerError, code: TopLevelCode, request_id: &str) -> ServerError {
    let mut extensions = ErrorExtensionValues::default();
    extensions.set("code", code.as_str());
    extensions.set("requestId", request_id);
    error.extensions = Some(extensions);
    // The cause must not travel further: a later serializer could show it.
    error.source = None;
    error
}

/// Whether [`mask`] answers `BAD_REQUEST` for it.
pub fn is_bad_request(error: &ServerError) -> bool {
    match error.source::<Error>() {
        Some(ours) => matches!(ours, Error::BadRequest(_)),
        None => error.source.is_none(),
    }
}

/// What a client may see of an error that execution answered; the cause is logged with the request id.
///
/// Errors without a source and without a path come from parsing, validation and coercion, whose texts speak of the
/// schema alone. Those with a path and no source come from coercing an argument. Every other one must be our own.
pub fn mask(mut error: ServerError, request_id: &str) -> (ServerError, TopLevelCode) {
    let ours = error.source::<Error>().cloned();
    let (code, message) = match (&ours, &error.source) {
        (Some(Error::BadRequest(message)), _) => {
            error.message = message.clone().into_owned();
            return (
                with_code(error, TopLevelCode::BadRequest, request_id),
                TopLevelCode::BadRequest,
            );
        }
        (Some(Error::Forbidden), _) => (TopLevelCode::Forbidden, SIGN_IN),
        (
            Some(Error::Lacking {
                permission,
                signed_in,
            }),
            _,
        ) => {
            error.message = if *signed_in {
                format!("You lack the permission {permission}.")
            } else {
                SIGN_IN.to_owned()
            };
            let mut masked = with_code(error, TopLevelCode::Forbidden, request_id);
            if let Some(extensions) = &mut masked.extensions {
                extensions.set("permission", *permission);
            }
            return (masked, TopLevelCode::Forbidden);
        }
        (Some(Error::Unavailable { cause, .. } | Error::LockConflict(cause)), _) => {
            tracing::warn!(request_id, %cause, "unavailable");
            (TopLevelCode::Unavailable, UNAVAILABLE)
        }
        (Some(Error::Timeout(cause)), _) => {
            tracing::warn!(request_id, %cause, "timed out");
            (TopLevelCode::Timeout, "This took too long.")
        }
        (Some(Error::Rejected(problems)), _) => {
            // A resolver of an edge must not refuse: its payload would carry the problems.
            tracing::error!(request_id, ?problems, "problems outside of a payload");
            (TopLevelCode::Internal, "Something went wrong on our side.")
        }
        (Some(Error::Internal(cause)), _) => {
            tracing::error!(request_id, %cause, "internal error");
            (TopLevelCode::Internal, "Something went wrong on our side.")
        }
        (None, None) => {
            return (
                with_code(error, TopLevelCode::BadRequest, request_id),
                TopLevelCode::BadRequest,
            );
        }
        (None, Some(_)) => {
            tracing::error!(request_id, error = %error.message, "foreign error in a resolver");
            (TopLevelCode::Internal, "Something went wrong on our side.")
        }
    };
    error.message = message.to_owned();
    let mut masked = with_code(error, code, request_id);
    if let Some(Error::Unavailable {
        retry_after: Some(after),
        ..
    }) = &ours
        && let Some(extensions) = &mut masked.extensions
    {
        extensions.set(
            "retryAfterMs",
            u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
        );
    }
    (masked, code)
}
