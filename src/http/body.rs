//! Bodies, bounded in size and in time.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::timeout;

use super::problem::Problem;
use crate::graphql::errors::TopLevelCode;

/// Reads a whole body.
///
/// # Errors
/// 413 for a longer one (from its `Content-Length` already), 408 for a slower one, 400 when it breaks off.
pub async fn read(
    headers: &HeaderMap,
    body: Body,
    most: usize,
    patience: Duration,
) -> Result<Bytes, Problem> {
    let too_large = || {
        let detail = format!("The body is larger than {most} bytes.");
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            TopLevelCode::BadRequest,
            detail,
        )
    };
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<u64>().ok());
    if announced.is_some_and(|length| length > u64::try_from(most).unwrap_or(u64::MAX)) {
        return Err(too_large());
    }
    match timeout(patience, Limited::new(body, most).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Problem::bad_request("The body broke off.")),
        Err(_) => {
            let detail = "The body took too long to arrive.";
            Err(Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                TopLevelCode::Timeout,
                detail,
            ))
        }
    }
}

/// Whether a request says that its body is JSON, in UTF-8 or without saying which.
pub fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(Ok(value)), None) = (values.next().map(|value| value.to_str()), values.next()) else {
        return false;
    };
    let mut parts = value.split(';').map(str::trim);
    let json = parts
        .next()
        .is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    json && parts
        .filter(|part| !part.is_empty())
        .all(|part| match part.split_once('=') {
            Some((name, charset)) if name.trim().eq_ignore_ascii_case("charset") => {
                let charset = charset.trim().trim_matches('"');
                charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("utf8")
            }
            _ => true,
        })
}

/// The text of a JSON body: UTF-8, a byte order mark taken away.
///
/// # Errors
/// 400 for another encoding.
pub fn text(body: &Bytes) -> Result<&str, Problem> {
    let text =
        std::str::from_utf8(body).map_err(|_| Problem::bad_request("The body is not UTF-8."))?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}
