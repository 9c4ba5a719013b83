//! Documents that can't be executed: what of them is in the audit trail, and a response key that stands twice.

use serde_json::{Value, json};

use super::{
    audit::events,
    support::{Answer, Client, TestApp},
};

async fn again(app: &TestApp, person: &Client) -> Client {
    app.sign_in(person.user_id.parse().unwrap()).await
}

async fn clerk(app: &TestApp) -> Client {
    let permissions = ["roles:write", "roles:read", "users:read", "audit:read"];
    app.user_with_permissions("Carl", &permissions).await
}

/// Each in a session of its own, so that none is kept back by the one before.
#[tokio::test(flavor = "multi_thread")]
async fn what_staff_ask_for_in_a_document_that_cannot_be_executed_is_in_the_trail() {
    const BAD: &str = "BAD_REQUEST";
    const COMPLEX: &str = "QUERY_TOO_COMPLEX";
    let app = TestApp::start().await;
    let auditor = app.user_with_roles("Otto", &["AUDITOR"]).await;
    let clerk = clerk(&app).await;
    let create = "mutation($i: RoleCreateInput!) { roleCreate(input: $i) { userErrors { code } } }";
    let refused = "{ userErrors { code } }";
    let refusals = "audit_events WHERE outcome = 'REFUSED'";
    let many = vec!["\"secret\""; 101].join(", ");
    let none = json!({});
    for (query, variables, fields, code) in [
        (
            format!("mutation {{ roleCreate(input: {{ name: \"secret\" }}) {refused} "),
            none.clone(),
            &["(document)"][..],
            BAD,
        ),
        (
            "mutation { roleCreate(input: { name: \"secret\" }) { role { nothing } } }".to_owned(),
            none.clone(),
            &["roleCreate"],
            BAD,
        ),
        (
            format!("mutation {{ roleCreate(input: {{ secret: 5 }}) {refused} }}"),
            none.clone(),
            &["roleCreate"],
            BAD,
        ),
        (create.to_owned(), none.clone(), &["roleCreate"], BAD),
        (
            create.to_owned(),
            json!({ "i": { "name": ["secret", 5] } }),
            &["roleCreate"],
            BAD,
        ),
        (
            create.to_owned(),
            json!({ "i": { "description": "secret" } }),
            &["roleCreate"],
            BAD,
        ),
        (
            create.replace("RoleCreateInput", "Secret"),
            none.clone(),
            &["roleCreate"],
            BAD,
        ),
        (
            format!(
                "mutation {{ ...F nothing }} fragment F on Mutation {{ ...{{ userDelete(id: \"secret\") @skip(if: true) {refused} }} r: roleDelete(id: 5) {refused} x: roleDelete(id: 6) {refused} }}"
            ),
            none.clone(),
            &["roleDelete", "userDelete"],
            BAD,
        ),
        (
            "{ users(first: 0) { nodes { id } } me { id } }".to_owned(),
            none.clone(),
            &["users"],
            BAD,
        ),
        // Refused by the field itself, while the others are answered.
        (
            "{ a: auditEvents(filter: { action: \"\" }) { nodes { id } } b: roles { nodes { id } } }".to_owned(),
            none.clone(),
            &["auditEvents"],
            BAD,
        ),
        (
            "query A { roles { nodes { id } } } query B { users { nodes { id } } }".to_owned(),
            none.clone(),
            &["roles", "users"],
            BAD,
        ),
        (
            format!("mutation {{ usersDelete(ids: [{many}]) {refused} }}"),
            none.clone(),
            &["usersDelete"],
            COMPLEX,
        ),
        (
            format!("{{ me {{ id }} {} }}", "roles { nodes { id } } ".repeat(21)),
            none.clone(),
            &["roles"],
            COMPLEX,
        ),
        ("{ me { nothing } }".to_owned(), none.clone(), &[], BAD),
        (
            "{ usres { nodes { id } } }".to_owned(),
            none.clone(),
            &[],
            BAD,
        ),
        (
            "mutation { meUpdate(input: 5) { me { id } } }".to_owned(),
            none.clone(),
            &[],
            BAD,
        ),
    ] {
        let before = app.count(refusals).await;
        let answer = again(&app, &clerk).await.post(&query, variables).await;
        assert_eq!(answer.error_code(), code, "{query}");
        let rows = events(&auditor, "outcome: REFUSED").await;
        let new = app.count(refusals).await - before;
        let rows = &rows[..usize::try_from(new).unwrap()];
        let mut told: Vec<_> = rows.iter().map(|row| row["after"].clone()).collect();
        told.sort_by_key(ToString::to_string);
        let expected: Vec<_> = fields
            .iter()
            .map(|field| json!({ "field": field, "code": code, "count": 1 }))
            .collect();
        assert_eq!(told, expected, "{query}");
        for row in rows {
            assert_eq!(row["action"], "access.refused");
            assert_eq!(row["actor"]["id"], json!(clerk.user_id));
            assert_eq!(row["targetId"], Value::Null);
        }
    }
    let typed = "audit_events WHERE after::text ILIKE '%secret%'";
    assert_eq!(app.count(typed).await, 0);
}

