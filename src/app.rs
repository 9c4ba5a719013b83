//! What a request can reach.

use std::sync::Arc;

use secrecy::ExposeSecret;

use crate::{
    auth::{
        access::AccessCache, codes::CodeKeys, passwords::Passwords, refusals::RecentRefusals,
        tokens::TokenKeys,
    },
    clock::Clock,
    config::{Config, Payments},
    db::{Db, PoolOptions},
    entropy::Entropy,
    error::{Error, Result},
    integrations::{
        mail::{self, Mailer},
        media::MediaStore,
        payments::{
            NoGateway, PaymentGateway,
            sandbox::SandboxGateway,
            stripe::{StripeGateway, StripeOptions},
        },
        stripe_signature::StripeSignature,
        telegram::InitDataVerifier,
    },
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
    /// Keys of the codes that prove an e-mail address.
    pub codes: Arc<CodeKeys>,
    /// Makes and tries hashes of passwords.
    pub passwords: Passwords,
    /// Sends mail.
    pub mail: Arc<dyn Mailer>,
    /// Checks Telegram's init data.
    pub telegram: Arc<InitDataVerifier>,
    /// Takes and returns money.
    pub payments: Arc<dyn PaymentGateway>,
    /// The same as `payments` where that is the sandbox, for its pay page and its events.
    pub sandbox: Option<SandboxGateway>,
    /// Checks the payment webhook's signatures.
    pub webhook_signature: Arc<StripeSignature>,
    /// Uploaded files.
    pub media: MediaStore,
    /// What people without any permission were refused of late.
    pub refusals: RecentRefusals,
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
            readers: config.database_read_connections,
        };
        let db = Db::new(&url, options)?;
        let direct = config.direct_url().map(ExposeSecret::expose_secret);
        let access = Arc::new(AccessCache::start(direct.unwrap_or(&url).to_owned()));
        let tokens = TokenKeys::new(
            &config.jwt_secrets,
            &config.jwt_issuer,
            &config.jwt_audience,
        )
        .map_err(Error::internal)?;
        let codes = Arc::new(CodeKeys::new(&config.jwt_secrets));
        let passwords = Passwords::new(entropy.clone());
        let mail = mail::mailer(&config).map_err(Error::internal)?;
        let telegram = InitDataVerifier::new(
            &config.telegram_bot_tokens,
            &config.telegram_bot_ids,
            config.telegram_max_age,
        )
        .map_err(Error::internal)?;
        let (payments, sandbox) = gateway(&config, &clock)?;
        let webhook_signature = StripeSignature::new(&config.stripe_webhook_secrets);
        let media = MediaStore::local(&config.media_dir).map_err(Error::internal)?;
        Ok(Self {
            config: Arc::new(config),
            clock,
            entropy,
            db,
            access,
            tokens: Arc::new(tokens),
            codes,
            passwords,
            mail,
            telegram: Arc::new(telegram),
            payments,
            sandbox,
            webhook_signature: Arc::new(webhook_signature),
            media,
            refusals: RecentRefusals::new(),
        })
    }

    /// The same with a gateway that makes no calls, for what only listens.
    #[must_use]
    pub fn without_gateway(&self) -> Self {
        let livemode = self.payments.livemode();
        self.clone().with_payments(Arc::new(NoGateway { livemode }))
    }

    /// The same with another payment gateway, for tests.
    #[must_use]
    pub fn with_payments(self, payments: Arc<dyn PaymentGateway>) -> Self {
        Self {
            payments,
            sandbox: None,
            ..self
        }
    }
}

/// The payment gateway of the settings.
fn gateway(
    config: &Config,
    clock: &Clock,
) -> Result<(Arc<dyn PaymentGateway>, Option<SandboxGateway>)> {
    match config.payments {
        Payments::Stripe => {
            let options = StripeOptions::new(config.stripe_api_base.clone());
            let stripe =
                StripeGateway::new(&config.stripe_secret_key, options).map_err(Error::internal)?;
            Ok((Arc::new(stripe), None))
        }
        Payments::Sandbox => {
            let secret = config
                .stripe_webhook_secrets
                .first()
                .cloned()
                .ok_or_else(|| Error::internal("STRIPE_WEBHOOK_SECRET is not set"))?;
            let sandbox = SandboxGateway::new(config.base_url.clone(), secret, clock.clone());
            Ok((Arc::new(sandbox.clone()), Some(sandbox)))
        }
    }
}
