//! People as staff see and keep them, in the schema.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, MaybeUndefined, Object};
use uuid::Uuid;

use super::{
    super::{
        model::{self, list},
        service::{self, Change, NewUser},
    },
    User,
};
use crate::{
    cursor::PageArgs,
    db::{ids::RoleId, retry_conflict},
    error::Result,
    features::{accounts::graphql::Language, catalog::graphql::City, roles::graphql::Role},
    graphql::{
        args,
        connection::Connection,
        context::ContextExt,
        scalars::{DateTime, EmailAddress},
    },
    payload,
};

/// Whether a person may use the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "model::UserStatus")]
pub enum UserStatus {
    /// May sign in.
    Active,
    /// May not, by staff's decision.
    Suspended,
    /// Gone; only what others' history needs is kept.
    Deleted,
}

/// What only the person and staff with `users:read` see of an account.
#[derive(async_graphql::Description, Clone)]
pub struct UserAccount(pub Arc<model::User>);

#[Object(use_type_description)]
impl UserAccount {
    /// The unique handle; null until set.
    async fn username(&self) -> Option<&str> {
        self.0.username.as_deref()
    }

    /// The e-mail address; null without one.
    async fn email(&self) -> Option<EmailAddress> {
        self.0.email.clone().map(EmailAddress)
    }

    /// When it was known that the address is the person's; null before, and then it signs nobody in.
    async fn email_verified_at(&self) -> Option<DateTime> {
        self.0.email_verified_at.map(|at| DateTime(*at))
    }

    /// Whether a Telegram account signs the person in.
    async fn telegram_linked(&self) -> bool {
        self.0.telegram_id.is_some()
    }

    /// The name of that Telegram account; null without one.
    async fn telegram_username(&self) -> Option<&str> {
        self.0.telegram_username.as_deref()
    }

    /// The language of texts for this person.
    async fn language(&self) -> Language {
        self.0.language.into()
    }

    /// The city in which the person looks for services; null until chosen.
    async fn city(&self, ctx: &Context<'_>) -> Result<Option<City>> {
        match self.0.city_id {
            Some(id) => City::by_id(ctx, id).await,
            None => Ok(None),
        }
    }

    /// Whether the person may use the service.
    async fn status(&self) -> UserStatus {
        self.0.status.into()
    }

    /// Why staff suspended the person; null for others than staff.
    async fn status_reason(&self, ctx: &Context<'_>) -> Option<&str> {
        self.0
            .status_reason
            .as_deref()
            .filter(|_| ctx.viewer().may("users:read"))
    }

    /// The person's roles, by name.
    async fn roles(&self, ctx: &Context<'_>) -> Result<Vec<Role>> {
        let held = ctx.loaders().access.roles_of_users.load(self.0.id).await?;
        Ok(held
            .iter()
            .map(|held| Role(Arc::new(held.role.clone())))
            .collect())
    }

    /// Counts the edits; pass it as `expectedVersion`.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// When the account was made.
    async fn created_at(&self) -> DateTime {
        DateTime(*self.0.created_at)
    }

    /// When it was last edited.
    async fn updated_at(&self) -> DateTime {
        DateTime(*self.0.updated_at)
    }
}

/// How to sort people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "list::Sort")]
pub enum UserSort {
    /// The newest account first.
    Newest,
    /// By name.
    Name,
}

/// Which people; every condition given must hold.
#[derive(InputObject, Default)]
pub struct UserFilter {
    /// With this text in name, username, e-mail address or Telegram name, in any case; at most 100 characters. A
    /// text of fewer than three letters or digits in which no word begins or ends (`jo`, `7`, `!!!`) is looked for at the
    /// beginning of name and username alone.
    pub text: Option<String>,
    /// In this state.
    pub status: Option<UserStatus>,
    /// With this role (`rol_…`).
    pub role_id: Option<ID>,
}

/// A new account.
#[derive(InputObject)]
pub struct UserCreateInput {
    /// The name that everyone sees, 1 to 100 characters.
    pub display_name: String,
    /// A unique handle: 3 to 32 letters a-z, digits or `_`, beginning with a letter.
    pub username: Option<String>,
    /// The address that signs the person in; you vouch for it. They set a password by `passwordReset`.
    pub email: EmailAddress,
    /// The language of texts.
    #[graphql(default_with = "Language::En")]
    pub language: Language,
    /// The city in which the person looks for services (`cty_…`).
    pub city_id: Option<ID>,
}

