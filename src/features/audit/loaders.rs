//! Loaders of the audit trail.

use super::model::{self, AuditEvent};
use crate::{db::ids::AuditEventId, row_loader};

row_loader! {
    /// An entry by id.
    AuditEventById: AuditEventId => AuditEvent, model::by_ids, |event| event.id
}
