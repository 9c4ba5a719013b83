//! The account that PostgreSQL runs as.

use std::{
    ffi::OsStr,
    os::unix::{fs as unix_fs, fs::MetadataExt, process::CommandExt},
    path::Path,
    process::{Command, Stdio},
};

use super::{PrivateError, Tried};

/// The account of the server and of every program that touches its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RunAs {
    /// The account to become; `None` is our own.
    other: Option<(u32, u32)>,
    /// Our own account.
    own: u32,
}

impl RunAs {
    /// Our own account or, for root, one without privileges.
    pub(super) fn unprivileged() -> Result<Self, PrivateError> {
        let own = number(&["-u"]).ok_or_else(|| {
            PrivateError::Programs("the program `id` does not say who runs this".to_owned())
        })?;
        if own != 0 {
            return Ok(Self { other: None, own });
        }
        let other = ["postgres", "nobody"]
            .iter()
            .find_map(|name| Some((number(&["-u", name])?, number(&["-g", name])?)))
            .filter(|(uid, _)| *uid != 0)
            .ok_or_else(|| {
                PrivateError::Programs(
                    "PostgreSQL does not run as root, and there is neither an account `postgres` nor `nobody`: \
                     create one, or start this as somebody else"
                        .to_owned(),
                )
            })?;
        Ok(Self {
            other: Some(other),
            own,
        })
    }

    /// The account which made these data: PostgreSQL accepts no other one.
    pub(super) fn owner_of(self, data: &Path) -> Result<Self, PrivateError> {
        let found = data
            .symlink_metadata()
            .tried(|| format!("read {}", data.display()))?;
        if found.uid() == self.server() {
            return Ok(self);
        }
        if self.own == 0 && found.uid() != 0 {
            return Ok(Self {
                other: Some((found.uid(), found.gid())),
                own: 0,
            });
        }
        Err(PrivateError::Folder {
            folder: data.to_owned(),
            reason: "belongs to another account: start this as that one, or remove the folder to begin anew"
                .to_owned(),
        })
    }

    /// Whether the server has another account than we.
    pub(super) fn is_other(&self) -> bool {
        self.other.is_some()
    }

    /// Our own account's number.
    pub(super) fn own(&self) -> u32 {
        self.own
    }

    fn server(&self) -> u32 {
        self.other.map_or(self.own, |(uid, _)| uid)
    }

    /// Hands a file or folder to the server's account.
    pub(super) fn give(&self, path: &Path) -> Result<(), PrivateError> {
        let Some((uid, gid)) = self.other else {
            return Ok(());
        };
        unix_fs::lchown(path, Some(uid), Some(gid)).tried(|| {
            format!(
                "give {} to the account that PostgreSQL runs as",
                path.display()
            )
        })
    }

    /// A program, run as the server's account, in no folder of ours and with none of our environment: what `PGDATA` or
    /// `LC_ALL` mean to the caller is not meant for this cluster.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
            .env("LC_ALL", "C")
            .current_dir("/")
            .stdin(Stdio::null());
        if let Some((uid, gid)) = self.other {
            // The standard library also drops root's further groups here.
            command.uid(uid).gid(gid);
        }
        command
    }
}

/// What `id` answers.
fn number(arguments: &[&str]) -> Option<u32> {
    let output = Command::new("id").args(arguments).output().ok()?;
    if !output.status.success() {
        return None;
    }
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
