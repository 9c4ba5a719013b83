//! What the command line prints and how it ends.

use std::{fmt::Display, process::ExitCode};

use secrecy::ExposeSecret;

use crate::{
    app::App,
    clock::Clock,
    config::{Config, ConfigError},
    entropy::Entropy,
    error::Error,
};

/// `EX_CONFIG` of `sysexits.h`.
const EXIT_CONFIG: u8 = 78;

/// Why a command failed, for the person at the terminal.
pub(super) struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    pub(super) fn new(error: impl Display) -> Self {
        Self {
            message: error.to_string(),
            code: 1,
        }
    }

    pub(super) fn settings(error: impl Display) -> Self {
        Self {
            message: error.to_string(),
            code: EXIT_CONFIG,
        }
    }

    /// Of an error that may be about a setting which only what uses it can judge.
    pub(super) fn at_start(error: &Error) -> Self {
        match error {
            Error::Internal(cause) if cause.is::<ConfigError>() => Self::settings(cause),
            _ => Self::new(error),
        }
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}

pub(super) fn exit_code(outcome: Result<(), Failure>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{}", failure.message.trim_end());
            ExitCode::from(failure.code)
        }
    }
}

/// The database's URL, which every command but `serve` in development needs.
pub(super) fn database_url(config: &Config) -> Result<String, Failure> {
    config
        .database_url
        .as_ref()
        .map(|url| url.expose_secret().to_owned())
        .ok_or_else(|| Failure::settings("DATABASE_URL is not set (`companion serve` prints the one of its private PostgreSQL)"))
}

/// The same past a pooler, for migrations: they hold a lock as long as their connection lives.
pub(super) fn direct_url(config: &Config) -> Result<String, Failure> {
    let url = database_url(config)?;
    Ok(config
        .database_direct_url
        .as_ref()
        .map_or(url, |direct| direct.expose_secret().to_owned()))
}

/// The application on the configured database, with the system's time and randomness.
pub(super) fn app(config: Config) -> Result<App, Failure> {
    database_url(&config)?;
    let app = App::new(config, Clock::system(), Entropy::system())?;
    if !app.mail.is_configured() {
        tracing::warn!(
            "SMTP_HOST is not set: no mail is sent, and what needs one answers UNAVAILABLE"
        );
    }
    Ok(app)
}
