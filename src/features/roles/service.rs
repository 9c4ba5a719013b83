//! The rules of roles and permissions.

use diesel_async::AsyncPgConnection;
use serde_json::{Value, json};

use super::{
    model::{self, Permission, Role},
    reach::{last_admin, out_of_reach, rights_of_viewer},
};
use crate::{
    app::App,
    auth::{
        permissions::{Permission as Name, PermissionSet},
        viewer::Viewer,
    },
    cursor::{PageArgs, Slice},
    db::{
        Instant,
        ids::{PermissionId, RoleId, UserId},
    },
    error::{Error, ErrorCode, Problem, Problems, Result, violated_constraint},
    features::{
        audit::{self, Entry},
        users::model::{self as users, User, UserStatus},
    },
    patch::{Patch, expect_version},
    text,
};

fn not_held(path: &str, name: &str) -> Problem {
    Problem::new(
        ErrorCode::NotAllowed,
        format!("You do not hold `{name}` yourself, so you neither give nor take it."),
    )
    .at(path)
}

fn built_in(what: &str) -> Error {
    Problem::new(ErrorCode::InvalidState, format!("A built-in {what} stays."))
        .at("id")
        .with(json!({ "state": "BUILT_IN" }))
        .into()
}

fn taken(error: diesel::result::Error) -> Error {
    match violated_constraint(&error) {
        Some("roles_name_key" | "permissions_name_key") => {
            Problem::new(ErrorCode::AlreadyExists, "This name is taken.")
                .at("input.name")
                .into()
        }
        _ => error.into(),
    }
}

/// A page of roles by name. `BAD_REQUEST` for bad paging arguments.
pub async fn roles(app: &App, page: &PageArgs, count: bool) -> Result<Slice<Role>> {
    let page = page.page(model::ROLES_BY_NAME)?;
    Ok(model::roles_page(&mut *app.db.slow_reader().await?, &page, count).await?)
}

/// A page of permissions by name. `BAD_REQUEST` for bad paging arguments.
pub async fn permissions(app: &App, page: &PageArgs, count: bool) -> Result<Slice<Permission>> {
    let page = page.page(model::PERMISSIONS_BY_NAME)?;
    Ok(model::permissions_page(&mut *app.db.slow_reader().await?, &page, count).await?)
}

fn description(problems: &mut Problems, typed: &str) -> Option<String> {
    problems.take("input.description", text::single_line(typed, 0..=200))
}

/// Adds a permission, which grants nothing until a role does. Errors: `INVALID_INPUT`, `ALREADY_EXISTS`.
pub async fn create_permission(
    app: &App,
    viewer: &Viewer,
    name: &str,
    typed: &str,
) -> Result<Permission> {
    let now = app.clock.now();
    let mut problems = Problems::new();
    let name = problems.take("input.name", Name::parse(name));
    let description = description(&mut problems, typed);
    problems.check()?;
    let permission = Permission {
        id: PermissionId(app.entropy.uuid_v7(now)),
        name: name.map(|name| name.to_string()).unwrap_or_default(),
        description: description.unwrap_or_default(),
        built_in: false,
    };
    let mut tx = app.db.begin().await?;
    model::insert_permission(&mut tx, &permission)
        .await
        .map_err(taken)?;
    let entry = Entry {
        action: "permission.create",
        target: Some(("prm", permission.id.0)),
        before: None,
        after: Some(json!({ "name": permission.name })),
    };
    audit::record(&mut tx, app, viewer, now, entry).await?;
    tx.commit().await?;
    Ok(permission)
}

