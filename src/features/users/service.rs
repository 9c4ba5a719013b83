//! The rules of accounts as staff keep them. Staff reach only people whose rights they hold themselves: who could change
//! an administrator's address could sign in as one.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::model::{
    self, Language, User, UserStatus,
    list::{self, Filter, Sort},
};
use crate::{
    app::App,
    auth::viewer::Viewer,
    cursor::{PageArgs, Slice},
    db::{
        Instant, Transaction,
        ids::{CityId, UserId},
    },
    error::{Error, ErrorCode, Problem, Problems, Result, violated_constraint},
    features::{
        accounts::model::{self as sessions, RevokedReason, codes},
        audit::{self, Entry},
        catalog::service::search_text,
        media::service as media,
        providers::service as providers,
        roles::{
            model as roles,
            reach::{last_admin, out_of_reach, rights_of_viewer},
        },
    },
    jobs,
    patch::{Patch, expect_version},
    text,
};

/// What stands where a deleted person had a name.
const ERASED_NAME: &str = "Deleted user";

/// A page of people. `BAD_REQUEST` for bad paging arguments or text.
pub async fn people(
    app: &App,
    filter: Filter,
    sort: Sort,
    page: &PageArgs,
    count: bool,
) -> Result<Slice<User>> {
    let filter = Filter {
        text: search_text(filter.text.as_deref())?,
        ..filter
    };
    let slice = match sort {
        Sort::Newest => {
            let page = page.page(sort.order())?;
            let query = list::newest_query(&filter, &page);
            list::page(&mut *app.db.slow_reader().await?, query, &page).await?
        }
        Sort::Name => {
            let page = page.page(sort.order())?;
            let query = list::name_query(&filter, &page);
            list::page(&mut *app.db.slow_reader().await?, query, &page).await?
        }
    };
    if !count {
        return Ok(slice);
    }
    let counted = list::count(&mut *app.db.slow_reader().await?, &filter).await?;
    Ok(slice.with_total(counted))
}

fn display_name(problems: &mut Problems, typed: &str) -> Option<String> {
    problems.take("input.displayName", text::single_line(typed, 1..=100))
}

fn username(problems: &mut Problems, typed: &str) -> Option<String> {
    problems.take("input.username", text::username(typed))
}

fn email(problems: &mut Problems, typed: &str) -> Option<String> {
    problems.take("input.email", text::email(typed))
}

fn taken(error: diesel::result::Error) -> Error {
    let (message, path) = match violated_constraint(&error) {
        Some("users_username_key") => ("This username is taken.", "input.username"),
        Some("users_one_per_verified_email") => ("This address has an account.", "input.email"),
        Some("users_city_id_fkey") => return Error::not_found("input.cityId"),
        _ => return error.into(),
    };
    Problem::new(ErrorCode::AlreadyExists, message)
        .at(path)
        .into()
}

/// What the audit trail keeps of an account. The reason is staff's, who are told to write no personal data into it,
/// because the trail outlives an erasure.
fn told(user: &User) -> Value {
    json!({ "status": user.status, "reason": user.status_reason, "language": user.language, "version": user.version })
}

/// A new account by staff.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// The name that everyone sees.
    pub display_name: String,
    /// The unique handle.
    pub username: Option<String>,
    /// The address that signs the person in; staff vouch for it.
    pub email: String,
    /// The language of texts.
    pub language: Language,
    /// The city; `Some(None)` for an id that cannot be a city's.
    pub city_id: Option<Option<CityId>>,
}

/// Makes an account with the role USER, whose address staff vouch for.
///
/// Errors: `INVALID_INPUT` for every bad field, `NOT_FOUND` for the city, `ALREADY_EXISTS` for username or address.
pub async fn create(app: &App, viewer: &Viewer, new: NewUser) -> Result<User> {
    let now = app.clock.now();
    let mut problems = Problems::new();
    let display_name = display_name(&mut problems, &new.display_name);
    let username = new
        .username
        .and_then(|typed| username(&mut problems, &typed));
    let email = email(&mut problems, &new.email);
    problems.check()?;
    let id = UserId(app.entropy.uuid_v7(now));
    let name = display_name.unwrap_or_default();
    let user = User {
        username,
        city_id: match new.city_id {
            Some(city) => Some(city.ok_or_else(|| Error::not_found("input.cityId"))?),
            None => None,
        },
        email,
        email_verified_at: Some(Instant(now)),
        ..User::new(id, name, new.language, Instant(now))
    };
    let mut tx = app.db.begin().await?;
    model::insert(&mut tx, &user).await.map_err(taken)?;
    model::grant_role(&mut tx, user.id, "USER", Instant(now)).await?;
    let entry = Entry {
        action: "user.create",
        target: Some(("usr", user.id.0)),
        after: Some(json!({ "by": "staff" })),
        ..Entry::default()
    };
    audit::record(&mut tx, app, viewer, now, entry).await?;
    tx.commit().await?;
    Ok(user)
}

