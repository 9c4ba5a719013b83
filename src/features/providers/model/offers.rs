//! What a provider offers, as a condition of a search: an active price, and a free time to book it.

use diesel::{
    expression::{AppearsOnTable, Expression, ValidGrouping},
    pg::Pg,
    prelude::*,
    query_builder::{AstPass, QueryFragment, QueryId},
    sql_types::{BigInt, Bool, Integer, Text, Timestamptz, Uuid},
};

use jiff::SignedDuration;

use crate::db::{
    Instant,
    ids::{CategoryId, ServiceId},
    schema::providers,
    search::MANY,
};

/// Prices between two amounts of one currency, both included.
#[derive(Clone, Debug)]
pub struct PriceRange {
    /// ISO 4217's code.
    pub currency: String,
    /// At least this, in minor units.
    pub min_minor: Option<i64>,
    /// At most this.
    pub max_minor: Option<i64>,
}

/// A stretch of time in which a booking must still fit.
#[derive(Clone, Copy, Debug)]
pub struct FreeTime {
    /// From when; not before the least lead time.
    pub from: Instant,
    /// Until when.
    pub to: Instant,
    /// The time: what is past its deadline holds nothing any more (rule 8).
    pub now: Instant,
    /// The distance between two starts (rule 6), in minutes.
    pub step_minutes: i32,
}

impl FreeTime {
    /// Whether the stretch is no longer than this.
    pub(super) fn lasts_at_most(&self, most: SignedDuration) -> bool {
        self.to.0.duration_since(self.from.0) <= most
    }
}

/// `EXISTS` an active price that meets the conditions.
#[derive(Clone, Debug, ValidGrouping)]
pub(super) struct Offers {
    pub service_id: Option<ServiceId>,
    pub category_id: Option<CategoryId>,
    pub price: Option<PriceRange>,
    pub free: Option<FreeTime>,
    /// Asked of one provider after the other, never of all at once.
    pub of_each: bool,
}

impl Expression for Offers {
    type SqlType = Bool;
}

impl AppearsOnTable<providers::table> for Offers {}

impl QueryId for Offers {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl QueryFragment<Pg> for Offers {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let Self {
            service_id,
            category_id,
            price,
            free,
            of_each,
        } = self;
        out.push_sql(
            "EXISTS (SELECT 1 FROM provider_services ps JOIN services s ON s.id = ps.service_id \
             WHERE ps.provider_id = providers.id AND ps.active AND s.status = 'ACTIVE'",
        );
        if let Some(service) = service_id {
            out.push_sql(" AND ps.service_id = ");
            out.push_bind_param::<Uuid, _>(service)?;
        }
        if let Some(category) = category_id {
            out.push_sql(" AND s.category_id = ");
            out.push_bind_param::<Uuid, _>(category)?;
        }
        if let Some(range) = price {
            range.walk_ast(out.reborrow())?;
        }
        if let Some(free) = free {
            out.push_sql(" AND ");
            free.walk_ast(out.reborrow())?;
        }
        out.push_sql(if *of_each { " OFFSET 0)" } else { ")" });
        Ok(())
    }
}

impl QueryFragment<Pg> for PriceRange {
    /// What must hold of the price `ps` besides.
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let Self {
            currency,
            min_minor,
            max_minor,
        } = self;
        out.push_sql(" AND ps.currency = ");
        out.push_bind_param::<Text, _>(currency)?;
        if let Some(min) = min_minor {
            out.push_sql(" AND ps.price_minor >= ");
            out.push_bind_param::<BigInt, _>(min)?;
        }
        if let Some(max) = max_minor {
            out.push_sql(" AND ps.price_minor <= ");
            out.push_bind_param::<BigInt, _>(max)?;
        }
        Ok(())
    }
}

