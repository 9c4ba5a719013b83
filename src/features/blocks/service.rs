//! The rules of blocks.

use diesel_async::AsyncPgConnection;
use serde_json::json;

use super::model::{self, BlockKey, UserBlock};
use crate::{
    app::App,
    auth::viewer::Viewer,
    cursor::{Page, Slice},
    db::{Instant, ids::UserId},
    error::{Error, ErrorCode, Problem, Result},
    features::{
        audit::{self, Entry},
        users::model::{self as users, User, UserStatus},
    },
};

/// Locks both people, always in the same order, so that a block and a booking of the two take turns and two blocks in
/// opposite directions don't deadlock. Answers the other one, who is not there when deleted.
async fn lock_both(conn: &mut AsyncPgConnection, viewer: UserId, other: UserId) -> Result<User> {
    let (first, second) = (viewer.min(other), viewer.max(other));
    let first = users::lock(conn, first).await?;
    let second = users::lock(conn, second).await?;
    let (own, other): (Vec<User>, Vec<User>) = [first, second]
        .into_iter()
        .flatten()
        .partition(|user| user.id == viewer);
    if own.iter().all(|own| own.status != UserStatus::Active) {
        return Err(Error::Forbidden);
    }
    other
        .into_iter()
        .find(|other| other.status != UserStatus::Deleted)
        .ok_or_else(|| Error::not_found("userId"))
}

fn entry(action: &'static str, blocked: UserId) -> Entry {
    Entry {
        action,
        target: Some(("usr", blocked.0)),
        after: Some(json!({ "blocked": action == "user.block" })),
        ..Entry::default()
    }
}

/// Blocks a person; doing so again answers the block that is there.
///
/// Errors: `NOT_FOUND`, `SELF_ACTION`.
pub async fn block(app: &App, viewer: &Viewer, other: UserId) -> Result<UserBlock> {
    let me = viewer.require_user()?;
    let now = app.clock.now();
    if me == other {
        return Err(
            Problem::new(ErrorCode::SelfAction, "You cannot block yourself.")
                .at("userId")
                .into(),
        );
    }
    let mut tx = app.db.begin().await?;
    lock_both(&mut tx, me, other).await?;
    if let Some(there) = model::find(&mut tx, me, other).await? {
        return Ok(there);
    }
    let block = UserBlock {
        blocker_id: me,
        blocked_id: other,
        created_at: Instant(now),
    };
    model::insert(&mut tx, &block).await?;
    audit::record(&mut tx, app, viewer, now, entry("user.block", other)).await?;
    tx.commit().await?;
    Ok(block)
}

/// Takes a block back; without one nothing changes. Answers the person.
///
/// Errors: `NOT_FOUND`, `SELF_ACTION`.
pub async fn unblock(app: &App, viewer: &Viewer, other: UserId) -> Result<User> {
    let me = viewer.require_user()?;
    let now = app.clock.now();
    if me == other {
        return Err(Problem::new(
            ErrorCode::SelfAction,
            "You cannot block yourself, nor unblock.",
        )
        .at("userId")
        .into());
    }
    let mut tx = app.db.begin().await?;
    let user = lock_both(&mut tx, me, other).await?;
    if model::delete(&mut tx, me, other).await? {
        audit::record(&mut tx, app, viewer, now, entry("user.unblock", other)).await?;
        tx.commit().await?;
    }
    Ok(user)
}

/// Whom the viewer blocks, the newest first.
pub async fn mine(
    app: &App,
    viewer: &Viewer,
    page: &Page<BlockKey>,
    count: bool,
) -> Result<Slice<UserBlock>> {
    let me = viewer.require_user()?;
    let mut conn = app.db.slow_reader().await?;
    let slice = page.slice(model::of_blocker(&mut conn, me, page).await?);
    if count {
        return Ok(slice.with_total(model::count_of_blocker(&mut conn, me).await?));
    }
    Ok(slice)
}
