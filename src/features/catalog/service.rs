//! The rules of the catalog.

use serde_json::{Value, json};

use super::model::{self, Category, City, Service, ServiceFilter, ServiceStatus};
use crate::{
    app::App,
    auth::{permissions::known, policy::Audience, viewer::Viewer},
    cursor::{PageArgs, Slice},
    db::{
        Instant, Reader,
        ids::{CategoryId, ServiceId},
    },
    error::{Error, ErrorCode, Problem, Problems, Result, violated_constraint},
    features::audit::{self, Entry},
    patch::{Patch, expect_version},
    text,
};

/// A text that a list is searched for: one line of at most 100 characters; nothing for white space alone.
///
/// `BAD_REQUEST` for anything else.
pub fn search_text(typed: Option<&str>) -> Result<Option<String>> {
    let Some(typed) = typed.filter(|typed| !typed.trim().is_empty()) else {
        return Ok(None);
    };
    text::single_line(typed, 1..=100)
        .map(Some)
        .map_err(|error| Error::bad_request(format!("`text` {error}.")))
}

/// Every category, in the order to show them.
pub async fn categories(app: &App) -> Result<Vec<Category>> {
    Ok(model::all_categories(&mut *app.db.slow_reader().await?).await?)
}

/// Every city, by name.
pub async fn cities(app: &App) -> Result<Vec<City>> {
    Ok(model::all_cities(&mut *app.db.slow_reader().await?).await?)
}

/// A page of services by title.
///
/// `BAD_REQUEST` for bad paging arguments or text; `FORBIDDEN` for archived ones without `services:write`.
pub async fn services(
    app: &App,
    viewer: &Viewer,
    filter: ServiceFilter,
    page: &PageArgs,
    count: bool,
) -> Result<Slice<Service>> {
    let page = page.page(model::BY_TITLE)?;
    let filter = ServiceFilter {
        text: search_text(filter.text.as_deref())?,
        ..filter
    };
    let archived = Audience::Permission(known::SERVICES_WRITE);
    if filter.status == ServiceStatus::Archived && !archived.admits(viewer) {
        return Err(archived.refusal(viewer));
    }
    // What no index answers at once would hold up those who share a connection.
    let conn = if filter.text.is_none() && !count {
        app.db.reader().await?
    } else {
        Reader::from(app.db.slow_reader().await?)
    };
    let services = model::services_page(&conn, &filter, &page, count);
    Ok(conn.timed(services).await?)
}

/// A new service.
#[derive(Clone, Debug)]
pub struct NewService {
    /// Its category; nothing for an id that cannot be one's.
    pub category_id: Option<CategoryId>,
    /// One line of 1 to 120 characters.
    pub title: String,
    /// At most 4 000 characters.
    pub description: String,
}

/// An edit of a service.
#[derive(Clone, Debug)]
pub struct ServiceChange {
    /// Its category; `Set(None)` for an id that cannot be one's.
    pub category_id: Patch<Option<CategoryId>>,
    /// One line of 1 to 120 characters.
    pub title: Patch<String>,
    /// At most 4 000 characters.
    pub description: Patch<String>,
}

fn title(problems: &mut Problems, typed: &str) -> Option<String> {
    problems.take("input.title", text::single_line(typed, 1..=120))
}

fn description(problems: &mut Problems, typed: &str) -> Option<String> {
    problems.take("input.description", text::multi_line(typed, 0..=4000))
}

fn no_category(error: diesel::result::Error) -> Error {
    match violated_constraint(&error) {
        Some("services_category_id_fkey") => Error::not_found("input.categoryId"),
        _ => error.into(),
    }
}

fn told(service: &Service) -> Value {
    json!({
        "category": service.category_id,
        "title": service.title,
        "description": service.description,
        "status": service.status,
    })
}

/// Adds a service. Errors: `INVALID_INPUT`, `NOT_FOUND` for the category.
pub async fn create(app: &App, viewer: &Viewer, new: NewService) -> Result<Service> {
    let now = app.clock.now();
    let NewService {
        category_id,
        title: typed_title,
        description: typed_description,
    } = new;
    let mut problems = Problems::new();
    let title = title(&mut problems, &typed_title);
    let description = description(&mut problems, &typed_description);
    problems.check()?;
    let service = Service {
        id: ServiceId(app.entropy.uuid_v7(now)),
        category_id: category_id.ok_or_else(|| Error::not_found("input.categoryId"))?,
        title: title.unwrap_or_default(),
        description: description.unwrap_or_default(),
        status: ServiceStatus::Active,
        version: 1,
        created_at: Instant(now),
        updated_at: Instant(now),
    };
    let mut tx = app.db.begin().await?;
    model::insert_service(&mut tx, &service)
        .await
        .map_err(no_category)?;
    let entry = Entry {
        action: "service.create",
        target: Some(("srv", service.id.0)),
        before: None,
        after: Some(told(&service)),
    };
    audit::record(&mut tx, app, viewer, now, entry).await?;
    tx.commit().await?;
    Ok(service)
}

