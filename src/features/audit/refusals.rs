//! What staff were refused, for the trail: collected while a request is answered and written at its end, in one
//! statement. Of a refusal it keeps which field, why and on what: names, codes and ids, nothing that was typed.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Entry, record_all_refused};
use crate::{app::App, auth::viewer::Viewer, error::Result};

/// The action of a field that was refused before anything of it was looked at.
pub const FORBIDDEN: &str = "access.refused";
/// Stands for the field where a document does not parse, so that nobody knows what it asks for.
pub const DOCUMENT: &str = "(document)";

/// The ids told of one refusal; no list of them is longer in the schema.
const IDS: usize = 100;

/// Why a field was refused to somebody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// The field of `Query` or `Mutation`, or [`DOCUMENT`].
    pub field: &'static str,
    /// What the trail calls it, [`FORBIDDEN`] or [`action`].
    pub action: &'static str,
    /// The code of the answer.
    pub code: &'static str,
    /// On what: the id's prefix and the id.
    pub target: Option<(&'static str, Uuid)>,
    /// Where in the arguments, by name and place.
    pub at: BTreeSet<String>,
    /// Typed ids there which are not the target.
    pub ids: BTreeSet<String>,
    /// The state that was in the way.
    pub state: Option<String>,
    /// How many things were asked for at once, where a list of ids was given.
    pub asked: Option<usize>,
    /// Their typed ids, in the first refusal of the field alone.
    pub asked_ids: BTreeSet<String>,
}

impl Refusal {
    fn is_like(&self, other: &Self) -> bool {
        (self.field, self.action, self.code, self.target)
            == (other.field, other.action, other.code, other.target)
    }

    fn entry(self, count: u32) -> Entry {
        let mut after = json!({ "field": self.field, "code": self.code, "count": count });
        let ids: Vec<_> = self.ids.into_iter().take(IDS).collect();
        let at: Vec<_> = self.at.into_iter().take(IDS).collect();
        let asked: Vec<_> = self.asked_ids.into_iter().take(IDS).collect();
        for (name, value) in [
            ("at", (!at.is_empty()).then(|| json!(at))),
            ("ids", (!ids.is_empty()).then(|| json!(ids))),
            ("state", self.state.map(Value::String)),
            ("asked", self.asked.map(|count| json!(count))),
            ("askedIds", (!asked.is_empty()).then(|| json!(asked))),
        ] {
            if let (Some(after), Some(value)) = (after.as_object_mut(), value) {
                after.insert(name.to_owned(), value);
            }
        }
        Entry {
            action: self.action,
            target: self.target,
            before: None,
            after: Some(after),
        }
    }
}

/// The refusals of one request: those of one field with one code on one target are one, counted.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<Vec<(Refusal, u32)>>);

impl Refusals {
    /// Adds one.
    pub fn add(&self, refusal: Refusal) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.iter_mut().find(|(known, _)| known.is_like(&refusal)) {
            Some((known, count)) => {
                *count = count.saturating_add(1);
                known.at.extend(refusal.at);
                known.ids.extend(refusal.ids);
                known.asked = known
                    .asked
                    .into_iter()
                    .chain(refusal.asked)
                    .reduce(usize::saturating_add);
                known.asked_ids.extend(refusal.asked_ids);
            }
            None => all.push((refusal, 1)),
        }
    }

    /// What was collected; none is left.
    pub fn take(&self) -> Vec<(Refusal, u32)> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *all)
    }
}

/// Writes refusals to the trail. What fails is only logged: the answers are refusals anyway.
pub async fn write(app: &App, viewer: &Viewer, refused: Vec<(Refusal, u32)>) {
    let written: Result<()> = async {
        let entries = refused.into_iter();
        let entries = entries
            .map(|(refusal, count)| refusal.entry(count))
            .collect();
        let mut conn = app.db.conn().await?;
        record_all_refused(&mut conn, app, viewer, app.clock.now(), entries).await?;
        Ok(())
    }
    .await;
    if let Err(error) = written {
        tracing::error!(%error, "refusals were not written to the audit trail");
    }
}

