//! What a person does with their own profile.

use serde_json::json;

use super::{changed, edited, invalid_state, lock, lock_with_owner, profile};
use crate::{
    app::App,
    auth::viewer::Viewer,
    db::{
        Instant,
        ids::{CityId, ProviderId},
    },
    error::{Error, ErrorCode, Problem, Problems, Result},
    features::{
        audit::{self, Entry},
        catalog::model as catalog,
        providers::model::{self, CancellationPolicy, Provider, ProviderStatus},
        users::model::{self as users, UserStatus},
    },
    patch::{Patch, expect_version},
    text,
};

/// An application.
#[derive(Clone, Debug)]
pub struct Application {
    /// The name in lists.
    pub display_name: String,
    /// One line.
    pub headline: String,
    /// Several lines.
    pub bio: String,
    /// Where the provider works; nothing for an id that cannot be a city's.
    pub city_id: Option<CityId>,
    /// The zone of the provider's clock; the city's without.
    pub time_zone: Option<String>,
    /// What is frozen in new bookings.
    pub cancellation_policy: CancellationPolicy,
}

fn display_name(problems: &mut Problems, typed: &str) -> Option<String> {
    problems.take("input.displayName", text::single_line(typed, 1..=100))
}

fn headline(problems: &mut Problems, typed: &str) -> Option<String> {
    problems.take("input.headline", text::single_line(typed, 0..=160))
}

fn bio(problems: &mut Problems, typed: &str) -> Option<String> {
    problems.take("input.bio", text::multi_line(typed, 0..=4000))
}

fn time_zone(problems: &mut Problems, typed: &str) -> Option<String> {
    problems.take("input.timeZone", text::time_zone(typed))
}

/// Applies: makes the viewer's profile, or puts a rejected or withdrawn one before staff again.
///
/// Errors: `INVALID_INPUT`, `NOT_FOUND` for the city, `ALREADY_EXISTS` while an application waits or is approved,
/// `INVALID_STATE` for a suspended one.
pub async fn apply(app: &App, viewer: &Viewer, application: Application) -> Result<Provider> {
    let user = viewer.require_user()?;
    let now = app.clock.now();
    let Application {
        display_name: typed_name,
        headline: typed_headline,
        bio: typed_bio,
        city_id,
        time_zone: typed_zone,
        cancellation_policy,
    } = application;
    let mut problems = Problems::new();
    let display_name = display_name(&mut problems, &typed_name);
    let headline = headline(&mut problems, &typed_headline);
    let bio = bio(&mut problems, &typed_bio);
    let time_zone = typed_zone.and_then(|typed| time_zone(&mut problems, &typed));
    problems.check()?;

    let mut tx = app.db.begin().await?;
    let no_city = || Error::not_found("input.cityId");
    let city_id = city_id.ok_or_else(no_city)?;
    let city = catalog::city_by_id(&mut tx, city_id).await?;
    let city = city.ok_or_else(no_city)?;
    users::lock_active(&mut tx, user)
        .await?
        .ok_or(Error::Forbidden)?;
    let before = model::lock_of_user(&mut tx, user).await?;
    let after = Provider {
        id: ProviderId(app.entropy.uuid_v7(now)),
        user_id: user,
        status: ProviderStatus::Pending,
        display_name: display_name.unwrap_or_default(),
        headline: headline.unwrap_or_default(),
        bio: bio.unwrap_or_default(),
        city_id: city.id,
        time_zone: time_zone.unwrap_or(city.time_zone),
        cancellation_policy,
        applied_at: Instant(now),
        reviewed_at: None,
        reviewed_by: None,
        decision_reason: None,
        rating_sum: 0,
        rating_count: 0,
        lowest_price_minor: None,
        lowest_price_currency: None,
        version: 1,
        created_at: Instant(now),
        updated_at: Instant(now),
        suspended_with_account: false,
    };
    let after = match &before {
        None => {
            model::insert(&mut tx, &after).await?;
            after
        }
        Some(before) => {
            match before.status {
                ProviderStatus::Rejected | ProviderStatus::Withdrawn => {}
                ProviderStatus::Pending | ProviderStatus::Approved => {
                    let message = "You have applied already.";
                    return Err(Problem::new(ErrorCode::AlreadyExists, message)
                        .with(json!({ "state": before.status }))
                        .into());
                }
                ProviderStatus::Suspended => {
                    let message = "Your profile is suspended.";
                    return Err(Problem::new(ErrorCode::InvalidState, message)
                        .with(json!({ "state": before.status }))
                        .into());
                }
            }
            let again = Provider {
                id: before.id,
                rating_sum: before.rating_sum,
                rating_count: before.rating_count,
                lowest_price_minor: before.lowest_price_minor,
                lowest_price_currency: before.lowest_price_currency.clone(),
                version: before.version + 1,
                created_at: before.created_at,
                ..after
            };
            model::save(&mut tx, &again).await?;
            again
        }
    };
    let entry = Entry {
        action: "provider.apply",
        target: Some(("prv", after.id.0)),
        before: before.as_ref().map(profile),
        after: Some(match &before {
            Some(before) => edited(before, &after),
            None => profile(&after),
        }),
    };
    audit::record(&mut tx, app, viewer, now, entry).await?;
    tx.commit().await?;
    Ok(after)
}

