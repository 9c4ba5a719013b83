//! Read plans answer what resolvers answer, byte for byte: two servers on one database, one of them without plans, are
//! asked the same, among it hundreds of random selections over the schema.

use async_graphql::parser::{
    parse_schema,
    types::{
        BaseType, FieldDefinition, InputValueDefinition, Type, TypeKind, TypeSystemDefinition,
    },
};
use companion::http::graphiql::DemoPeople;
use companion::{app::App, config::Config, demo, demo::DemoSignIn, entropy::Entropy};
use diesel_async::SimpleAsyncConnection;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value, json};
use std::{collections::HashMap, fmt::Write};

use super::support::{Client, TestApp};

/// What the demo lacks: prices, reasons and profiles that some may see and others not.
const NOT_FOR_EVERYBODY: &str = "
    UPDATE provider_services SET active = false WHERE duration_minutes = 90;
    UPDATE services SET status = 'ARCHIVED' WHERE title = 'Dog walk';
    UPDATE providers SET decision_reason = 'Welcome' WHERE status = 'APPROVED';
    UPDATE providers SET status = 'SUSPENDED', decision_reason = 'Complaints'
        WHERE id = (SELECT provider_id FROM bookings GROUP BY provider_id ORDER BY count(*) DESC, provider_id LIMIT 1)";

/// One server with plans and one without, and people of each kind.
struct Pair {
    planned: TestApp,
    plain: String,
    people: Vec<(&'static str, Option<String>)>,
}

/// What a server said, and with how many statements.
#[derive(Debug)]
struct Said {
    status: u16,
    body: String,
    statements: u32,
}

impl Pair {
    async fn start() -> Self {
        // A random selection is allowed to be expensive.
        let generous = |config: &mut Config| {
            config.limits.complexity = u64::MAX >> 1;
            config.limits.depth = 60;
        };
        let planned = TestApp::start_with(generous).await;
        assert!(demo::load(&planned.app).await.unwrap());
        let mut config = (*planned.app.config).clone();
        config.read_plans = false;
        let app = App::new(config, planned.app.clock.clone(), Entropy::seeded(8)).unwrap();
        app.access.ready().await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let plain = format!("http://{}", listener.local_addr().unwrap());
        let http = companion::http::Http::new(app).unwrap();
        tokio::spawn(async move {
            let never = std::future::pending();
            companion::http::run(&http, axum::Router::new(), listener, never)
                .await
                .unwrap();
        });
        let mut people = vec![("nobody", None)];
        for role in ["client", "provider", "moderator", "admin"] {
            let token = DemoSignIn(planned.app.clone()).sign_in(role).await.unwrap();
            people.push((role, Some(token)));
        }
        let mut conn = planned.conn().await;
        conn.batch_execute(NOT_FOR_EVERYBODY).await.unwrap();
        let pair = Self {
            planned,
            plain,
            people,
        };
        // Rights are read once; statements are compared after that.
        for (_, token) in &pair.people {
            pair.ask("{ me { id } }", &json!({}), token.as_deref())
                .await;
        }
        pair
    }

    async fn ask_one(
        &self,
        base_url: &str,
        query: &str,
        variables: &Value,
        token: Option<&str>,
    ) -> (Said, u32) {
        let client = Client::new(base_url, None);
        let mut request = client
            .http()
            .post(client.url("/graphql"))
            .header("x-request-id", "the-same")
            .json(&json!({ "query": query, "variables": variables }));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let timing = response.headers()["server-timing"].to_str().unwrap();
        let numbers: Vec<u32> = timing
            .split('"')
            .filter_map(|part| part.split(' ').next()?.parse().ok())
            .collect();
        let said = Said {
            status,
            statements: numbers[0],
            body: response.text().await.unwrap(),
        };
        (said, numbers[1])
    }

