//! `PUT /v1/uploads/{token}` and `GET /v1/media/{id}`.

use std::{ops::Range, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Body,
    extract::{Extension, Path, Request, State},
    response::{IntoResponse, Response},
    routing::{get, put},
};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::json;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

use super::{
    caching::is_cached, metrics::shed, problem::Problem, request::RequestInfo, router::Http,
};
use crate::{
    db::{ids::MediaId, stats::SQL_STATS},
    error::Error,
    features::media::{
        model::Media,
        service::{self, UploadError},
    },
    graphql::errors::TopLevelCode,
    integrations::media::{ImageError, MediaKey},
};

/// An upload brings at least so many bytes in every stretch of time that the settings allow a body (api.md, HTTP).
const LEAST: usize = 16 * 1024;
/// However fast it is, an upload is over after this.
const LONGEST: Duration = Duration::from_secs(600);

/// The routes of uploads and pictures.
pub fn routes() -> Router<Arc<Http>> {
    Router::new()
        .route("/v1/uploads/{token}", put(upload))
        .route("/v1/media/{id}", get(show))
}

fn problem(status: StatusCode, detail: impl Into<String>) -> Problem {
    Problem::refused(status, detail)
}

fn refused(error: UploadError) -> Problem {
    match error {
        UploadError::NotFound => problem(StatusCode::NOT_FOUND, "There is no such upload."),
        UploadError::Gone => problem(
            StatusCode::GONE,
            "This upload was used or its time is over: announce another.",
        ),
        UploadError::BadImage(error) => {
            let status = match error {
                ImageError::UnsupportedType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
                ImageError::TooManyPixels | ImageError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
                ImageError::Damaged => StatusCode::BAD_REQUEST,
            };
            problem(status, format!("The file is {error}."))
        }
        UploadError::Other(error) => Problem::of(&error),
    }
}

/// 201 when the picture is kept; 400 for too few bytes or a damaged picture, 404, 408 for a slow one, 410 for a used or
/// expired address, 413 for more than was announced, 415 for no picture, 503 when too many wait for the database.
async fn upload(
    State(http): State<Arc<Http>>,
    Extension(info): Extension<Arc<RequestInfo>>,
    Path(token): Path<String>,
    request: Request,
) -> Response {
    match take(&http, &info, &token, request).await {
        Ok(media) => kept(&http, &media),
        Err(problem) => problem.into_response(),
    }
}

async fn take(
    http: &Http,
    info: &RequestInfo,
    token: &str,
    request: Request,
) -> Result<Media, Problem> {
    if let Err(refused) = http.join_queue() {
        // Before anything is sent in vain.
        shed("upload", refused);
        return Err(Problem::shed(&http.app.entropy));
    }
    let (parts, body) = request.into_parts();
    let expected = SQL_STATS
        .scope(info.stats.clone(), service::expected(&http.app, token))
        .await
        .map_err(refused)?;
    let size = usize::try_from(expected.byte_size).unwrap_or(usize::MAX);
    let announced = parts
        .headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > size) {
        return Err(too_large(size));
    }
    let bytes = read(body, size, http.app.config.timeouts.body).await?;
    if bytes.len() < size {
        let detail = format!("{} bytes came and {size} were announced.", bytes.len());
        return Err(problem(StatusCode::BAD_REQUEST, detail));
    }
    let app = http.app.clone();
    // As a mutation: what it writes is written whole, whether or not the client waits.
    let work = async move { service::receive(&app, &expected, bytes).await };
    let work = SQL_STATS.scope(info.stats.clone(), work).in_current_span();
    match http.tasks.spawn(work).await {
        Ok(outcome) => outcome.map_err(refused),
        Err(_) => Err(Problem::internal()),
    }
}

fn too_large(size: usize) -> Problem {
    let detail = format!("More than the announced {size} bytes came.");
    problem(StatusCode::PAYLOAD_TOO_LARGE, detail)
}

