//! The reads by hand, each made for its one query: no GraphQL is parsed, statements are prepared at the start, two
//! shared connections are pipelined, and rows are written as JSON without a tree in between.

use std::{
    process,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::post,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use contestants::{
    Fatal, database_url, serve,
    statements::{self, price_card, provider, provider_card, review_card, user},
    typeid::{self, TypeId},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio_postgres::{Client, NoTls, Row, Statement, types::Type};
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Connections, which all requests share.
const LANES: usize = 2;
const PROVIDERS: usize = 20;
const REVIEWS: usize = 3;

#[tokio::main]
async fn main() -> Result<(), Fatal> {
    let url = database_url()?;
    let mut lanes = Vec::with_capacity(LANES);
    for _ in 0..LANES {
        lanes.push(Lane::open(&url).await?);
    }
    let database = Arc::new(Database {
        lanes,
        next: AtomicUsize::new(0),
    });
    let router = Router::new()
        .route("/graphql", post(answer))
        .with_state(database);
    serve(router).await
}

/// The connections.
struct Database {
    lanes: Vec<Lane>,
    next: AtomicUsize,
}

impl Database {
    fn lane(&self) -> &Lane {
        &self.lanes[self.next.fetch_add(1, Relaxed) % LANES]
    }
}

/// A connection and its prepared statements.
struct Lane {
    client: Client,
    providers_of_city: Statement,
    providers: Statement,
    users: Statement,
    prices: Statement,
    reviews: Statement,
}

impl Lane {
    async fn open(url: &str) -> Result<Self, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                eprintln!("the database is gone: {error}");
                process::exit(1);
            }
        });
        // Nothing is won by planning for each value anew.
        client
            .batch_execute("SET plan_cache_mode = force_generic_plan")
            .await?;
        let prepare = async |(sql, types): (&str, &[Type])| client.prepare_typed(sql, types).await;
        Ok(Self {
            providers_of_city: prepare(statements::PROVIDER_CARDS_OF_CITY).await?,
            providers: prepare(statements::PROVIDERS).await?,
            users: prepare(statements::USERS).await?,
            prices: prepare(statements::PRICE_CARDS).await?,
            reviews: prepare(statements::REVIEW_CARDS).await?,
            client,
        })
    }

    async fn best_of_city(
        &self,
        city: Uuid,
        most: usize,
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        self.client
            .query(&self.providers_of_city, &[&city, &(most as i64)])
            .await
    }

    async fn users(&self, ids: &[Uuid]) -> Result<Vec<Row>, tokio_postgres::Error> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        self.client.query(&self.users, &[&ids]).await
    }

    async fn prices(&self, providers: &[Uuid]) -> Result<Vec<Row>, tokio_postgres::Error> {
        if providers.is_empty() {
            return Ok(Vec::new());
        }
        self.client.query(&self.prices, &[&providers]).await
    }

    async fn reviews(&self, providers: &[Uuid]) -> Result<Vec<Row>, tokio_postgres::Error> {
        if providers.is_empty() {
            return Ok(Vec::new());
        }
        self.client
            .query(&self.reviews, &[&providers, &(REVIEWS as i64)])
            .await
    }
}

/// Why there is no answer.
enum Failure {
    /// The request is none of those that this server is for.
    Request,
    Database(tokio_postgres::Error),
    Json(serde_json::Error),
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, message) = match self {
            Self::Request => (StatusCode::BAD_REQUEST, "not one of mine".to_owned()),
            Self::Database(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
            Self::Json(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        };
        (status, message).into_response()
    }
}

#[derive(Deserialize)]
struct Request<'a> {
    /// Only its name is read.
    #[serde(borrow)]
    query: &'a RawValue,
    #[serde(borrow, default)]
    variables: Variables<'a>,
}

#[derive(Deserialize, Default)]
struct Variables<'a> {
    city: Option<&'a str>,
    id: Option<&'a str>,
}

