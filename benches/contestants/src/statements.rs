//! The statements, as Companion sends them: the same texts but for the LIMIT, columns and types of parameters.
//!
//! They come from `src/features/{providers,users,reviews}/model`. Where those change, these have to follow: `run.py`
//! compares the statements that PostgreSQL counts for each contestant. A LIMIT is bound here. The hand-written
//! server reads cards, as Companion does for these selections; the stock one reads whole rows, as servers of its kind do.

use tokio_postgres::types::Type;

/// Providers of a city, the best rated first: a city and how many.
pub const PROVIDERS_OF_CITY: (&str, &[Type]) = (
    r#"SELECT "providers"."id", "providers"."user_id", "providers"."status", "providers"."display_name", "providers"."headline", "providers"."bio", "providers"."city_id", "providers"."time_zone", "providers"."cancellation_policy", "providers"."applied_at", "providers"."reviewed_at", "providers"."reviewed_by", "providers"."decision_reason", "providers"."rating_sum", "providers"."rating_count", "providers"."lowest_price_minor", "providers"."lowest_price_currency", "providers"."version", "providers"."created_at", "providers"."updated_at", "providers"."suspended_with_account" FROM "providers" WHERE (providers.status = 'APPROVED' AND ("providers"."city_id" = $1)) ORDER BY "providers"."rating" DESC, "providers"."rating_count" DESC, "providers"."id" DESC LIMIT $2"#,
    &[Type::UUID, Type::INT8],
);

/// Providers by id, in any state: a list of ids.
pub const PROVIDERS: (&str, &[Type]) = (
    r#"SELECT "providers"."id", "providers"."user_id", "providers"."status", "providers"."display_name", "providers"."headline", "providers"."bio", "providers"."city_id", "providers"."time_zone", "providers"."cancellation_policy", "providers"."applied_at", "providers"."reviewed_at", "providers"."reviewed_by", "providers"."decision_reason", "providers"."rating_sum", "providers"."rating_count", "providers"."lowest_price_minor", "providers"."lowest_price_currency", "providers"."version", "providers"."created_at", "providers"."updated_at", "providers"."suspended_with_account" FROM "providers" WHERE ("providers"."id" = ANY($1))"#,
    &[Type::UUID_ARRAY],
);

/// Where the columns of a provider are.
pub mod provider {
    pub const ID: usize = 0;
    pub const USER_ID: usize = 1;
    pub const STATUS: usize = 2;
    pub const DISPLAY_NAME: usize = 3;
    pub const HEADLINE: usize = 4;
    pub const BIO: usize = 5;
    pub const TIME_ZONE: usize = 7;
    pub const CANCELLATION_POLICY: usize = 8;
    pub const RATING_SUM: usize = 13;
    pub const RATING_COUNT: usize = 14;
}

/// People by id: a list of ids.
pub const USERS: (&str, &[Type]) = (
    r#"SELECT "users"."id", "users"."display_name" FROM "users" WHERE ("users"."id" = ANY($1))"#,
    &[Type::UUID_ARRAY],
);

/// Where the columns of a person are.
pub mod user {
    pub const ID: usize = 0;
    pub const DISPLAY_NAME: usize = 1;
}

/// Prices of providers with their services, by title, in any state: a list of providers.
pub const PRICES: (&str, &[Type]) = (
    r#"SELECT "provider_services"."id", "provider_services"."provider_id", "provider_services"."service_id", "provider_services"."price_minor", "provider_services"."currency", "provider_services"."duration_minutes", "provider_services"."active", "provider_services"."version", "provider_services"."created_at", "provider_services"."updated_at", "services"."id", "services"."category_id", "services"."title", "services"."description", "services"."status", "services"."version", "services"."created_at", "services"."updated_at" FROM ("provider_services" INNER JOIN "services" ON ("services"."id" = "provider_services"."service_id")) WHERE ("provider_services"."provider_id" = ANY($1)) ORDER BY "services"."title", "provider_services"."id""#,
    &[Type::UUID_ARRAY],
);

/// Where the columns of a price and its service are.
pub mod price {
    pub const ID: usize = 0;
    pub const PROVIDER_ID: usize = 1;
    pub const PRICE_MINOR: usize = 3;
    pub const CURRENCY: usize = 4;
    pub const DURATION_MINUTES: usize = 5;
    pub const ACTIVE: usize = 6;
    pub const SERVICE_ID: usize = 10;
    pub const SERVICE_TITLE: usize = 12;
    pub const SERVICE_STATUS: usize = 14;
}

