//! Page 5 000 of 100 000 rows costs what page 1 costs: the plans of the statements that the lists send, by row counts.

use companion::{
    cursor::{self, PageArgs},
    db::ids::{CategoryId, ProviderId},
    features::{
        catalog::model as catalog,
        providers::model::{self as providers, Filter, Order, ProviderStatus},
        users::model::UserStatus,
    },
};
use diesel::{QueryableByName, sql_types::Uuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use super::support::{
    TestApp,
    plans::{after, before, reads_by_index, reads_only_for_any_values, reads_only_its_page},
};

const ROWS: usize = 100_000;

/// Approved providers with ties in every order, every fifth without a price, every tenth without a rating.
pub async fn many_providers(conn: &mut AsyncPgConnection, rows: usize) {
    let sql = format!(
        "INSERT INTO users (id, display_name, language, status, version, created_at, updated_at)
             SELECT ('019aa000-0000-7000-8000-0010' || lpad(to_hex(i), 8, '0'))::uuid, 'User ' || i, 'EN', 'ACTIVE', 1,
                    '2026-01-01Z', '2026-01-01Z'
             FROM generate_series(1, {rows}) i;
         INSERT INTO providers (id, user_id, status, display_name, headline, bio, city_id, time_zone,
                cancellation_policy, applied_at, rating_sum, rating_count, lowest_price_minor, lowest_price_currency,
                version, created_at, updated_at)
             SELECT ('019aa000-0000-7000-8000-0020' || lpad(to_hex(i), 8, '0'))::uuid,
                    ('019aa000-0000-7000-8000-0010' || lpad(to_hex(i), 8, '0'))::uuid,
                    'APPROVED', 'Provider ' || i, '', '', c.id, 'UTC', 'FLEXIBLE', created,
                    n + (i * 7919) % (4 * n + 1), n,
                    CASE WHEN i % 5 > 0 THEN (i % 997) * 100 END, CASE WHEN i % 5 > 0 THEN (ARRAY['EUR', 'USD'])[1 + i % 2] END,
                    1, created, created
             FROM generate_series(1, {rows}) i
             CROSS JOIN LATERAL (SELECT i % 10 AS n, timestamptz '2026-01-01Z' + (i / 3) * interval '1 minute' AS created) x
             JOIN (SELECT id, row_number() OVER (ORDER BY slug) AS k FROM cities) c ON c.k = 1 + i % 12;
         ANALYZE users; ANALYZE providers"
    );
    conn.batch_execute(&sql).await.unwrap();
}

#[derive(QueryableByName)]
struct Id {
    #[diesel(sql_type = Uuid)]
    id: uuid::Uuid,
}

/// The id of the row at this place (from 0) by plain SQL.
async fn at(conn: &mut AsyncPgConnection, list: &str, place: usize) -> uuid::Uuid {
    let row: Id = diesel::sql_query(format!("SELECT id FROM {list} OFFSET {place} LIMIT 1"))
        .get_result(conn)
        .await
        .unwrap();
    row.id
}

type MakeOrder = fn(&PageArgs) -> companion::error::Result<Order>;

#[tokio::test(flavor = "multi_thread")]
async fn providers_far_down_cost_what_the_first_page_costs() {
    let app = TestApp::start().await;
    let mut conn = app.conn().await;
    many_providers(&mut conn, ROWS).await;
    let city = "SELECT id FROM cities ORDER BY slug LIMIT 1";
    let city_id = at(&mut conn, "(SELECT id FROM cities ORDER BY slug) c", 0).await;
    let in_city = Filter {
        city_id: Some(companion::db::ids::CityId(city_id)),
        ..Filter::default()
    };
    let rating_in_city = format!(
        "providers WHERE city_id = ({city}) ORDER BY rating DESC, rating_count DESC, id DESC"
    );
    let cases: [(&str, MakeOrder, Filter, &str, usize); 4] = [
        (
            "rating",
            Order::rating,
            Filter::default(),
            "providers ORDER BY rating DESC, rating_count DESC, id DESC",
            ROWS,
        ),
        (
            "rating in a city",
            Order::rating,
            in_city.clone(),
            &rating_in_city,
            ROWS / 12,
        ),
        (
            "price",
            Order::price,
            Filter::default(),
            "providers ORDER BY lowest_price_currency NULLS LAST, lowest_price_minor NULLS LAST, id",
            ROWS,
        ),
        (
            "newest",
            Order::newest,
            Filter::default(),
            "providers ORDER BY created_at DESC, id DESC",
            ROWS,
        ),
    ];
    for (name, order, filter, list, rows) in cases {
        let last_page = rows / 20;
        let first = providers::search_query(&filter, &order(&after(None)).unwrap());
        reads_only_its_page(&mut conn, &format!("{name}, page 1"), first).await;
        for page in [last_page / 2, last_page] {
            let previous = ProviderId(at(&mut conn, list, (page - 1) * 20 - 1).await);
            let previous = providers::by_id(&mut conn, previous)
                .await
                .unwrap()
                .unwrap();
            let one = order(&after(None)).unwrap();
            let cursor = cursor::encode(one.name(), &one.values(&previous)).unwrap();
            let forwards = order(&after(Some(cursor.clone()))).unwrap();
            let what = format!("{name}, page {page}");
            reads_only_its_page(
                &mut conn,
                &what,
                providers::search_query(&filter, &forwards),
            )
            .await;
            let found =
                providers::search_page::<providers::Provider>(&conn, &filter, &forwards, false)
                    .await
                    .unwrap();
            assert_eq!(found.rows.len(), 20, "{what}");
            let expected = at(&mut conn, list, (page - 1) * 20).await;
            assert_eq!(found.rows[0].id.0, expected, "{what}");
            let backwards = order(&before(cursor)).unwrap();
            let what = format!("{what}, backwards");
            reads_only_its_page(
                &mut conn,
                &what,
                providers::search_query(&filter, &backwards),
            )
            .await;
        }
    }

    // One city with many profiles among thousands with a few, as which the planner takes them all.
    conn.batch_execute(
        "SET session_replication_role = replica;
         INSERT INTO providers (id, user_id, status, display_name, headline, bio, city_id, time_zone, cancellation_policy,
                applied_at, rating_sum, rating_count, version, created_at, updated_at)
             SELECT gen_random_uuid(), gen_random_uuid(), 'APPROVED', 'Small', '', '', md5((i / 2)::text)::uuid, 'UTC', 'FLEXIBLE',
                now(), 0, 0, 1, now(), now()
             FROM generate_series(1, 100000) i;
         RESET session_replication_role;
         ANALYZE providers",
    )
    .await
    .unwrap();
    for order in [Order::rating, Order::price, Order::newest] {
        let order = order(&after(None)).unwrap();
        let query = providers::search_query(&in_city, &order);
        reads_only_for_any_values(&mut conn, &["providers"], 21, order.name(), query).await;
    }
    conn.batch_execute("DELETE FROM providers WHERE display_name = 'Small'")
        .await
        .unwrap();

    conn.batch_execute("UPDATE providers SET status = 'PENDING'")
        .await
        .unwrap();
    conn.batch_execute("VACUUM ANALYZE providers")
        .await
        .unwrap();
    let order = providers::APPLICATIONS;
    let place = at(&mut conn, "providers ORDER BY applied_at, id", ROWS - 21).await;
    let row = providers::by_id(&mut conn, ProviderId(place))
        .await
        .unwrap()
        .unwrap();
    let cursor = cursor::encode(order, &(row.applied_at, row.id)).unwrap();
    for args in [after(None), after(Some(cursor.clone())), before(cursor)] {
        let query =
            providers::applications_query(ProviderStatus::Pending, &args.page(order).unwrap());
        reads_only_its_page(&mut conn, "applications", query).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn services_far_down_cost_what_the_first_page_costs() {
    let app = TestApp::start().await;
    let mut conn = app.conn().await;
    conn.batch_execute(
        "INSERT INTO services SELECT ('019aa000-0000-7000-8000-0030' || lpad(to_hex(i), 8, '0'))::uuid, c.id,
                'Service ' || i % 1000, '', 'ACTIVE', 1, '2026-01-01Z', '2026-01-01Z'
             FROM generate_series(1, 20000) i JOIN categories c ON c.position = 1 + i % 2;
         ANALYZE services",
    )
    .await
    .unwrap();
    let category = at(
        &mut conn,
        "(SELECT id FROM categories ORDER BY position) c",
        0,
    )
    .await;
    for (category_id, rows) in [(None, 20_000), (Some(CategoryId(category)), 10_000)] {
        let filter = catalog::ServiceFilter {
            category_id,
            text: None,
            status: catalog::ServiceStatus::Active,
        };
        let list = match category_id {
            Some(_) => format!("services WHERE category_id = '{category}' ORDER BY title, id"),
            None => "services ORDER BY title, id".to_owned(),
        };
        let place = at(&mut conn, &list, rows - 21).await;
        let row = catalog::services_by_ids(&conn, &[companion::db::ids::ServiceId(place)])
            .await
            .unwrap()
            .remove(0);
        let cursor = cursor::encode(catalog::BY_TITLE, &(row.title, row.id)).unwrap();
        for args in [after(None), after(Some(cursor.clone())), before(cursor)] {
            let query = catalog::services_query(&filter, &args.page(catalog::BY_TITLE).unwrap());
            reads_only_its_page(&mut conn, "services", query).await;
        }
    }
}

/// Staff look for people among many, by the first page of every filter: no statement reads the table from end to end.
#[tokio::test(flavor = "multi_thread")]
async fn people_are_found_through_an_index() {
    use companion::features::users::model::list::{self, Filter, Sort};
    let app = TestApp::start().await;
    let mut conn = app.conn().await;
    let sql = format!(
        "INSERT INTO users (id, display_name, username, language, telegram_id, telegram_username, status, version, created_at,
                updated_at, email, email_verified_at)
             SELECT ('019aa000-0000-7000-8000-0010' || lpad(to_hex(i), 8, '0'))::uuid, 'Person ' || md5(i::text),
                    'u' || substr(md5('u' || i), 1, 14), 'EN', i, 'tg_' || md5('t' || i),
                    CASE WHEN i % 1000 = 0 THEN 'SUSPENDED' ELSE 'ACTIVE' END, 1, timestamptz '2026-01-01Z' + i * interval '1 second',
                    '2026-01-01Z', 'p' || i || '@example.org', '2026-01-01Z'
             FROM generate_series(1, {ROWS}) i;
         INSERT INTO user_roles (user_id, role_id, granted_at) SELECT u.id, r.id, '2026-01-01Z' FROM users u
             JOIN roles r ON r.name = 'USER' OR r.name = 'MODERATOR' AND u.telegram_id % 5000 = 0;
         ANALYZE users; ANALYZE user_roles"
    );
    conn.batch_execute(&sql).await.unwrap();
    let role = async |conn: &mut AsyncPgConnection, name: &str| {
        let id = at(conn, &format!("roles WHERE name = '{name}'"), 0).await;
        Some(companion::db::ids::RoleId(id))
    };
    let (everyone, few) = (
        role(&mut conn, "USER").await,
        role(&mut conn, "MODERATOR").await,
    );
    let texts = [
        "p77777@", // one address
        "person",  // every name
        "tg_c4ca", // the start of few Telegram names
        "nobody such",
        "u1", // fewer characters than a trigram
        "pe", // the same, every name
    ];
    let mut filters: Vec<Filter> = texts
        .map(|text| Filter {
            text: Some(text.to_owned()),
            ..Filter::default()
        })
        .into();
    for role in [None, everyone, few] {
        for status in [None, Some(UserStatus::Suspended), Some(UserStatus::Active)] {
            filters.push(Filter {
                text: None,
                status,
                role,
            });
        }
    }
    for filter in filters {
        let page = after(None);
        let newest = page.page(Sort::Newest.order()).unwrap();
        let by_name = page.page(Sort::Name.order()).unwrap();
        let what = format!("{filter:?}");
        reads_by_index(&mut conn, &what, list::newest_query(&filter, &newest)).await;
        reads_by_index(&mut conn, &what, list::name_query(&filter, &by_name)).await;
    }
}
