//! Reads the settings that take more than a number: each with its own defaults and checks.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use lettre::transport::smtp::client::Certificate;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::reader::{Reader, origin};
use super::{
    CorsOrigins, Limits, MADE_UP_BOT_TOKEN, MADE_UP_JWT_SECRET, MADE_UP_STRIPE_KEY,
    MADE_UP_WEBHOOK_SECRET, Payments, PointLimit, PointLimits, SmtpSecurity, SmtpSettings,
};

/// A `Host` without its port; an IPv6 address keeps its brackets.
pub(super) fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.is_empty() => {
            // The last colon inside brackets belongs to an IPv6 address.
            if name.starts_with('[') && !name.ends_with(']') {
                host
            } else {
                name
            }
        }
        _ => host,
    }
}

pub(super) fn read_host<F: Fn(&str) -> Option<String>>(r: &mut Reader<F>) -> IpAddr {
    let text = r.text("HOST");
    match text.trim() {
        "localhost" => Ipv4Addr::LOCALHOST.into(),
        text => text.parse().unwrap_or_else(|_| {
            r.problem("HOST", "must be an IP address");
            Ipv4Addr::LOCALHOST.into()
        }),
    }
}

/// An address whose default, in the table, is a good one.
pub(super) fn read_url<F: Fn(&str) -> Option<String>>(
    r: &mut Reader<F>,
    name: &'static str,
) -> Url {
    let text = r.text(name);
    r.http_url(name, &text).unwrap_or_else(localhost)
}

pub(super) fn read_base_url<F: Fn(&str) -> Option<String>>(r: &mut Reader<F>, port: u16) -> Url {
    if let Some(text) = r.set("BASE_URL") {
        return r.http_url("BASE_URL", &text).unwrap_or_else(localhost);
    }
    let mut url = localhost();
    // Only an address without a host refuses a port.
    let _ = url.set_port(Some(port));
    url
}

#[expect(
    clippy::expect_used,
    reason = "a constant, which every test of the settings parses"
)]
fn localhost() -> Url {
    Url::parse("http://localhost").expect("a constant address")
}

pub(super) fn read_allowed_hosts<F: Fn(&str) -> Option<String>>(
    r: &mut Reader<F>,
    base: &Url,
) -> Vec<String> {
    let Some(text) = r.set("ALLOWED_HOSTS") else {
        let own = base.host_str().unwrap_or("localhost");
        let mut hosts = vec![own.to_owned()];
        hosts.extend(["localhost", "127.0.0.1", "[::1]"].map(str::to_owned));
        hosts.dedup();
        return hosts;
    };
    let hosts = r.list(
        "ALLOWED_HOSTS",
        &text,
        "host names without scheme and port",
        |item| {
            let item = item.to_ascii_lowercase();
            let name = item.strip_prefix('.').unwrap_or(&item);
            let good =
                item == "*" || (without_port(name) == name && url::Host::parse(name).is_ok());
            good.then_some(item)
        },
    );
    if text.trim().is_empty() {
        r.problem("ALLOWED_HOSTS", "must name a host, or be * for any");
    }
    hosts
}

pub(super) fn read_cors<F: Fn(&str) -> Option<String>>(
    r: &mut Reader<F>,
    production: bool,
) -> (CorsOrigins, bool) {
    let credentials = r.switch("CORS_CREDENTIALS", false);
    let absent = if production { "" } else { "*" };
    let text = r.set("CORS_ORIGINS").unwrap_or_else(|| absent.to_owned());
    if !text.split(',').any(|item| item.trim() == "*") {
        let list = r.list(
            "CORS_ORIGINS",
            &text,
            "origins such as https://app.example",
            |item| origin(item).map(|origin| origin.ascii_serialization()),
        );
        return (CorsOrigins::List(list), credentials);
    }
    if production {
        r.problem("CORS_ORIGINS", "must not be * in production");
    }
    if credentials {
        r.problem(
            "CORS_ORIGINS",
            "must not be * together with CORS_CREDENTIALS=true",
        );
    }
    (CorsOrigins::Any, credentials)
}

