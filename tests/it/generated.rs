//! Generated operations: whatever is asked, the answer is one of ours, never a fault.
//!
//! The schema is read from the server itself. Selections and arguments are drawn from it, some bent out of shape, and
//! sent by different people over demo data. `GENERATED_QUERIES` and `GENERATED_SEEDS` ask for more than the suite does;
//! `GENERATED_SEED` for one seed of a failure.

use std::collections::BTreeMap;

use companion::{
    db::ids::{
        AvailabilityId, BookingId, CategoryId, CityId, MediaId, OrderId, ProviderId,
        ProviderServiceId, ReportId, ReviewId, ServiceId, SessionId, UserId,
    },
    demo,
};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::support::{Client, TestApp};

const QUERIES: usize = 1_000;
const SEED: u64 = 20_261_121;

const INTROSPECTION: &str = "{ __schema { types { kind name
    fields(includeDeprecated: true) { name args { ...V } type { ...T } }
    inputFields { ...V } enumValues(includeDeprecated: true) { name } possibleTypes { name } } } }
    fragment V on __InputValue { name defaultValue type { ...T } }
    fragment T on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }";

/// A type as it is written: `[ID!]!`.
#[derive(Clone, Debug)]
enum Kind {
    Named(String),
    List(Box<Kind>),
    Required(Box<Kind>),
}

impl Kind {
    fn of(json: &Value) -> Self {
        let inner = || Box::new(Self::of(&json["ofType"]));
        match json["kind"].as_str().unwrap() {
            "NON_NULL" => Self::Required(inner()),
            "LIST" => Self::List(inner()),
            _ => Self::Named(json["name"].as_str().unwrap().to_owned()),
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Named(name) => name,
            Self::List(inner) | Self::Required(inner) => inner.name(),
        }
    }

    fn written(&self) -> String {
        match self {
            Self::Named(name) => name.clone(),
            Self::List(inner) => format!("[{}]", inner.written()),
            Self::Required(inner) => format!("{}!", inner.written()),
        }
    }
}

struct Input {
    name: String,
    kind: Kind,
    optional: bool,
}

struct Field {
    name: String,
    arguments: Vec<Input>,
    kind: Kind,
}

#[derive(Default)]
struct Type {
    fields: Vec<Field>,
    inputs: Vec<Input>,
    values: Vec<String>,
    possible: Vec<String>,
}

struct Schema(BTreeMap<String, Type>);

fn list<'a>(json: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    json[name].as_array().into_iter().flatten()
}

fn name_of(json: &Value) -> String {
    json["name"].as_str().unwrap().to_owned()
}

fn input_of(json: &Value) -> Input {
    let kind = Kind::of(&json["type"]);
    Input {
        name: name_of(json),
        optional: !matches!(kind, Kind::Required(_)) || !json["defaultValue"].is_null(),
        kind,
    }
}

impl Schema {
    async fn read(client: &Client) -> Self {
        let answer = client.query(INTROSPECTION).await;
        let types = list(&answer.data()["__schema"], "types").map(|json| {
            let fields = list(json, "fields").map(|field| Field {
                name: name_of(field),
                arguments: list(field, "args").map(input_of).collect(),
                kind: Kind::of(&field["type"]),
            });
            let read = Type {
                fields: fields.collect(),
                inputs: list(json, "inputFields").map(input_of).collect(),
                values: list(json, "enumValues").map(name_of).collect(),
                possible: list(json, "possibleTypes").map(name_of).collect(),
            };
            (name_of(json), read)
        });
        Self(types.collect())
    }
}

