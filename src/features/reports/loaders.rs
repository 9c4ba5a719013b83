//! Loaders of reports. Who may see a row is the reader's to check.

use super::model::{self, Report};
use crate::{db::ids::ReportId, row_loader};

row_loader! {
    /// A report by id.
    ReportById: ReportId => Report, model::by_ids, |report| report.id
}
