//! Passwords: what is accepted as one, and how it is kept (security.md, "brute force").
//!
//! Kept is an argon2id hash as a PHC string, which names its own parameters, so that a sign-in can renew one that was
//! made with older ones. A hash takes a core and 19 MiB for some 20 ms: at most one a core is computed at a time, off
//! the threads that serve requests, and who would wait long is told to come back.

use std::{collections::HashSet, fmt, sync::Arc, sync::LazyLock, time::Duration};

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version,
    password_hash::{self, phc},
};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};
use tokio::sync::Semaphore;

use crate::{
    entropy::Entropy,
    error::{Error, Result},
};

#[cfg(test)]
mod tests;

/// The fewest characters of a password.
pub const MIN_LENGTH: usize = 8;
/// The most characters of a password.
pub const MAX_LENGTH: usize = 256;

/// OWASP's first choice for argon2id (Password Storage Cheat Sheet): 19 MiB, 2 passes, 1 lane.
const PARAMS: Params = Params::DEFAULT;
const SALT_BYTES: usize = 16;
/// Stands in for the hash of an account that is not there: no password gives it, and trying one costs what a real one
/// costs. A test holds it to [`PARAMS`].
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// How long a password waits for its turn.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// How many wait for each core; at some 20 ms each, more could not be served in [`LONGEST_WAIT`].
const WAITING_PER_CORE: usize = 64;

/// In lower case; see the folder's README for where it is from.
static COMMON: LazyLock<HashSet<&str>> =
    LazyLock::new(|| include_str!("passwords/common.txt").lines().collect());

/// A password as a person typed it: never trimmed, never normalised, overwritten in memory once it is dropped.
///
/// It has no `Debug`, so that nothing which holds one can be logged by accident.
#[derive(Clone)]
pub struct Password(SecretString);

impl Password {
    /// The text as it came.
    pub fn new(text: String) -> Self {
        Self(SecretString::from(text))
    }

    /// Whether it is the same text as another that the same person typed.
    pub fn is(&self, other: &Self) -> bool {
        self.0.expose_secret() == other.0.expose_secret()
    }

    /// Whether it may become somebody's password.
    ///
    /// # Errors
    /// What is wrong with it, to be shown beside its field.
    pub fn check(
        &self,
        email: Option<&str>,
        username: Option<&str>,
    ) -> Result<(), PasswordProblem> {
        let text = self.0.expose_secret();
        match text.chars().count() {
            ..MIN_LENGTH => return Err(PasswordProblem::TooShort),
            MIN_LENGTH..=MAX_LENGTH => {}
            _ => return Err(PasswordProblem::TooLong),
        }
        // Only to compare: who guesses tries both cases.
        let lower = Zeroizing::new(text.to_lowercase());
        if COMMON.contains(lower.as_str()) {
            return Err(PasswordProblem::Common);
        }
        let is = |other: Option<&str>| other.is_some_and(|other| other.to_lowercase() == *lower);
        if is(email) || is(username) {
            return Err(PasswordProblem::OwnName);
        }
        Ok(())
    }
}

/// Why a password is refused. Its text is for the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordProblem {
    /// Fewer than [`MIN_LENGTH`] characters.
    #[error("must have at least {MIN_LENGTH} characters")]
    TooShort,
    /// More than [`MAX_LENGTH`] characters.
    #[error("must have at most {MAX_LENGTH} characters")]
    TooLong,
    /// One of the commonest, in whatever case.
    #[error("is one of the commonest passwords")]
    Common,
    /// The same as the e-mail address or the user name.
    #[error("must differ from the e-mail address and the user name")]
    OwnName,
}

/// What is kept of a password: a PHC string such as `$argon2id$v=19$m=19456,t=2,p=1$…$…`. Not for logs either.
#[derive(Clone)]
pub struct PasswordHash(SecretString);

impl PasswordHash {
    /// One that was kept.
    pub fn from_stored(text: String) -> Self {
        Self(SecretString::from(text))
    }

