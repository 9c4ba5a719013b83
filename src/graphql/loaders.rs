//! The set of loaders, made for each request.

use crate::{
    db::{
        Db,
        batch::{Loader, MaybeRow},
        ids::UserId,
    },
    features::users::{loaders::UserById, model::User},
};

/// One loader for each edge of the graph.
pub struct Loaders {
    /// People by id.
    pub users: Loader<UserId, MaybeRow<User>, UserById>,
}

impl Loaders {
    /// For one request.
    pub fn new(db: &Db) -> Self {
        Self {
            users: Loader::new(UserById(db.clone())),
        }
    }
}
