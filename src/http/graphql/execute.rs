//! Execution: queries with the connection, mutations to their end; then what of the errors may be shown.

use std::{panic::AssertUnwindSafe, sync::Arc};

use async_graphql::{Request, Response, Value, Variables, parser::types::ExecutableDocument};
use futures_util::FutureExt;
use http::StatusCode;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

use super::{
    Prepared,
    answer::{Answer, Fault, Status},
    trail::Trail,
};
use crate::{
    auth::viewer::Viewer,
    config::Introspection,
    db::stats::SQL_STATS,
    graphql::{
        context::RequestContext,
        errors::{TopLevelCode, mask},
        execution::is_refused,
        refused::Asked,
    },
    http::{problem::soon, request::RequestInfo, router::Http},
};

/// Errors in one answer; validation can find one in every field.
const ERRORS: usize = 25;

/// Executes one operation and answers it.
pub(super) async fn execute(
    http: &Arc<Http>,
    info: &RequestInfo,
    viewer: &Viewer,
    prepared: Prepared,
    trail: &Arc<Trail>,
    deadline: Instant,
) -> Box<Answer> {
    let mutates = prepared.mutates();
    let Prepared {
        document,
        operation_name,
        variables,
        ..
    } = prepared;
    let mut request = request(&document, operation_name, variables);
    let may_introspect = match http.app.config.introspection {
        Introspection::Everyone => true,
        Introspection::Staff => viewer.may("schema:read"),
        Introspection::Nobody => false,
    };
    if !may_introspect {
        request = request.disable_introspection();
    }
    let (mut app, refusals) = (http.app.clone(), trail.refusals.clone());
    if !mutates {
        app.db = app.db.for_query();
    }
    let request = request.data(RequestContext::new(app, viewer.clone(), refusals));
    let (executor, trail) = (http.executor.clone(), trail.clone());
    let work = async move {
        let operation = request.operation_name.clone();
        let response = executor.execute(&document, request).await;
        if let Some(asked) = Asked::in_vain(&document, operation.as_deref(), &response) {
            trail.in_vain(TopLevelCode::BadRequest, &asked);
        }
        // Held until here by a mutation that nobody waits for any more.
        drop(trail);
        response
    };
    let work = AssertUnwindSafe(work).catch_unwind();
    let outcome = if mutates {
        // A client that hangs up, or a request that takes too long, must not stop a mutation half way.
        let work = SQL_STATS.scope(info.stats.clone(), work).in_current_span();
        // Boxed: a task is moved several times before it runs.
        let task = http.tasks.spawn(Box::pin(work));
        timeout_at(deadline, task)
            .await
            .map(|joined| joined.unwrap_or_else(|error| Err(Box::new(error))))
    } else {
        timeout_at(deadline, work).await
    };
    match outcome {
        Ok(Ok(response)) => shown(http, response, info, mutates),
        Ok(Err(_)) => {
            tracing::error!(request_id = %info.request_id, "a resolver panicked");
            Answer::internal()
        }
        Err(_) => Answer::timed_out(),
    }
}

/// An operation of a document that is parsed already.
pub(super) fn request(
    document: &ExecutableDocument,
    operation_name: Option<String>,
    variables: Variables,
) -> Request {
    let mut request = Request::new("").variables(variables);
    request.operation_name = operation_name;
    request.set_parsed_query(document.clone());
    request
}

/// What of a response is shown, and with which status (api.md, "Errors").
fn shown(http: &Http, response: Response, info: &RequestInfo, mutates: bool) -> Box<Answer> {
    let before_execution = is_refused(&response);
    let faults: Vec<Fault> = response
        .errors
        .into_iter()
        .take(ERRORS)
        .map(|error| {
            let (error, code) = mask(error, &info.request_id);
            Fault { code, error }
        })
        .collect();
    let has = |code: TopLevelCode| faults.iter().any(|fault| fault.code == code);
    let (unavailable, timeout) = (has(TopLevelCode::Unavailable), has(TopLevelCode::Timeout));
    let whole = if unavailable {
        Some(StatusCode::SERVICE_UNAVAILABLE)
    } else if timeout {
        Some(StatusCode::GATEWAY_TIMEOUT)
    } else {
        None
    };
    let retry_after = unavailable.then(|| soon(&http.app.entropy));
    let status = match whole {
        Some(status) if !mutates || before_execution => Status::Whole(status),
        _ if before_execution && has(TopLevelCode::Internal) => {
            Status::Whole(StatusCode::INTERNAL_SERVER_ERROR)
        }
        _ if before_execution => Status::Document,
        _ => Status::Executed,
    };
    if mutates {
        note_user_errors(&response.data, info);
    }
    let data = (status == Status::Executed).then_some(response.data);
    Box::new(Answer {
        status,
        data,
        faults,
        cost: None,
        retry_after,
    })
}

/// Notes the codes of user errors for the log.
fn note_user_errors(data: &Value, info: &RequestInfo) {
    let Value::Object(payloads) = data else {
        return;
    };
    for payload in payloads.values() {
        let Value::Object(payload) = payload else {
            continue;
        };
        let Some(Value::List(errors)) = payload.get("userErrors") else {
            continue;
        };
        for error in errors {
            let Value::Object(error) = error else {
                continue;
            };
            if let Some(Value::Enum(code)) = error.get("code") {
                info.code(code.as_str());
            }
        }
    }
}
