//! The response keys of a mutation, each of which stands for one thing that is done.

use std::collections::HashSet;

use async_graphql::parser::types::{
    ExecutableDocument, OperationDefinition, Selection, SelectionSet,
};

use super::LimitError;

/// Refuses a mutation that has a response key twice in its root, be it through fragments or where it is skipped: the
/// specification has equal fields of one key executed once, async-graphql does them as often as they stand there.
///
/// The document's fragments have been expanded and counted, and none spreads itself.
///
/// # Errors
/// `BAD_REQUEST` with the key.
pub(super) fn unique(
    document: &ExecutableDocument,
    mutation: &OperationDefinition,
) -> Result<(), LimitError> {
    let mut walk = Walk {
        document,
        keys: HashSet::new(),
    };
    walk.set(&mutation.selection_set.node)
}

struct Walk<'a> {
    document: &'a ExecutableDocument,
    keys: HashSet<&'a str>,
}

impl<'a> Walk<'a> {
    fn set(&mut self, set: &'a SelectionSet) -> Result<(), LimitError> {
        for selection in &set.items {
            match &selection.node {
                // Does nothing, however often.
                Selection::Field(field) if field.node.name.node == "__typename" => {}
                Selection::Field(field) => {
                    let key = field.node.response_key().node.as_str();
                    if !self.keys.insert(key) {
                        let message = format!(
                            "The mutation has the response key \"{key}\" twice: each of its fields needs a key of its own."
                        );
                        return Err(LimitError {
                            key: Some(key.to_owned()),
                            ..LimitError::bad(message, Some(field.pos))
                        });
                    }
                }
                Selection::InlineFragment(inline) => self.set(&inline.node.selection_set.node)?,
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name.node;
                    if let Some(fragment) = self.document.fragments.get(name) {
                        self.set(&fragment.node.selection_set.node)?;
                    }
                }
            }
        }
        Ok(())
    }
}
