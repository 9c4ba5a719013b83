//! The schema: roots, guard and what it notes of refusals, masking, limits and the rehearsal that they ask, execution and
//! read plans, scalars, connections and the set of loaders. No SQL here.

pub mod args;
pub mod connection;
pub mod context;
pub mod documents;
pub mod errors;
pub mod execution;
pub mod guard;
pub mod limits;
pub mod loaders;
pub mod money;
pub mod node;
pub mod plan;
pub mod refused;
pub mod rehearsal;
pub mod scalars;
pub mod user_error;

use async_graphql::MergedObject;

use crate::{
    config::Config,
    features::{
        accounts::graphql as accounts, audit::graphql as audit,
        availabilities::graphql as availabilities, blocks::graphql as blocks,
        bookings::graphql as bookings, boundary::graphql as boundary, catalog::graphql as catalog,
        media::graphql as media, payments::graphql as payments, providers::graphql as providers,
        reports::graphql as reports, reviews::graphql as reviews, roles::graphql as roles,
        users::graphql::staff as users,
    },
};

/// What can be asked.
#[derive(MergedObject, Default)]
pub struct Query(
    node::NodeQueries,
    accounts::AccountQueries,
    payments::PaymentQueries,
    reviews::ReviewQueries,
    boundary::BoundaryQueries,
    reports::ReportQueries,
    catalog::CatalogQueries,
    providers::ProviderQueries,
    bookings::BookingQueries,
    roles::RoleQueries,
    users::UserQueries,
    audit::AuditQueries,
);

/// What can be done. Each field is one business action in one transaction.
#[derive(MergedObject, Default)]
pub struct Mutation(
    accounts::AccountMutations,
    accounts::email::EmailMutations,
    accounts::linking::LinkMutations,
    payments::PaymentMutations,
    reviews::ReviewMutations,
    boundary::BoundaryMutations,
    reports::ReportMutations,
    blocks::BlockMutations,
    catalog::CatalogMutations,
    providers::ProviderMutations,
    media::MediaMutations,
    availabilities::AvailabilityMutations,
    bookings::BookingMutations,
    roles::RoleMutations,
    users::UserMutations,
);

/// The schema as text, for `schema.graphql`.
pub fn sdl() -> String {
    execution::Executor::new(&Config::development()).sdl()
}
