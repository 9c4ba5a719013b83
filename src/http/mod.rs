//! The HTTP face: the GraphQL endpoint and the REST sidecar. No SQL here.

pub mod graphiql;
pub mod graphql;

use axum::{Router, routing::post};

use crate::{app::App, graphql::build_schema};

/// Every route.
pub fn router(app: App) -> Router {
    let schema = build_schema(&app.config);
    Router::new()
        .route("/graphql", post(graphql::answer))
        .with_state(graphql::Endpoint { app, schema })
}
