//! People in read plans.

use super::User;
use crate::{
    db::ids::UserId,
    features::users::loaders::UserById,
    graphql::plan::{Read, Readable, Selected, Shape},
};

impl Readable for User {
    fn read(field: &Selected<'_>) -> Option<Read<Self>> {
        Some(Read::Leaf(match field.name() {
            "id" => |user, _, json| json.id(user.0.id),
            "displayName" => |user, _, json| json.text(&user.0.display_name),
            _ => return None,
        }))
    }
}

/// An edge to the person with this id, who is always there.
pub fn person<T: Readable>(
    field: &Selected<'_>,
    id: impl Fn(&T) -> UserId + Send + Sync + 'static,
) -> Option<Read<T>> {
    field.loaded(
        Shape::One,
        move |row| Some(id(row)),
        |request| UserById(request.app.db.clone()),
        |_, user, _, users| {
            users.extend(user.clone().map(User));
            Ok(())
        },
    )
}
