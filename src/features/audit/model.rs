//! Rows of `audit_events`.

use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    db::{
        Instant,
        ids::{AuditEventId, UserId},
        schema::audit_events,
    },
    text_enum,
};

text_enum! {
    /// Who acted.
    pub enum ActorKind {
        /// A person (with no id: somebody who is not signed in).
        User = "USER",
        /// A background job.
        System = "SYSTEM",
        /// The payment gateway, by a webhook.
        Gateway = "GATEWAY",
    }
}

text_enum! {
    /// How it ended.
    pub enum Outcome {
        /// It was done.
        Done = "DONE",
        /// It was refused.
        Refused = "REFUSED",
    }
}

/// An entry of the audit trail.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = audit_events, check_for_backend(diesel::pg::Pg))]
pub struct AuditEvent {
    /// Identity.
    pub id: AuditEventId,
    /// Who acted.
    pub actor_kind: ActorKind,
    /// The person, when one did.
    pub actor_id: Option<UserId>,
    /// `object.verb`.
    pub action: String,
    /// How it ended.
    pub outcome: Outcome,
    /// The prefix of the target's typed id.
    pub target_kind: Option<String>,
    /// The target.
    pub target_id: Option<Uuid>,
    /// What of it counts, as it was.
    pub before: Option<Value>,
    /// The same, afterwards.
    pub after: Option<Value>,
    /// The client's address.
    pub ip_address: Option<String>,
    /// The request.
    pub request_id: Option<String>,
    /// When.
    pub created_at: Instant,
}

/// Adds an entry.
pub async fn insert(conn: &mut AsyncPgConnection, event: &AuditEvent) -> QueryResult<()> {
    diesel::insert_into(audit_events::table)
        .values(event)
        .execute(conn)
        .await?;
    Ok(())
}
