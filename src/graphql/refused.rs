//! What staff are refused, read off the field at hand, or off the document where no field is reached, for the audit trail
//! ([`crate::features::audit::refusals`]).

use std::collections::BTreeSet;

use async_graphql::{
    Context, Name, PathSegment, Response, Value,
    parser::types::{ExecutableDocument, OperationType, Selection, SelectionSet},
};
use uuid::Uuid;

use super::{
    context::ContextExt,
    errors::{TopLevelCode, is_bad_request},
    execution::is_refused,
    limits::select,
};
use crate::{
    app::App,
    auth::{
        policy::{self, Audience},
        viewer::Viewer,
    },
    db::ids,
    error::{ErrorCode, Problem},
    features::audit::refusals::{DOCUMENT, FORBIDDEN, Refusal, Refusals, action},
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

    /// The list of ids that the field is about, if it is about one.
    fn listed(&self) -> Option<&[Value]> {
        match self.at(["ids"])? {
            Value::List(items) => Some(items),
            _ => None,
        }
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

fn all_typed(listed: Option<&[Value]>) -> BTreeSet<String> {
    let known = listed.unwrap_or_default().iter().filter_map(known);
    known.filter_map(typed).collect()
}

/// Notes that a signed-in person asked for a field of staff without its permission; of who has no permission at all, now
/// and then.
pub fn forbidden(ctx: &Context<'_>, field: &'static str) {
    let Some(person) = ctx.viewer().signed_in() else {
        return;
    };
    let is_new = || ctx.app().refusals.is_new(person.user_id.0, field, CODE);
    if !person.permissions.is_staff() && !is_new() {
        return;
    }
    let arguments = Arguments::of(ctx);
    ctx.refusals().add(Refusal {
        field,
        action: FORBIDDEN,
        code: CODE,
        target: arguments.target(),
        ids: all_typed(arguments.listed()),
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
    let listed = arguments.listed();
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
                asked: listed.map(<[Value]>::len),
                asked_ids: all_typed(listed.filter(|_| noted.is_empty())),
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

/// What a document asks for of the roots, executed or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Nobody knows: it does not parse.
    Unread,
    /// These fields, each once.
    Fields(Vec<(&'static str, Audience)>),
}

impl Asked {
    /// What the operation of this name asks for, skipped or not; all of the document where it selects none.
    pub fn of(document: &ExecutableDocument, operation_name: Option<&str>) -> Self {
        Self::at(document, operation_name, |_| true)
    }

    /// What of a response was refused as `BAD_REQUEST`: everything where nothing was executed, else the fields at fault.
    pub fn in_vain(
        document: &ExecutableDocument,
        operation_name: Option<&str>,
        response: &Response,
    ) -> Option<Self> {
        let errors = response.errors.iter();
        let at_fault: Vec<_> = errors.filter(|error| is_bad_request(error)).collect();
        if at_fault.is_empty() {
            return None;
        }
        let whole = is_refused(response);
        Some(Self::at(document, operation_name, |key| {
            let is_key =
                |first: &PathSegment| matches!(first, PathSegment::Field(name) if name == key);
            let mut firsts = at_fault.iter().filter_map(|error| error.path.first());
            whole || firsts.any(is_key)
        }))
    }

    fn at(
        document: &ExecutableDocument,
        operation_name: Option<&str>,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Self {
        let selected = select(document, operation_name).ok();
        let mut roots = Roots {
            document,
            is_wanted,
            spread: Vec::new(),
            found: Vec::new(),
        };
        for (_, operation) in document.operations.iter() {
            if selected.is_none_or(|selected| std::ptr::eq(selected, operation)) {
                let root = match operation.node.ty {
                    OperationType::Query => "Query",
                    OperationType::Mutation => "Mutation",
                    OperationType::Subscription => continue,
                };
                roots.spread.clear();
                roots.set(root, &operation.node.selection_set.node);
            }
        }
        Self::Fields(roots.found)
    }
}

struct Roots<'a, F> {
    document: &'a ExecutableDocument,
    is_wanted: F,
    /// Fragments that were looked at: the document may be one that is refused for spreading them too often.
    spread: Vec<&'a str>,
    found: Vec<(&'static str, Audience)>,
}

impl<'a, F: Fn(&str) -> bool> Roots<'a, F> {
    fn set(&mut self, root: &str, set: &'a SelectionSet) {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => {
                    let entry = policy::entry(root, &field.node.name.node)
                        .filter(|_| (self.is_wanted)(&field.node.response_key().node));
                    self.found
                        .extend(entry.filter(|entry| !self.found.contains(entry)));
                }
                Selection::InlineFragment(inline) => {
                    self.set(root, &inline.node.selection_set.node);
                }
                Selection::FragmentSpread(spread) => {
                    let name = spread.node.fragment_name.node.as_str();
                    if let Some(fragment) = self.document.fragments.get(name)
                        && !self.spread.contains(&name)
                    {
                        self.spread.push(name);
                        self.set(root, &fragment.node.selection_set.node);
                    }
                }
            }
        }
    }
}

/// Notes that staff asked with a document that can't be executed, or for a field with arguments that it can't be resolved
/// with: each field of staff in it, once a minute for each session, because such a document is a slip more often than an
/// act. What does not ask for any is not noted, nor is what only has to wait.
pub fn in_vain(app: &App, viewer: &Viewer, refusals: &Refusals, code: TopLevelCode, asked: &Asked) {
    let person = viewer.signed_in();
    let Some(person) = person.filter(|person| person.permissions.is_staff()) else {
        return;
    };
    if !matches!(
        code,
        TopLevelCode::BadRequest | TopLevelCode::QueryTooComplex
    ) {
        return;
    }
    let fields = match asked {
        Asked::Unread => vec![DOCUMENT],
        Asked::Fields(fields) => {
            let of_staff = fields
                .iter()
                .filter(|(name, audience)| policy::is_of_staff(name, *audience, viewer));
            of_staff.map(|(name, _)| *name).collect()
        }
    };
    for field in fields {
        let code = code.as_str();
        if app.refusals.is_new(person.session_id.0, field, code) {
            refusals.add(Refusal {
                field,
                action: FORBIDDEN,
                code,
                ..Refusal::default()
            });
        }
    }
}
