//! The cost of the selected operation: one pass, each fragment counted once.

use std::collections::HashMap;

use async_graphql::{
    Pos, Positioned, Variables,
    parser::types::{
        DocumentOperations, ExecutableDocument, Field, OperationDefinition, OperationType,
        Selection, SelectionSet,
    },
};

use super::{
    Cost, CostModel, LimitError,
    input::Inputs,
    keys,
    model::{FieldCost, TypeCost},
};
use crate::config::Limits;

/// A connection without `first` and `last`.
const DEFAULT_PAGE: u64 = 20;
/// The largest page.
const LARGEST_PAGE: i64 = 100;
/// What counting a list costs.
const TOTAL_COUNT: u64 = 50;
/// What a day of times costs.
const DAY: u64 = 10;
/// The deepest selection below `__schema` and `__type`; GraphiQL's is 15 deep.
const INTROSPECTION_DEPTH: u32 = 20;
/// Values that introspection may answer, about, for each type and each member of a type of the schema. GraphiQL's own
/// asks for about 60.
const INTROSPECTION_WEIGHT: u64 = 100;

/// What the selected operation is and costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// Query or mutation; a subscription is refused.
    pub operation: OperationType,
    /// What it costs, to be added to the rest of its batch and held against the limits.
    pub cost: Cost,
    /// Whether all its root fields are `auth*`, so that the bearer token is ignored.
    pub only_auth: bool,
    /// Whether it reads the schema.
    pub introspects: bool,
    /// Selections looked at: linear in the document.
    pub visited: usize,
}

/// The operation of this name, or the only one.
///
/// # Errors
/// `BAD_REQUEST` when there is none of the name, or several and no name.
pub fn select<'a>(
    document: &'a ExecutableDocument,
    name: Option<&str>,
) -> Result<&'a Positioned<OperationDefinition>, LimitError> {
    match (&document.operations, name) {
        (DocumentOperations::Single(operation), None) => Ok(operation),
        (DocumentOperations::Multiple(operations), Some(name)) => operations
            .get(name)
            .ok_or_else(|| LimitError::bad("There is no operation of this name.", None)),
        (DocumentOperations::Multiple(operations), None) if operations.len() == 1 => operations
            .values()
            .next()
            .ok_or_else(|| LimitError::bad("There is no operation.", None)),
        (DocumentOperations::Multiple(_), None) => Err(LimitError::bad(
            "The document has several operations: operationName is needed.",
            None,
        )),
        (DocumentOperations::Single(_), Some(_)) => {
            Err(LimitError::bad("There is no operation of this name.", None))
        }
    }
}

/// Counts the selected operation. The document has passed [`structure`](super::structure()).
///
/// # Errors
/// `BAD_REQUEST` for `first` or `last` outside 1 to 100 or both, for a response key twice in a mutation's root, and for no
/// operation; `QUERY_TOO_COMPLEX` for depth, introspection and a list that is too long. Sums are the caller's to check, with [`Cost::within`].
pub fn measure(
    model: &CostModel,
    document: &ExecutableDocument,
    operation_name: Option<&str>,
    variables: &Variables,
    limits: &Limits,
) -> Result<Measured, LimitError> {
    let operation = select(document, operation_name)?;
    let root = match operation.node.ty {
        OperationType::Query => Some(model.query()),
        OperationType::Mutation => model.mutation(),
        OperationType::Subscription => {
            return Err(LimitError::bad(
                "Subscriptions are not served over this transport.",
                Some(operation.pos),
            ));
        }
    };
    if operation.node.ty == OperationType::Mutation {
        keys::unique(document, &operation.node)?;
    }
    required_variables(&operation.node, variables)?;
    let inputs = Inputs::new(&operation.node, variables, limits)?;
    let mut pass = Pass {
        model,
        document,
        inputs: &inputs,
        limits,
        fragments: HashMap::new(),
        introspection: HashMap::new(),
        visited: 0,
    };
    let sum = pass.set(&operation.node.selection_set, root)?;
    if sum.depth > limits.depth {
        return Err(LimitError::complex(
            format!(
                "The operation is {} levels deep, more than the {} allowed.",
                sum.depth, limits.depth
            ),
            Some(operation.pos),
        ));
    }
    if sum.schemas > 1 || sum.schema_types > 1 {
        return Err(LimitError::complex(
            "The operation selects __schema or __type more than once.",
            Some(operation.pos),
        ));
    }
    Ok(Measured {
        operation: operation.node.ty,
        cost: Cost {
            complexity: sum.plain.saturating_add(sum.paged),
            aliases: sum.aliases,
            root_fields: sum.fields,
            variable_values: inputs.values,
        },
        only_auth: sum.fields > 0 && sum.fields == sum.auth_fields,
        introspects: sum.schemas > 0 || sum.schema_types > 0,
        visited: pass.visited,
    })
}

