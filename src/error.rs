//! The error types and which belongs where.
//!
//! Models return `QueryResult`; services return [`Result`], whose [`Error`] is either what a user caused
//! ([`Error::Rejected`], one [`Problem`] for each fault) or what broke here; the GraphQL and REST edges turn the first
//! into user errors and the rest into masked answers. One enum serves every feature, because a service often calls
//! another one and its problems must come through unchanged.

use std::{borrow::Cow, error::Error as StdError, fmt, sync::Arc, time::Duration};

use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// What services and loaders return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a user's wish was refused: the codes of `UserError`, append-only (api.md, Errors).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// A value of the input is not acceptable; `field` says which.
    InvalidInput,
    /// There is no such thing, or the viewer may not know of it.
    NotFound,
    /// The viewer sees it but is the wrong party for this.
    NotAllowed,
    /// It was changed meanwhile: `expectedVersion` does not match.
    Conflict,
    /// Its state does not allow this; `details.state` is the current one.
    InvalidState,
    /// Somebody else has this time.
    SlotTaken,
    /// The client has another booking at this time.
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

impl ErrorCode {
    /// The code as clients see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidInput => "INVALID_INPUT",
            Self::NotFound => "NOT_FOUND",
            Self::NotAllowed => "NOT_ALLOWED",
            Self::Conflict => "CONFLICT",
            Self::InvalidState => "INVALID_STATE",
            Self::SlotTaken => "SLOT_TAKEN",
            Self::OverlapsOwnBooking => "OVERLAPS_OWN_BOOKING",
            Self::OutsideAvailability => "OUTSIDE_AVAILABILITY",
            Self::SelfAction => "SELF_ACTION",
            Self::Blocked => "BLOCKED",
            Self::BoundaryNotAcknowledged => "BOUNDARY_NOT_ACKNOWLEDGED",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::LimitReached => "LIMIT_REACHED",
            Self::InsufficientFunds => "INSUFFICIENT_FUNDS",
            Self::Expired => "EXPIRED",
            Self::IdempotencyKeyReused => "IDEMPOTENCY_KEY_REUSED",
            Self::PaymentFailed => "PAYMENT_FAILED",
            Self::InvalidCredentials => "INVALID_CREDENTIALS",
            Self::InvalidCode => "INVALID_CODE",
            Self::TooManyAttempts => "TOO_MANY_ATTEMPTS",
            Self::WindowClosed => "WINDOW_CLOSED",
        }
    }
}

/// One thing that is wrong with what a user asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// What kind of thing.
    pub code: ErrorCode,
    /// In plain English, for a person.
    pub message: Cow<'static, str>,
    /// The path in the arguments, e.g. `["input", "windows", "3", "endsAt"]`; empty when it is about no single field.
    pub field: Vec<String>,
    /// What a frontend can use, e.g. the current state.
    pub details: Option<serde_json::Value>,
}

impl Problem {
    /// A problem about no single field.
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            field: Vec::new(),
            details: None,
        }
    }

    /// The same, about the field at this dotted path of the arguments (`"input.windows.3.endsAt"`).
    pub fn at(mut self, path: &str) -> Self {
        self.field = path.split('.').map(str::to_owned).collect();
        self
    }

    /// The same, with details.
    pub fn with(mut self, details: serde_json::Value) -> Self {
        self.details = Some(details);
        self
    }
}

/// What went wrong.
#[derive(Clone)]
pub enum Error {
    /// The user's doing: shown as user errors.
    Rejected(Vec<Problem>),
    /// The caller's request is not well formed (a foreign cursor, a page size): top-level `BAD_REQUEST`.
    BadRequest(Cow<'static, str>),
    /// What was asked for is for who is signed in: top-level `FORBIDDEN`.
    Forbidden,
    /// What was asked for is for who holds a permission: top-level `FORBIDDEN` that names it.
    Lacking {
        /// Which (`resource:action`).
        permission: &'static str,
        /// Whether signing in would not help.
        signed_in: bool,
    },
    /// Something that we need does not answer now: shown as `UNAVAILABLE`, the cause logged.
    Unavailable {
        /// For the log.
        cause: Arc<dyn StdError + Send + Sync>,
        /// When a retry may work.
        retry_after: Option<Duration>,
    },
    /// A statement or the request took too long: shown as `TIMEOUT`.
    Timeout(Arc<dyn StdError + Send + Sync>),
    /// Another transaction was in the way (deadlock, lock wait, serialization): worth one retry, then `UNAVAILABLE`.
    LockConflict(Arc<dyn StdError + Send + Sync>),
    /// Our fault: shown as `INTERNAL`, the cause logged.
    Internal(Arc<dyn StdError + Send + Sync>),
}

type Cause = Box<dyn StdError + Send + Sync>;

impl Error {
    /// The request is not well formed; the text is shown.
    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::BadRequest(message.into())
    }

