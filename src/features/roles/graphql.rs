//! Roles and permissions in the schema.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object};

use super::{
    model::{self, PERMISSIONS_BY_NAME, ROLES_BY_NAME},
    service,
};
use crate::{
    cursor::PageArgs,
    db::{
        ids::{PermissionId, RoleId},
        retry_conflict,
    },
    error::Result,
    features::users::graphql::User,
    graphql::{args, connection::Connection, context::ContextExt},
    patch::Patch,
    payload,
};

/// What opens a part of the service that is not one's own.
#[derive(async_graphql::Description, Clone)]
pub struct Permission(pub Arc<model::Permission>);

impl Permission {
    /// The permission with this id, for staff with `permissions:read`.
    pub async fn by_id(ctx: &Context<'_>, id: PermissionId) -> Result<Option<Self>> {
        if !ctx.viewer().may("permissions:read") {
            return Ok(None);
        }
        Ok(ctx.loaders().access.permissions.load(id).await?.map(Self))
    }
}

#[Object(use_type_description)]
impl Permission {
    /// Identity (`prm_…`).
    pub async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// `resource:action`, or a wildcard: `users:*` covers `users:read` and never `usersx:read`, `*` covers everything.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// What it opens.
    async fn description(&self) -> &str {
        &self.0.description
    }

    /// Whether the product itself asks for it; such ones cannot be deleted.
    async fn built_in(&self) -> bool {
        self.0.built_in
    }
}

/// A set of permissions that people have.
#[derive(async_graphql::Description, Clone)]
pub struct Role(pub Arc<model::Role>);

impl Role {
    /// The role with this id, for staff with `roles:read`.
    pub async fn by_id(ctx: &Context<'_>, id: RoleId) -> Result<Option<Self>> {
        if !ctx.viewer().may("roles:read") {
            return Ok(None);
        }
        Ok(ctx.loaders().access.roles.load(id).await?.map(Self))
    }
}

#[Object(use_type_description)]
impl Role {
    /// Identity (`rol_…`).
    pub async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// 2 to 32 letters A-Z, digits or `_`, beginning with a letter; unique.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// Who has it, at most 200 characters.
    async fn description(&self) -> &str {
        &self.0.description
    }

    /// Whether it is one of the product's own, which nobody edits.
    async fn built_in(&self) -> bool {
        self.0.built_in
    }

    /// What it grants, by name.
    async fn permissions(&self, ctx: &Context<'_>) -> Result<Vec<Permission>> {
        let loader = &ctx.loaders().access.permissions_of_roles;
        let granted = loader.load(self.0.id).await?;
        Ok(granted
            .iter()
            .map(|granted| Permission(Arc::new(granted.permission.clone())))
            .collect())
    }

    /// Counts the edits; pass it as `expectedVersion`.
    async fn version(&self) -> i32 {
        self.0.version
    }
}

/// A new permission.
#[derive(InputObject)]
pub struct PermissionCreateInput {
    /// `resource:action`, `resource:*` or `*`; both parts are lower-case letters and `_`, at most 40.
    pub name: String,
    /// What it opens, at most 200 characters.
    #[graphql(default)]
    pub description: String,
}

/// A new role.
#[derive(InputObject)]
pub struct RoleCreateInput {
    /// 2 to 32 letters A-Z, digits or `_`, beginning with a letter.
    pub name: String,
    /// Who has it, at most 200 characters.
    #[graphql(default)]
    pub description: String,
}

/// What to change of a role; what is left out stays.
#[derive(InputObject)]
pub struct RoleUpdateInput {
    /// 2 to 32 letters A-Z, digits or `_`, beginning with a letter.
    pub name: MaybeUndefined<String>,
    /// Who has it, at most 200 characters; null empties it.
    pub description: MaybeUndefined<String>,
}

/// What a role shall grant.
#[derive(InputObject)]
pub struct RolePermissionsSetInput {
    /// Exactly these (`prm_…`), at most 100.
    pub permission_ids: Vec<ID>,
}

/// Which roles a person shall have.
#[derive(InputObject)]
pub struct UserRolesSetInput {
    /// Exactly these (`rol_…`), at most 100. USER and PROVIDER come and go with the account and the approved profile: they
    /// stay, named or not, and cannot be given.
    pub role_ids: Vec<ID>,
}

