//! Rule 17: who may use what, walked over the whole schema.

use async_graphql::parser::{
    parse_schema,
    types::{BaseType, Type, TypeKind, TypeSystemDefinition},
};
use companion::auth::{
    permissions::{BUILT_IN_ROLES, PERMISSIONS, PermissionSet},
    policy::{self, Audience},
};
use diesel::{QueryableByName, sql_query, sql_types::Text};
use diesel_async::RunQueryDsl;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

use super::support::{Client, TestApp};

/// A root field with the arguments that make a call of it pass validation.
struct RootField {
    name: String,
    arguments: String,
    leaf: bool,
}

/// A literal of any input type, shallow and meaningless: refusals must come before anybody looks at it.
fn literal(ty: &Type, types: &BTreeMap<String, TypeKind>, depth: u32) -> String {
    match &ty.base {
        BaseType::List(inner) => format!("[{}]", literal(inner, types, depth)),
        BaseType::Named(name) => match types.get(name.as_str()) {
            Some(TypeKind::Enum(values)) => values.values[0].node.value.node.to_string(),
            Some(TypeKind::InputObject(input)) => {
                assert!(depth < 6, "inputs nest too deeply");
                let one_of = input.fields.iter().all(|field| field.node.ty.node.nullable);
                let needed = input
                    .fields
                    .iter()
                    .filter(|field| !field.node.ty.node.nullable);
                let chosen: Vec<_> = if one_of {
                    input.fields.iter().take(1).collect()
                } else {
                    needed.collect()
                };
                let fields: Vec<String> = chosen
                    .into_iter()
                    .map(|field| {
                        format!(
                            "{}: {}",
                            field.node.name.node,
                            literal(&field.node.ty.node, types, depth + 1)
                        )
                    })
                    .collect();
                format!("{{{}}}", fields.join(", "))
            }
            _ => match name.as_str() {
                "Int" | "Int64" | "Float" => "1".to_owned(),
                "Boolean" => "true".to_owned(),
                "DateTime" => "\"2026-11-22T10:00:00Z\"".to_owned(),
                _ => "\"x\"".to_owned(),
            },
        },
    }
}

fn root_fields(root: &str) -> Vec<RootField> {
    let document = parse_schema(companion::graphql::sdl()).unwrap();
    let types: BTreeMap<String, TypeKind> = document
        .definitions
        .into_iter()
        .filter_map(|definition| match definition {
            TypeSystemDefinition::Type(ty) => Some((ty.node.name.node.to_string(), ty.node.kind)),
            _ => None,
        })
        .collect();
    let Some(TypeKind::Object(object)) = types.get(root) else {
        panic!("no {root}")
    };
    object
        .fields
        .iter()
        .map(|field| {
            let arguments: Vec<String> = field
                .node
                .arguments
                .iter()
                .filter(|argument| {
                    !argument.node.ty.node.nullable && argument.node.default_value.is_none()
                })
                .map(|argument| {
                    format!(
                        "{}: {}",
                        argument.node.name.node,
                        literal(&argument.node.ty.node, &types, 0)
                    )
                })
                .collect();
            let mut ty = &field.node.ty.node;
            while let BaseType::List(inner) = &ty.base {
                ty = inner;
            }
            let BaseType::Named(name) = &ty.base else {
                unreachable!()
            };
            RootField {
                name: field.node.name.node.to_string(),
                arguments: if arguments.is_empty() {
                    String::new()
                } else {
                    format!("({})", arguments.join(", "))
                },
                leaf: !matches!(
                    types.get(name.as_str()),
                    Some(TypeKind::Object(_) | TypeKind::Interface(_) | TypeKind::Union(_))
                ),
            }
        })
        .collect()
}

fn operation(kind: &str, field: &RootField) -> String {
    let selection = if field.leaf { "" } else { " { __typename }" };
    format!("{kind} {{ {}{}{selection} }}", field.name, field.arguments)
}