const TEXTS: &[&str] = &[
    "",
    " ",
    "a",
    "Berlin",
    "Anna",
    "Ёлка 林",
    "' OR 1=1 --",
    "%_\\",
    "\u{0}",
    "a\u{0}b",
    "\u{202e}abc",
    "line\nline\r\nline",
    "e\u{301}",
    "\u{1f469}\u{200d}\u{1f680}",
    "<script>alert(1)</script>",
    "{{now}}",
    "null",
    "9007199254740993",
    "demo_client",
    "anna_b",
    "https://example.com/a?b=c#d",
    "http://localhost:3000/done",
    "javascript:alert(1)",
    "http://[::1",
    "someone@example.com",
    "a@b",
    "Europe/Berlin",
    "Nowhere/Land",
    "EUR",
    "JPY",
    "XXX",
    "eyJhbGciOiJub25lIn0.e30.",
    "auth_date=1&hash=00",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "key-1",
    "key-2",
];

const TIMES: &[&str] = &[
    "2026-11-21T12:00:00Z",
    "2026-11-22T10:00:00Z",
    "2026-11-23T09:30:00+01:00",
    "2026-11-24T00:00:00Z",
    "2026-12-01T00:00:00Z",
    "2000-01-01T00:00:00Z",
    "2100-12-31T23:59:59.999999999Z",
];

const NO_TIMES: &[&str] = &[
    "1999-12-31T23:59:59Z",
    "9999-12-31T23:59:60Z",
    "2026-02-30T00:00:00Z",
    "2026-11-21",
    "-0001-01-01T00:00:00Z",
    "2026-11-21T12:00:00",
    "soon",
];

/// Draws operations.
struct Generator<'a> {
    schema: &'a Schema,
    rng: StdRng,
    ids: &'a [String],
    cursors: Vec<String>,
    /// Declared variables and their values, of the operation being made.
    variables: Vec<(String, String, Value)>,
    /// The field whose arguments are being made: `bookingCancel` wants a booking.
    owner: String,
    /// How often a value is none that its type has.
    bent: f64,
}

struct Operation {
    query: String,
    variables: Value,
}

