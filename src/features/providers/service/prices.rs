//! A provider's prices.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    app::App,
    auth::viewer::Viewer,
    db::{
        Instant,
        ids::{ProviderServiceId, ServiceId},
    },
    error::{Error, ErrorCode, Problem, Problems, Result},
    features::{
        audit::{self, Entry},
        catalog::{
            model::{self as catalog, ServiceStatus},
            service::archived,
        },
        providers::model::{self, PricedService, ProviderService, ProviderStatus},
    },
    money::{Currency, Money},
    patch::expect_version,
};

/// A price to set.
#[derive(Clone, Debug)]
pub struct NewPrice {
    /// In the currency's minor unit; 0 is free.
    pub amount_minor: i64,
    /// ISO 4217's code.
    pub currency: String,
    /// How long a booking is, 15 to 1 440.
    pub duration_minutes: i32,
    /// Whether it can be booked.
    pub active: bool,
}

fn told(price: &ProviderService) -> Value {
    json!({
        "service": price.service_id,
        "amountMinor": price.price_minor,
        "currency": price.currency,
        "durationMinutes": price.duration_minutes,
        "active": price.active,
    })
}

/// Sets the viewer's price for a service; bookings made keep theirs (rule 4).
///
/// Errors: `INVALID_INPUT` (what the gateway could not charge, too), `NOT_FOUND` for the service, `NOT_ALLOWED` without a
/// profile, `INVALID_STATE` unless it waits or is approved or when an archived service would be offered, `CONFLICT` for
/// another version of the price (0 stands for none yet).
pub async fn set_price(
    app: &App,
    viewer: &Viewer,
    service: Option<ServiceId>,
    new: NewPrice,
    expected_version: Option<i32>,
) -> Result<PricedService> {
    let user = viewer.require_user()?;
    let now = app.clock.now();
    let NewPrice {
        amount_minor,
        currency,
        duration_minutes,
        active,
    } = new;
    let mut problems = Problems::new();
    let currency = problems.take("input.currency", Currency::parse(&currency));
    if let Some(currency) = currency {
        let price = Money::new(amount_minor, currency);
        let checked = price.and_then(|price| price.check_price());
        problems.take("input.amountMinor", checked);
    } else if amount_minor < 0 {
        problems.invalid("input.amountMinor", "This must not be negative.");
    }
    if !(15..=1440).contains(&duration_minutes) {
        problems.invalid("input.durationMinutes", "15 to 1440 minutes are possible.");
    }
    problems.check()?;

    let mut tx = app.db.begin().await?;
    let no_service = || Error::not_found("serviceId");
    // Held before the provider's row: who archives a service locks it and then the providers that offer it.
    let service = catalog::hold_service(&mut tx, service.ok_or_else(no_service)?)
        .await?
        .ok_or_else(no_service)?;
    let provider = model::lock_of_user(&mut tx, user)
        .await?
        .ok_or_else(|| Error::not_allowed("Only who has applied as a provider has prices."))?;
    if !matches!(
        provider.status,
        ProviderStatus::Pending | ProviderStatus::Approved
    ) {
        return Err(
            Problem::new(ErrorCode::InvalidState, "The profile is closed to changes.")
                .with(json!({ "state": provider.status }))
                .into(),
        );
    }
    if active && service.status == ServiceStatus::Archived {
        return Err(archived("serviceId"));
    }
    let before = model::find_price(&mut tx, provider.id, service.id).await?;
    let version = before.as_ref().map_or(0, |before| before.version);
    expect_version(expected_version, version)?;
    let after = ProviderService {
        id: before.as_ref().map_or_else(
            || ProviderServiceId(app.entropy.uuid_v7(now)),
            |before| before.id,
        ),
        provider_id: provider.id,
        service_id: service.id,
        price_minor: amount_minor,
        currency: currency.map(Currency::code).unwrap_or_default().to_owned(),
        duration_minutes,
        active,
        version: version + 1,
        created_at: before
            .as_ref()
            .map_or(Instant(now), |before| before.created_at),
        updated_at: Instant(now),
    };
    model::save_price(&mut tx, &after).await?;
    let entry = Entry {
        action: "provider.price",
        target: Some(("prv", provider.id.0)),
        before: before.as_ref().map(told),
        after: Some(told(&after)),
    };
    audit::record(&mut tx, app, viewer, now, entry).await?;
    tx.commit().await?;
    Ok(PricedService {
        price: after,
        service: Arc::new(service),
    })
}
