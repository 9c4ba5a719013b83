//! What a request asks for: the parameters of GraphQL over HTTP, from a body or a query string.

use async_graphql::Variables;
use http::StatusCode;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::answer::Answer;
use crate::graphql::{
    documents::{Hash, parse_hash},
    errors::TopLevelCode,
};

/// One operation as sent.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) query: Option<String>,
    /// `extensions.persistedQuery.sha256Hash`.
    pub(super) hash: Option<Hash>,
    pub(super) operation_name: Option<String>,
    pub(super) variables: Variables,
}

/// The operations of a request.
#[derive(Debug)]
pub(super) struct Operations {
    pub(super) batch: bool,
    pub(super) list: Vec<Operation>,
}

fn bad(message: impl Into<String>) -> Box<Answer> {
    Answer::refused(StatusCode::BAD_REQUEST, TopLevelCode::BadRequest, message)
}

/// # Errors
/// 400 for what is no JSON of the right shape, and for a batch that is empty or longer than `longest_batch`.
pub(super) fn from_body(text: &str, longest_batch: usize) -> Result<Operations, Box<Answer>> {
    if text.trim().is_empty() {
        return Err(bad("The body is empty."));
    }
    let parsed: Value =
        serde_json::from_str(text).map_err(|_| bad("The body is not valid JSON."))?;
    match parsed {
        Value::Object(parameters) => Ok(Operations {
            batch: false,
            list: vec![operation(parameters)?],
        }),
        Value::Array(items) if items.is_empty() => Err(bad("The batch is empty.")),
        Value::Array(items) if items.len() > longest_batch => Err(Answer::refused(
            StatusCode::BAD_REQUEST,
            TopLevelCode::QueryTooComplex,
            format!("The batch has more than {longest_batch} operations."),
        )),
        Value::Array(items) => {
            let list = items.into_iter().map(|item| match item {
                Value::Object(parameters) => operation(parameters),
                _ => Err(bad("An operation of the batch is not a JSON object.")),
            });
            Ok(Operations {
                batch: true,
                list: list.collect::<Result<_, _>>()?,
            })
        }
        _ => Err(bad(
            "The body is neither a JSON object nor an array of them.",
        )),
    }
}

/// # Errors
/// 400 for a query string that is not percent-encoded UTF-8, and for parameters of the wrong shape or given twice.
pub(super) fn from_query(query: &str) -> Result<Operations, Box<Answer>> {
    let mut parameters = Map::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name)?, decode(value)?);
        let value = match name.as_str() {
            "variables" | "extensions" if value.is_empty() => Value::Null,
            "variables" | "extensions" => serde_json::from_str(&value)
                .map_err(|_| bad(format!("{name} is not valid JSON.")))?,
            "query" | "operationName" => Value::String(value),
            _ => continue,
        };
        if parameters.insert(name.clone(), value).is_some() {
            return Err(bad(format!("{name} is given twice.")));
        }
    }
    // A form can't say null.
    if parameters.get("operationName") == Some(&Value::String(String::new())) {
        parameters.remove("operationName");
    }
    Ok(Operations {
        batch: false,
        list: vec![operation(parameters)?],
    })
}

fn decode(text: &str) -> Result<String, Box<Answer>> {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced)
        .decode_utf8()
        .map(|decoded| decoded.into_owned())
        .map_err(|_| bad("The query string is not UTF-8."))
}

fn operation(mut parameters: Map<String, Value>) -> Result<Operation, Box<Answer>> {
    let mut text = |name: &str| match parameters.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(bad(format!("{name} must be a string."))),
    };
    let (query, operation_name) = (text("query")?, text("operationName")?);
    let mut map = |name: &str| match parameters.remove(name) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(map)) => Ok(map),
        Some(_) => Err(bad(format!("{name} must be an object."))),
    };
    let (variables, extensions) = (map("variables")?, map("extensions")?);
    let hash = hash(&extensions)?;
    if query.is_none() && hash.is_none() {
        return Err(bad("query is missing."));
    }
    let variables = Variables::from_json(Value::Object(variables));
    Ok(Operation {
        query,
        hash,
        operation_name,
        variables,
    })
}

fn hash(extensions: &Map<String, Value>) -> Result<Option<Hash>, Box<Answer>> {
    let persisted = match extensions.get("persistedQuery") {
        None | Some(Value::Null) => return Ok(None),
        Some(persisted) => persisted,
    };
    if persisted
        .get("version")
        .is_some_and(|version| version.as_i64() != Some(1))
    {
        return Err(bad("Only version 1 of persistedQuery is known."));
    }
    persisted
        .get("sha256Hash")
        .and_then(Value::as_str)
        .and_then(parse_hash)
        .map(Some)
        .ok_or_else(|| bad("persistedQuery.sha256Hash must be 64 hexadecimal digits."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_other_shape_is_refused() {
        for body in [
            "",
            " ",
            "null",
            "1",
            "\"{ a }\"",
            "[]",
            "[1]",
            "{}",
            "{",
            "{\"query\": 1}",
            "{\"query\": null}",
            "{\"query\": \"{ a }\", \"variables\": []}",
            "{\"query\": \"{ a }\", \"operationName\": 0}",
            "{\"query\": \"{ a }\", \"extensions\": \"x\"}",
            "{\"extensions\": {\"persistedQuery\": {\"version\": 1, \"sha256Hash\": \"abc\"}}}",
            "{\"extensions\": {\"persistedQuery\": {\"version\": 2, \"sha256Hash\": \"abc\"}}}",
            "{\"query\": \"{ a }\", \"extensions\": {\"persistedQuery\": 7}}",
            "{\"query\": \"\\ud800\"}",
        ] {
            assert!(from_body(body, 10).is_err(), "{body}");
        }
        assert!(from_body(&format!("[{}]", ["{\"query\":\"\"}"; 11].join(",")), 10).is_err());
        assert!(from_body(&"[".repeat(100_000), 10).is_err());
        let fine = "{\"query\": \"{ a }\", \"variables\": null, \"operationName\": null, \"extensions\": null}";
        assert!(from_body(fine, 10).is_ok());
    }

    #[test]
    fn query_strings_are_strict() {
        let fine =
            from_query("query=%7B+a%20%7D&variables=%7B%22n%22%3A1%7D&operationName=").unwrap();
        assert_eq!(fine.list[0].query.as_deref(), Some("{ a }"));
        assert_eq!(fine.list[0].operation_name, None);
        for query in [
            "",
            "query=a&query=b",
            "query=%ff",
            "query=a&variables=x",
            "query=a&variables=%5B%5D",
        ] {
            assert!(from_query(query).is_err(), "{query}");
        }
    }
}
