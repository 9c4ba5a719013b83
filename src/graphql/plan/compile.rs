//! From a selection to a plan: response keys merged, fragments followed, each field asked how it is read.

use async_graphql::{
    Context, ContextSelectionSet, InputType, OutputType, Positioned,
    parser::types::{Field, Selection, SelectionSet},
};

use super::{
    Readable,
    json::Json,
    level::{Edge, Follow, Held, Loaded, Shape},
};
use crate::{
    db::batch::Batch,
    error::{Error, Result},
    graphql::{
        context::{ContextExt, RequestContext},
        loaders::Loaders,
    },
};

/// How a field is read.
pub enum Read<T> {
    /// From the row alone.
    Leaf(fn(&T, &RequestContext, &mut Json)),
    /// By an edge to other objects.
    Edge(Box<dyn Edge<T>>),
}

/// What is to be written of an object of type `T`, in the order of the answer.
pub(super) struct Plan<T> {
    pub(super) fields: Vec<FieldPlan<T>>,
    pub(super) edges: Vec<Box<dyn Edge<T>>>,
}

/// A field of the answer.
pub(super) struct FieldPlan<T> {
    /// What stands before its value: `{"key":` or `,"key":`.
    pub(super) before: String,
    pub(super) read: Step<T>,
}

/// How a planned field is written.
pub(super) enum Step<T> {
    TypeName,
    Leaf(fn(&T, &RequestContext, &mut Json)),
    /// By the edge of this place in [`Plan::edges`].
    Edge(usize),
}

/// A selected field: its name, its arguments and what is selected below it, wherever in the document that stands.
pub struct Selected<'a> {
    key: &'a str,
    /// Never empty; all with the same name and arguments (`limits::overlap`).
    fields: Vec<Context<'a>>,
    below: Vec<ContextSelectionSet<'a>>,
}

impl<T: Readable> Plan<T> {
    /// The plan for what is selected of a `T`; nothing when one of the fields cannot be planned.
    pub(super) fn of(ctx: &ContextSelectionSet<'_>) -> Option<Self> {
        let free = free(ctx, ctx.item);
        Self::of_all(std::slice::from_ref(&free))
    }

    fn of_all(sets: &[ContextSelectionSet<'_>]) -> Option<Self> {
        let mut selected = Vec::new();
        for set in sets {
            collect(set, &T::Object::type_name(), &mut selected)?;
        }
        // Leaves first: what a card doesn't have shows before anything below it is compiled for nothing.
        let mut order: Vec<usize> = (0..selected.len()).collect();
        order.sort_by_key(|place| selected.get(*place).is_some_and(Selected::has_below));
        let mut steps: Vec<Option<Step<T>>> = selected.iter().map(|_| None).collect();
        let mut edges = Vec::new();
        for place in order {
            let (field, step) = (selected.get(place)?, steps.get_mut(place)?);
            *step = Some(if field.name() == "__typename" {
                Step::TypeName
            } else {
                match T::read(field)? {
                    Read::Leaf(write) => Step::Leaf(write),
                    Read::Edge(edge) => {
                        edges.push(edge);
                        Step::Edge(edges.len() - 1)
                    }
                }
            });
        }
        let mut fields = Vec::with_capacity(selected.len());
        for (field, step) in selected.iter().zip(steps) {
            let comma = if fields.is_empty() { '{' } else { ',' };
            let before = format!("{comma}\"{}\":", field.key);
            fields.push(FieldPlan {
                before,
                read: step?,
            });
        }
        (!fields.is_empty()).then_some(Self { fields, edges })
    }
}

/// The same context at another item and without its path, which only errors need.
fn free<'a, T, U>(
    ctx: &async_graphql::ContextBase<'a, T>,
    item: U,
) -> async_graphql::ContextBase<'a, U> {
    let (env, schema) = (ctx.query_env, ctx.schema_env);
    env.create_context(schema, None, item, ctx.execute_data)
}

