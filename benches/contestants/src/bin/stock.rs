//! async-graphql as its book shows it: derived types, a `DataLoader` for each edge with its default settings, a pool of
//! eight connections, and the crate's own axum service.

use std::{collections::HashMap, sync::Arc};

use async_graphql::{
    ComplexObject, Context, EmptyMutation, EmptySubscription, Enum, Error, ID, InputObject, Object,
    Result, Schema, SimpleObject,
    dataloader::{DataLoader, Loader},
    runtime::{TokioSpawner, TokioTimer},
};
use async_graphql_axum::GraphQL;
use axum::{Router, routing::post_service};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use contestants::{
    Fatal, database_url, serve,
    statements::{self, price, provider, review, user},
    typeid::{self, TypeId},
};
use deadpool_postgres::{Manager, Pool};
use jiff::Timestamp;
use tokio_postgres::{
    NoTls, Row,
    types::{ToSql, Type},
};
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> Result<(), Fatal> {
    let manager = Manager::new(database_url()?.parse()?, NoTls);
    let database = Database(Pool::builder(manager).max_size(8).build()?);
    let schema = Schema::build(Query, EmptyMutation, EmptySubscription)
        .data(loader(UserLoader(database.clone())))
        .data(loader(PriceLoader(database.clone())))
        .data(loader(ReviewLoader(database.clone())))
        .data(database)
        .finish();
    let router = Router::new().route("/graphql", post_service(GraphQL::new(schema)));
    serve(router).await
}

fn loader<L>(loader: L) -> DataLoader<L> {
    DataLoader::new(loader, TokioSpawner::current(), TokioTimer::default())
}

#[derive(Clone)]
struct Database(Pool);

impl Database {
    async fn query(
        &self,
        (sql, types): (&str, &[Type]),
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Arc<dyn std::error::Error + Send + Sync>> {
        let client = self.0.get().await.map_err(shared)?;
        let statement = client
            .prepare_typed_cached(sql, types)
            .await
            .map_err(shared)?;
        client.query(&statement, parameters).await.map_err(shared)
    }
}

/// Loaders hand an error to everyone who waits for it.
fn shared(
    error: impl std::error::Error + Send + Sync + 'static,
) -> Arc<dyn std::error::Error + Send + Sync> {
    Arc::new(error)
}

fn id(prefix: &[u8; 3], uuid: Uuid) -> ID {
    TypeId::new(prefix, uuid).as_str().into()
}

fn parse(prefix: &[u8; 3], id: &ID) -> Result<Uuid> {
    typeid::parse(prefix, id).ok_or_else(|| Error::new("not an id of this type"))
}

struct UserLoader(Database);

impl Loader<Uuid> for UserLoader {
    type Value = User;
    type Error = Arc<dyn std::error::Error + Send + Sync>;

    async fn load(&self, keys: &[Uuid]) -> Result<HashMap<Uuid, User>, Self::Error> {
        let rows = self.0.query(statements::USERS, &[&keys]).await?;
        Ok(rows
            .iter()
            .map(|row| (row.get(user::ID), User::of(row)))
            .collect())
    }
}

struct PriceLoader(Database);

impl Loader<Uuid> for PriceLoader {
    type Value = Vec<ProviderService>;
    type Error = Arc<dyn std::error::Error + Send + Sync>;

    async fn load(
        &self,
        keys: &[Uuid],
    ) -> Result<HashMap<Uuid, Vec<ProviderService>>, Self::Error> {
        let rows = self.0.query(statements::PRICES, &[&keys]).await?;
        let mut prices: HashMap<Uuid, Vec<ProviderService>> = HashMap::new();
        for row in &rows {
            let active: bool = row.get(price::ACTIVE);
            if active && row.get::<_, &str>(price::SERVICE_STATUS) == "ACTIVE" {
                prices
                    .entry(row.get(price::PROVIDER_ID))
                    .or_default()
                    .push(ProviderService::of(row));
            }
        }
        Ok(prices)
    }
}

/// The newest reviews of a provider, and how many.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct ReviewKey {
    provider: Uuid,
    first: usize,
}

struct ReviewLoader(Database);

impl Loader<ReviewKey> for ReviewLoader {
    type Value = Vec<Review>;
    type Error = Arc<dyn std::error::Error + Send + Sync>;

    async fn load(
        &self,
        keys: &[ReviewKey],
    ) -> Result<HashMap<ReviewKey, Vec<Review>>, Self::Error> {
        let mut pages: HashMap<usize, Vec<Uuid>> = HashMap::new();
        for key in keys {
            pages.entry(key.first).or_default().push(key.provider);
        }
        let mut reviews: HashMap<ReviewKey, Vec<Review>> = HashMap::new();
        for (first, providers) in pages {
            let rows = self
                .0
                .query(statements::REVIEWS, &[&providers, &(first as i64)])
                .await?;
            for row in &rows {
                let provider = row.get(review::PROVIDER_ID);
                let page = reviews.entry(ReviewKey { provider, first }).or_default();
                page.push(Review::of(row));
            }
        }
        Ok(reviews)
    }
}

struct Query;

#[Object]
impl Query {
    async fn providers(
        &self,
        ctx: &Context<'_>,
        filter: ProviderFilter,
        #[graphql(default)] sort: ProviderSort,
        #[graphql(default = 20)] first: usize,
    ) -> Result<ProviderConnection> {
        let ProviderSort::Rating = sort;
        let city = parse(b"cty", &filter.city_id)?;
        let limit = first as i64 + 1;
        let mut rows = ctx
            .data::<Database>()?
            .query(statements::PROVIDERS_OF_CITY, &[&city, &limit])
            .await?;
        let has_next_page = rows.len() > first;
        rows.truncate(first);
        let end_cursor = match rows.last() {
            Some(row) => Some(cursor(row)?),
            None => None,
        };
        Ok(ProviderConnection {
            nodes: rows.iter().map(Provider::of).collect(),
            page_info: PageInfo {
                has_next_page,
                end_cursor,
            },
        })
    }

