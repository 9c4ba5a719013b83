//! Idempotency keys (rule 23): a repeat of an operation with the same key and input answers what the first one did.
//!
//! An operation calls [`begin`]. [`Begun::Fresh`] brings the transaction, which holds the key's lock, and a
//! [`Ticket`] to keep the outcome with; [`Begun::Repeat`] brings the kept outcome (ids, from which the repeat resolves
//! its own selection). What is refused rolls back and keeps nothing.

mod model;

use std::time::Duration;

use diesel::QueryResult;
use diesel_async::AsyncPgConnection;
use jiff::{SignedDuration, Timestamp};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use crate::{
    app::App,
    db::{Instant, Transaction, ids::UserId},
    error::{Error, ErrorCode, Problem, Problems, Result},
};

/// How long an outcome is kept.
pub const KEPT: SignedDuration = SignedDuration::from_hours(24);
/// How long a second request with the same key waits for the first one, holding no connection.
const PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(25);

/// What [`begin`] found.
pub enum Begun<T> {
    /// The first time: do it in this transaction, keep the outcome, commit.
    Fresh(Box<Transaction>, Ticket),
    /// Done before, with this outcome.
    Repeat(T),
}

/// The right to keep an outcome under the key.
pub struct Ticket {
    actor: UserId,
    operation: &'static str,
    key: String,
    input_sha256: Vec<u8>,
    now: Timestamp,
}

impl Ticket {
    /// Keeps the outcome's ids; commits with the transaction.
    pub async fn keep(self, conn: &mut AsyncPgConnection, outcome: &impl Serialize) -> Result<()> {
        let outcome = serde_json::to_value(outcome).map_err(Error::internal)?;
        let Self {
            actor,
            operation,
            key,
            input_sha256,
            now,
        } = self;
        model::upsert(
            conn,
            &model::KeptOutcome {
                actor_id: actor,
                operation: operation.to_owned(),
                key,
                input_sha256,
                outcome,
                created_at: Instant(now),
            },
        )
        .await?;
        Ok(())
    }
}

/// Adds the fault of a key that is not 1 to 128 printable ASCII characters to the others, so that all come back
/// together.
pub fn check_key(problems: &mut Problems, key: &str) {
    if !((1..=128).contains(&key.len()) && key.bytes().all(|byte| (0x20..=0x7e).contains(&byte))) {
        problems.invalid(
            "idempotencyKey",
            "1 to 128 printable ASCII characters are needed.",
        );
    }
}

/// Opens a transaction that alone works under (actor, operation, key), which [`check_key`] has found good.
///
/// `input` is everything that makes the operation what it is, ids included; its JSON is hashed.
/// Errors: `IDEMPOTENCY_KEY_REUSED` for the same key with other input, `UNAVAILABLE`
/// with `retryAfterMs` when the first request is still at work after 5 s.
pub async fn begin<T: DeserializeOwned>(
    app: &App,
    actor: UserId,
    operation: &'static str,
    key: &str,
    input: &impl Serialize,
    now: Timestamp,
) -> Result<Begun<T>> {
    let input_sha256 = Sha256::digest(serde_json::to_vec(input).map_err(Error::internal)?).to_vec();
    let lock = lock_number(actor, operation, key);
    let waiting_since = std::time::Instant::now();
    loop {
        let mut tx = app.db.begin().await?;
        if model::try_lock(&mut tx, lock).await? {
            let oldest = Instant(now - KEPT);
            let Some(kept) = model::find(&mut tx, actor, operation, key, oldest).await? else {
                let ticket = Ticket {
                    actor,
                    operation,
                    key: key.to_owned(),
                    input_sha256,
                    now,
                };
                return Ok(Begun::Fresh(Box::new(tx), ticket));
            };
            if kept.input_sha256 != input_sha256 {
                return Err(Problem::new(
                    ErrorCode::IdempotencyKeyReused,
                    "This idempotency key was used with other input.",
                )
                .at("idempotencyKey")
                .into());
            }
            return Ok(Begun::Repeat(
                serde_json::from_value(kept.outcome).map_err(Error::internal)?,
            ));
        }
        drop(tx);
        if waiting_since.elapsed() > PATIENCE {
            let cause = "another request with this idempotency key is still at work";
            return Err(Error::unavailable_for(cause, Duration::from_secs(1)));
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Forgets outcomes older than [`KEPT`]; answers how many.
pub async fn forget_old(conn: &mut AsyncPgConnection, now: Timestamp) -> QueryResult<usize> {
    model::delete_before(conn, Instant(now - KEPT)).await
}

/// The advisory lock of (actor, operation, key): 64 bits of a hash; two keys that share one only wait for each other.
fn lock_number(actor: UserId, operation: &str, key: &str) -> i64 {
    let digest = Sha256::new()
        .chain_update(actor.0.as_bytes())
        .chain_update(operation.as_bytes())
        .chain_update([0])
        .chain_update(key.as_bytes())
        .finalize();
    digest
        .first_chunk::<8>()
        .map_or(0, |bytes| i64::from_be_bytes(*bytes))
}
