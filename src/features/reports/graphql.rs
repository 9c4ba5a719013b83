//! Reports in the schema.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, Object, OneofObject};

use super::{
    model,
    service::{self, NewReport, Target},
};
use crate::{
    auth::permissions::known,
    cursor::PageArgs,
    db::{ids::ReportId, retry_conflict},
    error::Result,
    features::{bookings::graphql::Booking, reviews::graphql::Review, users::graphql::User},
    graphql::{args, connection::Connection, context::ContextExt, scalars::DateTime},
    payload,
};

/// What a report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "model::ReportReason")]
pub enum ReportReason {
    /// Insults, threats, stalking, hate.
    Harassment,
    /// The boundary rules were broken.
    BoundaryViolation,
    /// Lies about identity, services or money.
    Fraud,
    /// Advertising and repetition.
    Spam,
    /// Text or pictures that don't belong here.
    InappropriateContent,
    /// Somebody is or was in danger.
    Safety,
    /// Something else; `details` has to say what.
    Other,
}

/// How far a report is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "model::ReportState")]
pub enum ReportState {
    /// Staff have not decided.
    Open,
    /// Staff did something about it.
    ActionTaken,
    /// Staff found nothing to do.
    Dismissed,
}

/// What somebody told staff about a person, a booking or a review. Its reporter sees it, and staff with `reports:read`.
#[derive(async_graphql::Description, Clone)]
pub struct Report(pub Arc<model::Report>);

impl Report {
    /// The report with this id, when the viewer may know of it.
    pub async fn by_id(ctx: &Context<'_>, id: ReportId) -> Result<Option<Self>> {
        let row = ctx.loaders().reports.load(id).await?;
        Ok(row.filter(|row| row.is_visible_to(ctx.viewer())).map(Self))
    }
}

#[Object(use_type_description)]
impl Report {
    /// Identity (`rep_…`).
    pub async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// Who reported; for staff with `reports:read`, null for everyone else.
    async fn reporter(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        if !ctx.viewer().may(known::REPORTS_READ) {
            return Ok(None);
        }
        Ok(ctx
            .loaders()
            .users
            .load(self.0.reporter_id)
            .await?
            .map(User))
    }

    /// The reported person; null when the report is about something else.
    async fn user(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        match self.0.user_id {
            Some(id) => Ok(ctx.loaders().users.load(id).await?.map(User)),
            None => Ok(None),
        }
    }

    /// The reported booking; null when the report is about something else or you don't see the booking.
    async fn booking(&self, ctx: &Context<'_>) -> Result<Option<Booking>> {
        match self.0.booking_id {
            Some(id) => Booking::by_id(ctx, id).await,
            None => Ok(None),
        }
    }

    /// The reported review; null when the report is about something else or you no longer see the review.
    async fn review(&self, ctx: &Context<'_>) -> Result<Option<Review>> {
        match self.0.review_id {
            Some(id) => Review::by_id(ctx, id).await,
            None => Ok(None),
        }
    }

    /// What it is about.
    async fn reason(&self) -> ReportReason {
        self.0.reason.into()
    }

    /// In the reporter's words, at most 4 000 characters; for the reporter and staff with `reports:read`, null for others.
    async fn details(&self, ctx: &Context<'_>) -> Option<&str> {
        self.0
            .is_visible_to(ctx.viewer())
            .then_some(self.0.details.as_str())
    }

    /// How far it is.
    async fn state(&self) -> ReportState {
        self.0.state.into()
    }

    /// What staff did and why; for staff with `reports:read` or `reports:resolve`, null for others and while it is open.
    async fn resolution(&self, ctx: &Context<'_>) -> Option<&str> {
        let resolution = self.0.resolution.as_deref();
        let viewer = ctx.viewer();
        resolution.filter(|_| viewer.may(known::REPORTS_READ) || viewer.may(known::REPORTS_RESOLVE))
    }

    /// Who of staff decided; for staff with `reports:read`, null for others and while it is open.
    async fn resolved_by(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        match self.0.resolved_by {
            Some(id) if ctx.viewer().may(known::REPORTS_READ) => {
                Ok(ctx.loaders().users.load(id).await?.map(User))
            }
            _ => Ok(None),
        }
    }

    /// When staff decided; null while it is open.
    async fn resolved_at(&self) -> Option<DateTime> {
        self.0.resolved_at.map(|at| DateTime(*at))
    }

    /// Counts the edits; pass it as `expectedVersion`.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        DateTime(*self.0.created_at)
    }
}

/// The viewer's own reports, for `me.reports`.
pub async fn mine(ctx: &Context<'_>, page: PageArgs) -> Result<Connection<Report>> {
    const ORDER: &str = "report.newest";
    let page = page.page(ORDER)?;
    let count = ctx.selects("totalCount");
    let slice = service::mine(ctx.app(), ctx.viewer(), &page, count).await?;
    Ok(Connection::of(
        slice,
        ORDER,
        |row| (row.created_at, row.id),
        Report,
    ))
}