impl Request<'_> {
    /// The word that follows `query` at the document's start.
    fn name(&self) -> &str {
        let document = self.query.get().trim_start_matches('"');
        let name = document.strip_prefix("query ").unwrap_or_default();
        name.split(['(', ' ', '{']).next().unwrap_or_default()
    }

    fn city(&self) -> Result<Uuid, Failure> {
        let city = self.variables.city.ok_or(Failure::Request)?;
        typeid::parse(b"cty", city).ok_or(Failure::Request)
    }

    fn provider(&self) -> Result<Uuid, Failure> {
        let id = self.variables.id.ok_or(Failure::Request)?;
        typeid::parse(b"prv", id).ok_or(Failure::Request)
    }
}

async fn answer(State(database): State<Arc<Database>>, body: Bytes) -> Result<Response, Failure> {
    let request: Request<'_> = serde_json::from_slice(&body).map_err(|_| Failure::Request)?;
    let lane = database.lane();
    let json = match request.name() {
        "Nested" => nested(lane, request.city()?).await?,
        "Flat" => flat(lane, request.city()?).await?,
        "Provider" => one_provider(lane, request.provider()?).await?,
        _ => return Err(Failure::Request),
    };
    Ok(([(CONTENT_TYPE, "application/json")], json).into_response())
}

fn json<T: Serialize>(data: &T, capacity: usize) -> Result<Vec<u8>, Failure> {
    let mut json = Vec::with_capacity(capacity);
    serde_json::to_writer(&mut json, &Data { data })?;
    Ok(json)
}

#[derive(Serialize)]
struct Data<T> {
    data: T,
}

#[derive(Serialize)]
struct Providers<T> {
    providers: T,
}

#[derive(Serialize)]
struct Nodes<T> {
    nodes: Vec<T>,
}

fn rating(row: &Row, sum: usize, count: usize) -> Option<f64> {
    let (sum, count): (i64, i32) = (row.get(sum), row.get(count));
    (count > 0).then(|| sum as f64 / f64::from(count))
}

#[derive(Serialize)]
struct OneProvider<'a> {
    provider: Option<Profile<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Profile<'a> {
    id: TypeId,
    display_name: &'a str,
    headline: &'a str,
    bio: &'a str,
    rating: Option<f64>,
    rating_count: i32,
    time_zone: &'a str,
    cancellation_policy: &'a str,
}

async fn one_provider(lane: &Lane, id: Uuid) -> Result<Vec<u8>, Failure> {
    let ids: &[Uuid] = &[id];
    let rows = lane.client.query(&lane.providers, &[&ids]).await?;
    let provider = rows
        .first()
        .filter(|row| row.get::<_, &str>(provider::STATUS) == "APPROVED")
        .map(|row| Profile {
            id: TypeId::new(b"prv", row.get(provider::ID)),
            display_name: row.get(provider::DISPLAY_NAME),
            headline: row.get(provider::HEADLINE),
            bio: row.get(provider::BIO),
            rating: rating(row, provider::RATING_SUM, provider::RATING_COUNT),
            rating_count: row.get(provider::RATING_COUNT),
            time_zone: row.get(provider::TIME_ZONE),
            cancellation_policy: row.get(provider::CANCELLATION_POLICY),
        });
    json(&OneProvider { provider }, 1024)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FlatList<'a> {
    nodes: Vec<FlatProvider<'a>>,
    page_info: PageInfo,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FlatProvider<'a> {
    id: TypeId,
    display_name: &'a str,
    headline: &'a str,
    rating: Option<f64>,
    rating_count: i32,
    time_zone: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PageInfo {
    has_next_page: bool,
    end_cursor: Option<String>,
}

async fn flat(lane: &Lane, city: Uuid) -> Result<Vec<u8>, Failure> {
    let mut rows = lane.best_of_city(city, PROVIDERS + 1).await?;
    let has_next_page = rows.len() > PROVIDERS;
    rows.truncate(PROVIDERS);
    let end_cursor = match rows.last() {
        Some(row) => {
            let sum: i64 = row.get(provider_card::RATING_SUM);
            let count: i32 = row.get(provider_card::RATING_COUNT);
            let id = TypeId::new(b"prv", row.get(provider_card::ID));
            let position = serde_json::to_vec(&("provider.rating", (sum, count, id)))?;
            Some(URL_SAFE_NO_PAD.encode(position))
        }
        None => None,
    };
    let nodes = rows
        .iter()
        .map(|row| FlatProvider {
            id: TypeId::new(b"prv", row.get(provider_card::ID)),
            display_name: row.get(provider_card::DISPLAY_NAME),
            headline: row.get(provider_card::HEADLINE),
            rating: rating(row, provider_card::RATING_SUM, provider_card::RATING_COUNT),
            rating_count: row.get(provider_card::RATING_COUNT),
            time_zone: row.get(provider_card::TIME_ZONE),
        })
        .collect();
    let page_info = PageInfo {
        has_next_page,
        end_cursor,
    };
    let providers = FlatList { nodes, page_info };
    json(&Providers { providers }, 8 * 1024)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NestedProvider<'a> {
    id: TypeId,
    display_name: &'a str,
    rating: Option<f64>,
    user: Person<'a>,
    services: Vec<PricedService<'a>>,
    reviews: Nodes<Review<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Person<'a> {
    display_name: &'a str,
}

#[derive(Serialize)]
struct PricedService<'a> {
    price: Money<'a>,
    service: Service<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Money<'a> {
    amount_minor: i64,
    currency: &'a str,
}

