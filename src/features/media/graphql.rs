//! Pictures in the schema.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, Object};

use super::{
    model::{self, PortfolioItem},
    portfolio, service,
};
use crate::{
    config::Config,
    db::{
        ids::{MediaId, ProviderId, ProviderMediaId},
        retry_conflict,
    },
    error::Result,
    features::providers::graphql::Provider,
    graphql::{
        args,
        context::ContextExt,
        scalars::{DateTime, Int64, URL},
    },
    payload,
};

/// What a picture is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "model::MediaPurpose")]
pub enum MediaPurpose {
    /// Your avatar, for `meUpdate`.
    Avatar,
    /// Your portfolio, for `providerMediaAttach`.
    Portfolio,
}

/// A public picture; it never changes under its id.
#[derive(async_graphql::Description, Clone)]
pub struct Media(pub Arc<model::Media>);

impl Media {
    /// The picture with this id; everyone may see it.
    pub async fn by_id(ctx: &Context<'_>, id: MediaId) -> Result<Option<Self>> {
        Ok(ctx.loaders().media.load(id).await?.map(Self))
    }
}

#[Object(use_type_description)]
impl Media {
    /// Identity (`med_…`).
    pub async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// Where the file is, for everyone and for good.
    async fn url(&self, ctx: &Context<'_>) -> URL {
        URL(link(&ctx.app().config, self.0.id))
    }

    /// `image/jpeg`, `image/png` or `image/webp`.
    async fn content_type(&self) -> &str {
        &self.0.content_type
    }

    /// The file's size in bytes.
    async fn byte_size(&self) -> Int64 {
        Int64(self.0.byte_size)
    }

    /// In pixels.
    async fn width(&self) -> i32 {
        self.0.width
    }

    /// In pixels.
    async fn height(&self) -> i32 {
        self.0.height
    }

    /// When it was uploaded.
    async fn created_at(&self) -> DateTime {
        DateTime(*self.0.created_at)
    }
}

fn link(config: &Config, id: MediaId) -> String {
    config.link(&format!("/v1/media/{id}"))
}

/// A picture in a provider's portfolio.
#[derive(async_graphql::Description, Clone)]
pub struct ProviderMedia(pub Arc<PortfolioItem>);

impl ProviderMedia {
    /// The picture with this id, when the viewer may know of its provider.
    pub async fn by_id(ctx: &Context<'_>, id: ProviderMediaId) -> Result<Option<Self>> {
        let Some(item) = ctx.loaders().portfolio_item.load(id).await? else {
            return Ok(None);
        };
        let provider = Provider::by_id(ctx, item.row.provider_id).await?;
        Ok(provider.map(|_| Self(item)))
    }
}

#[Object(use_type_description)]
impl ProviderMedia {
    /// Identity (`pmd_…`).
    pub async fn id(&self) -> ID {
        self.0.row.id.to_string().into()
    }

    /// The picture.
    async fn media(&self) -> Media {
        Media(Arc::new(self.0.media.clone()))
    }

    /// One line of at most 300 characters; may be empty.
    async fn caption(&self) -> &str {
        &self.0.row.caption
    }

    /// When it was added.
    async fn created_at(&self) -> DateTime {
        DateTime(*self.0.row.created_at)
    }
}

/// A provider's portfolio in its order, for `Provider.media`.
pub async fn portfolio_of(ctx: &Context<'_>, provider: ProviderId) -> Result<Vec<ProviderMedia>> {
    let items = ctx.loaders().portfolios.load(provider).await?;
    Ok(items
        .iter()
        .map(|item| ProviderMedia(Arc::new(item.clone())))
        .collect())
}

/// An announced upload. Send the file's bytes to `url` with PUT: 201 when it is kept, 413 and 415 for what is too large or
/// no picture, 410 when the address was used or its time is over.
#[derive(async_graphql::Description)]
pub struct MediaUpload(service::Announced);

#[Object(use_type_description)]
impl MediaUpload {
    /// Identity (`upl_…`); name it where the picture is to be used, within a day.
    async fn id(&self) -> ID {
        self.0.upload.id.to_string().into()
    }

    /// Where to PUT exactly the announced bytes, once. Keep it to yourself: it needs no sign-in.
    async fn url(&self, ctx: &Context<'_>) -> URL {
        let path = format!("/v1/uploads/{}", self.0.token);
        URL(ctx.app().config.link(&path))
    }

    /// What the picture is for.
    async fn purpose(&self) -> MediaPurpose {
        self.0.upload.purpose.into()
    }

    /// How many bytes come.
    async fn byte_size(&self) -> Int64 {
        Int64(self.0.upload.byte_size)
    }

    /// When the address stops working.
    async fn expires_at(&self) -> DateTime {
        DateTime(*self.0.upload.expires_at)
    }
}

payload! {
    /// What `mediaUploadBegin` did.
    MediaUploadBeginPayload {
        /// Where to send the file.
        upload: MediaUpload
    }
}

payload! {
    /// What `providerMediaAttach` did.
    ProviderMediaAttachPayload {
        /// The picture in your portfolio.
        provider_media: ProviderMedia
    }
}

