//! Loaders of pictures.

use super::model::{self, Media, PortfolioItem};
use crate::{
    db::ids::{MediaId, ProviderId, ProviderMediaId},
    row_loader, rows_loader,
};

row_loader! {
    /// A picture by id.
    MediaById: MediaId => Media, model::by_ids, |media| media.id
}

row_loader! {
    /// A portfolio's picture by id. Who may see its provider is the reader's to check.
    PortfolioItemById: ProviderMediaId => PortfolioItem, model::items_by_ids, |item| item.row.id
}

rows_loader! {
    /// A provider's portfolio in its order.
    PortfolioOfProvider: ProviderId => PortfolioItem, model::portfolios, |item| item.row.provider_id
}
