//! Which root fields an operation would execute, known before anything is: for limits that must not count what is
//! skipped or refused. The library validates the operation, leaves out what is skipped and unfolds its fragments; the
//! guard notes what is left instead of resolving it.

use std::sync::{Mutex, PoisonError};

use async_graphql::{
    Context, Name, Value,
    registry::{MetaType, Registry},
};

/// A root field that would be executed.
#[derive(Clone, Debug)]
pub struct Rehearsed {
    /// Its name in the schema.
    pub field: String,
    arguments: Vec<(Name, Value)>,
}

impl Rehearsed {
    /// The text at a path of its arguments (`input.email`), or the name of an enumeration's value.
    pub fn text(&self, path: &str) -> Option<&str> {
        let mut path = path.split('.');
        let first = path.next()?;
        let (_, value) = self.arguments.iter().find(|(name, _)| name == first)?;
        let found = path.try_fold(value, |value, part| match value {
            Value::Object(object) => object.get(part),
            _ => None,
        });
        match found? {
            Value::String(text) => Some(text),
            Value::Enum(name) => Some(name),
            _ => None,
        }
    }
}

/// What was noted.
#[derive(Debug, Default)]
pub struct Rehearsal(Mutex<Vec<Rehearsed>>);

impl Rehearsal {
    /// Notes the field at hand of this root, unless its arguments would be refused: validation looks away from those in
    /// which a variable is absent.
    pub(super) fn note(&self, ctx: &Context<'_>, root: &str) {
        let field = &ctx.item.node;
        let Ok(arguments) = ctx.field().arguments() else {
            return;
        };
        let registry = &ctx.schema_env.registry;
        let meta = registry.types.get(root);
        let Some(meta) = meta.and_then(|root| root.field_by_name(&field.name.node)) else {
            return;
        };
        let whole = meta.args.values().all(|argument| {
            let written = field.get_argument(&argument.name).is_some();
            let given = arguments.iter().find(|(name, _)| *name == argument.name);
            match given {
                Some((_, value)) => is_whole(registry, value, &argument.ty),
                None => !argument.ty.ends_with('!') || !written && argument.default_value.is_some(),
            }
        });
        if whole {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.push(Rehearsed {
                field: field.name.node.to_string(),
                arguments,
            });
        }
    }

    pub(super) fn take(&self) -> Vec<Rehearsed> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *all)
    }
}

/// Whether nothing is missing in a value that is of this type otherwise.
fn is_whole(registry: &Registry, value: &Value, ty: &str) -> bool {
    let (ty, needed) = match ty.strip_suffix('!') {
        Some(ty) => (ty, true),
        None => (ty, false),
    };
    match value {
        Value::Null => !needed,
        Value::List(items) => {
            let item = ty.strip_prefix('[').and_then(|ty| ty.strip_suffix(']'));
            item.is_none_or(|item| items.iter().all(|value| is_whole(registry, value, item)))
        }
        Value::Object(object) => match registry.types.get(ty) {
            Some(MetaType::InputObject { input_fields, .. }) => {
                input_fields
                    .values()
                    .all(|field| match object.get(field.name.as_str()) {
                        Some(value) => is_whole(registry, value, &field.ty),
                        None => !field.ty.ends_with('!') || field.default_value.is_some(),
                    })
            }
            _ => true,
        },
        _ => true,
    }
}