async fn raw(client: &Client, body: &Value) -> Value {
    let request = client.http().post(client.url("/graphql")).json(body);
    let request = request.bearer_auth(client.token().unwrap());
    request.send().await.unwrap().json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slip_is_written_once_a_minute_and_those_of_others_are_not() {
    let app = TestApp::start().await;
    let (clerk, mia) = (clerk(&app).await, app.user("Mia").await);
    let (slip, other) = ("{ roles { nothing } }", "{ users { nothing } }");
    let count = async || app.count("audit_events WHERE outcome = 'REFUSED'").await;
    for query in [slip, slip, other, slip] {
        assert_eq!(clerk.query(query).await.error_code(), "BAD_REQUEST");
    }
    assert_eq!(count().await, 2);
    let second = again(&app, &clerk).await;
    second.query(slip).await;
    assert_eq!(count().await, 3);
    // In a batch, and by a method that may not: as much a refusal.
    let lone = json!({ "query": "{ permissions { nothing } }" });
    raw(&clerk, &json!([{ "query": "{ me { id } }" }, lone, lone])).await;
    assert_eq!(count().await, 4);
    let by_get = clerk.http().get(clerk.url("/graphql"));
    let query = "mutation { roleDelete(id: \"x\") { userErrors { code } } }";
    let by_get = by_get
        .query(&[("query", query)])
        .bearer_auth(clerk.token().unwrap());
    assert_eq!(by_get.send().await.unwrap().status(), 405);
    assert_eq!(count().await, 5);
    // A hash that nobody knows yet is how persisted operations begin.
    let hash = json!({ "extensions": { "persistedQuery": { "version": 1, "sha256Hash": "0".repeat(64) } } });
    let unknown = raw(&second, &hash).await;
    assert_eq!(unknown["errors"][0]["extensions"]["code"], "BAD_REQUEST");
    for query in [slip, "{", "mutation { roleCreate(input: 5) { nothing } }"] {
        for client in [&mia, &app.anonymous()] {
            assert_eq!(client.query(query).await.error_code(), "BAD_REQUEST");
        }
    }
    assert_eq!(count().await, 5);
}

fn key(answer: &Answer) -> (&str, &Value) {
    let extensions = &answer.body["errors"][0]["extensions"];
    (answer.error_code(), &extensions["key"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_key_twice_in_a_mutation_is_refused_and_nothing_is_done() {
    let app = TestApp::start().await;
    let admin = app.user_with_roles("Ada", &["ADMIN"]).await;
    let create = |name: &str, selected: &str| {
        format!("roleCreate(input: {{ name: \"{name}\" }}) {{ {selected} }}")
    };
    let (one, same) = (create("ONE", "role { id }"), create("ONE", "role { name }"));
    let two = create("TWO", "role { id }");
    let before = app.count("roles").await;
    for (query, named) in [
        (format!("mutation {{ a: {one} a: {same} }}"), "a"),
        (format!("mutation {{ a: {one} b: {two} a: {one} }}"), "a"),
        (format!("mutation {{ {one} {same} }}"), "roleCreate"),
        (
            format!("mutation {{ roleCreate: {one} {same} }}"),
            "roleCreate",
        ),
        (
            format!("mutation {{ a: {one} ...F }} fragment F on Mutation {{ b: {two} a: {same} }}"),
            "a",
        ),
        (
            format!("mutation {{ ...F ...F }} fragment F on Mutation {{ a: {one} }}"),
            "a",
        ),
        (
            format!("mutation {{ a: {one} ... {{ ... on Mutation {{ ... {{ a: {same} }} }} }} }}"),
            "a",
        ),
        (
            format!(
                "mutation {{ a: {one} ... {{ ...F }} }} fragment F on Mutation {{ ...G }} fragment G on Mutation {{ a: {same} }}"
            ),
            "a",
        ),
        (
            format!(
                "mutation {{ a: {one} a: {} }}",
                same.replacen(") {", ") @skip(if: true) {", 1)
            ),
            "a",
        ),
        (
            format!(
                "mutation {{ a: {one} ...F @include(if: false) }} fragment F on Mutation {{ a: {same} }}"
            ),
            "a",
        ),
    ] {
        let answer = admin.query(&query).await;
        assert_eq!(key(&answer), ("BAD_REQUEST", &json!(named)), "{query}");
        assert!(answer.body.get("data").is_none(), "{query}");
        let message = answer.body["errors"][0]["message"].as_str().unwrap();
        assert!(message.contains(&format!("\"{named}\" twice")), "{message}");
    }
    // Only in the operation that is asked for.
    let several = format!("mutation X {{ __typename }} mutation Y {{ a: {one} a: {same} }}");
    for (operation, code) in [("X", None), ("Y", Some("a"))] {
        let body = json!({ "query": several, "operationName": operation });
        let request = admin.http().post(admin.url("/graphql")).json(&body);
        let request = request.bearer_auth(admin.token().unwrap());
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        let found = answer["errors"][0]["extensions"]["key"].as_str();
        assert_eq!(found, code, "{operation}");
    }
    assert_eq!(app.count("roles").await, before);

    // Once each is fine, whatever is selected below; so is what does nothing, and a query.
    let selected = create("ONE", "role { id } role { id name } userErrors { code }");
    let query = format!(
        "mutation {{ a: {selected} __typename ...F ... {{ __typename }} }} fragment F on Mutation {{ b: {two} }}"
    );
    let done = admin.query(&query).await;
    assert_eq!(done.data()["a"]["role"]["name"], "ONE");
    assert_eq!(app.count("roles").await, before + 2);
    let query = "{ a: me { id } ...F } fragment F on Query { a: me { user { displayName } } }";
    let read = admin.query(query).await;
    let expected = json!({ "id": admin.user_id, "user": { "displayName": "Ada" } });
    assert_eq!(read.data()["a"], expected);
}