pub(super) fn read_return_origins<F: Fn(&str) -> Option<String>>(
    r: &mut Reader<F>,
    production: bool,
    base: &Url,
) -> Vec<url::Origin> {
    if let Some(text) = r.set("RETURN_ORIGINS") {
        return r.list(
            "RETURN_ORIGINS",
            &text,
            "origins such as https://app.example",
            origin,
        );
    }
    let mut origins = vec![base.origin()];
    if !production {
        // A browser at 127.0.0.1 is at the same server as one at localhost.
        for host in ["localhost", "127.0.0.1"] {
            let mut own = base.clone();
            if base.domain() == Some("localhost") && own.set_host(Some(host)).is_ok() {
                origins.push(own.origin());
            }
        }
        origins.extend(
            ["http://localhost:3000", "http://localhost:5173"]
                .iter()
                .filter_map(|o| origin(o)),
        );
    }
    origins
}

pub(super) fn read_database_url<F: Fn(&str) -> Option<String>>(
    r: &mut Reader<F>,
    production: bool,
) -> Option<SecretString> {
    let url = read_address(r, "DATABASE_URL");
    if url.is_none() && production {
        r.problem("DATABASE_URL", "is missing");
    }
    url
}

/// A database's address.
pub(super) fn read_address<F: Fn(&str) -> Option<String>>(
    r: &mut Reader<F>,
    name: &'static str,
) -> Option<SecretString> {
    let url = r.set(name)?;
    // The parser's message may repeat a piece of the address, and with it the password.
    if url.trim().is_empty() || url.parse::<tokio_postgres::Config>().is_err() {
        r.problem(
            name,
            "must be an address such as postgres://user:password@host/name",
        );
    }
    Some(SecretString::from(url))
}

/// Secrets by comma. In development an absent variable is made up; in production one that is
/// absent, blank or the made-up one is a problem.
fn read_secrets<F: Fn(&str) -> Option<String>>(
    r: &mut Reader<F>,
    name: &'static str,
    production: bool,
    stand_in: &'static str,
    made_up: &mut Vec<&'static str>,
) -> Vec<SecretString> {
    match r.secrets(name) {
        Some(secrets) if production => {
            if secrets.is_empty() {
                r.problem(name, "is empty");
            }
            if secrets
                .iter()
                .any(|secret| secret.expose_secret() == stand_in)
            {
                r.problem(name, "must not be the made-up one of development");
            }
            secrets
        }
        Some(secrets) => secrets,
        None if production => {
            r.problem(name, "is missing");
            Vec::new()
        }
        None => {
            made_up.push(name);
            vec![SecretString::from(stand_in)]
        }
    }
}

pub(super) fn read_jwt_secrets<F: Fn(&str) -> Option<String>>(
    r: &mut Reader<F>,
    production: bool,
    made_up: &mut Vec<&'static str>,
) -> Vec<SecretString> {
    let secrets = read_secrets(r, "JWT_SECRET", production, MADE_UP_JWT_SECRET, made_up);
    if production
        && secrets
            .iter()
            .any(|secret| secret.expose_secret().len() < 32)
    {
        r.problem("JWT_SECRET", "must have 32 bytes or more (each of a list)");
    }
    if !production && secrets.is_empty() {
        r.problem("JWT_SECRET", "is empty");
    }
    secrets
}

