//! Rows of `reports`.

use diesel::{
    pg::Pg,
    prelude::*,
    sql_types::{Timestamptz, Uuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::{
    auth::{permissions::known, viewer::Viewer},
    cursor::{LARGEST_COUNT, Page},
    db::{
        Instant,
        ids::{BookingId, ReportId, ReviewId, UserId},
        keyset::Limited,
        schema::reports,
    },
    keyset, text_enum,
};

text_enum! {
    /// What a report is about.
    pub enum ReportReason {
        /// Insults, threats, stalking, hate.
        Harassment = "HARASSMENT",
        /// The boundary rules were broken.
        BoundaryViolation = "BOUNDARY_VIOLATION",
        /// Lies about identity, services or money.
        Fraud = "FRAUD",
        /// Advertising and repetition.
        Spam = "SPAM",
        /// Text or pictures that don't belong here.
        InappropriateContent = "INAPPROPRIATE_CONTENT",
        /// Somebody is or was in danger.
        Safety = "SAFETY",
        /// Something else.
        Other = "OTHER",
    }
}

text_enum! {
    /// How far a report is.
    pub enum ReportState {
        /// Staff have not decided.
        Open = "OPEN",
        /// Staff did something about it.
        ActionTaken = "ACTION_TAKEN",
        /// Staff found nothing to do.
        Dismissed = "DISMISSED",
    }
}

/// A report.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = reports, check_for_backend(diesel::pg::Pg))]
pub struct Report {
    /// Identity.
    pub id: ReportId,
    /// Who reported (rule 19).
    pub reporter_id: UserId,
    /// The reported person, or
    pub user_id: Option<UserId>,
    /// the reported booking, or
    pub booking_id: Option<BookingId>,
    /// the reported review.
    pub review_id: Option<ReviewId>,
    /// What it is about.
    pub reason: ReportReason,
    /// In the reporter's words, at most 4 000 characters.
    pub details: String,
    /// How far it is.
    pub state: ReportState,
    /// What staff did and why, for staff.
    pub resolution: Option<String>,
    /// Who of staff.
    pub resolved_by: Option<UserId>,
    /// When.
    pub resolved_at: Option<Instant>,
    /// Counts the edits.
    pub version: i32,
    /// When it was made.
    pub created_at: Instant,
}

impl Report {
    /// Whether the viewer may know of it.
    pub fn is_visible_to(&self, viewer: &Viewer) -> bool {
        viewer.is(self.reporter_id) || viewer.may(known::REPORTS_READ)
    }
}

/// The reports with these ids, whoever may see them, in no order.
pub async fn by_ids(mut conn: &AsyncPgConnection, ids: &[ReportId]) -> QueryResult<Vec<Report>> {
    reports::table
        .filter(reports::id.eq_any(ids))
        .select(Report::as_select())
        .load(&mut conn)
        .await
}

/// Adds a report; a second open one about the same violates `reports_one_open`.
pub async fn insert(conn: &mut AsyncPgConnection, report: &Report) -> QueryResult<()> {
    diesel::insert_into(reports::table)
        .values(report)
        .execute(conn)
        .await?;
    Ok(())
}

/// Locks a report and reads it.
pub async fn lock(conn: &mut AsyncPgConnection, id: ReportId) -> QueryResult<Option<Report>> {
    reports::table
        .find(id)
        .select(Report::as_select())
        .for_no_key_update()
        .first(conn)
        .await
        .optional()
}

/// Writes staff's decision.
pub async fn save_decision(conn: &mut AsyncPgConnection, report: &Report) -> QueryResult<()> {
    diesel::update(reports::table.find(report.id))
        .set((
            reports::state.eq(report.state),
            reports::resolution.eq(&report.resolution),
            reports::resolved_by.eq(report.resolved_by),
            reports::resolved_at.eq(report.resolved_at),
            reports::version.eq(report.version),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// The people whom a report concerns besides its reporter: the reported one, a booking's two parties, or a review's
/// author and provider.
pub async fn concerned(conn: &mut AsyncPgConnection, report: &Report) -> QueryResult<Vec<UserId>> {
    if let Some(booking) = report.booking_id {
        return Ok(parties(conn, booking)
            .await?
            .map_or_else(Vec::new, |(client, provider)| vec![client, provider]));
    }
    if let Some(review) = report.review_id {
        return review_parties(conn, review)
            .await
            .map(|found| found.map_or_else(Vec::new, |(author, provider)| vec![author, provider]));
    }
    Ok(report.user_id.into_iter().collect())
}

/// A booking's client and its provider's person.
pub async fn parties(
    conn: &mut AsyncPgConnection,
    booking: BookingId,
) -> QueryResult<Option<(UserId, UserId)>> {
    use crate::db::schema::{bookings, providers};
    bookings::table
        .inner_join(providers::table.on(providers::id.eq(bookings::provider_id)))
        .filter(bookings::id.eq(booking))
        .select((bookings::client_id, providers::user_id))
        .first(conn)
        .await
        .optional()
}

async fn review_parties(
    conn: &mut AsyncPgConnection,
    review: ReviewId,
) -> QueryResult<Option<(UserId, UserId)>> {
    use crate::db::schema::{providers, reviews};
    reviews::table
        .inner_join(providers::table.on(providers::id.eq(reviews::provider_id)))
        .filter(reviews::id.eq(review))
        .select((reviews::author_id, providers::user_id))
        .first(conn)
        .await
        .optional()
}

/// The values of a cursor of a list of reports: when, and which.
pub type ReportKey = (Instant, ReportId);

/// Which reports.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter {
    /// Only by this person.
    pub reporter: Option<UserId>,
    /// Only in this state.
    pub state: Option<ReportState>,
    /// Only for this reason.
    pub reason: Option<ReportReason>,
}

/// The statement of a list of reports.
pub type ListQuery = Limited<
    reports::BoxedQuery<
        'static,
        Pg,
        diesel::helper_types::SqlTypeOf<diesel::helper_types::AsSelect<Report, Pg>>,
    >,
>;

fn filtered(filter: Filter) -> reports::BoxedQuery<'static, Pg> {
    let Filter {
        reporter,
        state,
        reason,
    } = filter;
    let mut query = reports::table.into_boxed();
    if let Some(reporter) = reporter {
        query = query.filter(reports::reporter_id.eq(reporter));
    }
    if let Some(state) = state {
        query = query.filter(reports::state.eq(state));
    }
    if let Some(reason) = reason {
        query = query.filter(reports::reason.eq(reason));
    }
    query
}

/// The statement of [`list`].
pub fn list_query(filter: Filter, newest_first: bool, page: &Page<ReportKey>) -> ListQuery {
    // One of these alone is what an index holds in this order.
    let mut others = filter;
    let alone = filter.reporter.is_none() && !newest_first;
    let state = others.state.take_if(|_| alone && filter.reason.is_none());
    let reason = others.reason.take_if(|_| alone && filter.state.is_none());
    let (in_state, for_reason) = (state.is_some(), reason.is_some());
    let mut query = filtered(others).select(Report::as_select());
    if let Some(state) = state {
        query = query.filter(reports::state.eq_any([state]));
    }
    if let Some(reason) = reason {
        query = query.filter(reports::reason.eq_any([reason]));
    }
    keyset!(query, page, newest_first, |(at, id)| (
        reports::created_at: Timestamptz = at,
        reports::id: Uuid = id,
    ), of in_state => reports::state, of for_reason => reports::reason)
}

/// Reports by when they were made, the oldest first or the newest first.
pub async fn list(
    conn: &mut AsyncPgConnection,
    filter: Filter,
    newest_first: bool,
    page: &Page<ReportKey>,
) -> QueryResult<Vec<Report>> {
    list_query(filter, newest_first, page).load(conn).await
}

/// How many there are, up to one more than is told.
pub async fn count(conn: &mut AsyncPgConnection, filter: Filter) -> QueryResult<i64> {
    let ids: Vec<ReportId> = filtered(filter)
        .limit(LARGEST_COUNT + 1)
        .select(reports::id)
        .load(conn)
        .await?;
    Ok(i64::try_from(ids.len()).unwrap_or(i64::MAX))
}
