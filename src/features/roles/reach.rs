//! How far staff reach: nobody touches a person or a role that holds what they lack, nor the last administrator.

use diesel_async::AsyncPgConnection;
use serde_json::json;

use super::model;
use crate::{
    auth::{permissions::PermissionSet, viewer::Viewer},
    db::ids::UserId,
    error::{Error, ErrorCode, Problem, Result, violated_constraint},
};

/// `details.state` of the refusal of what would leave no active administrator, by which the audit trail knows it.
pub const LAST_ADMIN: &str = "LAST_ADMIN";

/// What the viewer holds, under the lock of grants: what the request began with may be a second old.
pub async fn rights_of_viewer(
    conn: &mut AsyncPgConnection,
    viewer: &Viewer,
) -> Result<PermissionSet> {
    let names = model::rights_of(conn, viewer.require_user()?).await?;
    Ok(PermissionSet::from_names(names.iter().map(String::as_str)))
}

/// The refusal of what staff with these rights may not do to this person, whose row is locked; nothing when they may.
pub async fn out_of_reach(
    conn: &mut AsyncPgConnection,
    rights: &PermissionSet,
    person: UserId,
) -> Result<Option<Problem>> {
    let names = model::rights_of(conn, person).await?;
    let theirs = PermissionSet::from_names(names.iter().map(String::as_str));
    let message = "This person holds rights that you don't.";
    Ok((!rights.covers_all(&theirs)).then(|| Problem::new(ErrorCode::NotAllowed, message)))
}

/// The refusal, at this argument, of what would leave no active administrator; what else went wrong passes on.
pub fn last_admin(error: diesel::result::Error, path: &str) -> Error {
    match violated_constraint(&error) {
        Some("users_last_admin") => Problem::new(
            ErrorCode::InvalidState,
            "The last active administrator stays.",
        )
        .at(path)
        .with(json!({ "state": LAST_ADMIN }))
        .into(),
        _ => error.into(),
    }
}