pub(super) fn read_telegram<F: Fn(&str) -> Option<String>>(
    r: &mut Reader<F>,
    production: bool,
    made_up: &mut Vec<&'static str>,
) -> (Vec<SecretString>, Vec<i64>) {
    let text = r.text("TELEGRAM_BOT_IDS");
    let ids = r.list(
        "TELEGRAM_BOT_IDS",
        &text,
        "bot ids, which are positive numbers",
        |item| item.parse::<i64>().ok().filter(|id| *id > 0),
    );
    // A bot known by its id alone needs no token: its init data carries Telegram's own signature.
    if !ids.is_empty() && r.set("TELEGRAM_BOT_TOKEN").is_none() {
        return (Vec::new(), ids);
    }
    let name = "TELEGRAM_BOT_TOKEN";
    let tokens = read_secrets(r, name, production, MADE_UP_BOT_TOKEN, made_up);
    let well_formed = |token: &str| {
        token.split_once(':').is_some_and(|(id, secret)| {
            id.parse::<i64>().is_ok_and(|id| id > 0) && !secret.is_empty()
        })
    };
    if tokens
        .iter()
        .any(|token| !well_formed(token.expose_secret()))
    {
        r.problem(
            name,
            "must be as BotFather gives it: the bot's id, a colon, a secret",
        );
    }
    (tokens, ids)
}

pub(super) fn read_stripe_key<F: Fn(&str) -> Option<String>>(
    r: &mut Reader<F>,
    production: bool,
    payments: Payments,
    made_up: &mut Vec<&'static str>,
) -> SecretString {
    let name = "STRIPE_SECRET_KEY";
    match r.set(name) {
        Some(key) => {
            let needed = production || payments == Payments::Stripe;
            if needed && key.trim().is_empty() {
                r.problem(name, "is empty");
            } else if production && key == MADE_UP_STRIPE_KEY {
                r.problem(name, "must not be the made-up one of development");
            } else if !key.bytes().all(|b| b.is_ascii_graphic()) {
                r.problem(name, "must be printable ASCII without spaces");
            }
            SecretString::from(key)
        }
        None => {
            if production || payments == Payments::Stripe {
                r.problem(name, "is missing");
            }
            made_up.push(name);
            SecretString::from(MADE_UP_STRIPE_KEY)
        }
    }
}

pub(super) fn read_webhook_secrets<F: Fn(&str) -> Option<String>>(
    r: &mut Reader<F>,
    production: bool,
    made_up: &mut Vec<&'static str>,
) -> Vec<SecretString> {
    read_secrets(
        r,
        "STRIPE_WEBHOOK_SECRET",
        production,
        MADE_UP_WEBHOOK_SECRET,
        made_up,
    )
}

/// The mail server, if one is named.
pub(super) fn read_smtp<F: Fn(&str) -> Option<String>>(
    r: &mut Reader<F>,
    production: bool,
) -> Option<SmtpSettings> {
    if r.set("SMTP_HOST").is_none() {
        // A lonely one of them is a slip, after which mail would silently go nowhere.
        for name in [
            "SMTP_PORT",
            "SMTP_USERNAME",
            "SMTP_PASSWORD",
            "SMTP_SECURITY",
            "SMTP_FROM",
            "SMTP_CA_FILE",
        ] {
            if r.set(name).is_some() {
                r.problem(name, "is set, but SMTP_HOST is not");
            }
        }
        // Has a default, which is checked all the same.
        r.millis("SMTP_TIMEOUT_MS", 100..=60_000);
        return None;
    }
    let host = r.filled("SMTP_HOST").trim().to_owned();
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let ip = name.parse::<IpAddr>().ok();
    if !host.is_empty() && ip.is_none() && url::Host::parse(&host).is_err() {
        r.problem("SMTP_HOST", "must be a host name or an IP address");
    }
    let security = r.choice(
        "SMTP_SECURITY",
        &[
            ("starttls", SmtpSecurity::StartTls),
            ("tls", SmtpSecurity::Tls),
            ("none", SmtpSecurity::None),
        ],
        SmtpSecurity::StartTls,
    );
    let loopback = host == "localhost" || ip.is_some_and(|ip| ip.is_loopback());
    if security == SmtpSecurity::None && production && !loopback {
        r.problem(
            "SMTP_SECURITY",
            "must not be none in production, unless SMTP_HOST is this machine",
        );
    }
    let port = match r.set("SMTP_PORT") {
        Some(_) => r.number("SMTP_PORT", 1..=u16::MAX),
        None => match security {
            SmtpSecurity::StartTls => 587,
            SmtpSecurity::Tls => 465,
            SmtpSecurity::None => 25,
        },
    };
    let credentials = match (r.set("SMTP_USERNAME"), r.set("SMTP_PASSWORD")) {
        (Some(user), Some(password)) => {
            if user.is_empty() {
                r.problem("SMTP_USERNAME", "is empty");
            }
            if password.is_empty() {
                r.problem("SMTP_PASSWORD", "is empty");
            }
            Some((user, SecretString::from(password)))
        }
        (Some(_), None) => {
            r.problem("SMTP_PASSWORD", "is missing beside SMTP_USERNAME");
            None
        }
        (None, Some(_)) => {
            r.problem("SMTP_USERNAME", "is missing beside SMTP_PASSWORD");
            None
        }
        (None, None) => None,
    };
    let from = r.text("SMTP_FROM").trim().to_owned();
    if r.set("SMTP_FROM").is_none() {
        r.problem("SMTP_FROM", "is missing beside SMTP_HOST");
    } else if from.parse::<lettre::message::Mailbox>().is_err() {
        r.problem(
            "SMTP_FROM",
            "must be an e-mail address, or a name and one as in Companion <no-reply@example.com>",
        );
    }
    Some(SmtpSettings {
        host: name.to_owned(),
        port,
        credentials,
        security,
        ca_file: read_ca_file(r),
        from,
        timeout: r.millis("SMTP_TIMEOUT_MS", 100..=60_000),
    })
}