/// Edits a service, an archived one too.
///
/// Errors: `INVALID_INPUT`, `NOT_FOUND` for it or the category, `CONFLICT` for another version.
pub async fn update(
    app: &App,
    viewer: &Viewer,
    id: Option<ServiceId>,
    change: ServiceChange,
    expected_version: Option<i32>,
) -> Result<Service> {
    let now = app.clock.now();
    let ServiceChange {
        category_id,
        title: typed_title,
        description: typed_description,
    } = change;
    let mut problems = Problems::new();
    if category_id == Patch::Clear {
        problems.invalid("input.categoryId", "A category is needed.");
    }
    let new_title = match typed_title {
        Patch::Keep => None,
        Patch::Clear => {
            problems.invalid("input.title", "A title is needed.");
            None
        }
        Patch::Set(typed) => title(&mut problems, &typed),
    };
    let new_description = match typed_description {
        Patch::Keep => None,
        Patch::Clear => Some(String::new()),
        Patch::Set(typed) => description(&mut problems, &typed),
    };
    problems.check()?;
    let id = id.ok_or_else(|| Error::not_found("id"))?;

    let mut tx = app.db.begin().await?;
    let before = model::lock_service(&mut tx, id)
        .await?
        .ok_or_else(|| Error::not_found("id"))?;
    let category_id = match category_id {
        Patch::Set(category) => category.ok_or_else(|| Error::not_found("input.categoryId"))?,
        Patch::Keep | Patch::Clear => before.category_id,
    };
    expect_version(expected_version, before.version)?;
    let unchanged = category_id == before.category_id
        && new_title.as_ref().is_none_or(|it| *it == before.title)
        && new_description
            .as_ref()
            .is_none_or(|it| *it == before.description);
    if unchanged {
        return Ok(before);
    }
    let after = Service {
        category_id,
        title: new_title.unwrap_or_else(|| before.title.clone()),
        description: new_description.unwrap_or_else(|| before.description.clone()),
        version: before.version + 1,
        updated_at: Instant(now),
        ..before.clone()
    };
    model::save_service(&mut tx, &after)
        .await
        .map_err(no_category)?;
    let entry = Entry {
        action: "service.update",
        target: Some(("srv", id.0)),
        before: Some(told(&before)),
        after: Some(told(&after)),
    };
    audit::record(&mut tx, app, viewer, now, entry).await?;
    tx.commit().await?;
    Ok(after)
}

/// Takes a service out of the catalog for good; bookings made keep their terms.
///
/// Errors: `NOT_FOUND`, `CONFLICT` for another version, `INVALID_STATE` when it is archived already.
pub async fn archive(
    app: &App,
    viewer: &Viewer,
    id: ServiceId,
    expected_version: Option<i32>,
) -> Result<Service> {
    let now = app.clock.now();
    let mut tx = app.db.begin().await?;
    let before = model::lock_service(&mut tx, id)
        .await?
        .ok_or_else(|| Error::not_found("id"))?;
    expect_version(expected_version, before.version)?;
    if before.status == ServiceStatus::Archived {
        return Err(archived("id"));
    }
    let after = Service {
        status: ServiceStatus::Archived,
        version: before.version + 1,
        updated_at: Instant(now),
        ..before.clone()
    };
    model::save_service(&mut tx, &after).await?;
    let entry = Entry {
        action: "service.archive",
        target: Some(("srv", id.0)),
        before: Some(told(&before)),
        after: Some(told(&after)),
    };
    audit::record(&mut tx, app, viewer, now, entry).await?;
    tx.commit().await?;
    Ok(after)
}

/// The refusal of what an archived service does not allow, at this argument.
pub fn archived(path: &str) -> Error {
    Problem::new(ErrorCode::InvalidState, "The service is archived.")
        .at(path)
        .with(json!({ "state": ServiceStatus::Archived }))
        .into()
}
