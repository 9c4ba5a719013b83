//! The audit trail: who did what, on what, from where, before and after.
//!
//! Rows are written in the transaction of what they tell, and the database refuses to change or delete them. So they hold
//! nothing that an erasure has to take away: see [`changed`]. The address a request came from stays, under the id of a
//! person who is gone: what was done from it to others has to be found afterwards.
//!
//! What staff are refused has its row: each field that needs a permission and was asked for without it, and each user
//! error of a mutation by who has the permission ([`refusals`]); and, once a minute for each session, each field of staff in
//! a document that can't be executed. Who has no permission at all has one a minute and field.
//!
//! Every change of state has its row, one that follows from another (a profile that closes with its account, a review that
//! a no-show hides) has one of its own. None have refreshes that go well, whose session tells when it was last used; the
//! clean-up of what has run out; and wrong parties of a booking or profile who are not staff, because rows that cannot be
//! deleted are not for everybody to make.

pub mod graphql;
pub mod loaders;
pub mod model;
pub mod refusals;
pub mod service;

use serde_json::Value;
use uuid::Uuid;

use crate::{
    app::App,
    auth::viewer::Viewer,
    db::{
        Instant,
        ids::{AuditEventId, UserId},
    },
};
use diesel::QueryResult;
use diesel_async::AsyncPgConnection;
use jiff::Timestamp;
pub use model::{ActorKind, Outcome};

/// What happened, for [`record`].
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// `object.verb`, e.g. `booking.accept`.
    pub action: &'static str,
    /// On what: the id's prefix (`bkg`) and the id.
    pub target: Option<(&'static str, Uuid)>,
    /// What of it counts, as it was.
    pub before: Option<Value>,
    /// The same, as it is now.
    pub after: Option<Value>,
}

/// The names of what changed, of these. The trail outlives an erasure, so of what is personal, and of whatever people
/// type about themselves or others, it keeps only that it changed, never what it was or is. States, versions, prices,
/// times, ids and enumerations may stand in it, and the reasons of staff, who are told so.
pub fn changed(fields: &[(&'static str, bool)]) -> Vec<&'static str> {
    let changed = fields.iter().filter(|(_, changed)| *changed);
    changed.map(|(name, _)| *name).collect()
}

/// Records what `viewer` did; an anonymous viewer is written as a person without an id (a failed sign-in).
pub async fn record(
    conn: &mut AsyncPgConnection,
    app: &App,
    viewer: &Viewer,
    now: Timestamp,
    entry: Entry,
) -> QueryResult<()> {
    let event = Outcome::Done.of(app, Some(viewer), ActorKind::User, None, now, entry);
    model::insert(conn, &event).await
}

/// Records what `person` did, who proved in this request who they are: `viewer` is still anonymous.
pub async fn record_by(
    conn: &mut AsyncPgConnection,
    app: &App,
    viewer: &Viewer,
    person: UserId,
    now: Timestamp,
    entry: Entry,
) -> QueryResult<()> {
    let person = Some(person);
    let event = Outcome::Done.of(app, Some(viewer), ActorKind::User, person, now, entry);
    model::insert(conn, &event).await
}

/// Records that `viewer` was refused.
pub async fn record_refused(
    conn: &mut AsyncPgConnection,
    app: &App,
    viewer: &Viewer,
    now: Timestamp,
    entry: Entry,
) -> QueryResult<()> {
    let event = Outcome::Refused.of(app, Some(viewer), ActorKind::User, None, now, entry);
    model::insert(conn, &event).await
}

/// Records what a job did ([`ActorKind::System`]) or the payment gateway caused ([`ActorKind::Gateway`]).
pub async fn record_ours(
    conn: &mut AsyncPgConnection,
    app: &App,
    actor: ActorKind,
    now: Timestamp,
    entry: Entry,
) -> QueryResult<()> {
    let event = Outcome::Done.of(app, None, actor, None, now, entry);
    model::insert(conn, &event).await
}

/// Records that `viewer` was refused all of these, in one statement.
pub async fn record_all_refused(
    conn: &mut AsyncPgConnection,
    app: &App,
    viewer: &Viewer,
    now: Timestamp,
    entries: Vec<Entry>,
) -> QueryResult<()> {
    let refused = |entry| Outcome::Refused.of(app, Some(viewer), ActorKind::User, None, now, entry);
    let events: Vec<_> = entries.into_iter().map(refused).collect();
    for events in events.chunks(1000) {
        model::insert_all(conn, events).await?;
    }
    Ok(())
}

impl Outcome {
    /// What came of an entry, as it is kept.
    fn of(
        self,
        app: &App,
        viewer: Option<&Viewer>,
        actor_kind: ActorKind,
        actor: Option<UserId>,
        now: Timestamp,
        entry: Entry,
    ) -> model::AuditEvent {
        let Entry {
            action,
            target,
            before,
            after,
        } = entry;
        model::AuditEvent {
            id: AuditEventId(app.entropy.uuid_v7(now)),
            actor_kind,
            actor_id: actor.or_else(|| viewer.and_then(Viewer::user_id)),
            action: action.to_owned(),
            outcome: self,
            target_kind: target.map(|(kind, _)| kind.to_owned()),
            target_id: target.map(|(_, id)| id),
            before,
            after,
            ip_address: viewer
                .and_then(|viewer| viewer.ip_address)
                .map(|address| address.to_string()),
            request_id: viewer.map(|viewer| viewer.request_id.to_string()),
            created_at: Instant(now),
        }
    }
}