payload! {
    /// What `permissionCreate` did.
    PermissionCreatePayload {
        /// The new permission.
        permission: Permission
    }
}

payload! {
    /// What `permissionDelete` did.
    PermissionDeletePayload {
        /// The permission as it was.
        permission: Permission
    }
}

payload! {
    /// What `roleCreate` did.
    RoleCreatePayload {
        /// The new role.
        role: Role
    }
}

payload! {
    /// What `roleUpdate` did.
    RoleUpdatePayload {
        /// The role as it is now.
        role: Role
    }
}

payload! {
    /// What `roleDelete` did.
    RoleDeletePayload {
        /// The role as it was; it grants nothing any more.
        role: Role
    }
}

payload! {
    /// What `rolePermissionsSet` did.
    RolePermissionsSetPayload {
        /// The role as it is now.
        role: Role
    }
}

payload! {
    /// What `userRolesSet` did.
    UserRolesSetPayload {
        /// The person as they are now.
        user: User
    }
}

/// Queries of access control.
#[derive(Default)]
pub struct RoleQueries;

#[Object]
impl RoleQueries {
    /// Every role, by name.
    async fn roles(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the start, 1 to 100; 20 without.")] first: Option<i32>,
        #[graphql(desc = "Only what follows this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what precedes this cursor.")] before: Option<String>,
    ) -> Result<Option<Connection<Role>>> {
        let page = PageArgs::new(first, after, last, before);
        let slice = service::roles(ctx.app(), &page, ctx.selects("totalCount")).await?;
        Ok(Some(Connection::of(
            slice,
            ROLES_BY_NAME,
            |row| (row.name.clone(), row.id),
            Role,
        )))
    }

    /// One role; null when there is none with this id.
    async fn role(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The role (`rol_…`).")] id: ID,
    ) -> Result<Option<Role>> {
        match args::maybe_id(&id) {
            Some(id) => Role::by_id(ctx, id).await,
            None => Ok(None),
        }
    }

    /// Every permission, by name.
    async fn permissions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the start, 1 to 100; 20 without.")] first: Option<i32>,
        #[graphql(desc = "Only what follows this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what precedes this cursor.")] before: Option<String>,
    ) -> Result<Option<Connection<Permission>>> {
        let page = PageArgs::new(first, after, last, before);
        let slice = service::permissions(ctx.app(), &page, ctx.selects("totalCount")).await?;
        Ok(Some(Connection::of(
            slice,
            PERMISSIONS_BY_NAME,
            |row| (row.name.clone(), row.id),
            Permission,
        )))
    }

    /// One permission; null when there is none with this id.
    async fn permission(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The permission (`prm_…`).")] id: ID,
    ) -> Result<Option<Permission>> {
        match args::maybe_id(&id) {
            Some(id) => Permission::by_id(ctx, id).await,
            None => Ok(None),
        }
    }
}

/// Mutations of access control. All hold to one rule: nobody gives or takes what they don't hold themselves.
#[derive(Default)]
pub struct RoleMutations;

