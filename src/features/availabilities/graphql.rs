//! Windows and slots in the schema. `Provider` has them as edges: see [`windows_of`] and [`slots_of`].

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use super::{
    model,
    service::{self, NewWindow, SlotsOf},
};
use crate::{
    db::{
        ids::{AvailabilityId, ProviderId},
        retry_conflict,
    },
    error::Result,
    features::providers::graphql::Provider,
    graphql::{
        args,
        context::ContextExt,
        scalars::DateTime,
        user_error::{UserError, outcome},
    },
    payload,
};

/// A stretch of time in which a provider can be booked. It shows to whom the provider does.
#[derive(Clone, Debug, SimpleObject)]
pub struct Availability {
    /// Identity (`avl_…`).
    #[graphql(owned)]
    pub id: ID,
    /// From when.
    pub starts_at: DateTime,
    /// Until when.
    pub ends_at: DateTime,
}

impl From<&model::Availability> for Availability {
    fn from(row: &model::Availability) -> Self {
        Self {
            id: row.id.to_string().into(),
            starts_at: DateTime(*row.starts_at),
            ends_at: DateTime(*row.ends_at),
        }
    }
}

impl Availability {
    /// The window with this id, when the viewer may know of its provider.
    pub async fn by_id(ctx: &Context<'_>, id: AvailabilityId) -> Result<Option<Self>> {
        let Some(row) = ctx.loaders().window.load(id).await? else {
            return Ok(None);
        };
        let provider = Provider::by_id(ctx, row.provider_id).await?;
        Ok(provider.map(|_| Self::from(&*row)))
    }
}

/// A time that can be booked: `bookingCreate` accepts exactly these, apart from the client's own other bookings.
#[derive(Clone, Debug, SimpleObject)]
pub struct Slot {
    /// Pass this to `bookingCreate`.
    pub starts_at: DateTime,
    /// When the booking would end.
    pub ends_at: DateTime,
}

/// `Provider.availabilities`: the windows that overlap `[from, to)`, by start, at most 500. `BAD_REQUEST` when the
/// range is empty or longer than 31 days.
pub async fn windows_of(
    ctx: &Context<'_>,
    provider: ProviderId,
    from: DateTime,
    to: DateTime,
) -> Result<Vec<Availability>> {
    service::check_range(ctx.app(), from.0, to.0)?;
    let rows = ctx.loaders().windows.load((provider, from.0, to.0)).await?;
    Ok(rows.iter().map(Availability::from).collect())
}

/// `Provider.slots`: the free times for a service that start in `[from, to)`, by start, at most 500; none for a
/// service that is not offered. `BAD_REQUEST` when the range is empty or longer than 31 days.
pub async fn slots_of(
    ctx: &Context<'_>,
    provider: ProviderId,
    service_id: &ID,
    from: DateTime,
    to: DateTime,
) -> Result<Vec<Slot>> {
    service::check_range(ctx.app(), from.0, to.0)?;
    let Some(service_id) = args::maybe_id(service_id) else {
        return Ok(Vec::new());
    };
    let asked = SlotsOf {
        provider_id: provider,
        service_id,
        from: from.0,
        to: to.0,
    };
    let slots = ctx.loaders().slots.load(asked).await?;
    Ok(slots
        .iter()
        .map(|(starts_at, ends_at)| Slot {
            starts_at: DateTime(*starts_at),
            ends_at: DateTime(*ends_at),
        })
        .collect())
}

/// A window to make.
#[derive(Clone, Copy, Debug, InputObject)]
pub struct AvailabilityWindowInput {
    /// From when; slots start here and every 15 minutes after.
    pub starts_at: DateTime,
    /// Until when; at least 15 minutes later, and in the future.
    pub ends_at: DateTime,
}

/// Windows to make.
#[derive(Clone, Debug, InputObject)]
pub struct AvailabilitiesCreateInput {
    /// 1 to 100 windows that overlap neither each other nor one that is there; touching is allowed.
    pub windows: Vec<AvailabilityWindowInput>,
}

payload! {
    /// What `availabilitiesCreate` did.
    AvailabilitiesCreatePayload {
        /// The new windows, in the order of the input.
        availabilities: Vec<Availability>
    }
}

/// What `availabilityDelete` did.
#[derive(SimpleObject)]
pub struct AvailabilityDeletePayload {
    /// The id of the window that is gone.
    pub deleted_id: Option<ID>,
    /// Why nothing was done; empty on success.
    pub user_errors: Vec<UserError>,
}

/// Mutations of windows.
#[derive(Default)]
pub struct AvailabilityMutations;

#[Object]
impl AvailabilityMutations {
    /// Makes bookable windows of your own profile, all or none; every bad one is reported with its path. Codes:
    /// `INVALID_INPUT` (also for one that overlaps), `NOT_ALLOWED` (you are no provider), `INVALID_STATE`.
    async fn availabilities_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The windows.")] input: AvailabilitiesCreateInput,
    ) -> Result<AvailabilitiesCreatePayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let AvailabilitiesCreateInput { windows } = input;
        let windows: Vec<NewWindow> = windows
            .into_iter()
            .map(|AvailabilityWindowInput { starts_at, ends_at }| NewWindow {
                starts_at: starts_at.0,
                ends_at: ends_at.0,
            })
            .collect();
        let made = retry_conflict(|| service::create(app, viewer, &windows)).await;
        AvailabilitiesCreatePayload::of(
            made.map(|rows| rows.iter().map(Availability::from).collect()),
        )
    }

    /// Deletes one of your windows in which nothing is booked. Codes: `NOT_FOUND`, `INVALID_STATE` (something is
    /// booked).
    async fn availability_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The window (`avl_…`).")] id: ID,
    ) -> Result<AvailabilityDeletePayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let id = args::maybe_id(&id);
        let deleted = retry_conflict(|| service::delete(app, viewer, id)).await;
        let (deleted, user_errors) = outcome(deleted)?;
        Ok(AvailabilityDeletePayload {
            deleted_id: deleted.map(|id| id.to_string().into()),
            user_errors,
        })
    }
}
