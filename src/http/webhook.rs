//! `POST /v1/payments/webhook`: what the payment gateway tells (security.md, Stripe webhooks).
//!
//! The signature is checked over the raw bytes before anything is parsed. 200 for all that is kept, duplicates and
//! unknown ones too; 400 for a bad signature or what is no event; 503 when the database is away or too many wait for it,
//! and 500 for another fault of ours, so that the event comes again.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Extension, Request, State},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::json;
use tracing::Instrument;

use super::{body, metrics::shed, problem::Problem, request::RequestInfo, router::Http, sandbox};
use crate::{
    app::App,
    db::{retry_conflict, stats::SQL_STATS},
    error::Error,
    features::payments::webhooks::{self, Received},
    integrations::payments::{sandbox::WebhookSink, webhook_event::WebhookEvent},
};

/// The largest event that is read, in bytes; Stripe's are far smaller.
const LARGEST_BODY: usize = 1024 * 1024;
/// The header with the signature.
const SIGNATURE: &str = "stripe-signature";

/// The webhook's route, and the pay page where payments are the sandbox, whose events come to the webhook.
pub fn routes(app: &App) -> Router<Arc<Http>> {
    let page = match &app.sandbox {
        Some(gateway) => {
            // Not the whole application: it holds the gateway, which would hold it.
            gateway.connect(Arc::new(OwnWebhook(app.without_gateway())));
            sandbox::routes(gateway.clone())
        }
        None => Router::new(),
    };
    Router::new()
        .route("/v1/payments/webhook", post(answer))
        .merge(page.with_state(()))
}

async fn answer(
    State(http): State<Arc<Http>>,
    Extension(info): Extension<Arc<RequestInfo>>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let patience = http.app.config.timeouts.body;
    let body = match body::read(&parts.headers, body, LARGEST_BODY, patience).await {
        Ok(body) => body,
        Err(problem) => return problem.into_response(),
    };
    let mut signatures = parts.headers.get_all(SIGNATURE).iter();
    let signature = match (signatures.next(), signatures.next()) {
        (Some(one), None) => one.to_str().unwrap_or_default().to_owned(),
        _ => String::new(),
    };
    if let Err(refused) = http.join_queue() {
        // It comes again, and people's requests get their turn.
        shed("event", refused);
        return Problem::shed(&http.app.entropy).into_response();
    }
    // What is begun is finished, even if the gateway hangs up.
    let app = http.app.clone();
    let work = async move { take(&app, &signature, &body).await };
    let work = SQL_STATS.scope(info.stats.clone(), work).in_current_span();
    match http.tasks.spawn(work).await {
        Ok(Ok(_)) => Json(json!({ "received": true })).into_response(),
        Ok(Err(problem)) => problem.into_response(),
        Err(_) => Problem::internal().into_response(),
    }
}

/// Checks and keeps one delivery.
async fn take(app: &App, signature: &str, body: &[u8]) -> Result<Received, Problem> {
    let now = app.clock.now();
    if let Err(error) = app.webhook_signature.verify(signature, body, now) {
        tracing::warn!(%error, "a payment webhook is refused");
        return Err(Problem::bad_request("The signature is not acceptable."));
    }
    let event = WebhookEvent::parse(body).map_err(|error| {
        tracing::error!(%error, "a signed payment webhook is no event");
        Problem::bad_request("The body is no event.")
    })?;
    let received = retry_conflict(|| webhooks::receive(app, body, &event, now)).await;
    match received {
        Ok(received) => {
            tracing::info!(event = %event.id, kind = %event.event_type, ?received, "payment event");
            Ok(received)
        }
        // A statement that takes too long is the database's trouble too: 503, and the event comes again.
        Err(Error::Timeout(cause)) => Err(Problem::of(&Error::LockConflict(cause))),
        Err(error) => Err(Problem::of(&error)),
    }
}

/// Hands the sandbox's events to this webhook without a way over the network.
struct OwnWebhook(App);

#[async_trait::async_trait]
impl WebhookSink for OwnWebhook {
    async fn deliver(&self, body: Vec<u8>, signature_header: String) -> bool {
        take(&self.0, &signature_header, &body).await.is_ok()
    }
}
