//! Where PostgreSQL's programs are.

use std::{
    collections::HashSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{PrivateError, install, user::RunAs};

/// The oldest PostgreSQL that still gets fixes as this is written.
const OLDEST: u32 = 14;

/// Folders with a version in their name, which `*` stands for, in the order in which to look.
const FOLDERS: [&str; 9] = [
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
    "/opt/homebrew/opt/postgresql/bin",
    "/usr/local/opt/postgresql/bin",
    "/usr/local/pgsql/bin",
];

/// `initdb` and `postgres` of one installation.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    folder: PathBuf,
    /// Their major version.
    pub(super) major: u32,
}

impl Programs {
    /// Finds programs of any good version, or of the one which `data` was made by; installs Debian's when there are
    /// none and `may_install`.
    pub(super) fn find(
        user: &RunAs,
        made_by: Option<u32>,
        may_install: bool,
    ) -> Result<Self, PrivateError> {
        if let Some(found) = Self::look(user, made_by) {
            return Ok(found);
        }
        if let Some(major) = made_by {
            return Err(PrivateError::Programs(format!(
                "the data was made by PostgreSQL {major}, whose programs are not there: install that version, or remove \
                 the data to begin anew"
            )));
        }
        if may_install {
            install::install()?;
            if let Some(found) = Self::look(user, None) {
                return Ok(found);
            }
        }
        Err(PrivateError::Programs(install::advice()))
    }

    fn look(user: &RunAs, made_by: Option<u32>) -> Option<Self> {
        let mut seen = HashSet::new();
        candidates()
            .filter(|folder| seen.insert(folder.clone()))
            .filter(|folder| folder.join("initdb").is_file())
            .find_map(|folder| {
                let major = version(user, &folder)?;
                let fits = made_by.map_or(major >= OLDEST, |made_by| major == made_by);
                fits.then_some(Self { folder, major })
            })
    }

    /// One of the two programs.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Every folder that may hold the programs, lazily: most of the time the first one does.
fn candidates() -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path)
        .collect::<Vec<_>>()
        .into_iter()
        .flat_map(|folder| {
            // A link in /usr/local/bin leads to a whole installation; a wrapper of that name stands for itself.
            let linked = fs::canonicalize(folder.join("initdb"))
                .ok()
                .and_then(|program| Some(program.parent()?.to_owned()));
            linked.into_iter().chain([folder])
        });
    let configured = std::iter::once_with(|| {
        let output = Command::new("pg_config").arg("--bindir").output().ok()?;
        let folder = String::from_utf8(output.stdout).ok()?;
        Some(PathBuf::from(folder.trim()))
    });
    on_path
        .chain(configured.flatten())
        .chain(FOLDERS.into_iter().flat_map(expand))
        .filter(|folder| folder.is_absolute())
}

/// The folders that a pattern with at most one `*` stands for, the highest version first.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else {
        return vec![PathBuf::from(pattern)];
    };
    let (parent, prefix) = before.rsplit_once('/').unwrap_or(("", before));
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir(Path::new(parent))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version = name.strip_prefix(prefix)?.parse().ok()?;
            Some((version, PathBuf::from(format!("{parent}/{name}{after}"))))
        })
        .collect();
    found.sort_by(|one, other| other.cmp(one));
    found.into_iter().map(|(_, folder)| folder).collect()
}

/// The major version of `postgres` in `folder`, asked as the account that will run it.
fn version(user: &RunAs, folder: &Path) -> Option<u32> {
    let output = user
        .command(folder.join("postgres"))
        .arg("--version")
        .output()
        .ok()?;
    major(&String::from_utf8(output.stdout).ok()?)
}

/// Reads `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`, and `18beta1` as 18.
fn major(answer: &str) -> Option<u32> {
    let (_, version) = answer.split_once("(PostgreSQL) ")?;
    let digits = version.find(|c: char| !c.is_ascii_digit());
    version.get(..digits.unwrap_or(version.len()))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_what_the_program_answers() {
        for (answer, expected) in [
            (
                "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n",
                Some(15),
            ),
            ("postgres (PostgreSQL) 18beta1\n", Some(18)),
            ("postgres (PostgreSQL) 17", Some(17)),
            ("postgres (PostgreSQL) x", None),
            ("sh: not found", None),
        ] {
            assert_eq!(major(answer), expected, "{answer}");
        }
    }

    #[test]
    fn a_pattern_lists_the_newest_version_first_by_number() {
        let home = env::temp_dir().join(format!("companion-expand-{}", std::process::id()));
        for name in ["v9", "v10", "v2", "other", "vx"] {
            fs::create_dir_all(home.join(name).join("bin")).unwrap();
        }
        let found = expand(&format!("{}/v*/bin", home.display()));
        let expected: Vec<_> = ["v10", "v9", "v2"]
            .map(|name| home.join(name).join("bin"))
            .into();
        fs::remove_dir_all(&home).unwrap();
        assert_eq!(found, expected);
        assert_eq!(expand("/a/b"), [PathBuf::from("/a/b")]);
    }
}
