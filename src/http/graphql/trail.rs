//! The refusals of a request on their way to the audit trail.

use std::sync::Arc;

use tokio::{runtime::Handle, task::JoinHandle};
use tracing::Instrument;

use crate::{
    auth::viewer::Viewer,
    db::stats::{SQL_STATS, SqlStats},
    features::audit::refusals::{self, Refusals},
    graphql::{
        errors::TopLevelCode,
        refused::{self, Asked},
    },
    http::{request::RequestInfo, router::Http},
};

/// What is refused while a request is answered. Who hangs up, or lets a mutation go on beyond the request's time, gets
/// it written all the same: when the last holder lets go.
pub(super) struct Trail {
    http: Arc<Http>,
    stats: Arc<SqlStats>,
    viewer: Viewer,
    /// What was refused so far.
    pub(super) refusals: Arc<Refusals>,
}

impl Trail {
    pub(super) fn new(http: &Arc<Http>, info: &RequestInfo, viewer: &Viewer) -> Self {
        Self {
            http: http.clone(),
            stats: info.stats.clone(),
            viewer: viewer.clone(),
            refusals: Arc::default(),
        }
    }

    /// Notes what was asked for by a document that can't be executed.
    pub(super) fn in_vain(&self, code: TopLevelCode, asked: &Asked) {
        refused::in_vain(&self.http.app, &self.viewer, &self.refusals, code, asked);
    }

    fn begin(&self) -> Option<JoinHandle<()>> {
        let refused = self.refusals.take();
        if refused.is_empty() || Handle::try_current().is_err() {
            return None;
        }
        let (app, viewer) = (self.http.app.clone(), self.viewer.clone());
        let work = async move { refusals::write(&app, &viewer, refused).await };
        let work = SQL_STATS.scope(self.stats.clone(), work);
        Some(self.http.tasks.spawn(work.in_current_span()))
    }

    /// Writes what was refused so far; nothing in most requests.
    pub(super) async fn write(&self) {
        if let Some(task) = self.begin() {
            // It logs what fails itself.
            let _ = task.await;
        }
    }
}

impl Drop for Trail {
    fn drop(&mut self) {
        self.begin();
    }
}
