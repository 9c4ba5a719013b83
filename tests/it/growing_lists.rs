//! What grows with every day is read no further than a page needs: each order alone and with each single filter, by the
//! row counts of the plans, for values that are frequent and for such that are rare, and with a service and a price that are
//! rare only together. And what a search finds in its four steps is what sorting everything finds.

use companion::{
    cursor::{self, Page, PageArgs},
    db::{
        Instant,
        ids::{CategoryId, CityId, ProviderId, RoleId, ServiceId, UserId},
        search::{FAR, FEW, NEAR},
    },
    features::{
        audit::model as audit,
        bookings::model::{State, pages},
        payments::model::{self as orders, OrderState},
        providers::model::{self as providers, FreeTime, Order, PriceRange},
        reports::model::{self as reports, ReportReason, ReportState},
        users::model::{UserStatus, list as users},
    },
};
use diesel::{
    QueryableByName,
    pg::Pg,
    query_builder::{Query, QueryFragment, QueryId},
    sql_query,
    sql_types::Uuid,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use super::{
    keyset_plans::many_providers,
    support::{
        TestApp,
        plans::{
            after, all_read_only_for_any_values, before, reads_only, reads_only_for_any_values,
        },
    },
};

const ROWS: usize = 20_000;
/// A page of 20 and one more, and one that lies at the same time.
const PAGE: u64 = 23;
/// The rows that a search for such a page looks at first.
const LOOK: u64 = 21 * NEAR as u64;
/// Tables that grow; categories, cities, roles and services don't.
const GROWING: &[&str] = &[
    "users",
    "user_roles",
    "providers",
    "provider_services",
    "availabilities",
    "bookings",
    "orders",
    "audit_events",
    "reports",
];

/// The number that a provider was made with; the highest is the newest.
const NUMBER: &str = "('x' || right(providers.id::text, 8))::bit(32)::int";
/// Up to this one a provider comes after all that are looked at by NEWEST.
const LATE: usize = ROWS - 5 * LOOK as usize - 500;

/// A service that has a low price in a few places only.
const DEAR: &str = "019aa000-0000-7000-8000-004000000200";

#[derive(QueryableByName)]
struct Id {
    #[diesel(sql_type = Uuid)]
    id: uuid::Uuid,
}

async fn ids(conn: &mut AsyncPgConnection, sql: &str) -> Vec<uuid::Uuid> {
    let rows: Vec<Id> = sql_query(sql).load(conn).await.unwrap();
    rows.into_iter().map(|row| row.id).collect()
}

async fn one(conn: &mut AsyncPgConnection, sql: &str) -> uuid::Uuid {
    ids(conn, sql).await[0]
}

/// Of 20 services, states of bookings, actions and addresses each has a twentieth of the rows: often enough that the planner
/// would rather walk the order and skip the others. One in a thousand is rare. Neither a dear service nor a low price is,
/// but to have it for that. The oldest people, who are also the last by name, are more than few; so are the older half of the
/// providers, who have something in their text and hours of their own that nobody else has, and those in the middle. A
/// service is archived, and some prices are not active.
async fn many_rows(conn: &mut AsyncPgConnection) {
    many_providers(conn, ROWS).await;
    let row = format!(
        "generate_series(1, {ROWS}) i, LATERAL (SELECT
            ('019aa000-0000-7000-8000-0030' || lpad(to_hex(i), 8, '0'))::uuid AS id,
            ('019aa000-0000-7000-8000-0010' || lpad(to_hex(1 + i % 2000), 8, '0'))::uuid AS client,
            ('019aa000-0000-7000-8000-0020' || lpad(to_hex(1 + i % 3000), 8, '0'))::uuid AS provider,
            ('019aa000-0000-7000-8000-0040' || lpad(to_hex(CASE WHEN i % 1000 = 0 THEN 99 ELSE i % 20 END), 8, '0'))::uuid AS service,
            timestamptz '2026-01-01Z' + i * interval '1 minute' AS at) x"
    );
    let sql = format!(
        "SET session_replication_role = replica;
         INSERT INTO services SELECT service, c.id, 'Service ' || service, '', 'ACTIVE', 1, '2026-01-01Z', '2026-01-01Z'
             FROM (SELECT DISTINCT service FROM {row}) s
             JOIN (SELECT id, row_number() OVER (ORDER BY slug) AS k FROM categories) c
                ON c.k = CASE WHEN right(service::text, 1) < '5' THEN 1 ELSE 2 END;
         INSERT INTO provider_services (id, provider_id, service_id, price_minor, currency, duration_minutes, active, version,
                created_at, updated_at)
             SELECT p.id, p.id, s.id, p.lowest_price_minor, p.lowest_price_currency, 60, true, 1, p.created_at, p.created_at
             FROM (SELECT *, ('x' || right(id::text, 8))::bit(32)::int AS i FROM providers
                   WHERE lowest_price_minor IS NOT NULL) p
             JOIN services s ON s.id = ('019aa000-0000-7000-8000-0040' || lpad(to_hex(
                CASE WHEN i % 1001 = 1 THEN 99 ELSE i % 20 END), 8, '0'))::uuid;
         INSERT INTO services SELECT '{DEAR}', id, 'Dear', '', 'ACTIVE', 1, '2026-01-01Z', '2026-01-01Z' FROM categories
             ORDER BY slug LIMIT 1;
         UPDATE provider_services SET service_id = '{DEAR}', currency = 'EUR',
                price_minor = CASE WHEN right(id::text, 2) = '77' THEN 100 ELSE 900000 END
             WHERE right(id::text, 1) IN ('1', '3', '7') AND right(service_id::text, 2) <> '63';
         UPDATE provider_services SET active = false WHERE right(id::text, 2) = '4b';
         UPDATE services SET status = 'ARCHIVED' WHERE id::text LIKE '%07';
         UPDATE providers SET headline = CASE WHEN right(id::text, 3) = '777' THEN 'Room 5Q' ELSE '' END, bio = concat_ws(' ',
                CASE WHEN {NUMBER} <= {LATE} THEN 'Window' END, CASE WHEN {NUMBER} BETWEEN 4000 AND 16000 THEN 'Xylo' END);
         UPDATE users SET status = CASE WHEN ('x' || right(id::text, 8))::bit(32)::int % 20 = 0 THEN 'SUSPENDED' ELSE 'ACTIVE' END,
                created_at = created_at + ('x' || right(id::text, 8))::bit(32)::int * interval '1 second';
         INSERT INTO users (id, display_name, language, status, version, created_at, updated_at)
             SELECT gen_random_uuid(), 'Zoe ' || i, 'EN', 'ACTIVE', 1, at, at
             FROM generate_series(1, {FEW} + 100) i, (VALUES (timestamptz '2025-01-01Z')) old (at);
         INSERT INTO user_roles (user_id, role_id, granted_at) SELECT u.id, r.id, '2026-01-01Z' FROM users u
             JOIN roles r ON r.name = 'USER' OR r.name = 'MODERATOR' AND right(u.id::text, 3) = '777';
         INSERT INTO bookings (id, client_id, provider_id, service_id, state, version, starts_at, ends_at, note,
                 price_minor, currency, duration_minutes, cancellation_policy, boundary_version, buffer_before_minutes,
                 buffer_after_minutes, answer_deadline, payment_deadline, completed_at, needs_attention, created_at, updated_at)
             SELECT id, client, provider, service, CASE WHEN i % 1000 = 0 THEN 'REJECTED' WHEN i % 20 = 0 THEN 'CANCELLED'
                    ELSE 'COMPLETED' END,
                 1, at + i % 97 * interval '1 hour', at + i % 97 * interval '1 hour' + interval '1 hour', '', 100, 'EUR', 60,
                 'STRICT', 1, 0, 0, '2099-01-01Z', '2099-01-01Z', at, CASE WHEN i % 1000 = 7 THEN 'Look' END, at, at
             FROM {row};
         INSERT INTO orders (id, booking_id, client_id, state, currency, total_minor, captured_minor, paid_at, needs_attention,
                 version, created_at, updated_at)
             SELECT id, id, client, CASE WHEN i % 1000 = 0 THEN 'PENDING' WHEN i % 20 = 0 THEN 'EXPIRED' ELSE 'PAID' END,
                 'EUR', 100, 0, CASE WHEN i % 20 > 0 THEN at END, CASE WHEN i % 1000 = 7 THEN 'Look' END, 1, at, at
             FROM {row};
         INSERT INTO audit_events (id, actor_kind, actor_id, action, outcome, target_kind, target_id, ip_address, created_at)
             SELECT id, 'USER', CASE WHEN i % 20 = 1 THEN provider ELSE client END, 'test.' || CASE WHEN i % 1000 = 0 THEN 99 ELSE i % 20 END,
                 CASE WHEN i % 1000 = 0 THEN 'REFUSED' ELSE 'DONE' END, 'bkg', id, '127.0.0.' || i % 20, at
             FROM {row};
         INSERT INTO reports (id, reporter_id, booking_id, reason, details, state, resolution, resolved_by, resolved_at,
                 version, created_at)
             SELECT id, client, id, CASE WHEN i % 1000 = 0 THEN 'SAFETY' WHEN i % 20 = 0 THEN 'FRAUD' ELSE 'SPAM' END, '',
                 CASE WHEN i % 20 = 0 THEN 'OPEN' ELSE 'DISMISSED' END, '', client, CASE WHEN i % 20 > 0 THEN at END, 1, at
             FROM {row};
         SELECT list_prices(id) FROM providers;
         RESET session_replication_role"
    );
    conn.batch_execute(&sql).await.unwrap();
    conn.batch_execute("VACUUM ANALYZE").await.unwrap();
}