/// Removes a permission, from the roles that grant it too; answers it.
///
/// Errors: `NOT_FOUND`, `INVALID_STATE` for a built-in one, `NOT_ALLOWED` when a role grants what the viewer lacks.
pub async fn delete_permission(app: &App, viewer: &Viewer, id: PermissionId) -> Result<Permission> {
    let now = app.clock.now();
    let mut tx = app.db.begin().await?;
    model::lock_grants(&mut tx).await?;
    let permission = model::permissions_by_ids(&tx, &[id])
        .await?
        .pop()
        .ok_or_else(|| Error::not_found("id"))?;
    if permission.built_in {
        return Err(built_in("permission"));
    }
    let granting = model::roles_with(&mut tx, id).await?;
    if !granting.is_empty()
        && !rights_of_viewer(&mut tx, viewer)
            .await?
            .covers(&permission.name)
    {
        return Err(not_held("id", &permission.name).into());
    }
    let mut granted = Vec::new();
    if !granting.is_empty() {
        granted = model::granted_by(&tx, &granting).await?;
        // Whoever has looked at one of these roles has to look again.
        model::count_up(&mut tx, &granting).await?;
    }
    model::delete_permission(&mut tx, id).await?;
    for role in &granting {
        let of_role = granted.iter().filter(|of| of.role_id == *role);
        let before: Vec<_> = of_role.map(|of| of.permission.name.clone()).collect();
        let after: Vec<_> = before
            .iter()
            .filter(|name| **name != permission.name)
            .collect();
        let entry = Entry {
            action: "role.permissionsSet",
            target: Some(("rol", role.0)),
            before: Some(json!({ "permissions": before })),
            after: Some(json!({ "permissions": after, "by": "permission" })),
        };
        audit::record(&mut tx, app, viewer, now, entry).await?;
    }
    let entry = Entry {
        action: "permission.delete",
        target: Some(("prm", id.0)),
        before: Some(json!({ "name": permission.name, "roles": granting })),
        after: None,
    };
    audit::record(&mut tx, app, viewer, now, entry).await?;
    tx.commit().await?;
    Ok(permission)
}

fn role_name(problems: &mut Problems, typed: &str) -> Option<String> {
    let good = (2..=32).contains(&typed.len())
        && typed.starts_with(|first: char| first.is_ascii_uppercase())
        && typed
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    if !good {
        let message = "This must be 2 to 32 letters A-Z, digits or _, beginning with a letter.";
        problems.invalid("input.name", message);
    }
    good.then(|| typed.to_owned())
}

fn told(role: &Role) -> Value {
    json!({ "name": role.name, "description": role.description })
}

/// Adds a role that grants nothing yet. Errors: `INVALID_INPUT`, `ALREADY_EXISTS`.
pub async fn create_role(app: &App, viewer: &Viewer, name: &str, typed: &str) -> Result<Role> {
    let now = app.clock.now();
    let mut problems = Problems::new();
    let name = role_name(&mut problems, name);
    let description = description(&mut problems, typed);
    problems.check()?;
    let role = Role {
        id: RoleId(app.entropy.uuid_v7(now)),
        name: name.unwrap_or_default(),
        description: description.unwrap_or_default(),
        built_in: false,
        version: 1,
    };
    let mut tx = app.db.begin().await?;
    model::insert_role(&mut tx, &role).await.map_err(taken)?;
    let entry = Entry {
        action: "role.create",
        target: Some(("rol", role.id.0)),
        before: None,
        after: Some(told(&role)),
    };
    audit::record(&mut tx, app, viewer, now, entry).await?;
    tx.commit().await?;
    Ok(role)
}

/// A role that may be edited, and what is needed to decide how far.
struct Editable {
    role: Role,
    /// What it grants now.
    granted: Vec<model::GrantedPermission>,
    /// What the viewer holds.
    rights: PermissionSet,
}

