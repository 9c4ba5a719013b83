//! axum and nothing else: reads the request, answers what Companion answers to `{ __typename }`.

use axum::{Router, body::Bytes, http::header::CONTENT_TYPE, routing::post};
use contestants::{Fatal, serve};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> Result<(), Fatal> {
    let answer = async |_body: Bytes| {
        (
            [(CONTENT_TYPE, "application/json")],
            r#"{"data":{"__typename":"Query"}}"#,
        )
    };
    serve(Router::new().route("/graphql", post(answer))).await
}