/// A statement's plan reads no further, whether it is made for its values or for any.
async fn bounded<'q, Q>(conn: &mut AsyncPgConnection, most: u64, what: &str, query: impl Fn() -> Q)
where
    Q: Query + QueryFragment<Pg> + QueryId + Send + 'q,
{
    reads_only(conn, GROWING, most, what, query()).await;
    // What is not kept prepared is planned for its values each time. Several nodes of a plan may read the same table.
    if query().is_safe_to_cache_prepared(&Pg).unwrap() {
        reads_only_for_any_values(conn, GROWING, 4 * PAGE, what, query()).await;
    }
}

fn first<K: serde::de::DeserializeOwned>(order: &str) -> Page<K> {
    after(None).page(order).unwrap()
}

type MakeOrder = fn(&PageArgs) -> companion::error::Result<Order>;

const PROVIDER_ORDERS: [(&str, MakeOrder, &str); 3] = [
    (
        "rating",
        Order::rating,
        "rating DESC, rating_count DESC, id DESC",
    ),
    (
        "price",
        Order::price,
        "COALESCE(lowest_price_currency, 'ZZZZ'), COALESCE(lowest_price_minor, 9223372036854775807), id",
    ),
    ("newest", Order::newest, "created_at DESC, id DESC"),
];

