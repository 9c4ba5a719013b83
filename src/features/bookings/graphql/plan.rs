//! Bookings in read plans. What is asked for with them less often – who ended them, their order, proposals, history, review
//! and actions – their resolvers answer.

use super::{
    Booking,
    types::{BookingParty, BookingState},
};
use crate::{
    features::{
        catalog::graphql::plan::service,
        providers::graphql::{CancellationPolicy, plan::any_provider},
        users::graphql::plan::person,
    },
    graphql::{
        money::Money,
        plan::{Read, Readable, Selected, Shape},
    },
};

impl Readable for Booking {
    type Object = Self;

    fn read(field: &Selected<'_>) -> Option<Read<Self>> {
        Some(Read::Leaf(match field.name() {
            "id" => |booking, _, json| json.id(booking.0.id),
            "state" => |booking, request, json| {
                let now = request.app.clock.now();
                json.name(&BookingState::from(booking.0.state_at(now)));
            },
            "version" => |booking, _, json| json.int(booking.0.version.into()),
            "startsAt" => |booking, _, json| json.time(*booking.0.starts_at),
            "endsAt" => |booking, _, json| json.time(*booking.0.ends_at),
            "note" => |booking, _, json| json.text(&booking.0.note),
            "durationMinutes" => |booking, _, json| json.int(booking.0.duration_minutes.into()),
            "cancellationPolicy" => |booking, _, json| {
                json.name(&CancellationPolicy::from(booking.0.cancellation_policy));
            },
            "boundaryVersion" => |booking, _, json| json.int(booking.0.boundary_version.into()),
            "answerDeadline" => |booking, _, json| json.time(*booking.0.answer_deadline),
            "paymentDeadline" => |booking, _, json| {
                json.maybe(booking.0.payment_deadline, |json, at| json.time(*at));
            },
            "reason" => |booking, _, json| json.maybe_text(booking.0.reason.as_deref()),
            "absentSide" => |booking, _, json| {
                let side = booking.0.absent_side.map(BookingParty::from);
                json.maybe(side, |json, side| json.name(&side));
            },
            "completedAt" => |booking, _, json| {
                json.maybe(booking.0.completed_at, |json, at| json.time(*at));
            },
            "createdAt" => |booking, _, json| json.time(*booking.0.created_at),
            "updatedAt" => |booking, _, json| json.time(*booking.0.updated_at),
            "client" => return person(field, |booking: &Self| booking.0.client_id),
            "provider" => return any_provider(field, |booking: &Self| booking.0.provider_id),
            "service" => return service(field, |booking: &Self| booking.0.service_id),
            "price" => {
                return field.held(Shape::One, |booking: &Self, _, prices| {
                    let row = &booking.0;
                    prices.push(Money::of(row.price_minor, &row.currency)?);
                    Ok(())
                });
            }
            _ => return None,
        }))
    }
}
