//! The audit trail in the schema.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, Json, Object};
use serde_json::Value;
use uuid::Uuid;

use super::{
    model::{self, NEWEST},
    service,
};
use crate::{
    cursor::PageArgs,
    db::{
        Instant,
        ids::{self, AuditEventId, UserId},
    },
    error::Result,
    features::users::graphql::User,
    graphql::{args, connection::Connection, context::ContextExt, scalars::DateTime},
};

/// Who acted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "model::ActorKind", name = "AuditActorKind")]
pub enum ActorKind {
    /// A person; without `actor`, somebody who is not signed in.
    User,
    /// A background job, or the operator.
    System,
    /// The payment gateway, by a webhook.
    Gateway,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "model::Outcome", name = "AuditOutcome")]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was refused.
    Refused,
}

/// An entry of the audit trail: who did what, on what, from where, before and after. Nobody can change or delete it, so
/// that it outlives the erasure of an account: of what people type it tells which fields changed, not what they hold. Only
/// the reasons and notes of staff are kept as they were typed. Staff: write no personal data into reasons.
#[derive(async_graphql::Description, Clone)]
pub struct AuditEvent(pub Arc<model::AuditEvent>);

impl AuditEvent {
    /// The entry with this id, for staff with `audit:read`; that of a report for staff with `reports:read` besides.
    pub async fn by_id(ctx: &Context<'_>, id: AuditEventId) -> Result<Option<Self>> {
        if !ctx.viewer().may("audit:read") {
            return Ok(None);
        }
        let event = ctx.loaders().audit_events.load(id).await?;
        Ok(event
            .filter(|event| service::sees(ctx.viewer(), event))
            .map(Self))
    }
}

#[Object(use_type_description)]
impl AuditEvent {
    /// Identity (`aud_…`).
    pub async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// What kind of actor it was.
    async fn actor_kind(&self) -> ActorKind {
        self.0.actor_kind.into()
    }

    /// The person who acted; null for the others, and for somebody who is not signed in.
    async fn actor(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        match self.0.actor_id {
            Some(id) => Ok(ctx.loaders().users.load(id).await?.map(User)),
            None => Ok(None),
        }
    }

    /// `object.verb`, e.g. `booking.accept`.
    async fn action(&self) -> &str {
        &self.0.action
    }

    /// How it ended.
    async fn outcome(&self) -> Outcome {
        self.0.outcome.into()
    }

    /// The typed id of what it was done to; null where there is no such object.
    async fn target_id(&self) -> Option<ID> {
        let (kind, id) = self.0.target_kind.as_deref().zip(self.0.target_id)?;
        ids::typed(kind, id).map(ID)
    }

    /// What of the object counts, as it was.
    async fn before(&self) -> Option<Json<Value>> {
        self.0.before.clone().map(Json)
    }

    /// The same, afterwards; of what was refused, why.
    async fn after(&self) -> Option<Json<Value>> {
        self.0.after.clone().map(Json)
    }

    /// The client's address, which an erasure leaves; null for jobs and webhooks.
    async fn ip_address(&self) -> Option<&str> {
        self.0.ip_address.as_deref()
    }

    /// The request, as in `X-Request-Id`; null for jobs and webhooks.
    async fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// When.
    async fn created_at(&self) -> DateTime {
        DateTime(*self.0.created_at)
    }
}

/// Which entries; every condition given must hold.
#[derive(InputObject, Default)]
pub struct AuditEventFilter {
    /// By this person (`usr_…`).
    pub actor_id: Option<ID>,
    /// On this object: any typed id.
    pub target_id: Option<ID>,
    /// Of this action, e.g. `booking.accept`; at most 100 characters.
    pub action: Option<String>,
    /// That ended so.
    pub outcome: Option<Outcome>,
    /// From this address, as it is told; at most 100 characters.
    pub ip_address: Option<String>,
    /// Not before this.
    pub from: Option<DateTime>,
    /// Before this.
    pub to: Option<DateTime>,
}

/// Queries of the audit trail.
#[derive(Default)]
pub struct AuditQueries;

#[Object]
impl AuditQueries {
    /// The audit trail, the newest first; entries of reports that were made are left out without `reports:read`. A
    /// cursor may be used with another filter.
    async fn audit_events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which ones; all without.")] filter: Option<AuditEventFilter>,
        #[graphql(desc = "How many from the start, 1 to 100; 20 without.")] first: Option<i32>,
        #[graphql(desc = "Only what follows this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what precedes this cursor.")] before: Option<String>,
    ) -> Result<Option<Connection<AuditEvent>>> {
        let page = PageArgs::new(first, after, last, before).page(NEWEST)?;
        let AuditEventFilter {
            actor_id,
            target_id,
            action,
            outcome,
            ip_address,
            from,
            to,
        } = filter.unwrap_or_default();
        // What cannot be an id finds what a missing one finds: nothing.
        let filter = model::Filter {
            actor: actor_id.map(|id| args::maybe_id(&id).unwrap_or(UserId(Uuid::nil()))),
            target: target_id.map(|id| {
                ids::any(&id).map_or_else(Default::default, |(kind, id)| (kind.to_owned(), id))
            }),
            action,
            outcome: outcome.map(Into::into),
            ip_address,
            from: from.map(|from| Instant(from.0)),
            to: to.map(|to| Instant(to.0)),
            without_reporters: false,
        };
        let count = ctx.selects("totalCount");
        let slice = service::events(ctx.app(), ctx.viewer(), filter, &page, count).await?;
        Ok(Some(Connection::of(
            slice,
            NEWEST,
            |row| (row.created_at, row.id),
            AuditEvent,
        )))
    }
}