/// Every filter of providers, and what it means in plain SQL.
async fn provider_filters(
    conn: &mut AsyncPgConnection,
) -> Vec<(&'static str, providers::Filter, String)> {
    let city = one(conn, "SELECT id FROM cities ORDER BY slug LIMIT 1").await;
    let category = one(conn, "SELECT category_id AS id FROM services LIMIT 1").await;
    let service = |number: u32| format!("019aa000-0000-7000-8000-0040{number:08x}");
    let offers = |condition: &str| {
        format!(
            "EXISTS (SELECT FROM provider_services ps JOIN services s ON s.id = ps.service_id
                WHERE ps.provider_id = providers.id AND ps.active AND s.status = 'ACTIVE' AND {condition})"
        )
    };
    // Half have time in 2091, three in 2090, nobody in 2089; in 2092 the late ones have more hours than are many, and so have
    // the others, but too short ones.
    let open = format!(
        "INSERT INTO availabilities
        SELECT gen_random_uuid(), id, at, at + long, at FROM (
            SELECT id, timestamptz '2091-01-01Z' AS at, interval '1 day' AS long FROM providers WHERE right(id::text, 1) < '8'
            UNION ALL (SELECT id, timestamptz '2090-01-01Z', interval '1 day' FROM providers ORDER BY md5(id::text) LIMIT 3)
            UNION ALL (SELECT id, timestamptz '2092-01-01Z' + n * interval '2 hours', interval '1 hour'
                FROM providers, generate_series(0, 5) n WHERE {NUMBER} <= {LATE})
            UNION ALL (SELECT id, timestamptz '2092-01-01Z', interval '59 minutes' FROM providers WHERE {NUMBER} > {LATE})) AS new;
        ANALYZE availabilities"
    );
    conn.batch_execute(&open).await.unwrap();
    let none = providers::Filter::default;
    let free = |year: i16| {
        let day = |day| jiff::civil::date(year, 1, day).to_zoned(jiff::tz::TimeZone::UTC);
        let at = |number| Instant(day(number).unwrap().timestamp());
        let filter = providers::Filter {
            free: Some(FreeTime {
                from: at(1),
                to: at(3),
                now: at(1),
                step_minutes: 15,
            }),
            ..none()
        };
        let open = format!(
            "EXISTS (SELECT FROM availabilities WHERE provider_id = providers.id AND starts_at = '{year}-01-01Z'
                AND ends_at >= starts_at + interval '1 hour')"
        );
        (filter, format!("{} AND {open}", offers("true")))
    };
    let text = |text: &str| providers::Filter {
        text: Some(text.to_owned()),
        ..none()
    };
    let of_service = |number| providers::Filter {
        service_id: Some(ServiceId(service(number).parse().unwrap())),
        ..none()
    };
    let price = |currency: &str, max_minor| providers::Filter {
        price: Some(PriceRange {
            currency: currency.to_owned(),
            min_minor: None,
            max_minor: Some(max_minor),
        }),
        ..none()
    };
    vec![
        ("all", none(), "true".to_owned()),
        (
            "a city",
            providers::Filter {
                city_id: Some(CityId(city)),
                ..none()
            },
            format!("city_id = '{city}'"),
        ),
        (
            "a rating",
            providers::Filter {
                min_rating_hundredths: Some(400),
                ..none()
            },
            "rating >= 4".to_owned(),
        ),
        (
            "a frequent text",
            text("vider 1"),
            "display_name LIKE '%vider 1%'".to_owned(),
        ),
        (
            "a rare text",
            text("vider 1777"),
            "display_name LIKE '%vider 1777%'".to_owned(),
        ),
        ("no such text", text("nobody"), "false".to_owned()),
        (
            "a frequent letter",
            text("7"),
            "display_name LIKE '%7%'".to_owned(),
        ),
        (
            "two rare letters",
            text("5q"),
            "headline LIKE '%5Q%'".to_owned(),
        ),
        ("two letters of nobody", text("qx"), "false".to_owned()),
        (
            "a late text",
            text("window"),
            "bio LIKE '%Window%'".to_owned(),
        ),
        ("a late letter", text("w"), "bio LIKE '%Window%'".to_owned()),
        (
            "a text in the middle",
            text("xylo"),
            "bio LIKE '%Xylo%'".to_owned(),
        ),
        ("signs of nobody", text("(!)"), "false".to_owned()),
        (
            "a frequent service",
            of_service(5),
            offers(&format!("ps.service_id = '{}'", service(5))),
        ),
        (
            "a rare service",
            of_service(99),
            offers(&format!("ps.service_id = '{}'", service(99))),
        ),
        (
            "a category",
            providers::Filter {
                category_id: Some(CategoryId(category)),
                ..none()
            },
            offers(&format!("s.category_id = '{category}'")),
        ),
        (
            "a price",
            price("EUR", 99_000),
            offers("ps.currency = 'EUR' AND ps.price_minor <= 99000"),
        ),
        (
            "a rare price",
            price("USD", 900),
            offers("ps.currency = 'USD' AND ps.price_minor <= 900"),
        ),
        (
            "a price from and to",
            providers::Filter {
                price: Some(PriceRange {
                    currency: "EUR".to_owned(),
                    min_minor: Some(90_000),
                    max_minor: Some(90_100),
                }),
                ..none()
            },
            offers("ps.currency = 'EUR' AND ps.price_minor BETWEEN 90000 AND 90100"),
        ),
        (
            "the last currency",
            price("USD", 99_000),
            offers("ps.currency = 'USD' AND ps.price_minor <= 99000"),
        ),
        (
            "a dear service at a low price",
            providers::Filter {
                service_id: Some(ServiceId(DEAR.parse().unwrap())),
                ..price("EUR", 30_000)
            },
            offers(&format!(
                "ps.service_id = '{DEAR}' AND ps.currency = 'EUR' AND ps.price_minor <= 30000"
            )),
        ),
        (
            "a category at a low price",
            providers::Filter {
                category_id: Some(CategoryId(category)),
                ..price("EUR", 30_000)
            },
            offers(&format!(
                "s.category_id = '{category}' AND ps.currency = 'EUR' AND ps.price_minor <= 30000"
            )),
        ),
        ("a frequent free time", free(2091).0, free(2091).1),
        ("a rare free time", free(2090).0, free(2090).1),
        ("no free time", free(2089).0, free(2089).1),
        ("a late free time", free(2092).0, free(2092).1),
    ]
}

