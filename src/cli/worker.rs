//! `companion worker`.

use tokio::sync::watch;

use super::output::{Failure, app};
use crate::{config::Config, jobs, logging};

/// Does background work until told to stop; jobs at hand have 25 s to finish, and wait for another worker if they don't.
pub(super) async fn run(config: Config) -> Result<(), Failure> {
    logging::start(&config);
    let app = app(config)?;
    let (stop, stopped) = watch::channel(false);
    let work = tokio::spawn(jobs::worker::work(app, stopped));
    super::serve::stop_signal().await;
    stop.send_replace(true);
    work.await?;
    Ok(())
}
