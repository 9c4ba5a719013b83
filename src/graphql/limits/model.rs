//! What the limits need to know of the schema, read once from its own text.

use std::collections::HashMap;

use async_graphql::parser::{
    self, parse_schema,
    types::{
        BaseType, FieldDefinition, InputValueDefinition, Type, TypeKind, TypeSystemDefinition,
    },
};
use foldhash::fast::RandomState;

/// By a name of the schema; only the schema's own are ever put in.
type Named<T> = HashMap<Box<str>, T, RandomState>;

/// The schema as the cost of a query sees it: for each type its fields, for each field what it multiplies.
#[derive(Debug)]
pub struct CostModel {
    types: Named<TypeCost>,
    query: Box<str>,
    mutation: Option<Box<str>>,
    members: u64,
}

/// A type; leaves and input objects have no fields here.
#[derive(Debug, Default)]
pub(super) struct TypeCost {
    fields: Named<FieldCost>,
    /// Whether it is a connection, whose `nodes` and `edges` come a page at a time.
    pub(super) connection: bool,
    /// Whether it is an interface or a union: its fields are asked of objects of several types.
    pub(super) shared: bool,
}

impl TypeCost {
    pub(super) fn field(&self, name: &str) -> Option<&FieldCost> {
        self.fields.get(name)
    }
}

/// A field of an object or interface.
#[derive(Debug)]
pub(super) struct FieldCost {
    /// The named type behind lists and non-null.
    pub(super) ty: Box<str>,
    /// Whether it answers a list.
    pub(super) list: bool,
    /// Whether it takes `first` or `last`.
    pub(super) paged: bool,
    /// Whether it takes `from` and `to`.
    pub(super) range: bool,
}

impl CostModel {
    /// Reads a schema's own text.
    ///
    /// # Errors
    /// When the text is no schema.
    pub fn from_sdl(sdl: &str) -> Result<Self, parser::Error> {
        let document = parse_schema(sdl)?;
        let mut model = Self {
            types: Named::default(),
            query: "Query".into(),
            mutation: None,
            members: 0,
        };
        for scalar in ["Int", "Float", "String", "Boolean", "ID"] {
            model.types.insert(scalar.into(), TypeCost::default());
        }
        for definition in document.definitions {
            match definition {
                TypeSystemDefinition::Schema(schema) => {
                    if let Some(query) = schema.node.query {
                        model.query = query.node.as_str().into();
                    }
                    model.mutation = schema.node.mutation.map(|name| name.node.as_str().into());
                }
                TypeSystemDefinition::Type(ty) => {
                    let name = ty.node.name.node.as_str();
                    let shared =
                        matches!(ty.node.kind, TypeKind::Interface(_) | TypeKind::Union(_));
                    let fields = match ty.node.kind {
                        TypeKind::Object(object) => object.fields,
                        TypeKind::Interface(interface) => interface.fields,
                        TypeKind::Enum(values) => {
                            model.members += super::as_u64(values.values.len());
                            Vec::new()
                        }
                        TypeKind::InputObject(input) => {
                            model.members += super::as_u64(input.fields.len());
                            Vec::new()
                        }
                        TypeKind::Scalar | TypeKind::Union(_) => Vec::new(),
                    };
                    model.members += super::as_u64(fields.len());
                    let cost = TypeCost {
                        connection: name.ends_with("Connection"),
                        shared,
                        fields: fields.iter().map(|field| field_cost(&field.node)).collect(),
                    };
                    model.types.insert(name.into(), cost);
                }
                TypeSystemDefinition::Directive(_) => {}
            }
        }
        Ok(model)
    }

    /// Whether the schema has a type of this name, the introspection types aside.
    pub(super) fn has(&self, name: &str) -> bool {
        self.types.contains_key(name)
    }

    pub(super) fn get(&self, name: &str) -> Option<&TypeCost> {
        self.types.get(name)
    }

    pub(super) fn query(&self) -> &str {
        &self.query
    }

    pub(super) fn mutation(&self) -> Option<&str> {
        self.mutation.as_deref()
    }

    /// How many types there are.
    pub(super) fn type_count(&self) -> u64 {
        super::as_u64(self.types.len())
    }

    /// How many fields, input fields and enum values a type has, on average and rounded up.
    pub(super) fn members_of_a_type(&self) -> u64 {
        self.members.div_ceil(self.type_count().max(1)).max(1)
    }
}

fn field_cost(field: &FieldDefinition) -> (Box<str>, FieldCost) {
    let takes = |name: &str| {
        field
            .arguments
            .iter()
            .any(|argument| argument.node.name.node == name)
    };
    let time = |name: &str| {
        field
            .arguments
            .iter()
            .any(|argument| is_time(&argument.node, name))
    };
    let ty = &field.ty.node;
    let cost = FieldCost {
        ty: named(ty).into(),
        list: matches!(ty.base, BaseType::List(_)),
        paged: takes("first") || takes("last"),
        range: time("from") && time("to"),
    };
    (field.name.node.as_str().into(), cost)
}

fn is_time(argument: &InputValueDefinition, name: &str) -> bool {
    argument.name.node == name && matches!(named(&argument.ty.node), "DateTime" | "LocalDate")
}

/// The name inside lists and non-null.
pub(super) fn named(ty: &Type) -> &str {
    let mut base = &ty.base;
    loop {
        match base {
            BaseType::Named(name) => return name.as_str(),
            BaseType::List(inner) => base = &inner.base,
        }
    }
}
