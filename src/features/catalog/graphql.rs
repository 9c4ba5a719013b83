//! The catalog in the schema.

pub mod plan;

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, MaybeUndefined, Object};
use uuid::Uuid;

use super::{
    model::{self, BY_TITLE},
    service::{self, NewService, ServiceChange},
};
use crate::{
    cursor::PageArgs,
    db::{
        ids::{CategoryId, CityId, ServiceId},
        retry_conflict,
    },
    error::{Error, Result},
    graphql::{
        args,
        connection::Connection,
        context::ContextExt,
        plan::Planned,
        refused,
        scalars::{DateTime, TimeZone},
    },
    payload,
};

/// A kind of services.
#[derive(async_graphql::Description, Clone)]
pub struct Category(pub Arc<model::Category>);

impl Category {
    /// The category with this id; everyone sees each.
    pub async fn by_id(ctx: &Context<'_>, id: CategoryId) -> Result<Option<Self>> {
        Ok(ctx.loaders().categories.load(id).await?.map(Self))
    }
}

#[Object(use_type_description)]
impl Category {
    /// Identity (`cat_…`).
    pub async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// A readable handle that never changes, e.g. `pet-care`.
    async fn slug(&self) -> &str {
        &self.0.slug
    }

    /// Its title in English.
    async fn title(&self) -> &str {
        &self.0.title
    }
}

/// A city in which providers work.
#[derive(async_graphql::Description, Clone)]
pub struct City(pub Arc<model::City>);

impl City {
    /// The city with this id; everyone sees each.
    pub async fn by_id(ctx: &Context<'_>, id: CityId) -> Result<Option<Self>> {
        Ok(ctx.loaders().cities.load(id).await?.map(Self))
    }
}

#[Object(use_type_description)]
impl City {
    /// Identity (`cty_…`).
    pub async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// A readable handle that never changes, e.g. `berlin`.
    async fn slug(&self) -> &str {
        &self.0.slug
    }

    /// Its name in English.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// Two letters of ISO 3166-1, e.g. `DE`.
    async fn country_code(&self) -> &str {
        &self.0.country_code
    }

    /// Its zone, e.g. `Europe/Berlin`.
    async fn time_zone(&self) -> TimeZone {
        TimeZone(self.0.time_zone.clone())
    }
}

/// Whether a service can be offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "model::ServiceStatus")]
pub enum ServiceStatus {
    /// It can.
    Active,
    /// No more; bookings made keep their terms.
    Archived,
}

/// Something that providers offer and clients book.
#[derive(async_graphql::Description, Clone)]
pub struct Service(pub Arc<model::Service>);

impl Service {
    /// The service with this id; everyone sees each, archived ones too, because bookings show them.
    pub async fn by_id(ctx: &Context<'_>, id: ServiceId) -> Result<Option<Self>> {
        Ok(ctx.loaders().services.load(id).await?.map(Self))
    }
}

#[Object(use_type_description)]
impl Service {
    /// Identity (`srv_…`).
    pub async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// What it is a kind of.
    async fn category(&self, ctx: &Context<'_>) -> Result<Category> {
        Category::by_id(ctx, self.0.category_id)
            .await?
            .ok_or_else(|| Error::internal("a service without a category"))
    }

    /// One line of 1 to 120 characters.
    async fn title(&self) -> &str {
        &self.0.title
    }

    /// What it is, at most 4 000 characters.
    async fn description(&self) -> &str {
        &self.0.description
    }

    /// Whether it can be offered.
    async fn status(&self) -> ServiceStatus {
        self.0.status.into()
    }

    /// Counts the edits; pass it as `expectedVersion`.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        DateTime(*self.0.created_at)
    }

    /// When it was last edited.
    async fn updated_at(&self) -> DateTime {
        DateTime(*self.0.updated_at)
    }
}

/// Which services to list; every condition given must hold.
#[derive(InputObject, Default)]
pub struct ServiceFilter {
    /// Of this category (`cat_…`).
    pub category_id: Option<ID>,
    /// With this text in title or description, in any case; at most 100 characters.
    pub text: Option<String>,
    /// In this state; ACTIVE without. ARCHIVED is for staff with `services:write`, others get `FORBIDDEN`.
    pub status: Option<ServiceStatus>,
}

/// A new service.
#[derive(InputObject)]
pub struct ServiceCreateInput {
    /// What it is a kind of (`cat_…`).
    pub category_id: ID,
    /// One line of 1 to 120 characters.
    pub title: String,
    /// What it is, at most 4 000 characters; may have several lines.
    #[graphql(default)]
    pub description: String,
}

/// What to change of a service; what is left out stays.
#[derive(InputObject)]
pub struct ServiceUpdateInput {
    /// What it is a kind of (`cat_…`).
    pub category_id: MaybeUndefined<ID>,
    /// One line of 1 to 120 characters.
    pub title: MaybeUndefined<String>,
    /// What it is, at most 4 000 characters; null empties it.
    pub description: MaybeUndefined<String>,
}