/// The newest visible reviews of each of these providers: a list of providers and how many of each.
pub const REVIEWS: (&str, &[Type]) = (
    r#"SELECT "reviews"."id", "reviews"."booking_id", "reviews"."provider_id", "reviews"."author_id", "reviews"."rating", "reviews"."comment", "reviews"."visible", "reviews"."hidden_reason", "reviews"."reply", "reviews"."replied_at", "reviews"."version", "reviews"."created_at", "reviews"."updated_at" FROM unnest($1) AS p (id) CROSS JOIN LATERAL (SELECT * FROM reviews WHERE provider_id = p.id AND visible ORDER BY created_at DESC, id DESC LIMIT $2) AS reviews ORDER BY reviews.provider_id, reviews.created_at DESC, reviews.id DESC"#,
    &[Type::UUID_ARRAY, Type::INT8],
);

/// Where the columns of a review are.
pub mod review {
    pub const ID: usize = 0;
    pub const PROVIDER_ID: usize = 2;
    pub const AUTHOR_ID: usize = 3;
    pub const RATING: usize = 4;
    pub const COMMENT: usize = 5;
    pub const CREATED_AT: usize = 11;
}

/// What lists show of the providers of a city, the best rated first: a city and how many.
pub const PROVIDER_CARDS_OF_CITY: (&str, &[Type]) = (
    r#"SELECT "providers"."id", "providers"."user_id", "providers"."status", "providers"."display_name", "providers"."headline", "providers"."city_id", "providers"."time_zone", "providers"."rating_sum", "providers"."rating_count", "providers"."lowest_price_minor", "providers"."lowest_price_currency", "providers"."created_at" FROM "providers" WHERE (providers.status = 'APPROVED' AND ("providers"."city_id" = $1)) ORDER BY "providers"."rating" DESC, "providers"."rating_count" DESC, "providers"."id" DESC LIMIT $2"#,
    &[Type::UUID, Type::INT8],
);

/// Where the columns of a provider's card are.
pub mod provider_card {
    pub const ID: usize = 0;
    pub const USER_ID: usize = 1;
    pub const DISPLAY_NAME: usize = 3;
    pub const HEADLINE: usize = 4;
    pub const TIME_ZONE: usize = 6;
    pub const RATING_SUM: usize = 7;
    pub const RATING_COUNT: usize = 8;
}

/// What lists show of the prices of providers with their services, by title, in any state: a list of providers.
pub const PRICE_CARDS: (&str, &[Type]) = (
    r#"SELECT "provider_services"."id", "provider_services"."provider_id", "provider_services"."price_minor", "provider_services"."currency", "provider_services"."duration_minutes", "provider_services"."active", "services"."id", "services"."title", "services"."status" FROM ("provider_services" INNER JOIN "services" ON ("services"."id" = "provider_services"."service_id")) WHERE ("provider_services"."provider_id" = ANY($1)) ORDER BY "services"."title", "provider_services"."id""#,
    &[Type::UUID_ARRAY],
);

/// Where the columns of a price's card and its service's are.
pub mod price_card {
    pub const PROVIDER_ID: usize = 1;
    pub const PRICE_MINOR: usize = 2;
    pub const CURRENCY: usize = 3;
    pub const ACTIVE: usize = 5;
    pub const SERVICE_TITLE: usize = 7;
    pub const SERVICE_STATUS: usize = 8;
}

/// What lists show of the newest visible reviews of each of these providers, with who wrote them: a list of providers and
/// how many of each.
pub const REVIEW_CARDS: (&str, &[Type]) = (
    r#"SELECT "reviews"."id", "reviews"."provider_id", "reviews"."rating", "reviews"."comment", "reviews"."created_at", "users"."id", "users"."display_name" FROM unnest($1) AS p (id) CROSS JOIN LATERAL (SELECT * FROM reviews WHERE provider_id = p.id AND visible ORDER BY created_at DESC, id DESC LIMIT $2) AS reviews INNER JOIN users ON users.id = reviews.author_id ORDER BY reviews.provider_id, reviews.created_at DESC, reviews.id DESC"#,
    &[Type::UUID_ARRAY, Type::INT8],
);

/// Where the columns of a review's card are.
pub mod review_card {
    pub const PROVIDER_ID: usize = 1;
    pub const RATING: usize = 2;
    pub const COMMENT: usize = 3;
    pub const AUTHOR_NAME: usize = 6;
}
