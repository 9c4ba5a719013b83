//! The GraphQL endpoint.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};

use crate::{
    app::App,
    auth::{self, viewer::Viewer},
    db::stats::{SQL_STATS, SqlStats},
    graphql::{
        Schema,
        context::RequestContext,
        errors::{TopLevelCode, mask, top_level},
    },
};

/// What the endpoint needs.
#[derive(Clone)]
pub struct Endpoint {
    /// The application.
    pub app: App,
    /// The schema.
    pub schema: Schema,
}

/// Answers one operation.
pub async fn answer(
    State(Endpoint { app, schema }): State<Endpoint>,
    headers: HeaderMap,
    Json(request): Json<async_graphql::Request>,
) -> Response {
    let stats = Arc::new(SqlStats::default());
    let counted = stats.clone();
    let now = app.clock.now();
    let request_id: Arc<str> = app.entropy.uuid_v7(now).to_string().into();
    let viewer = Viewer::anonymous(request_id.clone(), None, None);
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    let viewer = match bearer {
        None => Ok(Ok(viewer)),
        Some(bearer) => auth::authenticate(&app, viewer, bearer, now).await,
    };
    let response = match viewer {
        Ok(Ok(viewer)) => {
            let request = request.data(RequestContext::new(app, viewer));
            let work = SQL_STATS.scope(stats, async move { schema.execute(request).await });
            match tokio::spawn(work).await {
                Ok(mut response) => {
                    let errors = std::mem::take(&mut response.errors);
                    response.errors = errors
                        .into_iter()
                        .map(|error| mask(error, &request_id).0)
                        .collect();
                    response
                }
                Err(_) => async_graphql::Response::from_errors(vec![top_level(
                    TopLevelCode::Internal,
                    "Something went wrong on our side.",
                    &request_id,
                )]),
            }
        }
        _ => async_graphql::Response::from_errors(vec![top_level(
            TopLevelCode::Unauthenticated,
            "The access token is not valid.",
            &request_id,
        )]),
    };
    let mut answer = Json(response).into_response();
    let timing = format!(
        "db;desc=\"{} statements\";dur={}",
        counted.statements(),
        counted.time().as_millis()
    );
    if let Ok(value) = HeaderValue::from_str(&timing) {
        answer.headers_mut().insert("server-timing", value);
    }
    answer
}
