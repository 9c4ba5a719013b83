use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use super::*;

fn config(vars: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let vars: HashMap<_, _> = vars.iter().copied().collect();
    Config::from_vars(|name| vars.get(name).map(|v| (*v).to_owned())).map_err(|e| e.problems)
}

const PRODUCTION: &[(&str, &str)] = &[
    ("ENVIRONMENT", "production"),
    ("BASE_URL", "https://api.example.com"),
    ("DATABASE_URL", "postgres://companion:pw@db/companion"),
    ("JWT_SECRET", "0123456789abcdef0123456789abcdef"),
    ("TELEGRAM_BOT_TOKEN", "123:abc"),
    ("STRIPE_SECRET_KEY", "sk_live_x"),
    ("STRIPE_WEBHOOK_SECRET", "whsec_a, whsec_b"),
];

fn production(change: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    config(&[PRODUCTION, change].concat())
}

fn names(problems: &[String]) -> Vec<&str> {
    problems
        .iter()
        .filter_map(|p| p.split(' ').next())
        .collect()
}

#[test]
fn development_needs_nothing_and_says_what_it_made_up() {
    let c = config(&[]).unwrap();
    assert_eq!(c.environment, Environment::Development);
    assert_eq!(c.base_url.as_str(), "http://localhost:8000/");
    assert_eq!(c.link("/v1/media/x"), "http://localhost:8000/v1/media/x");
    assert_eq!(c.payments, Payments::Sandbox);
    assert_eq!(c.cors_origins, CorsOrigins::Any);
    assert!(c.graphiql && c.worker_in_process && c.database_url.is_none() && !c.livemode());
    assert_eq!(c.media_dir, PathBuf::from(".companion/media"));
    assert_eq!(c.access_token_ttl, Duration::from_secs(30 * 60));
    assert_eq!(c.refresh_token_ttl, Duration::from_secs(7 * 24 * 3600));
    assert_eq!(c.limits.complexity, 5000);
    assert_eq!(c.timeouts.pool_wait, Duration::from_secs(2));
    let made_up: BTreeSet<_> = c.made_up.iter().copied().collect();
    let expected = [
        "JWT_SECRET",
        "STRIPE_SECRET_KEY",
        "STRIPE_WEBHOOK_SECRET",
        "TELEGRAM_BOT_TOKEN",
    ];
    assert_eq!(made_up, BTreeSet::from(expected));
    assert_eq!(Config::development().jwt_secrets.len(), 1);
}

#[test]
fn production_lists_everything_it_refuses_at_once() {
    let problems = config(&[
        ("ENVIRONMENT", "production"),
        ("PAYMENTS", "sandbox"),
        ("CORS_ORIGINS", "https://a.example,*"),
        ("PORT", "70000"),
        ("HOST", "nowhere"),
    ])
    .unwrap_err();
    let mut found = names(&problems);
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "CORS_ORIGINS",
            "DATABASE_URL",
            "HOST",
            "JWT_SECRET",
            "PAYMENTS",
            "PORT",
            "STRIPE_SECRET_KEY",
            "STRIPE_WEBHOOK_SECRET",
            "TELEGRAM_BOT_TOKEN",
        ]
    );
    let text = ConfigError { problems }.to_string();
    assert!(text.contains("\n  - DATABASE_URL is missing"), "{text}");
}

#[test]
fn production_with_all_its_secrets_starts() {
    let c = production(&[]).unwrap();
    assert!(c.made_up.is_empty() && c.is_production() && c.livemode());
    assert_eq!(c.payments, Payments::Stripe);
    assert_eq!(c.cors_origins, CorsOrigins::List(vec![]));
    assert_eq!(c.stripe_webhook_secrets.len(), 2);
    assert_eq!(c.introspection, Introspection::Staff);
    assert!(!c.graphiql);
    assert!(production(&[("GRAPHIQL", "true")]).unwrap().graphiql);
}

#[test]
fn production_refuses_short_blank_and_made_up_secrets() {
    for (name, value) in [
        ("JWT_SECRET", "0123456789abcdef0123456789abcde"),
        ("JWT_SECRET", "0123456789abcdef0123456789abcdef,short"),
        ("JWT_SECRET", ""),
        ("JWT_SECRET", MADE_UP_JWT_SECRET),
        ("DATABASE_URL", ""),
        ("DATABASE_URL", "mysql://x"),
        ("DATABASE_DIRECT_URL", ""),
        ("TELEGRAM_BOT_TOKEN", ""),
        ("TELEGRAM_BOT_TOKEN", "no-colon"),
        ("TELEGRAM_BOT_TOKEN", MADE_UP_BOT_TOKEN),
        ("STRIPE_SECRET_KEY", " "),
        ("STRIPE_SECRET_KEY", MADE_UP_STRIPE_KEY),
        ("STRIPE_WEBHOOK_SECRET", ""),
        ("STRIPE_WEBHOOK_SECRET", "whsec_a,,whsec_b"),
        ("STRIPE_WEBHOOK_SECRET", MADE_UP_WEBHOOK_SECRET),
        ("INTROSPECTION", "everyone"),
    ] {
        let problems = production(&[(name, value)]).unwrap_err();
        assert_eq!(names(&problems), [name], "{value:?}");
    }
}

