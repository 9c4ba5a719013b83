//! User errors, and the payloads that carry them.

use std::{cell::RefCell, future::Future};

use async_graphql::{Enum, Json, SimpleObject};

use crate::error::{self, Problem};

/// Why a mutation did nothing. Codes are only ever added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "error::ErrorCode")]
pub enum ErrorCode {
    /// A value of the input is not acceptable; `field` says which.
    InvalidInput,
    /// There is no such thing, or you may not know of it.
    NotFound,
    /// You see it but are the wrong party for this.
    NotAllowed,
    /// It was changed meanwhile: `expectedVersion` does not match.
    Conflict,
    /// Its state does not allow this; `details.state` is the current one.
    InvalidState,
    /// Somebody else has this time.
    SlotTaken,
    /// You have another booking at this time.
    OverlapsOwnBooking,
    /// The time is not one of the provider's bookable times.
    OutsideAvailability,
    /// One cannot do this to oneself.
    SelfAction,
    /// One of the two has blocked the other.
    Blocked,
    /// The current boundary rules are not acknowledged.
    BoundaryNotAcknowledged,
    /// There is one already.
    AlreadyExists,
    /// No more of these are allowed.
    LimitReached,
    /// The wallet holds too little.
    InsufficientFunds,
    /// It has expired.
    Expired,
    /// This idempotency key was used with other input.
    IdempotencyKeyReused,
    /// The payment gateway refused.
    PaymentFailed,
    /// The sign-in data is wrong.
    InvalidCredentials,
    /// The code is wrong.
    InvalidCode,
    /// Too many tries.
    TooManyAttempts,
    /// The time in which this was possible is over or has not begun.
    WindowClosed,
}

/// Something that the user can mend, or at least should read.
#[derive(Clone, Debug, SimpleObject)]
pub struct UserError {
    /// What kind of thing is wrong.
    pub code: ErrorCode,
    /// In plain English, for a person.
    pub message: String,
    /// The path in the arguments, e.g. `["input", "windows", "3", "endsAt"]`; null when it is about no single field.
    pub field: Option<Vec<String>>,
    /// What a frontend can use, e.g. the current state; null where there is nothing.
    pub details: Option<Json<serde_json::Value>>,
}

impl From<Problem> for UserError {
    fn from(problem: Problem) -> Self {
        let Problem {
            code,
            message,
            field,
            details,
        } = problem;
        Self {
            code: code.into(),
            message: message.into_owned(),
            field: (!field.is_empty()).then_some(field),
            details: details.map(Json),
        }
    }
}

tokio::task_local! {
    /// The problems that a resolver answers, whether or not the client selects them.
    static ANSWERED: RefCell<Vec<Problem>>;
}

/// Does the work of a resolver, and tells which problems it answers.
pub async fn with_problems<T>(work: impl Future<Output = T>) -> (T, Vec<Problem>) {
    let noted = async {
        let done = work.await;
        (done, ANSWERED.with(RefCell::take))
    };
    ANSWERED.scope(RefCell::default(), noted).await
}

/// What a mutation did, or its user errors; what broke here passes on.
pub fn outcome<T>(result: error::Result<T>) -> error::Result<(Option<T>, Vec<UserError>)> {
    match result {
        Ok(value) => Ok((Some(value), Vec::new())),
        Err(error::Error::Rejected(problems)) => {
            // Nobody asks for them where there is none to tell.
            let _ = ANSWERED.try_with(|answered| {
                answered.borrow_mut().extend_from_slice(&problems);
            });
            Ok((None, problems.into_iter().map(UserError::from).collect()))
        }
        Err(other) => Err(other),
    }
}

/// Declares a mutation's payload of one object: `payload! { /// What it is.
/// BookingAcceptPayload { /// The booking as it is now.
/// booking: Booking } }`, with `BookingAcceptPayload::of(result)` for the resolver.
#[macro_export]
macro_rules! payload {
    ($(#[$doc:meta])* $name:ident { $(#[$field_doc:meta])* $field:ident: $object:ty $(,)? }) => {
        $(#[$doc])*
        #[derive(::async_graphql::SimpleObject)]
        pub struct $name {
            $(#[$field_doc])*
            pub $field: Option<$object>,
            /// Why nothing was done; empty on success.
            pub user_errors: Vec<$crate::graphql::user_error::UserError>,
        }

        impl $name {
            /// From what the service answered.
            pub fn of(result: $crate::error::Result<$object>) -> $crate::error::Result<Self> {
                let ($field, user_errors) = $crate::graphql::user_error::outcome(result)?;
                Ok(Self { $field, user_errors })
            }
        }
    };
}