    /// Our fault, with its cause for the log.
    pub fn internal(cause: impl Into<Cause>) -> Self {
        Self::Internal(Arc::from(cause.into()))
    }

    /// Something that we need does not answer, with the cause for the log.
    pub fn unavailable(cause: impl Into<Cause>) -> Self {
        Self::Unavailable {
            cause: Arc::from(cause.into()),
            retry_after: None,
        }
    }

    /// The same, saying when a retry may work.
    pub fn unavailable_for(cause: impl Into<Cause>, retry_after: Duration) -> Self {
        Self::Unavailable {
            cause: Arc::from(cause.into()),
            retry_after: Some(retry_after),
        }
    }

    /// The one answer for absent, malformed, of another type and not visible (rule 18), at this argument.
    pub fn not_found(path: &str) -> Self {
        Problem::new(ErrorCode::NotFound, "There is no such object.")
            .at(path)
            .into()
    }

    /// The viewer sees the object but is the wrong party.
    pub fn not_allowed(message: &'static str) -> Self {
        Problem::new(ErrorCode::NotAllowed, message).into()
    }

    /// Whether another transaction was in the way.
    pub fn is_lock_conflict(&self) -> bool {
        matches!(self, Self::LockConflict(_))
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Rejected(vec![problem])
    }
}

impl From<DieselError> for Error {
    fn from(error: DieselError) -> Self {
        let DieselError::DatabaseError(kind, information) = &error else {
            return match error {
                DieselError::BrokenTransactionManager => Self::unavailable(error),
                other => Self::internal(other),
            };
        };
        // diesel-async keeps no SQLSTATE for these, so the server's English text tells them apart.
        let message = information.message();
        match kind {
            DatabaseErrorKind::UnableToSendCommand | DatabaseErrorKind::ClosedConnection => {
                Self::unavailable(error)
            }
            DatabaseErrorKind::SerializationFailure => Self::LockConflict(Arc::new(error)),
            _ if message.contains("deadlock detected") || message.contains("lock timeout") => {
                Self::LockConflict(Arc::new(error))
            }
            _ if message.contains("canceling statement due to") => Self::Timeout(Arc::new(error)),
            DatabaseErrorKind::ReadOnlyTransaction => Self::unavailable(error),
            _ if message.contains("terminating connection")
                || message.contains("the database system is")
                || message.contains("too many clients") =>
            {
                Self::unavailable(error)
            }
            _ => Self::internal(error),
        }
    }
}

/// The name of the constraint that a statement violated, for services that turn it into a problem.
pub fn violated_constraint(error: &DieselError) -> Option<&str> {
    match error {
        DieselError::DatabaseError(_, information) => information.constraint_name(),
        _ => None,
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(problems) => f.debug_tuple("Rejected").field(problems).finish(),
            Self::BadRequest(message) => write!(f, "BadRequest({message})"),
            Self::Forbidden => f.write_str("Forbidden"),
            Self::Lacking { permission, .. } => write!(f, "Lacking({permission})"),
            Self::Unavailable { cause, .. } => write!(f, "Unavailable({cause})"),
            Self::Timeout(cause) => write!(f, "Timeout({cause})"),
            Self::LockConflict(cause) => write!(f, "LockConflict({cause})"),
            Self::Internal(cause) => write!(f, "Internal({cause})"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Rejected(problems) = self else {
            return fmt::Debug::fmt(self, f);
        };
        for (index, problem) in problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            if !problem.field.is_empty() {
                write!(f, "{}: ", problem.field.join("."))?;
            }
            f.write_str(&problem.message)?;
        }
        Ok(())
    }
}

impl StdError for Error {}

/// Collects every problem of an input, so that a frontend can show them all at once.
#[derive(Debug, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// Adds an `INVALID_INPUT` about the field at this dotted path.
    pub fn invalid(&mut self, path: &str, message: impl Into<Cow<'static, str>>) {
        self.push(Problem::new(ErrorCode::InvalidInput, message).at(path));
    }

    /// The value, or an `INVALID_INPUT` about the field and nothing. What the check says begins with a verb ("must not be
    /// empty") and becomes a sentence.
    pub fn take<T, E: fmt::Display>(
        &mut self,
        path: &str,
        outcome: std::result::Result<T, E>,
    ) -> Option<T> {
        outcome
            .map_err(|error| self.invalid(path, format!("This {error}.")))
            .ok()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Refuses when there is any.
    pub fn check(self) -> Result<()> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Error::Rejected(self.0))
        }
    }
}
