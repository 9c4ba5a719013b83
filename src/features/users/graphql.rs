//! People in the schema.

use std::sync::Arc;

use async_graphql::{ID, Object};

use super::model;

/// A person with an account, as everyone sees them.
#[derive(Clone)]
pub struct User(pub Arc<model::User>);

#[Object]
impl User {
    /// Identity (`usr_…`).
    pub async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// The name that everyone sees, 1 to 100 characters.
    async fn display_name(&self) -> &str {
        &self.0.display_name
    }
}
