//! People in the schema.

pub mod plan;
pub mod staff;

use std::sync::Arc;

use async_graphql::{Context, ID, Object};

use super::model;
use crate::{
    db::ids::UserId, error::Result, features::media::graphql::Media, graphql::context::ContextExt,
};
use staff::UserAccount;

/// A person with an account, as everyone sees them.
#[derive(async_graphql::Description, Clone)]
pub struct User(pub Arc<model::User>);

impl User {
    /// The person with this id; everyone may see them.
    pub async fn by_id(ctx: &Context<'_>, id: UserId) -> Result<Option<Self>> {
        Ok(ctx.loaders().users.load(id).await?.map(Self))
    }
}

#[Object(use_type_description)]
impl User {
    /// Identity (`usr_…`).
    pub async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// The name that everyone sees, 1 to 100 characters.
    async fn display_name(&self) -> &str {
        &self.0.display_name
    }

    /// The account behind the name; null unless it is yours or you are staff with `users:read`.
    async fn account(&self, ctx: &Context<'_>) -> Option<UserAccount> {
        let viewer = ctx.viewer();
        (viewer.is(self.0.id) || viewer.may("users:read")).then(|| UserAccount(self.0.clone()))
    }

    /// The avatar; null without one.
    async fn avatar(&self, ctx: &Context<'_>) -> Result<Option<Media>> {
        match self.0.avatar_media_id {
            Some(id) => Ok(ctx.loaders().media.load(id).await?.map(Media)),
            None => Ok(None),
        }
    }
}
