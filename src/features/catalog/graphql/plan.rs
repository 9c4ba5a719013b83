//! The catalog in read plans.

use super::{Category, City, Service, ServiceStatus};
use crate::{
    db::ids::{CityId, ServiceId},
    features::catalog::{
        loaders::{CategoryById, CityById, ServiceById},
        model,
    },
    graphql::plan::{Read, Readable, Selected, Shape},
};

impl Readable for Category {
    type Object = Self;

    fn read(field: &Selected<'_>) -> Option<Read<Self>> {
        Some(Read::Leaf(match field.name() {
            "id" => |category, _, json| json.id(category.0.id),
            "slug" => |category, _, json| json.text(&category.0.slug),
            "title" => |category, _, json| json.text(&category.0.title),
            _ => return None,
        }))
    }
}

impl Readable for City {
    type Object = Self;

    fn read(field: &Selected<'_>) -> Option<Read<Self>> {
        Some(Read::Leaf(match field.name() {
            "id" => |city, _, json| json.id(city.0.id),
            "slug" => |city, _, json| json.text(&city.0.slug),
            "name" => |city, _, json| json.text(&city.0.name),
            "countryCode" => |city, _, json| json.text(&city.0.country_code),
            "timeZone" => |city, _, json| json.text(&city.0.time_zone),
            _ => return None,
        }))
    }
}

/// What a list of something else shows of a [`Service`].
pub struct ServiceCard(pub model::ServiceCard);

/// How a field is read of rows that have what a service's card has.
macro_rules! service_fields {
    ($field:ident) => {{
        let read: Option<Read<Self>> = match $field.name() {
            "id" => Some(Read::Leaf(|row: &Self, _, json| json.id(row.0.id))),
            "title" => Some(Read::Leaf(|row, _, json| json.text(&row.0.title))),
            "status" => Some(Read::Leaf(|row, _, json| {
                json.name(&ServiceStatus::from(row.0.status));
            })),
            _ => None,
        };
        read
    }};
}

impl Readable for ServiceCard {
    type Object = Service;

    fn read(field: &Selected<'_>) -> Option<Read<Self>> {
        service_fields!(field)
    }
}

impl Readable for Service {
    type Object = Self;

    fn read(field: &Selected<'_>) -> Option<Read<Self>> {
        if let Some(read) = service_fields!(field) {
            return Some(read);
        }
        Some(Read::Leaf(match field.name() {
            "description" => |service, _, json| json.text(&service.0.description),
            "version" => |service, _, json| json.int(service.0.version.into()),
            "createdAt" => |service, _, json| json.time(*service.0.created_at),
            "updatedAt" => |service, _, json| json.time(*service.0.updated_at),
            "category" => {
                return field.loaded(
                    Shape::One,
                    |service: &Self| Some(service.0.category_id),
                    |request| CategoryById(request.app.db.clone()),
                    |loaders, error| loaders.categories.fail(error),
                    |_, category, _, categories| {
                        categories.extend(category.clone().map(Category));
                        Ok(())
                    },
                );
            }
            _ => return None,
        }))
    }
}

/// An edge to the city with this id, which is always there.
pub fn city<T: Readable>(
    field: &Selected<'_>,
    id: impl Fn(&T) -> CityId + Send + Sync + 'static,
) -> Option<Read<T>> {
    field.loaded(
        Shape::One,
        move |row| Some(id(row)),
        |request| CityById(request.app.db.clone()),
        |loaders, error| loaders.cities.fail(error),
        |_, city, _, cities| {
            cities.extend(city.clone().map(City));
            Ok(())
        },
    )
}

/// An edge to the service with this id, which is always there.
pub fn service<T: Readable>(
    field: &Selected<'_>,
    id: impl Fn(&T) -> ServiceId + Send + Sync + 'static,
) -> Option<Read<T>> {
    field.loaded(
        Shape::One,
        move |row| Some(id(row)),
        |request| ServiceById(request.app.db.clone()),
        |loaders, error| loaders.services.fail(error),
        |_, service, _, services| {
            services.extend(service.clone().map(Service));
            Ok(())
        },
    )
}