async fn providers_lists(conn: &mut AsyncPgConnection) {
    for (name, filter, condition) in provider_filters(conn).await {
        for (by, order, sorted) in PROVIDER_ORDERS {
            let what = format!("providers of {name} by {by}");
            let start = order(&after(None)).unwrap();
            let most = match (name, by) {
                _ if filter.is_indexed(&start) => Some(PAGE),
                // By nothing but sorting them all.
                ("a late text" | "a late letter" | "a late free time", "newest") => None,
                // More than are sorted when they are few.
                ("a text in the middle", "newest") => Some(FAR as u64 * LOOK),
                _ => Some(LOOK),
            };
            if let Some(most) = most {
                bounded(conn, most, &what, || {
                    providers::search_query(&filter, &start)
                })
                .await;
            }
            let expected = ids(
                conn,
                &format!("SELECT id FROM providers WHERE {condition} ORDER BY {sorted}"),
            )
            .await;
            if filter.text.is_some() && expected.len() <= 20 {
                // The next rows of the order twice, and what is found; nothing of it to count.
                let most = 3 * LOOK;
                let send = async |conn: &mut AsyncPgConnection| {
                    providers::search_page::<providers::Provider>(conn, &filter, &start, true)
                        .await
                        .unwrap();
                };
                all_read_only_for_any_values(conn, &["providers"], most, &what, send).await;
            }
            let found = providers::search_page::<providers::Provider>(conn, &filter, &start, true)
                .await
                .unwrap();
            let total = i64::try_from(expected.len()).unwrap();
            assert_eq!(found.total, (total <= 10_000).then_some(total), "{what}");
            for place in [0, 19, expected.len() / 2, expected.len().saturating_sub(5)] {
                let Some(id) = expected.get(place) else {
                    continue;
                };
                let row = providers::by_id(conn, ProviderId(*id))
                    .await
                    .unwrap()
                    .unwrap();
                let cursor = cursor::encode(start.name(), &start.values(&row)).unwrap();
                let forwards = order(&after(Some(cursor.clone()))).unwrap();
                let found =
                    providers::search_page::<providers::Provider>(conn, &filter, &forwards, false)
                        .await
                        .unwrap();
                let found: Vec<_> = found.rows.iter().map(|row| row.id.0).collect();
                let next: Vec<_> = expected.iter().skip(place + 1).take(20).copied().collect();
                assert_eq!(found, next, "{what} after {place}");
                let backwards = order(&before(cursor)).unwrap();
                let found =
                    providers::search_page::<providers::Provider>(conn, &filter, &backwards, false)
                        .await
                        .unwrap();
                let found: Vec<_> = found.rows.iter().map(|row| row.id.0).collect();
                let previous = expected[place.saturating_sub(20)..place].to_vec();
                assert_eq!(found, previous, "{what} before {place}");
            }
        }
    }
}

