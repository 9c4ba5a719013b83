//! `GET /health/live` and `GET /health/ready`.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use super::router::Http;

/// The process answers.
pub async fn live() -> Response {
    answer(StatusCode::OK, json!({ "status": "ok" }))
}

/// Whether requests can be served, or what is missing for that: `database`, where a statement gets no connection or no
/// answer in time, or `messages`, by which this copy hears within a second of sessions and rights that others ended.
pub async fn ready(State(http): State<Arc<Http>>) -> Response {
    let mut missing = Vec::new();
    if let Err(error) = http.app.db.ping().await {
        tracing::warn!(%error, "not ready");
        missing.push("database");
    }
    if !http.app.access.is_settled() {
        tracing::warn!("not ready: the database has not been heard for a second");
        missing.push("messages");
    }
    if missing.is_empty() {
        return answer(StatusCode::OK, json!({ "status": "ok" }));
    }
    let body = json!({ "status": "unavailable", "missing": missing });
    answer(StatusCode::SERVICE_UNAVAILABLE, body)
}

fn answer(status: StatusCode, body: serde_json::Value) -> Response {
    let mut response = (status, Json(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
