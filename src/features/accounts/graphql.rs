//! Sign-in and `me` in the schema.

use async_graphql::{Context, Object};

use crate::{error::Result, features::users::graphql::User, graphql::context::ContextExt};

/// The signed-in person: what is theirs alone.
pub struct Me(User);

#[Object]
impl Me {
    /// The person as everyone sees them.
    async fn user(&self) -> &User {
        &self.0
    }
}

/// Queries of accounts.
#[derive(Default)]
pub struct AccountQueries;

#[Object]
impl AccountQueries {
    /// The signed-in person; null when the account is gone.
    async fn me(&self, ctx: &Context<'_>) -> Result<Option<Me>> {
        let Some(id) = ctx.viewer().user_id() else {
            return Ok(None);
        };
        Ok(ctx
            .loaders()
            .users
            .load(id)
            .await?
            .map(|user| Me(User(user))))
    }
}

/// Mutations of accounts.
#[derive(Default)]
pub struct AccountMutations;

#[Object]
impl AccountMutations {
    /// Nothing yet.
    async fn auth_logout(&self) -> bool {
        true
    }
}
