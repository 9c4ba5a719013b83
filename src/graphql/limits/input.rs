//! What a request brings in: its variables and literals, as the cost sees them.

use std::collections::HashMap;

use async_graphql::{Pos, Value as ConstValue, Variables, parser::types::OperationDefinition};
use async_graphql_value::Value;
use jiff::{Timestamp, civil::Date};

use super::{LimitError, as_u64};
use crate::config::Limits;

/// The variables of one operation, given or by default, with the list items in each.
pub(super) struct Inputs<'a> {
    variables: HashMap<&'a str, (&'a ConstValue, u64)>,
    list_items: usize,
    /// Values given in the variables, nested ones counted.
    pub(super) values: u64,
}

/// Counts values and list items below a value.
struct Count {
    values: u64,
    items: u64,
    list_items: usize,
}

fn list_too_long(limit: usize, at: Option<Pos>) -> LimitError {
    LimitError::complex(
        format!("A list in an input has more than {limit} items."),
        at,
    )
}

impl Count {
    fn add(&mut self, value: &ConstValue) -> Result<(), LimitError> {
        self.values = self.values.saturating_add(1);
        match value {
            ConstValue::List(items) => {
                if items.len() > self.list_items {
                    return Err(list_too_long(self.list_items, None));
                }
                self.items = self.items.saturating_add(as_u64(items.len()));
                items.iter().try_for_each(|item| self.add(item))
            }
            ConstValue::Object(fields) => fields.values().try_for_each(|field| self.add(field)),
            _ => Ok(()),
        }
    }
}

impl<'a> Inputs<'a> {
    /// # Errors
    /// `QUERY_TOO_COMPLEX` for a list that is too long.
    pub(super) fn new(
        operation: &'a OperationDefinition,
        given: &'a Variables,
        limits: &Limits,
    ) -> Result<Self, LimitError> {
        let mut inputs = Self {
            variables: HashMap::new(),
            list_items: limits.list_items,
            values: 0,
        };
        for definition in &operation.variable_definitions {
            if let Some(default) = &definition.node.default_value {
                let count = inputs.count(&default.node)?;
                let name = definition.node.name.node.as_str();
                inputs.variables.insert(name, (&default.node, count.items));
            }
        }
        for (name, value) in given.iter() {
            let count = inputs.count(value)?;
            inputs.values = inputs.values.saturating_add(count.values);
            inputs.variables.insert(name.as_str(), (value, count.items));
        }
        Ok(inputs)
    }

    fn count(&self, value: &ConstValue) -> Result<Count, LimitError> {
        let mut count = Count {
            values: 0,
            items: 0,
            list_items: self.list_items,
        };
        count.add(value)?;
        Ok(count)
    }

    /// List items in an argument.
    pub(super) fn items(&self, value: &Value, at: Pos) -> Result<u64, LimitError> {
        match value {
            Value::Variable(name) => Ok(self
                .variables
                .get(name.as_str())
                .map_or(0, |(_, items)| *items)),
            Value::List(items) => {
                if items.len() > self.list_items {
                    return Err(list_too_long(self.list_items, Some(at)));
                }
                items.iter().try_fold(as_u64(items.len()), |sum, item| {
                    Ok(sum.saturating_add(self.items(item, at)?))
                })
            }
            Value::Object(fields) => fields.values().try_fold(0_u64, |sum, field| {
                Ok(sum.saturating_add(self.items(field, at)?))
            }),
            _ => Ok(0),
        }
    }

    /// An argument's whole number; nothing for null, absence, and what validation refuses.
    pub(super) fn integer(&self, value: Option<&Value>) -> Option<i64> {
        match value? {
            Value::Number(number) => number.as_i64(),
            Value::Variable(name) => match self.variables.get(name.as_str())?.0 {
                ConstValue::Number(number) => number.as_i64(),
                _ => None,
            },
            _ => None,
        }
    }

    fn text(&self, value: &'a Value) -> Option<&'a str> {
        match value {
            Value::String(text) => Some(text),
            Value::Variable(name) => match self.variables.get(name.as_str())?.0 {
                ConstValue::String(text) => Some(text),
                _ => None,
            },
            _ => None,
        }
    }

    /// Days begun between two times or dates; nothing when either cannot be read.
    pub(super) fn days(&self, from: Option<&'a Value>, to: Option<&'a Value>) -> Option<u64> {
        let seconds = |value: &str| {
            value
                .parse::<Timestamp>()
                .map(Timestamp::as_second)
                .ok()
                .or_else(|| {
                    let date: Date = value.parse().ok()?;
                    Some(
                        date.to_zoned(jiff::tz::TimeZone::UTC)
                            .ok()?
                            .timestamp()
                            .as_second(),
                    )
                })
        };
        let (from, to) = (seconds(self.text(from?)?)?, seconds(self.text(to?)?)?);
        let length = u64::try_from(to.checked_sub(from)?).ok()?;
        Some(length.div_ceil(86_400))
    }
}