async fn people_lists(conn: &mut AsyncPgConnection) {
    let role = async |conn: &mut AsyncPgConnection, name: &str| {
        Some(RoleId(
            one(conn, &format!("SELECT id FROM roles WHERE name = '{name}'")).await,
        ))
    };
    let (everyone, few) = (role(conn, "USER").await, role(conn, "MODERATOR").await);
    let none = users::Filter::default;
    let text = |text: &str| users::Filter {
        text: Some(text.to_owned()),
        ..none()
    };
    let status = |status| users::Filter {
        status: Some(status),
        ..none()
    };
    let with = |role| users::Filter { role, ..none() };
    let filters = [
        (none(), "true", PAGE),
        (status(UserStatus::Suspended), "status = 'SUSPENDED'", PAGE),
        (status(UserStatus::Active), "status = 'ACTIVE'", PAGE),
        (text("user 1"), "display_name LIKE 'User 1%'", LOOK),
        (text("user 1777"), "display_name LIKE 'User 1777%'", LOOK),
        (text("us"), "display_name LIKE 'Us%'", LOOK),
        (text("zz"), "false", LOOK),
        (text("!!!"), "false", LOOK),
        // More than few, and far down in both orders: sorted by the last step.
        (text("zoe"), "display_name LIKE 'Zoe%'", 0),
        (with(everyone), "true", LOOK),
        (with(few), "right(id::text, 3) = '777'", LOOK),
    ];
    for (filter, condition, most) in filters {
        let (newest, name) = (users::Sort::Newest, users::Sort::Name);
        let newest_first = first(newest.order());
        let by_name = first(name.order());
        if most > 0 {
            let what = format!("people {filter:?}");
            bounded(conn, most, &what, || {
                users::newest_query(&filter, &newest_first)
            })
            .await;
            bounded(conn, most, &what, || users::name_query(&filter, &by_name)).await;
        }
        for (sort, sorted) in [
            (newest, "created_at DESC, id DESC"),
            (name, "display_name, id"),
        ] {
            let what = format!("people {filter:?} {sort:?}");
            let expected = ids(
                conn,
                &format!("SELECT id FROM users WHERE {condition} ORDER BY {sorted}"),
            )
            .await;
            let found = match sort {
                users::Sort::Newest => {
                    let query = users::newest_query(&filter, &newest_first);
                    users::page(conn, query, &newest_first).await.unwrap().rows
                }
                users::Sort::Name => {
                    let query = users::name_query(&filter, &by_name);
                    users::page(conn, query, &by_name).await.unwrap().rows
                }
            };
            let found: Vec<_> = found.iter().map(|row| row.id.0).collect();
            assert_eq!(found, expected[..expected.len().min(20)], "{what}");
        }
    }
}