fn deleted(path: &str) -> Problem {
    Problem::new(ErrorCode::InvalidState, "The account is deleted.")
        .at(path)
        .with(json!({ "state": UserStatus::Deleted }))
}

/// Locks rights and the person, who is there, not deleted and in reach.
async fn lock(tx: &mut Transaction, viewer: &Viewer, id: Option<UserId>) -> Result<User> {
    let id = id.ok_or_else(|| Error::not_found("id"))?;
    roles::lock_grants(tx).await?;
    let person = model::lock(tx, id).await?;
    let person = person.ok_or_else(|| Error::not_found("id"))?;
    let rights = rights_of_viewer(tx, viewer).await?;
    if let Some(problem) = out_of_reach(tx, &rights, id).await? {
        return Err(problem.at("id").into());
    }
    if person.status == UserStatus::Deleted {
        return Err(deleted("id").into());
    }
    Ok(person)
}

/// An edit of an account by staff.
#[derive(Clone, Debug)]
pub struct Change {
    /// The name that everyone sees.
    pub display_name: Patch<String>,
    /// The unique handle.
    pub username: Patch<String>,
    /// The address that signs the person in; staff vouch for it.
    pub email: Patch<String>,
    /// The language of texts.
    pub language: Patch<Language>,
    /// The city; `Set(None)` for an id that cannot be a city's.
    pub city_id: Patch<Option<CityId>>,
}

/// Changes an account; an edit that changes nothing leaves version and trail alone. With another address the password and
/// every session end: who reads it sets a password by `passwordReset`.
///
/// Errors: `INVALID_INPUT` for every bad field, `NOT_FOUND` for the person or the city, `NOT_ALLOWED` for somebody whose
/// rights the viewer lacks, `INVALID_STATE` for a deleted one, `CONFLICT`, `ALREADY_EXISTS` for username or address.
pub async fn update(
    app: &App,
    viewer: &Viewer,
    id: Option<UserId>,
    change: Change,
    expected_version: Option<i32>,
) -> Result<User> {
    let now = app.clock.now();
    let mut problems = Problems::new();
    for (path, cleared) in [
        ("input.displayName", change.display_name == Patch::Clear),
        ("input.language", change.language == Patch::Clear),
    ] {
        if cleared {
            problems.invalid(path, "A value is needed.");
        }
    }
    let mut typed = |patch: Patch<String>, check: fn(&mut Problems, &str) -> Option<String>| {
        Some(match patch {
            Patch::Keep => Patch::Keep,
            Patch::Clear => Patch::Clear,
            Patch::Set(typed) => Patch::Set(check(&mut problems, &typed)?),
        })
    };
    let display_name = typed(change.display_name, display_name).unwrap_or_default();
    let username = typed(change.username, username).unwrap_or_default();
    let email = typed(change.email, email).unwrap_or_default();
    problems.check()?;

    let mut tx = app.db.begin().await?;
    let before = lock(&mut tx, viewer, id).await?;
    expect_version(expected_version, before.version)?;
    let city_id = match change.city_id {
        Patch::Set(city) => Some(city.ok_or_else(|| Error::not_found("input.cityId"))?),
        Patch::Clear => None,
        Patch::Keep => before.city_id,
    };
    let email_verified_at = match &email {
        Patch::Set(typed) if before.email.as_ref() == Some(typed) => {
            before.email_verified_at.or(Some(Instant(now)))
        }
        Patch::Set(_) => Some(Instant(now)),
        Patch::Clear => None,
        Patch::Keep => before.email_verified_at,
    };
    let after = User {
        display_name: display_name
            .apply(Some(before.display_name.clone()))
            .unwrap_or_default(),
        username: username.apply(before.username.clone()),
        email: email.apply(before.email.clone()),
        email_verified_at,
        language: match change.language {
            Patch::Set(language) => language,
            Patch::Keep | Patch::Clear => before.language,
        },
        city_id,
        version: before.version + 1,
        updated_at: Instant(now),
        ..before.clone()
    };
    let changed = audit::changed(&[
        ("displayName", before.display_name != after.display_name),
        ("username", before.username != after.username),
        (
            "email",
            (&before.email, before.email_verified_at) != (&after.email, after.email_verified_at),
        ),
        ("language", before.language != after.language),
        ("city", before.city_id != after.city_id),
    ]);
    if changed.is_empty() {
        return Ok(before);
    }
    model::save(&mut tx, &after).await.map_err(taken)?;
    let mut ended = Vec::new();
    if before.email != after.email {
        // Who reads the new address sets a password; who knew the old one, or sat in a session, is out.
        model::set_password(&mut tx, after.id, None).await?;
        let reason = RevokedReason::Revoked;
        ended = sessions::revoke_all(&mut tx, after.id, reason, Instant(now)).await?;
        // The address is nobody's now, and of those nothing is kept; unless it is only written in another way.
        let lower = |email: &Option<String>| email.as_ref().map(|email| email.to_lowercase());
        if lower(&before.email) != lower(&after.email) {
            codes::forget_person(&mut tx, after.id, before.verified_email()).await?;
        }
    }
    let entry = Entry {
        action: "user.staffUpdate",
        target: Some(("usr", after.id.0)),
        before: Some(told(&before)),
        after: Some(json!({ "changed": changed, "version": after.version, "sessions": ended })),
    };
    audit::record(&mut tx, app, viewer, now, entry).await?;
    tx.commit().await?;
    Ok(after)
}

