//! Settings: from the environment and `.env` to typed, checked values.
//!
//! [`settings::SETTINGS`] is the one list of names, defaults and explanations. A start with wrong
//! settings tells **every** problem at once ([`ConfigError`]); secrets are wrapped, so that no log
//! line and no error can show one. Production refuses what api.md, "Settings", lists.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

mod operations;
mod read;
mod reader;
pub mod settings;
#[cfg(test)]
mod tests;

pub use operations::{Operation, Operations};
use read::*;
use reader::Reader;

/// Stands in for `JWT_SECRET` in development. Public, therefore no secret: production refuses it.
/// It is a constant so that tokens outlive a restart.
const MADE_UP_JWT_SECRET: &str = "companion-development-only-this-is-no-secret";
/// Stands in for `TELEGRAM_BOT_TOKEN` in development; no bot of Telegram's has it.
const MADE_UP_BOT_TOKEN: &str = "42:companion-development-only";
/// Stands in for `STRIPE_SECRET_KEY` with the sandbox, which never calls Stripe.
const MADE_UP_STRIPE_KEY: &str = "sk_test_companion_development_only";
/// Stands in for `STRIPE_WEBHOOK_SECRET` in development: the sandbox signs its events with it.
const MADE_UP_WEBHOOK_SECRET: &str = "whsec_companion_development_only";

/// Where the process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// A developer's machine: safe defaults, made-up secrets, the sandbox gateway.
    Development,
    /// Real people and money: nothing is made up.
    Production,
}

/// Which other origins' pages may call the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CorsOrigins {
    /// Any (`*`); never in production and never with credentials.
    Any,
    /// These, each as `scheme://host[:port]`; empty: none but our own.
    List(Vec<String>),
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text where standard error is a terminal, else JSON.
    Auto,
    /// One JSON object a line.
    Json,
    /// For reading in a terminal.
    Text,
}

/// The payment gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payments {
    /// The built-in gateway of development, a local pay page; refused in production.
    Sandbox,
    /// Stripe Checkout.
    Stripe,
}

/// Who may read the schema through the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Introspection {
    /// Everyone; refused in production.
    Everyone,
    /// Staff with `schema:read`.
    Staff,
    /// Nobody.
    Nobody,
}

/// The limits of a GraphQL request (api.md, "Limits").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Largest body of GraphQL and JSON routes, in bytes.
    pub body_bytes: usize,
    /// Largest document, in bytes.
    pub query_bytes: usize,
    /// Deepest selection; introspection has its own, 20.
    pub depth: u32,
    /// Highest cost of a request, a batch counted as one sum.
    pub complexity: u64,
    /// Aliases.
    pub aliases: u32,
    /// Root fields.
    pub root_fields: u32,
    /// Operations in a batch.
    pub batch: usize,
    /// Values in the variables, nested ones counted.
    pub variable_values: usize,
    /// Items in an input's list.
    pub list_items: usize,
    /// Days between `from` and `to`.
    pub range_days: u32,
    /// Slots or windows in an answer.
    pub range_items: usize,
    /// Queries executed at the same time, never more; 0 for 20 for each of the connections that reads share, more in a burst and
    /// fewer while a crowd stays.
    pub queries_at_once: usize,
}

/// How long things may take (api.md, "Errors" and "HTTP").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// A request from its whole body to its answer.
    pub request: Duration,
    /// A database statement (`statement_timeout`).
    pub statement: Duration,
    /// Waiting for a database connection.
    pub pool_wait: Duration,
    /// A request's headers, and its body, to arrive; of an upload, each 16 KiB.
    pub body: Duration,
    /// What a stop waits for running requests.
    pub shutdown: Duration,
}

/// How often signing in may be tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInLimits {
    /// Sign-ins by one address in a minute.
    pub per_address_per_minute: u32,
    /// Sessions that one init data may open (security.md, "Telegram sign-in", 7).
    pub per_init_data: u32,
    /// Passwords and codes that may be tried for one address or username in a minute, from wherever.
    pub per_account_per_minute: u32,
    /// Refreshes by one address in a minute.
    pub refreshes_per_minute: u32,
    /// Refreshes of all sessions of one account in a minute, from wherever.
    pub refreshes_per_account_per_minute: u32,
}

