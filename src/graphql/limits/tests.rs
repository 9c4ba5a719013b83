use async_graphql::{Variables, parser::parse_query};
use serde_json::{Value, json};

use super::*;
use crate::config::{Config, Limits};

const SDL: &str = r#"
    schema { query: Query mutation: Mutation }
    scalar DateTime
    type PageInfo { hasNextPage: Boolean! endCursor: String }
    type User { id: ID! displayName: String! friend: User }
    type Review { rating: Int! author: User! }
    type ReviewEdge { cursor: String! node: Review! }
    type ReviewConnection { edges: [ReviewEdge!]! nodes: [Review!]! pageInfo: PageInfo! totalCount: Int }
    type Slot { startsAt: DateTime! }
    type Provider {
        id: ID!
        user: User!
        slots(from: DateTime!, to: DateTime!): [Slot!]!
        reviews(first: Int, after: String, last: Int, before: String): ReviewConnection!
    }
    type ProviderEdge { cursor: String! node: Provider! }
    type ProviderConnection { edges: [ProviderEdge!]! nodes: [Provider!]! pageInfo: PageInfo! totalCount: Int }
    input WindowInput { startsAt: DateTime! tags: [String!] }
    input WindowsInput { windows: [WindowInput!]! }
    type Payload { ok: Boolean! }
    type Query {
        me: User
        nodes(ids: [ID!]!): [Provider]!
        providers(first: Int, after: String, last: Int, before: String): ProviderConnection!
    }
    type Mutation {
        authRefresh(token: String!): Payload!
        authLogout: Payload!
        windowsCreate(input: WindowsInput!): Payload!
    }
"#;

fn limits() -> Limits {
    Config::development().limits
}

fn model() -> CostModel {
    CostModel::from_sdl(SDL).unwrap()
}

fn measured(query: &str, variables: Value) -> Result<Measured, LimitError> {
    scan(query)?;
    let document = parse_query(query).unwrap();
    structure(&document, &model())?;
    measure(
        &model(),
        &document,
        None,
        &Variables::from_json(variables),
        &limits(),
    )
}

fn cost(query: &str) -> u64 {
    measured(query, json!({})).unwrap().cost.complexity
}

fn kind(query: &str) -> LimitKind {
    measured(query, json!({})).unwrap_err().kind
}

#[test]
fn a_field_costs_one_and_a_connection_its_page_of_nodes() {
    assert_eq!(cost("{ me { id displayName } }"), 3);
    assert_eq!(cost("{ providers(first: 7) { nodes { id } } }"), 1 + 7 * 2);
    assert_eq!(cost("{ providers { nodes { id } } }"), 1 + 20 * 2);
    assert_eq!(
        cost("{ providers(last: 3) { edges { node { id } } } }"),
        1 + 3 * 3
    );
    assert_eq!(
        cost("{ providers(first: 9) { pageInfo { hasNextPage } } }"),
        3
    );
    assert_eq!(cost("{ providers(first: 9) { totalCount } }"), 1 + 50);
    assert_eq!(
        cost(
            "{ providers(first: 20) { nodes { id reviews(first: 3) { nodes { rating author { id } } } } } }"
        ),
        1 + 20 * (1 + 1 + (1 + 3 * 4))
    );
}

#[test]
fn fragments_count_where_they_are_spread() {
    let direct = cost("{ providers(first: 5) { nodes { id user { id } } totalCount } }");
    let spread = cost(
        "query { providers(first: 5) { ...Page } }
         fragment Page on ProviderConnection { nodes { ...One } ... { totalCount } }
         fragment One on Provider { id user { id } }",
    );
    assert_eq!(direct, spread);
}

#[test]
fn variables_and_their_defaults_set_the_page() {
    let query = "query ($n: Int = 4) { providers(first: $n) { nodes { id } } }";
    assert_eq!(
        measured(query, json!({})).unwrap().cost.complexity,
        1 + 4 * 2
    );
    assert_eq!(
        measured(query, json!({ "n": 11 })).unwrap().cost.complexity,
        1 + 11 * 2
    );
    assert_eq!(
        measured(query, json!({ "n": null }))
            .unwrap()
            .cost
            .complexity,
        1 + 20 * 2
    );
}