/// Refuses an operation without its required variables, whether it uses them or not.
fn required_variables(
    operation: &OperationDefinition,
    variables: &Variables,
) -> Result<(), LimitError> {
    for definition in &operation.variable_definitions {
        let (name, ty) = (
            definition.node.name.node.as_str(),
            &definition.node.var_type.node,
        );
        let given = variables.get(name);
        let missing = match given {
            None => definition.node.default_value.is_none(),
            Some(value) => *value == async_graphql::Value::Null,
        };
        if !ty.nullable && missing {
            return Err(LimitError::bad(
                format!("Variable \"${name}\" of type \"{ty}\" is required."),
                Some(definition.pos),
            ));
        }
    }
    Ok(())
}

/// A selection set with its fragments.
#[derive(Clone, Copy, Default)]
struct Sum {
    /// Cost of the fields, `nodes` and `edges` aside.
    plain: u64,
    /// Cost of `nodes` and `edges`, which a connection multiplies by its page size.
    paged: u64,
    depth: u32,
    aliases: u64,
    /// Fields directly in this set.
    fields: u64,
    /// Those of them whose name begins with `auth`.
    auth_fields: u64,
    schemas: u32,
    schema_types: u32,
}

impl Sum {
    fn add(&mut self, other: Self) {
        self.plain = self.plain.saturating_add(other.plain);
        self.paged = self.paged.saturating_add(other.paged);
        self.depth = self.depth.max(other.depth);
        self.aliases = self.aliases.saturating_add(other.aliases);
        self.fields = self.fields.saturating_add(other.fields);
        self.auth_fields = self.auth_fields.saturating_add(other.auth_fields);
        self.schemas = self.schemas.saturating_add(other.schemas);
        self.schema_types = self.schema_types.saturating_add(other.schema_types);
    }
}

/// A selection set below `__schema` or `__type`.
#[derive(Clone, Copy, Default)]
struct Introspected {
    weight: u64,
    depth: u32,
    aliases: u64,
    /// Lists of members and of related types inside each other, which multiply.
    lists: u32,
}

struct Pass<'a> {
    model: &'a CostModel,
    document: &'a ExecutableDocument,
    inputs: &'a Inputs<'a>,
    limits: &'a Limits,
    fragments: HashMap<&'a str, Sum>,
    introspection: HashMap<&'a str, Introspected>,
    visited: usize,
}

