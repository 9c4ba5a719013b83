//! The size of a document as a whole, whatever operation is selected: validation walks all of it and expands the
//! fragments of each operation, so a bomb in an operation that nobody selects would still go off.

use std::collections::HashMap;

use async_graphql::{
    Pos, Positioned,
    parser::types::{ExecutableDocument, OperationType, Selection, SelectionSet},
};

use super::{CostModel, LimitError, model::named};

/// Selections once every fragment is expanded, over all operations and fragments.
pub(super) const EXPANDED: u64 = 20_000;
/// Selection sets and spreads inside each other.
const DEEPEST: u32 = 48;
/// Directives in one place, and in the document.
const DIRECTIVES_HERE: usize = 4;
const DIRECTIVES: usize = 100;
/// Fields that the type has not got: each costs a message.
const UNKNOWN_FIELDS: usize = 25;

/// Refuses a document that is too large to validate, or that validation would not survive.
///
/// # Errors
/// `QUERY_TOO_COMPLEX` over a limit; `BAD_REQUEST` for a cycle of fragments, for a variable of an unknown type
/// (which async-graphql answers with a panic when it has a default), and for very many unknown fields.
pub fn structure(document: &ExecutableDocument, model: &CostModel) -> Result<(), LimitError> {
    let mut walk = Walk {
        document,
        model,
        fragments: HashMap::new(),
        total: 0,
        directives: 0,
        unknown: 0,
    };
    for (name, fragment) in &document.fragments {
        walk.fragment(name.as_str(), fragment.pos)?;
    }
    for (_, operation) in document.operations.iter() {
        walk.directives(operation.node.directives.len(), operation.pos)?;
        for variable in &operation.node.variable_definitions {
            walk.directives(variable.node.directives.len(), variable.pos)?;
            let ty = named(&variable.node.var_type.node);
            if !model.has(ty) {
                return Err(LimitError::bad(
                    format!("Unknown type \"{ty}\"."),
                    Some(variable.pos),
                ));
            }
        }
        let root = match operation.node.ty {
            OperationType::Query => Some(model.query()),
            OperationType::Mutation => model.mutation(),
            OperationType::Subscription => None,
        };
        let size = walk.set(&operation.node.selection_set, root)?;
        walk.add(size)?;
    }
    Ok(())
}

#[derive(Clone, Copy, Default)]
struct Size {
    selections: u64,
    depth: u32,
}

struct Walk<'a> {
    document: &'a ExecutableDocument,
    model: &'a CostModel,
    /// `None` while the fragment is being counted.
    fragments: HashMap<&'a str, Option<Size>>,
    total: u64,
    directives: usize,
    unknown: usize,
}

impl<'a> Walk<'a> {
    fn add(&mut self, size: Size) -> Result<(), LimitError> {
        self.total = self.total.saturating_add(size.selections);
        if self.total > EXPANDED {
            return Err(LimitError::complex(
                format!("The document selects more than {EXPANDED} fields."),
                None,
            ));
        }
        Ok(())
    }

    fn fragment(&mut self, name: &'a str, spread: Pos) -> Result<Size, LimitError> {
        match self.fragments.get(name) {
            Some(Some(size)) => return Ok(*size),
            Some(None) => {
                return Err(LimitError::bad(
                    format!("Fragment \"{name}\" spreads itself."),
                    Some(spread),
                ));
            }
            None => {}
        }
        // An unknown fragment is validation's to name.
        let Some(fragment) = self.document.fragments.get(name) else {
            return Ok(Size::default());
        };
        self.fragments.insert(name, None);
        self.directives(fragment.node.directives.len(), fragment.pos)?;
        let on = fragment.node.type_condition.node.on.node.as_str();
        let size = self.set(&fragment.node.selection_set, Some(on))?;
        self.add(size)?;
        self.fragments.insert(name, Some(size));
        Ok(size)
    }

    fn set(
        &mut self,
        set: &'a Positioned<SelectionSet>,
        on: Option<&'a str>,
    ) -> Result<Size, LimitError> {
        let mut whole = Size::default();
        for selection in &set.node.items {
            self.directives(selection.node.directives().len(), selection.pos)?;
            let part = match &selection.node {
                Selection::Field(field) => {
                    let name = field.node.name.node.as_str();
                    let known = on
                        .and_then(|ty| self.model.get(ty))
                        .map(|ty| ty.field(name));
                    if known.is_some_and(|field| field.is_none()) && !name.starts_with("__") {
                        self.unknown += 1;
                    }
                    if self.unknown > UNKNOWN_FIELDS {
                        let message = "The document selects too many fields that do not exist.";
                        return Err(LimitError::bad(message, Some(field.pos)));
                    }
                    let ty = known.flatten().map(|field| &*field.ty);
                    self.set(&field.node.selection_set, ty)?
                }
                Selection::InlineFragment(inline) => {
                    let condition = inline.node.type_condition.as_ref();
                    let ty = condition
                        .map(|condition| condition.node.on.node.as_str())
                        .or(on);
                    self.set(&inline.node.selection_set, ty)?
                }
                Selection::FragmentSpread(spread) => {
                    self.fragment(spread.node.fragment_name.node.as_str(), spread.pos)?
                }
            };
            whole.selections = whole
                .selections
                .saturating_add(part.selections)
                .saturating_add(1);
            whole.depth = whole.depth.max(part.depth.saturating_add(1));
            if whole.depth > DEEPEST {
                return Err(LimitError::complex(
                    format!("The document nests more than {DEEPEST} levels deep."),
                    Some(selection.pos),
                ));
            }
        }
        Ok(whole)
    }

    fn directives(&mut self, here: usize, at: Pos) -> Result<(), LimitError> {
        self.directives = self.directives.saturating_add(here);
        if here > DIRECTIVES_HERE || self.directives > DIRECTIVES {
            return Err(LimitError::complex(
                "The document has too many directives.",
                Some(at),
            ));
        }
        Ok(())
    }
}
