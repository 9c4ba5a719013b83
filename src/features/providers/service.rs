//! The rules of providers.

mod account;
mod applications;
mod prices;
mod search;
mod staff;

use serde_json::{Value, json};

use super::model::{self, Provider};
use crate::{
    auth::viewer::Viewer,
    db::{Transaction, ids::ProviderId},
    error::{Error, ErrorCode, Problem, Result},
    features::{audit, users::model::UserStatus},
};

pub use account::{close_with_account, erase, reopen_with_account};
pub use applications::{Application, Change, apply, update, withdraw};
pub use prices::{NewPrice, set_price};
pub use search::{Query, Search, Sort, applications, search};
pub use staff::{Decision, reinstate, review, suspend};

/// Locks a profile after its owner's row (architecture.md, habit 5).
///
/// `NOT_FOUND` for one that the viewer may not know of.
async fn lock(tx: &mut Transaction, viewer: &Viewer, id: Option<ProviderId>) -> Result<Provider> {
    let (provider, _) = lock_with_owner(tx, viewer, id).await?;
    Ok(provider)
}

/// The same, with what may be said of its person's account.
async fn lock_with_owner(
    tx: &mut Transaction,
    viewer: &Viewer,
    id: Option<ProviderId>,
) -> Result<(Provider, UserStatus)> {
    let missing = || Error::not_found("id");
    let id = id.ok_or_else(missing)?;
    let owner = model::lock_owner(tx, id).await?.ok_or_else(missing)?;
    let provider = model::lock(tx, id).await?.ok_or_else(missing)?;
    if provider.is_visible_to(viewer) {
        Ok((provider, owner))
    } else {
        Err(missing())
    }
}

fn invalid_state(provider: &Provider, message: &'static str) -> Error {
    Problem::new(ErrorCode::InvalidState, message)
        .at("id")
        .with(json!({ "state": provider.status }))
        .into()
}

/// What the audit trail keeps of a profile's state. The reason is staff's.
fn state(provider: &Provider) -> Value {
    json!({ "status": provider.status, "reason": provider.decision_reason })
}

/// What the audit trail keeps of a profile: none of its texts.
fn profile(provider: &Provider) -> Value {
    json!({
        "status": provider.status,
        "city": provider.city_id,
        "timeZone": provider.time_zone,
        "cancellationPolicy": provider.cancellation_policy,
        "version": provider.version,
    })
}

/// The names of what an edit of a profile changed.
fn changed(before: &Provider, after: &Provider) -> Vec<&'static str> {
    audit::changed(&[
        ("displayName", before.display_name != after.display_name),
        ("headline", before.headline != after.headline),
        ("bio", before.bio != after.bio),
        ("city", before.city_id != after.city_id),
        ("timeZone", before.time_zone != after.time_zone),
        (
            "cancellationPolicy",
            before.cancellation_policy != after.cancellation_policy,
        ),
    ])
}

/// What the audit trail keeps of a profile after an edit.
fn edited(before: &Provider, after: &Provider) -> Value {
    let mut told = profile(after);
    if let Some(told) = told.as_object_mut() {
        told.insert("changed".to_owned(), json!(changed(before, after)));
    }
    told
}
