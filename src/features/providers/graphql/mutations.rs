//! Mutations of providers.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};

use super::{
    Provider, ProviderApplicationReviewInput, ProviderApplyInput, ProviderService,
    ProviderServicePricingSetInput, ProviderSuspendInput, ProviderUpdateInput,
};
use crate::{
    db::retry_conflict,
    error::Result,
    features::providers::service::{self, Application, Change, NewPrice},
    graphql::{args, context::ContextExt},
    payload,
};

payload! {
    /// What `providerApply` did.
    ProviderApplyPayload {
        /// Your profile, waiting for staff.
        provider: Provider
    }
}

payload! {
    /// What `providerUpdate` did.
    ProviderUpdatePayload {
        /// Your profile as it is now.
        provider: Provider
    }
}

payload! {
    /// What `providerApplicationWithdraw` did.
    ProviderApplicationWithdrawPayload {
        /// Your profile, withdrawn.
        provider: Provider
    }
}

payload! {
    /// What `providerApplicationReview` did.
    ProviderApplicationReviewPayload {
        /// The provider, approved or rejected.
        provider: Provider
    }
}

payload! {
    /// What `providerSuspend` did.
    ProviderSuspendPayload {
        /// The provider, suspended.
        provider: Provider
    }
}

payload! {
    /// What `providerReinstate` did.
    ProviderReinstatePayload {
        /// The provider, approved again.
        provider: Provider
    }
}

payload! {
    /// What `providerServicePricingSet` did.
    ProviderServicePricingSetPayload {
        /// The price as it is now.
        provider_service: ProviderService
    }
}

/// Mutations of providers.
#[derive(Default)]
pub struct ProviderMutations;

#[Object]
impl ProviderMutations {
    /// Applies to become a provider; after a rejection or a withdrawal the same profile waits again. Codes:
    /// `INVALID_INPUT`, `NOT_FOUND` (the city), `ALREADY_EXISTS`, `INVALID_STATE` (suspended).
    async fn provider_apply(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The application.")] input: ProviderApplyInput,
    ) -> Result<ProviderApplyPayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let application = Application::from(input);
        let applied = retry_conflict(|| service::apply(app, viewer, application.clone())).await;
        ProviderApplyPayload::of(applied.map(Provider::from_row))
    }

    /// Changes your profile while it waits or is approved. Codes: `INVALID_INPUT`, `NOT_FOUND` (it or the city),
    /// `NOT_ALLOWED`, `INVALID_STATE`, `CONFLICT`.
    async fn provider_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The profile (`prv_…`).")] id: ID,
        #[graphql(desc = "What to change.")] input: ProviderUpdateInput,
        #[graphql(desc = "Refuse with `CONFLICT` unless `version` is this.")]
        expected_version: Option<i32>,
    ) -> Result<ProviderUpdatePayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let (id, change) = (args::maybe_id(&id), Change::from(input));
        let updated =
            retry_conflict(|| service::update(app, viewer, id, change.clone(), expected_version))
                .await;
        ProviderUpdatePayload::of(updated.map(Provider::from_row))
    }

    /// Takes your application back while it waits. Codes: `NOT_FOUND`, `NOT_ALLOWED`, `INVALID_STATE`.
    async fn provider_application_withdraw(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The profile (`prv_…`).")] id: ID,
    ) -> Result<ProviderApplicationWithdrawPayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let id = args::maybe_id(&id);
        let withdrawn = retry_conflict(|| service::withdraw(app, viewer, id)).await;
        ProviderApplicationWithdrawPayload::of(withdrawn.map(Provider::from_row))
    }

    /// Approves or rejects an application that waits. Codes: `INVALID_INPUT`, `NOT_FOUND`, `SELF_ACTION`,
    /// `INVALID_STATE`, `CONFLICT`.
    async fn provider_application_review(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The profile (`prv_…`).")] id: ID,
        #[graphql(desc = "The decision.")] input: ProviderApplicationReviewInput,
        #[graphql(desc = "Refuse with `CONFLICT` unless `version` is this.")]
        expected_version: Option<i32>,
    ) -> Result<ProviderApplicationReviewPayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let ProviderApplicationReviewInput { decision, reason } = input;
        let (id, reason) = (args::maybe_id(&id), reason.as_deref());
        let decision = service::Decision::from(decision);
        let reviewed =
            retry_conflict(|| service::review(app, viewer, id, decision, reason, expected_version))
                .await;
        ProviderApplicationReviewPayload::of(reviewed.map(Provider::from_row))
    }

    /// Suspends an approved provider: the profile leaves every list, and open bookings are cancelled with a full refund.
    /// Codes: `INVALID_INPUT`, `NOT_FOUND`, `SELF_ACTION`, `INVALID_STATE`, `CONFLICT`.
    async fn provider_suspend(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The profile (`prv_…`).")] id: ID,
        #[graphql(desc = "The suspension.")] input: ProviderSuspendInput,
        #[graphql(desc = "Refuse with `CONFLICT` unless `version` is this.")]
        expected_version: Option<i32>,
    ) -> Result<ProviderSuspendPayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let ProviderSuspendInput { reason } = input;
        let id = args::maybe_id(&id);
        let suspended =
            retry_conflict(|| service::suspend(app, viewer, id, &reason, expected_version)).await;
        ProviderSuspendPayload::of(suspended.map(Provider::from_row))
    }

    /// Takes a suspension back; bookings that were cancelled stay so. Codes: `NOT_FOUND`, `SELF_ACTION`,
    /// `INVALID_STATE`, `CONFLICT`.
    async fn provider_reinstate(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The profile (`prv_…`).")] id: ID,
        #[graphql(desc = "Refuse with `CONFLICT` unless `version` is this.")]
        expected_version: Option<i32>,
    ) -> Result<ProviderReinstatePayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let id = args::maybe_id(&id);
        let reinstated =
            retry_conflict(|| service::reinstate(app, viewer, id, expected_version)).await;
        ProviderReinstatePayload::of(reinstated.map(Provider::from_row))
    }

    /// Sets your price and duration for a service, while your profile waits or is approved; bookings made keep theirs.
    /// Codes: `INVALID_INPUT`, `NOT_FOUND` (the service), `NOT_ALLOWED` (no profile), `INVALID_STATE`, `CONFLICT`.
    async fn provider_service_pricing_set(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The service (`srv_…`).")] service_id: ID,
        #[graphql(desc = "The price.")] input: ProviderServicePricingSetInput,
        #[graphql(
            desc = "Refuse with `CONFLICT` unless the price's `version` is this; 0 stands for none yet."
        )]
        expected_version: Option<i32>,
    ) -> Result<ProviderServicePricingSetPayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let (service, price) = (args::maybe_id(&service_id), NewPrice::from(input));
        let set = retry_conflict(|| {
            service::set_price(app, viewer, service, price.clone(), expected_version)
        })
        .await;
        ProviderServicePricingSetPayload::of(set.map(|priced| ProviderService(Arc::new(priced))))
    }
}