#[test]
fn a_bot_known_by_its_id_alone_needs_no_token() {
    let mut vars: Vec<_> = PRODUCTION.to_vec();
    vars.retain(|(name, _)| *name != "TELEGRAM_BOT_TOKEN");
    vars.push(("TELEGRAM_BOT_IDS", "5768337691, 42"));
    let c = config(&vars).unwrap();
    assert!(c.telegram_bot_tokens.is_empty());
    assert_eq!(c.telegram_bot_ids, [5_768_337_691, 42]);
}

#[test]
fn set_but_empty_is_a_value() {
    assert_eq!(
        config(&[("CORS_ORIGINS", "")]).unwrap().cors_origins,
        CorsOrigins::List(vec![])
    );
    assert!(
        config(&[("RETURN_ORIGINS", "")])
            .unwrap()
            .return_origins
            .is_empty()
    );
    assert!(
        config(&[("STRIPE_WEBHOOK_SECRET", "")])
            .unwrap()
            .stripe_webhook_secrets
            .is_empty()
    );
    assert_eq!(config(&[("APP_TITLE", "")]).unwrap().app_title, "");
    for name in [
        "PORT",
        "BASE_URL",
        "DATABASE_URL",
        "METRICS_ADDR",
        "MEDIA_DIR",
        "MAIL_DIR",
        "JWT_SECRET",
    ] {
        assert_eq!(names(&config(&[(name, "")]).unwrap_err()), [name]);
    }
}

#[test]
fn stars_and_credentials_never_meet() {
    let problems = config(&[("CORS_CREDENTIALS", "true")]).unwrap_err();
    assert_eq!(names(&problems), ["CORS_ORIGINS"]);
    let c = config(&[
        ("CORS_CREDENTIALS", "true"),
        ("CORS_ORIGINS", "https://A.example:443"),
    ])
    .unwrap();
    assert_eq!(
        c.cors_origins,
        CorsOrigins::List(vec!["https://a.example".to_owned()])
    );
}