/// What a mutation of staff is called where it is done.
enum Name {
    Of(&'static str),
    /// By what is chosen in this argument.
    By(&'static str, &'static [(&'static str, &'static str)]),
}

use Name::{By, Of};

const NAMES: &[(&str, Name)] = &[
    (
        "providerApplicationReview",
        By(
            "input.decision",
            &[
                ("APPROVE", "provider.approve"),
                ("REJECT", "provider.reject"),
            ],
        ),
    ),
    ("providerSuspend", Of("provider.suspend")),
    ("providerReinstate", Of("provider.reinstate")),
    ("providerUpdate", Of("provider.update")),
    ("providerApplicationWithdraw", Of("provider.withdraw")),
    ("serviceCreate", Of("service.create")),
    ("serviceUpdate", Of("service.update")),
    ("serviceArchive", Of("service.archive")),
    ("bookingAccept", Of("booking.accept")),
    ("bookingReject", Of("booking.reject")),
    ("bookingCancel", Of("booking.cancel")),
    ("bookingComplete", Of("booking.complete")),
    ("bookingNoShow", Of("booking.no_show")),
    ("bookingReschedule", Of("booking.reschedule")),
    (
        "bookingRescheduleAnswer",
        By(
            "input.accept",
            &[
                ("true", "booking.reschedule_accept"),
                ("false", "booking.reschedule_decline"),
            ],
        ),
    ),
    ("bookingAttentionClear", Of("booking.attention_clear")),
    ("orderCreate", Of("order.create")),
    ("checkoutCreate", Of("checkout.create")),
    ("refundCreate", Of("refund.create")),
    ("orderAttentionClear", Of("order.attention_clear")),
    ("reviewReply", Of("review.reply")),
    ("reviewModerate", Of("review.moderate")),
    ("boundaryPolicyPublish", Of("boundary.publish")),
    ("reportResolve", Of("report.resolve")),
    ("userCreate", Of("user.create")),
    ("userUpdate", Of("user.staffUpdate")),
    (
        "userStatusSet",
        By(
            "input.decision",
            &[("SUSPEND", "user.suspend"), ("REINSTATE", "user.reinstate")],
        ),
    ),
    ("userDelete", Of("user.delete")),
    ("usersDelete", Of("user.delete")),
    ("permissionCreate", Of("permission.create")),
    ("permissionDelete", Of("permission.delete")),
    ("roleCreate", Of("role.create")),
    ("roleUpdate", Of("role.update")),
    ("roleDelete", Of("role.delete")),
    ("rolePermissionsSet", Of("role.permissionsSet")),
    ("userRolesSet", Of("user.rolesSet")),
];

/// What the trail calls this mutation; `chosen` answers a word at a dotted path of its arguments.
pub fn action(mutation: &str, chosen: impl Fn(&str) -> Option<String>) -> &'static str {
    let name = NAMES.iter().find(|(name, _)| *name == mutation);
    match name.map(|(_, name)| name) {
        Some(Of(action)) => action,
        Some(By(path, actions)) => {
            let chosen = chosen(path).unwrap_or_default();
            let action = actions.iter().find(|(word, _)| *word == chosen);
            action.map_or(FORBIDDEN, |(_, action)| action)
        }
        None => FORBIDDEN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::policy::{self, Audience};

    #[test]
    fn each_mutation_of_staff_has_a_name() {
        for (mutation, audience) in policy::MUTATIONS {
            let of_staff = matches!(audience, Audience::Permission(_))
                || policy::STAFF_TOO.iter().any(|(name, _)| name == mutation);
            let named = NAMES.iter().any(|(name, _)| name == mutation);
            assert_eq!(named, of_staff, "{mutation}");
        }
        assert_eq!(
            action("userStatusSet", |_| Some("SUSPEND".into())),
            "user.suspend"
        );
        assert_eq!(action("userStatusSet", |_| None), FORBIDDEN);
    }

    #[test]
    fn what_is_alike_is_one_with_a_count() {
        let refusals = Refusals::default();
        let of = |code, at: &str| Refusal {
            field: "userDelete",
            code,
            at: [at.to_owned()].into(),
            ..Refusal::default()
        };
        refusals.add(of("NOT_FOUND", "id"));
        refusals.add(of("SELF_ACTION", "id"));
        refusals.add(of("NOT_FOUND", "other"));
        let all = refusals.take();
        let counts: Vec<_> = all
            .iter()
            .map(|(it, count)| (it.code, *count, it.at.len()))
            .collect();
        assert_eq!(counts, [("NOT_FOUND", 2, 2), ("SELF_ACTION", 1, 1)]);
        assert!(refusals.take().is_empty());
    }
}