fn oneself(path: &str) -> Problem {
    Problem::new(ErrorCode::SelfAction, "You cannot do this to yourself.").at(path)
}

/// Suspends a person, or reinstates one.
///
/// A suspension ends every session within a second on every copy, takes an approved profile out of the lists, and lets
/// a job cancel what is ahead (rules.md, Bookings). The profile comes back with the person; the sessions don't.
///
/// Errors: `INVALID_INPUT` for a missing reason, `NOT_FOUND`, `SELF_ACTION`, `NOT_ALLOWED` for somebody whose rights the
/// viewer lacks, `INVALID_STATE` when it is so already, for a deleted person and for the last active administrator,
/// `CONFLICT`.
pub async fn set_status(
    app: &App,
    viewer: &Viewer,
    id: Option<UserId>,
    suspend: bool,
    typed_reason: Option<&str>,
    expected_version: Option<i32>,
) -> Result<User> {
    let now = app.clock.now();
    let mut problems = Problems::new();
    let typed_reason = typed_reason.filter(|typed| !typed.trim().is_empty());
    let reason = match typed_reason {
        Some(typed) => problems.take("input.reason", text::multi_line(typed, 1..=2000)),
        None if suspend => {
            problems.invalid("input.reason", "A reason is needed.");
            None
        }
        None => None,
    };
    problems.check()?;
    if id.is_some_and(|id| viewer.is(id)) {
        return Err(oneself("id").into());
    }
    let mut tx = app.db.begin().await?;
    let before = lock(&mut tx, viewer, id).await?;
    expect_version(expected_version, before.version)?;
    let (status, action) = if suspend {
        (UserStatus::Suspended, "user.suspend")
    } else {
        (UserStatus::Active, "user.reinstate")
    };
    if before.status == status {
        return Err(Problem::new(ErrorCode::InvalidState, "It is so already.")
            .at("id")
            .with(json!({ "state": status }))
            .into());
    }
    let after = User {
        status,
        status_reason: reason.clone().filter(|_| suspend),
        version: before.version + 1,
        updated_at: Instant(now),
        ..before.clone()
    };
    model::save(&mut tx, &after)
        .await
        .map_err(|error| last_admin(error, "id"))?;
    let ended = if suspend {
        let reason = RevokedReason::Suspended;
        let ended = sessions::revoke_all(&mut tx, after.id, reason, Instant(now)).await?;
        providers::close_with_account(&mut tx, app, viewer, after.id, now).await?;
        cancel_ahead(&mut tx, app, after.id, now).await?;
        ended
    } else {
        providers::reopen_with_account(&mut tx, app, viewer, after.id, now).await?;
        Vec::new()
    };
    let entry = Entry {
        action,
        target: Some(("usr", after.id.0)),
        before: Some(told(&before)),
        after: Some(json!({ "status": status, "reason": reason, "sessions": ended })),
    };
    audit::record(&mut tx, app, viewer, now, entry).await?;
    tx.commit().await?;
    Ok(after)
}

