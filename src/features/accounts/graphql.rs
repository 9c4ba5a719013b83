//! Sign-in, sessions and `me` in the schema.

pub mod email;
pub mod linking;

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, MaybeUndefined, Object, SimpleObject};

use super::{model, profile, service};
use crate::{
    auth::viewer::Viewer,
    cursor::PageArgs,
    db::{ids::SessionId, retry_conflict},
    error::Result,
    features::{
        blocks::graphql::{self as blocks, UserBlock},
        bookings::graphql::{Booking, BookingsOfFilter, bookings_of_client},
        catalog::graphql::City,
        payments::graphql::{self as payments, Order},
        providers::graphql::Provider,
        reports::graphql::{self as reports, Report},
        users::{graphql::User, model as users},
    },
    graphql::{
        args,
        connection::Connection,
        context::ContextExt,
        plan::Planned,
        scalars::DateTime,
        user_error::{UserError, outcome},
    },
    payload,
};

/// A language that the product speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "users::Language")]
pub enum Language {
    /// English.
    En,
    /// Chinese.
    Zh,
    /// Russian.
    Ru,
}

/// The signed-in person: what is theirs alone.
#[derive(async_graphql::Description)]
pub struct Me(pub Arc<users::User>);

#[Object(use_type_description)]
impl Me {
    /// Identity (`usr_…`), the same as of `user`.
    async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// The person as everyone sees them.
    async fn user(&self) -> User {
        User(self.0.clone())
    }

    /// The unique handle; null until set.
    async fn username(&self) -> Option<&str> {
        self.0.username.as_deref()
    }

    /// The language of texts for this person.
    async fn language(&self) -> Language {
        self.0.language.into()
    }

    /// The city in which you look for services; null until chosen (`meUpdate`).
    async fn city(&self, ctx: &Context<'_>) -> Result<Option<City>> {
        match self.0.city_id {
            Some(id) => Ok(ctx.loaders().cities.load(id).await?.map(City)),
            None => Ok(None),
        }
    }

    /// Counts the edits; pass it as `expectedVersion`.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// When the account was made.
    async fn created_at(&self) -> DateTime {
        DateTime(*self.0.created_at)
    }

    /// Your reports to staff, the newest first.
    async fn reports(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the start, 1 to 100; 20 without.")] first: Option<i32>,
        #[graphql(desc = "Only what follows this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what precedes this cursor.")] before: Option<String>,
    ) -> Result<Connection<Report>> {
        let page = PageArgs::new(first, after, last, before);
        reports::mine(ctx, page).await
    }

    /// Whom you block, the newest first.
    async fn blocks(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the start, 1 to 100; 20 without.")] first: Option<i32>,
        #[graphql(desc = "Only what follows this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what precedes this cursor.")] before: Option<String>,
    ) -> Result<Connection<UserBlock>> {
        let page = PageArgs::new(first, after, last, before);
        blocks::mine(ctx, page).await
    }

    /// The person's profile as a provider, in any state; null until they apply.
    async fn provider(&self, ctx: &Context<'_>) -> Result<Option<Provider>> {
        let provider = ctx.loaders().providers_of_users.load(self.0.id).await?;
        Ok(provider.map(Provider))
    }

    /// The person's orders as a client, the newest first.
    async fn orders(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the start, 1 to 100; 20 without.")] first: Option<i32>,
        #[graphql(desc = "Only what follows this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what precedes this cursor.")] before: Option<String>,
    ) -> Result<Connection<Order>> {
        let page = PageArgs::new(first, after, last, before);
        payments::mine(ctx, page).await
    }

    /// What the person booked, the latest start first.
    async fn bookings(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which ones; all without.")] filter: Option<BookingsOfFilter>,
        #[graphql(desc = "How many from the start, 1 to 100; 20 without.")] first: Option<i32>,
        #[graphql(desc = "Only what follows this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what precedes this cursor.")] before: Option<String>,
    ) -> Result<Planned<Connection<Booking>>> {
        let page = PageArgs::new(first, after, last, before);
        let bookings = bookings_of_client(ctx, self.0.id, filter, page).await?;
        Ok(Planned::Rows(bookings))
    }

