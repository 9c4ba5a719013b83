//! `companion serve`.

use std::{net::SocketAddr, sync::Arc};

use axum::Router;
use secrecy::SecretString;
use tokio::{net::TcpListener, sync::watch};

use super::output::{Failure, app, direct_url};
use crate::{
    app::App,
    config::{Config, LimitStore},
    db::{
        migrate,
        private::{PrivateCluster, PrivateOptions},
    },
    demo::{self, DemoSignIn},
    http::{
        self, Http,
        graphiql::{self, DemoPeople},
    },
    jobs, logging,
};

/// Serves until Ctrl-C or SIGTERM.
pub(super) async fn run(mut config: Config) -> Result<(), Failure> {
    logging::start(&config);
    for name in &config.made_up {
        tracing::warn!(
            setting = name,
            "not set: a made-up value for development is used"
        );
    }
    // Before anything is started: a taken port should not cost the wait for a database.
    let listener = listen(SocketAddr::new(config.host, config.port))?;
    if let Some(address) = config.metrics_addr {
        // For a moment only: `http::run` listens there itself, once there is something to tell.
        drop(listen(address)?);
    }
    let cluster = match config.database_url {
        Some(_) => None,
        None => Some(private_database(&mut config).await?),
    };
    // Before the database is changed: this refuses settings that can't be judged without the schema.
    let http = Http::new(app(config)?).map_err(|error| Failure::at_start(&error))?;
    let app = &http.app;
    check_migrations(&app.config).await?;
    if !app.config.is_production() {
        let loaded = demo::load(app).await?;
        tracing::info!(loaded, "demo data");
        demo::print_people(app).await?;
    }
    match app.config.limit_store {
        LimitStore::Memory => tracing::info!("limits are counted by this process for itself"),
        LimitStore::Postgres => tracing::info!("limits are counted in PostgreSQL, by all copies"),
    }
    tracing::info!(address = %listener.local_addr()?, "listening");
    println!("GraphQL   {}", app.config.link("/graphql"));
    if app.config.graphiql {
        println!("GraphiQL  {}", app.config.link("/graphiql"));
    }
    serve(&http, listener).await?;
    if let Some(cluster) = cluster {
        tokio::task::spawn_blocking(|| cluster.stop()).await??;
    }
    Ok(())
}

/// Brings the database to this version in development. In production that is a deployment's own step, and a server
/// that lacks it does not start; one whose database is away does, and waits for it.
async fn check_migrations(config: &Config) -> Result<(), Failure> {
    let url = direct_url(config)?;
    if !config.is_production() {
        for name in migrate::up(&url).await? {
            tracing::info!(migration = name, "applied");
        }
        return Ok(());
    }
    match migrate::status(&url).await {
        Ok(migrations) => {
            let missing = migrations.iter().filter(|one| !one.applied).count();
            if missing > 0 {
                return Err(Failure::new(format!(
                    "the database lacks {missing} migrations: run `companion migrate up` first"
                )));
            }
        }
        Err(error) => tracing::warn!(%error, "the database's version is not known"),
    }
    Ok(())
}

/// Starts the project's own PostgreSQL and points the settings at it.
async fn private_database(config: &mut Config) -> Result<PrivateCluster, Failure> {
    let options = PrivateOptions::development(config.data_dir.clone());
    let cluster = tokio::task::spawn_blocking(|| PrivateCluster::start(options)).await??;
    let url = cluster.url();
    println!("Database  {url}");
    config.database_url = Some(SecretString::from(url));
    Ok(cluster)
}

fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    http::serve::listen(address)
        .map_err(|error| Failure::new(format!("cannot listen on {address}: {error}")))
}

async fn serve(http: &Arc<Http>, listener: TcpListener) -> Result<(), Failure> {
    let (stop, stopped) = watch::channel(false);
    let worker = http
        .app
        .config
        .worker_in_process
        .then(|| tokio::spawn(jobs::worker::work(http.app.clone(), stopped)));
    // Both at once, so that the wait for requests and the one for jobs don't add up.
    let told = async {
        stop_signal().await;
        stop.send_replace(true);
    };
    http::run(http, page(&http.app), listener, told).await?;
    stop.send_replace(true);
    if let Some(worker) = worker
        && worker.await.is_err()
    {
        tracing::error!("the worker broke");
    }
    Ok(())
}

/// The GraphiQL page where it is served; in development with the demo people to pick from.
fn page(app: &App) -> Router<Arc<Http>> {
    if !app.config.graphiql {
        return Router::new();
    }
    let people: Option<Arc<dyn DemoPeople>> = if app.config.is_production() {
        None
    } else {
        Some(Arc::new(DemoSignIn(app.clone())))
    };
    graphiql::router(&app.config.app_title, people)
}

/// Ready when the process is asked to stop.
pub(super) async fn stop_signal() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = interrupt.await;
}
