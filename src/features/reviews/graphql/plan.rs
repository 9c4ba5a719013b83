//! Reviews in read plans.

use super::{Review, Wanted, connection};
use crate::{
    cursor::PageArgs,
    db::ids::ProviderId,
    features::{
        providers::graphql::plan::visible_provider, reviews::loaders::ReviewsOfProvider,
        users::graphql::plan::person,
    },
    graphql::plan::{Read, Readable, Selected, Shape},
};

impl Readable for Review {
    type Object = Self;

    fn read(field: &Selected<'_>) -> Option<Read<Self>> {
        Some(Read::Leaf(match field.name() {
            "id" => |review, _, json| json.id(review.0.id),
            "rating" => |review, _, json| json.int(review.0.rating.into()),
            "comment" => |review, _, json| json.text(&review.0.comment),
            "reply" => |review, _, json| json.maybe_text(review.0.reply.as_deref()),
            "repliedAt" => |review, _, json| {
                json.maybe(review.0.replied_at, |json, at| json.time(*at));
            },
            "visible" => |review, _, json| json.bool(review.0.visible),
            "hiddenReason" => |review, request, json| {
                let reason = review.0.hidden_reason.as_deref();
                json.maybe_text(reason.filter(|_| review.is_open_to(&request.viewer)));
            },
            "version" => |review, _, json| json.int(review.0.version.into()),
            "createdAt" => |review, _, json| json.time(*review.0.created_at),
            "updatedAt" => |review, _, json| json.time(*review.0.updated_at),
            "author" => return person(field, |review: &Self| review.0.author_id),
            "provider" => return visible_provider(field, |review: &Self| review.0.provider_id),
            _ => return None,
        }))
    }
}

/// An edge to a page of a provider's visible reviews.
pub fn reviews<T: Readable>(
    field: &Selected<'_>,
    provider: impl Fn(&T) -> ProviderId + Send + Sync + 'static,
) -> Option<Read<T>> {
    let page = PageArgs::new(
        field.argument("first")?,
        field.argument("after")?,
        field.argument("last")?,
        field.argument("before")?,
    );
    let count = field.selects("totalCount");
    let wanted = Wanted::new(field.argument("rating")?, &page, count).ok()?;
    field.loaded(
        Shape::One,
        move |row| Some(wanted.of(provider(row))),
        |request| ReviewsOfProvider(request.app.db.clone()),
        |_, slice, _, pages| {
            pages.push(connection(slice));
            Ok(())
        },
    )
}
