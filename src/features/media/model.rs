//! Rows of `media`, `uploads` and `provider_media`.

use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::{
    db::{
        Instant,
        ids::{MediaId, ProviderId, ProviderMediaId, UploadId, UserId},
        schema::{media, provider_media, uploads, users},
    },
    text_enum,
};

text_enum! {
    /// What a picture is for.
    pub enum MediaPurpose {
        /// A person's avatar.
        Avatar = "AVATAR",
        /// A provider's portfolio.
        Portfolio = "PORTFOLIO",
    }
}

/// A kept picture; never changes.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = media, check_for_backend(diesel::pg::Pg))]
pub struct Media {
    /// Identity; the same UUID as of its upload, and its place in the store.
    pub id: MediaId,
    /// Who uploaded it.
    pub owner_id: UserId,
    /// What it is for.
    pub purpose: MediaPurpose,
    /// Its place in the store, for people who look there.
    pub storage_key: String,
    /// `image/jpeg`, `image/png` or `image/webp`.
    pub content_type: String,
    /// The file's size in bytes, as kept.
    pub byte_size: i64,
    /// In pixels.
    pub width: i32,
    /// In pixels.
    pub height: i32,
    /// SHA-256 of the file as kept.
    pub sha256: Vec<u8>,
    /// When it was uploaded.
    pub created_at: Instant,
}

/// An announced upload.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = uploads, check_for_backend(diesel::pg::Pg))]
pub struct Upload {
    /// Identity.
    pub id: UploadId,
    /// Who announced it.
    pub user_id: UserId,
    /// What the picture is for.
    pub purpose: MediaPurpose,
    /// SHA-256 of the secret in its address.
    pub token_hash: Vec<u8>,
    /// Exactly so many bytes come.
    pub byte_size: i64,
    /// When it was announced.
    pub created_at: Instant,
    /// When its address stops working.
    pub expires_at: Instant,
    /// When a file came that is worked on or was kept.
    pub used_at: Option<Instant>,
    /// The picture that it became.
    pub media_id: Option<MediaId>,
}

/// A place in a provider's portfolio.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = provider_media, check_for_backend(diesel::pg::Pg))]
pub struct ProviderMedia {
    /// Identity.
    pub id: ProviderMediaId,
    /// Whose portfolio.
    pub provider_id: ProviderId,
    /// Which picture.
    pub media_id: MediaId,
    /// One line of at most 300 characters.
    pub caption: String,
    /// 0, 1, 2, …, with gaps after removals.
    pub position: i32,
    /// When it was added.
    pub created_at: Instant,
}

/// A picture of a portfolio.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = provider_media, check_for_backend(diesel::pg::Pg))]
pub struct PortfolioItem {
    /// Its place.
    #[diesel(embed)]
    pub row: ProviderMedia,
    /// The picture.
    #[diesel(embed)]
    pub media: Media,
}

/// The pictures with these ids, in no order.
pub async fn by_ids(mut conn: &AsyncPgConnection, ids: &[MediaId]) -> QueryResult<Vec<Media>> {
    media::table
        .filter(media::id.eq_any(ids))
        .select(Media::as_select())
        .load(&mut conn)
        .await
}

/// One picture.
pub async fn by_id(conn: &mut AsyncPgConnection, id: MediaId) -> QueryResult<Option<Media>> {
    media::table
        .find(id)
        .select(Media::as_select())
        .first(conn)
        .await
        .optional()
}

/// Keeps a picture's row.
pub async fn insert(conn: &mut AsyncPgConnection, row: &Media) -> QueryResult<()> {
    diesel::insert_into(media::table)
        .values(row)
        .execute(conn)
        .await?;
    Ok(())
}

/// Forgets a picture and answers it; nothing when it is gone already.
pub async fn delete(conn: &mut AsyncPgConnection, id: MediaId) -> QueryResult<Option<Media>> {
    diesel::delete(media::table.find(id))
        .returning(Media::as_returning())
        .get_result(conn)
        .await
        .optional()
}

/// Forgets pictures that were kept before `before` and are nobody's avatar and in no portfolio; answers which.
pub async fn delete_orphans(
    conn: &mut AsyncPgConnection,
    before: Instant,
) -> QueryResult<Vec<MediaId>> {
    use diesel::dsl::{exists, not};
    diesel::delete(
        media::table
            .filter(media::created_at.lt(before))
            .filter(not(exists(
                users::table.filter(users::avatar_media_id.eq(media::id.nullable())),
            )))
            .filter(not(exists(
                provider_media::table.filter(provider_media::media_id.eq(media::id)),
            ))),
    )
    .returning(media::id)
    .get_results(conn)
    .await
}

/// Announces an upload.
pub async fn insert_upload(conn: &mut AsyncPgConnection, upload: &Upload) -> QueryResult<()> {
    diesel::insert_into(uploads::table)
        .values(upload)
        .execute(conn)
        .await?;
    Ok(())
}

/// How many announced uploads of a person may still come.
pub async fn count_open_uploads(
    conn: &mut AsyncPgConnection,
    user: UserId,
    now: Instant,
) -> QueryResult<i64> {
    uploads::table
        .filter(uploads::user_id.eq(user))
        .filter(uploads::used_at.is_null())
        .filter(uploads::expires_at.gt(now))
        .count()
        .get_result(conn)
        .await
}

