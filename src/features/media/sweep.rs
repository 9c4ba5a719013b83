//! What the background does about pictures.

use jiff::SignedDuration;
use uuid::Uuid;

use super::{model, service};
use crate::{
    app::App,
    db::Instant,
    error::{Error, Result},
    integrations::media::MediaKey,
};

/// How long an expired upload is left alone: a file that came in its last moment may still be worked on.
const EXPIRED_FOR: SignedDuration = SignedDuration::from_hours(1);

/// Forgets uploads that never came and pictures that nothing refers to, and has their files removed.
pub async fn sweep(app: &App) -> Result<()> {
    let now = app.clock.now();
    let mut tx = app.db.begin().await?;
    let uploads = model::delete_unused_uploads(&mut tx, Instant(now - EXPIRED_FOR)).await?;
    let orphaned = Instant(now - service::UNUSED_LIFE - EXPIRED_FOR);
    let media = model::delete_orphans(&mut tx, orphaned).await?;
    let ids = uploads
        .into_iter()
        .map(|id| id.0)
        .chain(media.into_iter().map(|id| id.0));
    for id in ids {
        service::enqueue_removal(&mut tx, app, id, now).await?;
    }
    tx.commit().await
}

/// Removes the file of this id; one that is gone stays gone.
pub async fn remove_file(app: &App, payload: &serde_json::Value) -> Result<()> {
    let id: Uuid = serde_json::from_value(payload.clone()).map_err(Error::internal)?;
    app.media
        .delete(MediaKey::new(id))
        .await
        .map_err(Error::internal)
}