    /// The person's live sessions, the last used first.
    async fn sessions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the start, 1 to 100; 20 without.")] first: Option<i32>,
        #[graphql(desc = "Only what follows this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what precedes this cursor.")] before: Option<String>,
    ) -> Result<Connection<Session>> {
        const ORDER: &str = "session.lastUsed";
        let page = PageArgs::new(first, after, last, before).page(ORDER)?;
        let count = ctx.selects("totalCount");
        let viewer = ctx.viewer();
        let slice = service::live_sessions(ctx.app(), viewer, &page, count).await?;
        Ok(Connection::of(
            slice,
            ORDER,
            |row| (row.last_used_at, row.id),
            |row| Session::of(viewer, row),
        ))
    }
}

/// A sign-in on a device. It shows to its person alone, for 30 days after its end, too.
#[derive(async_graphql::Description, Clone)]
pub struct Session {
    row: Arc<model::Session>,
    current: bool,
}

impl Session {
    fn of(viewer: &Viewer, row: Arc<model::Session>) -> Self {
        let current = viewer.signed_in().map(|viewer| viewer.session_id);
        Self {
            current: current == Some(row.id),
            row,
        }
    }

    /// The session with this id, ended or not, when it is the viewer's.
    pub async fn by_id(ctx: &Context<'_>, id: SessionId) -> Result<Option<Self>> {
        let viewer = ctx.viewer();
        let row = ctx.loaders().sessions.load(id).await?;
        Ok(row
            .filter(|row| viewer.is(row.user_id))
            .map(|row| Self::of(viewer, row)))
    }
}

#[Object(use_type_description)]
impl Session {
    /// Identity (`ses_…`).
    pub async fn id(&self) -> ID {
        self.row.id.to_string().into()
    }

    /// What signed in, from its `User-Agent`.
    async fn device_name(&self) -> &str {
        &self.row.device_name
    }

    /// The address from which it was last used; null when unknown.
    async fn ip_address(&self) -> Option<&str> {
        self.row.ip_address.as_deref()
    }

    /// Whether this request uses it.
    async fn is_current(&self) -> bool {
        self.current
    }

    /// When it began.
    async fn created_at(&self) -> DateTime {
        DateTime(*self.row.created_at)
    }

    /// When it last got a new access token.
    async fn last_used_at(&self) -> DateTime {
        DateTime(*self.row.last_used_at)
    }

    /// When it ends unless it is used before.
    async fn expires_at(&self) -> DateTime {
        DateTime(*self.row.expires_at)
    }

    /// When it was ended before its time; null while it lives.
    async fn revoked_at(&self) -> Option<DateTime> {
        self.row.revoked_at.map(|at| DateTime(*at))
    }
}

/// The tokens of a sign-in.
#[derive(SimpleObject)]
pub struct AuthPayload {
    /// A JWT for the header `Authorization: Bearer …`, good for 30 minutes.
    pub access_token: Option<String>,
    /// Opaque; exchange it with `authRefresh` for the next pair. It works once and for 7 days.
    pub refresh_token: Option<String>,
    /// When the access token stops working.
    pub expires_at: Option<DateTime>,
    /// Who signed in.
    pub user: Option<User>,
    /// Why nobody was signed in; empty on success.
    pub user_errors: Vec<UserError>,
}

impl AuthPayload {
    fn of(result: Result<service::SignedIn>) -> Result<Self> {
        let (signed_in, user_errors) = outcome(result)?;
        Ok(match signed_in {
            Some(service::SignedIn {
                access_token,
                refresh_token,
                expires_at,
                user,
            }) => Self {
                access_token: Some(access_token),
                refresh_token: Some(refresh_token),
                expires_at: Some(DateTime(expires_at)),
                user: Some(User(Arc::new(user))),
                user_errors,
            },
            None => Self {
                access_token: None,
                refresh_token: None,
                expires_at: None,
                user: None,
                user_errors,
            },
        })
    }
}

/// What `authLogout` did.
#[derive(SimpleObject)]
pub struct AuthLogoutPayload {
    /// Whether the session is ended now.
    pub logged_out: bool,
    /// Why nothing was done; empty on success.
    pub user_errors: Vec<UserError>,
}

payload! {
    /// What `sessionRevoke` did.
    SessionRevokePayload {
        /// The session, ended.
        session: Session
    }
}

payload! {
    /// What `meUpdate` did.
    MeUpdatePayload {
        /// The person as they are now.
        me: Me
    }
}

