//! The buckets of this server, wherever they are kept.

use hmac::Mac;
use jiff::SignedDuration;
use secrecy::{ExposeSecret, SecretSlice};

use super::{
    bucket::{Charge, Charges, Key, Rate, Standing},
    memory::Memory,
    model,
};
use crate::{
    app::App,
    config::{Config, LimitStore},
    db::Instant,
    error::{Error, Result},
    mac::{hmac_sha256, hmac_sha256_of},
};

/// How often a bucket that another makes in the same moment is asked for again. Once is enough, unless the sweep takes
/// it away in between.
const TRIES: usize = 4;
/// So much longer than needed full buckets are kept, for copies whose clocks differ.
const SLACK: SignedDuration = SignedDuration::from_mins(1);
/// So many rows at most go with one statement, so that none holds its locks for long.
const BATCH: usize = 10_000;

/// The buckets of everybody.
pub struct Buckets {
    store: Store,
    key: SecretSlice<u8>,
}

enum Store {
    Memory(Memory),
    Postgres,
}

impl Buckets {
    /// Full ones, or those that PostgreSQL has, as the settings say.
    pub fn new(config: &Config) -> Self {
        let secret = config.jwt_secrets.first().map(ExposeSecret::expose_secret);
        let secret = secret.unwrap_or_default().as_bytes();
        let store = match config.limit_store {
            LimitStore::Memory => Store::Memory(Memory::default()),
            LimitStore::Postgres => Store::Postgres,
        };
        Self {
            store,
            key: hmac_sha256_of(secret, b"companion: limits").to_vec().into(),
        }
    }

    /// Whose bucket of this limit it is: a MAC, because a plain hash of an address is no secret.
    pub fn key(&self, rate: &Rate, whose: &[u8]) -> Key {
        hmac_sha256(self.key.expose_secret())
            .chain_update(rate.name)
            .chain_update([0])
            .chain_update(whose)
            .finalize()
            .into_bytes()
            .into()
    }

    /// Takes all that a request wants, or nothing where one bucket has too little: that one's standing says how long to
    /// wait. Answers how each stands, in the order of the charges.
    ///
    /// In PostgreSQL this is one statement. Errors: `UNAVAILABLE`, and what else befalls a statement.
    pub async fn take(&self, app: &App, charges: &Charges) -> Result<Vec<Standing>> {
        let charges = charges.as_slice();
        if charges.is_empty() {
            return Ok(Vec::new());
        }
        let now = app.clock.now();
        match &self.store {
            Store::Memory(memory) => Ok(memory.take(charges, now.as_microsecond())),
            Store::Postgres => shared(app, charges, Instant(now)).await,
        }
    }

    /// What [`take`](Self::take) would answer where it would refuse, as far as that is known without a statement: of the
    /// buckets of this process. Takes nothing.
    pub fn refusal(&self, app: &App, charges: &Charges) -> Option<Vec<Standing>> {
        match &self.store {
            Store::Memory(memory) => {
                memory.refusal(charges.as_slice(), app.clock.now().as_microsecond())
            }
            Store::Postgres => None,
        }
    }
}

async fn shared(app: &App, charges: &[Charge], now: Instant) -> Result<Vec<Standing>> {
    for _ in 0..TRIES {
        let found = async {
            let mut conn = app.db.conn().await?;
            Ok(model::take(&mut conn, charges, now).await?)
        };
        match found.await {
            Err(error) if Error::is_lock_conflict(&error) => {}
            found => {
                let standings = charges.iter().zip(found?);
                let standings =
                    standings.map(|(charge, found)| charge.standing(found.ahead, found.taken));
                return Ok(standings.collect());
            }
        }
    }
    Err(Error::unavailable(
        "a limit that others count at the same time",
    ))
}

/// Forgets the buckets in PostgreSQL that are full again: one that is not there is a full one.
pub async fn sweep(app: &App) -> Result<()> {
    let before = app
        .clock
        .now()
        .checked_sub(SLACK)
        .map_err(Error::internal)?;
    let mut conn = app.db.conn().await?;
    while model::forget(&mut conn, Instant(before), BATCH).await? >= BATCH {}
    Ok(())
}
