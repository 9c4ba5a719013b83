//! `GET /metrics`: Prometheus text.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::header;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use super::{places::Refused, problem::Problem, router::Http};

/// How long a sample is kept as it is.
const UPKEEP: Duration = Duration::from_secs(5);

static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
/// Upper bounds of the latencies counted, in seconds.
const LATENCIES: &[f64] = &[0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0];

/// Begins to record, once a process.
pub fn install() {
    let _ = RECORDER.get_or_init(|| {
        let recorder = PrometheusBuilder::new()
            .set_buckets(LATENCIES)
            .and_then(|builder| builder.install_recorder());
        recorder
            .inspect_err(|error| tracing::error!(%error, "no metrics"))
            .ok()
    });
}

/// Counts the samples of histograms into their buckets, again and again: until then each sample is kept, and a server
/// that nobody scrapes would grow with every request. Never ends.
pub async fn upkeep() {
    let mut ticks = tokio::time::interval(UPKEEP);
    loop {
        ticks.tick().await;
        if let Some(handle) = RECORDER.get().and_then(Option::as_ref) {
            handle.run_upkeep();
        }
    }
}

/// Counts a request that is refused because too many are there: a `query`, a `mutation`, a payment `event`, a `sign_in`
/// over REST or an `upload`. The database counts a `slow_query` itself.
pub fn shed(kind: &'static str, refused: Refused) {
    metrics::counter!("companion_requests_shed_total", "kind" => kind).increment(1);
    // Once a crowd: its refusals have lines enough.
    if refused.first {
        tracing::warn!(kind, "too many requests at once: some are refused");
    }
}

/// What was recorded so far.
pub async fn text(State(http): State<Arc<Http>>) -> Response {
    let Some(handle) = RECORDER.get().and_then(Option::as_ref) else {
        return Problem::internal().into_response();
    };
    let (open, used) = http.app.db.connections();
    metrics::gauge!("database_connections", "state" => "open").set(open as f64);
    metrics::gauge!("database_connections", "state" => "used").set(used as f64);
    metrics::gauge!("companion_queries_executing").set(http.queries.in_use() as f64);
    metrics::gauge!("companion_slow_queries").set(http.app.db.slow_queries() as f64);
    handle.run_upkeep();
    let media_type = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, media_type)], handle.render()).into_response()
}