impl Generator<'_> {
    fn chance(&mut self, probability: f64) -> bool {
        self.rng.random_bool(probability)
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from.choose(&mut self.rng).unwrap().clone()
    }

    fn operation(&mut self) -> Operation {
        self.variables.clear();
        self.bent = self.pick(&[0.0, 0.0, 0.02, 0.2]);
        let mutates = self.chance(0.4);
        let root = if mutates { "Mutation" } else { "Query" };
        let fields = self.rng.random_range(1..=2);
        let depth = self.rng.random_range(1..=5);
        let body = self.selection(root, depth, fields);
        let declared: Vec<String> = self
            .variables
            .iter()
            .map(|(name, kind, _)| format!("${name}: {kind}"))
            .collect();
        let declared = if declared.is_empty() {
            String::new()
        } else {
            format!("({})", declared.join(", "))
        };
        let word = if mutates { "mutation" } else { "query" };
        let mut query = format!("{word} Generated{declared} {body}");
        let mut variables: Map<String, Value> = self
            .variables
            .drain(..)
            .map(|(name, _, value)| (name, value))
            .collect();
        if self.chance(0.05) {
            query = self.damaged(&query);
        }
        if self.chance(0.05) && !variables.is_empty() {
            let name = variables.keys().next().unwrap().clone();
            let value = self.garbage(2);
            variables.insert(name, value);
        }
        Operation {
            query,
            variables: variables.into(),
        }
    }

    fn damaged(&mut self, query: &str) -> String {
        let mut text: Vec<char> = query.chars().collect();
        for _ in 0..self.rng.random_range(1..=3) {
            if text.is_empty() {
                break;
            }
            let at = self.rng.random_range(0..text.len());
            match self.rng.random_range(0..4) {
                0 => _ = text.remove(at),
                1 => text.insert(
                    at,
                    self.pick(&['{', '}', '(', '"', '$', '@', '!', '\u{0}', 'é', '.', '#']),
                ),
                2 => text[at] = self.pick(&['x', '0', ' ', ':', '[']),
                _ => text.truncate(at.max(1)),
            }
        }
        text.into_iter().collect()
    }

    fn selection(&mut self, name: &str, depth: usize, fields: usize) -> String {
        let schema = self.schema;
        let known = &schema.0[name];
        if !known.possible.is_empty() && (known.fields.is_empty() || self.chance(0.7)) {
            let one = self.pick(&known.possible);
            let inner = self.selection(&one, depth, fields);
            return format!("{{ __typename ... on {one} {inner} }}");
        }
        let mut chosen: Vec<(String, String)> = Vec::new();
        for _ in 0..fields {
            let field = known.fields.choose(&mut self.rng).unwrap();
            if chosen.iter().any(|(taken, _)| *taken == field.name) {
                continue;
            }
            let below = &schema.0[field.kind.name()];
            let leaf = below.fields.is_empty() && below.possible.is_empty();
            let selected = if leaf {
                String::new()
            } else if depth == 0 {
                " { __typename }".to_owned()
            } else {
                let fields = self.rng.random_range(1..=4);
                format!(" {}", self.selection(field.kind.name(), depth - 1, fields))
            };
            self.owner.clone_from(&field.name);
            let arguments = self.arguments(&field.arguments);
            chosen.push((
                field.name.clone(),
                format!("{}{arguments}{selected}", field.name),
            ));
        }
        if name.ends_with("Payload") && !chosen.iter().any(|(taken, _)| taken == "userErrors") {
            chosen.push((
                String::new(),
                "userErrors { code message field details }".to_owned(),
            ));
        }
        if name == "PageInfo" || name.ends_with("Edge") {
            chosen.push((String::new(), "__typename".to_owned()));
        }
        if chosen.is_empty() || self.chance(0.05) {
            chosen.push((String::new(), "__typename".to_owned()));
        }
        let texts: Vec<String> = chosen.into_iter().map(|(_, text)| text).collect();
        format!("{{ {} }}", texts.join(" "))
    }

    fn arguments(&mut self, inputs: &[Input]) -> String {
        let mut given = Vec::new();
        let pages: &[&str] = match self.rng.random_range(0..10) {
            0..6 => &["last", "before"],
            6..9 => &["first", "after"],
            _ => &[],
        };
        for input in inputs {
            if input.optional && pages.contains(&input.name.as_str()) {
                continue;
            }
            let needed = input.name == "last" && pages.contains(&"first");
            if input.optional && !needed && !self.chance(0.4) {
                continue;
            }
            if !input.optional && self.chance(self.bent / 4.0) {
                continue;
            }
            let value = self.named_value(input, 3);
            let text = if self.chance(0.6) {
                let name = format!("v{}", self.variables.len());
                self.variables
                    .push((name.clone(), input.kind.written(), value));
                format!("${name}")
            } else {
                self.literal(&input.kind, &value)
            };
            given.push(format!("{}: {text}", input.name));
        }
        if given.is_empty() {
            String::new()
        } else {
            format!("({})", given.join(", "))
        }
    }

    fn named_value(&mut self, input: &Input, depth: usize) -> Value {
        match input.name.as_str() {
            // Or nearly everything would be too complex.
            "first" | "last" if self.chance(0.9) => json!(self.rng.random_range(1..=3)),
            "after" | "before" if !self.cursors.is_empty() && self.chance(0.8) => {
                let cursors = std::mem::take(&mut self.cursors);
                let cursor = self.pick(&cursors);
                self.cursors = cursors;
                json!(cursor)
            }
            name if input.kind.name() == "ID" && self.chance(0.8) => {
                let wanted = prefix(name).or_else(|| prefix(&self.owner));
                let fit: Vec<String> = self
                    .ids
                    .iter()
                    .filter(|id| wanted.is_some_and(|wanted| id.starts_with(wanted)))
                    .cloned()
                    .collect();
                match &input.kind {
                    Kind::Named(_) if !fit.is_empty() => json!(self.pick(&fit)),
                    Kind::Required(inner)
                        if matches!(**inner, Kind::Named(_)) && !fit.is_empty() =>
                    {
                        json!(self.pick(&fit))
                    }
                    kind => self.value(kind, depth),
                }
            }
            _ => self.value(&input.kind, depth),
        }
    }

    fn value(&mut self, kind: &Kind, depth: usize) -> Value {
        if self.chance(self.bent) {
            return self.garbage(2);
        }
        match kind {
            Kind::Required(inner) => match self.value(inner, depth) {
                Value::Null => self.value(inner, depth),
                value => value,
            },
            Kind::List(inner) => {
                let length = self.pick(&[0, 1, 1, 2, 3, 5]);
                (0..length).map(|_| self.value(inner, depth)).collect()
            }
            Kind::Named(name) => self.scalar(name, depth),
        }
    }

    fn scalar(&mut self, name: &str, depth: usize) -> Value {
        let schema = self.schema;
        let known = &schema.0[name];
        if !known.values.is_empty() {
            return json!(self.pick(&known.values));
        }
        if !known.inputs.is_empty() {
            let mut object = Map::new();
            let one_of = known.inputs.iter().all(|input| input.optional);
            let only = one_of.then(|| self.rng.random_range(0..known.inputs.len()));
            for (index, input) in known.inputs.iter().enumerate() {
                let wanted = !input.optional || only == Some(index) || self.chance(0.4);
                if wanted && (depth > 0 || !input.optional) {
                    let value = self.named_value(input, depth.saturating_sub(1));
                    object.insert(input.name.clone(), value);
                }
            }
            return object.into();
        }
        let number = self.pick(&[-1_i64, 0, 1, 2, 5, 30, 60, 500, 5_000, i64::from(i32::MAX)]);
        match name {
            "ID" => json!(self.pick(self.ids)),
            "Int" => json!(number),
            "Int64" => {
                let large = self.pick(&[(1 << 53) - 1, 1 << 53, i64::MAX, i64::MIN, -(1 << 53)]);
                json!(if self.chance(0.05) { large } else { number })
            }
            "Float" => json!(self.rng.random_range(-2.0..6.0)),
            "Boolean" => json!(self.chance(0.5)),
            "DateTime" => {
                let times = if self.chance(0.05) { NO_TIMES } else { TIMES };
                json!(self.pick(times))
            }
            "LocalDate" => {
                json!(self.pick(&["2026-11-22", "2026-12-24", "2026-11-30", "2026-02-29"]))
            }
            "LocalTime" => json!(self.pick(&["09:00", "18:30", "00:00", "23:59:59", "24:00"])),
            "JSON" => self.garbage(3),
            _ if self.chance(0.02) => json!("x".repeat(5_000)),
            _ => json!(self.pick(TEXTS)),
        }
    }

    fn garbage(&mut self, depth: usize) -> Value {
        match self.rng.random_range(0..9) {
            0 => Value::Null,
            1 => json!(self.chance(0.5)),
            2 => json!(self.pick(&[0_i64, -1, i64::MAX, i64::MIN, 1 << 31])),
            3 => json!(self.pick(&[0.5, -0.0, 1e308, 1e-308])),
            4 | 5 => json!(self.pick(TEXTS)),
            6 => json!(self.pick(self.ids)),
            7 if depth > 0 => (0..3).map(|_| self.garbage(depth - 1)).collect(),
            8 if depth > 0 => {
                json!({ self.pick(&["a", "id", "", "\u{0}"]): self.garbage(depth - 1) })
            }
            _ => json!([]),
        }
    }

    /// A value as GraphQL writes it.
    fn literal(&mut self, kind: &Kind, value: &Value) -> String {
        match (kind, value) {
            (Kind::Required(inner), value) => self.literal(inner, value),
            (Kind::List(inner), Value::Array(items)) => {
                let items: Vec<_> = items.iter().map(|item| self.literal(inner, item)).collect();
                format!("[{}]", items.join(", "))
            }
            (Kind::Named(name), Value::String(text)) if !self.schema.0[name].values.is_empty() => {
                let plain = text
                    .chars()
                    .all(|char| char.is_ascii_alphanumeric() || char == '_');
                if plain && text.starts_with(|char: char| char.is_ascii_alphabetic()) {
                    text.clone()
                } else {
                    "NO_SUCH_VALUE".to_owned()
                }
            }
            (kind, Value::Object(object)) => {
                let schema = self.schema;
                let inputs = &schema.0[kind.name()].inputs;
                let fields: Vec<_> = object
                    .iter()
                    .filter(|(name, _)| name.starts_with(|char: char| char.is_ascii_alphabetic()))
                    .map(|(name, value)| {
                        let known = inputs.iter().find(|input| input.name == *name);
                        let inner = known.map_or(kind, |input| &input.kind);
                        format!("{name}: {}", self.literal(inner, value))
                    })
                    .collect();
                format!("{{ {} }}", fields.join(", "))
            }
            (kind, Value::Array(items)) => {
                let items: Vec<_> = items.iter().map(|item| self.literal(kind, item)).collect();
                format!("[{}]", items.join(", "))
            }
            (_, other) => other.to_string(),
        }
    }
}