impl<'a> Pass<'a> {
    fn set(
        &mut self,
        set: &'a Positioned<SelectionSet>,
        on: Option<&'a str>,
    ) -> Result<Sum, LimitError> {
        let mut sum = Sum::default();
        for selection in &set.node.items {
            self.visited += 1;
            match &selection.node {
                Selection::Field(field) => {
                    let part = self.field(field, on.and_then(|name| self.model.get(name)))?;
                    sum.add(part);
                }
                Selection::InlineFragment(inline) => {
                    let condition = inline.node.type_condition.as_ref();
                    let ty = condition
                        .map(|condition| condition.node.on.node.as_str())
                        .or(on);
                    let part = self.set(&inline.node.selection_set, ty)?;
                    sum.add(part);
                }
                Selection::FragmentSpread(spread) => {
                    let name = spread.node.fragment_name.node.as_str();
                    if let Some(known) = self.fragments.get(name) {
                        sum.add(*known);
                    } else if let Some(fragment) = self.document.fragments.get(name) {
                        // Stands in while the fragment is counted, so that a cycle ends here too.
                        self.fragments.insert(name, Sum::default());
                        let on = fragment.node.type_condition.node.on.node.as_str();
                        let part = self.set(&fragment.node.selection_set, Some(on))?;
                        self.fragments.insert(name, part);
                        sum.add(part);
                    }
                }
            }
        }
        Ok(sum)
    }

    fn field(
        &mut self,
        field: &'a Positioned<Field>,
        on: Option<&'a TypeCost>,
    ) -> Result<Sum, LimitError> {
        let name = field.node.name.node.as_str();
        let mut sum = Sum {
            depth: 1,
            aliases: u64::from(field.node.alias.is_some()),
            fields: 1,
            auth_fields: u64::from(name.starts_with("auth")),
            ..Sum::default()
        };
        if name == "__schema" || name == "__type" {
            self.introspect(field, &mut sum)?;
            return Ok(sum);
        }
        let known = on.and_then(|ty| ty.field(name));
        let ty = known.map(|known| &*known.ty);
        let page = self.page(field, known)?;
        let children = self.set(&field.node.selection_set, ty)?;
        sum.depth = sum.depth.saturating_add(children.depth);
        sum.aliases = sum.aliases.saturating_add(children.aliases);

        let connection = ty
            .and_then(|ty| self.model.get(ty))
            .is_some_and(|ty| ty.connection);
        let mut items = 0_u64;
        for (_, value) in &field.node.arguments {
            items = items.saturating_add(self.inputs.items(&value.node, value.pos)?);
        }
        // A list of as many objects as ids were given, or a page that is no connection.
        let times = match known {
            Some(known) if known.list => page.unwrap_or(1).max(items).max(1),
            _ => 1,
        };
        let below = if connection {
            let page = page.unwrap_or(DEFAULT_PAGE);
            children
                .plain
                .saturating_add(children.paged.saturating_mul(page))
        } else {
            children
                .plain
                .saturating_add(children.paged)
                .saturating_mul(times)
        };
        let own = if name == "totalCount" { TOTAL_COUNT } else { 1 };
        let cost = own
            .saturating_add(items)
            .saturating_add(below)
            .saturating_add(self.range(field, known));
        if on.is_some_and(|ty| ty.connection) && (name == "nodes" || name == "edges") {
            sum.paged = cost;
        } else {
            sum.plain = cost;
        }
        Ok(sum)
    }

    /// The page size asked for.
    fn page(
        &self,
        field: &'a Positioned<Field>,
        known: Option<&FieldCost>,
    ) -> Result<Option<u64>, LimitError> {
        if !known.is_some_and(|known| known.paged) {
            return Ok(None);
        }
        let size = |name: &str| {
            let value = field.node.get_argument(name);
            let size = self.inputs.integer(value.map(|value| &value.node));
            match size {
                Some(size) if !(1..=LARGEST_PAGE).contains(&size) => Err(LimitError::bad(
                    format!("{name} must be between 1 and {LARGEST_PAGE}."),
                    value.map(|value| value.pos),
                )),
                size => Ok(size.and_then(|size| u64::try_from(size).ok())),
            }
        };
        match (size("first")?, size("last")?) {
            (Some(_), Some(_)) => Err(LimitError::bad(
                "Only one of first and last can be given.",
                Some(field.pos),
            )),
            (first, last) => Ok(first.or(last)),
        }
    }