    /// The text to keep.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether it was made in another way than one made today: then the next sign-in renews it.
    pub fn needs_rehash(&self) -> bool {
        let today = phc::PasswordHash::new(self.expose()).is_ok_and(|hash| {
            hash.algorithm == Algorithm::Argon2id.ident()
                && hash.version == Some(Version::V0x13.into())
                && Params::try_from(&hash).is_ok_and(|params| {
                    // A kept hash says its length, the parameters of today leave it to the default.
                    params.output_len() == Some(Params::DEFAULT_OUTPUT_LEN)
                        && (params.m_cost(), params.t_cost(), params.p_cost())
                            == (PARAMS.m_cost(), PARAMS.t_cost(), PARAMS.p_cost())
                })
                && hash.salt.is_some_and(|salt| salt.len() >= SALT_BYTES)
        });
        !today
    }
}

/// What came of trying a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is another one, or nobody has one here.
    Wrong,
    /// It is the one.
    Right {
        /// Its hash should be made again ([`PasswordHash::needs_rehash`]).
        needs_rehash: bool,
    },
}

/// Makes and tries hashes, a bounded number at a time. Cheap to clone; the clones share their bounds.
#[derive(Clone)]
pub struct Passwords {
    entropy: Entropy,
    cores: Arc<Semaphore>,
    places: Arc<Semaphore>,
    longest_wait: Duration,
}

impl Passwords {
    /// With a place for each core of this machine; salts are drawn from `entropy`.
    pub fn new(entropy: Entropy) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::bounded(entropy, cores, cores * WAITING_PER_CORE, LONGEST_WAIT)
    }

    fn bounded(entropy: Entropy, cores: usize, waiting: usize, longest_wait: Duration) -> Self {
        Self {
            entropy,
            cores: Arc::new(Semaphore::new(cores)),
            places: Arc::new(Semaphore::new(cores + waiting)),
            longest_wait,
        }
    }

    /// What to keep of this password.
    ///
    /// # Errors
    /// `UNAVAILABLE` when too many passwords are worked on.
    pub async fn hash(&self, password: &Password) -> Result<PasswordHash> {
        let salt = self.entropy.bytes::<SALT_BYTES>();
        let password = password.clone();
        let hash = self
            .work(move || {
                argon2().hash_password_with_salt(password.0.expose_secret().as_bytes(), &salt)
            })
            .await?
            .map_err(Error::internal)?;
        Ok(PasswordHash::from_stored(hash.to_string()))
    }

    /// Whether this is the password of which `stored` was kept. Without one (an unknown account, or one that has no
    /// password) the answer is `Wrong`, at the same cost.
    ///
    /// # Errors
    /// `UNAVAILABLE` when too many passwords are worked on; `INTERNAL` for what is no hash.
    pub async fn verify(
        &self,
        password: &Password,
        stored: Option<&PasswordHash>,
    ) -> Result<Verdict> {
        let nobody = stored.is_none();
        let hash = phc::PasswordHash::new(stored.map_or(NOBODY, PasswordHash::expose))
            .map_err(Error::internal)?;
        if hash.salt.is_none() || hash.hash.is_none() {
            return Err(Error::internal("a password's hash is not whole"));
        }
        let password = password.clone();
        let outcome = self
            .work(move || argon2().verify_password(password.0.expose_secret().as_bytes(), &hash))
            .await?;
        match outcome {
            Ok(()) if !nobody => Ok(Verdict::Right {
                needs_rehash: stored.is_some_and(PasswordHash::needs_rehash),
            }),
            Ok(()) | Err(password_hash::Error::PasswordInvalid) => Ok(Verdict::Wrong),
            Err(error) => Err(Error::internal(error)),
        }
    }

    /// Does the work of one password on a thread of its own, when its turn comes.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let busy = || Error::unavailable_for("too many passwords at once", self.longest_wait);
        let _place = self.places.try_acquire().map_err(|_| busy())?;
        let turn = Arc::clone(&self.cores).acquire_owned();
        let turn = tokio::time::timeout(self.longest_wait, turn)
            .await
            .map_err(|_| busy())?
            .map_err(Error::internal)?;
        // The turn goes along: who hangs up stops waiting, but the core is at work until the hash is there.
        tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        })
        .await
        .map_err(Error::internal)
    }
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords")
            .field("free_cores", &self.cores.available_permits())
            .finish_non_exhaustive()
    }
}

fn argon2() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, PARAMS)
}
