//! `POST /v1/auth/telegram`: sign-in for clients without GraphQL.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Extension, Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;
use tracing::Instrument;

use super::{body, metrics::shed, problem::Problem, request::RequestInfo, router::Http};
use crate::{
    db::stats::SQL_STATS,
    error::{Error, ErrorCode},
    features::accounts::service,
    graphql::errors::TopLevelCode,
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignIn {
    init_data: String,
}

/// 200 with tokens and user; 400 for what is no init data, 401 for a bad or old signature, 403 for an account that
/// may not sign in, 429 over the limits, 503 when too many wait for the database.
pub async fn sign_in(
    State(http): State<Arc<Http>>,
    Extension(info): Extension<Arc<RequestInfo>>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    if !body::is_json(&parts.headers) {
        let detail = "The content type must be application/json in UTF-8.";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Problem::new(status, TopLevelCode::BadRequest, detail).into_response();
    }
    let config = &http.app.config;
    let (most, patience) = (config.limits.body_bytes, config.timeouts.body);
    let init_data = match body::read(&parts.headers, body, most, patience).await {
        // serde takes an array of values for a struct, too.
        Ok(read) => match body::text(&read).map(|text| {
            let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text)?;
            serde_json::from_value::<SignIn>(object.into())
        }) {
            Ok(Ok(SignIn { init_data })) => init_data,
            Ok(Err(_)) => {
                let detail = "The body must be {\"initData\": \"…\"}.";
                return Problem::bad_request(detail).into_response();
            }
            Err(problem) => return problem.into_response(),
        },
        Err(problem) => return problem.into_response(),
    };
    if let Err(refused) = http.join_queue() {
        // Before it is counted as a try.
        shed("sign_in", refused);
        return Problem::shed(&http.app.entropy).into_response();
    }
    let viewer = info.anonymous();
    let mut taken = http.limits.request(viewer.ip_address);
    taken.sign_in(&init_data);
    let standings = match taken.take(&http.app).await {
        Ok(standings) => standings,
        Err(error) => return Problem::of(&error).into_response(),
    };
    let mut response = if standings.refused().is_some() {
        let detail = "Too many attempts. Try again later.";
        let status = StatusCode::TOO_MANY_REQUESTS;
        Problem::new(status, TopLevelCode::RateLimited, detail).into_response()
    } else {
        let app = http.app.clone();
        // As a mutation: what it writes is written whole, whether or not the client waits.
        let work = async move { service::sign_in_telegram(&app, &viewer, &init_data).await };
        let work = SQL_STATS.scope(info.stats.clone(), work).in_current_span();
        match timeout(config.timeouts.request, http.tasks.spawn(work)).await {
            Ok(Ok(Ok(signed_in))) => {
                info.is_by(Some(signed_in.user.id));
                signed_in_answer(&signed_in)
            }
            Ok(Ok(Err(error))) => refused(&error).into_response(),
            Ok(Err(_)) => Problem::internal().into_response(),
            Err(_) => {
                let detail = "This took too long.";
                Problem::new(StatusCode::GATEWAY_TIMEOUT, TopLevelCode::Timeout, detail)
                    .into_response()
            }
        }
    };
    standings.write(response.headers_mut());
    response
}

fn signed_in_answer(signed_in: &service::SignedIn) -> Response {
    let body = json!({
        "accessToken": signed_in.access_token,
        "refreshToken": signed_in.refresh_token,
        "expiresAt": signed_in.expires_at.to_string(),
        "user": {
            "id": signed_in.user.id.to_string(),
            "displayName": signed_in.user.display_name,
        },
    });
    let mut response = Json(body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn refused(error: &Error) -> Problem {
    let mut problem = Problem::of(error);
    if let Error::Rejected(problems) = error {
        problem.status = match problems.first().map(|problem| problem.code) {
            Some(ErrorCode::InvalidCredentials) => StatusCode::UNAUTHORIZED,
            Some(ErrorCode::NotAllowed) => StatusCode::FORBIDDEN,
            _ => StatusCode::BAD_REQUEST,
        };
    }
    problem
}