/// A role that may be edited, under the lock of grants: whoever holds less than it grants leaves it alone.
async fn editable(
    conn: &mut AsyncPgConnection,
    viewer: &Viewer,
    id: Option<RoleId>,
    expected_version: Option<i32>,
) -> Result<Editable> {
    let id = id.ok_or_else(|| Error::not_found("id"))?;
    model::lock_grants(conn).await?;
    let role = model::roles_by_ids(conn, &[id]).await?.pop();
    let role = role.ok_or_else(|| Error::not_found("id"))?;
    if role.built_in {
        return Err(built_in("role"));
    }
    let granted = model::granted_by(conn, &[id]).await?;
    let rights = rights_of_viewer(conn, viewer).await?;
    let mut names = granted.iter().map(|of| of.permission.name.as_str());
    if let Some(name) = names.find(|name| !rights.covers(name)) {
        let message = format!("This role grants `{name}`, which you do not hold yourself.");
        return Err(Problem::new(ErrorCode::NotAllowed, message).at("id").into());
    }
    expect_version(expected_version, role.version)?;
    Ok(Editable {
        role,
        granted,
        rights,
    })
}

/// Changes a role's name and description; an edit that changes nothing leaves version and trail alone.
///
/// Errors: `INVALID_INPUT`, `NOT_FOUND`, `INVALID_STATE` for a built-in one, `NOT_ALLOWED` for one that grants what the
/// viewer lacks, `CONFLICT`, `ALREADY_EXISTS`.
pub async fn update_role(
    app: &App,
    viewer: &Viewer,
    id: Option<RoleId>,
    name: Patch<String>,
    typed: Patch<String>,
    expected_version: Option<i32>,
) -> Result<Role> {
    let now = app.clock.now();
    let mut problems = Problems::new();
    let name = match name {
        Patch::Keep => None,
        Patch::Clear => {
            problems.invalid("input.name", "A name is needed.");
            None
        }
        Patch::Set(typed) => role_name(&mut problems, &typed),
    };
    let description = match typed {
        Patch::Keep => None,
        Patch::Clear => Some(String::new()),
        Patch::Set(typed) => description(&mut problems, &typed),
    };
    problems.check()?;
    let mut tx = app.db.begin().await?;
    let Editable { role: before, .. } = editable(&mut tx, viewer, id, expected_version).await?;
    let after = Role {
        name: name.unwrap_or_else(|| before.name.clone()),
        description: description.unwrap_or_else(|| before.description.clone()),
        version: before.version + 1,
        ..before.clone()
    };
    if (&after.name, &after.description) == (&before.name, &before.description) {
        return Ok(before);
    }
    model::save_role(&mut tx, &after).await.map_err(taken)?;
    let entry = Entry {
        action: "role.update",
        target: Some(("rol", after.id.0)),
        before: Some(told(&before)),
        after: Some(told(&after)),
    };
    audit::record(&mut tx, app, viewer, now, entry).await?;
    tx.commit().await?;
    Ok(after)
}

/// Removes a role that nobody has; answers it.
///
/// Errors: `NOT_FOUND`, `NOT_ALLOWED` for one that grants what the viewer lacks, `CONFLICT`, `INVALID_STATE` for a
/// built-in one and for one that people have (`details.holders`).
pub async fn delete_role(
    app: &App,
    viewer: &Viewer,
    id: RoleId,
    expected_version: Option<i32>,
) -> Result<Role> {
    let now = app.clock.now();
    let mut tx = app.db.begin().await?;
    let Editable { role, granted, .. } =
        editable(&mut tx, viewer, Some(id), expected_version).await?;
    let holders = model::count_holders(&mut tx, id).await?;
    if holders > 0 {
        return Err(Problem::new(
            ErrorCode::InvalidState,
            "People have this role: take it from them first.",
        )
        .at("id")
        .with(json!({ "state": "HELD", "holders": holders }))
        .into());
    }
    let granted = names(&granted);
    model::delete_role(&mut tx, id).await?;
    let entry = Entry {
        action: "role.delete",
        target: Some(("rol", id.0)),
        before: Some(json!({ "name": role.name, "permissions": granted })),
        after: None,
    };
    audit::record(&mut tx, app, viewer, now, entry).await?;
    tx.commit().await?;
    Ok(role)
}