/// What to change of oneself; what is left out stays.
#[derive(InputObject)]
pub struct MeUpdateInput {
    /// The name that everyone sees, one line of 1 to 100 characters.
    pub display_name: MaybeUndefined<String>,
    /// A unique handle: 3 to 32 of a–z, 0–9 and `_`, starting with a letter; null gives it up. `ALREADY_EXISTS` when taken.
    pub username: MaybeUndefined<String>,
    /// The language of texts.
    pub language: MaybeUndefined<Language>,
    /// The city in which to look for services; null for none.
    pub city_id: MaybeUndefined<ID>,
    /// An upload (`upl_…`) that was announced for AVATAR and sent within the last day; null takes the avatar off.
    pub avatar_upload_id: MaybeUndefined<ID>,
}

/// Queries of accounts.
#[derive(Default)]
pub struct AccountQueries;

#[Object]
impl AccountQueries {
    /// The signed-in person; null when the account is gone.
    async fn me(&self, ctx: &Context<'_>) -> Result<Option<Me>> {
        let Some(id) = ctx.viewer().user_id() else {
            return Ok(None);
        };
        Ok(ctx.loaders().users.load(id).await?.map(Me))
    }
}

/// Mutations of accounts.
#[derive(Default)]
pub struct AccountMutations;

#[Object]
impl AccountMutations {
    /// Signs in with `Telegram.WebApp.initData`, unchanged; the first time makes the account. The REST twin is
    /// `POST /v1/auth/telegram`. Codes: `INVALID_INPUT` (no init data), `INVALID_CREDENTIALS` (not signed for our bot,
    /// or too old), `NOT_ALLOWED` (suspended).
    async fn auth_telegram(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The whole init data, at most 8 KiB.")] init_data: String,
    ) -> Result<AuthPayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        AuthPayload::of(retry_conflict(|| service::sign_in_telegram(app, viewer, &init_data)).await)
    }

    /// Exchanges a refresh token for the next pair. A repeat within 10 s, while the successor is unused, gets the same
    /// one; any other reuse ends the session. Codes: `INVALID_CREDENTIALS`.
    async fn auth_refresh(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The refresh token, unchanged.")] refresh_token: String,
    ) -> Result<AuthPayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        AuthPayload::of(retry_conflict(|| service::refresh(app, viewer, &refresh_token)).await)
    }

    /// Signs out. It takes the refresh token, because the access token may have expired. Codes: `INVALID_CREDENTIALS`.
    async fn auth_logout(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The refresh token of the session to end, unchanged.")]
        refresh_token: String,
        #[graphql(desc = "Whether to end every session of the person.", default)] everywhere: bool,
    ) -> Result<AuthLogoutPayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let done =
            retry_conflict(|| service::log_out(app, viewer, &refresh_token, everywhere)).await;
        let (done, user_errors) = outcome(done)?;
        Ok(AuthLogoutPayload {
            logged_out: done.is_some(),
            user_errors,
        })
    }

    /// Ends one of your sessions: its tokens stop working within a second. Codes: `NOT_FOUND`.
    async fn session_revoke(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The session (`ses_…`).")] id: ID,
    ) -> Result<SessionRevokePayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let revoked = retry_conflict(|| async {
            service::revoke_session(app, viewer, args::id::<SessionId>(&id, "id")?).await
        });
        SessionRevokePayload::of(revoked.await.map(|row| Session::of(viewer, Arc::new(row))))
    }

    /// Changes your name, handle, language, city or picture. Codes: `INVALID_INPUT`, `NOT_FOUND` (the city, or an upload
    /// that is not yours), `INVALID_STATE` and `EXPIRED` (the upload has no bytes yet, or is too old),
    /// `ALREADY_EXISTS` (the handle), `CONFLICT`.
    async fn me_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to change.")] input: MeUpdateInput,
        #[graphql(desc = "Refuse with `CONFLICT` unless `me.version` is this.")]
        expected_version: Option<i32>,
    ) -> Result<MeUpdatePayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let MeUpdateInput {
            display_name,
            username,
            language,
            city_id,
            avatar_upload_id,
        } = input;
        let change = profile::Change {
            display_name: display_name.into(),
            username: username.into(),
            language: language.map_value(Into::into).into(),
            city_id: city_id.map_value(|id| args::maybe_id(&id)).into(),
            avatar_upload_id: avatar_upload_id.map_value(|id| args::maybe_id(&id)).into(),
        };
        let updated =
            retry_conflict(|| profile::update(app, viewer, change.clone(), expected_version)).await;
        MeUpdatePayload::of(updated.map(|row| Me(Arc::new(row))))
    }
}
