//! `orderAttentionClear`: staff have settled what of an order needed a person.

use jiff::Timestamp;
use serde_json::json;

use super::{
    model::{self, Order},
    service::invalid_state,
    settle::{Actor, recompute, record, told},
};
use crate::{
    app::App,
    auth::viewer::Viewer,
    db::{Instant, ids::OrderId},
    error::{Error, Problems, Result},
    features::audit::Entry,
    patch::expect_version,
    text,
};

/// Takes an order off the staff's list, by staff with `refunds:create`.
///
/// An order's reasons follow from its events and refunds, each time anew (rule 9), so what is settled is kept as those
/// reasons: the next event brings none of them back, and a new one lists the order again. They are never forgotten, even
/// when a reason goes away, or it would matter in which order later events come.
///
/// Errors: `INVALID_INPUT` (the note), `NOT_FOUND`, `CONFLICT` for another version, `INVALID_STATE` when nothing needs a
/// person.
pub async fn clear(
    app: &App,
    viewer: &Viewer,
    id: Option<OrderId>,
    note: Option<&str>,
    expected_version: Option<i32>,
) -> Result<Order> {
    let now = app.clock.now();
    let mut problems = Problems::new();
    let note = note
        .and_then(|note| problems.take("input.note", text::multi_line(note, 0..=2000)))
        .filter(|note| !note.is_empty());
    problems.check()?;
    let missing = || Error::not_found("id");
    let id = id.ok_or_else(missing)?;
    let mut tx = app.db.begin().await?;
    let mut order = model::lock(&mut tx, id).await?.ok_or_else(missing)?;
    expect_version(expected_version, order.version)?;
    let actor = Actor::Viewer(viewer);
    let facts = recompute(&mut tx, app, &mut order, 0, actor, now).await?;
    if order.needs_attention.is_none() {
        let state = order.state.as_str();
        return Err(invalid_state(
            "Nothing of this order needs a person.",
            state,
        ));
    }
    let before = told(&order);
    settle(&mut order, facts.reasons, now);
    model::save(&mut tx, &order).await?;
    let mut after = told(&order);
    if let (Some(note), Some(after)) = (note, after.as_object_mut()) {
        after.insert("note".to_owned(), json!(note));
    }
    let entry = Entry {
        action: "order.attention_clear",
        target: Some(("ord", order.id.0)),
        before: Some(before),
        after: Some(after),
    };
    record(&mut tx, app, actor, now, entry).await?;
    tx.commit().await?;
    Ok(order)
}

fn settle(order: &mut Order, reasons: impl IntoIterator<Item = String>, now: Timestamp) {
    for reason in reasons {
        if !order.attention_seen.contains(&reason) {
            order.attention_seen.push(reason);
        }
    }
    order.needs_attention = None;
    order.version = order.version.saturating_add(1);
    order.updated_at = Instant(now);
}
