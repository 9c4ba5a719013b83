//! The way in: the accept loop, the router, GraphQL over HTTP, the REST side, the log of requests and their limits.
//! No SQL here.

pub mod graphiql;
pub mod graphql;
pub mod sandbox;
pub mod serve;
pub mod tasks;

use axum::{Router, routing::post};

use crate::{app::App, graphql::build_schema};

/// Every route.
pub fn router(app: App) -> Router {
    let schema = build_schema(&app.config);
    Router::new()
        .route("/graphql", post(graphql::answer))
        .with_state(graphql::Endpoint { app, schema })
}
