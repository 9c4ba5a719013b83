//! Blocks in the schema.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};

use super::{model, service};
use crate::{
    cursor::PageArgs,
    db::retry_conflict,
    error::{Error, Result},
    features::users::graphql::User,
    graphql::{args, connection::Connection, context::ContextExt, scalars::DateTime},
    payload,
};

/// That you block a person: neither of you can book the other. They are not told.
#[derive(async_graphql::Description, Clone)]
pub struct UserBlock(pub Arc<model::UserBlock>);

#[Object(use_type_description)]
impl UserBlock {
    /// Whom you block.
    async fn user(&self, ctx: &Context<'_>) -> Result<User> {
        let user = ctx.loaders().users.load(self.0.blocked_id).await?;
        user.map(User)
            .ok_or_else(|| Error::internal("a block of nobody"))
    }

    /// Since when.
    async fn created_at(&self) -> DateTime {
        DateTime(*self.0.created_at)
    }
}

/// The viewer's blocks, for `me.blocks`.
pub async fn mine(ctx: &Context<'_>, page: PageArgs) -> Result<Connection<UserBlock>> {
    const ORDER: &str = "block.newest";
    let page = page.page(ORDER)?;
    let count = ctx.selects("totalCount");
    let slice = service::mine(ctx.app(), ctx.viewer(), &page, count).await?;
    Ok(Connection::of(
        slice,
        ORDER,
        |row| (row.created_at, row.blocked_id),
        UserBlock,
    ))
}

payload! {
    /// What `userBlock` did.
    UserBlockPayload {
        /// The block.
        block: UserBlock
    }
}

payload! {
    /// What `userUnblock` did.
    UserUnblockPayload {
        /// Whom you no longer block.
        user: User
    }
}

/// Mutations of blocks.
#[derive(Default)]
pub struct BlockMutations;

#[Object]
impl BlockMutations {
    /// Blocks a person: new bookings between you are refused, made ones stay and may be cancelled. Doing so again changes
    /// nothing. Codes: `NOT_FOUND`, `SELF_ACTION`.
    async fn user_block(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The person (`usr_…`).")] user_id: ID,
    ) -> Result<UserBlockPayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let block = retry_conflict(|| async {
            service::block(app, viewer, args::id(&user_id, "userId")?).await
        });
        UserBlockPayload::of(block.await.map(|row| UserBlock(Arc::new(row))))
    }

    /// Takes your block of a person back; without one nothing changes. Codes: `NOT_FOUND`, `SELF_ACTION`.
    async fn user_unblock(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The person (`usr_…`).")] user_id: ID,
    ) -> Result<UserUnblockPayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let user = retry_conflict(|| async {
            service::unblock(app, viewer, args::id(&user_id, "userId")?).await
        });
        UserUnblockPayload::of(user.await.map(|row| User(Arc::new(row))))
    }
}
