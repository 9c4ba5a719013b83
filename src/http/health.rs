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

/// Whether requests can be served, or what is missing for that.
pub async fn ready(State(http): State<Arc<Http>>) -> Response {
    match http.app.db.ping().await {
        Ok(()) => answer(StatusCode::OK, json!({ "status": "ok" })),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            let body = json!({ "status": "unavailable", "missing": ["database"] });
            answer(StatusCode::SERVICE_UNAVAILABLE, body)
        }
    }
}

fn answer(status: StatusCode, body: serde_json::Value) -> Response {
    let mut response = (status, Json(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
