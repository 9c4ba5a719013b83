//! `node` and `nodes`: every type with an identity, for those who may see it.

use std::collections::BTreeMap;

use async_graphql::parser::{
    parse_schema,
    types::{TypeKind, TypeSystemDefinition},
};
use companion::db::ids::{BookingId, ProviderId, TypedId};
use serde_json::{Value, json};

use super::support::{Client, TestApp, market::Market};

/// Who sees a type's objects of this test.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Seen {
    /// By everyone.
    Always,
    /// By everyone while the provider's profile is public, then by its owner and staff.
    WithProvider,
    /// By the client, the provider and staff.
    BySides,
    /// By the client, who made it, and staff.
    ByMaker,
    /// By the client alone.
    ByOwner,
    /// By staff alone.
    ByStaff,
}

const KINDS: [(&str, Seen); 21] = [
    ("AuditEvent", Seen::ByStaff),
    ("Availability", Seen::WithProvider),
    ("Booking", Seen::BySides),
    ("BookingEvent", Seen::BySides),
    ("BookingProposal", Seen::BySides),
    ("Category", Seen::Always),
    ("Checkout", Seen::BySides),
    ("City", Seen::Always),
    ("Media", Seen::Always),
    ("Order", Seen::BySides),
    ("Permission", Seen::ByStaff),
    ("Provider", Seen::WithProvider),
    ("ProviderMedia", Seen::WithProvider),
    ("ProviderService", Seen::WithProvider),
    ("Refund", Seen::BySides),
    ("Report", Seen::ByMaker),
    ("Review", Seen::Always),
    ("Role", Seen::ByStaff),
    ("Service", Seen::Always),
    ("Session", Seen::ByOwner),
    ("User", Seen::Always),
];

/// The names of the object types of the schema with a field `id: ID!`, and whether each is a `Node`.
fn types_with_ids() -> BTreeMap<String, bool> {
    let mut types = BTreeMap::new();
    for definition in parse_schema(companion::graphql::sdl()).unwrap().definitions {
        if let TypeSystemDefinition::Type(ty) = definition
            && let TypeKind::Object(object) = ty.node.kind
            && object
                .fields
                .iter()
                .any(|field| field.node.name.node == "id")
        {
            let is_node = object.implements.iter().any(|name| name.node == "Node");
            types.insert(ty.node.name.node.to_string(), is_node);
        }
    }
    types
}

#[test]
fn what_has_an_identity_is_a_node() {
    let types = types_with_ids();
    let others: Vec<&str> = types
        .iter()
        .filter(|(_, is_node)| !**is_node)
        .map(|(name, _)| name.as_str())
        .collect();
    // `Me` has the identity of its `User`; an upload is told once, to who announced it, with a secret.
    assert_eq!(others, ["Me", "MediaUpload"]);
    let nodes: Vec<&str> = types
        .iter()
        .filter(|(_, is_node)| **is_node)
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(nodes, KINDS.map(|(name, _)| name));
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value}"))
        .to_owned()
}

/// Two objects of every type, or more.
struct World {
    market: Market,
    admin: Client,
    stranger: Client,
    ids: BTreeMap<&'static str, Vec<String>>,
}

impl World {
    fn app(&self) -> &TestApp {
        &self.market.app
    }

    fn add(&mut self, kind: &'static str, id: &Value) {
        let ids = self.ids.entry(kind).or_default();
        let id = text(id);
        if !ids.contains(&id) {
            ids.push(id);
        }
    }

    fn add_all(&mut self, kind: &'static str, nodes: &Value) {
        for node in nodes.as_array().unwrap() {
            self.add(kind, &node["id"]);
        }
    }