async fn cancel_ahead(
    tx: &mut Transaction,
    app: &App,
    person: UserId,
    now: Timestamp,
) -> Result<()> {
    let kind = jobs::Kind::CancelBookingsOfUser;
    let payload = json!({ "userId": person });
    jobs::enqueue(tx, app, kind, &person.to_string(), &payload, now).await
}

/// Deletes people: all of them or, when one cannot be, none. `path` names the argument of one, by its place.
///
/// What is personal goes: name, username, address, Telegram account, password, city, avatar, sessions, roles, codes by
/// e-mail, a profile's texts and pictures, notes in bookings and the reasons that the person gave there. What bookkeeping
/// and others' history need stays: bookings, orders, payments, reviews and reports, under "Deleted user"; and the audit
/// trail, which has the addresses of requests but nothing that the person typed. The reasons that staff typed stay in it
/// as they are, so that staff write no personal data into reasons.
///
/// Errors, each named: `NOT_FOUND`, `SELF_ACTION`, `NOT_ALLOWED` for somebody whose rights the viewer lacks,
/// `INVALID_STATE` for one who is deleted and for the last active administrator.
pub async fn delete(
    app: &App,
    viewer: &Viewer,
    ids: &[Option<UserId>],
    path: impl Fn(usize) -> String,
) -> Result<Vec<User>> {
    let now = app.clock.now();
    let mut tx = app.db.begin().await?;
    roles::lock_grants(&mut tx).await?;
    let known: Vec<UserId> = ids.iter().copied().flatten().collect();
    let people = model::lock_all(&mut tx, &known).await?;
    let rights = rights_of_viewer(&mut tx, viewer).await?;
    let mut problems = Problems::new();
    let mut chosen: Vec<(String, User)> = Vec::new();
    for (index, id) in ids.iter().enumerate() {
        let path = path(index);
        let Some(person) = people.iter().find(|person| Some(person.id) == *id) else {
            problems.push(Problem::new(ErrorCode::NotFound, "There is no such object.").at(&path));
            continue;
        };
        if viewer.is(person.id) {
            problems.push(oneself(&path));
        } else if let Some(problem) = out_of_reach(&mut tx, &rights, person.id).await? {
            problems.push(problem.at(&path));
        } else if person.status == UserStatus::Deleted {
            problems.push(deleted(&path));
        } else if !chosen.iter().any(|(_, other)| other.id == person.id) {
            chosen.push((path, person.clone()));
        }
    }
    problems.check()?;
    let mut gone = Vec::new();
    for (path, person) in chosen {
        gone.push(erase(&mut tx, app, viewer, person, &path, now).await?);
    }
    tx.commit().await?;
    Ok(gone)
}

/// Erases a person, whose row is locked, and the grants with it ([`delete`]).
pub(crate) async fn erase(
    tx: &mut Transaction,
    app: &App,
    viewer: &Viewer,
    before: User,
    path: &str,
    now: Timestamp,
) -> Result<User> {
    let id = before.id;
    let held = roles::held_by(tx, &[id]).await?;
    let held: Vec<_> = held.into_iter().map(|held| held.role.name).collect();
    providers::erase(tx, app, viewer, id, now).await?;
    cancel_ahead(tx, app, id, now).await?;
    let after = User {
        display_name: ERASED_NAME.to_owned(),
        username: None,
        city_id: None,
        avatar_media_id: None,
        telegram_id: None,
        telegram_username: None,
        status: UserStatus::Deleted,
        version: before.version + 1,
        updated_at: Instant(now),
        email: None,
        email_verified_at: None,
        status_reason: None,
        ..before.clone()
    };
    let last_admin = |error| last_admin(error, path);
    model::save(tx, &after).await.map_err(last_admin)?;
    if let Some(avatar) = before.avatar_media_id {
        media::discard(tx, app, avatar, now).await?;
    }
    let ended = model::erasure::erase(tx, id, Instant(now));
    let ended = ended.await.map_err(last_admin)?;
    // Mails that wait hold no address and find none when their turn comes.
    let address = before
        .email
        .as_deref()
        .filter(|_| before.email_verified_at.is_some());
    codes::forget_person(tx, id, address).await?;
    let entry = Entry {
        action: "user.delete",
        target: Some(("usr", id.0)),
        before: Some(told(&before)),
        after: Some(json!({ "status": after.status, "sessions": ended, "roles": held })),
    };
    audit::record(tx, app, viewer, now, entry).await?;
    Ok(after)
}