async fn bookings_lists(conn: &mut AsyncPgConnection, now: Instant) {
    let all = pages::Filter::default;
    let service = |number: u32| {
        let id = format!("019aa000-0000-7000-8000-0040{number:08x}");
        Some(ServiceId(id.parse().unwrap()))
    };
    let in_state = |state| pages::Filter {
        states: Some(vec![state]),
        ..all()
    };
    let time = |text: &str| Some(Instant(text.parse().unwrap()));
    let (from, to) = (time("2026-01-03T00:00:00Z"), time("2026-01-04T00:00:00Z"));
    let client = "019aa000-0000-7000-8000-001000000010".parse().unwrap();
    let provider = "019aa000-0000-7000-8000-002000000010".parse().unwrap();
    let filters = [
        (all(), "true"),
        (in_state(State::Cancelled), "state = 'CANCELLED'"),
        (in_state(State::Rejected), "state = 'REJECTED'"),
        (in_state(State::Completed), "state = 'COMPLETED'"),
        (
            pages::Filter {
                service_id: service(5),
                ..all()
            },
            "right(service_id::text, 2) = '05'",
        ),
        (
            pages::Filter {
                service_id: service(99),
                ..all()
            },
            "right(service_id::text, 2) = '63'",
        ),
        (
            pages::Filter {
                client_id: Some(UserId(client)),
                ..all()
            },
            "client_id = '019aa000-0000-7000-8000-001000000010'",
        ),
        (
            pages::Filter {
                provider_id: Some(ProviderId(provider)),
                ..all()
            },
            "provider_id = '019aa000-0000-7000-8000-002000000010'",
        ),
        (
            pages::Filter {
                needs_attention: Some(true),
                ..all()
            },
            "needs_attention IS NOT NULL",
        ),
        (
            pages::Filter {
                needs_attention: Some(false),
                ..all()
            },
            "needs_attention IS NULL",
        ),
        (
            pages::Filter { from, to, ..all() },
            "starts_at >= '2026-01-03Z' AND starts_at < '2026-01-04Z'",
        ),
        (
            pages::Filter { from, ..all() },
            "starts_at >= '2026-01-03Z'",
        ),
        (pages::Filter { to, ..all() }, "starts_at < '2026-01-04Z'"),
    ];
    for (filter, condition) in filters {
        let what = format!("bookings {filter:?}");
        let page = first("booking.creation");
        bounded(conn, PAGE, &what, || filter.by_creation_query(now, &page)).await;
        let expected = ids(
            conn,
            &format!("SELECT id FROM bookings WHERE {condition} ORDER BY created_at DESC, id DESC"),
        )
        .await;
        let order = "booking.creation";
        let mut at = None;
        for start in [0, 20] {
            let page: Page<pages::Place> = after(at.take()).page(order).unwrap();
            bounded(conn, PAGE, &what, || filter.by_creation_query(now, &page)).await;
            let found = filter
                .by_creation(conn, now, &page, false)
                .await
                .unwrap()
                .rows;
            let ids: Vec<_> = found.iter().map(|row| row.id.0).collect();
            let next: Vec<_> = expected.iter().skip(start).take(20).copied().collect();
            assert_eq!(ids, next, "{what} from {start}");
            let Some(last) = found.last() else { break };
            let place = cursor::encode(order, &(last.created_at, last.id)).unwrap();
            let page: Page<pages::Place> = before(place.clone()).page(order).unwrap();
            let found = filter
                .by_creation(conn, now, &page, false)
                .await
                .unwrap()
                .rows;
            let ids: Vec<_> = found.iter().map(|row| row.id.0).collect();
            let end = start + next.len() - 1;
            assert_eq!(
                ids,
                expected[end.saturating_sub(20)..end],
                "{what} before {end}"
            );
            at = Some(place);
        }
    }
}

