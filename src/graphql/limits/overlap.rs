//! Fields with one response key that differ, wherever in the document their parents stand.
//!
//! async-graphql compares the fields of one selection set (with its fragments, each for itself). It executes what it lets
//! through one after the other and merges the answers, so that of two fields below two selections of their parent one is
//! lost: two fragments that were written apart would get each other's data.

use std::collections::{HashMap, HashSet};

use async_graphql::{
    Positioned,
    parser::types::{ExecutableDocument, Field, OperationType, Selection, SelectionSet},
};

use super::{CostModel, LimitError, structure::EXPANDED};

/// Refuses a document with two fields that have one response key and can be asked of one object, but are not the same field
/// with the same arguments ("Field Selection Merging" of the specification, without the shapes of fields of different
/// objects). The document has passed [`structure`](super::structure()).
///
/// # Errors
/// `BAD_REQUEST` with the key; `QUERY_TOO_COMPLEX` for what takes too long to compare.
pub fn overlap(document: &ExecutableDocument, model: &CostModel) -> Result<(), LimitError> {
    for (_, operation) in document.operations.iter() {
        let root = match operation.node.ty {
            OperationType::Query => Some(model.query()),
            OperationType::Mutation => model.mutation(),
            OperationType::Subscription => None,
        };
        let mut walk = Walk {
            document,
            model,
            visited: 0,
        };
        walk.object(&[(&operation.node.selection_set.node, root)])?;
    }
    Ok(())
}

/// A selection set, and the type that it selects from where the schema has it.
type Set<'a> = (&'a SelectionSet, Option<&'a str>);

/// A field, and the type that it is selected from.
type Found<'a> = (&'a Positioned<Field>, Option<&'a str>);

/// The fields of an object by response key, in the order of the document.
#[derive(Default)]
struct Selected<'a> {
    keys: Vec<&'a str>,
    fields: HashMap<&'a str, Vec<Found<'a>>>,
    spread: HashSet<(&'a str, Option<&'a str>)>,
}

struct Walk<'a> {
    document: &'a ExecutableDocument,
    model: &'a CostModel,
    visited: u64,
}

impl<'a> Walk<'a> {
    /// Compares what all of these select from one object, and from those below it.
    fn object(&mut self, sets: &[Set<'a>]) -> Result<(), LimitError> {
        let mut selected = Selected::default();
        for (set, on) in sets {
            self.collect(set, *on, &mut selected)?;
        }
        for key in &selected.keys {
            let fields = selected.fields.get(key).map_or(&[][..], Vec::as_slice);
            let mut objects: Vec<&str> = Vec::new();
            for object in fields.iter().filter_map(|(_, on)| self.object_type(*on)) {
                if !objects.contains(&object) {
                    objects.push(object);
                }
            }
            if objects.is_empty() {
                self.merged(key, fields)?;
            }
            for object in objects {
                let of_object = |on: Option<&'a str>| self.object_type(on).unwrap_or(object);
                let all = fields.iter().copied();
                let fields: Vec<_> = all.filter(|(_, on)| of_object(*on) == object).collect();
                self.merged(key, &fields)?;
            }
        }
        Ok(())
    }

    /// The type, unless it is one that objects of several types have, or none of ours.
    fn object_type(&self, on: Option<&'a str>) -> Option<&'a str> {
        on.filter(|name| self.model.get(name).is_some_and(|ty| !ty.shared))
    }

    /// Compares fields of one object with one key.
    fn merged(&mut self, key: &str, fields: &[Found<'a>]) -> Result<(), LimitError> {
        let Some(((first, _), others)) = fields.split_first() else {
            return Ok(());
        };
        for (other, _) in others {
            if let Some(why) = difference(&first.node, &other.node) {
                let message = format!(
                    "Fields \"{key}\" conflict because {why}. Use different aliases on the fields to fetch both if this was intentional."
                );
                return Err(LimitError {
                    key: Some(key.to_owned()),
                    ..LimitError::bad(message, Some(other.pos))
                });
            }
        }
        let below = |(field, on): &Found<'a>| -> Set<'a> {
            let ty = on.and_then(|on| self.model.get(on)?.field(&field.node.name.node));
            (&field.node.selection_set.node, ty.map(|field| &*field.ty))
        };
        let below: Vec<Set<'a>> = fields.iter().map(below).collect();
        self.object(&below)
    }

    fn collect(
        &mut self,
        set: &'a SelectionSet,
        on: Option<&'a str>,
        selected: &mut Selected<'a>,
    ) -> Result<(), LimitError> {
        for selection in &set.items {
            self.visited += 1;
            if self.visited > EXPANDED {
                let message = "The document has too many fields to compare.";
                return Err(LimitError::complex(message, Some(selection.pos)));
            }
            let (condition, set) = match &selection.node {
                Selection::Field(field) => {
                    let key = field.node.response_key().node.as_str();
                    let known = selected.fields.entry(key).or_default();
                    if known.is_empty() {
                        selected.keys.push(key);
                    }
                    known.push((field, on));
                    continue;
                }
                Selection::InlineFragment(inline) => {
                    let condition = inline.node.type_condition.as_ref();
                    (condition, &inline.node.selection_set)
                }
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name.node;
                    // An unknown fragment is validation's to name.
                    let Some(fragment) = self.document.fragments.get(name) else {
                        continue;
                    };
                    if !selected.spread.insert((name, on)) {
                        continue;
                    }
                    let condition = Some(&fragment.node.type_condition);
                    (condition, &fragment.node.selection_set)
                }
            };
            let condition = condition.map(|condition| condition.node.on.node.as_str());
            // What an interface's fragment selects of an object is the object's.
            let narrowed = match self.object_type(condition) {
                Some(object) => Some(object),
                None => self.object_type(on).or(condition).or(on),
            };
            self.collect(&set.node, narrowed, selected)?;
        }
        Ok(())
    }
}

/// In what two fields differ.
fn difference(one: &Field, other: &Field) -> Option<String> {
    let (name, other_name) = (&one.name.node, &other.name.node);
    if name != other_name {
        return Some(format!(
            "\"{name}\" and \"{other_name}\" are different fields"
        ));
    }
    let same = one.arguments.len() == other.arguments.len()
        && one.arguments.iter().all(|(name, value)| {
            let known = other.get_argument(&name.node);
            known.is_some_and(|known| known.node == value.node)
        });
    (!same).then(|| "they have differing arguments".to_owned())
}
