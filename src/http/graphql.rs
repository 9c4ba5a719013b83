//! GraphQL over HTTP: what is asked, by whom, within which limits; then execution and its answer.
//!
//! Both media types with their status rules, GET for queries alone, POST with JSON alone, batches in order.

mod accept;
mod admission;
mod answer;
mod execute;
mod input;
mod trail;
mod tries;

use std::sync::Arc;

use async_graphql::{Variables, parser::types::OperationType};
use axum::{
    extract::{Extension, Request, State},
    response::Response,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use tokio::time::Instant;

use self::{
    accept::Media,
    admission::Admission,
    answer::{Answer, AnswerCost, Answers},
    execute::execute,
    input::{Operation, Operations},
    trail::Trail,
    tries::take,
};
use super::{body, limits::Standings, problem::Problem, request::RequestInfo, router::Http};
use crate::{
    auth::{self, Refusal, viewer::Viewer},
    graphql::{
        documents::{Document, DocumentError},
        errors::TopLevelCode,
        limits::{Cost, LimitError, Measured, measure},
        refused::Asked,
    },
};

/// An operation that may be executed.
struct Prepared {
    document: Arc<Document>,
    operation_name: Option<String>,
    variables: Variables,
    measured: Measured,
}

impl Prepared {
    fn mutates(&self) -> bool {
        self.measured.operation == OperationType::Mutation
    }

    /// Notes it for the log.
    fn note(&self, info: &RequestInfo) {
        let name = self.operation_name.as_deref().or_else(|| {
            let (only, _) = self.document.operations.iter().next()?;
            only.map(|name| name.as_str())
        });
        let kind = if self.mutates() { "mutation" } else { "query" };
        info.operation(name, kind);
    }
}

/// An operation that can't be executed.
struct Unfit {
    answer: Box<Answer>,
    asked: Asked,
}

impl Unfit {
    fn limit(error: LimitError, asked: Asked) -> Self {
        let answer = Answer::limit(error);
        Self { answer, asked }
    }

    fn unread(answer: Box<Answer>) -> Self {
        let asked = Asked::Unread;
        Self { answer, asked }
    }
}

/// Everything a request becomes before it is executed.
struct Plan {
    batch: bool,
    operations: Vec<Result<Prepared, Unfit>>,
}

impl Plan {
    /// Notes that all of it is refused.
    fn in_vain(&self, trail: &Trail, answer: &Answer) {
        for operation in &self.operations {
            match operation {
                Ok(Prepared {
                    document,
                    operation_name,
                    ..
                }) => {
                    let asked = Asked::of(document, operation_name.as_deref());
                    answer.in_vain(trail, &asked);
                }
                Err(unfit) => unfit.answer.in_vain(trail, &unfit.asked),
            }
        }
    }
}

/// `GET /graphql` and `POST /graphql`.
pub async fn endpoint(
    State(http): State<Arc<Http>>,
    Extension(info): Extension<Arc<RequestInfo>>,
    request: Request,
) -> Response {
    let Some(media) = accept::negotiate(request.headers()) else {
        let message = "Answers are application/graphql-response+json or application/json.";
        let answer = Answer::refused(
            StatusCode::NOT_ACCEPTABLE,
            TopLevelCode::BadRequest,
            message,
        );
        note(&info, &answer);
        return Answers::One(answer).response(Media::Json, &info.request_id);
    };
    let mut standings = Standings::default();
    let answers = match answer(&http, &info, request, &mut standings).await {
        Ok(answers) => answers,
        Err(refused) => Answers::One(refused),
    };
    match &answers {
        Answers::One(answer) => note(&info, answer),
        Answers::Batch(answers) => answers.iter().for_each(|answer| note(&info, answer)),
    }
    let mut response = answers.response(media, &info.request_id);
    standings.write(response.headers_mut());
    response
}

fn note(info: &RequestInfo, answer: &Answer) {
    for fault in &answer.faults {
        info.code(fault.code.as_str());
    }
}

async fn answer(
    http: &Arc<Http>,
    info: &RequestInfo,
    request: Request,
    standings: &mut Standings,
) -> Result<Answers, Box<Answer>> {
    let (parts, body) = request.into_parts();
    let config = &http.app.config;
    let operations = match parts.method {
        Method::GET => input::from_query(parts.uri.query().unwrap_or_default()),
        Method::POST if !body::is_json(&parts.headers) => {
            let message = "The content type must be application/json in UTF-8.";
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            Err(Answer::refused(status, TopLevelCode::BadRequest, message))
        }
        Method::POST => {
            let (most, patience) = (config.limits.body_bytes, config.timeouts.body);
            let read = body::read(&parts.headers, body, most, patience).await;
            let read = read.map_err(of_problem)?;
            let text = body::text(&read).map_err(of_problem)?;
            input::from_body(text, config.limits.batch)
        }
        _ => Err(method_not_allowed("Use GET or POST.")),
    };
    let deadline = Instant::now() + config.timeouts.request;
    let plan = plan(http, operations?);
    let viewer = viewer(http, info, &parts.headers, &plan).await?;
    info.is_by(viewer.user_id());
    let fit = || plan.operations.iter().flatten();
    fit().for_each(|prepared| prepared.note(info));
    let trail = Arc::new(Trail::new(http, info, &viewer));
    let show_cost = parts
        .headers
        .get("x-cost")
        .is_some_and(|value| value == HeaderValue::from(1));
    let in_vain = async |refused: Box<Answer>| {
        plan.in_vain(&trail, &refused);
        trail.write().await;
        refused
    };
    let sum = match check(http, &plan, parts.method == Method::GET) {
        Ok(sum) => sum,
        Err(refused) => return Err(in_vain(refused).await),
    };
    // Shed early: before its points are taken.
    let mut admission = Admission::of(http, fit())?;
    let taken = match take(http, &viewer, &plan).await {
        Ok(taken) => taken,
        Err(refused) => return Err(in_vain(refused).await),
    };
    *standings = taken;
    let shown_cost = |requested: u64| show_cost.then(|| AnswerCost::new(requested, standings));
    if let Some(refused) = standings.refused() {
        let mut answer = Answer::rate_limited(refused);
        answer.cost = shown_cost(sum.complexity);
        return Err(answer);
    }

    let mut answers = Vec::with_capacity(plan.operations.len());
    for prepared in plan.operations {
        answers.push(match prepared {
            Ok(prepared) => {
                let cost = prepared.measured.cost.complexity;
                let mut answer = match admission.next(prepared.mutates()) {
                    Ok(()) => execute(http, info, &viewer, prepared, &trail, deadline).await,
                    Err(refused) => refused,
                };
                answer.cost = shown_cost(cost);
                answer
            }
            Err(Unfit { answer, asked }) => {
                answer.in_vain(&trail, &asked);
                answer
            }
        });
    }
    trail.write().await;
    if plan.batch {
        return Ok(Answers::Batch(
            answers.into_iter().map(|answer| *answer).collect(),
        ));
    }
    let only = answers.pop().unwrap_or_else(Answer::internal);
    Ok(Answers::One(only))
}

fn method_not_allowed(message: &str) -> Box<Answer> {
    Answer::refused(
        StatusCode::METHOD_NOT_ALLOWED,
        TopLevelCode::BadRequest,
        message,
    )
}

fn of_problem(problem: Problem) -> Box<Answer> {
    let code = if problem.status == StatusCode::REQUEST_TIMEOUT {
        TopLevelCode::Timeout
    } else {
        TopLevelCode::BadRequest
    };
    Answer::refused(problem.status, code, problem.detail)
}

fn plan(http: &Http, operations: Operations) -> Plan {
    let prepared = operations
        .list
        .into_iter()
        .map(|operation| prepare(http, operation));
    Plan {
        batch: operations.batch,
        operations: prepared.collect(),
    }
}

fn prepare(http: &Http, operation: Operation) -> Result<Prepared, Unfit> {
    let Operation {
        query,
        hash,
        operation_name,
        variables,
    } = operation;
    let document = http
        .documents
        .get(query.as_deref(), hash, &http.model)
        .map_err(refused_document)?;
    let limits = &http.app.config.limits;
    let measured = measure(
        &http.model,
        &document,
        operation_name.as_deref(),
        &variables,
        limits,
    )
    .map_err(|error| Unfit::limit(error, Asked::of(&document, operation_name.as_deref())))?;
    Ok(Prepared {
        document,
        operation_name,
        variables,
        measured,
    })
}

fn refused_document(error: DocumentError) -> Unfit {
    let plain = |message: &str, reason: &str| {
        let mut answer = Answer::document(async_graphql::ServerError::new(message, None));
        answer.extend("reason", reason.into());
        answer
    };
    match error {
        // Apollo's clients know this message by heart and answer it with the text.
        DocumentError::NotFound => Unfit {
            answer: plain("PersistedQueryNotFound", "PERSISTED_QUERY_NOT_FOUND"),
            // Nothing was refused: the text comes next.
            asked: Asked::Fields(Vec::new()),
        },
        DocumentError::Mismatch => Unfit::unread(plain(
            "provided sha does not match query",
            "PERSISTED_QUERY_MISMATCH",
        )),
        DocumentError::NotListed => Unfit::unread(plain(
            "Only operations of the manifest are accepted here.",
            "PERSISTED_QUERY_NOT_LISTED",
        )),
        DocumentError::Syntax(error) => Unfit::unread(Answer::document(error)),
        DocumentError::Limit(error) => Unfit::limit(error, Asked::Unread),
        DocumentError::Structure(error, asked) => Unfit::limit(error, asked),
    }
}

/// Who asks. A document of `auth*` fields alone is anonymous whatever the header says, so that an expired token can be
/// exchanged.
async fn viewer(
    http: &Http,
    info: &RequestInfo,
    headers: &HeaderMap,
    plan: &Plan,
) -> Result<Viewer, Box<Answer>> {
    let anonymous = info.anonymous();
    let only_auth = plan.operations.iter().all(|prepared| {
        prepared
            .as_ref()
            .is_ok_and(|prepared| prepared.measured.only_auth)
    });
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(anonymous);
    };
    if only_auth {
        return Ok(anonymous);
    }
    let bearer = value.to_str().ok().and_then(|value| value.split_once(' '));
    let refused = |reason: &str| {
        let message = "The access token is not valid.";
        let mut answer = Answer::refused(
            StatusCode::UNAUTHORIZED,
            TopLevelCode::Unauthenticated,
            message,
        );
        answer.extend("reason", reason.into());
        answer
    };
    let (Some((scheme, token)), None) = (bearer, values.next()) else {
        return Err(refused("TOKEN_INVALID"));
    };
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(refused("TOKEN_INVALID"));
    }
    let now = http.app.clock.now();
    match auth::authenticate(&http.app, anonymous, token.trim(), now).await {
        Ok(Ok(viewer)) => Ok(viewer),
        Ok(Err(Refusal::Expired)) => Err(refused("TOKEN_EXPIRED")),
        Ok(Err(Refusal::Invalid)) => Err(refused("TOKEN_INVALID")),
        Err(error) => Err(Answer::failed(&error)),
    }
}

/// The checks on the request as a whole: its sums, which are answered, and no mutation by GET.
fn check(http: &Http, plan: &Plan, is_get: bool) -> Result<Cost, Box<Answer>> {
    let mut sum = Cost::default();
    for prepared in plan.operations.iter().flatten() {
        if is_get && prepared.measured.operation != OperationType::Query {
            return Err(method_not_allowed("Mutations need POST."));
        }
        sum += prepared.measured.cost;
    }
    sum.within(&http.app.config.limits).map_err(Answer::limit)?;
    Ok(sum)
}