payload! {
    /// What `providerMediaUpdate` did.
    ProviderMediaUpdatePayload {
        /// The picture as it is now.
        provider_media: ProviderMedia
    }
}

payload! {
    /// What `providerMediaReorder` did.
    ProviderMediaReorderPayload {
        /// Your portfolio in its new order.
        portfolio: Vec<ProviderMedia>
    }
}

payload! {
    /// What `providerMediaRemove` did.
    ProviderMediaRemovePayload {
        /// What was removed.
        provider_media: ProviderMedia
    }
}

/// A file to come.
#[derive(InputObject)]
pub struct MediaUploadBeginInput {
    /// What the picture is for.
    pub purpose: MediaPurpose,
    /// Its size in bytes, at most 10 MB where the operator has not set another limit.
    pub byte_size: Int64,
}

/// How a new picture of a portfolio is shown.
#[derive(InputObject, Default)]
pub struct ProviderMediaAttachInput {
    /// What stands under it: one line of at most 300 characters, may be empty.
    #[graphql(default)]
    pub caption: String,
}

/// A change of a picture of a portfolio.
#[derive(InputObject)]
pub struct ProviderMediaUpdateInput {
    /// What stands under it: one line of at most 300 characters, may be empty.
    pub caption: String,
}

/// Mutations of pictures.
#[derive(Default)]
pub struct MediaMutations;

#[Object]
impl MediaMutations {
    /// Announces a picture (JPEG, PNG or WebP) and answers where to send it within 15 minutes. Codes: `INVALID_INPUT`,
    /// `LIMIT_REACHED` (20 are announced and have not come).
    async fn media_upload_begin(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The file.")] input: MediaUploadBeginInput,
    ) -> Result<MediaUploadBeginPayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let MediaUploadBeginInput { purpose, byte_size } = input;
        let begun =
            retry_conflict(|| service::begin(app, viewer, purpose.into(), byte_size.0)).await;
        MediaUploadBeginPayload::of(begun.map(MediaUpload))
    }

    /// Adds an uploaded picture to the end of your portfolio, which has at most 30. Codes: `INVALID_INPUT`, `NOT_FOUND`,
    /// `NOT_ALLOWED` (no profile), `INVALID_STATE` (the file has not come, or the profile is closed), `EXPIRED` (it came
    /// more than a day ago), `ALREADY_EXISTS`, `LIMIT_REACHED`.
    async fn provider_media_attach(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The upload (`upl_…`), announced for PORTFOLIO.")] upload_id: ID,
        #[graphql(desc = "How it is shown.", default)] input: ProviderMediaAttachInput,
    ) -> Result<ProviderMediaAttachPayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let ProviderMediaAttachInput { caption } = input;
        let upload = args::maybe_id(&upload_id);
        let item = retry_conflict(|| portfolio::attach(app, viewer, upload, &caption)).await;
        ProviderMediaAttachPayload::of(item.map(|item| ProviderMedia(Arc::new(item))))
    }

    /// Changes how a picture of your portfolio is shown. Codes: `INVALID_INPUT`, `NOT_FOUND`, `NOT_ALLOWED` (no profile),
    /// `INVALID_STATE` (the profile is closed).
    async fn provider_media_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The picture in your portfolio (`pmd_…`).")] id: ID,
        #[graphql(desc = "The change.")] input: ProviderMediaUpdateInput,
    ) -> Result<ProviderMediaUpdatePayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let ProviderMediaUpdateInput { caption } = input;
        let id = args::maybe_id(&id);
        let item = retry_conflict(|| portfolio::update(app, viewer, id, &caption)).await;
        ProviderMediaUpdatePayload::of(item.map(|item| ProviderMedia(Arc::new(item))))
    }

    /// Puts your portfolio into an order. Codes: `INVALID_INPUT` (one twice), `NOT_FOUND`, `NOT_ALLOWED` (no profile),
    /// `INVALID_STATE` (the profile is closed), `CONFLICT` (one is missing).
    async fn provider_media_reorder(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Every picture of your portfolio (`pmd_…`), in the new order.")] ids: Vec<
            ID,
        >,
    ) -> Result<ProviderMediaReorderPayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let ids: Vec<_> = ids.iter().map(args::maybe_id).collect();
        let items = retry_conflict(|| portfolio::reorder(app, viewer, &ids)).await;
        ProviderMediaReorderPayload::of(items.map(|items| {
            items
                .into_iter()
                .map(|item| ProviderMedia(Arc::new(item)))
                .collect()
        }))
    }

    /// Takes a picture out of your portfolio; its file is removed. Codes: `NOT_FOUND`, `NOT_ALLOWED` (no profile),
    /// `INVALID_STATE` (the profile is closed).
    async fn provider_media_remove(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The picture in your portfolio (`pmd_…`).")] id: ID,
    ) -> Result<ProviderMediaRemovePayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let id = args::maybe_id(&id);
        let item = retry_conflict(|| portfolio::remove(app, viewer, id)).await;
        ProviderMediaRemovePayload::of(item.map(|item| ProviderMedia(Arc::new(item))))
    }
}