/// Reads a body of at most `size` bytes that keeps up a least speed.
async fn read(mut body: Body, size: usize, stretch: Duration) -> Result<Bytes, Problem> {
    let over = Instant::now() + LONGEST;
    let mut stretch_over = Instant::now() + stretch;
    let mut in_stretch = 0;
    let mut read = BytesMut::new();
    loop {
        let frame = match timeout_at(stretch_over.min(over), body.frame()).await {
            Ok(None) => return Ok(read.freeze()),
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => return Err(Problem::bad_request("The body broke off.")),
            Err(_) => {
                let status = StatusCode::REQUEST_TIMEOUT;
                let detail = "The file came too slowly.";
                return Err(Problem::new(status, TopLevelCode::Timeout, detail));
            }
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if read.len() + data.len() > size {
            return Err(too_large(size));
        }
        read.extend_from_slice(&data);
        in_stretch += data.len();
        if in_stretch >= LEAST {
            in_stretch = 0;
            stretch_over = Instant::now() + stretch;
        }
    }
}

fn kept(http: &Http, media: &Media) -> Response {
    let path = format!("/v1/media/{}", media.id);
    let body = json!({
        "id": media.id,
        "url": http.app.config.link(&path),
        "contentType": media.content_type,
        "byteSize": media.byte_size,
        "width": media.width,
        "height": media.height,
    });
    let mut response = (StatusCode::CREATED, Json(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(location) = HeaderValue::from_str(&path) {
        headers.insert(header::LOCATION, location);
    }
    response
}

/// 200, 206 for a range, 304 for who has it, 404, 416.
async fn show(
    State(http): State<Arc<Http>>,
    Extension(info): Extension<Arc<RequestInfo>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let work = file(&http, &id, &headers);
    match SQL_STATS.scope(info.stats.clone(), work).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn file(http: &Http, id: &str, headers: &HeaderMap) -> Result<Response, Problem> {
    let not_found = || problem(StatusCode::NOT_FOUND, "There is no such picture.");
    let id: MediaId = id.parse().map_err(|_| not_found())?;
    let media = service::find(&http.app, id)
        .await
        .map_err(|error| Problem::of(&error))?
        .ok_or_else(not_found)?;
    let etag = format!("\"{}\"", hex::encode(&media.sha256));
    let size = u64::try_from(media.byte_size).unwrap_or_default();
    let mut response = Response::new(Body::empty());
    describe(response.headers_mut(), &media, &etag);
    if is_cached(headers, &etag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    let range = match asked_range(headers, &etag, size) {
        Asked::All => None,
        Asked::Part(range) => Some(range),
        Asked::Nothing => {
            let mut response = problem(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "The range is not in the file.",
            )
            .into_response();
            set(
                &mut response,
                header::CONTENT_RANGE,
                format!("bytes */{size}"),
            );
            return Ok(response);
        }
    };
    let key = MediaKey::new(media.id.0);
    let broken =
        |error: Box<dyn std::error::Error + Send + Sync>| Problem::of(&Error::internal(error));
    let file = http.app.media.open(key, range.clone()).await;
    let file = file
        .map_err(|error| broken(error.into()))?
        .ok_or_else(|| broken("a picture's file is gone".into()))?;
    if let Some(Range { start, end }) = range {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let part = format!("bytes {start}-{}/{size}", end.saturating_sub(1));
        set(&mut response, header::CONTENT_RANGE, part);
    }
    set(
        &mut response,
        header::CONTENT_TYPE,
        media.content_type.clone(),
    );
    set(
        &mut response,
        header::CONTENT_LENGTH,
        file.length.to_string(),
    );
    *response.body_mut() = Body::from_stream(file.bytes);
    Ok(response)
}

fn set(response: &mut Response, name: HeaderName, value: String) {
    if let Ok(value) = HeaderValue::from_str(&value) {
        response.headers_mut().insert(name, value);
    }
}

/// What every answer about a picture says: it stays as it is, and a browser shows it as what it is and nothing else.
fn describe(headers: &mut HeaderMap, media: &Media, etag: &str) {
    let extension = match media.content_type.as_str() {
        "image/png" => "png",
        "image/webp" => "webp",
        _ => "jpg",
    };
    let disposition = format!("inline; filename=\"{}.{extension}\"", media.id);
    for (name, value) in [
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::ETAG, etag),
        (header::ACCEPT_RANGES, "bytes"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_DISPOSITION, &disposition),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; sandbox",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "cross-origin",
        ),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
}

/// What part of a file a request asks for.
#[derive(Debug, PartialEq)]
enum Asked {
    All,
    Part(Range<u64>),
    Nothing,
}

/// One range of bytes; what is not understood, several ranges, or a range of another file (`If-Range`) ask for all.
fn asked_range(headers: &HeaderMap, etag: &str, size: u64) -> Asked {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if text(header::IF_RANGE).is_some_and(|tag| tag != etag) {
        return Asked::All;
    }
    let Some((first, last)) = text(header::RANGE)
        .and_then(|range| range.strip_prefix("bytes="))
        .and_then(|range| range.trim().split_once('-'))
    else {
        return Asked::All;
    };
    let range = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Ok(first), Err(_)) if last.is_empty() => first..size,
        (Err(_), Ok(length)) if first.is_empty() => size.saturating_sub(length)..size,
        _ => return Asked::All,
    };
    if range.is_empty() {
        Asked::Nothing
    } else {
        Asked::Part(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(range: &str) -> Asked {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, HeaderValue::from_str(range).unwrap());
        asked_range(&headers, "\"tag\"", 100)
    }

    #[test]
    fn one_range_of_bytes_is_understood_and_all_else_asks_for_the_file() {
        for (range, part) in [
            ("bytes=0-0", 0..1),
            ("bytes=10-19", 10..20),
            ("bytes=90-1000", 90..100),
            ("bytes=99-", 99..100),
            ("bytes=-1", 99..100),
            ("bytes=-1000", 0..100),
            ("bytes=0-18446744073709551615", 0..100),
        ] {
            assert_eq!(asked(range), Asked::Part(part), "{range}");
        }
        for range in ["bytes=100-", "bytes=100-200", "bytes=-0"] {
            assert_eq!(asked(range), Asked::Nothing, "{range}");
        }
        for range in [
            "",
            "bytes=",
            "bytes=-",
            "bytes=5-1",
            "bytes=0-1,3-4",
            "items=0-1",
            "bytes=a-b",
        ] {
            assert_eq!(asked(range), Asked::All, "{range}");
        }
    }

    #[test]
    fn a_range_of_another_file_asks_for_all_of_this_one() {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, HeaderValue::from_static("bytes=0-1"));
        headers.insert(header::IF_RANGE, HeaderValue::from_static("\"other\""));
        assert_eq!(asked_range(&headers, "\"tag\"", 100), Asked::All);
        headers.insert(header::IF_RANGE, HeaderValue::from_static("\"tag\""));
        assert_eq!(asked_range(&headers, "\"tag\"", 100), Asked::Part(0..2));
    }
}
