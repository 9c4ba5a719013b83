//! What staff are refused, read off the field at hand for the audit trail ([`crate::features::audit::refusals`]).

use async_graphql::{Context, Name, Value};
use uuid::Uuid;

use super::context::ContextExt;
use crate::{
    db::ids,
    error::{ErrorCode, Problem},
    features::audit::refusals::{FORBIDDEN, Refusal, action},
};

/// The code of a field that was refused before its resolver.
const CODE: &str = "FORBIDDEN";

/// The arguments of a field, variables filled in.
struct Arguments(Vec<(Name, Value)>);

impl Arguments {
    fn of(ctx: &Context<'_>) -> Self {
        Self(ctx.field().arguments().unwrap_or_default())
    }

    /// The value at this path.
    fn at<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> Option<&Value> {
        let mut path = path.into_iter();
        let first = path.next()?;
        let (_, value) = self.0.iter().find(|(name, _)| name == first)?;
        path.try_fold(value, |value, part| match value {
            Value::Object(object) => object.get(part),
            Value::List(items) => items.get(part.parse::<usize>().ok()?),
            _ => None,
        })
    }

    fn id(&self, path: &[String]) -> Option<(&'static str, Uuid)> {
        known(self.at(path.iter().map(String::as_str))?)
    }

    /// What the field is about: what `id` names, or another argument that is an id, or `input.id`.
    fn target(&self) -> Option<(&'static str, Uuid)> {
        let named = |is: fn(&str) -> bool| {
            let mut all = self.0.iter();
            all.find_map(|(name, value)| is(name).then(|| known(value)).flatten())
        };
        let input = || known(self.at(["input", "id"])?);
        named(|name| name == "id")
            .or_else(|| named(|name| name.ends_with("Id")))
            .or_else(input)
    }

    /// A word at a dotted path.
    fn word(&self, path: &str) -> Option<String> {
        match self.at(path.split('.'))? {
            Value::Enum(name) => Some(name.to_string()),
            Value::String(text) => Some(text.clone()),
            Value::Boolean(is) => Some(is.to_string()),
            _ => None,
        }
    }
}

fn known(value: &Value) -> Option<(&'static str, Uuid)> {
    match value {
        Value::String(text) => ids::known(text),
        _ => None,
    }
}

fn typed((kind, id): (&'static str, Uuid)) -> Option<String> {
    ids::typed(kind, id)
}

/// Notes that a signed-in person asked for a field of staff without its permission; of who has no permission at all, now
/// and then.
pub fn forbidden(ctx: &Context<'_>, field: &'static str) {
    let Some(person) = ctx.viewer().signed_in() else {
        return;
    };
    if !person.permissions.is_staff() && !ctx.app().refusals.is_new(person.user_id, field) {
        return;
    }
    let arguments = Arguments::of(ctx);
    let listed = match arguments.at(["ids"]) {
        Some(Value::List(items)) => items.iter().filter_map(known).filter_map(typed).collect(),
        _ => Default::default(),
    };
    ctx.refusals().add(Refusal {
        field,
        action: FORBIDDEN,
        code: CODE,
        target: arguments.target(),
        ids: listed,
        ..Refusal::default()
    });
}

/// Notes why a mutation of staff did nothing: each code on each target once.
pub fn rejected(ctx: &Context<'_>, field: &'static str, problems: &[Problem]) {
    if problems.is_empty() {
        return;
    }
    let arguments = Arguments::of(ctx);
    let (action, target) = (
        action(field, |path| arguments.word(path)),
        arguments.target(),
    );
    let mut noted: Vec<(ErrorCode, Refusal)> = Vec::new();
    for problem in problems {
        let at = arguments.id(&problem.field);
        let target = target.or(at);
        let place = noted
            .iter()
            .position(|(code, it)| *code == problem.code && it.target == target);
        let mut refusal = match place {
            Some(place) => noted.swap_remove(place).1,
            None => Refusal {
                field,
                action,
                code: problem.code.as_str(),
                target,
                state: state(problem),
                ..Refusal::default()
            },
        };
        if !problem.field.is_empty() {
            refusal.at.insert(problem.field.join("."));
        }
        refusal
            .ids
            .extend(at.filter(|at| Some(*at) != target).and_then(typed));
        noted.push((problem.code, refusal));
    }
    for (_, refusal) in noted {
        ctx.refusals().add(refusal);
    }
}

fn state(problem: &Problem) -> Option<String> {
    let state = problem.details.as_ref()?.get("state")?;
    state.as_str().map(str::to_owned)
}
