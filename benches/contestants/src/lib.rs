//! What the contestants share: where they listen, which statements they send, and how ids are spelled.

pub mod statements;
pub mod typeid;

use std::{env, error::Error};

use axum::{Router, serve::ListenerExt};
use tokio::net::TcpListener;

/// What stops a contestant at its start.
pub type Fatal = Box<dyn Error + Send + Sync>;

/// The address of the database. A LIMIT that is bound, which Companion writes as a number, would be planned anew for each
/// request; here the plan is kept.
pub fn database_url() -> Result<String, Fatal> {
    let url = env::var("DATABASE_URL").map_err(|_| "DATABASE_URL is not set")?;
    let joint = if url.contains('?') { '&' } else { '?' };
    Ok(format!(
        "{url}{joint}options=-c%20plan_cache_mode%3Dforce_generic_plan"
    ))
}

/// Serves on `PORT` of this machine until the process is ended.
pub async fn serve(router: Router) -> Result<(), Fatal> {
    let port: u16 = env::var("PORT")
        .map_err(|_| "PORT is not set")?
        .parse()
        .map_err(|error| format!("PORT: {error}"))?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on {}", listener.local_addr()?);
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router).await?;
    Ok(())
}