fn names(granted: &[model::GrantedPermission]) -> Vec<String> {
    granted
        .iter()
        .map(|granted| granted.permission.name.clone())
        .collect()
}

/// Lets a role grant exactly these.
///
/// Errors: `NOT_FOUND` for the role and for each permission that is not there, `INVALID_STATE` for a built-in role,
/// `CONFLICT`, `NOT_ALLOWED` for a role that grants what the viewer lacks and for each that would be given and that they
/// lack.
pub async fn set_permissions(
    app: &App,
    viewer: &Viewer,
    id: Option<RoleId>,
    wanted: &[Option<PermissionId>],
    expected_version: Option<i32>,
) -> Result<Role> {
    let now = app.clock.now();
    let mut tx = app.db.begin().await?;
    let Editable {
        role: before,
        granted,
        rights,
    } = editable(&mut tx, viewer, id, expected_version).await?;
    let known: Vec<PermissionId> = wanted.iter().copied().flatten().collect();
    let known = model::permissions_by_ids(&tx, &known).await?;
    let name_of = |id: PermissionId| {
        let old = granted.iter().map(|old| &old.permission);
        let found = known.iter().chain(old).find(|known| known.id == id);
        found.map(|found| found.name.as_str())
    };
    let Change { added, removed } = change(
        "input.permissionIds",
        wanted,
        &known.iter().map(|known| known.id).collect::<Vec<_>>(),
        &granted
            .iter()
            .map(|old| old.permission.id)
            .collect::<Vec<_>>(),
        |id| name_of(id).filter(|name| !rights.covers(name)),
        |_| false,
    )?;
    if added.is_empty() && removed.is_empty() {
        return Ok(before);
    }

    let after = Role {
        version: before.version + 1,
        ..before.clone()
    };
    model::take_permissions(&mut tx, after.id, &removed).await?;
    model::grant_permissions(&mut tx, after.id, &added).await?;
    model::save_role(&mut tx, &after).await?;
    let now_granted = model::granted_by(&tx, &[after.id]).await?;
    let entry = Entry {
        action: "role.permissionsSet",
        target: Some(("rol", after.id.0)),
        before: Some(json!({ "permissions": names(&granted) })),
        after: Some(json!({ "permissions": names(&now_granted) })),
    };
    audit::record(&mut tx, app, viewer, now, entry).await?;
    tx.commit().await?;
    Ok(after)
}

/// What a new set changes of an old one.
struct Change<T> {
    added: Vec<T>,
    removed: Vec<T>,
}

/// What `wanted` changes of what is `held`, where only what is `known` can be given, and nothing given or taken for
/// which `lacking` names a permission that the viewer does not hold. What is `fixed` stays as it is.
///
/// Errors: `NOT_FOUND`, `NOT_ALLOWED` and `INVALID_INPUT` (what is fixed and not held) for each fault, at the list's
/// `path`.
fn change<'a, T: Copy + PartialEq>(
    path: &str,
    wanted: &[Option<T>],
    known: &[T],
    held: &[T],
    lacking: impl Fn(T) -> Option<&'a str>,
    fixed: impl Fn(T) -> bool,
) -> Result<Change<T>> {
    let mut problems = Problems::new();
    let mut added = Vec::new();
    for (index, wanted) in wanted.iter().enumerate() {
        let path = format!("{path}.{index}");
        let Some(wanted) = wanted.filter(|wanted| known.contains(wanted)) else {
            let message = "There is no such object.";
            problems.push(Problem::new(ErrorCode::NotFound, message).at(&path));
            continue;
        };
        if added.contains(&wanted) || held.contains(&wanted) {
            continue;
        }
        if fixed(wanted) {
            let message =
                "The roles USER and PROVIDER come and go with the account and the profile.";
            problems.invalid(&path, message);
            continue;
        }
        if let Some(name) = lacking(wanted) {
            problems.push(not_held(&path, name));
        }
        added.push(wanted);
    }
    let mut removed = Vec::new();
    for held in held.iter().copied() {
        if wanted.contains(&Some(held)) || fixed(held) {
            continue;
        }
        if let Some(name) = lacking(held) {
            problems.push(not_held(path, name));
        }
        removed.push(held);
    }
    problems.check()?;
    Ok(Change { added, removed })
}