/// One upload.
pub async fn upload(conn: &mut AsyncPgConnection, id: UploadId) -> QueryResult<Option<Upload>> {
    uploads::table
        .find(id)
        .select(Upload::as_select())
        .first(conn)
        .await
        .optional()
}

/// The upload of this secret, when its person is active.
pub async fn upload_of_token(
    conn: &mut AsyncPgConnection,
    token_hash: &[u8],
) -> QueryResult<Option<Upload>> {
    uploads::table
        .inner_join(users::table.on(users::id.eq(uploads::user_id)))
        .filter(users::status.eq("ACTIVE"))
        .filter(uploads::token_hash.eq(token_hash))
        .select(Upload::as_select())
        .first(conn)
        .await
        .optional()
}

/// Takes an unused upload for oneself; false when another request was first or its time is over.
pub async fn claim_upload(
    conn: &mut AsyncPgConnection,
    id: UploadId,
    now: Instant,
) -> QueryResult<bool> {
    let claimed = diesel::update(
        uploads::table
            .find(id)
            .filter(uploads::used_at.is_null())
            .filter(uploads::expires_at.gt(now)),
    )
    .set(uploads::used_at.eq(now))
    .execute(conn)
    .await?;
    Ok(claimed == 1)
}

/// Gives a claimed upload back: what came was no good.
pub async fn release_upload(conn: &mut AsyncPgConnection, id: UploadId) -> QueryResult<()> {
    diesel::update(uploads::table.find(id).filter(uploads::media_id.is_null()))
        .set(uploads::used_at.eq(None::<Instant>))
        .execute(conn)
        .await?;
    Ok(())
}

/// Says what picture an upload became.
pub async fn finish_upload(
    conn: &mut AsyncPgConnection,
    id: UploadId,
    media: MediaId,
) -> QueryResult<()> {
    diesel::update(uploads::table.find(id))
        .set(uploads::media_id.eq(media))
        .execute(conn)
        .await?;
    Ok(())
}

/// Forgets uploads that expired before `before` without becoming a picture; answers which.
pub async fn delete_unused_uploads(
    conn: &mut AsyncPgConnection,
    before: Instant,
) -> QueryResult<Vec<UploadId>> {
    diesel::delete(
        uploads::table
            .filter(uploads::expires_at.lt(before))
            .filter(uploads::media_id.is_null()),
    )
    .returning(uploads::id)
    .get_results(conn)
    .await
}

/// The portfolios of these providers, each in its order.
pub async fn portfolios(
    mut conn: &AsyncPgConnection,
    providers: &[ProviderId],
) -> QueryResult<Vec<PortfolioItem>> {
    provider_media::table
        .inner_join(media::table.on(media::id.eq(provider_media::media_id)))
        .filter(provider_media::provider_id.eq_any(providers))
        .order((provider_media::provider_id, provider_media::position))
        .select(PortfolioItem::as_select())
        .load(&mut conn)
        .await
}

/// The portfolio pictures with these ids, in no order.
pub async fn items_by_ids(
    mut conn: &AsyncPgConnection,
    ids: &[ProviderMediaId],
) -> QueryResult<Vec<PortfolioItem>> {
    provider_media::table
        .inner_join(media::table.on(media::id.eq(provider_media::media_id)))
        .filter(provider_media::id.eq_any(ids))
        .select(PortfolioItem::as_select())
        .load(&mut conn)
        .await
}

/// Adds to a portfolio; a picture that is in one violates `provider_media_media_id_key`.
pub async fn insert_item(conn: &mut AsyncPgConnection, item: &ProviderMedia) -> QueryResult<()> {
    diesel::insert_into(provider_media::table)
        .values(item)
        .execute(conn)
        .await?;
    Ok(())
}

/// Takes from this provider's portfolio and answers what; nothing when it is not in it.
pub async fn delete_item(
    conn: &mut AsyncPgConnection,
    provider: ProviderId,
    id: ProviderMediaId,
) -> QueryResult<Option<ProviderMedia>> {
    diesel::delete(
        provider_media::table
            .find(id)
            .filter(provider_media::provider_id.eq(provider)),
    )
    .returning(ProviderMedia::as_returning())
    .get_result(conn)
    .await
    .optional()
}

/// Writes what stands under a picture.
pub async fn save_caption(
    conn: &mut AsyncPgConnection,
    id: ProviderMediaId,
    caption: &str,
) -> QueryResult<()> {
    diesel::update(provider_media::table.find(id))
        .set(provider_media::caption.eq(caption))
        .execute(conn)
        .await?;
    Ok(())
}

/// Puts a provider's pictures into this order, in one statement; the constraint on positions is checked at the end.
pub async fn save_order(
    conn: &mut AsyncPgConnection,
    provider: ProviderId,
    ids: &[ProviderMediaId],
) -> QueryResult<()> {
    use diesel::sql_types::{Array, Uuid};
    diesel::sql_query(
        "UPDATE provider_media SET position = wanted.position - 1
         FROM unnest($2) WITH ORDINALITY AS wanted (id, position)
         WHERE provider_media.provider_id = $1 AND provider_media.id = wanted.id",
    )
    .bind::<Uuid, _>(provider)
    .bind::<Array<Uuid>, _>(ids)
    .execute(conn)
    .await?;
    Ok(())
}
