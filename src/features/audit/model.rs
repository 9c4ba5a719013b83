//! Rows of `audit_events`.

use diesel::{
    pg::Pg,
    prelude::*,
    sql_types::{Bool, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    cursor::{Page, Slice},
    db::{
        Instant,
        ids::{AuditEventId, UserId},
        keyset::{Counted, Limited},
        schema::audit_events,
    },
    keyset, sql_expression, text_enum,
};

text_enum! {
    /// Who acted.
    pub enum ActorKind {
        /// A person (with no id: somebody who is not signed in).
        User = "USER",
        /// A background job.
        System = "SYSTEM",
        /// The payment gateway, by a webhook.
        Gateway = "GATEWAY",
    }
}

text_enum! {
    /// How it ended.
    pub enum Outcome {
        /// It was done.
        Done = "DONE",
        /// It was refused.
        Refused = "REFUSED",
    }
}

/// An entry of the audit trail.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = audit_events, check_for_backend(diesel::pg::Pg))]
pub struct AuditEvent {
    /// Identity.
    pub id: AuditEventId,
    /// Who acted.
    pub actor_kind: ActorKind,
    /// The person, when one did.
    pub actor_id: Option<UserId>,
    /// `object.verb`.
    pub action: String,
    /// How it ended.
    pub outcome: Outcome,
    /// The prefix of the target's typed id.
    pub target_kind: Option<String>,
    /// The target.
    pub target_id: Option<Uuid>,
    /// What of it counts, as it was.
    pub before: Option<Value>,
    /// The same, afterwards.
    pub after: Option<Value>,
    /// The client's address.
    pub ip_address: Option<String>,
    /// The request.
    pub request_id: Option<String>,
    /// When.
    pub created_at: Instant,
}

/// Adds an entry.
pub async fn insert(conn: &mut AsyncPgConnection, event: &AuditEvent) -> QueryResult<()> {
    diesel::insert_into(audit_events::table)
        .values(event)
        .execute(conn)
        .await?;
    Ok(())
}

/// Adds entries, at most a thousand.
pub async fn insert_all(conn: &mut AsyncPgConnection, events: &[AuditEvent]) -> QueryResult<()> {
    diesel::insert_into(audit_events::table)
        .values(events)
        .execute(conn)
        .await?;
    Ok(())
}

/// The action whose actor is the reporter, whom staff without `reports:read` never learn (rule 19).
pub const REPORT_CREATE: &str = "report.create";

/// Which entries.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// By this person.
    pub actor: Option<UserId>,
    /// On this object: the prefix of its typed id, and the id.
    pub target: Option<(String, Uuid)>,
    /// Of this action.
    pub action: Option<String>,
    /// That ended so.
    pub outcome: Option<Outcome>,
    /// From this address.
    pub ip_address: Option<String>,
    /// Not before this.
    pub from: Option<Instant>,
    /// Before this.
    pub to: Option<Instant>,
    /// Not of reporters.
    pub without_reporters: bool,
}

sql_expression! {
    /// What was done, in words that the planner sees.
    Done: Bool = "audit_events.outcome = 'DONE'" on audit_events::table;
    /// What was refused, spelled as the partial index has it.
    Refused: Bool = "audit_events.outcome = 'REFUSED'" on audit_events::table;
}

/// The name of the order of [`page`].
pub const NEWEST: &str = "auditEvent.newest";

/// The values of a cursor of [`NEWEST`]: when, and which.
pub type EventKey = (Instant, AuditEventId);

/// A page's statement.
pub type EventsQuery = Limited<
    audit_events::BoxedQuery<
        'static,
        Pg,
        diesel::helper_types::SqlTypeOf<diesel::helper_types::AsSelect<AuditEvent, Pg>>,
    >,
>;

fn matching(filter: &Filter) -> audit_events::BoxedQuery<'static, Pg> {
    let Filter {
        actor,
        target,
        action,
        outcome,
        ip_address,
        from,
        to,
        without_reporters,
    } = filter.clone();
    let mut query = audit_events::table.into_boxed();
    if let Some(actor) = actor {
        query = query.filter(audit_events::actor_id.eq(actor));
    }
    if let Some((kind, id)) = target {
        query = query
            .filter(audit_events::target_kind.eq(kind))
            .filter(audit_events::target_id.eq(id));
    }
    if let Some(action) = action {
        query = query.filter(audit_events::action.eq(action));
    }
    match outcome {
        Some(Outcome::Done) => query = query.filter(Done),
        Some(Outcome::Refused) => query = query.filter(Refused),
        None => {}
    }
    if let Some(ip_address) = ip_address {
        query = query.filter(audit_events::ip_address.eq(ip_address));
    }
    if let Some(from) = from {
        query = query.filter(audit_events::created_at.ge(from));
    }
    if let Some(to) = to {
        query = query.filter(audit_events::created_at.lt(to));
    }
    if without_reporters {
        query = query.filter(audit_events::action.ne(REPORT_CREATE));
    }
    query
}

/// The statement of [`page`].
pub fn page_query(filter: &Filter, page: &Page<EventKey>) -> EventsQuery {
    let given = [
        filter.actor.is_some(),
        filter.action.is_some(),
        filter.ip_address.is_some(),
        filter.target.is_some(),
    ];
    // One of these alone is what an index holds in this order.
    let alone = given.into_iter().filter(|given| *given).count() == 1;
    let mut others = filter.clone();
    let actor = others.actor.take_if(|_| alone);
    let action = others.action.take_if(|_| alone);
    let address = others.ip_address.take_if(|_| alone);
    let (by_actor, of_action, from_address) =
        (actor.is_some(), action.is_some(), address.is_some());
    let mut query = matching(&others).select(AuditEvent::as_select());
    if let Some(actor) = actor {
        query = query.filter(audit_events::actor_id.eq_any([actor]));
    }
    if let Some(action) = action {
        query = query.filter(audit_events::action.eq_any([action]));
    }
    if let Some(address) = address {
        query = query.filter(audit_events::ip_address.eq_any([address]));
    }
    keyset!(query, page, true, |(at, id)| (
        audit_events::created_at: Timestamptz = at,
        audit_events::id: SqlUuid = id,
    ), of by_actor => audit_events::actor_id, of of_action => audit_events::action, of from_address => audit_events::ip_address)
}

/// A page of entries, the newest first; `count` costs a second statement.
pub async fn page(
    conn: &mut AsyncPgConnection,
    filter: &Filter,
    page: &Page<EventKey>,
    count: bool,
) -> QueryResult<Slice<AuditEvent>> {
    let slice = page.slice(page_query(filter, page).load(conn).await?);
    if !count {
        return Ok(slice);
    }
    let counted = Counted(matching(filter).select(audit_events::id));
    Ok(slice.with_total(counted.get_result(conn).await?))
}

/// The entries with these ids, in no order.
pub async fn by_ids(
    mut conn: &AsyncPgConnection,
    ids: &[AuditEventId],
) -> QueryResult<Vec<AuditEvent>> {
    audit_events::table
        .filter(audit_events::id.eq_any(ids))
        .select(AuditEvent::as_select())
        .load(&mut conn)
        .await
}
