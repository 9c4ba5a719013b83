//! Making, deleting and listing windows.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{
    model::{self, Availability, Owner},
    slots::{Grid, Stretch},
};
use crate::{
    app::App,
    auth::viewer::Viewer,
    db::{
        Db, Instant, Transaction,
        ids::{AvailabilityId, ProviderId, ServiceId},
    },
    error::{Error, ErrorCode, Problem, Problems, Result},
    features::{
        audit::{self, Entry},
        bookings::model::{held, parties},
    },
};

/// The most windows that one operation makes.
const MOST_WINDOWS: usize = 100;
/// The least length of a window: that of the shortest service.
const SHORTEST: SignedDuration = SignedDuration::from_mins(15);

/// A window to make.
#[derive(Clone, Copy, Debug)]
pub struct NewWindow {
    /// From when.
    pub starts_at: Timestamp,
    /// Until when.
    pub ends_at: Timestamp,
}

/// Makes windows of the viewer's own profile, all or none; every bad one is reported.
pub async fn create(
    app: &App,
    viewer: &Viewer,
    windows: &[NewWindow],
) -> Result<Vec<Availability>> {
    let now = app.clock.now();
    let user = viewer.require_user()?;
    check_shape(windows, now)?;
    let mut tx = app.db.begin().await?;
    let owner = own_profile(&mut tx, user).await?;
    let mut problems = Problems::new();
    let earliest = windows.iter().map(|window| window.starts_at).min();
    let latest = windows.iter().map(|window| window.ends_at).max();
    let (Some(earliest), Some(latest)) = (earliest, latest) else {
        return Ok(Vec::new());
    };
    let existing = model::between(&mut tx, &[owner.id], earliest, latest).await?;
    for (index, window) in windows.iter().enumerate() {
        // Sorted and without overlap, so the first that ends after this one starts is the only candidate.
        let other = existing
            .iter()
            .find(|other| *other.ends_at > window.starts_at)
            .filter(|other| *other.starts_at < window.ends_at);
        if let Some(other) = other {
            problems.push(
                overlap(index, "It overlaps a window that you have.").with(json!({
                    "startsAt": other.starts_at, "endsAt": other.ends_at,
                })),
            );
        }
    }
    problems.check()?;
    let rows: Vec<Availability> = windows
        .iter()
        .map(|window| Availability {
            id: AvailabilityId(app.entropy.uuid_v7(now)),
            provider_id: owner.id,
            starts_at: Instant(window.starts_at),
            ends_at: Instant(window.ends_at),
            created_at: Instant(now),
        })
        .collect();
    if !model::insert(&mut tx, &rows).await? {
        // The provider's row is locked, so nobody should have come between.
        return Err(Error::internal("windows overlap under the provider's lock"));
    }
    let made: Vec<_> = rows
        .iter()
        .map(|row| json!({ "id": row.id, "startsAt": row.starts_at, "endsAt": row.ends_at }))
        .collect();
    let entry = Entry {
        action: "availability.create",
        target: Some(("prv", owner.id.0)),
        before: None,
        after: Some(json!({ "windows": made })),
    };
    audit::record(&mut tx, app, viewer, now, entry).await?;
    tx.commit().await?;
    Ok(rows)
}

/// What can be said of windows without looking at others' rows.
fn check_shape(windows: &[NewWindow], now: Timestamp) -> Result<()> {
    let mut problems = Problems::new();
    if windows.is_empty() || windows.len() > MOST_WINDOWS {
        problems.invalid("input.windows", "1 to 100 windows are needed.");
        return problems.check();
    }
    for (index, window) in windows.iter().enumerate() {
        let length = window.ends_at.duration_since(window.starts_at);
        if length <= SignedDuration::ZERO {
            let path = format!("input.windows.{index}.endsAt");
            problems.invalid(&path, "It must end after it starts.");
        } else if length < SHORTEST {
            let path = format!("input.windows.{index}.endsAt");
            problems.invalid(&path, "It must last at least 15 minutes.");
        } else if window.ends_at <= now {
            let path = format!("input.windows.{index}.endsAt");
            problems.invalid(&path, "It must end in the future.");
        }
    }
    let mut in_order: Vec<(usize, &NewWindow)> = windows
        .iter()
        .enumerate()
        .filter(|(_, window)| window.starts_at < window.ends_at)
        .collect();
    in_order.sort_by_key(|(index, window)| (window.starts_at, *index));
    let mut latest_end: Option<Timestamp> = None;
    for (index, window) in in_order {
        if latest_end.is_some_and(|end| window.starts_at < end) {
            problems.push(overlap(index, "It overlaps another window of this list."));
        }
        latest_end = latest_end.max(Some(window.ends_at));
    }
    problems.check()
}

fn overlap(index: usize, message: &'static str) -> Problem {
    Problem::new(ErrorCode::InvalidInput, message).at(&format!("input.windows.{index}.startsAt"))
}

/// The viewer's profile, locked, if it is one that may have windows: one that is approved or may still be.
async fn own_profile(tx: &mut Transaction, user: crate::db::ids::UserId) -> Result<Owner> {
    let owner = model::lock_owner(tx, user)
        .await?
        .ok_or_else(|| Error::not_allowed("Only providers have bookable windows."))?;
    if matches!(owner.status.as_str(), "APPROVED" | "PENDING") {
        Ok(owner)
    } else {
        Err(Problem::new(
            ErrorCode::InvalidState,
            "The profile is not one that can be booked.",
        )
        .with(json!({ "state": owner.status }))
        .into())
    }
}

