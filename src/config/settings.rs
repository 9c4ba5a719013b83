//! The one table of settings: names, defaults and a line about each.
//!
//! [`Config`](super::Config) takes its defaults from here, and `.env.example` is this table written
//! out, so that neither can drift from the other.

/// One setting, read from the environment or `.env`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// The variable's name.
    pub name: &'static str,
    /// The value of an absent variable; `None` where absence has its own meaning, said in `about`.
    pub default: Option<&'static str>,
    /// A line for people: what it is, its unit, what absence means.
    pub about: &'static str,
}

const fn fixed(name: &'static str, default: &'static str, about: &'static str) -> Setting {
    Setting {
        name,
        default: Some(default),
        about,
    }
}

const fn open(name: &'static str, about: &'static str) -> Setting {
    Setting {
        name,
        default: None,
        about,
    }
}

/// Every setting that Companion reads, in the order of `.env.example`.
pub static SETTINGS: &[Setting] = &[
    fixed(
        "ENVIRONMENT",
        "development",
        "development or production; production refuses missing secrets and development switches.",
    ),
    fixed(
        "HOST",
        "127.0.0.1",
        "The address to listen on; 0.0.0.0 or :: for every one.",
    ),
    fixed("PORT", "8000", "The port to listen on; 0 takes a free one."),
    open(
        "BASE_URL",
        "The public address, which makes every link; absent: http://localhost with the port.",
    ),
    open(
        "ALLOWED_HOSTS",
        "Host names answered, by comma, without ports (.example.com: all below it, *: any); absent: BASE_URL's and this machine's own names.",
    ),
    open(
        "CORS_ORIGINS",
        "Origins whose pages may call the API, by comma, or * for any (refused in production); absent: * in development, none in production.",
    ),
    fixed(
        "CORS_CREDENTIALS",
        "false",
        "Whether answers to other origins allow credentials; refused together with *.",
    ),
    open(
        "RETURN_ORIGINS",
        "Origins to which checkout may send people back, by comma; absent: BASE_URL's, in development also http://localhost:3000 and :5173.",
    ),
    fixed(
        "TRUSTED_PROXIES",
        "",
        "Networks of proxies whose X-Forwarded-For counts, by comma, as CIDR.",
    ),
    fixed(
        "APP_TITLE",
        "Companion",
        "The name shown on pages and in messages.",
    ),
    fixed(
        "DATA_DIR",
        ".companion",
        "The folder of the private development database and of files.",
    ),
    open(
        "DATABASE_URL",
        "postgres://user:password@host/database; absent in development: a private PostgreSQL is started.",
    ),
    open(
        "DATABASE_DIRECT_URL",
        "The same database past a pooler (PgBouncer in transaction mode), for LISTEN and migrations; absent: DATABASE_URL.",
    ),
    fixed(
        "DATABASE_POOL_SIZE",
        "10",
        "Connections to the database a process may hold (1 to 1000); for each, 5 mutations, payment events, sign-ins and uploads may wait, 10 in a burst, and one for every ten connections while a crowd stays. Slow reads have half of them; for each, 20 queries may wait.",
    ),
    fixed(
        "DATABASE_READ_CONNECTIONS",
        "2",
        "Connections beside them that short reads share, pipelined (0 to 64; 0: reads use the pool).",
    ),
    fixed(
        "READ_PLANS",
        "true",
        "Answer hot lists by read plans; false: by their resolvers, slower and the same.",
    ),
    fixed(
        "LOG_LEVEL",
        "info",
        "error, warn, info, debug, trace, or filters such as info,companion=debug.",
    ),
    fixed(
        "LOG_FORMAT",
        "auto",
        "json, text for reading, or auto: text at a terminal and json elsewhere.",
    ),
    open(
        "METRICS_ADDR",
        "Address and port for /metrics alone, such as 127.0.0.1:9090; absent: served beside the API.",
    ),
    open(
        "MEDIA_DIR",
        "The folder of uploaded files; absent: media in DATA_DIR.",
    ),
    fixed(
        "MAX_FILE_SIZE",
        "10485760",
        "The largest upload, in bytes (1 KiB to 100 MiB).",
    ),
    open(
        "JWT_SECRET",
        "Secrets of access tokens, by comma: the first signs, all are accepted; 32 bytes or more each in production; absent in development: made up.",
    ),
    fixed("JWT_ISSUER", "companion", "The iss of access tokens."),
    fixed("JWT_AUDIENCE", "companion", "The aud of access tokens."),
    fixed(
        "ACCESS_TOKEN_TTL",
        "1800",
        "How long an access token lives, in seconds (at most a day).",
    ),
    fixed(
        "REFRESH_TOKEN_TTL",
        "604800",
        "How long a refresh token lives, in seconds (at most a year).",
    ),
    open(
        "TELEGRAM_BOT_TOKEN",
        "Tokens of the Telegram bots that people sign in with, by comma; absent in development: made up.",
    ),
    fixed(
        "TELEGRAM_BOT_IDS",
        "",
        "Ids of bots whose init data is checked by Telegram's public signature, by comma.",
    ),
    fixed(
        "TELEGRAM_MAX_AGE",
        "3600",
        "How old init data may be, in seconds (at most 86400).",
    ),
    fixed(
        "SIGN_IN_PER_MINUTE",
        "60",
        "Sign-ins an address may try in a minute.",
    ),
    fixed(
        "SIGN_IN_PER_INIT_DATA",
        "5",
        "Sessions that one init data may open.",
    ),
    fixed(
        "SIGN_IN_PER_ACCOUNT",
        "10",
        "Passwords that may be tried for one address or username in a minute, from wherever; as many codes of each purpose, and as many mails.",
    ),
    fixed(
        "REFRESH_PER_MINUTE",
        "300",
        "Token refreshes an address may try in a minute.",
    ),
    fixed(
        "REFRESH_PER_ACCOUNT",
        "120",
        "Token refreshes that the sessions of one account may try together in a minute, from wherever.",
    ),
    open(
        "SMTP_HOST",
        "The mail server; absent: in development mail goes into the log and MAIL_DIR, in production none is sent and what needs it answers UNAVAILABLE.",
    ),
    open(
        "SMTP_PORT",
        "Its port; absent: 587, with SMTP_SECURITY=tls 465, with none 25.",
    ),
    open("SMTP_USERNAME", "The user there; absent: no sign-in."),
    open("SMTP_PASSWORD", "That user's password."),
    open(
        "SMTP_SECURITY",
        "starttls, tls (from the start) or none (in production only to this machine); absent: starttls.",
    ),
    open(
        "SMTP_FROM",
        "The sender, such as Companion <no-reply@example.com>; needed with SMTP_HOST.",
    ),
    open(
        "SMTP_CA_FILE",
        "A PEM file of certificates trusted for the mail server beside the system's.",
    ),
    fixed(
        "SMTP_TIMEOUT_MS",
        "20000",
        "How long sending one mail may take, in milliseconds (at most 60000).",
    ),
    open(
        "MAIL_DIR",
        "The folder of development's mail; absent: mail in DATA_DIR.",
    ),
    open(
        "PAYMENTS",
        "sandbox (a local pay page, refused in production) or stripe; absent: sandbox in development, stripe in production.",
    ),
    open(
        "STRIPE_SECRET_KEY",
        "Stripe's secret key; absent with the sandbox: made up.",
    ),
    open(
        "STRIPE_WEBHOOK_SECRET",
        "Signing secrets of the payment webhook, by comma, any of which may match; absent in development: made up.",
    ),
    fixed(
        "STRIPE_API_BASE",
        "https://api.stripe.com",
        "Where Stripe's API is.",
    ),
    open(
        "GRAPHIQL",
        "Whether /graphiql is served; absent: in development only.",
    ),
    open(
        "INTROSPECTION",
        "everyone (refused in production), staff (with schema:read) or nobody; absent: everyone in development, staff in production.",
    ),
    open(
        "PERSISTED_OPERATIONS",
        "A manifest file of the only operations accepted; absent: all are.",
    ),
    fixed(
        "SLOT_STEP_MINUTES",
        "15",
        "The distance between the starts of two slots, in minutes.",
    ),
    fixed(
        "BOOKING_MIN_LEAD_MINUTES",
        "75",
        "How far ahead a booking must start, in minutes.",
    ),
    fixed(
        "RUN_WORKER",
        "true",
        "Whether the server also runs the background jobs; false: companion worker does.",
    ),
    fixed(
        "WORKER_POLL_MS",
        "1000",
        "How often the job queue is looked at, in milliseconds.",
    ),
    fixed(
        "GRAPHQL_POINTS_PER_MINUTE_USER",
        "60000",
        "Points of GraphQL, the unit of LIMIT_COMPLEXITY, that come back to a signed-in person in a minute; 0: no limit.",
    ),
    fixed(
        "GRAPHQL_POINTS_BURST_USER",
        "20000",
        "Points that a person may use at once; a request that costs more is refused for good.",
    ),
    fixed(
        "GRAPHQL_POINTS_PER_MINUTE_ADDRESS",
        "300000",
        "The same for an address, whoever is signed in there or nobody; 0: no limit.",
    ),
    fixed(
        "GRAPHQL_POINTS_BURST_ADDRESS",
        "100000",
        "Points that an address may use at once.",
    ),
    fixed(
        "LIMITS",
        "memory",
        "Where limits on sign-ins, refreshes and points are counted: memory, by each process for itself, or postgres, by all copies together.",
    ),
    fixed(
        "LIMIT_BODY_BYTES",
        "1048576",
        "The largest GraphQL or JSON body, in bytes.",
    ),
    fixed(
        "LIMIT_QUERY_BYTES",
        "32768",
        "The largest GraphQL document, in bytes.",
    ),
    fixed("LIMIT_DEPTH", "12", "The deepest selection."),
    fixed("LIMIT_COMPLEXITY", "5000", "The highest cost of a request."),
    fixed("LIMIT_ALIASES", "30", "Aliases in a request."),
    fixed("LIMIT_ROOT_FIELDS", "20", "Root fields in a request."),
    fixed("LIMIT_BATCH", "10", "Operations in a batch."),
    fixed(
        "LIMIT_VARIABLE_VALUES",
        "1000",
        "Values in the variables of a request, nested ones counted.",
    ),
    fixed(
        "LIMIT_LIST_ITEMS",
        "100",
        "Items in a list that is an input.",
    ),
    fixed("LIMIT_RANGE_DAYS", "31", "Days between from and to."),
    fixed("LIMIT_RANGE_ITEMS", "500", "Slots or windows in an answer."),
    fixed(
        "LIMIT_QUERIES_AT_ONCE",
        "0",
        "Queries executed at the same time but for slow ones (DATABASE_POOL_SIZE); more are refused with 503. 0: 20 for each of DATABASE_READ_CONNECTIONS, 80 in a burst, 5 while a crowd stays.",
    ),
    fixed(
        "REQUEST_TIMEOUT_MS",
        "10000",
        "How long a request may take, in milliseconds.",
    ),
    fixed(
        "STATEMENT_TIMEOUT_MS",
        "5000",
        "How long a database statement may take, in milliseconds.",
    ),
    fixed(
        "POOL_WAIT_MS",
        "2000",
        "How long to wait for a database connection, in milliseconds.",
    ),
    fixed(
        "BODY_TIMEOUT_MS",
        "15000",
        "How long a request's headers or body may take to arrive, or a client take nothing of its answer, in milliseconds.",
    ),
    fixed(
        "SHUTDOWN_TIMEOUT_MS",
        "30000",
        "How long a stop waits for running requests, in milliseconds.",
    ),
];

/// The default in the table for `name`.
pub(super) fn default_of(name: &str) -> Option<&'static str> {
    SETTINGS
        .iter()
        .find(|setting| setting.name == name)
        .and_then(|setting| setting.default)
}

/// The text of `.env.example`: a line about each setting, then the setting, commented out.
///
/// Commented out, because a variable that is set but empty is a value, not absence.
pub fn env_example() -> String {
    let mut text = String::from(
        "# Settings of Companion. Copy to .env and uncomment what you change; the environment wins.\n\
         # A variable that is set but empty is a value, not absence.\n",
    );
    for Setting {
        name,
        default,
        about,
    } in SETTINGS
    {
        text.push_str(&format!(
            "\n# {about}\n#{name}={}\n",
            default.unwrap_or_default()
        ));
    }
    text
}
