//! Categories, cities and services.

use serde_json::json;

use super::support::{Client, TestApp};

const CREATE: &str = "mutation($input: ServiceCreateInput!) { serviceCreate(input: $input) {
    service { id title description status version category { slug } } userErrors { code field } } }";
const UPDATE: &str = "mutation($id: ID!, $input: ServiceUpdateInput!, $version: Int) {
    serviceUpdate(id: $id, input: $input, expectedVersion: $version) {
        service { title description status version category { slug } } userErrors { code field details } } }";
const ARCHIVE: &str =
    "mutation($id: ID!, $version: Int) { serviceArchive(id: $id, expectedVersion: $version) {
    service { status version } userErrors { code field details } } }";

async fn category(app: &TestApp, slug: &str) -> String {
    let answer = app.anonymous().query("{ categories { id slug } }").await;
    answer.data()["categories"]
        .as_array()
        .unwrap()
        .iter()
        .find(|category| category["slug"] == slug)
        .unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

async fn create(staff: &Client, category: &str, title: &str) -> String {
    let input = json!({ "categoryId": category, "title": title, "description": format!("All about {title}") });
    let answer = staff.post(CREATE, json!({ "input": input })).await;
    answer.payload("serviceCreate")["service"]["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

async fn staff(app: &TestApp) -> Client {
    app.user_with_permissions("Staff", &["services:write"])
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_database_has_categories_and_cities() {
    let app = TestApp::start().await;
    let answer = app
        .anonymous()
        .query("{ categories { id slug title } cities { id slug name countryCode timeZone } }")
        .await;
    assert_eq!(answer.data()["categories"].as_array().unwrap().len(), 8);
    assert_eq!(answer.data()["categories"][0]["slug"], "city-companion");
    let cities = answer.data()["cities"].as_array().unwrap();
    assert_eq!(cities.len(), 12);
    for city in cities {
        let zone = city["timeZone"].as_str().unwrap();
        assert!(jiff::tz::TimeZone::get(zone).is_ok(), "{zone}");
    }
    assert_eq!(answer.statements, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_keep_the_catalog() {
    let app = TestApp::start().await;
    let staff = staff(&app).await;
    let (tutoring, pets) = (
        category(&app, "tutoring").await,
        category(&app, "pet-care").await,
    );
    let id = create(&staff, &tutoring, "  Chess lessons ").await;

    let input = json!({ "title": "Dog walks", "categoryId": pets, "description": null });
    let answer = staff
        .post(UPDATE, json!({ "id": id, "input": input, "version": 1 }))
        .await;
    assert_eq!(
        answer.payload("serviceUpdate")["service"],
        json!({ "title": "Dog walks", "description": "", "status": "ACTIVE", "version": 2, "category": { "slug": "pet-care" } })
    );
    let late = staff
        .post(UPDATE, json!({ "id": id, "input": {}, "version": 1 }))
        .await;
    assert_eq!(late.user_error_codes("serviceUpdate"), ["CONFLICT"]);

    let answer = staff.post(ARCHIVE, json!({ "id": id })).await;
    assert_eq!(
        answer.payload("serviceArchive")["service"],
        json!({ "status": "ARCHIVED", "version": 3 })
    );
    let again = staff.post(ARCHIVE, json!({ "id": id })).await;
    assert_eq!(again.user_error_codes("serviceArchive"), ["INVALID_STATE"]);
    assert_eq!(
        again.data()["serviceArchive"]["userErrors"][0]["details"]["state"],
        "ARCHIVED"
    );

    let query =
        "query($id: ID!) { service(id: $id) { status } services { nodes { id } totalCount } }";
    let answer = app.anonymous().post(query, json!({ "id": id })).await;
    assert_eq!(
        *answer.data(),
        json!({ "service": { "status": "ARCHIVED" }, "services": { "nodes": [], "totalCount": 0 } })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_field_of_a_service_is_told_at_once() {
    let app = TestApp::start().await;
    let staff = staff(&app).await;
    let tutoring = category(&app, "tutoring").await;
    let input =
        json!({ "categoryId": "nonsense", "title": " \n ", "description": "x".repeat(4001) });
    let answer = staff.post(CREATE, json!({ "input": input })).await;
    let errors = &answer.data()["serviceCreate"]["userErrors"];
    assert_eq!(
        *errors,
        json!([
            { "code": "INVALID_INPUT", "field": ["input", "title"] },
            { "code": "INVALID_INPUT", "field": ["input", "description"] },
        ])
    );
    for absent in [
        "nonsense",
        "cat_01h2xcejqtf2nbrexx3vqjhp41",
        &tutoring.replace("cat_", "cty_"),
    ] {
        let input = json!({ "categoryId": absent, "title": "Chess" });
        let answer = staff.post(CREATE, json!({ "input": input })).await;
        assert_eq!(
            answer.data()["serviceCreate"]["userErrors"],
            json!([{ "code": "NOT_FOUND", "field": ["input", "categoryId"] }])
        );
    }
    let input = json!({ "categoryId": null, "title": null });
    let id = create(&staff, &tutoring, "Chess").await;
    let answer = staff
        .post(UPDATE, json!({ "id": id, "input": input }))
        .await;
    assert_eq!(
        answer.user_error_codes("serviceUpdate"),
        ["INVALID_INPUT", "INVALID_INPUT"]
    );
    let answer = staff
        .post(UPDATE, json!({ "id": tutoring, "input": { "title": "x" } }))
        .await;
    assert_eq!(answer.user_error_codes("serviceUpdate"), ["NOT_FOUND"]);
    let list = staff
        .query("{ services { nodes { title version } } }")
        .await;
    assert_eq!(
        list.data()["services"]["nodes"],
        json!([{ "title": "Chess", "version": 1 }])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_staff_changes_nothing() {
    let app = TestApp::start().await;
    let staff = staff(&app).await;
    let tutoring = category(&app, "tutoring").await;
    let id = create(&staff, &tutoring, "Chess").await;
    let input = json!({ "categoryId": tutoring, "title": "Go" });
    for client in [
        app.anonymous(),
        app.user("Mia").await,
        app.user_with_permissions("Other", &["servicesx:write", "services:read"])
            .await,
    ] {
        for (query, variables) in [
            (CREATE, json!({ "input": input })),
            (UPDATE, json!({ "id": id, "input": { "title": "Go" } })),
            (ARCHIVE, json!({ "id": id })),
            (
                "{ services(filter: { status: ARCHIVED }) { nodes { id } } }",
                json!({}),
            ),
        ] {
            assert_eq!(
                client.post(query, variables).await.error_code(),
                "FORBIDDEN",
                "{query}"
            );
        }
    }
    let list = app
        .anonymous()
        .query("{ services { nodes { title status } } }")
        .await;
    assert_eq!(
        list.data()["services"]["nodes"],
        json!([{ "title": "Chess", "status": "ACTIVE" }])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn services_are_found_and_paged_in_both_directions() {
    let app = TestApp::start().await;
    let staff = staff(&app).await;
    let (tutoring, pets) = (
        category(&app, "tutoring").await,
        category(&app, "pet-care").await,
    );
    for title in ["Chess", "Dance", "Art 100%", "Bread"] {
        create(&staff, &tutoring, title).await;
    }
    create(&staff, &pets, "Dog walks").await;
    let list = "query($filter: ServiceFilter, $first: Int, $after: String, $last: Int, $before: String) {
        services(filter: $filter, first: $first, after: $after, last: $last, before: $before) {
            nodes { title category { slug } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount } }";
    let titles = |answer: &super::support::Answer| -> Vec<String> {
        answer.data()["services"]["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|node| node["title"].as_str().unwrap().to_owned())
            .collect()
    };
    let client = app.anonymous();
    let first = client.post(list, json!({ "first": 2 })).await;
    assert_eq!(titles(&first), ["Art 100%", "Bread"]);
    assert_eq!(first.data()["services"]["totalCount"], 5);
    assert_eq!(first.statements, 3, "a page, a count, the categories");
    let info = first.data()["services"]["pageInfo"].clone();
    assert_eq!(
        (&info["hasNextPage"], &info["hasPreviousPage"]),
        (&json!(true), &json!(false))
    );
    let second = client
        .post(list, json!({ "first": 2, "after": info["endCursor"] }))
        .await;
    assert_eq!(titles(&second), ["Chess", "Dance"]);
    let back = client
        .post(
            list,
            json!({ "last": 1, "before": second.data()["services"]["pageInfo"]["startCursor"] }),
        )
        .await;
    assert_eq!(titles(&back), ["Bread"]);
    let end = client.post(list, json!({ "last": 2 })).await;
    assert_eq!(titles(&end), ["Dance", "Dog walks"]);

    for (filter, expected) in [
        (json!({ "text": "%" }), vec!["Art 100%"]),
        (json!({ "text": "ABOUT d" }), vec!["Dance", "Dog walks"]),
        (
            json!({ "text": "  " , "categoryId": pets }),
            vec!["Dog walks"],
        ),
        (json!({ "categoryId": "nonsense" }), vec![]),
    ] {
        let answer = client.post(list, json!({ "filter": filter })).await;
        assert_eq!(titles(&answer), expected, "{filter}");
    }
    for bad in [
        json!({ "first": 0 }),
        json!({ "first": 101 }),
        json!({ "after": "nonsense" }),
        json!({ "first": 1, "last": 1 }),
        json!({ "filter": { "text": "a\u{0}b" } }),
        json!({ "filter": { "text": "x".repeat(101) } }),
    ] {
        assert_eq!(
            client.post(list, bad.clone()).await.error_code(),
            "BAD_REQUEST",
            "{bad}"
        );
    }
}