    /// Asks both, who must agree; how many values plans have written.
    async fn ask(&self, query: &str, variables: &Value, token: Option<&str>) -> (Said, u32) {
        let (planned, written) = self
            .ask_one(&self.planned.base_url, query, variables, token)
            .await;
        let (plain, none) = self.ask_one(&self.plain, query, variables, token).await;
        assert_eq!(none, 0);
        assert_eq!(planned.body, plain.body, "{query}\n{variables}");
        assert_eq!(planned.status, plain.status, "{query}\n{variables}");
        (planned, written)
    }
}

/// The schema as the generator sees it.
struct Types(HashMap<String, Vec<FieldDefinition>>);

fn named(ty: &Type) -> &str {
    match &ty.base {
        BaseType::Named(name) => name,
        BaseType::List(of) => named(of),
    }
}

fn is_needed(argument: &InputValueDefinition) -> bool {
    !argument.ty.node.nullable && argument.default_value.is_none()
}

impl Types {
    fn of_the_schema() -> Self {
        let document = parse_schema(companion::graphql::sdl()).unwrap();
        let mut types = HashMap::new();
        for definition in document.definitions {
            if let TypeSystemDefinition::Type(ty) = definition
                && let TypeKind::Object(object) = ty.node.kind
            {
                let fields = object.fields.into_iter().map(|field| field.node).collect();
                types.insert(ty.node.name.node.to_string(), fields);
            }
        }
        Self(types)
    }
}

/// Fields that only resolvers answer; a random query has one now and then, most have none.
const RESOLVED: &[&str] = &[
    "Provider.stats",
    "Provider.media",
    "Provider.availabilities",
    "Provider.slots",
    "Provider.bookings",
    "User.account",
    "User.avatar",
    "Review.booking",
    "Booking.order",
    "Booking.closedBy",
    "Booking.needsAttention",
    "Booking.proposal",
    "Booking.events",
    "Booking.viewerActions",
    "Booking.review",
];

/// Writes random selections.
struct Writer<'a> {
    types: &'a Types,
    random: StdRng,
    fragments: String,
    fragment_count: usize,
}

impl Writer<'_> {
    fn chance(&mut self, percent: u32) -> bool {
        self.random.random_ratio(percent, 100)
    }

    fn pick<'b>(&mut self, from: &[&'b str]) -> &'b str {
        from.choose(&mut self.random).unwrap()
    }

    /// `{ … }` of a type.
    fn set(&mut self, ty: &str, depth: usize) -> String {
        let mut text = "{".to_owned();
        for _ in 0..self.random.random_range(1..=4) {
            let item = match self.random.random_range(0..20) {
                0 => "__typename".to_owned(),
                1 => format!("t{}: __typename", self.random.random_range(0..3)),
                2 => format!("... on {ty} {}", self.set(ty, depth)),
                3 => format!("... {} {}", self.directive(), self.set(ty, depth)),
                4 => self.spread(ty, depth),
                5 if !ty.ends_with("Connection")
                    && !["Edge", "Info", "Money"]
                        .iter()
                        .any(|end| ty.ends_with(end)) =>
                {
                    "... on Node { id }".to_owned()
                }
                _ => self.field(ty, depth),
            };
            write!(text, " {item}").unwrap();
        }
        text + " }"
    }

    fn directive(&mut self) -> String {
        self.pick(&[
            "",
            "",
            "@include(if: true)",
            "@skip(if: false)",
            "@skip(if: $yes)",
            "@include(if: $yes)",
        ])
        .to_owned()
    }

    fn spread(&mut self, ty: &str, depth: usize) -> String {
        self.fragment_count += 1;
        let name = format!("F{}", self.fragment_count);
        let set = self.set(ty, depth);
        writeln!(self.fragments, "fragment {name} on {ty} {set}").unwrap();
        format!("...{name} {}", self.directive())
    }

    fn field(&mut self, ty: &str, depth: usize) -> String {
        let types = self.types;
        let resolved = self.chance(2);
        let fields: Vec<&FieldDefinition> = types.0[ty]
            .iter()
            .filter(|field| {
                let name = format!("{ty}.{}", field.name.node);
                let below = types.0.contains_key(named(&field.ty.node));
                (resolved || !RESOLVED.contains(&name.as_str())) && (depth > 0 || !below)
            })
            .collect();
        let Some(field) = fields.choose(&mut self.random).copied() else {
            return "__typename".to_owned();
        };
        let name = field.name.node.as_str();
        let below = named(&field.ty.node);
        let mut text = String::new();
        let args = self.arguments(ty, field);
        // Of two fields with one key the arguments must be the same, so one with arguments gets a key of its own.
        if !args.is_empty() {
            write!(text, "a{}: ", self.random.random_range(0..u32::MAX)).unwrap();
        } else if self.chance(15) {
            write!(text, "{}{}: ", self.pick(&["x", "y"]), name).unwrap();
        }
        write!(text, "{name}{args} {}", self.directive()).unwrap();
        if types.0.contains_key(below) {
            text += &self.set(below, depth - 1);
        }
        text
    }

    fn arguments(&mut self, ty: &str, field: &FieldDefinition) -> String {
        let mut args = Vec::new();
        for argument in &field.arguments {
            let name = argument.node.name.node.as_str();
            let needed = is_needed(&argument.node);
            let value = match (ty, name) {
                (_, "from") if needed => Some("\"2026-11-21T00:00:00Z\""),
                (_, "to") if needed => Some("\"2026-11-25T00:00:00Z\""),
                (_, "serviceId") if needed => Some("$service"),
                (_, "first") if self.chance(60) => {
                    Some(self.pick(&["1", "2", "3", "4", "5", "$few", "null"]))
                }
                (_, "first") if self.chance(2) => Some(self.pick(&["0", "101"])),
                (_, "after") if self.chance(3) => Some(self.pick(&["\"nonsense\"", "null"])),
                (_, "rating") if self.chance(20) => Some(self.pick(&["5", "4", "null"])),
                (_, "rating") if self.chance(2) => Some("6"),
                _ => None,
            };
            args.extend(value.map(|value| format!("{name}: {value}")));
        }
        if args.is_empty() {
            String::new()
        } else {
            format!("({})", args.join(", "))
        }
    }
}