#[test]
fn a_page_outside_1_to_100_is_a_bad_request_before_the_cost() {
    for size in ["0", "-1", "101", "9223372036854775807"] {
        let query = format!("{{ providers(first: {size}) {{ nodes {{ id }} }} }}");
        assert_eq!(kind(&query), LimitKind::BadRequest, "{size}");
    }
    assert_eq!(
        kind("{ providers(first: 1, last: 1) { nodes { id } } }"),
        LimitKind::BadRequest
    );
    let query = "query ($n: Int) { providers(last: $n) { nodes { id } } }";
    assert_eq!(
        measured(query, json!({ "n": 0 })).unwrap_err().kind,
        LimitKind::BadRequest
    );
    assert!(measured(query, json!({ "n": 100 })).is_ok());
}

#[test]
fn lists_cost_their_length_and_days_ten() {
    assert_eq!(cost(r#"{ nodes(ids: ["a", "b", "c"]) { id } }"#), 1 + 3 + 3);
    let windows = json!({ "i": { "windows": [{ "tags": ["x", "y"] }, {}] } });
    let query = "mutation ($i: WindowsInput!) { windowsCreate(input: $i) { ok } }";
    let measured_windows = measured(query, windows).unwrap();
    assert_eq!(measured_windows.cost.complexity, 2 + 4);
    assert_eq!(measured_windows.cost.variable_values, 7);
    let slots = |to: &str| {
        cost(&format!(
            "{{ nodes(ids: []) {{ slots(from: \"2026-11-21T00:00:00Z\", to: \"{to}\") {{ startsAt }} }} }}"
        ))
    };
    assert_eq!(slots("2026-11-28T00:00:00Z"), 1 + 1 + 70 + 1);
    assert_eq!(slots("2026-11-28T00:00:01Z"), 1 + 1 + 80 + 1);
    assert_eq!(slots("2099-11-28T00:00:01Z"), 1 + 1 + 310 + 1);
    assert_eq!(slots("nonsense"), 1 + 1 + 310 + 1);
}

#[test]
fn lists_and_variables_are_bounded() {
    let ids = vec!["x"; 101];
    let query = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }";
    assert!(measured(query, json!({ "ids": vec!["x"; 100] })).is_ok());
    assert_eq!(
        measured(query, json!({ "ids": ids })).unwrap_err().kind,
        LimitKind::TooComplex
    );
    assert_eq!(
        kind(&format!("{{ nodes(ids: {ids:?}) {{ id }} }}")),
        LimitKind::TooComplex
    );
    let variables = json!({ "a": vec![vec![1; 100]; 10] });
    let cost = measured("query ($a: Int) { me { id } }", variables)
        .unwrap()
        .cost;
    assert_eq!(cost.variable_values, 1 + 10 + 1000);
    assert_eq!(
        cost.within(&limits()).unwrap_err().kind,
        LimitKind::TooComplex
    );
}

#[test]
fn sums_are_held_against_the_limits() {
    let sum = |query: &str| measured(query, json!({})).unwrap().cost.within(&limits());
    let aliases = |n: usize| {
        let fields: String = (0..n).map(|i| format!("a{i}: id ")).collect();
        format!("{{ me {{ {fields} }} }}")
    };
    assert!(sum(&aliases(30)).is_ok());
    assert_eq!(sum(&aliases(31)).unwrap_err().kind, LimitKind::TooComplex);
    assert!(sum(&format!("{{ {} }}", "me { id } ".repeat(20))).is_ok());
    assert!(sum(&format!("{{ {} }}", "me { id } ".repeat(21))).is_err());
    assert!(
        sum("{ providers(first: 100) { nodes { reviews(first: 100) { nodes { rating } } } } }")
            .is_err()
    );
    let mut batch = Cost::default();
    batch += measured(
        "{ providers(first: 100) { nodes { id user { id } } } }",
        json!({}),
    )
    .unwrap()
    .cost;
    assert!(batch.within(&limits()).is_ok());
    for _ in 0..16 {
        batch += batch;
    }
    assert!(batch.within(&limits()).is_err());
}

#[test]
fn depth_stops_at_twelve() {
    let nested = |n: usize| {
        format!(
            "{{ me {{ {} id {} }} }}",
            "friend {".repeat(n),
            "}".repeat(n)
        )
    };
    assert!(measured(&nested(10), json!({})).is_ok());
    assert_eq!(kind(&nested(11)), LimitKind::TooComplex);
}

#[test]
fn introspection_costs_nothing_but_is_bounded() {
    let typical = "{ __schema { queryType { name } types { name kind fields(includeDeprecated: true) { name
        args { name type { ...T } } type { ...T } } inputFields { name type { ...T } } enumValues { name }
        interfaces { ...T } possibleTypes { ...T } } directives { name args { name type { ...T } } } }
        __type(name: \"User\") { name } }
        fragment T on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType {
        kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } } }";
    let measured_typical = measured(typical, json!({})).unwrap();
    assert!(measured_typical.introspects);
    assert_eq!(measured_typical.cost.complexity, 0);
    assert_eq!(
        kind("{ __schema { types { name } } again: __schema { types { name } } }"),
        LimitKind::TooComplex
    );
    let deep = format!(
        "{{ __type(name: \"User\") {{ {} name {} }} }}",
        "ofType {".repeat(20),
        "}".repeat(20)
    );
    assert_eq!(kind(&deep), LimitKind::TooComplex);
    let wide = "{ __type(name: \"User\") { fields { type { fields { name } } } } }";
    assert_eq!(kind(wide), LimitKind::TooComplex);
    let much = format!(
        "{{ __schema {{ types {{ fields {{ {} }} }} }} }}",
        "name ".repeat(400)
    );
    assert_eq!(kind(&much), LimitKind::TooComplex);
}

