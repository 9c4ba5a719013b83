//! What the background does about sessions.

use jiff::SignedDuration;

use super::model;
use crate::{
    app::App,
    db::Instant,
    error::{Error, Result},
};

/// How long what has ended is kept, to be looked into.
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);
/// So many rows at most go with one statement, so that none holds its locks for long.
const BATCH: usize = 1_000;

/// Removes refresh tokens that expired more than 30 days ago, and sessions that ended or expired 30 days before the last
/// access token of theirs did.
///
/// No answer changes by it: a token that comes twice ends its family only while it has not expired (rule 21), and gets
/// `INVALID_CREDENTIALS` before and after.
pub async fn sweep(app: &App) -> Result<()> {
    let ended = app.clock.now().checked_sub(KEPT).map_err(Error::internal)?;
    let forgotten = ended
        .checked_sub(app.config.access_token_ttl)
        .map_err(Error::internal)?;
    let mut conn = app.db.conn().await?;
    while model::delete_tokens(&mut conn, Instant(ended), BATCH).await? >= BATCH {}
    while model::delete_sessions(&mut conn, Instant(forgotten), BATCH).await? >= BATCH {}
    Ok(())
}