#[test]
fn wrong_values_name_their_setting() {
    for (name, value) in [
        ("ENVIRONMENT", "prod"),
        ("BASE_URL", "ftp://x"),
        ("BASE_URL", "https://u:p@x"),
        ("ALLOWED_HOSTS", "a.example:80"),
        ("ALLOWED_HOSTS", "https://a.example"),
        ("ALLOWED_HOSTS", ""),
        ("CORS_ORIGINS", "https://a.example/path"),
        ("RETURN_ORIGINS", "a.example"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
        ("LOG_LEVEL", "info,,=x=y"),
        ("LOG_FORMAT", "xml"),
        ("MAX_FILE_SIZE", "10MB"),
        ("TELEGRAM_MAX_AGE", "86401"),
        ("TELEGRAM_BOT_IDS", "-1"),
        ("PAYMENTS", "cash"),
        ("RUN_WORKER", "maybe"),
        ("METRICS_ADDR", "9090"),
        ("LIMIT_DEPTH", "0"),
        ("DATABASE_POOL_SIZE", "0"),
    ] {
        let problems = config(&[(name, value)]).unwrap_err();
        assert!(
            names(&problems).contains(&name),
            "{name}={value}: {problems:?}"
        );
    }
    assert_eq!(
        names(&config(&[("PAYMENTS", "stripe")]).unwrap_err()),
        ["STRIPE_SECRET_KEY"]
    );
}

#[test]
fn hosts_are_matched_without_their_port() {
    let c = config(&[("ALLOWED_HOSTS", "api.example.com, .example.org, [::1]")]).unwrap();
    for good in [
        "api.example.com",
        "API.example.com:8000",
        "example.org",
        "a.b.example.org",
        "[::1]:80",
    ] {
        assert!(c.allows_host(good), "{good}");
    }
    for bad in [
        "example.com",
        "api.example.com.evil",
        "badexample.org",
        "localhost",
        "[::2]",
        "",
    ] {
        assert!(!c.allows_host(bad), "{bad}");
    }
    let own = production(&[]).unwrap();
    assert!(own.allows_host("api.example.com") && own.allows_host("127.0.0.1:8000"));
    assert!(!own.allows_host("evil.example"));
    assert!(
        config(&[("ALLOWED_HOSTS", "*")])
            .unwrap()
            .allows_host("anything")
    );
}

#[test]
fn return_addresses_match_by_whole_origin() {
    let c = config(&[("RETURN_ORIGINS", "https://app.example")]).unwrap();
    let allows = |url: &str| c.allows_return(&Url::parse(url).unwrap());
    assert!(allows("https://app.example/done?x=1"));
    assert!(!allows("https://app.example.evil/"));
    assert!(!allows("https://app.example@evil.example/"));
    assert!(!allows("https://user@app.example/"));
    assert!(!allows("http://app.example/"));
}

#[test]
fn proxies_may_be_single_addresses() {
    let c = config(&[("TRUSTED_PROXIES", "10.0.0.0/8, ::1")]).unwrap();
    assert_eq!(c.trusted_proxies.len(), 2);
}

#[test]
fn no_secret_shows_in_debug_output_or_problems() {
    let c = production(&[]).unwrap();
    let text = format!("{c:?}");
    for secret in [
        "0123456789abcdef",
        "123:abc",
        "sk_live_x",
        "whsec_a",
        "companion:pw",
    ] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let error = production(&[("DATABASE_URL", "postgres://u:hunter2@h:port/x")]).unwrap_err();
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[test]
fn the_table_holds_exactly_the_names_that_are_read() {
    let read = RefCell::new(BTreeSet::new());
    let _ = Config::from_vars(|name| {
        read.borrow_mut().insert(name.to_owned());
        None
    });
    let table: BTreeSet<_> = settings::SETTINGS
        .iter()
        .map(|s| s.name.to_owned())
        .collect();
    assert_eq!(read.into_inner(), table);
    assert_eq!(table.len(), settings::SETTINGS.len(), "a name stands twice");
}

#[test]
fn env_example_is_the_table() {
    let file = include_str!("../../.env.example");
    assert_eq!(
        file,
        settings::env_example(),
        "write settings::env_example() to .env.example"
    );
}

const SMTP: &[(&str, &str)] = &[
    ("SMTP_HOST", "smtp.example.com"),
    ("SMTP_FROM", "Companion <no-reply@example.com>"),
];

#[test]
fn the_mail_server_is_read_whole() {
    assert!(config(&[]).unwrap().smtp.is_none());
    assert!(production(&[]).unwrap().smtp.is_none());
    assert_eq!(
        config(&[]).unwrap().mail_dir,
        PathBuf::from(".companion/mail")
    );
    let smtp = |change: &[(&str, &str)]| {
        let config = production(&[SMTP, change].concat()).unwrap();
        config.smtp.unwrap()
    };
    let plain = smtp(&[]);
    assert_eq!((plain.port, plain.security), (587, SmtpSecurity::StartTls));
    assert_eq!(plain.timeout, Duration::from_secs(20));
    assert!(plain.credentials.is_none() && plain.ca_file.is_none());
    assert_eq!(smtp(&[("SMTP_SECURITY", "tls")]).port, 465);
    assert_eq!(smtp(&[("SMTP_PORT", "2525")]).port, 2525);
    let signed_in = smtp(&[("SMTP_USERNAME", "u"), ("SMTP_PASSWORD", "p w")]);
    let (user, password) = signed_in.credentials.clone().unwrap();
    assert_eq!((user.as_str(), password.expose_secret()), ("u", "p w"));
    assert!(!format!("{signed_in:?}").contains("p w"));
    for host in ["localhost", "127.0.0.1", "[::1]"] {
        let local = smtp(&[("SMTP_HOST", host), ("SMTP_SECURITY", "none")]);
        assert_eq!((local.port, local.security), (25, SmtpSecurity::None));
    }
    let open = [SMTP, &[("SMTP_SECURITY", "none")]].concat();
    assert_eq!(names(&production(&open).unwrap_err()), ["SMTP_SECURITY"]);
    assert!(config(&open).unwrap().smtp.is_some());
}

#[test]
fn half_a_mail_server_is_refused() {
    for (name, value) in [
        ("SMTP_HOST", ""),
        ("SMTP_HOST", "smtp://x"),
        ("SMTP_PORT", "0"),
        ("SMTP_SECURITY", "ssl"),
        ("SMTP_FROM", "nobody"),
        ("SMTP_FROM", "a@example.com, b@example.com"),
        ("SMTP_CA_FILE", ""),
        ("SMTP_TIMEOUT_MS", "60001"),
    ] {
        let problems = config(&[SMTP, &[(name, value)]].concat()).unwrap_err();
        assert_eq!(names(&problems), [name], "{value:?}");
    }
    let lonely = config(&[("SMTP_FROM", "a@example.com"), ("SMTP_PORT", "25")]).unwrap_err();
    assert_eq!(names(&lonely), ["SMTP_PORT", "SMTP_FROM"]);
    let user = config(&[SMTP, &[("SMTP_USERNAME", "u")]].concat()).unwrap_err();
    assert_eq!(names(&user), ["SMTP_PASSWORD"]);
    let password = config(&[SMTP, &[("SMTP_PASSWORD", "p")]].concat()).unwrap_err();
    assert_eq!(names(&password), ["SMTP_USERNAME"]);
    let from = config(&[("SMTP_HOST", "smtp.example.com")]).unwrap_err();
    assert_eq!(names(&from), ["SMTP_FROM"]);
}

#[test]
fn the_readme_has_a_row_for_each_setting() {
    let readme = include_str!("../../README.md");
    for setting in settings::SETTINGS {
        let default = match setting.default {
            Some(value) if !value.is_empty() => format!("`{value}`"),
            _ => "–".to_owned(),
        };
        let row = format!("\n| `{}` | {default} | ", setting.name);
        assert!(readme.contains(&row), "README.md has no row {row}");
    }
}

#[test]
fn every_default_in_env_example_can_be_uncommented() {
    let defaults: Vec<_> = settings::SETTINGS
        .iter()
        .filter_map(|s| Some((s.name, s.default?)))
        .collect();
    config(&defaults).unwrap();
}

#[test]
fn files_that_settings_name_are_read_with_them() {
    let folder = std::env::temp_dir().join(format!("companion-settings-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let written = |name: &str, text: &str| {
        let file = folder.join(name);
        std::fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let id = "7b6a4ae6b4f2b8d4f8b6e0f1a8f6f9a5";
    let hash = hex::encode(<sha2::Sha256 as sha2::Digest>::digest("{ a }"));
    for text in [
        format!(r#"{{ "{hash}": "{{ a }}" }}"#),
        format!(
            r#"{{ "format": "apollo-persisted-query-manifest", "version": 1, "operations":
                [{{ "id": "{hash}", "name": "A", "type": "query", "body": "{{ a }}" }}] }}"#
        ),
    ] {
        let file = written("good.json", &text);
        let config = config(&[("PERSISTED_OPERATIONS", &file)]).unwrap();
        let operations = config.persisted_operations.unwrap();
        let [Operation { id, body }] = &operations.list[..] else {
            panic!("{operations:?}");
        };
        assert_eq!((id, body.as_str()), (&hash, "{ a }"));
        assert_eq!(operations.file, PathBuf::from(file));
    }
    let absent = folder.join("absent").to_str().unwrap().to_owned();
    for (name, file, cause) in [
        ("PERSISTED_OPERATIONS", absent.clone(), "No such file"),
        ("PERSISTED_OPERATIONS", written("a", "{"), "line 1"),
        ("PERSISTED_OPERATIONS", written("b", "[]"), "neither a map"),
        (
            "PERSISTED_OPERATIONS",
            written("c", &format!(r#"{{ "{id}": "{{ a }}" }}"#)),
            "7b6a4ae6b4f2b8d4f8b6e0f1a8f6f9a5 is not the SHA-256",
        ),
        ("SMTP_CA_FILE", absent.clone(), "No such file"),
        (
            "SMTP_CA_FILE",
            written(
                "d",
                "-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----",
            ),
            "",
        ),
    ] {
        let smtp = [
            ("SMTP_HOST", "mail.example"),
            ("SMTP_FROM", "a@example.com"),
        ];
        let problems = config(&[&smtp[..], &[(name, &file)]].concat()).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        let begins = format!("{name} cannot be used: {file}: ");
        assert!(problems[0].starts_with(&begins), "{problems:?}");
        assert!(problems[0].contains(cause), "{problems:?}");
    }
    let both = [
        ("PERSISTED_OPERATIONS", absent.as_str()),
        ("PORT", "no number"),
    ];
    let problems = config(&both).unwrap_err();
    let expected = BTreeSet::from(["PERSISTED_OPERATIONS", "PORT"]);
    assert_eq!(BTreeSet::from_iter(names(&problems)), expected);
    std::fs::remove_dir_all(&folder).unwrap();
}