/// What to change of an account; what is left out stays.
#[derive(InputObject)]
pub struct UserUpdateInput {
    /// The name that everyone sees, 1 to 100 characters.
    pub display_name: MaybeUndefined<String>,
    /// A unique handle: 3 to 32 letters a-z, digits or `_`, beginning with a letter; null takes it away.
    pub username: MaybeUndefined<String>,
    /// The address that signs the person in; you vouch for it. Null takes it away. With another address the password and
    /// every session of the person end; they set a password by `passwordReset`.
    pub email: MaybeUndefined<EmailAddress>,
    /// The language of texts.
    pub language: MaybeUndefined<Language>,
    /// The city in which the person looks for services (`cty_…`); null takes it away.
    pub city_id: MaybeUndefined<ID>,
}

/// What staff decide about an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum UserStatusDecision {
    /// The person may not sign in any more; `reason` is needed.
    Suspend,
    /// The person may sign in again.
    Reinstate,
}

/// A decision about an account.
#[derive(InputObject)]
pub struct UserStatusSetInput {
    /// What is decided.
    pub decision: UserStatusDecision,
    /// Why, 1 to 2 000 characters; may have several lines. For staff, and kept in the audit trail for good: write no
    /// personal data into it.
    pub reason: Option<String>,
}

payload! {
    /// What `userCreate` did.
    UserCreatePayload {
        /// The new person.
        user: User
    }
}

payload! {
    /// What `userUpdate` did.
    UserUpdatePayload {
        /// The person as they are now.
        user: User
    }
}

payload! {
    /// What `userStatusSet` did.
    UserStatusSetPayload {
        /// The person as they are now.
        user: User
    }
}

payload! {
    /// What `userDelete` did.
    UserDeletePayload {
        /// What is left of the person.
        user: User
    }
}

payload! {
    /// What `usersDelete` did.
    UsersDeletePayload {
        /// What is left of the people, each once.
        users: Vec<User>
    }
}

/// Queries of people for staff.
#[derive(Default)]
pub struct UserQueries;

#[Object]
impl UserQueries {
    /// Everyone with an account. A cursor belongs to its `sort` and may be used with another filter.
    async fn users(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which ones; all without.")] filter: Option<UserFilter>,
        #[graphql(desc = "How to sort.", default_with = "UserSort::Newest")] sort: UserSort,
        #[graphql(desc = "How many from the start, 1 to 100; 20 without.")] first: Option<i32>,
        #[graphql(desc = "Only what follows this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what precedes this cursor.")] before: Option<String>,
    ) -> Result<Option<Connection<User>>> {
        let page = PageArgs::new(first, after, last, before);
        let UserFilter {
            text,
            status,
            role_id,
        } = filter.unwrap_or_default();
        let filter = list::Filter {
            text,
            status: status.map(Into::into),
            // What cannot be an id finds what a missing one finds: nothing.
            role: role_id.map(|id| args::maybe_id(&id).unwrap_or(RoleId(Uuid::nil()))),
        };
        let sort: list::Sort = sort.into();
        let count = ctx.selects("totalCount");
        let slice = service::people(ctx.app(), filter, sort, &page, count).await?;
        Ok(Some(Connection::of(
            slice,
            sort.order(),
            move |row| sort.values(row),
            User,
        )))
    }

    /// One person; null when there is none with this id.
    async fn user(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The person (`usr_…`).")] id: ID,
    ) -> Result<Option<User>> {
        match args::maybe_id(&id) {
            Some(id) => User::by_id(ctx, id).await,
            None => Ok(None),
        }
    }
}

/// Mutations of people by staff. All hold to one rule: who holds rights that you lack is out of your reach.
#[derive(Default)]
pub struct UserMutations;

