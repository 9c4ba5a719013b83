//! A PostgreSQL of the project's own, for development and for tests: nobody has to set one up.
//!
//! [`PrivateCluster::start`] finds PostgreSQL's programs, makes a data folder when there is none, and serves on a free
//! loopback port and a Unix socket until it is dropped, stopped, or its owner dies, however it dies.
//!
//! Who may connect: over loopback, whoever knows the generated password (SCRAM), because every account of the machine
//! reaches that port; over the Unix socket everyone without a password, because it lies in a folder that only the
//! server's account (and root) can enter, and whoever is that account can read the data files anyway.
//!
//! PostgreSQL refuses to run as root. Started by root it runs as `postgres` or, without that account, as `nobody`; its
//! data then lies outside of a clone which that account cannot reach (`place.rs`).

mod cluster;
mod install;
mod place;
mod programs;
mod server;
mod user;

use std::{io, path::PathBuf};

pub use cluster::PrivateCluster;

/// The database that a private cluster serves, and the name of its superuser.
const NAME: &str = "companion";

/// What to start.
#[derive(Clone, Debug)]
pub struct PrivateOptions {
    purpose: Purpose,
    install: bool,
    settings: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
enum Purpose {
    /// Kept between starts, in or beside this folder.
    Development(PathBuf),
    /// Fast, unsafe and removed at the end.
    Throwaway,
}

impl PrivateOptions {
    /// A cluster whose data lasts, in `folder` (`.companion`) or, where the server's account cannot reach that, in a
    /// folder that a file in `folder` points at. Installs PostgreSQL when it is missing and this is allowed.
    pub fn development(folder: impl Into<PathBuf>) -> Self {
        Self {
            purpose: Purpose::Development(folder.into()),
            install: true,
            settings: Vec::new(),
        }
    }

    /// A cluster in a temporary folder, which survives no crash and is removed at the end. Installs nothing.
    pub fn throwaway() -> Self {
        Self {
            purpose: Purpose::Throwaway,
            install: false,
            settings: Vec::new(),
        }
    }

    /// Whether to install Debian's package where PostgreSQL's programs are missing and root or `sudo` allow it.
    #[must_use]
    pub fn install_missing(mut self, install: bool) -> Self {
        self.install = install;
        self
    }

    /// One more setting of `postgresql.conf`; the last one of a name wins.
    #[must_use]
    pub fn setting(mut self, name: &str, value: impl ToString) -> Self {
        self.settings.push((name.to_owned(), value.to_string()));
        self
    }
}

/// Why there is no private PostgreSQL; its text is for the person at the terminal.
#[derive(Debug, thiserror::Error)]
pub enum PrivateError {
    /// There are no usable programs, and what to do about it.
    #[error("{0}")]
    Programs(String),
    /// Another process serves this data.
    #[error("{} is in use by another Companion (process {owner}); stop that one first, or set DATABASE_URL", folder.display())]
    InUse {
        /// The folder of the data.
        folder: PathBuf,
        /// The other process's id, as far as it is known.
        owner: String,
    },
    /// The data cannot be used as it is, and what to do about it.
    #[error("{}: {reason}", folder.display())]
    Folder {
        /// The folder in question.
        folder: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A program failed.
    #[error("{program} failed: {output}")]
    Failed {
        /// Which one.
        program: String,
        /// The end of what it said.
        output: String,
    },
    /// The operating system refused.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was tried.
        action: String,
        /// How it failed.
        source: io::Error,
    },
}

/// Says what was tried when the operating system refuses.
trait Tried<T> {
    fn tried(self, action: impl FnOnce() -> String) -> Result<T, PrivateError>;
}

impl<T> Tried<T> for io::Result<T> {
    fn tried(self, action: impl FnOnce() -> String) -> Result<T, PrivateError> {
        self.map_err(|source| PrivateError::Io {
            action: action(),
            source,
        })
    }
}

/// The end of a program's output, short enough for one message.
fn tail(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text
        .lines()
        .rev()
        .filter(|line| !line.trim().is_empty())
        .take(8)
        .collect();
    if lines.is_empty() {
        return "it said nothing".to_owned();
    }
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}