/// Where limits are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitStore {
    /// By each process for itself.
    Memory,
    /// In PostgreSQL, by all processes together.
    Postgres,
}

/// A bucket of points, the unit of complexity of GraphQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PointLimit {
    /// Points that come back in a minute; 0: there is no limit.
    pub per_minute: u64,
    /// Points that a full bucket holds, at least 1: what may be asked for at once.
    pub burst: u64,
}

/// How much of GraphQL may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PointLimits {
    /// By a signed-in person, from wherever.
    pub user: PointLimit,
    /// By an address, signed in or not; many people can share one.
    pub address: PointLimit,
}

/// How the way to the mail server is kept from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// TLS after STARTTLS, without which nothing is sent.
    StartTls,
    /// TLS from the start.
    Tls,
    /// Nothing: for a server on this machine, or in development.
    None,
}

/// The mail server.
#[derive(Debug, Clone)]
pub struct SmtpSettings {
    /// Its name or address, which its certificate must carry.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// User and password, where it wants them.
    pub credentials: Option<(String, SecretString)>,
    /// How the way there is protected.
    pub security: SmtpSecurity,
    /// Certificates in PEM that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The sender, as `Name <name@example.com>` or the address alone.
    pub from: String,
    /// How long sending one mail may take.
    pub timeout: Duration,
}

/// Every setting, typed and checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Development or production.
    pub environment: Environment,
    /// The address to listen on.
    pub host: IpAddr,
    /// The port to listen on; 0 takes a free one.
    pub port: u16,
    /// The public address; see [`Config::link`].
    pub base_url: Url,
    /// Host names answered, in lower case without ports; see [`Config::allows_host`].
    pub allowed_hosts: Vec<String>,
    /// Who may call from another origin.
    pub cors_origins: CorsOrigins,
    /// Whether answers to other origins allow credentials.
    pub cors_credentials: bool,
    /// Origins to which checkout may send people back; see [`Config::allows_return`].
    pub return_origins: Vec<url::Origin>,
    /// Proxies whose `X-Forwarded-For` counts.
    pub trusted_proxies: Vec<IpNet>,
    /// The name shown on pages.
    pub app_title: String,
    /// The folder of the private database and of files.
    pub data_dir: PathBuf,
    /// The database; `None` only in development, where a private one is started.
    pub database_url: Option<SecretString>,
    /// The same database past a pooler, where there is one; see [`Config::direct_url`].
    pub database_direct_url: Option<SecretString>,
    /// Connections this process may hold.
    pub database_pool_size: usize,
    /// Connections beside them that reads share.
    pub database_read_connections: usize,
    /// Whether hot lists are answered by read plans; off, their resolvers answer, slower and the same.
    pub read_plans: bool,
    /// The filter of log lines, in `tracing`'s notation.
    pub log_level: String,
    /// The form of log lines.
    pub log_format: LogFormat,
    /// Where `/metrics` is served alone; `None`: beside the API.
    pub metrics_addr: Option<SocketAddr>,
    /// The folder of uploaded files.
    pub media_dir: PathBuf,
    /// The largest upload, in bytes.
    pub max_file_size: u64,
    /// Keys of access tokens, at least one: the first signs, all are accepted.
    pub jwt_secrets: Vec<SecretString>,
    /// `iss` of access tokens.
    pub jwt_issuer: String,
    /// `aud` of access tokens.
    pub jwt_audience: String,
    /// The life of an access token.
    pub access_token_ttl: Duration,
    /// The life of a refresh token.
    pub refresh_token_ttl: Duration,
    /// Bots whose token is known; any may match.
    pub telegram_bot_tokens: Vec<SecretString>,
    /// Bots known by id alone, whose init data is checked by Telegram's public signature.
    pub telegram_bot_ids: Vec<i64>,
    /// How old init data may be.
    pub telegram_max_age: Duration,
    /// How often signing in may be tried.
    pub sign_in_limits: SignInLimits,
    /// How much of GraphQL may be asked for.
    pub points: PointLimits,
    /// Where limits are counted.
    pub limit_store: LimitStore,
    /// The mail server; `None`: mail goes into `mail_dir` in development, and nowhere in production.
    pub smtp: Option<SmtpSettings>,
    /// The folder of mail that is not sent.
    pub mail_dir: PathBuf,
    /// The payment gateway.
    pub payments: Payments,
    /// Stripe's key; made up with the sandbox.
    pub stripe_secret_key: SecretString,
    /// Secrets of the webhook, any of which may match; empty refuses every event.
    pub stripe_webhook_secrets: Vec<SecretString>,
    /// Where Stripe's API is.
    pub stripe_api_base: Url,
    /// Whether `/graphiql` is served.
    pub graphiql: bool,
    /// Who may read the schema.
    pub introspection: Introspection,
    /// The only operations accepted.
    pub persisted_operations: Option<Arc<Operations>>,
    /// The distance between the starts of two slots (rule 6), in minutes.
    pub slot_step_minutes: u32,
    /// How far ahead a booking must start (rule 6), in minutes.
    pub booking_min_lead_minutes: u32,
    /// Whether the server runs the background jobs too (`RUN_WORKER`).
    pub worker_in_process: bool,
    /// How often the job queue is looked at.
    pub worker_poll: Duration,
    /// The limits of a request.
    pub limits: Limits,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// The secrets that were made up because they were not set: a log line at start names them.
    pub made_up: Vec<&'static str>,
}