/// How ids begin that an argument or a field of this name is about.
fn prefix(name: &str) -> Option<&'static str> {
    [
        ("availabilit", "avl_"),
        ("booking", "bkg_"),
        ("order", "ord_"),
        ("refund", "ord_"),
        ("checkout", "ord_"),
        ("providerId", "prv_"),
        ("providerMedia", "med_"),
        ("provider", "prv_"),
        ("service", "srv_"),
        ("category", "cat_"),
        ("city", "cty_"),
        ("review", "rev_"),
        ("report", "rep_"),
        ("session", "ses_"),
        ("user", "usr_"),
        ("block", "usr_"),
    ]
    .iter()
    .find(|(word, _)| name.starts_with(word))
    .map(|(_, prefix)| *prefix)
}

const CODES: &[&str] = &[
    "BAD_REQUEST",
    "UNAUTHENTICATED",
    "FORBIDDEN",
    "RATE_LIMITED",
    "QUERY_TOO_COMPLEX",
];

/// What is wrong with an answer, if anything.
fn wrong(status: u16, body: &Value) -> Option<String> {
    if status >= 500 {
        return Some(format!("status {status}"));
    }
    if !body.is_object() || (body.get("data").is_none() && body.get("errors").is_none()) {
        return Some("no GraphQL answer".to_owned());
    }
    for error in list(body, "errors") {
        let extensions = &error["extensions"];
        let code = extensions["code"].as_str().unwrap_or("none");
        if !CODES.contains(&code) {
            return Some(format!("code {code}"));
        }
        if extensions["requestId"].as_str().is_none_or(str::is_empty) {
            return Some("no request id".to_owned());
        }
    }
    uncoded(&body["data"]).then(|| "a user error without a code".to_owned())
}