/// The fields of a selection set, those with the same response key as one. Execution has taken out what `@skip` and
/// `@include` leave out.
fn collect<'a>(
    ctx: &ContextSelectionSet<'a>,
    type_name: &str,
    selected: &mut Vec<Selected<'a>>,
) -> Option<()> {
    for selection in &ctx.item.node.items {
        let (condition, set): (_, &'a Positioned<SelectionSet>) = match &selection.node {
            Selection::Field(field) => {
                // No directive of ours changes how a field is resolved, so one that is left is not known here.
                if !field.node.directives.is_empty() {
                    return None;
                }
                let key = field.node.response_key().node.as_str();
                let below = free(ctx, &field.node.selection_set);
                match selected.iter_mut().find(|known| known.key == key) {
                    Some(known) => {
                        known.fields.push(free(ctx, field));
                        known.below.push(below);
                    }
                    None => selected.push(Selected {
                        key,
                        fields: vec![free(ctx, field)],
                        below: vec![below],
                    }),
                }
                continue;
            }
            Selection::InlineFragment(inline) => (
                inline.node.type_condition.as_ref(),
                &inline.node.selection_set,
            ),
            Selection::FragmentSpread(spread) => {
                let fragments = &ctx.query_env.fragments;
                let fragment = fragments.get(&spread.node.fragment_name.node)?;
                (
                    Some(&fragment.node.type_condition),
                    &fragment.node.selection_set,
                )
            }
        };
        let applies = condition.is_none_or(|condition| {
            let name = condition.node.on.node.as_str();
            let interfaces = ctx.schema_env.registry.implements.get(type_name);
            name == type_name || interfaces.is_some_and(|interfaces| interfaces.contains(name))
        });
        if applies {
            collect(&free(ctx, set), type_name, selected)?;
        }
    }
    Some(())
}

impl Selected<'_> {
    /// The field's name in the schema.
    pub fn name(&self) -> &str {
        self.first().map_or("", |field| field.name.node.as_str())
    }

    fn has_below(&self) -> bool {
        self.below.iter().any(|set| !set.item.node.items.is_empty())
    }

    fn first(&self) -> Option<&Field> {
        self.fields.first().map(|field| &field.item.node)
    }

    /// The value of an argument that may be left out; nothing where the resolver must refuse it.
    pub fn argument<A: InputType>(&self, name: &str) -> Option<Option<A>> {
        let value = self.fields.first()?.param_value::<Option<A>>(name, None);
        value.ok().map(|(_, value)| value)
    }

    /// Whether this field is selected directly below.
    pub fn selects(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.selects(name))
    }

    /// An edge to objects that the row holds or says itself; `fill` adds those of one row.
    pub fn held<T, C, F>(&self, shape: Shape, fill: F) -> Option<Read<T>>
    where
        T: Readable,
        C: Readable,
        F: Fn(&T, &RequestContext, &mut Vec<C>) -> Result<()> + Send + Sync + 'static,
    {
        let plan = Plan::<C>::of_all(&self.below)?;
        Some(Read::Edge(Box::new(Follow {
            plan,
            shape,
            source: Held(fill),
        })))
    }

    /// An edge that one statement follows for all rows of the level: `key` says what it is for one row (nothing leads
    /// nowhere), `batch` reads, `fill` adds the objects of one row. What could not be read is told by `fail` to the loader
    /// that the resolvers would read it with.
    pub fn loaded<T, C, B>(
        &self,
        shape: Shape,
        key: impl Fn(&T) -> Option<B::Key> + Send + Sync + 'static,
        batch: impl Fn(&RequestContext) -> B + Send + Sync + 'static,
        fail: fn(&Loaders, &Error),
        fill: impl Fn(&T, &B::Value, &RequestContext, &mut Vec<C>) -> Result<()> + Send + Sync + 'static,
    ) -> Option<Read<T>>
    where
        T: Readable,
        C: Readable,
        B: Batch,
    {
        let plan = Plan::<C>::of_all(&self.below)?;
        Some(Read::Edge(Box::new(Follow {
            plan,
            shape,
            source: Loaded {
                key,
                batch,
                fail,
                fill,
            },
        })))
    }
}