#[Object]
impl RoleMutations {
    /// Adds a permission, which opens nothing until a role grants it. Codes: `INVALID_INPUT`, `ALREADY_EXISTS`.
    async fn permission_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The permission.")] input: PermissionCreateInput,
    ) -> Result<PermissionCreatePayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let PermissionCreateInput { name, description } = input;
        let made =
            retry_conflict(|| service::create_permission(app, viewer, &name, &description)).await;
        PermissionCreatePayload::of(made.map(|row| Permission(Arc::new(row))))
    }

    /// Deletes a permission that is not built in; the roles that grant it lose it and count as edited. Codes: `NOT_FOUND`, `INVALID_STATE`
    /// (`details.state` BUILT_IN), `NOT_ALLOWED` (a role grants it and you don't hold it).
    async fn permission_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The permission (`prm_…`).")] id: ID,
    ) -> Result<PermissionDeletePayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let deleted = retry_conflict(|| async {
            service::delete_permission(app, viewer, args::id(&id, "id")?).await
        })
        .await;
        PermissionDeletePayload::of(deleted.map(|row| Permission(Arc::new(row))))
    }

    /// Adds a role that grants nothing yet. Codes: `INVALID_INPUT`, `ALREADY_EXISTS`.
    async fn role_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The role.")] input: RoleCreateInput,
    ) -> Result<RoleCreatePayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let RoleCreateInput { name, description } = input;
        let made = retry_conflict(|| service::create_role(app, viewer, &name, &description)).await;
        RoleCreatePayload::of(made.map(|row| Role(Arc::new(row))))
    }

    /// Changes the name or description of a role that is not built in. Codes: `INVALID_INPUT`, `NOT_FOUND`,
    /// `INVALID_STATE` (`details.state` BUILT_IN), `NOT_ALLOWED` (it grants what you don't hold), `CONFLICT`,
    /// `ALREADY_EXISTS`.
    async fn role_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The role (`rol_…`).")] id: ID,
        #[graphql(desc = "What to change.")] input: RoleUpdateInput,
        #[graphql(desc = "Refuse with `CONFLICT` unless `version` is this.")]
        expected_version: Option<i32>,
    ) -> Result<RoleUpdatePayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let name: Patch<String> = input.name.into();
        let description: Patch<String> = input.description.into();
        let id = args::maybe_id(&id);
        let updated = retry_conflict(|| {
            let (name, description) = (name.clone(), description.clone());
            service::update_role(app, viewer, id, name, description, expected_version)
        })
        .await;
        RoleUpdatePayload::of(updated.map(|row| Role(Arc::new(row))))
    }

    /// Deletes a role that is not built in and that nobody has. Codes: `NOT_FOUND`, `NOT_ALLOWED` (it grants what you
    /// don't hold), `CONFLICT`, `INVALID_STATE` (`details.state` BUILT_IN, or HELD with `details.holders`).
    async fn role_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The role (`rol_…`).")] id: ID,
        #[graphql(desc = "Refuse with `CONFLICT` unless `version` is this.")]
        expected_version: Option<i32>,
    ) -> Result<RoleDeletePayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let deleted = retry_conflict(|| async {
            service::delete_role(app, viewer, args::id(&id, "id")?, expected_version).await
        })
        .await;
        RoleDeletePayload::of(deleted.map(|row| Role(Arc::new(row))))
    }

    /// Lets a role that is not built in grant exactly these permissions; who has it feels it within a second. Codes:
    /// `NOT_FOUND` (the role, and each permission), `INVALID_STATE` (`details.state` BUILT_IN), `CONFLICT`,
    /// `NOT_ALLOWED` (the role grants what you don't hold, and each that would be given and that you don't hold).
    async fn role_permissions_set(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The role (`rol_…`).")] id: ID,
        #[graphql(desc = "What it shall grant.")] input: RolePermissionsSetInput,
        #[graphql(desc = "Refuse with `CONFLICT` unless `version` is this.")]
        expected_version: Option<i32>,
    ) -> Result<RolePermissionsSetPayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let id = args::maybe_id(&id);
        let wanted: Vec<_> = input.permission_ids.iter().map(args::maybe_id).collect();
        let set =
            retry_conflict(|| service::set_permissions(app, viewer, id, &wanted, expected_version))
                .await;
        RolePermissionsSetPayload::of(set.map(|row| Role(Arc::new(row))))
    }

    /// Gives a person exactly these roles, besides USER and PROVIDER, which come and go with the account and the approved
    /// profile and stay as they are; they feel it within a second. Codes: `NOT_FOUND` (the person, and each role),
    /// `INVALID_INPUT` (USER or PROVIDER for somebody without it), `CONFLICT`, `NOT_ALLOWED` (they hold rights that you
    /// lack, and each role given that grants what you don't hold), `INVALID_STATE` (a deleted person; `details.state`
    /// LAST_ADMIN when no active administrator would be left).
    async fn user_roles_set(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The person (`usr_…`).")] user_id: ID,
        #[graphql(desc = "Which roles.")] input: UserRolesSetInput,
        #[graphql(desc = "Refuse with `CONFLICT` unless the person's `version` is this.")]
        expected_version: Option<i32>,
    ) -> Result<UserRolesSetPayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let user = args::maybe_id(&user_id);
        let wanted: Vec<_> = input.role_ids.iter().map(args::maybe_id).collect();
        let set =
            retry_conflict(|| service::set_roles(app, viewer, user, &wanted, expected_version))
                .await;
        UserRolesSetPayload::of(set.map(|row| User(Arc::new(row))))
    }
}