/// Every table with its rows as one text, to see that nothing was written: not even to the queue, nor to the audit trail
/// but for the refusals themselves.
async fn fingerprint(app: &TestApp) -> BTreeMap<String, String> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        text: String,
    }
    let mut conn = app.conn().await;
    let tables: Vec<Row> = sql_query(
        "SELECT table_name::text AS text FROM information_schema.tables
         WHERE table_schema = 'public' AND table_type = 'BASE TABLE'",
    )
    .load(&mut conn)
    .await
    .unwrap();
    let mut all = BTreeMap::new();
    for Row { text: table } in tables {
        let but = match table.as_str() {
            "audit_events" => "WHERE action <> 'access.refused'",
            _ => "",
        };
        let rows: Row = sql_query(format!(
            "SELECT coalesce(string_agg(t::text, E'\\n' ORDER BY t::text), '') AS text FROM {table} t {but}"
        ))
        .get_result(&mut conn)
        .await
        .unwrap();
        all.insert(table, rows.text);
    }
    all
}

/// Somebody who calls every field.
struct Caller {
    name: &'static str,
    client: Client,
    /// What their roles allow; nothing for who is not signed in.
    permissions: Option<PermissionSet>,
}

impl Caller {
    fn is_in(&self, audience: Audience) -> bool {
        match audience {
            Audience::Everyone => true,
            Audience::SignedIn => self.permissions.is_some(),
            Audience::Permission(needed) => self
                .permissions
                .as_ref()
                .is_some_and(|granted| granted.covers(needed)),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_root_field_admits_its_audience_and_refuses_all_others_without_effect() {
    let app = TestApp::start_with(|config| {
        // Everyone calls from one address with the same nonsense.
        config.sign_in_limits.per_address_per_minute = 1_000;
        config.sign_in_limits.per_init_data = 1_000;
        config.sign_in_limits.per_account_per_minute = 1_000;
        config.sign_in_limits.refreshes_per_minute = 1_000;
    })
    .await;
    let mut callers = vec![
        Caller {
            name: "anonymous",
            client: app.anonymous(),
            permissions: None,
        },
        Caller {
            name: "person",
            client: app.user("Mia").await,
            permissions: Some(PermissionSet::default()),
        },
    ];
    for role in BUILT_IN_ROLES {
        callers.push(Caller {
            name: role.name,
            client: app.user_with_roles(role.name, &["USER", role.name]).await,
            permissions: Some(PermissionSet::from_names(role.permissions.iter().copied())),
        });
    }
    let mut fields = Vec::new();
    for (root, kind) in [("Query", "query"), ("Mutation", "mutation")] {
        for field in root_fields(root) {
            let audience = policy::audience(root, &field.name)
                .unwrap_or_else(|| panic!("{root}.{} declares no audience", field.name));
            fields.push((audience, operation(kind, &field)));
        }
    }

    let before = fingerprint(&app).await;
    for (audience, call) in &fields {
        for caller in callers.iter().filter(|caller| !caller.is_in(*audience)) {
            let answer = caller.client.query(call).await;
            assert_eq!(answer.error_code(), "FORBIDDEN", "{}: {call}", caller.name);
            // Which permission it takes, and whether signing in would help.
            let error = &answer.body["errors"][0];
            let (permission, message) = match (audience, &caller.permissions) {
                (Audience::Permission(needed), Some(_)) => {
                    (json!(needed), format!("You lack the permission {needed}."))
                }
                (Audience::Permission(needed), None) => {
                    (json!(needed), "Sign in first.".to_owned())
                }
                _ => (json!(null), "Sign in first.".to_owned()),
            };
            assert_eq!(error["extensions"]["permission"], permission, "{call}");
            assert_eq!(error["message"], message, "{call}");
        }
    }
    assert_eq!(fingerprint(&app).await, before, "a refusal had an effect");

    for (audience, call) in &fields {
        let mut admitted = 0;
        for caller in callers.iter().filter(|caller| caller.is_in(*audience)) {
            let answer = caller.client.query(call).await;
            // The resolver was reached: it answers null or user errors, and what it says is no top-level error.
            assert!(
                answer.status == 200 && answer.body.get("errors").is_none(),
                "{}: {call}: {:#}",
                caller.name,
                answer.body
            );
            admitted += 1;
        }
        let everyone = callers.len();
        match audience {
            Audience::Everyone => assert_eq!(admitted, everyone, "{call}"),
            Audience::SignedIn => assert_eq!(admitted, everyone - 1, "{call}"),
            Audience::Permission(_) => assert!(
                (1..everyone - 1).contains(&admitted),
                "nobody or everybody of staff: {call}"
            ),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_names_exactly_the_fields_of_the_roots() {
    for (root, table) in [("Query", policy::QUERIES), ("Mutation", policy::MUTATIONS)] {
        let fields: BTreeSet<String> = root_fields(root)
            .into_iter()
            .map(|field| field.name)
            .collect();
        let named: BTreeSet<String> = table.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(fields, named, "{root}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_behind_a_permission_is_null_beside_what_else_was_asked() {
    let staff = |name: &str| {
        let audience = policy::audience("Query", name);
        matches!(audience, Some(Audience::Permission(_)))
    };
    let fields: Vec<_> = root_fields("Query")
        .into_iter()
        .filter(|field| staff(&field.name))
        .collect();
    assert!(fields.len() > 10);
    let app = TestApp::start().await;
    let mia = app.user("Mia").await;
    for field in fields {
        let call = operation("query", &field).replacen('{', "{ cities { id } ", 1);
        let answer = mia.query(&call).await;
        assert_eq!(answer.error_code(), "FORBIDDEN", "{call}");
        let data = &answer.body["data"];
        assert!(data["cities"].is_array(), "{call}: {}", answer.body);
        assert_eq!(data[&field.name], json!(null), "{call}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn descriptions_say_the_audience() {
    let app = TestApp::start().await;
    let query = "{ __schema { queryType { fields { name description } } mutationType { fields { name description } } } }";
    let answer = app.anonymous().query(query).await;
    for root in ["queryType", "mutationType"] {
        for field in answer.data()["__schema"][root]["fields"]
            .as_array()
            .unwrap()
        {
            let description = field["description"].as_str().unwrap_or_default();
            assert!(description.contains("Audience: "), "{field}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_migration_seeds_the_built_in_roles() {
    #[derive(QueryableByName, Debug, PartialEq)]
    struct Row {
        #[diesel(sql_type = Text)]
        name: String,
        #[diesel(sql_type = Text)]
        value: String,
    }
    let app = TestApp::start().await;
    let mut conn = app.conn().await;
    let permissions: Vec<Row> = sql_query(
        "SELECT name, description AS value FROM permissions WHERE built_in ORDER BY name",
    )
    .load(&mut conn)
    .await
    .unwrap();
    let mut expected: Vec<Row> = PERMISSIONS
        .iter()
        .map(|permission| Row {
            name: permission.name.to_owned(),
            value: permission.description.to_owned(),
        })
        .collect();
    expected.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(permissions, expected);
    let grants: Vec<Row> = sql_query(
        "SELECT r.name, coalesce(string_agg(p.name, ' ' ORDER BY p.name COLLATE \"C\"), '') AS value FROM roles r
         LEFT JOIN role_permissions rp ON rp.role_id = r.id LEFT JOIN permissions p ON p.id = rp.permission_id
         WHERE r.built_in GROUP BY r.name",
    )
    .load(&mut conn)
    .await
    .unwrap();
    let found: BTreeMap<String, String> = grants
        .into_iter()
        .map(|row| (row.name, row.value))
        .collect();
    let expected: BTreeMap<String, String> = BUILT_IN_ROLES
        .iter()
        .map(|role| {
            let mut names = role.permissions.to_vec();
            names.sort_unstable();
            (role.name.to_owned(), names.join(" "))
        })
        .collect();
    assert_eq!(found, expected);
    assert_eq!(json!(found.len()), json!(6));
}
