//! Loaders of roles and permissions.

use super::model::{self, GrantedPermission, HeldRole, Permission, Role};
use crate::{
    db::{
        Db,
        batch::{Loader, MaybeRow, Rows},
        ids::{PermissionId, RoleId, UserId},
    },
    row_loader, rows_loader,
};

row_loader! {
    /// A role by id.
    RoleById: RoleId => Role, model::roles_by_ids, |role| role.id
}

row_loader! {
    /// A permission by id.
    PermissionById: PermissionId => Permission, model::permissions_by_ids, |permission| permission.id
}

rows_loader! {
    /// What a role grants, by name.
    PermissionsOfRole: RoleId => GrantedPermission, model::granted_by, |granted| granted.role_id
}

rows_loader! {
    /// The roles of a person, by name.
    RolesOfUser: UserId => HeldRole, model::held_by, |held| held.user_id
}

/// One loader for each edge of access control.
pub struct RoleLoaders {
    /// Roles by id.
    pub roles: Loader<RoleId, MaybeRow<Role>, RoleById>,
    /// Permissions by id.
    pub permissions: Loader<PermissionId, MaybeRow<Permission>, PermissionById>,
    /// What roles grant.
    pub permissions_of_roles: Loader<RoleId, Rows<GrantedPermission>, PermissionsOfRole>,
    /// What people have.
    pub roles_of_users: Loader<UserId, Rows<HeldRole>, RolesOfUser>,
}

impl RoleLoaders {
    /// For one request.
    pub fn new(db: &Db) -> Self {
        Self {
            roles: Loader::new(RoleById(db.clone())),
            permissions: Loader::new(PermissionById(db.clone())),
            permissions_of_roles: Loader::new(PermissionsOfRole(db.clone())),
            roles_of_users: Loader::new(RolesOfUser(db.clone())),
        }
    }
}
