//! What a resolver can reach.

use async_graphql::Context;

use super::loaders::Loaders;
use crate::{app::App, auth::viewer::Viewer};

/// What each request brings: who asks, and the loaders made for it.
pub struct RequestContext {
    /// The application.
    pub app: App,
    /// Who asks.
    pub viewer: Viewer,
    /// Batch loaders of this request alone.
    pub loaders: Loaders,
}

impl RequestContext {
    /// For one request.
    pub fn new(app: App, viewer: Viewer) -> Self {
        let loaders = Loaders::new(&app);
        Self {
            app,
            viewer,
            loaders,
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
        &self.data_unchecked::<RequestContext>().loaders
    }

    fn selects(&self, field: &str) -> bool {
        self.look_ahead().field(field).exists()
    }
}