#[test]
fn only_sign_in_documents_are_told_apart() {
    let only = |query: &str| measured(query, json!({})).unwrap().only_auth;
    assert!(only("mutation { authRefresh(token: \"x\") { ok } }"));
    assert!(only(
        "mutation { ...M } fragment M on Mutation { a: authLogout { ok } }"
    ));
    assert!(!only(
        "mutation { authLogout { ok } windowsCreate(input: {windows: []}) { ok } }"
    ));
    assert!(!only(
        "mutation { authLogout: windowsCreate(input: {windows: []}) { ok } }"
    ));
    assert!(!only("{ me { id } }"));
}

#[test]
fn texts_of_arguments_are_found_wherever_they_are_written() {
    let found = |query: &str, variables: Value| {
        let document = parse_query(query).unwrap();
        let operation = select(&document, None).unwrap();
        let variables = Variables::from_json(variables);
        let texts = |path| root_arguments(&document, &operation.node, &variables, "join", path);
        (texts("input.email"), texts("code"))
    };
    let one = |text: &str| vec![text.to_owned()];
    let none = json!({});
    let literal = "mutation { join(input: { name: \"x\", email: \"a\" }, code: \"c\") { ok } }";
    assert_eq!(found(literal, none.clone()), (one("a"), one("c")));
    let inside = "mutation($email: String = \"d\") { join(input: { email: $email }) { ok } }";
    assert_eq!(found(inside, json!({ "email": "a" })).0, one("a"));
    assert_eq!(found(inside, none.clone()).0, one("d"));
    let whole = "mutation($input: Input = { email: \"d\" }) { ...M } fragment M on Mutation { it: join(input: $input) { ok } }";
    let variables = json!({ "input": { "email": "a" } });
    assert_eq!(found(whole, variables).0, one("a"));
    assert_eq!(found(whole, none.clone()).0, one("d"));
    // Counted all the same.
    for odd in [
        "join(input: \"a\")",
        "join(input: { email: { email: \"a\" } })",
        "join(input: { name: \"x\" })",
        "join",
        "join(input: $no)",
    ] {
        let query = format!("mutation {{ {odd} {{ ok }} }}");
        assert_eq!(found(&query, none.clone()).0, one(""), "{odd}");
    }
}

fn bomb(fragments: usize, leaf: &str) -> String {
    let mut query = String::from("query A { me { id } } query B { me { ...F0 } }");
    for i in 0..fragments - 1 {
        query.push_str(&format!(
            "fragment F{i} on User{{...F{j} ...F{j}}}",
            j = i + 1
        ));
    }
    query + &format!("fragment F{} on User{{{leaf}}}", fragments - 1)
}