fn uncoded(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(uncoded),
        Value::Object(fields) => fields.iter().any(|(name, value)| {
            let errors = (name == "userErrors").then(|| value.as_array()).flatten();
            let uncoded_error =
                |error: &Value| error.get("code").is_some_and(|code| !code.is_string());
            errors.is_some_and(|errors| errors.iter().any(uncoded_error)) || uncoded(value)
        }),
        _ => false,
    }
}

fn cursors(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| cursors(item, found)),
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if name.to_ascii_lowercase().ends_with("cursor") => {
                        found.push(text.clone());
                    }
                    value => cursors(value, found),
                }
            }
        }
        _ => {}
    }
}

async fn ids(app: &TestApp) -> Vec<String> {
    let (client, connection) = tokio_postgres::connect(&app.database_url(), tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    type Written = fn(Uuid) -> String;
    let tables: [(&str, Written); 13] = [
        ("users", |id| UserId(id).to_string()),
        ("sessions", |id| SessionId(id).to_string()),
        ("providers", |id| ProviderId(id).to_string()),
        ("services", |id| ServiceId(id).to_string()),
        ("categories", |id| CategoryId(id).to_string()),
        ("cities", |id| CityId(id).to_string()),
        ("bookings", |id| BookingId(id).to_string()),
        ("orders", |id| OrderId(id).to_string()),
        ("reviews", |id| ReviewId(id).to_string()),
        ("reports", |id| ReportId(id).to_string()),
        ("availabilities", |id| AvailabilityId(id).to_string()),
        ("provider_services", |id| ProviderServiceId(id).to_string()),
        ("media", |id| MediaId(id).to_string()),
    ];
    let mut ids = Vec::new();
    for (table, written) in tables {
        // The same ones in each run, and those of the demo people among them.
        let sql = format!("SELECT id::text FROM {table} ORDER BY md5(id::text) LIMIT 20");
        for row in client.query(&sql, &[]).await.unwrap() {
            ids.push(written(row.get::<_, String>(0).parse().unwrap()));
        }
    }
    // What the people who ask own, whose ids would rarely be among so few.
    for (table, owner, written) in [
        (
            "bookings",
            "client_id",
            (|id| BookingId(id).to_string()) as Written,
        ),
        ("orders", "client_id", |id| OrderId(id).to_string()),
        ("providers", "user_id", |id| ProviderId(id).to_string()),
        ("sessions", "user_id", |id| SessionId(id).to_string()),
    ] {
        let sql = format!(
            "SELECT t.id::text FROM {table} t JOIN users u ON u.id = t.{owner} WHERE u.username LIKE 'demo%' ORDER BY t.id"
        );
        for row in client.query(&sql, &[]).await.unwrap() {
            ids.push(written(row.get::<_, String>(0).parse().unwrap()));
        }
    }
    let own = "SELECT b.id::text FROM bookings b JOIN providers p ON p.id = b.provider_id JOIN users u ON u.id = p.user_id
        WHERE u.username LIKE 'demo%' ORDER BY b.id";
    for row in client.query(own, &[]).await.unwrap() {
        ids.push(BookingId(row.get::<_, String>(0).parse().unwrap()).to_string());
    }
    let bent = ids[0].to_uppercase();
    ids.extend([
        bent,
        String::new(),
        "usr_".to_owned(),
        "bkg_zzzzzzzzzzzzzzzzzzzzzzzzzz".to_owned(),
    ]);
    ids.push(Uuid::nil().to_string());
    ids
}

const PEOPLE: [&str; 4] = [
    "demo_client",
    "demo_provider",
    "demo_moderator",
    "demo_admin",
];

/// Signs a demo person in, whatever was done to them meanwhile.
async fn signed_in(app: &TestApp, who: usize) -> Client {
    let username = PEOPLE[who];
    let (client, connection) = tokio_postgres::connect(&app.database_url(), tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let offset = app.person_offset(&client, username).await;
    app.sign_in(UserId(offset)).await
}

impl TestApp {
    /// The person who has, or had, this username, active again.
    async fn person_offset(&self, client: &tokio_postgres::Client, username: &str) -> Uuid {
        use std::sync::{Mutex, PoisonError};
        static KNOWN: Mutex<BTreeMap<String, Uuid>> = Mutex::new(BTreeMap::new());
        let key = format!("{} {username}", self.database_name());
        let known = KNOWN
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
            .copied();
        let id = match known {
            Some(id) => id,
            None => {
                let sql = format!("SELECT id::text FROM users WHERE username = '{username}'");
                let row = client.query_one(&sql, &[]).await.unwrap();
                row.get::<_, String>(0).parse().unwrap()
            }
        };
        KNOWN
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key, id);
        let active = format!("UPDATE users SET status = 'ACTIVE' WHERE id = '{id}'");
        client.batch_execute(&active).await.unwrap();
        id
    }
}

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name)
        .ok()
        .map_or(otherwise, |text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_operations_meet_no_fault() {
    let first = setting("GENERATED_SEED", SEED);
    let queries = usize::try_from(setting("GENERATED_QUERIES", QUERIES as u64)).unwrap();
    for seed in first..first + setting("GENERATED_SEEDS", 1) {
        run(seed, queries).await;
    }
}

async fn run(seed: u64, queries: usize) {
    let app = TestApp::start_with(|config| {
        config.sign_in_limits.per_address_per_minute = 1_000_000;
        config.sign_in_limits.refreshes_per_minute = 1_000_000;
    })
    .await;
    if std::env::var_os("GENERATED_LOG").is_some() {
        companion::logging::start(&app.app.config);
    }
    assert!(demo::load(&app.app).await.unwrap());
    let anyone = app.anonymous();
    let schema = Schema::read(&anyone).await;
    let ids = ids(&app).await;
    let mut people = Vec::new();
    for who in 0..PEOPLE.len() {
        people.push(signed_in(&app, who).await);
    }
    let mut generator = Generator {
        schema: &schema,
        rng: StdRng::seed_from_u64(seed),
        ids: &ids,
        cursors: Vec::new(),
        variables: Vec::new(),
        owner: String::new(),
        bent: 0.0,
    };
    let (mut asked, mut faults) = (0, Vec::new());
    let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
    while asked < queries {
        // Staff often, who may do most.
        let who = generator.pick(&[0, 0, 1, 1, 2, 3, 3, 3, 4]);
        let client = people.get(who).unwrap_or(&anyone).clone();
        let count = generator.pick(&[1, 1, 1, 1, 2, 4]);
        let operations: Vec<Operation> = (0..count).map(|_| generator.operation()).collect();
        asked += count;
        let bodies: Vec<Value> = operations
            .iter()
            .map(|operation| json!({ "query": operation.query, "variables": operation.variables }))
            .collect();
        let body = if count == 1 {
            bodies[0].clone()
        } else {
            json!(bodies)
        };
        let mut request = client.http().post(client.url("/graphql")).json(&body);
        if let Some(token) = client.token() {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let answer: Value = response.json().await.unwrap_or(Value::Null);
        let answers = match &answer {
            Value::Array(answers) => answers.clone(),
            one => vec![one.clone()],
        };
        for answer in &answers {
            let code = &answer["errors"][0]["extensions"]["code"];
            let outcome = code.as_str().unwrap_or("answered").to_owned();
            if outcome == "BAD_REQUEST" && std::env::var_os("GENERATED_LOG").is_some() {
                println!("BAD_REQUEST {}", answer["errors"][0]["message"]);
            }
            *outcomes.entry(outcome).or_default() += 1;
            if let Some(wrong) = wrong(status, answer) {
                faults.push(format!(
                    "{wrong}, asked by {who}:\n{}\n{answer:#}",
                    bodies
                        .iter()
                        .map(Value::to_string)
                        .collect::<Vec<_>>()
                        .join("\n")
                ));
            }
        }
        let mut found = Vec::new();
        cursors(&answer, &mut found);
        generator.cursors.extend(found);
        if generator.cursors.len() > 200 {
            generator.cursors.drain(..100);
        }
        if status == 401 && who < PEOPLE.len() {
            people[who] = signed_in(&app, who).await;
        }
    }
    println!(
        "seed {seed}: {asked} operations, {outcomes:?}, {} faults",
        faults.len()
    );
    assert!(
        faults.is_empty(),
        "seed {seed}: {} faults, among them\n\n{}",
        faults.len(),
        faults
            .iter()
            .take(5)
            .cloned()
            .collect::<Vec<_>>()
            .join("\n\n")
    );
    let answered = outcomes.get("answered").copied().unwrap_or_default();
    assert!(answered * 4 > asked, "too few are answered: {outcomes:?}");
}