/// Where plans begin: how the field is written, and its type.
const ROOTS: [(&str, &str); 8] = [
    ("providers(first: 4, sort: RATING)", "ProviderConnection"),
    (
        "providers(first: 3, sort: PRICE, after: $after)",
        "ProviderConnection",
    ),
    ("providers(last: 2, sort: NEWEST)", "ProviderConnection"),
    ("provider(id: $provider)", "Provider"),
    ("provider(id: \"prv_nobody\")", "Provider"),
    ("services(first: 5)", "ServiceConnection"),
    ("reviews(of: $provider, first: 3)", "ReviewConnection"),
    ("bookings(first: 4)", "BookingConnection"),
];

/// Where each type is found below the hot lists; `*` is the field.
const PLACES: [(&str, &str); 12] = [
    ("ProviderConnection", "{ providers(first: 2) { * } }"),
    ("ProviderEdge", "{ providers(first: 2) { edges { * } } }"),
    ("PageInfo", "{ providers(first: 2) { pageInfo { * } } }"),
    ("Provider", "{ providers(first: 2) { nodes { * } } }"),
    ("User", "{ providers(first: 2) { nodes { user { * } } } }"),
    ("City", "{ providers(first: 2) { nodes { city { * } } } }"),
    (
        "ProviderService",
        "{ providers(first: 2) { nodes { services { * } } } }",
    ),
    (
        "Money",
        "{ providers(first: 2) { nodes { services { price { * } } } } }",
    ),
    ("Service", "{ services(first: 2) { nodes { * } } }"),
    (
        "Category",
        "{ services(first: 2) { nodes { category { * } } } }",
    ),
    (
        "Review",
        "{ providers(first: 2) { nodes { reviews(first: 2) { nodes { * } } } } }",
    ),
    ("Booking", "{ me { bookings(first: 2) { nodes { * } } } }"),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_field_asked_alone_is_planned_unless_only_its_resolver_answers() {
    let pair = Pair::start().await;
    let client = pair.people[1].1.as_deref();
    let types = Types::of_the_schema();
    for (ty, place) in PLACES {
        for field in &types.0[ty] {
            let mut alone = field.name.node.to_string();
            let name = format!("{ty}.{alone}");
            if types.0.contains_key(named(&field.ty.node)) {
                alone += " { __typename }";
            }
            let mut arguments = field.arguments.iter();
            if arguments.any(|argument| is_needed(&argument.node)) {
                continue;
            }
            let query = place.replace('*', &alone);
            let (said, written) = pair.ask(&query, &json!({}), client).await;
            assert_eq!(said.status, 200, "{}", said.body);
            let expected = u32::from(!RESOLVED.contains(&name.as_str()));
            assert_eq!(written, expected, "{query}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_selections_are_answered_the_same() {
    let pair = Pair::start().await;
    let seen = pair
        .planned
        .anonymous()
        .query("{ providers(first: 1, sort: PRICE) { nodes { id services { service { id } } } pageInfo { endCursor } } }")
        .await;
    let page = &seen.data()["providers"];
    let variables = json!({
        "yes": true, "few": 2,
        "provider": page["nodes"][0]["id"],
        "service": page["nodes"][0]["services"][0]["service"]["id"],
        "after": page["pageInfo"]["endCursor"],
    });
    let types = Types::of_the_schema();
    let (mut by_plan, mut by_resolvers, mut refused) = (0, 0, 0);
    for seed in 0..400 {
        let mut writer = Writer {
            types: &types,
            random: StdRng::seed_from_u64(seed),
            fragments: String::new(),
            fragment_count: 0,
        };
        let (who, token) = pair.people[writer.random.random_range(0..pair.people.len())].clone();
        let mut body = String::new();
        for root in 0..writer.random.random_range(1..=2) {
            let (field, ty) = *ROOTS.choose(&mut writer.random).unwrap();
            // `bookings` of the root is for staff; everybody has their own.
            let (before, after) = match ty {
                "BookingConnection" => (format!("r{root}: me {{ "), " }"),
                _ => (String::new(), ""),
            };
            let depth = writer.random.random_range(1..=4);
            let set = writer.set(ty, depth);
            write!(body, " {before}k{root}: {field} {set}{after}").unwrap();
        }
        let declared = [
            ("yes", "Boolean! = true"),
            ("few", "Int"),
            ("provider", "ID!"),
            ("service", "ID!"),
            ("after", "String"),
        ];
        let text = format!("{body} {}", writer.fragments);
        let used: Vec<String> = declared
            .iter()
            .filter(|(name, _)| text.contains(&format!("${name}")))
            .map(|(name, ty)| format!("${name}: {ty}"))
            .collect();
        let head = match used.as_slice() {
            [] => "query".to_owned(),
            used => format!("query({})", used.join(", ")),
        };
        let query = format!("{head} {{{body} }}\n{}", writer.fragments);
        let mut given = serde_json::Map::new();
        for (name, _) in declared {
            if text.contains(&format!("${name}")) {
                given.insert(name.to_owned(), variables[name].clone());
            }
        }
        let (said, written) = pair
            .ask(&query, &Value::Object(given), token.as_deref())
            .await;
        match (said.status, written) {
            (200, 0) => by_resolvers += 1,
            (200, _) => by_plan += 1,
            _ => {
                refused += 1;
                assert!(
                    refused < 100,
                    "seed {seed} as {who}: {}\n{query}",
                    said.body
                );
            }
        }
    }
    // Else the comparison would compare resolvers with themselves.
    assert!(
        by_plan > 150 && by_resolvers > 20,
        "{by_plan} by plan, {by_resolvers} by resolvers, {refused} refused"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hot_lists_are_planned_with_one_statement_an_edge() {
    let pair = Pair::start().await;
    let client = pair.people[1].1.as_deref();
    for (query, statements) in [
        // The statements of each: the page, people, prices with services, their categories, reviews with authors.
        (
            "{ providers(first: 20) { nodes { id displayName user { id displayName }
                services { id price { amountMinor currency formatted } service { title category { slug } } }
                reviews(first: 3) { nodes { rating author { displayName } } } } } }",
            5,
        ),
        ("{ providers { edges { cursor node { id city { name } } } pageInfo { endCursor } } }", 2),
        ("{ services { nodes { id title category { title } } } }", 2),
        (
            "{ me { bookings { nodes { id state startsAt client { displayName } service { title } price { formatted }
                provider { displayName services { durationMinutes service { title } } } } } } }",
            6,
        ),
    ] {
        let (said, written) = pair.ask(query, &json!({}), client).await;
        assert_eq!((said.statements, written), (statements, 1), "{query}\n{}", said.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whether_more_follows_is_known_wherever_it_is_asked() {
    let pair = Pair::start().await;
    let client = pair.people[1].1.as_deref();
    for (before, list, on, after) in [
        ("", "providers(first: 2)", "ProviderConnection", ""),
        (
            "providers(first: 1) { nodes {",
            "reviews(first: 1)",
            "ReviewConnection",
            "} }",
        ),
        ("me {", "bookings(first: 2)", "BookingConnection", "}"),
    ] {
        for (selected, planned) in [
            (
                format!("{list} {{ nodes {{ id }} pageInfo {{ hasNextPage }} }}"),
                true,
            ),
            (
                format!("{list} {{ x: pageInfo {{ hasNextPage }} nodes {{ id }} }}"),
                true,
            ),
            (
                format!(
                    "{list} {{ ... @include(if: true) {{ ... {{ pageInfo {{ hasNextPage }} }} }} }}"
                ),
                true,
            ),
            (format!("{list} {{ nodes {{ id }} ...Info }}"), true),
            // Two fields of one key, and two of the same page: one of each asks.
            (
                format!("{list} {{ nodes {{ id }} }} {list} {{ pageInfo {{ hasNextPage }} }}"),
                !before.is_empty() && on == "ReviewConnection",
            ),
            (
                format!(
                    "a: {list} {{ nodes {{ id }} }} b: {list} {{ pageInfo {{ hasNextPage }} }}"
                ),
                true,
            ),
        ] {
            let fragment = if selected.contains("...Info") {
                format!(
                    "fragment Info on {on} {{ pageInfo {{ ...More }} }} fragment More on PageInfo {{ hasNextPage }}"
                )
            } else {
                String::new()
            };
            let query = format!("{{ {before} {selected} {after} }} {fragment}");
            let (said, written) = pair.ask(&query, &json!({}), client).await;
            assert!(
                said.body.contains("\"hasNextPage\":true"),
                "{query}\n{}",
                said.body
            );
            assert_eq!(written > 0, planned, "{query}");
        }
    }
    let backwards =
        "{ providers(sort: NEWEST, last: 2) { nodes { id } pageInfo { hasPreviousPage } } }";
    let (said, _) = pair.ask(backwards, &json!({}), None).await;
    assert!(
        said.body.contains("\"hasPreviousPage\":true"),
        "{}",
        said.body
    );
    // Pages of two sizes for which as many rows are read.
    let sizes = "{ providers(first: 1) { nodes { a: reviews(first: 7) { nodes { id } }
        b: reviews(first: 8) { pageInfo { hasNextPage } } c: reviews(first: 7) { pageInfo { hasNextPage } } } } }";
    assert_eq!(pair.ask(sizes, &json!({}), None).await.1, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_beyond_the_page_is_read_where_somebody_asks_for_it() {
    let pair = Pair::start().await;
    let client = pair.people[1].1.as_deref();
    for (before, list, table, size, after) in [
        ("", "providers", "providers", 5, ""),
        (
            "providers(first: 1) { nodes {",
            "reviews",
            "reviews",
            10,
            "} }",
        ),
        ("me {", "bookings", "bookings", 20, "}"),
    ] {
        // Among what both servers sent last on each of their connections.
        let sent = async |rows: i32| {
            let with_limit = format!(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
                 AND query ~ 'FROM \"?{table}\\M.* LIMIT {rows}\\M'"
            );
            pair.planned.number(&with_limit).await > 0
        };
        let query =
            |page: &str| format!("{{ {before} {list}(first: {size}) {{ {page} }} {after} }}");
        pair.ask(&query("nodes { id }"), &json!({}), client).await;
        assert_eq!(
            (sent(size).await, sent(size + 1).await),
            (true, false),
            "{list}"
        );
        pair.ask(
            &query("nodes { id } pageInfo { endCursor }"),
            &json!({}),
            client,
        )
        .await;
        assert!(sent(size + 1).await, "{list}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_told_by_the_resolvers() {
    let pair = Pair::start().await;
    let nested = "{ providers(first: 3) { nodes { id reviews(first: 2) { nodes { author { displayName } } } } } }";
    let (said, written) = pair.ask(nested, &json!({}), None).await;
    assert_eq!((said.status, written), (200, 1));

    // Two selections of one field are merged, which what a plan has written can't be.
    let merged = "{ providers(first: 1) { nodes { id } } providers(first: 1) { nodes { displayName } pageInfo { hasNextPage } } }";
    let (said, written) = pair.ask(merged, &json!({}), None).await;
    assert_eq!(written, 0);
    assert!(
        said.body.contains("displayName") && said.body.contains("\"id\""),
        "{}",
        said.body
    );
    let client = pair.people[1].1.as_deref();
    let merged = "{ me { bookings(first: 1) { nodes { id } } } me { bookings(first: 1) { nodes { state } } } }";
    assert_eq!(pair.ask(merged, &json!({}), client).await.1, 0);

    // Fields with one key that differ, in two selections of their parent: neither could be answered without losing the other.
    for nodes in [
        "nodes { reviews(first: 3) { nodes { id } } } nodes { reviews(first: 1) { nodes { rating } } }",
        "nodes { reviews(rating: 5) { nodes { id } } ... on Provider { reviews(rating: 4) { nodes { comment } } } }",
        "nodes { x: user { id } ... on Provider { x: city { y: id } } }",
    ] {
        let query = format!("{{ providers(first: 3) {{ {nodes} }} }}");
        let (said, _) = pair.ask(&query, &json!({}), None).await;
        let refused = said.body.contains("BAD_REQUEST") && said.body.contains("conflict because");
        assert!(refused, "{query}: {}", said.body);
    }
    // Fields that are the same, and together ask for a total.
    let total = "{ providers(first: 2) { nodes { ...A ...B } } }
        fragment A on Provider { reviews(first: 1) { nodes { id } } }
        fragment B on Provider { reviews(first: 1) { totalCount } }";
    let (said, written) = pair.ask(total, &json!({}), None).await;
    assert_eq!(written, 1);
    assert!(!said.body.contains("\"totalCount\":null"), "{}", said.body);

    // An argument that is refused, below a list that is planned otherwise.
    let bad = "{ providers(first: 1) { nodes { reviews(first: 0) { nodes { id } } } } }";
    let (said, written) = pair.ask(bad, &json!({}), None).await;
    assert_eq!(written, 0);
    assert!(said.body.contains("BAD_REQUEST"), "{}", said.body);

    // A statement that fails.
    pair.planned
        .sql("ALTER TABLE reviews RENAME TO elsewhere")
        .await;
    let (said, written) = pair.ask(nested, &json!({}), None).await;
    // It is sent once: what took too long would take as long again.
    assert_eq!((written, said.statements), (0, 3));
    let path = r#""path":["providers","nodes",0"#;
    assert!(
        said.body.contains("INTERNAL") && said.body.contains(path),
        "{}",
        said.body
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_answered_the_same_whatever_was_asked_before() {
    let app = TestApp::start().await;
    let client = app.anonymous();
    let literal =
        "query($t: String = \"a\") { services(filter: { bogus: 1, text: $t }) { nodes { id } } }";
    let two = "query A { me { id } } query B($t: String) { services(filter: { bogus: 1, text: $t }) { nodes { id } } }";
    let kinds = "query($n: Int = 1, $id: ID!) { services(first: $n) { nodes { id } } provider(id: $id) { id } }";
    let ask = async |query: &str, variables: Value, operation: Option<&str>| {
        let body = json!({ "query": query, "variables": variables, "operationName": operation });
        let request = client.http().post(client.url("/graphql")).json(&body);
        let request = request.header("accept", "application/graphql-response+json");
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(ask(literal, json!({ "t": "a" }), None).await, 400);
    ask(literal, json!({}), None).await;
    assert_eq!(ask(literal, json!({ "t": "a" }), None).await, 400);

    ask(two, json!({}), Some("A")).await;
    assert_eq!(ask(two, json!({ "t": "a" }), Some("B")).await, 400);

    let right = json!({ "n": 2, "id": "prv_x" });
    for _ in 0..2 {
        assert_eq!(ask(kinds, right.clone(), None).await, 200);
    }
    for wrong in [
        json!({ "n": "2", "id": "prv_x" }),
        json!({ "n": 2, "id": null }),
        json!({ "n": 2 }),
        json!({ "n": 2, "id": ["prv_x"] }),
        json!({ "n": 2, "id": true }),
    ] {
        assert_eq!(ask(kinds, wrong.clone(), None).await, 400, "{wrong}");
    }
    assert_eq!(ask(kinds, right, None).await, 200);
}
