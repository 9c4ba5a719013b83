//! What a request takes from the limits: points, and tries at signing in.
//!
//! An address pays for each try that is written in a document. An account pays only for what will be executed: else
//! whoever knows somebody's address could use up their tries with documents that are refused or skip what they ask for,
//! and nothing would tell of it. For the same reason a registration or a code pays only when it is well formed, and what
//! adds an address to the viewer's account pays for that account, not for the address. Everything is taken before
//! anything is executed, all of it or nothing.

use async_graphql::parser::types::OperationType;

use super::{Answer, Plan, Prepared, execute::request};
use crate::{
    auth::{codes::Code, passwords::Password, viewer::Viewer},
    features::accounts::{email, service as accounts},
    graphql::{
        limits::{LimitError, LimitKind, root_arguments, select},
        rehearsal::Rehearsed,
    },
    http::{
        limits::{Request as Taken, Standings, Tried},
        router::Http,
    },
    text,
};

/// The fields that try an account, with what of their arguments names it. What sends a mail is limited by address of the
/// mail besides (rule 22).
const ACCOUNTS: [(&str, &str, Tried); 6] = [
    (REGISTER, "input.email", Tried::Address),
    (LOGIN, "login", Tried::Password),
    (SEND, "email", Tried::Address),
    ("emailVerify", "email", Tried::SignUpCode),
    ("passwordReset", "email", Tried::ResetCode),
    (LINK, "email", Tried::LinkCode),
];
const REGISTER: &str = "authRegister";
const LOGIN: &str = "authLogin";
const SEND: &str = "emailCodeSend";
const LINK: &str = "accountLinkEmail";
/// Tries the viewer's own account: whose password is guessed by who has taken a session over.
const OWN: &str = "passwordChange";

/// Takes what the request costs in points, and its tries at signing in, from everybody's buckets that it counts for.
pub(super) async fn take(
    http: &Http,
    viewer: &Viewer,
    plan: &Plan,
) -> Result<Standings, Box<Answer>> {
    let mut taken = http.limits.request(viewer.ip_address);
    // One that can't be executed costs nothing where it comes alone, and has been read where it doesn't.
    if plan.operations.iter().any(Result::is_ok) {
        let costs = plan.operations.iter().map(|prepared| {
            let cost = prepared.as_ref().map(|it| it.measured.cost.complexity);
            cost.unwrap_or_default().max(1)
        });
        taken.points(viewer.user_id(), costs.fold(0, u64::saturating_add));
    }
    let (mut refreshed, mut trying) = (Vec::new(), Vec::new());
    for prepared in plan.operations.iter().flatten() {
        let tries = take_tries(&mut taken, prepared);
        refreshed.extend(tries.refreshed);
        trying.extend(tries.accounts.then_some(prepared));
    }
    within_buckets(&taken)?;
    if !trying.is_empty() {
        // What is refused anyway is not worth the work of a validation.
        if let Some(refusal) = taken.refusal(&http.app) {
            return Ok(refusal);
        }
        for prepared in trying {
            take_accounts(http, &mut taken, viewer, prepared).await;
        }
        within_buckets(&taken)?;
    }
    if !refreshed.is_empty() {
        // Whose session it is costs a statement, which an address that is over its limit anyway does not get.
        if let Some(refusal) = taken.refusal(&http.app) {
            return Ok(refusal);
        }
        let people = accounts::refreshed(&http.app, &refreshed).await;
        for person in people.map_err(|error| Answer::failed(&error))? {
            taken.refresh_of(person);
        }
        within_buckets(&taken)?;
    }
    let standings = taken.take(&http.app).await;
    standings.map_err(|error| Answer::failed(&error))
}

/// Refuses for good what takes more than a full bucket has.
fn within_buckets(taken: &Taken<'_>) -> Result<(), Box<Answer>> {
    let Some(charge) = taken.beyond() else {
        return Ok(());
    };
    let (cost, rate) = (charge.cost, charge.rate);
    let message = format!(
        "The request takes {cost} of the limit \"{}\", which never has more than {}.",
        rate.name, rate.quota
    );
    Err(Answer::limit(LimitError {
        kind: LimitKind::TooComplex,
        message,
        position: None,
        key: None,
    }))
}

/// What an operation tries, as it is written.
#[derive(Default)]
struct Tries {
    /// The tokens that it refreshes.
    refreshed: Vec<String>,
    /// Whether it tries an account.
    accounts: bool,
}

/// Counts an operation's sign-ins and refreshes for the address.
fn take_tries(taken: &mut Taken<'_>, prepared: &Prepared) -> Tries {
    let mut tries = Tries::default();
    if prepared.measured.operation != OperationType::Mutation {
        return tries;
    }
    let Ok(operation) = select(&prepared.document, prepared.operation_name.as_deref()) else {
        return tries;
    };
    let arguments = |field: &str, path: &str| {
        let (document, variables) = (&prepared.document, &prepared.variables);
        root_arguments(document, &operation.node, variables, field, path)
    };
    for field in ["authTelegram", "accountLinkTelegram"] {
        for init_data in arguments(field, "initData") {
            taken.sign_in(&init_data);
        }
    }
    let named = ACCOUNTS.iter().map(|(field, path, _)| (*field, *path));
    for (field, path) in named.chain([(OWN, "input")]) {
        for _ in arguments(field, path) {
            taken.try_sign_in();
            tries.accounts = true;
        }
    }
    tries.refreshed = arguments("authRefresh", "refreshToken");
    for _ in &tries.refreshed {
        taken.refresh();
    }
    tries
}

/// Counts the tries that will be executed for the accounts that they name.
async fn take_accounts(http: &Http, taken: &mut Taken<'_>, viewer: &Viewer, prepared: &Prepared) {
    let Prepared {
        document,
        operation_name,
        variables,
        ..
    } = prepared;
    let request = request(document, operation_name.clone(), variables.clone());
    let rehearsed = http.executor.rehearse(&http.app, viewer, request).await;
    for (tried, account) in rehearsed.iter().filter_map(|field| account(viewer, field)) {
        taken.account(tried, &account);
    }
}

/// The account that a field tries, and how.
fn account(viewer: &Viewer, field: &Rehearsed) -> Option<(Tried, String)> {
    let own = || viewer.user_id().map(|id| id.to_string());
    if field.field == OWN {
        return Some((Tried::OwnPassword, own()?));
    }
    let (name, path, tried) = ACCOUNTS.iter().find(|(name, ..)| *name == field.field)?;
    let typed = field.text(path)?;
    let account = match *name {
        // By address and by username apart: one bucket for both would tell that they are one person's.
        LOGIN => typed.to_owned(),
        // Its codes are the viewer's own, whatever the address.
        LINK => own()?,
        SEND if field.text("purpose") == Some("LINK") => own()?,
        REGISTER if !is_well_formed(typed, field)? => return None,
        // What is no address names nobody, least of all who has it as a username.
        _ => text::email(typed).ok()?,
    };
    let presented = field.text("code");
    if presented.is_some_and(|code| Code::parse(code).is_none()) {
        return None;
    }
    Some((*tried, account))
}

fn is_well_formed(email: &str, registration: &Rehearsed) -> Option<bool> {
    let password = Password::new(registration.text("input.password")?.to_owned());
    let display_name = registration.text("input.displayName")?;
    let username = registration.text("input.username");
    Some(email::is_well_formed(
        email,
        &password,
        display_name,
        username,
    ))
}
