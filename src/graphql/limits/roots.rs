//! The root fields of an operation with a text of their arguments, for limits that depend on it.

use std::str::Split;

use async_graphql::{
    Name, Value as ConstValue, Variables,
    parser::types::{ExecutableDocument, OperationDefinition, Selection, SelectionSet},
};
use async_graphql_value::Value;

/// The texts at `path`, an argument or, after dots, what an input object has in it (`input.email`), in each selection of
/// the root field `field`, through fragments; empty where there is no text.
///
/// The operation's root fields have been counted and are few.
pub fn root_arguments(
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    variables: &Variables,
    field: &str,
    path: &str,
) -> Vec<String> {
    let mut search = Search {
        document,
        operation,
        variables,
        field,
        path,
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
    path: &'a str,
    found: Vec<String>,
}

impl Search<'_> {
    fn set(&mut self, set: &SelectionSet) {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) if field.node.name.node == self.field => {
                    let mut names = self.path.split('.');
                    let value = names.next().and_then(|name| field.node.get_argument(name));
                    let text = value.and_then(|value| self.text(&value.node, names));
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

    /// The text in a value that is written in the document, where each part may be a variable.
    fn text(&self, value: &Value, mut names: Split<'_, char>) -> Option<String> {
        let known = match value {
            Value::Variable(name) => self.variable(name)?,
            Value::Object(object) => {
                let value = object.get(names.next()?)?;
                return self.text(value, names);
            }
            Value::String(text) => return names.next().is_none().then(|| text.clone()),
            _ => return None,
        };
        match names.try_fold(known, |value, name| match value {
            ConstValue::Object(object) => object.get(name),
            _ => None,
        })? {
            ConstValue::String(text) => Some(text.clone()),
            _ => None,
        }
    }

    /// A variable's value, its default where it is absent.
    fn variable(&self, name: &Name) -> Option<&ConstValue> {
        self.variables.get(name).or_else(|| {
            let mut definitions = self.operation.variable_definitions.iter();
            let definition = definitions.find(|definition| definition.node.name.node == *name)?;
            let default = definition.node.default_value.as_ref();
            default.map(|value| &value.node)
        })
    }
}