    async fn make() -> Self {
        let market = Market::open().await;
        let admin = market.app.user_with_roles("Ada", &["USER", "ADMIN"]).await;
        let stranger = market.app.user("Sam").await;
        let mut world = Self {
            market,
            admin,
            stranger,
            ids: BTreeMap::new(),
        };
        world.catalog().await;
        for minutes in [0, 120] {
            world.booking(minutes).await;
        }
        world.pictures().await;
        world.words().await;
        let client = world.market.client.clone();
        let access =
            "{ roles { nodes { id } } permissions { nodes { id } } auditEvents { nodes { id } } }";
        let access = world.admin.query(access).await.data().clone();
        world.add_all("Role", &access["roles"]["nodes"]);
        world.add_all("Permission", &access["permissions"]["nodes"]);
        world.add_all("AuditEvent", &access["auditEvents"]["nodes"]);
        let second = client.user_id.parse().unwrap();
        world.app().sign_in(second).await;
        let sessions = client.query("{ me { sessions { nodes { id } } } }").await;
        world.add_all("Session", &sessions.data()["me"]["sessions"]["nodes"]);
        for user in [client.user_id, world.stranger.user_id.clone()] {
            world.add("User", &json!(user));
        }
        world
    }

    async fn catalog(&mut self) {
        let market = &self.market;
        let (from, to) = (market.app.now(), market.at(0));
        let later = market.at(600);
        market
            .app
            .window_row(&market.provider_id, later, market.at(660))
            .await;
        let second = market.app.service_row("Talk").await;
        let other = market
            .app
            .price_row(&market.provider_id, &second, 100, 30)
            .await;
        let query = format!(
            "{{ categories {{ id }} cities {{ id }} services {{ nodes {{ id }} }}
                provider(id: \"{}\") {{ id services {{ id }} availabilities(from: \"{from}\", to: \"{}\") {{ id }} }} }}",
            market.provider_id,
            market.at(900)
        );
        assert!(from < to);
        let answer = market.client.query(&query).await;
        let data = answer.data().clone();
        self.add("ProviderService", &json!(other));
        self.add_all("Category", &data["categories"]);
        self.add_all("City", &data["cities"]);
        self.add_all("Service", &data["services"]["nodes"]);
        self.add("Provider", &data["provider"]["id"]);
        self.add_all("ProviderService", &data["provider"]["services"]);
        self.add_all("Availability", &data["provider"]["availabilities"]);
    }

    /// A paid booking with a proposal, of whose price a part goes back.
    async fn booking(&mut self, minutes: i64) {
        let booking = self.market.accepted(minutes).await;
        let order = self.market.paid(&booking).await;
        let start = self.market.at(minutes + 240);
        let propose = format!(
            "mutation {{ bookingReschedule(id: \"{booking}\", input: {{ startsAt: \"{start}\" }}, idempotencyKey: \"p{minutes}\")
                {{ booking {{ id }} userErrors {{ code }} }} }}"
        );
        let proposed = self.market.client.query(&propose).await;
        proposed.payload("bookingReschedule");
        let refund = format!(
            "mutation {{ refundCreate(orderId: \"{order}\", input: {{ amountMinor: 100, reason: \"Sorry\" }}, idempotencyKey: \"r{minutes}\")
                {{ refund {{ id }} userErrors {{ code }} }} }}"
        );
        let refunded = self.admin.query(&refund).await;
        self.add("Refund", &refunded.payload("refundCreate")["refund"]["id"]);
        let query = format!(
            "{{ booking(id: \"{booking}\") {{ id proposal {{ id }} events {{ id }} order {{ id checkout {{ id }} }} }} }}"
        );
        let read = self.market.client.query(&query).await;
        let read = read.data()["booking"].clone();
        self.add("Booking", &read["id"]);
        self.add("BookingProposal", &read["proposal"]["id"]);
        self.add_all("BookingEvent", &read["events"]);
        self.add("Order", &read["order"]["id"]);
        self.add("Checkout", &read["order"]["checkout"]["id"]);
    }

    async fn pictures(&mut self) {
        let pia = self.market.provider.clone();
        let mut png = std::io::Cursor::new(Vec::new());
        image::RgbImage::new(8, 8)
            .write_to(&mut png, image::ImageFormat::Png)
            .unwrap();
        let png = png.into_inner();
        for _ in 0..2 {
            let begin = format!(
                "mutation {{ mediaUploadBegin(input: {{ purpose: PORTFOLIO, byteSize: {} }})
                    {{ upload {{ id url }} userErrors {{ code }} }} }}",
                png.len()
            );
            let begun = pia.query(&begin).await;
            let upload = begun.payload("mediaUploadBegin")["upload"].clone();
            let sent = pia
                .http()
                .put(text(&upload["url"]))
                .body(png.clone())
                .send()
                .await
                .unwrap();
            assert_eq!(sent.status(), 201);
            let attach =
                "mutation($id: ID!) { providerMediaAttach(uploadId: $id, input: { caption: \"\" })
                { providerMedia { id media { id } } userErrors { code } } }";
            let attached = pia.post(attach, json!({ "id": upload["id"] })).await;
            let item = attached.payload("providerMediaAttach")["providerMedia"].clone();
            self.add("ProviderMedia", &item["id"]);
            self.add("Media", &item["media"]["id"]);
        }
    }

    /// What the client says of the provider: in public, and to staff.
    async fn words(&mut self) {
        let client = self.market.client.clone();
        let provider: ProviderId = self.market.provider_id.parse().unwrap();
        for number in 0..2 {
            let booking = self.app().make_completed(provider, &client).await;
            let query = format!(
                "mutation {{
                    reviewCreate(bookingId: \"{booking}\", input: {{ rating: 4 }}) {{ review {{ id }} userErrors {{ code }} }}
                    reportCreate(input: {{ reason: SPAM, details: \"{number}\", target: {{ bookingId: \"{booking}\" }} }})
                        {{ report {{ id }} userErrors {{ code }} }} }}"
            );
            let said = client.query(&query).await;
            self.add("Review", &said.payload("reviewCreate")["review"]["id"]);
            self.add("Report", &said.payload("reportCreate")["report"]["id"]);
        }
    }

    /// Everybody, and whether they see the objects of a type.
    fn audience(&self, seen: Seen, public: bool) -> [(&'static str, Client, bool); 5] {
        let (sides, open) = (seen == Seen::BySides, seen == Seen::Always);
        let with_provider = seen == Seen::WithProvider;
        let anyone = open || (with_provider && public);
        [
            ("anonymous", self.app().anonymous(), anyone),
            ("stranger", self.stranger.clone(), anyone),
            (
                "client",
                self.market.client.clone(),
                anyone || sides || matches!(seen, Seen::ByMaker | Seen::ByOwner),
            ),
            (
                "provider",
                self.market.provider.clone(),
                open || with_provider || sides,
            ),
            ("staff", self.admin.clone(), seen != Seen::ByOwner),
        ]
    }

    async fn check(&self, public: bool) {
        for (kind, seen) in KINDS {
            let ids = &self.ids[kind];
            let id = &ids[0];
            for (who, client, sees) in self.audience(seen, public) {
                let expected = if sees {
                    json!({ "__typename": kind, "id": id })
                } else {
                    Value::Null
                };
                assert_eq!(node(&client, id).await, expected, "{who}: {kind}");
            }
        }
    }
}

async fn node(client: &Client, id: &str) -> Value {
    let answer = client
        .post(
            "query($id: ID!) { node(id: $id) { __typename id } }",
            json!({ "id": id }),
        )
        .await;
    answer.data()["node"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_shows_to_those_who_may_see_it_and_is_null_to_others() {
    let world = World::make().await;
    world.check(true).await;

    // A profile that is no longer public takes along what hangs on it, and nothing of what was agreed.
    let suspend = "mutation($id: ID!) { providerSuspend(id: $id, input: { reason: \"x\" }) { provider { id } userErrors { code } } }";
    let suspended = world
        .admin
        .post(suspend, json!({ "id": world.market.provider_id }))
        .await;
    suspended.payload("providerSuspend");
    world.check(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_a_node_to_its_person_after_its_end_too() {
    let world = World::make().await;
    let client = &world.market.client;
    let read = "query($id: ID!) { node(id: $id) { ... on Session { isCurrent revokedAt } } }";
    let mut current = 0;
    for id in &world.ids["Session"] {
        let session = client.post(read, json!({ "id": id })).await.data()["node"].clone();
        assert_eq!(session["revokedAt"], Value::Null);
        if session["isCurrent"] == true {
            current += 1;
            continue;
        }
        let revoke =
            "mutation($id: ID!) { sessionRevoke(id: $id) { session { id } userErrors { code } } }";
        let revoked = client.post(revoke, json!({ "id": id })).await;
        revoked.payload("sessionRevoke");
        let session = client.post(read, json!({ "id": id })).await.data()["node"].clone();
        assert_eq!(session["revokedAt"], json!(world.app().now()));
    }
    assert_eq!(current, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn absent_malformed_and_foreign_ids_are_null_even_to_staff() {
    let world = World::make().await;
    let absent = BookingId(world.app().app.entropy.uuid_v7(world.app().now())).to_string();
    let (_, absent) = absent.split_once('_').unwrap();
    for (kind, _) in KINDS {
        let id = &world.ids[kind][0];
        let (prefix, suffix) = id.split_once('_').unwrap();
        let (_, other) = KINDS
            .iter()
            .map(|(other, _)| world.ids[other][0].split_once('_').unwrap())
            .find(|(other, _)| *other != prefix)
            .unwrap();
        for wrong in [
            format!("{prefix}_{absent}"),
            format!("{prefix}_{other}"),
            format!("{prefix}_"),
            prefix.to_owned(),
            format!("_{suffix}"),
            suffix.to_owned(),
            format!("{id}0"),
            format!(" {id}"),
            id.to_uppercase(),
            format!("{}_{suffix}", companion::db::ids::HeldTimeId::PREFIX),
        ] {
            assert_eq!(
                node(&world.admin, &wrong).await,
                Value::Null,
                "{kind}: {wrong:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_keep_the_order_and_cost_a_statement_a_type() {
    const NODES: &str = "query($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }";
    let world = World::make().await;
    // Whose object it is; staff would skip the look at who is behind it.
    let owner = &world.market.client;
    world.app().settle(&[owner, &world.admin]).await;
    for (kind, seen) in KINDS {
        let ids = &world.ids[kind];
        let client = match seen {
            Seen::ByStaff => &world.admin,
            _ => owner,
        };
        let one = client.post(NODES, json!({ "ids": ids[..1] })).await;
        let all = client.post(NODES, json!({ "ids": ids })).await;
        let expected: Vec<Value> = ids
            .iter()
            .map(|id| json!({ "__typename": kind, "id": id }))
            .collect();
        assert_eq!(all.data()["nodes"], json!(expected));
        assert!(ids.len() >= 2 || kind == "Provider", "one {kind} alone");
        assert_eq!(one.statements, all.statements, "{kind}");
        // Its own, and the one of what says who may see it.
        let own = match kind {
            "Availability" | "ProviderMedia" | "ProviderService" => 2,
            "BookingEvent" | "BookingProposal" | "Checkout" | "Refund" => 2,
            _ => 1,
        };
        assert_eq!(all.statements, own, "{kind}");
    }

    let visible = || {
        KINDS
            .iter()
            .filter(|(_, seen)| *seen != Seen::ByStaff)
            .map(|(kind, _)| (kind, &world.ids[kind][0]))
    };
    let mut mixed: Vec<Value> = visible().map(|(_, id)| json!(id)).collect();
    let mut expected: Vec<Value> = visible()
        .map(|(kind, id)| json!({ "__typename": kind, "id": id }))
        .collect();
    mixed.insert(3, json!("nobody"));
    expected.insert(3, Value::Null);
    mixed.push(mixed[0].clone());
    expected.push(expected[0].clone());
    let answer = owner.post(NODES, json!({ "ids": mixed })).await;
    assert_eq!(answer.data()["nodes"], json!(expected));
}