/// Deletes a window in which nothing is booked.
pub async fn delete(
    app: &App,
    viewer: &Viewer,
    id: Option<AvailabilityId>,
) -> Result<AvailabilityId> {
    let now = app.clock.now();
    let user = viewer.require_user()?;
    let missing = || Error::not_found("id");
    let id = id.ok_or_else(missing)?;
    let mut tx = app.db.begin().await?;
    let owner = model::lock_owner(&mut tx, user)
        .await?
        .ok_or_else(missing)?;
    let window = model::find_of(&mut tx, owner.id, id)
        .await?
        .ok_or_else(missing)?;
    if model::is_booked(&mut tx, &window, now).await? {
        return Err(Problem::new(
            ErrorCode::InvalidState,
            "Something in this window is booked.",
        )
        .with(json!({ "state": "BOOKED" }))
        .into());
    }
    model::delete(&mut tx, id).await?;
    let entry = Entry {
        action: "availability.delete",
        target: Some(("avl", id.0)),
        before: Some(json!({ "startsAt": window.starts_at, "endsAt": window.ends_at })),
        after: None,
    };
    audit::record(&mut tx, app, viewer, now, entry).await?;
    tx.commit().await?;
    Ok(id)
}

/// `BAD_REQUEST` unless `from` < `to` and they are at most 31 days apart.
pub fn check_range(app: &App, from: Timestamp, to: Timestamp) -> Result<()> {
    let days = app.config.limits.range_days;
    let longest = SignedDuration::from_hours(24 * i64::from(days));
    let length = to.duration_since(from);
    if length <= SignedDuration::ZERO {
        return Err(Error::bad_request("`from` must be before `to`."));
    }
    if length > longest {
        return Err(Error::bad_request(format!(
            "`from` and `to` must be at most {days} days apart."
        )));
    }
    Ok(())
}

/// Which slots of a provider are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SlotsOf {
    /// Whose.
    pub provider_id: ProviderId,
    /// For which service, whose price says how long a slot is.
    pub service_id: ServiceId,
    /// Starting at or after this.
    pub from: Timestamp,
    /// Starting before this.
    pub to: Timestamp,
}

/// A time that can be booked.
pub type Slot = Stretch;

/// The slots for each of these, by start, at most `limit` each: exactly what `bookingCreate` accepts (rule 6), apart
/// from a client's own bookings. Three statements however many are asked for.
pub async fn slots(
    db: &Db,
    grid: Grid,
    asked: &[SlotsOf],
    now: Timestamp,
    limit: usize,
) -> Result<HashMap<SlotsOf, Vec<Slot>>> {
    let from = asked.iter().map(|one| one.from).min();
    let to = asked.iter().map(|one| one.to).max();
    let (Some(from), Some(to)) = (from, to) else {
        return Ok(HashMap::new());
    };
    let of: Vec<ProviderId> = asked.iter().map(|one| one.provider_id).collect();
    let services: Vec<ServiceId> = asked.iter().map(|one| one.service_id).collect();
    let mut conn = db.slow_reader().await?;
    let prices = parties::bookable_prices(&mut conn, &of, &services).await?;
    let windows = model::between(&mut conn, &of, from, to).await?;
    // A slot that starts before `to` may last a day longer.
    let last = windows
        .iter()
        .map(|window| *window.ends_at)
        .max()
        .unwrap_or(to);
    let mut busy = held::busy(&mut conn, &of, from, to.max(last), now).await?;
    drop(conn);
    busy.sort_by_key(|busy| busy.from);
    let durations: HashMap<(ProviderId, ServiceId), i32> = prices
        .iter()
        .map(|price| {
            (
                (price.provider_id, price.service_id),
                price.duration_minutes,
            )
        })
        .collect();
    let mut windows_of: HashMap<ProviderId, Vec<Stretch>> = HashMap::new();
    for window in windows {
        let stretch = (*window.starts_at, *window.ends_at);
        windows_of
            .entry(window.provider_id)
            .or_default()
            .push(stretch);
    }
    let mut busy_of: HashMap<ProviderId, Vec<Stretch>> = HashMap::new();
    for busy in busy {
        busy_of
            .entry(busy.provider_id)
            .or_default()
            .push((busy.from, busy.to));
    }
    let mut found = HashMap::new();
    for one in asked {
        let mut slots = Vec::new();
        let length = durations
            .get(&(one.provider_id, one.service_id))
            .map(|minutes| SignedDuration::from_mins(i64::from(*minutes)));
        if let (Some(length), Some(windows)) = (length, windows_of.get(&one.provider_id)) {
            let busy = busy_of.get(&one.provider_id).map_or(&[][..], Vec::as_slice);
            for window in windows {
                let left = limit.saturating_sub(slots.len());
                let starts = grid.free_starts(*window, length, busy, (one.from, one.to), now, left);
                slots.extend(
                    starts
                        .into_iter()
                        .filter_map(|start| Some((start, start.checked_add(length).ok()?))),
                );
            }
        }
        found.insert(*one, slots);
    }
    Ok(found)
}
