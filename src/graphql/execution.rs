//! Execution, with validation where it can still find something.
//!
//! Of the rules of validation one alone looks at the values of variables, whether they fit where they stand, and where a
//! variable is absent it looks away from the whole argument. A query that was found valid with all of its variables there
//! is therefore executed without validation from then on, if its variables are of kinds that are told to fit by their
//! declaration. Everything else is validated each time, and told what is wrong by the library; so are mutations, which
//! must be refused before anything is done.

use std::sync::Arc;

use async_graphql::{
    EmptySubscription, Request, Response, Schema as AsyncSchema, ValidationMode, Value, Variables,
    parser::types::{BaseType, OperationDefinition, OperationType, Type},
};

use super::{
    Mutation, Query,
    context::RequestContext,
    documents::Document,
    guard::Guarded,
    limits::select,
    rehearsal::{Rehearsal, Rehearsed},
};
use crate::{app::App, auth::viewer::Viewer, config::Config};

type Schema = AsyncSchema<Guarded<Query>, Guarded<Mutation>, EmptySubscription>;

/// The executable schema. Cheap to clone.
#[derive(Clone)]
pub struct Executor {
    strict: Schema,
    trusting: Schema,
}

impl Executor {
    /// Builds the schema; limits on size and cost are checked before it (see `limits`), so its own are off.
    pub fn new(config: &Config) -> Self {
        let build = |mode| {
            let mut builder = Schema::build(
                Guarded(Query::default()),
                Guarded(Mutation::default()),
                EmptySubscription,
            )
            .limit_recursive_depth(64)
            .validation_mode(mode);
            if config.is_production() {
                builder = builder.disable_suggestions();
            }
            builder.finish()
        };
        Self {
            strict: build(ValidationMode::Strict),
            trusting: build(ValidationMode::Fast),
        }
    }

    /// The schema as text.
    pub fn sdl(&self) -> String {
        self.strict.sdl()
    }

    /// Which root fields the operation that `request` carries would execute for this viewer; none of one that is not
    /// valid. Nothing is executed.
    pub async fn rehearse(&self, app: &App, viewer: &Viewer, request: Request) -> Vec<Rehearsed> {
        let rehearsal = Arc::new(Rehearsal::default());
        let context = RequestContext::rehearsing(app.clone(), viewer.clone(), rehearsal.clone());
        self.strict.execute(request.data(context)).await;
        rehearsal.take()
    }

    /// Executes an operation of this document, which `request` carries.
    pub async fn execute(&self, document: &Document, request: Request) -> Response {
        let name = request.operation_name.as_deref();
        let operation = select(document, name).ok().map(|operation| &operation.node);
        let query = operation.filter(|operation| operation.ty == OperationType::Query);
        let variables = &request.variables;
        if document.is_valid() && query.is_some_and(|query| fit(query, variables)) {
            return self.trusting.execute(request).await;
        }
        // A named one stands in a map, alone or not.
        let alone = document.operations.iter().count() == 1;
        let tells = alone && query.is_some_and(|query| are_there(query, variables));
        let response = self.strict.execute(request).await;
        if tells && !is_refused(&response) {
            document.found_valid();
        }
        response
    }
}

/// Whether nothing was executed. Execution gives every error a path; only what comes before it has none, and no data.
pub fn is_refused(response: &Response) -> bool {
    response.data == Value::Null
        && !response.errors.is_empty()
        && response.errors.iter().all(|error| error.path.is_empty())
}

/// Whether each variable has a value of its own.
fn are_there(operation: &OperationDefinition, variables: &Variables) -> bool {
    let mut definitions = operation.variable_definitions.iter();
    definitions.all(|definition| variables.contains_key(&definition.node.name.node))
}

/// Whether each variable surely fits its declaration.
fn fit(operation: &OperationDefinition, variables: &Variables) -> bool {
    operation.variable_definitions.iter().all(|definition| {
        let definition = &definition.node;
        match variables.get(&definition.name.node) {
            // One with a default may stand where null may not.
            Some(Value::Null) if definition.default_value.is_some() => false,
            Some(value) => fits(value, &definition.var_type.node),
            None => definition.var_type.node.nullable || definition.default_value.is_some(),
        }
    })
}

fn fits(value: &Value, ty: &Type) -> bool {
    match (value, &ty.base) {
        (Value::Null, _) => ty.nullable,
        (Value::List(items), BaseType::List(of)) => items.iter().all(|item| fits(item, of)),
        (Value::String(_), BaseType::Named(name)) => matches!(name.as_str(), "ID" | "String"),
        (Value::Boolean(_), BaseType::Named(name)) => name == "Boolean",
        (Value::Number(number), BaseType::Named(name)) => {
            let small = |number: i64| i32::try_from(number).is_ok();
            name == "Int" && number.as_i64().is_some_and(small)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_surely_fits_its_declaration_needs_no_validation() {
        let fit = |declaration: &str, value: serde_json::Value| {
            let text = format!("query($a: {declaration}) {{ a(a: $a) }}");
            let document = parse_query(text).unwrap();
            let variables = Variables::from_json(json!({ "a": value }));
            fit(&select(&document, None).unwrap().node, &variables)
        };
        for (declaration, value) in [
            ("ID!", json!("x")),
            ("String", json!(null)),
            ("Int", json!(3)),
            ("Boolean!", json!(true)),
            ("[ID!]!", json!(["x", "y"])),
        ] {
            assert!(fit(declaration, value.clone()), "{declaration} {value}");
        }
        for (declaration, value) in [
            ("ID!", json!(null)),
            ("ID!", json!(3)),
            ("String", json!(3)),
            ("Int", json!(2_147_483_648_i64)),
            ("Int", json!(1.5)),
            ("Int", json!("1")),
            ("Boolean", json!("true")),
            ("[ID!]", json!(["x", null])),
            ("[ID!]", json!("x")),
            ("Float", json!(1)),
            ("DateTime", json!("2026-11-21T12:00:00Z")),
            ("ProviderSort", json!("RATING")),
            ("ProviderFilter", json!({})),
        ] {
            assert!(!fit(declaration, value.clone()), "{declaration} {value}");
        }
        let document = parse_query("query($a: ID!, $b: Int! = 1, $c: Int) { a }").unwrap();
        let operation = select(&document, None).unwrap();
        let given = |value| super::fit(&operation.node, &Variables::from_json(value));
        assert!(given(json!({ "a": "x" })));
        assert!(!given(json!({})));
        assert!(!given(json!({ "a": "x", "b": null })));
        assert!(given(json!({ "a": "x", "c": null })));
    }
}
