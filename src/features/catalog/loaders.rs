//! Loaders of the catalog.

use super::model::{self, Category, City, Service};
use crate::{
    db::ids::{CategoryId, CityId, ServiceId},
    row_loader,
};

row_loader! {
    /// A category by id.
    CategoryById: CategoryId => Category, model::categories_by_ids, |category| category.id
}

row_loader! {
    /// A city by id.
    CityById: CityId => City, model::cities_by_ids, |city| city.id
}

row_loader! {
    /// A service by id, archived or not.
    ServiceById: ServiceId => Service, model::services_by_ids, |service| service.id
}