payload! {
    /// What `serviceCreate` did.
    ServiceCreatePayload {
        /// The new service.
        service: Service
    }
}

payload! {
    /// What `serviceUpdate` did.
    ServiceUpdatePayload {
        /// The service as it is now.
        service: Service
    }
}

payload! {
    /// What `serviceArchive` did.
    ServiceArchivePayload {
        /// The service, archived.
        service: Service
    }
}

/// Queries of the catalog.
#[derive(Default)]
pub struct CatalogQueries;

#[Object]
impl CatalogQueries {
    /// Every category, in the order to show them.
    async fn categories(&self, ctx: &Context<'_>) -> Result<Vec<Category>> {
        let rows = service::categories(ctx.app()).await?;
        Ok(rows
            .into_iter()
            .map(|row| Category(Arc::new(row)))
            .collect())
    }

    /// Every city, by name.
    async fn cities(&self, ctx: &Context<'_>) -> Result<Vec<City>> {
        let rows = service::cities(ctx.app()).await?;
        Ok(rows.into_iter().map(|row| City(Arc::new(row))).collect())
    }

    /// Services of the catalog, by title and then by id. Nothing sorts as null.
    async fn services(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which ones; all active ones without.")] filter: Option<ServiceFilter>,
        #[graphql(desc = "How many from the start, 1 to 100; 20 without.")] first: Option<i32>,
        #[graphql(desc = "Only what follows this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what precedes this cursor.")] before: Option<String>,
    ) -> Result<Planned<Connection<Service>>> {
        let ServiceFilter {
            category_id,
            text,
            status,
        } = filter.unwrap_or_default();
        let filter = model::ServiceFilter {
            // What cannot be a category's id finds what a missing category finds: nothing.
            category_id: category_id
                .map(|id| args::maybe_id(&id).unwrap_or(CategoryId(Uuid::nil()))),
            text,
            status: status.map_or(model::ServiceStatus::Active, Into::into),
        };
        let page = PageArgs::new(first, after, last, before);
        let count = ctx.selects("totalCount");
        let slice = service::services(ctx.app(), ctx.viewer(), filter, &page, count).await;
        if let Err(Error::Lacking { .. }) = &slice {
            refused::forbidden(ctx, "services");
        }
        let slice = slice?;
        Ok(Planned::Rows(Connection::of(
            slice,
            BY_TITLE,
            |row| (row.title.clone(), row.id),
            Service,
        )))
    }

    /// One service, archived or not; null when there is none with this id.
    async fn service(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The service (`srv_…`).")] id: ID,
    ) -> Result<Option<Service>> {
        match args::maybe_id(&id) {
            Some(id) => Service::by_id(ctx, id).await,
            None => Ok(None),
        }
    }
}

/// Mutations of the catalog.
#[derive(Default)]
pub struct CatalogMutations;

#[Object]
impl CatalogMutations {
    /// Adds a service to the catalog. Codes: `INVALID_INPUT`, `NOT_FOUND` (the category).
    async fn service_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The service.")] input: ServiceCreateInput,
    ) -> Result<ServiceCreatePayload> {
        let ServiceCreateInput {
            category_id,
            title,
            description,
        } = input;
        let new = NewService {
            category_id: args::maybe_id(&category_id),
            title,
            description,
        };
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let made = retry_conflict(|| service::create(app, viewer, new.clone())).await;
        ServiceCreatePayload::of(made.map(|row| Service(Arc::new(row))))
    }

    /// Changes a service. Codes: `INVALID_INPUT`, `NOT_FOUND` (it or the category), `CONFLICT`.
    async fn service_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The service (`srv_…`).")] id: ID,
        #[graphql(desc = "What to change.")] input: ServiceUpdateInput,
        #[graphql(desc = "Refuse with `CONFLICT` unless `version` is this.")]
        expected_version: Option<i32>,
    ) -> Result<ServiceUpdatePayload> {
        let ServiceUpdateInput {
            category_id,
            title,
            description,
        } = input;
        let change = ServiceChange {
            category_id: category_id.map_value(|id| args::maybe_id(&id)).into(),
            title: title.into(),
            description: description.into(),
        };
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let id = args::maybe_id(&id);
        let updated =
            retry_conflict(|| service::update(app, viewer, id, change.clone(), expected_version))
                .await;
        ServiceUpdatePayload::of(updated.map(|row| Service(Arc::new(row))))
    }

    /// Takes a service out of the catalog for good: it leaves lists and prices and takes no new booking; bookings made
    /// keep their terms. Codes: `NOT_FOUND`, `CONFLICT`, `INVALID_STATE`.
    async fn service_archive(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The service (`srv_…`).")] id: ID,
        #[graphql(desc = "Refuse with `CONFLICT` unless `version` is this.")]
        expected_version: Option<i32>,
    ) -> Result<ServiceArchivePayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let archived = retry_conflict(|| async {
            service::archive(app, viewer, args::id(&id, "id")?, expected_version).await
        })
        .await;
        ServiceArchivePayload::of(archived.map(|row| Service(Arc::new(row))))
    }
}