/// What to change of a profile.
#[derive(Clone, Debug)]
pub struct Change {
    /// The name in lists.
    pub display_name: Patch<String>,
    /// One line.
    pub headline: Patch<String>,
    /// Several lines.
    pub bio: Patch<String>,
    /// Where the provider works; `Set(None)` for an id that cannot be a city's.
    pub city_id: Patch<Option<CityId>>,
    /// The zone of the provider's clock; the city's when cleared.
    pub time_zone: Patch<String>,
    /// What is frozen in new bookings.
    pub cancellation_policy: Patch<CancellationPolicy>,
}

/// Changes one's own profile while it waits or is approved; an edit that changes nothing leaves version and trail alone.
///
/// Errors: `INVALID_INPUT`, `NOT_FOUND` for it or the city, `NOT_ALLOWED` for another's, `INVALID_STATE`, `CONFLICT`.
pub async fn update(
    app: &App,
    viewer: &Viewer,
    id: Option<ProviderId>,
    change: Change,
    expected_version: Option<i32>,
) -> Result<Provider> {
    let now = app.clock.now();
    let Change {
        display_name: typed_name,
        headline: typed_headline,
        bio: typed_bio,
        city_id,
        time_zone: typed_zone,
        cancellation_policy,
    } = change;
    let mut problems = Problems::new();
    for (path, cleared) in [
        ("input.displayName", typed_name == Patch::Clear),
        ("input.cityId", city_id == Patch::Clear),
        (
            "input.cancellationPolicy",
            cancellation_policy == Patch::Clear,
        ),
    ] {
        if cleared {
            problems.invalid(path, "A value is needed.");
        }
    }
    let mut typed = |patch: Patch<String>, check: fn(&mut Problems, &str) -> Option<String>| {
        Some(match patch {
            Patch::Keep => Patch::Keep,
            Patch::Clear => Patch::Clear,
            Patch::Set(typed) => Patch::Set(check(&mut problems, &typed)?),
        })
    };
    let display_name = typed(typed_name, display_name);
    let headline = typed(typed_headline, headline);
    let bio = typed(typed_bio, bio);
    let time_zone = typed(typed_zone, time_zone);
    problems.check()?;

    let mut tx = app.db.begin().await?;
    let (before, owner) = lock_with_owner(&mut tx, viewer, id).await?;
    if before.is_owned_by(viewer) && owner != UserStatus::Active {
        return Err(Error::Forbidden);
    }
    let city = match city_id {
        Patch::Keep | Patch::Clear => before.city_id,
        Patch::Set(city) => city.ok_or_else(|| Error::not_found("input.cityId"))?,
    };
    // Only a new city, or one whose zone stands in for a cleared one, is worth a statement.
    let mut zone_of_city = None;
    if city != before.city_id || time_zone == Some(Patch::Clear) {
        let city = catalog::city_by_id(&mut tx, city).await?;
        let city = city.ok_or_else(|| Error::not_found("input.cityId"))?;
        zone_of_city = Some(city.time_zone);
    }
    if !before.is_owned_by(viewer) {
        return Err(Error::not_allowed("This is another person's profile."));
    }
    if !matches!(
        before.status,
        ProviderStatus::Pending | ProviderStatus::Approved
    ) {
        return Err(invalid_state(&before, "The profile is closed to changes."));
    }
    expect_version(expected_version, before.version)?;
    let keep_or = |patch: Option<Patch<String>>, current: &str| {
        patch
            .unwrap_or_default()
            .apply(Some(current.to_owned()))
            .unwrap_or_default()
    };
    let after = Provider {
        display_name: keep_or(display_name, &before.display_name),
        headline: keep_or(headline, &before.headline),
        bio: keep_or(bio, &before.bio),
        city_id: city,
        time_zone: time_zone
            .unwrap_or_default()
            .apply(Some(before.time_zone.clone()))
            .or(zone_of_city)
            .unwrap_or_else(|| before.time_zone.clone()),
        cancellation_policy: match cancellation_policy {
            Patch::Set(policy) => policy,
            Patch::Keep | Patch::Clear => before.cancellation_policy,
        },
        version: before.version + 1,
        updated_at: Instant(now),
        ..before.clone()
    };
    if changed(&before, &after).is_empty() {
        return Ok(before);
    }
    model::save(&mut tx, &after).await?;
    let entry = Entry {
        action: "provider.update",
        target: Some(("prv", after.id.0)),
        before: Some(profile(&before)),
        after: Some(edited(&before, &after)),
    };
    audit::record(&mut tx, app, viewer, now, entry).await?;
    tx.commit().await?;
    Ok(after)
}

/// Takes one's own application back while it waits.
///
/// Errors: `NOT_FOUND`, `NOT_ALLOWED` for another's, `INVALID_STATE` once staff have decided.
pub async fn withdraw(app: &App, viewer: &Viewer, id: Option<ProviderId>) -> Result<Provider> {
    let now = app.clock.now();
    let mut tx = app.db.begin().await?;
    let before = lock(&mut tx, viewer, id).await?;
    if !before.is_owned_by(viewer) {
        return Err(Error::not_allowed("This is another person's application."));
    }
    if before.status != ProviderStatus::Pending {
        let message = "Only an application that waits can be withdrawn.";
        return Err(invalid_state(&before, message));
    }
    let after = Provider {
        status: ProviderStatus::Withdrawn,
        version: before.version + 1,
        updated_at: Instant(now),
        ..before.clone()
    };
    model::save(&mut tx, &after).await?;
    let entry = Entry {
        action: "provider.withdraw",
        target: Some(("prv", after.id.0)),
        before: Some(super::state(&before)),
        after: Some(super::state(&after)),
    };
    audit::record(&mut tx, app, viewer, now, entry).await?;
    tx.commit().await?;
    Ok(after)
}
