//! The root fields of an operation with an argument's text, for limits that depend on it.

use async_graphql::{
    Value as ConstValue, Variables,
    parser::types::{ExecutableDocument, OperationDefinition, Selection, SelectionSet},
};
use async_graphql_value::Value;

/// The texts of `argument` in each selection of the root field `field`, through fragments; empty where it is no text.
///
/// The operation's root fields have been counted and are few.
pub fn root_arguments(
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    variables: &Variables,
    field: &str,
    argument: &str,
) -> Vec<String> {
    let mut search = Search {
        document,
        operation,
        variables,
        field,
        argument,
        found: Vec::new(),
    };
    search.set(&operation.selection_set.node);
    search.found
}

struct Search<'a> {
    document: &'a ExecutableDocument,
    operation: &'a OperationDefinition,
    variables: &'a Variables,
    field: &'a str,
    argument: &'a str,
    found: Vec<String>,
}

impl Search<'_> {
    fn set(&mut self, set: &SelectionSet) {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) if field.node.name.node == self.field => {
                    let value = field.node.get_argument(self.argument);
                    let text = value.and_then(|value| self.text(&value.node));
                    self.found.push(text.unwrap_or_default());
                }
                Selection::Field(_) => {}
                Selection::InlineFragment(inline) => self.set(&inline.node.selection_set.node),
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name.node;
                    if let Some(fragment) = self.document.fragments.get(name) {
                        self.set(&fragment.node.selection_set.node);
                    }
                }
            }
        }
    }

    fn text(&self, value: &Value) -> Option<String> {
        let value = match value {
            Value::String(text) => return Some(text.clone()),
            Value::Variable(name) => self.variables.get(name).or_else(|| {
                let mut definitions = self.operation.variable_definitions.iter();
                let definition =
                    definitions.find(|definition| definition.node.name.node == *name)?;
                definition
                    .node
                    .default_value
                    .as_ref()
                    .map(|value| &value.node)
            }),
            _ => None,
        };
        match value {
            Some(ConstValue::String(text)) => Some(text.clone()),
            _ => None,
        }
    }
}