impl QueryFragment<Pg> for FreeTime {
    /// A window cut to the stretch, less the held times, leaves gaps; the first start in a gap is the next step from
    /// the window's own start (times have whole microseconds), and from there the booking must fit.
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let Self {
            from,
            to,
            now,
            step_minutes,
        } = self;
        let range = |out: &mut AstPass<'_, 'b, Pg>, sql: [&str; 3]| -> QueryResult<()> {
            let [before, between, after] = sql;
            out.push_sql(before);
            out.push_bind_param::<Timestamptz, _>(from)?;
            out.push_sql(between);
            out.push_bind_param::<Timestamptz, _>(to)?;
            out.push_sql(after);
            Ok(())
        };
        let step = |out: &mut AstPass<'_, 'b, Pg>| -> QueryResult<()> {
            out.push_sql("make_interval(mins => ");
            out.push_bind_param::<Integer, _>(step_minutes)?;
            out.push_sql(")");
            Ok(())
        };
        range(
            &mut out,
            [
                "EXISTS (SELECT 1 FROM availabilities a CROSS JOIN LATERAL unnest(\
                 tstzmultirange(tstzrange(GREATEST(a.starts_at, ",
                "), LEAST(a.ends_at, ",
                ")))",
            ],
        )?;
        range(
            &mut out,
            [
                " - COALESCE((SELECT range_agg(h.during) FROM held_times h \
                 JOIN bookings b ON b.id = h.booking_id \
                 LEFT JOIN booking_proposals bp ON bp.id = h.proposal_id \
                 WHERE h.provider_id = a.provider_id AND h.during && tstzrange(",
                ", ",
                ")",
            ],
        )?;
        for (sql, end) in [
            (" AND (b.state <> 'REQUESTED' OR b.answer_deadline > ", ")"),
            (" AND (b.state <> 'ACCEPTED' OR b.payment_deadline > ", ")"),
            (" AND (bp.id IS NULL OR bp.answer_deadline > ", ")"),
        ] {
            out.push_sql(sql);
            out.push_bind_param::<Timestamptz, _>(now)?;
            out.push_sql(end);
        }
        out.push_sql("), '{}'::tstzmultirange)) AS free(gap) ");
        out.push_sql("WHERE a.provider_id = providers.id AND a.ends_at > ");
        range(&mut out, ["", " AND a.starts_at < ", " AND date_bin("])?;
        step(&mut out)?;
        out.push_sql(", lower(free.gap) + ");
        step(&mut out)?;
        out.push_sql(
            " - interval '1 microsecond', a.starts_at) \
             + make_interval(mins => ps.duration_minutes) <= upper(free.gap))",
        );
        Ok(())
    }
}

/// Of whom windows overlap the stretch by as long as one of their bookings takes: nobody else has a free time in it.
pub(super) struct WindowsIn(pub FreeTime);

impl QueryFragment<Pg> for WindowsIn {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let Self(FreeTime { from, to, .. }) = self;
        // As the index has it that is for this alone.
        out.push_sql(
            "SELECT a.provider_id FROM availabilities a WHERE tstzrange(a.starts_at, a.ends_at, '[)') && tstzrange(",
        );
        out.push_bind_param::<Timestamptz, _>(from)?;
        out.push_sql(", ");
        out.push_bind_param::<Timestamptz, _>(to)?;
        out.push_sql(
            ") AND EXISTS (SELECT FROM provider_services ps WHERE ps.provider_id = a.provider_id AND ps.active \
             AND GREATEST(a.starts_at, ",
        );
        out.push_bind_param::<Timestamptz, _>(from)?;
        out.push_sql(") + make_interval(mins => ps.duration_minutes) <= LEAST(a.ends_at, ");
        out.push_bind_param::<Timestamptz, _>(to)?;
        // Window by window, so that the first ones don't cost everybody's prices.
        out.push_sql(") OFFSET 0)");
        Ok(())
    }
}

/// Whether a provider is one of them.
pub(super) struct OpenIn(pub WindowsIn);

impl QueryFragment<Pg> for OpenIn {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("providers.id = ANY (ARRAY(");
        self.0.walk_ast(out.reborrow())?;
        out.push_sql("))");
        Ok(())
    }
}

/// The prices of a service, of a category's services or in a range, by the index that holds all of these.
pub(super) struct Prices {
    pub service_id: Option<ServiceId>,
    pub category_id: Option<CategoryId>,
    pub range: Option<PriceRange>,
}

impl Prices {
    /// Those of one service `s`, or of all.
    fn of<'b>(&'b self, services: bool, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT ps.provider_id FROM provider_services ps WHERE ps.active");
        if services {
            out.push_sql(" AND ps.service_id = s.id");
        }
        if let Some(range) = &self.range {
            range.walk_ast(out.reborrow())?;
        }
        // In the order of the index that should be read: any other would have to be sorted.
        let order = if services { "ps.service_id, " } else { "" };
        out.push_sql(&format!(
            " ORDER BY {order}ps.currency, ps.price_minor LIMIT {}",
            MANY + 1
        ));
        Ok(())
    }
}

impl QueryFragment<Pg> for Prices {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        if self.service_id.is_none() && self.category_id.is_none() {
            return self.of(false, out);
        }
        out.push_sql("SELECT prices.provider_id FROM services s CROSS JOIN LATERAL (");
        self.of(true, out.reborrow())?;
        out.push_sql(") AS prices WHERE s.status = 'ACTIVE'");
        if let Some(service) = &self.service_id {
            out.push_sql(" AND s.id = ");
            out.push_bind_param::<Uuid, _>(service)?;
        }
        if let Some(category) = &self.category_id {
            out.push_sql(" AND s.category_id = ");
            out.push_bind_param::<Uuid, _>(category)?;
        }
        out.push_sql(&format!(" LIMIT {}", MANY + 1));
        Ok(())
    }
}