async fn other_lists(conn: &mut AsyncPgConnection) {
    for state in [OrderState::Expired, OrderState::Pending, OrderState::Paid] {
        let filter = orders::Filter {
            state: Some(state),
            ..Default::default()
        };
        let page = first("order");
        bounded(conn, PAGE, &format!("orders {state:?}"), || {
            orders::page_query(filter, &page)
        })
        .await;
    }
    let none = reports::Filter::default;
    for filter in [
        none(),
        reports::Filter {
            state: Some(ReportState::Open),
            ..none()
        },
        reports::Filter {
            reason: Some(ReportReason::Fraud),
            ..none()
        },
        reports::Filter {
            reason: Some(ReportReason::Safety),
            ..none()
        },
    ] {
        let page = first("report");
        bounded(conn, PAGE, &format!("reports {filter:?}"), || {
            reports::list_query(filter, false, &page)
        })
        .await;
    }
    let none = audit::Filter::default;
    let actor = one(conn, "SELECT actor_id AS id FROM audit_events LIMIT 1").await;
    let target = one(conn, "SELECT target_id AS id FROM audit_events LIMIT 1").await;
    let action = |text: &str| audit::Filter {
        action: Some(text.to_owned()),
        ..none()
    };
    let outcome = |outcome| audit::Filter {
        outcome: Some(outcome),
        ..none()
    };
    for filter in [
        none(),
        action("test.5"),
        action("test.99"),
        action("test.none"),
        outcome(audit::Outcome::Done),
        outcome(audit::Outcome::Refused),
        audit::Filter {
            actor: Some(UserId(actor)),
            ..none()
        },
        audit::Filter {
            target: Some(("bkg".to_owned(), target)),
            ..none()
        },
        audit::Filter {
            ip_address: Some("127.0.0.5".to_owned()),
            ..none()
        },
        audit::Filter {
            from: Some(Instant("2026-01-03T00:00:00Z".parse().unwrap())),
            to: Some(Instant("2026-01-04T00:00:00Z".parse().unwrap())),
            ..none()
        },
    ] {
        let page = first(audit::NEWEST);
        bounded(conn, PAGE, &format!("audit {filter:?}"), || {
            audit::page_query(&filter, &page)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_order_alone_and_with_one_filter_reads_no_further_than_its_page() {
    let app = TestApp::start().await;
    let mut conn = app.conn().await;
    many_rows(&mut conn).await;
    providers_lists(&mut conn).await;
    people_lists(&mut conn).await;
    bookings_lists(&mut conn, Instant(app.now())).await;
    other_lists(&mut conn).await;
}
