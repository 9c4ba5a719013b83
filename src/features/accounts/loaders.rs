//! Loaders of sessions.

use super::model::{self, Session};
use crate::{db::ids::SessionId, row_loader};

row_loader! {
    /// A session by id, ended or not; whose it is, is the reader's to check.
    SessionById: SessionId => Session, model::by_ids, |session| session.id
}
