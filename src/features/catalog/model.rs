//! Rows of `categories`, `cities` and `services`.

use diesel::{
    dsl::{AsSelect, IntoBoxed, Select},
    pg::Pg,
    prelude::*,
    sql_types::{Text, Uuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::{
    cursor::{Page, Slice},
    db::{
        Instant,
        ids::{CategoryId, CityId, ServiceId},
        keyset::{Counted, Limited, containing},
        schema::{categories, cities, services},
    },
    keyset, sql_expression, text_enum,
};

text_enum! {
    /// Whether a service can be offered.
    pub enum ServiceStatus {
        /// It can.
        Active = "ACTIVE",
        /// No more; bookings made keep it.
        Archived = "ARCHIVED",
    }
}

/// A city.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = cities, check_for_backend(diesel::pg::Pg))]
pub struct City {
    /// Identity.
    pub id: CityId,
    /// A readable handle, e.g. `berlin`.
    pub slug: String,
    /// Its English name.
    pub name: String,
    /// Two letters of ISO 3166-1.
    pub country_code: String,
    /// Its IANA zone.
    pub time_zone: String,
}

/// A category of services.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = categories, check_for_backend(diesel::pg::Pg))]
pub struct Category {
    /// Identity.
    pub id: CategoryId,
    /// A readable handle, e.g. `pet-care`.
    pub slug: String,
    /// Its English title.
    pub title: String,
    /// Its place among the categories.
    pub position: i32,
}

/// What a list of something else shows of a service.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = services, check_for_backend(diesel::pg::Pg))]
pub struct ServiceCard {
    /// Identity.
    pub id: ServiceId,
    /// One line.
    pub title: String,
    /// Whether it can be offered.
    pub status: ServiceStatus,
}

/// A service of the catalog.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = services, check_for_backend(diesel::pg::Pg))]
pub struct Service {
    /// Identity.
    pub id: ServiceId,
    /// What it is a kind of.
    pub category_id: CategoryId,
    /// One line of 1 to 120 characters.
    pub title: String,
    /// At most 4 000 characters.
    pub description: String,
    /// Whether it can be offered.
    pub status: ServiceStatus,
    /// Counts the edits.
    pub version: i32,
    /// When it was made.
    pub created_at: Instant,
    /// When it was last edited.
    pub updated_at: Instant,
}

/// Every category, in the order to show them.
pub async fn all_categories(conn: &mut AsyncPgConnection) -> QueryResult<Vec<Category>> {
    categories::table
        .order((categories::position, categories::id))
        .select(Category::as_select())
        .load(conn)
        .await
}

/// The categories with these ids, in no order.
pub async fn categories_by_ids(
    mut conn: &AsyncPgConnection,
    ids: &[CategoryId],
) -> QueryResult<Vec<Category>> {
    categories::table
        .filter(categories::id.eq_any(ids))
        .select(Category::as_select())
        .load(&mut conn)
        .await
}

/// Every city, by name.
pub async fn all_cities(conn: &mut AsyncPgConnection) -> QueryResult<Vec<City>> {
    cities::table
        .order((cities::name, cities::id))
        .select(City::as_select())
        .load(conn)
        .await
}

/// The cities with these ids, in no order.
pub async fn cities_by_ids(mut conn: &AsyncPgConnection, ids: &[CityId]) -> QueryResult<Vec<City>> {
    cities::table
        .filter(cities::id.eq_any(ids))
        .select(City::as_select())
        .load(&mut conn)
        .await
}

/// One city.
pub async fn city_by_id(conn: &mut AsyncPgConnection, id: CityId) -> QueryResult<Option<City>> {
    cities::table
        .find(id)
        .select(City::as_select())
        .first(conn)
        .await
        .optional()
}

/// The services with these ids, archived ones too, in no order.
pub async fn services_by_ids(
    mut conn: &AsyncPgConnection,
    ids: &[ServiceId],
) -> QueryResult<Vec<Service>> {
    services::table
        .filter(services::id.eq_any(ids))
        .select(Service::as_select())
        .load(&mut conn)
        .await
}

/// Locks a service against edits and reads it.
pub async fn lock_service(
    conn: &mut AsyncPgConnection,
    id: ServiceId,
) -> QueryResult<Option<Service>> {
    services::table
        .find(id)
        .select(Service::as_select())
        .for_no_key_update()
        .first(conn)
        .await
        .optional()
}

/// Keeps a service as it is until the transaction ends (nobody archives it meanwhile), and reads it.
pub async fn hold_service(
    conn: &mut AsyncPgConnection,
    id: ServiceId,
) -> QueryResult<Option<Service>> {
    services::table
        .find(id)
        .select(Service::as_select())
        .for_share()
        .first(conn)
        .await
        .optional()
}

/// Adds a service. Violates `services_category_id_fkey` for a category that is not there.
pub async fn insert_service(conn: &mut AsyncPgConnection, service: &Service) -> QueryResult<()> {
    diesel::insert_into(services::table)
        .values(service)
        .execute(conn)
        .await?;
    Ok(())
}

/// Writes what an edit can change. Violates `services_category_id_fkey` for a category that is not there.
pub async fn save_service(conn: &mut AsyncPgConnection, service: &Service) -> QueryResult<()> {
    diesel::update(services::table.find(service.id))
        .set((
            services::category_id.eq(service.category_id),
            services::title.eq(&service.title),
            services::description.eq(&service.description),
            services::status.eq(service.status),
            services::version.eq(service.version),
            services::updated_at.eq(service.updated_at),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

sql_expression! {
    /// What a text is looked for in; the trigram index is on it.
    ServiceText: Text = "(services.title || ' ' || services.description)" on services::table;
}

/// Which services a list shows.
#[derive(Clone, Debug)]
pub struct ServiceFilter {
    /// Of this category.
    pub category_id: Option<CategoryId>,
    /// With this text in title or description, in any case.
    pub text: Option<String>,
    /// In this state.
    pub status: ServiceStatus,
}

/// The name of the order of [`services_page`]: by title in the database's collation, then by id.
pub const BY_TITLE: &str = "service.title";

/// The values of a cursor of [`BY_TITLE`].
pub type TitleKey = (String, ServiceId);

/// A page's statement.
pub type ServicesQuery =
    Limited<IntoBoxed<'static, Select<services::table, AsSelect<Service, Pg>>, Pg>>;

fn matching(filter: &ServiceFilter) -> services::BoxedQuery<'static, Pg> {
    let ServiceFilter {
        category_id,
        text,
        status,
    } = filter;
    let mut query = services::table
        .filter(services::status.eq(*status))
        .into_boxed();
    if let Some(category) = *category_id {
        query = query.filter(services::category_id.eq(category));
    }
    if let Some(text) = text {
        query = query.filter(ServiceText.ilike(containing(text)));
    }
    query
}

/// The statement of a page.
pub fn services_query(filter: &ServiceFilter, page: &Page<TitleKey>) -> ServicesQuery {
    let query = matching(filter).select(Service::as_select());
    keyset!(query, page, false, |(title, id)| (
        services::title: Text = title,
        services::id: Uuid = id,
    ))
}

/// A page by title; `count` costs a second statement.
pub async fn services_page(
    mut conn: &AsyncPgConnection,
    filter: &ServiceFilter,
    page: &Page<TitleKey>,
    count: bool,
) -> QueryResult<Slice<Service>> {
    let slice = page.slice(services_query(filter, page).load(&mut conn).await?);
    if !count {
        return Ok(slice);
    }
    let counted = Counted(matching(filter).select(services::id));
    Ok(slice.with_total(counted.get_result(&mut conn).await?))
}
