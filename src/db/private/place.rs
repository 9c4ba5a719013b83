//! Where the data lie: a folder of ours which the server's account can reach.
//!
//! ```text
//! <home>/            ours; others may only pass through, and only where the server has another account
//!   lock             held by whoever runs this cluster
//!   password         the superuser's, readable by us alone
//!   port             the last one, so that addresses stay the same
//!   pg_hba.conf      who may connect how
//!   server.log
//!   run/             the Unix socket; the server's account alone may enter
//!   data/            PostgreSQL's; the same
//! ```
//!
//! Root writes nothing below a folder that belongs to the server's account: whoever is that account could have put a
//! link there.

use std::{
    env,
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::{PrivateError, Tried, server::end_orphan, user::RunAs};
use crate::entropy::Entropy;

/// A file in `.companion` which says where the data are when they are not in there.
const POINTER: &str = "postgres.path";

/// Longest path of a Unix socket that every system takes (macOS 104 bytes with the final zero, Linux 108).
const LONGEST_SOCKET: usize = 103;

/// A home that is ready for use.
#[derive(Debug)]
pub(super) struct Place {
    /// Its folder.
    pub(super) home: PathBuf,
    /// The folder of the Unix socket.
    pub(super) sockets: PathBuf,
    /// The account that the server runs as.
    pub(super) user: RunAs,
}

impl Place {
    /// The home of a development cluster: `<folder>/postgres`, or one outside of it.
    pub(super) fn lasting(folder: &Path, user: RunAs) -> Result<Self, PrivateError> {
        fs::create_dir_all(folder).tried(|| format!("make {}", folder.display()))?;
        let folder = folder
            .canonicalize()
            .tried(|| format!("find {}", folder.display()))?;
        let pointer = folder.join(POINTER);
        let name = format!("companion-{}-{}", user.own(), hash(&folder));
        // A copied clone brings the other one's pointer along, and a container may have kept the clone alone.
        let outside = fs::read_to_string(&pointer)
            .map(|text| PathBuf::from(text.trim()))
            .ok()
            .filter(|home| home.ends_with(&name) && home.symlink_metadata().is_ok());
        if let Some(outside) = outside {
            return Self::known(&outside, user);
        }
        let inside = folder.join("postgres");
        if inside.join("data").exists() {
            return Self::known(&inside, user);
        }
        let refused = match Self::new(inside, user.clone()) {
            Ok(place) => return Ok(place),
            Err(error) => error,
        };
        for parent in shared_folders(&user) {
            let outside = parent.join(&name);
            forget(&outside, &user)?;
            if let Ok(place) = Self::new(outside.clone(), user.clone()) {
                fs::write(&pointer, format!("{}\n", outside.display()))
                    .tried(|| format!("write {}", pointer.display()))?;
                return Ok(place);
            }
        }
        Err(refused)
    }

    /// The home of a cluster that is removed at its end, in the folder for temporary files or, where the server's
    /// account cannot reach that, in another one.
    pub(super) fn temporary(user: RunAs) -> Result<Self, PrivateError> {
        let mut refused = None;
        for parent in [env::temp_dir(), "/var/tmp".into(), "/tmp".into()] {
            let parent = parent.canonicalize().unwrap_or(parent);
            let home = parent.join(format!("companion-{}", unguessable()));
            match Self::new(home, user.clone()) {
                Ok(place) => return Ok(place),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        Err(refused.unwrap_or_else(|| PrivateError::Folder {
            folder: env::temp_dir(),
            reason: "cannot hold a database".to_owned(),
        }))
    }

    /// PostgreSQL's own folder.
    pub(super) fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    /// A home that was made earlier.
    fn known(home: &Path, user: RunAs) -> Result<Self, PrivateError> {
        let found = home
            .symlink_metadata()
            .tried(|| format!("read {}", home.display()))?;
        if !found.is_dir() || !is_ours(&found, &user) {
            return Err(PrivateError::Folder {
                folder: home.to_owned(),
                reason: "was made by another account or is open to others: start this as that account, or remove \
                         it to begin anew"
                    .to_owned(),
            });
        }
        let data = home.join("data");
        let user = if data.exists() {
            user.owner_of(&data)?
        } else {
            user
        };
        let place = Self::furnish(home.to_owned(), user)?;
        place.try_out()?;
        Ok(place)
    }

    /// A home that is not there yet, or was left half made; nothing of it stays when it is of no use.
    fn new(home: PathBuf, user: RunAs) -> Result<Self, PrivateError> {
        match DirBuilder::new().mode(0o700).create(&home) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let found = home
                    .symlink_metadata()
                    .tried(|| format!("read {}", home.display()))?;
                if !found.is_dir() || !is_ours(&found, &user) {
                    return Err(PrivateError::Folder {
                        folder: home,
                        reason: "somebody else put it there".to_owned(),
                    });
                }
            }
            made => made.tried(|| format!("make {}", home.display()))?,
        }
        let place =
            Self::furnish(home.clone(), user).and_then(|place| place.try_out().map(|()| place));
        if place.is_err() {
            let _ = fs::remove_dir_all(&home);
        }
        place
    }

    /// Opens the home to the server's account and makes the folder of the socket.
    fn furnish(home: PathBuf, user: RunAs) -> Result<Self, PrivateError> {
        let mode = if user.is_other() { 0o711 } else { 0o700 };
        fs::set_permissions(&home, Permissions::from_mode(mode))
            .tried(|| format!("open {}", home.display()))?;
        let mut sockets = home.join("run");
        let socket = ".s.PGSQL.65535";
        if sockets.as_os_str().len() + 1 + socket.len() > LONGEST_SOCKET {
            sockets = PathBuf::from(format!("/tmp/companion-{}", unguessable()));
        }
        make_for(&user, &sockets)?;
        Ok(Self {
            home,
            sockets,
            user,
        })
    }

    /// Whether the server's account can really work here: folders above may be closed, and file systems of virtual
    /// machines ignore owners and modes.
    fn try_out(&self) -> Result<(), PrivateError> {
        let unfit = |reason: &str| PrivateError::Folder {
            folder: self.home.clone(),
            reason: reason.to_owned(),
        };
        let mode = self
            .sockets
            .symlink_metadata()
            .tried(|| format!("read {}", self.sockets.display()))?
            .mode();
        if mode & 0o077 != 0 {
            return Err(unfit("this file system keeps nothing private"));
        }
        let written = self
            .user
            .command("/bin/sh")
            .args(["-c", "cd \"$1\" && cd \"$2\" && : >probe && rm probe", "sh"])
            .args([&self.home, &self.sockets])
            .output()
            .tried(|| "run /bin/sh".to_owned())?;
        if !written.status.success() {
            return Err(unfit(
                "the account that PostgreSQL runs as cannot work there: open the folders above it (chmod o+x), or move \
                 the clone",
            ));
        }
        Ok(())
    }
}

/// Makes a folder for the server's account alone, or takes the one that is there.
pub(super) fn make_for(user: &RunAs, folder: &Path) -> Result<(), PrivateError> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made.tried(|| format!("make {}", folder.display()))?,
    }
    user.give(folder)
}