payload! {
    /// What `reportCreate` did.
    ReportCreatePayload {
        /// Your report.
        report: Report
    }
}

payload! {
    /// What `reportResolve` did.
    ReportResolvePayload {
        /// The report, decided.
        report: Report
    }
}

/// What to report: exactly one of these.
#[derive(OneofObject)]
pub enum ReportTargetInput {
    /// A person (`usr_…`) other than you.
    UserId(ID),
    /// A booking (`bkg_…`) that you see.
    BookingId(ID),
    /// A review (`rev_…`) that you see and did not write.
    ReviewId(ID),
}

/// A report.
#[derive(InputObject)]
pub struct ReportCreateInput {
    /// What is reported.
    pub target: ReportTargetInput,
    /// What it is about.
    pub reason: ReportReason,
    /// What happened, at most 4 000 characters; may have several lines. Needed with the reason OTHER.
    #[graphql(default)]
    pub details: String,
}

impl From<ReportCreateInput> for NewReport {
    fn from(input: ReportCreateInput) -> Self {
        let ReportCreateInput {
            target,
            reason,
            details,
        } = input;
        Self {
            target: match target {
                ReportTargetInput::UserId(id) => Target::User(args::maybe_id(&id)),
                ReportTargetInput::BookingId(id) => Target::Booking(args::maybe_id(&id)),
                ReportTargetInput::ReviewId(id) => Target::Review(args::maybe_id(&id)),
            },
            reason: reason.into(),
            details,
        }
    }
}

/// What staff make of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum ReportDecision {
    /// Something was done about it.
    ActionTaken,
    /// There is nothing to do.
    Dismissed,
}

/// A decision about a report.
#[derive(InputObject)]
pub struct ReportResolveInput {
    /// What came out.
    pub decision: ReportDecision,
    /// What was done and why, 1 to 4 000 characters; may have several lines. For staff, and kept in the audit trail for
    /// good: write no personal data into it.
    pub resolution: String,
}

/// Which reports; every condition given must hold.
#[derive(InputObject, Default)]
pub struct ReportFilter {
    /// In this state.
    pub state: Option<ReportState>,
    /// For this reason.
    pub reason: Option<ReportReason>,
}

/// Queries of reports.
#[derive(Default)]
pub struct ReportQueries;

#[Object]
impl ReportQueries {
    /// The queue of reports, the oldest first. A cursor may be used with another filter.
    async fn reports(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which ones; all without.")] filter: Option<ReportFilter>,
        #[graphql(desc = "How many from the start, 1 to 100; 20 without.")] first: Option<i32>,
        #[graphql(desc = "Only what follows this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what precedes this cursor.")] before: Option<String>,
    ) -> Result<Option<Connection<Report>>> {
        const ORDER: &str = "report.oldest";
        let page = PageArgs::new(first, after, last, before).page(ORDER)?;
        let ReportFilter { state, reason } = filter.unwrap_or_default();
        let (state, reason) = (state.map(Into::into), reason.map(Into::into));
        let count = ctx.selects("totalCount");
        let slice = service::queue(ctx.app(), state, reason, &page, count).await?;
        Ok(Some(Connection::of(
            slice,
            ORDER,
            |row| (row.created_at, row.id),
            Report,
        )))
    }
}

/// Mutations of reports.
#[derive(Default)]
pub struct ReportMutations;

#[Object]
impl ReportMutations {
    /// Reports a person, a booking or a review to staff; nobody else learns who did. Codes: `INVALID_INPUT`, `NOT_FOUND`
    /// (you don't see it), `SELF_ACTION`, `ALREADY_EXISTS` (your earlier report about it is open).
    async fn report_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The report.")] input: ReportCreateInput,
    ) -> Result<ReportCreatePayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let new = NewReport::from(input);
        let report = retry_conflict(|| service::create(app, viewer, new.clone())).await;
        ReportCreatePayload::of(report.map(|row| Report(Arc::new(row))))
    }

    /// Decides a report. Codes: `INVALID_INPUT`, `NOT_FOUND`, `SELF_ACTION` (by you or about you), `INVALID_STATE`
    /// (decided already), `CONFLICT`.
    async fn report_resolve(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The report (`rep_…`).")] id: ID,
        #[graphql(desc = "The decision.")] input: ReportResolveInput,
        #[graphql(desc = "Refuse with `CONFLICT` unless `version` is this.")]
        expected_version: Option<i32>,
    ) -> Result<ReportResolvePayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let ReportResolveInput {
            decision,
            resolution,
        } = input;
        let outcome = match decision {
            ReportDecision::ActionTaken => model::ReportState::ActionTaken,
            ReportDecision::Dismissed => model::ReportState::Dismissed,
        };
        let id = args::maybe_id(&id);
        let report = retry_conflict(|| {
            service::resolve(app, viewer, id, outcome, &resolution, expected_version)
        })
        .await;
        ReportResolvePayload::of(report.map(|row| Report(Arc::new(row))))
    }
}
