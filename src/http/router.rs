//! Every route and what surrounds them.

use std::{future::Future, sync::Arc, time::Duration};

use axum::{
    Router,
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use tokio::net::TcpListener;
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::{
    graphql, health,
    limits::RateLimits,
    media, metrics,
    places::{Place, Places, Queue, Refused},
    problem::Problem,
    request::around,
    serve::{Patience, listen, serve},
    tasks::Tasks,
    telegram, webhook,
};
use crate::{
    app::App,
    config::{Config, CorsOrigins},
    error::{Error, Result},
    graphql::{documents::Documents, execution::Executor, limits::CostModel},
};

/// Queries that are usually executed at the same time for each connection that reads share. At three times the peak the slowest
/// accepted ones take five times as long with all of them as they do normally, three times as long with half.
const QUERIES_OF_A_CONNECTION: usize = 20;

/// How long a browser may remember what is allowed.
const PREFLIGHT: Duration = Duration::from_secs(24 * 60 * 60);

/// What the handlers share.
pub struct Http {
    /// The application.
    pub app: App,
    pub(super) executor: Executor,
    pub(super) model: CostModel,
    pub(super) documents: Documents,
    pub(super) limits: RateLimits,
    pub(super) tasks: Tasks,
    /// A place for each query that may be executed now.
    pub(super) queries: Places,
    /// What waits for a connection of the pool.
    queue: Queue,
}

impl Http {
    /// Builds the schema and what is checked before it.
    ///
    /// # Errors
    /// When the manifest of persisted operations can't be used.
    pub fn new(app: App) -> Result<Arc<Self>> {
        let executor = Executor::new(&app.config);
        let model = CostModel::from_sdl(&executor.sdl()).map_err(Error::internal)?;
        let manifest = app.config.persisted_operations.as_deref();
        let documents = Documents::new(app.config.limits.query_bytes, manifest, &model)?;
        let limits = RateLimits::new(&app.config);
        let queries = match app.config.limits.queries_at_once {
            0 => match app.config.database_read_connections {
                0 => Places::with_bursts(2 * QUERIES_OF_A_CONNECTION),
                shared => Places::with_bursts(shared * QUERIES_OF_A_CONNECTION),
            },
            most => Places::strict(most),
        };
        let queue = Queue::before(app.config.database_pool_size);
        Ok(Arc::new(Self {
            app,
            executor,
            model,
            documents,
            limits,
            tasks: Tasks::default(),
            queries,
            queue,
        }))
    }

    /// A place for a query. Those that wait for their turn at a slow read, or do it, need nothing that others do.
    pub(super) fn enter(&self) -> Result<Place<'_>, Refused> {
        self.queries.enter(self.app.db.slow_queries())
    }

    /// Lets in what needs a connection of the pool.
    pub(super) fn join_queue(&self) -> Result<(), Refused> {
        self.queue.join(self.app.db.waiting())
    }
}

/// Every route. `more` are those of other modules, which get the same surroundings.
pub fn router(http: &Arc<Http>, more: Router<Arc<Http>>) -> Router {
    let mut routes = Router::new()
        .route("/graphql", any(graphql::endpoint))
        .route("/v1/auth/telegram", post(telegram::sign_in))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .merge(webhook::routes(&http.app))
        .merge(media::routes())
        .merge(more);
    metrics::install();
    if http.app.config.metrics_addr.is_none() {
        routes = routes.route("/metrics", get(metrics::text));
    }
    routes
        .fallback(|| async { refused(StatusCode::NOT_FOUND, "There is nothing here.") })
        .method_not_allowed_fallback(|| async {
            refused(
                StatusCode::METHOD_NOT_ALLOWED,
                "This method is not allowed here.",
            )
        })
        .layer(cors(&http.app.config))
        .layer(from_fn_with_state(http.clone(), around))
        .with_state(http.clone())
}

fn refused(status: StatusCode, detail: &str) -> Response {
    Problem::refused(status, detail).into_response()
}

fn cors(config: &Config) -> CorsLayer {
    let own = |name: &'static str| HeaderName::from_static(name);
    let origins = match &config.cors_origins {
        CorsOrigins::Any => AllowOrigin::any(),
        CorsOrigins::List(origins) => AllowOrigin::list(
            origins
                .iter()
                .filter_map(|origin| HeaderValue::from_str(origin).ok()),
        ),
    };
    CorsLayer::new()
        .allow_origin(origins)
        .allow_credentials(config.cors_credentials)
        .allow_methods([Method::GET, Method::POST, Method::PUT])
        .allow_headers([
            header::ACCEPT,
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            own("x-request-id"),
            own("x-cost"),
        ])
        .expose_headers([
            header::RETRY_AFTER,
            own("ratelimit"),
            own("ratelimit-policy"),
            own("server-timing"),
            own("x-request-id"),
        ])
        .max_age(PREFLIGHT)
}

/// Serves on `listener`, and the metrics on their own address where one is set, until `stop` is ready; then lets
/// running requests and mutations finish, for as long as the settings say.
///
/// # Errors
/// When the address of the metrics can't be had.
pub async fn run(
    http: &Arc<Http>,
    more: Router<Arc<Http>>,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) -> Result<()> {
    let config = &http.app.config;
    let patience = Patience {
        headers: config.timeouts.body,
        shutdown: config.timeouts.shutdown,
    };
    let beside = match config.metrics_addr {
        Some(address) => {
            let listener = listen(address)
                .map_err(|error| Error::internal(format!("cannot listen on {address}: {error}")))?;
            let routes = Router::new()
                .route("/metrics", get(metrics::text))
                .with_state(http.clone());
            let never = std::future::pending();
            Some(tokio::spawn(serve(
                listener,
                routes,
                patience,
                Tasks::default(),
                never,
            )))
        }
        None => None,
    };
    let upkeep = tokio::spawn(metrics::upkeep());
    serve(
        listener,
        router(http, more),
        patience,
        http.tasks.clone(),
        stop,
    )
    .await;
    upkeep.abort();
    if let Some(beside) = beside {
        beside.abort();
    }
    Ok(())
}