/// Whether only we can change what is in a folder.
fn is_ours(found: &fs::Metadata, user: &RunAs) -> bool {
    // Root also works in a developer's own clone, whose Makefile it runs anyway.
    (found.uid() == user.own() || user.own() == 0) && found.mode() & 0o022 == 0
}

/// Where data can lie that cannot be in the clone. `/var/lib` is root's alone; `/var/tmp` is shared, and some systems
/// clear it after a month.
fn shared_folders(user: &RunAs) -> Vec<PathBuf> {
    let mut folders = vec![PathBuf::from("/var/tmp")];
    if user.own() == 0 {
        folders.insert(0, PathBuf::from("/var/lib"));
    }
    folders
}

/// Removes what a deleted `.companion` of the same path left behind: who removes that wants to begin anew.
fn forget(outside: &Path, user: &RunAs) -> Result<(), PrivateError> {
    let Ok(found) = outside.symlink_metadata() else {
        return Ok(());
    };
    if !found.is_dir() || found.uid() != user.own() {
        return Ok(());
    }
    let lock = fs::File::open(outside.join("lock"));
    if lock.is_ok_and(|lock| lock.try_lock().is_err()) {
        return Err(PrivateError::InUse {
            folder: outside.to_owned(),
            owner: "unknown".to_owned(),
        });
    }
    end_orphan(user, &outside.join("data"))?;
    fs::remove_dir_all(outside).tried(|| format!("remove {}", outside.display()))
}

/// What tells clones of one machine apart.
fn hash(folder: &Path) -> String {
    let digest = Sha256::digest(folder.as_os_str().as_encoded_bytes());
    hex::encode(digest).chars().take(16).collect()
}

/// A part of a name that nobody can have taken before.
pub(super) fn unguessable() -> String {
    hex::encode(Entropy::system().bytes::<8>())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_or_an_open_folder_in_the_place_of_a_home_is_refused() {
        let user = RunAs::unprivileged().unwrap();
        let parent = env::temp_dir().join(format!("companion-{}", unguessable()));
        let target = parent.join("target");
        fs::create_dir_all(&target).unwrap();
        fs::write(target.join("kept"), "").unwrap();
        let link = parent.join("link");
        symlink(&target, &link).unwrap();
        let open = parent.join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();

        for home in [link, open] {
            assert!(Place::new(home.clone(), user.clone()).is_err(), "{home:?}");
            assert!(Place::known(&home, user.clone()).is_err(), "{home:?}");
            assert!(home.exists(), "{home:?} is not ours to remove");
        }
        assert!(target.join("kept").exists() && !target.join("run").exists());
        fs::remove_dir_all(&parent).unwrap();
    }
}
