//! Boundary rules in the schema.

use async_graphql::{Context, InputObject, Object};

use super::service::{self, Seen};
use crate::{
    db::retry_conflict,
    error::Result,
    graphql::{context::ContextExt, scalars::DateTime},
    payload,
};

/// A version of the boundary rules: what everyone agrees to before they book.
#[derive(async_graphql::Description)]
pub struct BoundaryPolicy(pub Seen);

#[Object(use_type_description)]
impl BoundaryPolicy {
    /// 1, 2, 3, …; pass it to `boundaryAcknowledge`. A booking freezes the one in force.
    async fn version(&self) -> i32 {
        self.0.policy.version
    }

    /// The rules, 1 to 20 000 characters in several lines.
    async fn text(&self) -> &str {
        &self.0.policy.body
    }

    /// When it came into force.
    async fn published_at(&self) -> DateTime {
        DateTime(*self.0.policy.published_at)
    }

    /// Whether you acknowledged this version; false for who is not signed in.
    async fn acknowledged(&self) -> bool {
        self.0.acknowledged_at.is_some()
    }

    /// When you did; null when you have not.
    async fn acknowledged_at(&self) -> Option<DateTime> {
        self.0.acknowledged_at.map(|at| DateTime(*at))
    }
}

payload! {
    /// What `boundaryAcknowledge` did.
    BoundaryAcknowledgePayload {
        /// The rules in force, acknowledged.
        boundary_policy: BoundaryPolicy
    }
}

payload! {
    /// What `boundaryPolicyPublish` did.
    BoundaryPolicyPublishPayload {
        /// The rules in force now.
        boundary_policy: BoundaryPolicy
    }
}

/// A new version of the boundary rules.
#[derive(InputObject)]
pub struct BoundaryPolicyPublishInput {
    /// The rules, 1 to 20 000 characters; may have several lines.
    pub text: String,
}

/// Queries of boundary rules.
#[derive(Default)]
pub struct BoundaryQueries;

#[Object]
impl BoundaryQueries {
    /// The boundary rules in force; null while none are published.
    async fn boundary_policy(&self, ctx: &Context<'_>) -> Result<Option<BoundaryPolicy>> {
        let current = service::current(ctx.app(), ctx.viewer()).await?;
        Ok(current.map(BoundaryPolicy))
    }
}

/// Mutations of boundary rules.
#[derive(Default)]
pub struct BoundaryMutations;

#[Object]
impl BoundaryMutations {
    /// Says that you have read the boundary rules in force and keep to them, which `bookingCreate` needs. Doing so again
    /// changes nothing. Codes: `NOT_FOUND` (never published), `CONFLICT` (a newer version is in force: read that one).
    async fn boundary_acknowledge(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The version that you read.")] version: i32,
    ) -> Result<BoundaryAcknowledgePayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let seen = retry_conflict(|| service::acknowledge(app, viewer, version)).await;
        BoundaryAcknowledgePayload::of(seen.map(BoundaryPolicy))
    }

    /// Publishes the next version of the boundary rules, in force at once; bookings made keep theirs, new ones need its
    /// acknowledgement. Codes: `INVALID_INPUT`, `CONFLICT`.
    async fn boundary_policy_publish(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new version.")] input: BoundaryPolicyPublishInput,
        #[graphql(desc = "Refuse with `CONFLICT` unless this version is in force.")]
        expected_version: Option<i32>,
    ) -> Result<BoundaryPolicyPublishPayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let BoundaryPolicyPublishInput { text } = input;
        let seen = retry_conflict(|| service::publish(app, viewer, &text, expected_version)).await;
        BoundaryPolicyPublishPayload::of(seen.map(BoundaryPolicy))
    }
}