fn read_ca_file<F: Fn(&str) -> Option<String>>(r: &mut Reader<F>) -> Option<PathBuf> {
    let name = "SMTP_CA_FILE";
    r.set(name)?;
    let file = PathBuf::from(r.filled(name));
    let wrong = match std::fs::read(&file) {
        // Said already.
        _ if file.as_os_str().is_empty() => None,
        Ok(pem) => Certificate::from_pem(&pem)
            .err()
            .map(|error| error.to_string()),
        Err(error) => Some(error.to_string()),
    };
    if let Some(wrong) = wrong {
        r.problem(name, format!("cannot be used: {}: {wrong}", file.display()));
    }
    Some(file)
}

pub(super) fn read_limits<F: Fn(&str) -> Option<String>>(r: &mut Reader<F>) -> Limits {
    Limits {
        body_bytes: r.number("LIMIT_BODY_BYTES", 1024..=64 * 1024 * 1024),
        query_bytes: r.number("LIMIT_QUERY_BYTES", 256..=1024 * 1024),
        depth: r.number("LIMIT_DEPTH", 1..=64),
        complexity: r.number("LIMIT_COMPLEXITY", 1..=1_000_000),
        aliases: r.number("LIMIT_ALIASES", 0..=10_000),
        root_fields: r.number("LIMIT_ROOT_FIELDS", 1..=10_000),
        batch: r.number("LIMIT_BATCH", 1..=1000),
        variable_values: r.number("LIMIT_VARIABLE_VALUES", 0..=1_000_000),
        list_items: r.number("LIMIT_LIST_ITEMS", 1..=10_000),
        range_days: r.number("LIMIT_RANGE_DAYS", 1..=366),
        range_items: r.number("LIMIT_RANGE_ITEMS", 1..=10_000),
        queries_at_once: r.number("LIMIT_QUERIES_AT_ONCE", 0..=100_000),
    }
}

pub(super) fn read_points<F: Fn(&str) -> Option<String>>(r: &mut Reader<F>) -> PointLimits {
    const MOST: u64 = 1_000_000_000;
    let mut limit = |per_minute, burst| PointLimit {
        per_minute: r.number(per_minute, 0..=MOST),
        burst: r.number(burst, 1..=MOST),
    };
    PointLimits {
        user: limit(
            "GRAPHQL_POINTS_PER_MINUTE_USER",
            "GRAPHQL_POINTS_BURST_USER",
        ),
        address: limit(
            "GRAPHQL_POINTS_PER_MINUTE_ADDRESS",
            "GRAPHQL_POINTS_BURST_ADDRESS",
        ),
    }
}