#[Object]
impl UserMutations {
    /// Makes an account for the person of an e-mail address, who sets a password by `passwordReset`.
    /// Codes: `INVALID_INPUT`, `NOT_FOUND` (the city), `ALREADY_EXISTS` (username or address).
    async fn user_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The account.")] input: UserCreateInput,
    ) -> Result<UserCreatePayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let new = NewUser {
            display_name: input.display_name,
            username: input.username,
            email: input.email.0,
            language: input.language.into(),
            city_id: input.city_id.map(|id| args::maybe_id(&id)),
        };
        let made = retry_conflict(|| service::create(app, viewer, new.clone())).await;
        UserCreatePayload::of(made.map(|row| User(Arc::new(row))))
    }

    /// Changes an account. Codes: `INVALID_INPUT`, `NOT_FOUND` (the person, the city), `NOT_ALLOWED` (they hold rights
    /// that you lack), `INVALID_STATE` (deleted), `CONFLICT`, `ALREADY_EXISTS` (username or address).
    async fn user_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The person (`usr_…`).")] id: ID,
        #[graphql(desc = "What to change.")] input: UserUpdateInput,
        #[graphql(desc = "Refuse with `CONFLICT` unless `version` is this.")]
        expected_version: Option<i32>,
    ) -> Result<UserUpdatePayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let change = Change {
            display_name: input.display_name.into(),
            username: input.username.into(),
            email: input.email.map_value(|email| email.0).into(),
            language: input.language.map_value(Into::into).into(),
            city_id: input.city_id.map_value(|id| args::maybe_id(&id)).into(),
        };
        let id = args::maybe_id(&id);
        let updated =
            retry_conflict(|| service::update(app, viewer, id, change.clone(), expected_version))
                .await;
        UserUpdatePayload::of(updated.map(|row| User(Arc::new(row))))
    }

    /// Suspends a person or reinstates one. A suspension ends every session within a second, takes the person's profile
    /// out of the lists and cancels what they have ahead. Codes: `INVALID_INPUT`, `NOT_FOUND`, `SELF_ACTION`,
    /// `NOT_ALLOWED` (they hold rights that you lack), `INVALID_STATE` (it is so already, or `details.state` LAST_ADMIN),
    /// `CONFLICT`.
    async fn user_status_set(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The person (`usr_…`).")] id: ID,
        #[graphql(desc = "The decision.")] input: UserStatusSetInput,
        #[graphql(desc = "Refuse with `CONFLICT` unless `version` is this.")]
        expected_version: Option<i32>,
    ) -> Result<UserStatusSetPayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let suspend = input.decision == UserStatusDecision::Suspend;
        let (id, reason) = (args::maybe_id(&id), input.reason.as_deref());
        let set = retry_conflict(|| {
            service::set_status(app, viewer, id, suspend, reason, expected_version)
        })
        .await;
        UserStatusSetPayload::of(set.map(|row| User(Arc::new(row))))
    }

    /// Deletes a person for good: what is personal goes, also the reasons that they gave in bookings; what bookkeeping and
    /// others' history need stays, and so do the reasons of staff. Codes:
    /// `NOT_FOUND`, `SELF_ACTION`, `NOT_ALLOWED` (they hold rights that you lack), `INVALID_STATE` (deleted already, or
    /// `details.state` LAST_ADMIN).
    async fn user_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The person (`usr_…`).")] id: ID,
    ) -> Result<UserDeletePayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let id = args::maybe_id(&id);
        let one = [id];
        let path = |_| "id".to_owned();
        let deleted = retry_conflict(|| service::delete(app, viewer, &one, path)).await;
        let one = deleted.and_then(|mut gone| {
            gone.pop()
                .ok_or_else(|| crate::error::Error::internal("nobody was deleted"))
        });
        UserDeletePayload::of(one.map(|row| User(Arc::new(row))))
    }

    /// Deletes people for good, all of them or, when one cannot be, none. Codes, each with the person's place in
    /// `field`: those of `userDelete`.
    async fn users_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The people (`usr_…`), at most 100.")] ids: Vec<ID>,
    ) -> Result<UsersDeletePayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let ids: Vec<_> = ids.iter().map(args::maybe_id).collect();
        let path = |index: usize| format!("ids.{index}");
        let deleted = retry_conflict(|| service::delete(app, viewer, &ids, path)).await;
        UsersDeletePayload::of(
            deleted.map(|rows| rows.into_iter().map(|row| User(Arc::new(row))).collect()),
        )
    }
}