#[test]
fn a_bomb_is_counted_without_going_off_even_where_nobody_selects_it() {
    let query = bomb(24, "id");
    assert_eq!(kind(&query), LimitKind::TooComplex);
    let document = parse_query(&query).unwrap();
    for name in ["A", "B"] {
        let counted = measure(
            &model(),
            &document,
            Some(name),
            &Variables::default(),
            &limits(),
        )
        .unwrap();
        assert!(counted.visited < 60, "{name}: {}", counted.visited);
    }
    let cost = measure(
        &model(),
        &document,
        Some("B"),
        &Variables::default(),
        &limits(),
    )
    .unwrap()
    .cost;
    assert_eq!(cost.complexity, 1 + (1 << 23));
    assert!(cost.within(&limits()).is_err());
}

#[test]
fn cycles_end() {
    for query in [
        "{ me { ...A } } fragment A on User { id ...A }",
        "{ me { ...A } } fragment A on User { ...B ...B } fragment B on User { friend { ...A ...B } }",
        "{ me { id } } fragment A on User { ...B } fragment B on User { ...A }",
    ] {
        assert_eq!(kind(query), LimitKind::BadRequest, "{query}");
        let document = parse_query(query).unwrap();
        let visited = measure(&model(), &document, None, &Variables::default(), &limits());
        assert!(visited.unwrap().visited < 20);
    }
}

#[test]
fn what_validation_would_not_survive_is_refused() {
    assert_eq!(
        kind("query ($a: [Nothing!] = [1]) { me { id } }"),
        LimitKind::BadRequest
    );
    assert_eq!(
        kind(&format!("{{ me {{ {} }} }}", "nothing ".repeat(30))),
        LimitKind::BadRequest
    );
    assert!(measured("{ me { nothing } }", json!({})).is_ok());
    assert_eq!(
        kind(&format!(
            "{{ me {{ id {} }} }}",
            "@skip(if: true) ".repeat(9)
        )),
        LimitKind::TooComplex
    );
    let chain: String = (0..200)
        .map(|i| format!("fragment F{i} on User {{ ...F{} }} ", i + 1))
        .collect();
    assert_eq!(
        kind(&format!(
            "{{ me {{ ...F0 }} }} {chain} fragment F200 on User {{ id }}"
        )),
        LimitKind::TooComplex
    );
    let wide = format!(
        "{{ me {{ id }} }} fragment A on User {{ {} }}",
        "...B ".repeat(400)
    ) + &format!("fragment B on User {{ {} }}", "id ".repeat(400));
    assert_eq!(kind(&wide), LimitKind::TooComplex);
}

#[test]
fn required_variables_are_required() {
    let query = "query ($n: Int!, $m: Int! = 3) { providers(first: $n) { nodes { id } } }";
    assert!(measured(query, json!({ "n": 1 })).is_ok());
    for variables in [
        json!({}),
        json!({ "n": null }),
        json!({ "n": 1, "m": null }),
    ] {
        assert_eq!(
            measured(query, variables).unwrap_err().kind,
            LimitKind::BadRequest
        );
    }
}

#[test]
fn operations_are_selected_as_the_specification_says() {
    let document = parse_query("query A { me { id } } query B { me { id } }").unwrap();
    assert!(select(&document, Some("A")).is_ok());
    assert!(select(&document, Some("C")).is_err());
    assert!(select(&document, None).is_err());
    let document = parse_query("{ me { id } }").unwrap();
    assert!(select(&document, None).is_ok());
    assert!(select(&document, Some("")).is_err());
}

