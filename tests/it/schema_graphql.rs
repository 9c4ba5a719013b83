//! `schema.graphql` is what the server serves, and says what everything is.

use async_graphql::parser::{
    parse_schema,
    types::{FieldDefinition, InputValueDefinition, TypeKind, TypeSystemDefinition},
};

#[test]
fn schema_graphql_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == companion::graphql::sdl(),
        "schema.graphql is stale: run `make schema`"
    );
}

#[test]
fn everything_in_the_schema_is_described() {
    let mut missing = Vec::new();
    let input = |owner: &str, value: &InputValueDefinition, missing: &mut Vec<String>| {
        if value.description.is_none() {
            missing.push(format!("{owner}.{}", value.name.node));
        }
    };
    let field = |owner: &str, field: &FieldDefinition, missing: &mut Vec<String>| {
        let name = format!("{owner}.{}", field.name.node);
        for argument in &field.arguments {
            input(&name, &argument.node, missing);
        }
        if field.description.is_none() {
            missing.push(name);
        }
    };
    for definition in parse_schema(companion::graphql::sdl()).unwrap().definitions {
        let TypeSystemDefinition::Type(ty) = definition else {
            continue;
        };
        let name = ty.node.name.node.as_str();
        if ty.node.description.is_none() {
            missing.push(name.to_owned());
        }
        match &ty.node.kind {
            TypeKind::Object(object) => {
                object
                    .fields
                    .iter()
                    .for_each(|it| field(name, &it.node, &mut missing));
            }
            TypeKind::Interface(interface) => {
                interface
                    .fields
                    .iter()
                    .for_each(|it| field(name, &it.node, &mut missing));
            }
            TypeKind::InputObject(object) => {
                object
                    .fields
                    .iter()
                    .for_each(|it| input(name, &it.node, &mut missing));
            }
            TypeKind::Enum(values) => {
                for value in &values.values {
                    if value.node.description.is_none() {
                        missing.push(format!("{name}.{}", value.node.value.node));
                    }
                }
            }
            _ => {}
        }
    }
    assert!(missing.is_empty(), "without a description: {missing:#?}");
}
