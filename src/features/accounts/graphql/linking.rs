//! Two ways into one account, in the schema.

use std::sync::Arc;

use async_graphql::{Context, Object, SimpleObject};

use super::super::linking::{self, Linked};
use crate::{
    db::retry_conflict,
    error::{self, Result},
    features::{audit::service::refusal, users::graphql::User},
    graphql::{
        context::ContextExt,
        scalars::{DateTime, EmailAddress},
        user_error::{UserError, outcome},
    },
};

/// What `accountLinkTelegram` or `accountLinkEmail` did. Where the account that stays is not the one that you were signed
/// in to, your session ended with that one, and here are the tokens of the next.
#[derive(SimpleObject)]
pub struct AccountLinkPayload {
    /// The account that stays.
    pub user: Option<User>,
    /// A JWT for the header `Authorization: Bearer …`; null where your session goes on.
    pub access_token: Option<String>,
    /// To exchange with `authRefresh`; null where your session goes on.
    pub refresh_token: Option<String>,
    /// When the access token stops working; null where your session goes on.
    pub expires_at: Option<DateTime>,
    /// Why nothing was done; empty on success.
    pub user_errors: Vec<UserError>,
}

impl AccountLinkPayload {
    fn of(result: error::Result<Linked>) -> Result<Self> {
        let (linked, user_errors) = outcome(result)?;
        let (user, session) = match linked {
            Some(Linked { user, session }) => (Some(User(Arc::new(user))), session),
            None => (None, None),
        };
        let expires_at = session.as_ref().map(|session| DateTime(session.expires_at));
        let (access_token, refresh_token) = session
            .map(|session| (session.access_token, session.refresh_token))
            .unzip();
        Ok(Self {
            user,
            access_token,
            refresh_token,
            expires_at,
            user_errors,
        })
    }
}

/// Mutations that link.
#[derive(Default)]
pub struct LinkMutations;

#[Object]
impl LinkMutations {
    /// Has a Telegram account sign you in, too. Where it has an account here already, the one of the two that was never
    /// used is given up and the other stays. Codes: `INVALID_INPUT` and `INVALID_CREDENTIALS` (the init data),
    /// `NOT_ALLOWED` (the other account is suspended), `CONFLICT`, `INVALID_STATE` with `details.state` TELEGRAM_LINKED or
    /// EMAIL_LINKED (there are two of a kind), BOTH_IN_USE or SIGN_IN_AGAIN (you signed in longer than 15 minutes ago).
    async fn account_link_telegram(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "`Telegram.WebApp.initData`, unchanged, at most 8 KiB.", secret)]
        init_data: String,
    ) -> Result<AccountLinkPayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let linked = retry_conflict(|| linking::link_telegram(app, viewer, &init_data)).await;
        let own = viewer.user_id().map(|id| ("usr", id.0));
        let linked = refusal(app, viewer, "account.linkTelegram", own, linked).await;
        AccountLinkPayload::of(linked)
    }

    /// Has an e-mail address sign you in, too, which a code of `emailCodeSend(purpose: LINK)` proves; `passwordReset` sets
    /// the password. Where the address has an account here already, the one of the two that was never used is given up
    /// and the other stays, with the password. Codes: `INVALID_INPUT`, `INVALID_CODE`, `NOT_ALLOWED` (the other account
    /// is suspended), `CONFLICT`, `INVALID_STATE` with `details.state` EMAIL_LINKED or TELEGRAM_LINKED (there are two of
    /// a kind), BOTH_IN_USE or SIGN_IN_AGAIN (you signed in longer than 15 minutes ago).
    async fn account_link_email(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The address.")] email: EmailAddress,
        #[graphql(desc = "The 6 digits that were mailed.", secret)] code: String,
    ) -> Result<AccountLinkPayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let linked = linking::link_email(app, viewer, &email.0, &code).await;
        let own = viewer.user_id().map(|id| ("usr", id.0));
        let linked = refusal(app, viewer, "account.linkEmail", own, linked).await;
        AccountLinkPayload::of(linked)
    }
}