#[test]
fn brackets_are_bounded_before_the_parser_sees_them() {
    for open in [
        "{",
        "[",
        "(",
        "{a(b:[",
        "query($a:[[[",
        "\"x\"[",
        "\"\"\"x\"\"\"[",
        "#\"\n[",
    ] {
        assert_eq!(
            scan(&open.repeat(10_000)).unwrap_err().kind,
            LimitKind::TooComplex,
            "{open}"
        );
    }
    assert!(scan(&"{}".repeat(100)).is_ok());
    assert!(scan(&format!("{{ a(b: \"{}\") }}", "[".repeat(1000))).is_ok());
    assert!(scan(&format!("{{ a(b: \"\\\"{}\") }}", "[".repeat(1000))).is_ok());
    assert!(
        scan(&format!(
            "{{ a(b: \"\"\"{}\\\"\"\"[\"\"\") }}",
            "[".repeat(1000)
        ))
        .is_ok()
    );
    assert!(scan(&format!("{{ a }} # {}", "[".repeat(1000))).is_ok());
    assert_eq!(
        scan(&"a ".repeat(16_000)).unwrap_err().kind,
        LimitKind::TooComplex
    );
}

#[test]
fn a_string_that_does_not_end_hides_nothing() {
    for text in [
        "{ a(b: \"x",
        "{ a(b: \"\"\"x",
        "{ a(b: \"\"\"x\" [[[[",
        "{ a(b: \"x\n\") }",
    ] {
        let error = scan(text).unwrap_err();
        assert_eq!(error.kind, LimitKind::BadRequest, "{text}");
    }
    let error = scan("{\n  a(b: \"x").unwrap_err();
    assert_eq!(error.position.map(|at| (at.line, at.column)), Some((2, 8)));
}

/// What two fields of one response key are refused for, below interfaces too.
fn conflict(query: &str) -> Option<(String, u64)> {
    let sdl = SDL
        .replace(
            "type User {",
            "interface Node { id: ID! } type User implements Node {",
        )
        .replace("me: User", "me: User node(id: ID!): Node");
    let document = parse_query(query).unwrap();
    let error = overlap(&document, &CostModel::from_sdl(&sdl).unwrap()).err()?;
    let line = error.position.map_or(0, |at| at.line);
    Some((error.key.unwrap_or_default(), line as u64))
}

#[test]
fn fields_that_share_a_key_are_one_field() {
    for query in [
        "{ me { id id x: id x: id } me { id friend { id } friend { displayName } } }",
        "{ providers(first: 2) { nodes { id } } providers(first: 2) { totalCount } }",
        "{ me { ...A ...B } } fragment A on User { x: id } fragment B on User { ... on Node { x: id } ...A }",
        // One object is only one of them.
        "{ node(id: 1) { id ... on User { x: displayName } ... on Provider { x: id } } }",
        "{ __schema { types { name fields { name } } types { fields { type { name } } } } }",
    ] {
        assert_eq!(conflict(query), None, "{query}");
    }
    for (query, key) in [
        ("{ x: me { id }\nx: node(id: 1) { id } }", "x"),
        ("{ me { x: id }\nme {\nx: displayName } }", "x"),
        ("{ me { x: id ... on User {\n\nx: displayName } } }", "x"),
        ("{ me { x: id ... on Node {\n\nx: __typename } } }", "x"),
        (
            "{ node(id: 1) { x: __typename ... on User {\n\nx: id } } }",
            "x",
        ),
        (
            "{ me { friend { friend { x: id } } }\nme { friend { ...F } } } fragment F on User {\nfriend { x: displayName } }",
            "x",
        ),
        (
            "{ providers(first: 2) { totalCount }\n\nproviders { totalCount } }",
            "providers",
        ),
        (
            "query($n: Int) { providers(first: $n) { totalCount }\n\nproviders(first: 2) { totalCount } }",
            "providers",
        ),
        (
            "{ __schema { types { x: name }\ntypes {\nx: kind } } }",
            "x",
        ),
    ] {
        let found = conflict(query).map(|(key, line)| (key, line > 1));
        assert_eq!(found, Some((key.to_owned(), true)), "{query}");
    }
}

#[test]
fn comparing_fields_takes_no_longer_than_the_document_is_large() {
    // Each fragment spreads the one before twice, in two fields of one key: merged, they are one.
    let doubled: String = (1..14)
        .map(|n| {
            format!(
                "fragment F{n} on User {{ friend {{ ...F{0} }} friend {{ ...F{0} }} }} ",
                n - 1
            )
        })
        .collect();
    let query = format!("{{ me {{ ...F13 }} }} fragment F0 on User {{ id }} {doubled}");
    assert_eq!(conflict(&query), None);
}
