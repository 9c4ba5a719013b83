//! The sandbox's pay page, served where `PAYMENTS=sandbox`.

use std::time::Duration;

use axum::{
    Form, Router,
    extract::{FromRequest, Path, Query, Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use tokio::time::timeout;

use crate::integrations::payments::sandbox::{PayAction, PayAnswer, SandboxGateway};

/// The route of the pay page, `/sandbox/pay/{session}`.
pub fn routes(gateway: SandboxGateway) -> Router {
    Router::new()
        .route("/sandbox/pay/{session}", get(show).post(act))
        .with_state(gateway)
}

#[derive(Deserialize)]
struct Address {
    #[serde(default)]
    order: String,
    #[serde(default)]
    sig: String,
}

#[derive(Deserialize)]
struct Pressed {
    #[serde(default)]
    action: String,
}

/// How long the form may take to arrive (api.md, HTTP).
const PATIENCE: Duration = Duration::from_secs(15);

async fn show(
    State(gateway): State<SandboxGateway>,
    Path(session): Path<String>,
    Query(address): Query<Address>,
) -> Response {
    respond(
        gateway
            .visit(&session, &address.order, &address.sig, None)
            .await,
    )
}

async fn act(
    State(gateway): State<SandboxGateway>,
    Path(session): Path<String>,
    Query(address): Query<Address>,
    request: Request,
) -> Response {
    let read = Form::<Pressed>::from_request(request, &());
    let action = match timeout(PATIENCE, read).await {
        Ok(Ok(Form(pressed))) => PayAction::from_word(&pressed.action),
        Ok(Err(refused)) => return refused.into_response(),
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    // A payment goes through even if the browser has hung up (security.md).
    let visit = tokio::spawn(async move {
        gateway
            .visit(&session, &address.order, &address.sig, action)
            .await
    });
    match visit.await {
        Ok(answer) => respond(answer),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn respond(answer: PayAnswer) -> Response {
    match answer {
        PayAnswer::Page {
            status,
            html,
            policy,
        } => (
            StatusCode::from_u16(status).unwrap_or(StatusCode::OK),
            [
                (header::CONTENT_TYPE, "text/html; charset=utf-8"),
                (header::CACHE_CONTROL, "no-store"),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
                (header::REFERRER_POLICY, "no-referrer"),
                (header::CONTENT_SECURITY_POLICY, policy.as_str()),
            ],
            html,
        )
            .into_response(),
        PayAnswer::Return(url) => (
            StatusCode::SEE_OTHER,
            [
                (header::LOCATION, url.as_str()),
                (header::CACHE_CONTROL, "no-store"),
            ],
        )
            .into_response(),
    }
}
