//! Whether a field, and each that it lies below, stands once in its place of the document.

use async_graphql::{
    ContextSelectionSet, Positioned, QueryPathSegment,
    parser::types::{Selection, SelectionSet},
};

/// Whether no other selection has the same response key as the current field, or as one that it lies below. Execution
/// resolves each of several and merges the answers, which what a plan has written can't be.
pub(super) fn is_alone(ctx: &ContextSelectionSet<'_>) -> bool {
    let Some(path) = ctx.path_node else {
        return false;
    };
    let mut keys = Vec::new();
    for node in std::iter::once(&path).chain(path.parents()) {
        match node.segment {
            QueryPathSegment::Name(key) => keys.push(key),
            // A list is planned from its root; what is below one is not looked for.
            QueryPathSegment::Index(_) => return false,
        }
    }
    let mut set = &ctx.query_env.operation.node.selection_set;
    for key in keys.into_iter().rev() {
        let mut found = None;
        if !only(ctx, set, key, &mut found) {
            return false;
        }
        let Some(below) = found else {
            return false;
        };
        set = below;
    }
    true
}

/// Looks for the fields of this response key; false once there is a second one.
fn only<'a>(
    ctx: &ContextSelectionSet<'a>,
    set: &'a Positioned<SelectionSet>,
    key: &str,
    found: &mut Option<&'a Positioned<SelectionSet>>,
) -> bool {
    set.node
        .items
        .iter()
        .all(|selection| match &selection.node {
            Selection::Field(field) if field.node.response_key().node == key => {
                found.replace(&field.node.selection_set).is_none()
            }
            Selection::Field(_) => true,
            Selection::InlineFragment(inline) => only(ctx, &inline.node.selection_set, key, found),
            Selection::FragmentSpread(spread) => {
                let fragments = &ctx.query_env.fragments;
                match fragments.get(&spread.node.fragment_name.node) {
                    Some(fragment) => only(ctx, &fragment.node.selection_set, key, found),
                    None => false,
                }
            }
        })
}