/// Everything that is wrong with the settings. The process exits with 78 (`EX_CONFIG`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// One sentence a problem, beginning with the setting's name; no secret is repeated.
    pub problems: Vec<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the settings are wrong:")?;
        for problem in &self.problems {
            write!(f, "\n  - {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// The settings of this process: its environment, and below it `.env` in the working folder.
    ///
    /// # Errors
    /// Every problem of every setting at once, with what cannot be read in `.env`.
    pub fn from_env() -> Result<Self, ConfigError> {
        let mut file = HashMap::new();
        let mut problems = Vec::new();
        match dotenvy::from_path_iter(".env") {
            Ok(lines) => {
                for line in lines {
                    match line {
                        Ok((name, value)) => {
                            file.insert(name, value);
                        }
                        // The parser's message repeats the line, which may hold a secret.
                        Err(_) => problems.push(".env has a line that cannot be read".to_owned()),
                    }
                }
            }
            Err(error) if error.not_found() => {}
            Err(_) => problems.push(".env cannot be read".to_owned()),
        }
        for setting in settings::SETTINGS {
            if let Err(std::env::VarError::NotUnicode(_)) = std::env::var(setting.name) {
                problems.push(format!("{} is not UTF-8", setting.name));
            }
        }
        let (config, found) =
            Self::read(|name| std::env::var(name).ok().or_else(|| file.get(name).cloned()));
        problems.extend(found);
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError { problems })
        }
    }

    /// The settings that `vars` answers by name. A variable that is set but empty is a value.
    ///
    /// # Errors
    /// Every problem of every setting at once.
    pub fn from_vars(vars: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let (config, problems) = Self::read(vars);
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError { problems })
        }
    }

    /// The settings of development with nothing set: a start for tests.
    pub fn development() -> Self {
        Self::read(|_| None).0
    }

    /// The database's address for what needs a connection of its own (LISTEN, migrations), which a pooler in
    /// transaction mode does not give.
    pub fn direct_url(&self) -> Option<&SecretString> {
        self.database_direct_url
            .as_ref()
            .or(self.database_url.as_ref())
    }

    /// Whether this is production.
    pub fn is_production(&self) -> bool {
        self.environment == Environment::Production
    }

    /// The public address of `path`, such as `/v1/media/x`.
    pub fn link(&self, path: &str) -> String {
        let base = self.base_url.as_str().trim_end_matches('/');
        format!("{base}/{}", path.trim_start_matches('/'))
    }

    /// Whether a request's `Host` (with or without a port) is one that we answer.
    pub fn allows_host(&self, host: &str) -> bool {
        let host = without_port(host.trim()).to_ascii_lowercase();
        self.allowed_hosts
            .iter()
            .any(|allowed| match allowed.strip_prefix('.') {
                Some(domain) => {
                    host == domain
                        || host
                            .strip_suffix(domain)
                            .is_some_and(|below| below.ends_with('.'))
                }
                None => allowed == "*" || *allowed == host,
            })
    }

    /// Whether checkout may send people back to `url`.
    pub fn allows_return(&self, url: &Url) -> bool {
        url.username().is_empty()
            && url.password().is_none()
            && self.return_origins.contains(&url.origin())
    }

    /// What `livemode` of Stripe's objects must be with this key (security.md, "Stripe", 6).
    pub fn livemode(&self) -> bool {
        let key = self.stripe_secret_key.expose_secret();
        self.payments == Payments::Stripe
            && (key.starts_with("sk_live_") || key.starts_with("rk_live_"))
    }

    /// Reads everything; the settings are only good when no problem comes with them.
    fn read(vars: impl Fn(&str) -> Option<String>) -> (Self, Vec<String>) {
        let mut r = Reader::new(vars);
        let mut made_up = Vec::new();
        let environment = r.choice(
            "ENVIRONMENT",
            &[
                ("development", Environment::Development),
                ("production", Environment::Production),
            ],
            // What it is nobody can tell: the strict one, so that nothing is let through.
            Environment::Production,
        );
        // A typo is one problem, not all of production's.
        let production = environment == Environment::Production && r.problems.is_empty();

        let host = read_host(&mut r);
        let port = r.number("PORT", 0..=u16::MAX);
        let base_url = read_base_url(&mut r, port);
        let allowed_hosts = read_allowed_hosts(&mut r, &base_url);
        let (cors_origins, cors_credentials) = read_cors(&mut r, production);
        let return_origins = read_return_origins(&mut r, production, &base_url);
        let proxies = r.text("TRUSTED_PROXIES");
        let trusted_proxies = r.list("TRUSTED_PROXIES", &proxies, "networks as CIDR", |item| {
            item.parse()
                .ok()
                .or_else(|| item.parse::<IpAddr>().ok().map(IpNet::from))
        });

        let data_dir = PathBuf::from(r.filled("DATA_DIR"));
        let media_dir = match r.set("MEDIA_DIR") {
            Some(_) => PathBuf::from(r.filled("MEDIA_DIR")),
            None => data_dir.join("media"),
        };
        let mail_dir = match r.set("MAIL_DIR") {
            Some(_) => PathBuf::from(r.filled("MAIL_DIR")),
            None => data_dir.join("mail"),
        };
        let log_level = r.filled("LOG_LEVEL");
        // A bare word that is no level would be taken for a target, and everything else would be silent.
        let bare = log_level.split(',').map(str::trim).find(|part| {
            !part.contains(['=', '[', ':'])
                && part.parse::<tracing::level_filters::LevelFilter>().is_err()
        });
        if bare.is_some() || tracing_subscriber::EnvFilter::try_new(&log_level).is_err() {
            r.problem(
                "LOG_LEVEL",
                "must be error, warn, info, debug, trace or a list of filters",
            );
        }
        let metrics_addr = r.set("METRICS_ADDR").and_then(|text| {
            let addr = text.trim().parse().ok();
            if addr.is_none() {
                r.problem(
                    "METRICS_ADDR",
                    "must be an address and a port, such as 127.0.0.1:9090",
                );
            }
            addr
        });
        let (telegram_bot_tokens, telegram_bot_ids) =
            read_telegram(&mut r, production, &mut made_up);
        let payments = r.choice(
            "PAYMENTS",
            &[("sandbox", Payments::Sandbox), ("stripe", Payments::Stripe)],
            if production {
                Payments::Stripe
            } else {
                Payments::Sandbox
            },
        );
        if production && payments == Payments::Sandbox {
            r.problem("PAYMENTS", "must not be sandbox in production");
        }
        let introspection = r.choice(
            "INTROSPECTION",
            &[
                ("everyone", Introspection::Everyone),
                ("staff", Introspection::Staff),
                ("nobody", Introspection::Nobody),
            ],
            if production {
                Introspection::Staff
            } else {
                Introspection::Everyone
            },
        );
        if production && introspection == Introspection::Everyone {
            r.problem("INTROSPECTION", "must not be everyone in production");
        }

        let config = Self {
            environment,
            host,
            port,
            base_url,
            allowed_hosts,
            cors_origins,
            cors_credentials,
            return_origins,
            trusted_proxies,
            app_title: r.text("APP_TITLE"),
            data_dir,
            database_url: read_database_url(&mut r, production),
            database_direct_url: read_address(&mut r, "DATABASE_DIRECT_URL"),
            database_pool_size: r.number("DATABASE_POOL_SIZE", 1..=1000),
            database_read_connections: r.number("DATABASE_READ_CONNECTIONS", 0..=64),
            read_plans: r.switch("READ_PLANS", true),
            log_level,
            log_format: r.choice(
                "LOG_FORMAT",
                &[
                    ("auto", LogFormat::Auto),
                    ("json", LogFormat::Json),
                    ("text", LogFormat::Text),
                ],
                LogFormat::Auto,
            ),
            metrics_addr,
            media_dir,
            max_file_size: r.number("MAX_FILE_SIZE", 1024..=100 * 1024 * 1024),
            jwt_secrets: read_jwt_secrets(&mut r, production, &mut made_up),
            jwt_issuer: r.filled("JWT_ISSUER"),
            jwt_audience: r.filled("JWT_AUDIENCE"),
            access_token_ttl: r.seconds("ACCESS_TOKEN_TTL", 1..=86_400),
            refresh_token_ttl: r.seconds("REFRESH_TOKEN_TTL", 1..=366 * 86_400),
            telegram_bot_tokens,
            telegram_bot_ids,
            telegram_max_age: r.seconds("TELEGRAM_MAX_AGE", 1..=86_400),
            sign_in_limits: SignInLimits {
                per_address_per_minute: r.number("SIGN_IN_PER_MINUTE", 1..=1_000_000),
                per_init_data: r.number("SIGN_IN_PER_INIT_DATA", 1..=1_000_000),
                per_account_per_minute: r.number("SIGN_IN_PER_ACCOUNT", 1..=1_000_000),
                refreshes_per_minute: r.number("REFRESH_PER_MINUTE", 1..=1_000_000),
                refreshes_per_account_per_minute: r.number("REFRESH_PER_ACCOUNT", 1..=1_000_000),
            },
            points: read_points(&mut r),
            limit_store: r.choice(
                "LIMITS",
                &[
                    ("memory", LimitStore::Memory),
                    ("postgres", LimitStore::Postgres),
                ],
                LimitStore::Memory,
            ),
            smtp: read_smtp(&mut r, production),
            mail_dir,
            payments,
            stripe_secret_key: read_stripe_key(&mut r, production, payments, &mut made_up),
            stripe_webhook_secrets: read_webhook_secrets(&mut r, production, &mut made_up),
            stripe_api_base: read_url(&mut r, "STRIPE_API_BASE"),
            graphiql: r.switch("GRAPHIQL", !production),
            introspection,
            persisted_operations: operations::read_operations(&mut r),
            slot_step_minutes: r.number("SLOT_STEP_MINUTES", 1..=1440),
            booking_min_lead_minutes: r.number("BOOKING_MIN_LEAD_MINUTES", 0..=43_200),
            worker_in_process: r.switch("RUN_WORKER", true),
            worker_poll: r.millis("WORKER_POLL_MS", 10..=60_000),
            limits: read_limits(&mut r),
            timeouts: Timeouts {
                request: r.millis("REQUEST_TIMEOUT_MS", 1..=600_000),
                statement: r.millis("STATEMENT_TIMEOUT_MS", 1..=600_000),
                pool_wait: r.millis("POOL_WAIT_MS", 1..=600_000),
                body: r.millis("BODY_TIMEOUT_MS", 1..=600_000),
                shutdown: r.millis("SHUTDOWN_TIMEOUT_MS", 1..=600_000),
            },
            made_up,
        };
        (config, r.problems)
    }
}