/// Gives a person exactly these roles, besides those that come and go with account and profile ([`model::OF_ACCOUNT`]):
/// they stay, named or not.
///
/// Errors: `NOT_FOUND` for the person and for each role that is not there, `CONFLICT`, `NOT_ALLOWED` for somebody whose
/// rights the viewer lacks and for each role that would be given and that grants what they lack, `INVALID_STATE` for a
/// deleted person and for the last active administrator.
pub async fn set_roles(
    app: &App,
    viewer: &Viewer,
    user: Option<UserId>,
    wanted: &[Option<RoleId>],
    expected_version: Option<i32>,
) -> Result<User> {
    let now = app.clock.now();
    let user = user.ok_or_else(|| Error::not_found("userId"))?;
    let mut tx = app.db.begin().await?;
    model::lock_grants(&mut tx).await?;
    let person = users::lock(&mut tx, user).await?;
    let person = person.ok_or_else(|| Error::not_found("userId"))?;
    let rights = rights_of_viewer(&mut tx, viewer).await?;
    if let Some(problem) = out_of_reach(&mut tx, &rights, user).await? {
        return Err(problem.at("userId").into());
    }
    if person.status == UserStatus::Deleted {
        return Err(
            Problem::new(ErrorCode::InvalidState, "The account is deleted.")
                .at("userId")
                .with(json!({ "state": person.status }))
                .into(),
        );
    }
    expect_version(expected_version, person.version)?;
    let held = model::held_by(&tx, &[user]).await?;
    let mut all: Vec<RoleId> = wanted.iter().copied().flatten().collect();
    let known = model::roles_by_ids(&tx, &all).await?;
    all.extend(held.iter().map(|held| held.role.id));
    let granted = model::granted_by(&tx, &all).await?;
    let lacking = |role: RoleId| {
        granted
            .iter()
            .find(|of| of.role_id == role && !rights.covers(&of.permission.name))
            .map(|of| of.permission.name.as_str())
    };

    let of_account = |role: RoleId| {
        let mut all = known.iter().chain(held.iter().map(|held| &held.role));
        all.any(|of| of.id == role && model::OF_ACCOUNT.contains(&of.name.as_str()))
    };
    let Change { added, removed } = change(
        "input.roleIds",
        wanted,
        &known.iter().map(|known| known.id).collect::<Vec<_>>(),
        &held.iter().map(|held| held.role.id).collect::<Vec<_>>(),
        lacking,
        of_account,
    )?;
    if added.is_empty() && removed.is_empty() {
        return Ok(person);
    }

    let role_names = |held: &[model::HeldRole]| {
        let names: Vec<_> = held.iter().map(|held| held.role.name.clone()).collect();
        json!({ "roles": names })
    };
    let after = User {
        version: person.version + 1,
        updated_at: Instant(now),
        ..person
    };
    model::give_roles(&mut tx, user, &added, viewer.require_user()?, Instant(now)).await?;
    model::take_roles(&mut tx, user, &removed)
        .await
        .map_err(|error| last_admin(error, "userId"))?;
    users::save(&mut tx, &after).await?;
    let now_held = model::held_by(&tx, &[user]).await?;
    let entry = Entry {
        action: "user.rolesSet",
        target: Some(("usr", user.0)),
        before: Some(role_names(&held)),
        after: Some(role_names(&now_held)),
    };
    audit::record(&mut tx, app, viewer, now, entry).await?;
    tx.commit().await?;
    Ok(after)
}
