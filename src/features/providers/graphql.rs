//! Providers in the schema.

mod inputs;
pub mod mutations;
pub mod plan;
mod queries;
mod types;

pub use inputs::{
    ApplicationDecision, ProviderApplicationReviewInput, ProviderApplyInput, ProviderFilter,
    ProviderPriceInput, ProviderServicePricingSetInput, ProviderSort, ProviderSuspendInput,
    ProviderUpdateInput, TimeRangeInput,
};
pub use mutations::ProviderMutations;
pub use queries::ProviderQueries;
pub use types::{
    CancellationPolicy, Provider, ProviderService, ProviderStats, ProviderStatus, RatingShare,
};
