//! What a request can reach.

use std::sync::Arc;

use secrecy::ExposeSecret;

use crate::{
    auth::{access::AccessCache, tokens::TokenKeys},
    clock::Clock,
    config::Config,
    db::{Db, PoolOptions},
    entropy::Entropy,
    error::{Error, Result},
    integrations::telegram::InitDataVerifier,
};

/// The application: settings, clock, randomness, database, keys and gateways. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// The settings.
    pub config: Arc<Config>,
    /// The only source of time; tests move it.
    pub clock: Clock,
    /// The only source of randomness; tests seed it.
    pub entropy: Entropy,
    /// The database.
    pub db: Db,
    /// Live sessions and their rights.
    pub access: Arc<AccessCache>,
    /// Keys of access and refresh tokens.
    pub tokens: Arc<TokenKeys>,
    /// Checks Telegram's init data.
    pub telegram: Arc<InitDataVerifier>,
}

impl App {
    /// Puts the application together; connects when first used. Needs a runtime, because it listens to the database.
    ///
    /// `config.database_url` must be set.
    pub fn new(config: Config, clock: Clock, entropy: Entropy) -> Result<Self> {
        let url = config
            .database_url
            .as_ref()
            .map(|url| url.expose_secret().to_owned())
            .ok_or_else(|| Error::internal("DATABASE_URL is not set"))?;
        let options = PoolOptions {
            size: config.database_pool_size,
            wait: config.timeouts.pool_wait,
            statement_timeout: config.timeouts.statement,
        };
        let db = Db::new(&url, options)?;
        let access = Arc::new(AccessCache::start(url));
        let tokens = TokenKeys::new(
            &config.jwt_secrets,
            &config.jwt_issuer,
            &config.jwt_audience,
        )
        .map_err(Error::internal)?;
        let telegram = InitDataVerifier::new(
            &config.telegram_bot_tokens,
            &config.telegram_bot_ids,
            config.telegram_max_age,
        )
        .map_err(Error::internal)?;
        Ok(Self {
            config: Arc::new(config),
            clock,
            entropy,
            db,
            access,
            tokens: Arc::new(tokens),
            telegram: Arc::new(telegram),
        })
    }
}