    /// What the days between `from` and `to` cost. More days than are allowed cost no more: the resolver refuses them
    /// and says so better.
    fn range(&self, field: &'a Positioned<Field>, known: Option<&FieldCost>) -> u64 {
        if !known.is_some_and(|known| known.range) {
            return 0;
        }
        let argument = |name| field.node.get_argument(name).map(|value| &value.node);
        let most = u64::from(self.limits.range_days);
        let days = self
            .inputs
            .days(argument("from"), argument("to"))
            .unwrap_or(most);
        days.min(most).saturating_mul(DAY)
    }

    fn introspect(
        &mut self,
        field: &'a Positioned<Field>,
        sum: &mut Sum,
    ) -> Result<(), LimitError> {
        let below = self.introspected(&field.node.selection_set, field.pos)?;
        let schema = field.node.name.node == "__schema";
        sum.schemas = u32::from(schema);
        sum.schema_types = u32::from(!schema);
        sum.aliases = sum.aliases.saturating_add(below.aliases);
        let members = self
            .model
            .members_of_a_type()
            .saturating_mul(self.model.type_count());
        let most = self.model.type_count().saturating_add(members);
        // What a type's members are made of is asked for by its name, in a request of its own.
        if below.lists > 1 || below.weight > most.saturating_mul(INTROSPECTION_WEIGHT) {
            return Err(LimitError::complex(
                "The operation asks for too much of the schema at once.",
                Some(field.pos),
            ));
        }
        Ok(())
    }

    fn introspected(
        &mut self,
        set: &'a Positioned<SelectionSet>,
        at: Pos,
    ) -> Result<Introspected, LimitError> {
        let mut sum = Introspected::default();
        for selection in &set.node.items {
            self.visited += 1;
            let part = match &selection.node {
                Selection::Field(field) => {
                    let below = self.introspected(&field.node.selection_set, field.pos)?;
                    let name = field.node.name.node.as_str();
                    // Few types are wrapped, fewer twice: a chain of ofType ends long before its text.
                    let likely = if name == "ofType" {
                        below.weight / 2
                    } else {
                        below.weight
                    };
                    let times = self.introspected_times(name);
                    Introspected {
                        weight: likely.saturating_add(1).saturating_mul(times),
                        depth: below.depth.saturating_add(1),
                        aliases: below.aliases + u64::from(field.node.alias.is_some()),
                        lists: below.lists.saturating_add(u32::from(is_type_list(name))),
                    }
                }
                Selection::InlineFragment(inline) => {
                    self.introspected(&inline.node.selection_set, selection.pos)?
                }
                Selection::FragmentSpread(spread) => {
                    let name = spread.node.fragment_name.node.as_str();
                    match (
                        self.introspection.get(name),
                        self.document.fragments.get(name),
                    ) {
                        (Some(known), _) => *known,
                        (None, None) => Introspected::default(),
                        (None, Some(fragment)) => {
                            self.introspection.insert(name, Introspected::default());
                            let part =
                                self.introspected(&fragment.node.selection_set, spread.pos)?;
                            self.introspection.insert(name, part);
                            part
                        }
                    }
                }
            };
            sum.weight = sum.weight.saturating_add(part.weight);
            sum.depth = sum.depth.max(part.depth);
            sum.aliases = sum.aliases.saturating_add(part.aliases);
            sum.lists = sum.lists.max(part.lists);
        }
        if sum.depth > INTROSPECTION_DEPTH {
            return Err(LimitError::complex(
                format!("The introspection is more than {INTROSPECTION_DEPTH} levels deep."),
                Some(at),
            ));
        }
        Ok(sum)
    }

    /// How many objects an introspection field answers with, about.
    fn introspected_times(&self, name: &str) -> u64 {
        match name {
            "types" => self.model.type_count(),
            "fields" | "inputFields" | "enumValues" => self.model.members_of_a_type(),
            "args" | "interfaces" | "possibleTypes" => 2,
            "directives" | "locations" => 6,
            _ => 1,
        }
    }
}

fn is_type_list(name: &str) -> bool {
    matches!(
        name,
        "fields" | "inputFields" | "interfaces" | "possibleTypes"
    )
}
