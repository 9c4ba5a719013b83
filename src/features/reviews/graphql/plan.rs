//! Reviews in read plans.

use std::sync::Arc;

use super::{Review, Wanted, connection};
use crate::{
    cursor::PageArgs,
    db::ids::ProviderId,
    features::{
        providers::graphql::plan::visible_provider,
        reviews::{loaders::ReviewsOfProvider, model},
        users::{
            graphql::plan::{held_person, person},
            model::Person,
        },
    },
    graphql::plan::{Read, Readable, Selected, Shape},
};

/// What a provider's list shows of a [`Review`], with its author.
#[derive(Clone)]
struct ReviewCard(Arc<model::ReviewCard>);

/// How a field is read of rows that have what a review's card has, but for the author.
macro_rules! card_fields {
    ($field:ident) => {{
        let read: Option<Read<Self>> = match $field.name() {
            "id" => Some(Read::Leaf(|row: &Self, _, json| json.id(row.0.id))),
            "rating" => Some(Read::Leaf(|row, _, json| json.int(row.0.rating.into()))),
            "comment" => Some(Read::Leaf(|row, _, json| json.text(&row.0.comment))),
            "createdAt" => Some(Read::Leaf(|row, _, json| json.time(*row.0.created_at))),
            "provider" => visible_provider($field, |row: &Self| row.0.provider_id),
            _ => None,
        };
        read
    }};
}

impl Readable for ReviewCard {
    type Object = Review;

    fn read(field: &Selected<'_>) -> Option<Read<Self>> {
        match field.name() {
            "author" => held_person(field),
            _ => card_fields!(field),
        }
    }
}

impl AsRef<Person> for ReviewCard {
    fn as_ref(&self) -> &Person {
        &self.0.author
    }
}

impl Readable for Review {
    type Object = Self;

    fn read(field: &Selected<'_>) -> Option<Read<Self>> {
        if let Some(read) = card_fields!(field) {
            return Some(read);
        }
        Some(Read::Leaf(match field.name() {
            "author" => return person(field, |row: &Self| row.0.author_id),
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
            "updatedAt" => |review, _, json| json.time(*review.0.updated_at),
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
    )
    .with_page_info(field.selects("pageInfo"));
    let count = field.selects("totalCount");
    let wanted = Wanted::new(field.argument("rating")?, &page, count).ok()?;
    let key = Arc::new(move |row: &T| Some(wanted.of(provider(row))));
    let of_card = key.clone();
    field
        .loaded(
            Shape::One,
            move |row| of_card(row),
            |request| ReviewsOfProvider::<model::ReviewCard>::new(request.app.db.clone()),
            |loaders, error| loaders.reviews_of_provider.fail(error),
            |_, slice, _, pages| {
                pages.push(connection(slice, ReviewCard));
                Ok(())
            },
        )
        .or_else(|| {
            field.loaded(
                Shape::One,
                move |row| key(row),
                |request| ReviewsOfProvider::<model::Review>::new(request.app.db.clone()),
                |loaders, error| loaders.reviews_of_provider.fail(error),
                |_, slice, _, pages| {
                    pages.push(connection(slice, Review));
                    Ok(())
                },
            )
        })
}
