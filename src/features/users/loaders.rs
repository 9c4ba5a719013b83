//! Loaders of people.

use super::model::{self, Person, User};
use crate::{db::ids::UserId, row_loader};

row_loader! {
    /// A person by id.
    UserById: UserId => User, model::by_ids, |user| user.id
}

row_loader! {
    /// What everyone sees of a person, by id.
    PersonById: UserId => Person, model::people_by_ids, |person| person.id
}
