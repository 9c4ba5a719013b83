//! Rows of `roles`, `permissions`, `role_permissions` and `user_roles`.

use diesel::{
    pg::Pg,
    prelude::*,
    sql_types::{Text, Uuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::{
    cursor::{Page, Slice},
    db::{
        Instant,
        ids::{PermissionId, RoleId, UserId},
        keyset::Counted,
        schema::{permissions, role_permissions, roles, user_roles},
    },
    keyset,
};

/// The role whose last active holder stays.
pub const ADMIN: &str = "ADMIN";

/// The roles that an account and an approved profile bring along and take away; nobody gives or takes them by hand.
pub const OF_ACCOUNT: [&str; 2] = ["USER", "PROVIDER"];

/// A permission that roles can grant.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = permissions, check_for_backend(diesel::pg::Pg))]
pub struct Permission {
    /// Identity.
    pub id: PermissionId,
    /// `resource:action`, `resource:*` or `*`.
    pub name: String,
    /// What it opens.
    pub description: String,
    /// Whether the product itself asks for it; such ones stay.
    pub built_in: bool,
}

/// A set of permissions that people hold.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = roles, check_for_backend(diesel::pg::Pg))]
pub struct Role {
    /// Identity.
    pub id: RoleId,
    /// 2 to 32 upper-case letters, digits or `_`.
    pub name: String,
    /// Who has it.
    pub description: String,
    /// Whether it is one of the product's own; such ones stay as they are.
    pub built_in: bool,
    /// Counts the edits.
    pub version: i32,
}

/// That a role grants a permission.
#[derive(Clone, Debug, Queryable)]
pub struct GrantedPermission {
    /// The role.
    pub role_id: RoleId,
    /// What it grants.
    pub permission: Permission,
}

/// That a person has a role.
#[derive(Clone, Debug, Queryable)]
pub struct HeldRole {
    /// The person.
    pub user_id: UserId,
    /// What they have.
    pub role: Role,
}

/// Takes the lock under which all changes of rights take turns, before any other.
pub async fn lock_grants(conn: &mut AsyncPgConnection) -> QueryResult<()> {
    roles::table
        .filter(roles::name.eq(ADMIN))
        .select(roles::id)
        .for_no_key_update()
        .first::<RoleId>(conn)
        .await?;
    Ok(())
}

/// The names of what a person's roles grant.
pub async fn rights_of(conn: &mut AsyncPgConnection, user: UserId) -> QueryResult<Vec<String>> {
    user_roles::table
        .inner_join(role_permissions::table.on(role_permissions::role_id.eq(user_roles::role_id)))
        .inner_join(permissions::table.on(permissions::id.eq(role_permissions::permission_id)))
        .filter(user_roles::user_id.eq(user))
        .select(permissions::name)
        .distinct()
        .load(conn)
        .await
}

/// The roles with these ids, in no order.
pub async fn roles_by_ids(mut conn: &AsyncPgConnection, ids: &[RoleId]) -> QueryResult<Vec<Role>> {
    roles::table
        .filter(roles::id.eq_any(ids))
        .select(Role::as_select())
        .load(&mut conn)
        .await
}

/// The permissions with these ids, in no order.
pub async fn permissions_by_ids(
    mut conn: &AsyncPgConnection,
    ids: &[PermissionId],
) -> QueryResult<Vec<Permission>> {
    permissions::table
        .filter(permissions::id.eq_any(ids))
        .select(Permission::as_select())
        .load(&mut conn)
        .await
}

/// What these roles grant, each role's by name.
pub async fn granted_by(
    mut conn: &AsyncPgConnection,
    ids: &[RoleId],
) -> QueryResult<Vec<GrantedPermission>> {
    role_permissions::table
        .inner_join(permissions::table.on(permissions::id.eq(role_permissions::permission_id)))
        .filter(role_permissions::role_id.eq_any(ids))
        .order((role_permissions::role_id, permissions::name))
        .select((role_permissions::role_id, Permission::as_select()))
        .load(&mut conn)
        .await
}

/// The roles of these people, each person's by name.
pub async fn held_by(mut conn: &AsyncPgConnection, ids: &[UserId]) -> QueryResult<Vec<HeldRole>> {
    user_roles::table
        .inner_join(roles::table.on(roles::id.eq(user_roles::role_id)))
        .filter(user_roles::user_id.eq_any(ids))
        .order((user_roles::user_id, roles::name))
        .select((user_roles::user_id, Role::as_select()))
        .load(&mut conn)
        .await
}

/// How many people have this role.
pub async fn count_holders(conn: &mut AsyncPgConnection, id: RoleId) -> QueryResult<i64> {
    user_roles::table
        .filter(user_roles::role_id.eq(id))
        .count()
        .get_result(conn)
        .await
}

/// The roles which grant this permission.
pub async fn roles_with(
    conn: &mut AsyncPgConnection,
    id: PermissionId,
) -> QueryResult<Vec<RoleId>> {
    role_permissions::table
        .filter(role_permissions::permission_id.eq(id))
        .select(role_permissions::role_id)
        .load(conn)
        .await
}

/// Adds a permission. Violates `permissions_name_key` for a name that is taken.
pub async fn insert_permission(
    conn: &mut AsyncPgConnection,
    permission: &Permission,
) -> QueryResult<()> {
    diesel::insert_into(permissions::table)
        .values(permission)
        .execute(conn)
        .await?;
    Ok(())
}

/// Removes a permission, from the roles that grant it too.
pub async fn delete_permission(conn: &mut AsyncPgConnection, id: PermissionId) -> QueryResult<()> {
    diesel::delete(permissions::table.find(id))
        .execute(conn)
        .await?;
    Ok(())
}

/// Adds a role. Violates `roles_name_key` for a name that is taken.
pub async fn insert_role(conn: &mut AsyncPgConnection, role: &Role) -> QueryResult<()> {
    diesel::insert_into(roles::table)
        .values(role)
        .execute(conn)
        .await?;
    Ok(())
}

/// Writes what an edit can change. Violates `roles_name_key` for a name that is taken.
pub async fn save_role(conn: &mut AsyncPgConnection, role: &Role) -> QueryResult<()> {
    diesel::update(roles::table.find(role.id))
        .set((
            roles::name.eq(&role.name),
            roles::description.eq(&role.description),
            roles::version.eq(role.version),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// Counts up the versions of these roles.
pub async fn count_up(conn: &mut AsyncPgConnection, ids: &[RoleId]) -> QueryResult<()> {
    diesel::update(roles::table.filter(roles::id.eq_any(ids)))
        .set(roles::version.eq(roles::version + 1))
        .execute(conn)
        .await?;
    Ok(())
}

/// Removes a role that nobody has, with what it grants.
pub async fn delete_role(conn: &mut AsyncPgConnection, id: RoleId) -> QueryResult<()> {
    diesel::delete(roles::table.find(id)).execute(conn).await?;
    Ok(())
}

/// Lets a role grant these besides.
pub async fn grant_permissions(
    conn: &mut AsyncPgConnection,
    role: RoleId,
    added: &[PermissionId],
) -> QueryResult<()> {
    let rows: Vec<_> = added
        .iter()
        .map(|id| {
            (
                role_permissions::role_id.eq(role),
                role_permissions::permission_id.eq(*id),
            )
        })
        .collect();
    diesel::insert_into(role_permissions::table)
        .values(&rows)
        .execute(conn)
        .await?;
    Ok(())
}

/// Lets a role grant these no more.
pub async fn take_permissions(
    conn: &mut AsyncPgConnection,
    role: RoleId,
    removed: &[PermissionId],
) -> QueryResult<()> {
    diesel::delete(
        role_permissions::table
            .filter(role_permissions::role_id.eq(role))
            .filter(role_permissions::permission_id.eq_any(removed)),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Gives a person these roles besides, by somebody's hand.
pub async fn give_roles(
    conn: &mut AsyncPgConnection,
    user: UserId,
    added: &[RoleId],
    by: UserId,
    now: Instant,
) -> QueryResult<()> {
    let rows: Vec<_> = added
        .iter()
        .map(|id| {
            (
                user_roles::user_id.eq(user),
                user_roles::role_id.eq(*id),
                user_roles::granted_by.eq(by),
                user_roles::granted_at.eq(now),
            )
        })
        .collect();
    diesel::insert_into(user_roles::table)
        .values(&rows)
        .execute(conn)
        .await?;
    Ok(())
}

/// Takes these roles from a person. Violates `users_last_admin` for the last active administrator's.
pub async fn take_roles(
    conn: &mut AsyncPgConnection,
    user: UserId,
    removed: &[RoleId],
) -> QueryResult<()> {
    diesel::delete(
        user_roles::table
            .filter(user_roles::user_id.eq(user))
            .filter(user_roles::role_id.eq_any(removed)),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The name of the order of [`roles_page`]: by name, then by id.
pub const ROLES_BY_NAME: &str = "role.name";
/// The name of the order of [`permissions_page`]: by name, then by id.
pub const PERMISSIONS_BY_NAME: &str = "permission.name";

/// A page of roles by name; `count` costs a second statement.
pub async fn roles_page(
    conn: &mut AsyncPgConnection,
    page: &Page<(String, RoleId)>,
    count: bool,
) -> QueryResult<Slice<Role>> {
    let query = roles::table.select(Role::as_select()).into_boxed::<Pg>();
    let query = keyset!(query, page, false, |(name, id)| (
        roles::name: Text = name,
        roles::id: Uuid = id,
    ));
    let slice = page.slice(query.load(conn).await?);
    if !count {
        return Ok(slice);
    }
    let counted = Counted(roles::table.select(roles::id));
    Ok(slice.with_total(counted.get_result(conn).await?))
}

/// A page of permissions by name; `count` costs a second statement.
pub async fn permissions_page(
    conn: &mut AsyncPgConnection,
    page: &Page<(String, PermissionId)>,
    count: bool,
) -> QueryResult<Slice<Permission>> {
    let query = permissions::table
        .select(Permission::as_select())
        .into_boxed::<Pg>();
    let query = keyset!(query, page, false, |(name, id)| (
        permissions::name: Text = name,
        permissions::id: Uuid = id,
    ));
    let slice = page.slice(query.load(conn).await?);
    if !count {
        return Ok(slice);
    }
    let counted = Counted(permissions::table.select(permissions::id));
    Ok(slice.with_total(counted.get_result(conn).await?))
}
