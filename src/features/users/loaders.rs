//! Loaders of people.

use super::model::{self, User};
use crate::{db::ids::UserId, row_loader};

row_loader! {
    /// A person by id.
    UserById: UserId => User, model::by_ids, |user| user.id
}
