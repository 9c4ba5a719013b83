//! People in read plans.

use super::User;
use crate::{
    db::ids::UserId,
    features::users::{loaders::PersonById, model},
    graphql::plan::{Read, Readable, Selected, Shape},
};

/// A [`User`] of whom a list shows what everyone sees: two columns of many.
struct Person<R>(R);

impl<R: AsRef<model::Person> + Send + Sync + 'static> Readable for Person<R> {
    type Object = User;

    fn read(field: &Selected<'_>) -> Option<Read<Self>> {
        Some(Read::Leaf(match field.name() {
            "id" => |person, _, json| json.id(person.0.as_ref().id),
            "displayName" => |person, _, json| json.text(&person.0.as_ref().display_name),
            _ => return None,
        }))
    }
}

/// An edge to the person whom the row has with it.
pub fn held_person<T: Readable + AsRef<model::Person> + Clone>(
    field: &Selected<'_>,
) -> Option<Read<T>> {
    field.held(Shape::One, |row: &T, _, people| {
        people.push(Person(row.clone()));
        Ok(())
    })
}

/// An edge to the person with this id, who is always there.
pub fn person<T: Readable>(
    field: &Selected<'_>,
    id: impl Fn(&T) -> UserId + Send + Sync + 'static,
) -> Option<Read<T>> {
    field.loaded(
        Shape::One,
        move |row| Some(id(row)),
        |request| PersonById(request.app.db.clone()),
        |loaders, error| loaders.users.fail(error),
        |_, person, _, people| {
            people.extend(person.clone().map(Person));
            Ok(())
        },
    )
}