#[derive(Serialize)]
struct Service<'a> {
    title: &'a str,
}

#[derive(Serialize)]
struct Review<'a> {
    rating: i32,
    comment: &'a str,
    author: Person<'a>,
}

/// People by id, to find each in a few steps.
struct People<'a>(Vec<(Uuid, &'a str)>);

impl<'a> People<'a> {
    fn of(rows: &'a [Row]) -> Self {
        let mut people: Vec<_> = rows
            .iter()
            .map(|row| (row.get(user::ID), row.get(user::DISPLAY_NAME)))
            .collect();
        people.sort_unstable_by_key(|(id, _)| *id);
        Self(people)
    }

    /// The foreign key says that there is one.
    fn person(&self, id: Uuid) -> Person<'a> {
        let found = self.0.binary_search_by_key(&id, |(id, _)| *id);
        Person {
            display_name: found.map_or("", |at| self.0[at].1),
        }
    }
}

async fn nested(lane: &Lane, city: Uuid) -> Result<Vec<u8>, Failure> {
    let rows = lane.best_of_city(city, PROVIDERS).await?;
    let providers: Vec<Uuid> = rows.iter().map(|row| row.get(provider_card::ID)).collect();
    let mut user_ids: Vec<Uuid> = rows
        .iter()
        .map(|row| row.get(provider_card::USER_ID))
        .collect();
    let (users, prices, reviews) = tokio::try_join!(
        lane.users(&user_ids),
        lane.prices(&providers),
        lane.reviews(&providers),
    )?;
    let users = People::of(&users);

    let mut nodes: Vec<NestedProvider<'_>> = rows
        .iter()
        .zip(user_ids.drain(..))
        .map(|(row, user_id)| NestedProvider {
            id: TypeId::new(b"prv", row.get(provider_card::ID)),
            display_name: row.get(provider_card::DISPLAY_NAME),
            rating: rating(row, provider_card::RATING_SUM, provider_card::RATING_COUNT),
            user: users.person(user_id),
            services: Vec::with_capacity(4),
            reviews: Nodes {
                nodes: Vec::with_capacity(REVIEWS),
            },
        })
        .collect();
    // Twenty ids are looked through faster than hashed.
    let place = |id: Uuid| providers.iter().position(|known| *known == id);
    for row in &prices {
        let open = row.get(price_card::ACTIVE)
            && row.get::<_, &str>(price_card::SERVICE_STATUS) == "ACTIVE";
        if !open {
            continue;
        }
        if let Some(at) = place(row.get(price_card::PROVIDER_ID)) {
            nodes[at].services.push(PricedService {
                price: Money {
                    amount_minor: row.get(price_card::PRICE_MINOR),
                    currency: row.get(price_card::CURRENCY),
                },
                service: Service {
                    title: row.get(price_card::SERVICE_TITLE),
                },
            });
        }
    }
    for row in &reviews {
        if let Some(at) = place(row.get(review_card::PROVIDER_ID)) {
            nodes[at].reviews.nodes.push(Review {
                rating: row.get(review_card::RATING),
                comment: row.get(review_card::COMMENT),
                author: Person {
                    display_name: row.get(review_card::AUTHOR_NAME),
                },
            });
        }
    }
    let providers = Nodes { nodes };
    json(&Providers { providers }, 16 * 1024)
}
