//! What a resolver can reach.

use std::sync::{Arc, OnceLock};

use async_graphql::Context;

use super::{loaders::Loaders, rehearsal::Rehearsal};
use crate::{app::App, auth::viewer::Viewer, features::audit::refusals::Refusals};

/// What each request brings: who asks, and the loaders made for it.
pub struct RequestContext {
    /// The application.
    pub app: App,
    /// Who asks.
    pub viewer: Viewer,
    /// Where refusals are collected, for the audit trail.
    pub refusals: Arc<Refusals>,
    /// Where is noted what would be executed, instead of executing it.
    pub rehearsal: Option<Arc<Rehearsal>>,
    /// Batch loaders of this request alone; made when first used.
    loaders: OnceLock<Loaders>,
}

impl RequestContext {
    /// For one request.
    pub fn new(app: App, viewer: Viewer, refusals: Arc<Refusals>) -> Self {
        Self {
            app,
            viewer,
            refusals,
            rehearsal: None,
            loaders: OnceLock::new(),
        }
    }

    /// Batch loaders of this request.
    pub fn loaders(&self) -> &Loaders {
        self.loaders.get_or_init(|| Loaders::new(&self.app))
    }

    /// For a rehearsal of one, which leaves no trace.
    pub fn rehearsing(app: App, viewer: Viewer, rehearsal: Arc<Rehearsal>) -> Self {
        Self {
            rehearsal: Some(rehearsal),
            ..Self::new(app, viewer, Arc::default())
        }
    }
}

/// Short ways from a resolver's context to ours.
pub trait ContextExt {
    /// The application.
    fn app(&self) -> &App;
    /// Who asks.
    fn viewer(&self) -> &Viewer;
    /// Batch loaders of this request.
    fn loaders(&self) -> &Loaders;
    /// Where refusals are collected, for the audit trail.
    fn refusals(&self) -> &Refusals;
    /// Where is noted what would be executed, when nothing is to be.
    fn rehearsal(&self) -> Option<&Rehearsal>;
    /// Whether the query selects this field directly below the current one.
    fn selects(&self, field: &str) -> bool;
}

impl ContextExt for Context<'_> {
    fn app(&self) -> &App {
        &self.data_unchecked::<RequestContext>().app
    }

    fn viewer(&self) -> &Viewer {
        &self.data_unchecked::<RequestContext>().viewer
    }

    fn loaders(&self) -> &Loaders {
        self.data_unchecked::<RequestContext>().loaders()
    }

    fn refusals(&self) -> &Refusals {
        &self.data_unchecked::<RequestContext>().refusals
    }

    fn rehearsal(&self) -> Option<&Rehearsal> {
        self.data_unchecked::<RequestContext>().rehearsal.as_deref()
    }

    fn selects(&self, field: &str) -> bool {
        self.look_ahead().field(field).exists()
    }
}