    async fn provider(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Provider>> {
        let ids = [parse(b"prv", &id)?];
        let rows = ctx
            .data::<Database>()?
            .query(statements::PROVIDERS, &[&ids.as_slice()])
            .await?;
        let approved = |row: &&Row| row.get::<_, &str>(provider::STATUS) == "APPROVED";
        Ok(rows.first().filter(approved).map(Provider::of))
    }
}

fn cursor(row: &Row) -> Result<String> {
    let sum: i64 = row.get(provider::RATING_SUM);
    let count: i32 = row.get(provider::RATING_COUNT);
    let id = TypeId::new(b"prv", row.get(provider::ID));
    let position = serde_json::to_vec(&("provider.rating", (sum, count, id)))?;
    Ok(URL_SAFE_NO_PAD.encode(position))
}

#[derive(InputObject)]
struct ProviderFilter {
    city_id: ID,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Enum)]
enum ProviderSort {
    #[default]
    Rating,
}

#[derive(SimpleObject)]
struct ProviderConnection {
    nodes: Vec<Provider>,
    page_info: PageInfo,
}

#[derive(SimpleObject)]
struct PageInfo {
    has_next_page: bool,
    end_cursor: Option<String>,
}

#[derive(SimpleObject)]
#[graphql(complex)]
struct Provider {
    id: ID,
    display_name: String,
    headline: String,
    bio: String,
    rating: Option<f64>,
    rating_count: i32,
    time_zone: String,
    cancellation_policy: String,
    #[graphql(skip)]
    key: Uuid,
    #[graphql(skip)]
    user_id: Uuid,
}

impl Provider {
    fn of(row: &Row) -> Self {
        let key = row.get(provider::ID);
        let sum: i64 = row.get(provider::RATING_SUM);
        let rating_count: i32 = row.get(provider::RATING_COUNT);
        Self {
            id: id(b"prv", key),
            display_name: row.get(provider::DISPLAY_NAME),
            headline: row.get(provider::HEADLINE),
            bio: row.get(provider::BIO),
            rating: (rating_count > 0).then(|| sum as f64 / f64::from(rating_count)),
            rating_count,
            time_zone: row.get(provider::TIME_ZONE),
            cancellation_policy: row.get(provider::CANCELLATION_POLICY),
            key,
            user_id: row.get(provider::USER_ID),
        }
    }
}

#[ComplexObject]
impl Provider {
    async fn user(&self, ctx: &Context<'_>) -> Result<User> {
        let loader = ctx.data::<DataLoader<UserLoader>>()?;
        let user = loader.load_one(self.user_id).await?;
        user.ok_or_else(|| Error::new("a provider without a person"))
    }

    async fn services(&self, ctx: &Context<'_>) -> Result<Vec<ProviderService>> {
        let loader = ctx.data::<DataLoader<PriceLoader>>()?;
        Ok(loader.load_one(self.key).await?.unwrap_or_default())
    }

    async fn reviews(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 20)] first: usize,
    ) -> Result<ReviewConnection> {
        let loader = ctx.data::<DataLoader<ReviewLoader>>()?;
        let key = ReviewKey {
            provider: self.key,
            first,
        };
        let nodes = loader.load_one(key).await?.unwrap_or_default();
        Ok(ReviewConnection { nodes })
    }
}

#[derive(Clone, SimpleObject)]
struct User {
    id: ID,
    display_name: String,
}

impl User {
    fn of(row: &Row) -> Self {
        Self {
            id: id(b"usr", row.get(user::ID)),
            display_name: row.get(user::DISPLAY_NAME),
        }
    }
}

#[derive(Clone, SimpleObject)]
struct ProviderService {
    id: ID,
    duration_minutes: i32,
    price: Money,
    service: Service,
}

impl ProviderService {
    fn of(row: &Row) -> Self {
        Self {
            id: id(b"psv", row.get(price::ID)),
            duration_minutes: row.get(price::DURATION_MINUTES),
            price: Money {
                amount_minor: row.get(price::PRICE_MINOR),
                currency: row.get(price::CURRENCY),
            },
            service: Service {
                id: id(b"srv", row.get(price::SERVICE_ID)),
                title: row.get(price::SERVICE_TITLE),
            },
        }
    }
}

#[derive(Clone, SimpleObject)]
struct Money {
    amount_minor: i64,
    currency: String,
}

#[derive(Clone, SimpleObject)]
struct Service {
    id: ID,
    title: String,
}

#[derive(SimpleObject)]
struct ReviewConnection {
    nodes: Vec<Review>,
}

#[derive(Clone, SimpleObject)]
#[graphql(complex)]
struct Review {
    id: ID,
    rating: i32,
    comment: String,
    created_at: Timestamp,
    #[graphql(skip)]
    author_id: Uuid,
}

impl Review {
    fn of(row: &Row) -> Self {
        Self {
            id: id(b"rev", row.get(review::ID)),
            rating: row.get(review::RATING),
            comment: row.get(review::COMMENT),
            created_at: row.get(review::CREATED_AT),
            author_id: row.get(review::AUTHOR_ID),
        }
    }
}

#[ComplexObject]
impl Review {
    async fn author(&self, ctx: &Context<'_>) -> Result<User> {
        let loader = ctx.data::<DataLoader<UserLoader>>()?;
        let user = loader.load_one(self.author_id).await?;
        user.ok_or_else(|| Error::new("a review by nobody"))
    }
}
