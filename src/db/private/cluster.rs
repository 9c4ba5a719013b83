//! Starting, addressing and stopping a private cluster.

use std::{
    ffi::OsString,
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    thread,
    time::Duration,
};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{
    NAME, PrivateError, PrivateOptions, Purpose, Tried,
    place::{Place, make_for},
    programs::Programs,
    server::{Launch, Server, Started, end_orphan},
    tail,
    user::RunAs,
};
use crate::entropy::Entropy;

/// Who may connect how; `mod.rs` says why.
const HBA: &str = "\
local all all trust
host all all 127.0.0.1/32 scram-sha-256
";

/// For every cluster. The messages are English because [`PrivateCluster::start`] reads some, and so does `error.rs`.
const SETTINGS: [(&str, &str); 12] = [
    ("listen_addresses", "127.0.0.1"),
    ("unix_socket_permissions", "0700"),
    ("password_encryption", "scram-sha-256"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    ("lc_messages", "C"),
    ("log_line_prefix", "%m [%p] "),
    ("log_checkpoints", "off"),
    ("logging_collector", "off"),
    ("max_connections", "200"),
    // Compiling a plan takes longer than any of our queries.
    ("jit", "off"),
    ("cluster_name", NAME),
];

/// For a cluster whose data nobody will miss.
const UNSAFE_SETTINGS: [(&str, &str); 8] = [
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("wal_level", "minimal"),
    ("max_wal_senders", "0"),
    ("max_wal_size", "4GB"),
    ("max_connections", "300"),
    // Plans and row counts must not depend on when a worker came by.
    ("autovacuum", "off"),
];

/// What to try as the character classes of text (case, letters); order is by bytes everywhere, as keyset paging likes it.
const CHARACTERS: [&str; 4] = ["C.UTF-8", "en_US.UTF-8", "UTF-8", "C"];

/// The largest log that is kept on.
const LONGEST_LOG: u64 = 16 << 20;

/// A running PostgreSQL of our own. Dropping it stops it, and so does the death of this process.
pub struct PrivateCluster {
    place: Place,
    port: u16,
    password: String,
    server: Server,
    throwaway: bool,
    /// Held as long as this cluster is ours; goes with the process.
    _lock: File,
}

impl PrivateCluster {
    /// Starts it and waits until it takes connections; blocks, so that an async caller wraps it in `spawn_blocking`.
    ///
    /// One process at a time owns a data folder: another one gets [`PrivateError::InUse`]. What a crash left is
    /// recovered, and a server that outlived its owner is ended first.
    pub fn start(options: PrivateOptions) -> Result<Self, PrivateError> {
        let mut user = RunAs::unprivileged()?;
        let fresh_account = user.is_other() && !matches!(options.purpose, Purpose::Throwaway);
        let mut programs = None;
        if fresh_account {
            // Installing PostgreSQL makes the account `postgres`, which is a better one than `nobody`.
            programs = Some(Programs::find(&user, None, options.install)?);
            user = RunAs::unprivileged()?;
        }
        let (place, throwaway) = match &options.purpose {
            Purpose::Development(folder) => (Place::lasting(folder, user)?, false),
            Purpose::Throwaway => (Place::temporary(user)?, true),
        };
        let lock = lock(&place.home)?;
        let made_by = version_of(&place.data())?;
        let programs = match programs.filter(|found| made_by.is_none_or(|by| by == found.major)) {
            Some(found) => found,
            None => Programs::find(&place.user, made_by, options.install)?,
        };
        let home = place.home.clone();
        let started = Self::start_at(place, &programs, &options.settings, throwaway, lock);
        if started.is_err() && throwaway {
            let _ = fs::remove_dir_all(&home);
        }
        started
    }

    fn start_at(
        place: Place,
        programs: &Programs,
        settings: &[(String, String)],
        throwaway: bool,
        lock: File,
    ) -> Result<Self, PrivateError> {
        end_orphan(&place.user, &place.data())?;
        let hba = place.home.join("pg_hba.conf");
        write(&hba, HBA, 0o644)?;
        let mut log = open_log(&place.home.join("server.log"))?;
        let password = password(&place, programs, throwaway)?;
        if throwaway {
            // The watcher, which runs as that account, removes it all.
            place.user.give(&place.home)?;
        }
        let mut port = free_port(last_port(&place.home))?;
        let mut tries = 0;
        let server = loop {
            let begin = log
                .seek(SeekFrom::End(0))
                .tried(|| "read the log".to_owned())?;
            let server = Server::launch(Launch {
                user: &place.user,
                data: &place.data(),
                sockets: &place.sockets,
                signal: if throwaway { "QUIT" } else { "INT" },
                remove: throwaway.then_some(place.home.as_path()),
                log: log.try_clone().tried(|| "share the log".to_owned())?,
                program: programs.path("postgres"),
                arguments: arguments(&place, port, settings, throwaway),
            })?;
            if let Started::Ready = server.wait_until_ready()? {
                break server;
            }
            drop(server);
            tries += 1;
            let said = read_from(&mut log, begin);
            if tries > 40 {
                return Err(failed("postgres", &said));
            }
            if said.contains("shared memory block") {
                // Backends of a postmaster that was killed are about to notice.
                thread::sleep(Duration::from_millis(250));
            } else if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err() {
                port = free_port(None)?;
            } else {
                return Err(failed("postgres", &said));
            }
        };
        if !throwaway {
            write(&place.home.join("port"), &format!("{port}\n"), 0o644)?;
        }
        Ok(Self {
            place,
            port,
            password,
            server,
            throwaway,
            _lock: lock,
        })
    }

    /// The address of its database over loopback, with the password: a secret.
    pub fn url(&self) -> String {
        self.url_of(NAME)
    }

    /// The address of another database in it, over loopback.
    pub fn url_of(&self, database: &str) -> String {
        // A connection on loopback gains nothing from TLS.
        format!(
            "postgres://{NAME}:{}@127.0.0.1:{}/{}?sslmode=disable",
            self.password,
            self.port,
            encoded(database)
        )
    }

    /// The address of a database in it over the Unix socket: no password and a quicker handshake, but only for the
    /// server's account and root.
    pub fn socket_url_of(&self, database: &str) -> String {
        format!(
            "postgres://{NAME}@{}:{}/{}?sslmode=disable",
            encoded(&self.place.sockets.to_string_lossy()),
            self.port,
            encoded(database)
        )
    }

    /// Its port on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of its Unix socket, for `psql -h`.
    pub fn socket_folder(&self) -> &Path {
        &self.place.sockets
    }

    /// The folder of its data, log and socket.
    pub fn folder(&self) -> &Path {
        &self.place.home
    }

    /// What the server says.
    pub fn log(&self) -> PathBuf {
        self.place.home.join("server.log")
    }

    /// The process id of the server (its postmaster).
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// Whether the server still runs.
    pub fn is_running(&self) -> bool {
        !self.server.is_gone()
    }

    /// Stops it in order: transactions are rolled back, what was committed is on disk.
    pub fn stop(mut self) -> Result<(), PrivateError> {
        self.server.stop()
        // What is left to remove goes with the drop.
    }
}

impl Drop for PrivateCluster {
    fn drop(&mut self) {
        if self.server.stop().is_err() {
            return;
        }
        if !self.place.sockets.starts_with(&self.place.home) {
            let _ = fs::remove_dir_all(&self.place.sockets);
        }
        if self.throwaway {
            // The watcher removed what is in it; the folder itself may need our rights.
            let _ = fs::remove_dir_all(&self.place.home);
        }
    }
}

impl fmt::Debug for PrivateCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateCluster")
            .field("folder", &self.place.home)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

fn failed(program: &str, said: &str) -> PrivateError {
    PrivateError::Failed {
        program: program.to_owned(),
        output: tail(said.as_bytes()),
    }
}

fn encoded(part: &str) -> impl fmt::Display + '_ {
    utf8_percent_encode(part, NON_ALPHANUMERIC)
}

/// The server's command line. Settings are there and not in `postgresql.conf`, so that they follow the program.
fn arguments(
    place: &Place,
    port: u16,
    settings: &[(String, String)],
    throwaway: bool,
) -> Vec<OsString> {
    let mut arguments = vec![
        "-D".into(),
        place.data().into(),
        "-p".into(),
        port.to_string().into(),
    ];
    let mut set = |name: &str, value: &OsString| {
        let mut setting = OsString::from(format!("{name}="));
        setting.push(value);
        arguments.extend(["-c".into(), setting]);
    };
    set("hba_file", &place.home.join("pg_hba.conf").into());
    // A list of folders: quoted, a comma in the name is none.
    let sockets = place.sockets.to_string_lossy().replace('"', "\"\"");
    set("unix_socket_directories", &format!("\"{sockets}\"").into());
    let unsafe_settings = UNSAFE_SETTINGS.iter().filter(|_| throwaway);
    for (name, value) in SETTINGS.iter().chain(unsafe_settings) {
        set(name, &value.into());
    }
    for (name, value) in settings {
        set(name, &value.into());
    }
    arguments
}

/// Makes us the owner of a home until the file is closed.
fn lock(home: &Path) -> Result<File, PrivateError> {
    let path = home.join("lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .tried(|| format!("open {}", path.display()))?;
    if let Err(error) = file.try_lock() {
        return match error {
            fs::TryLockError::WouldBlock => {
                let mut owner = String::new();
                let _ = file.read_to_string(&mut owner);
                Err(PrivateError::InUse {
                    folder: home.to_owned(),
                    owner: owner.trim().to_owned(),
                })
            }
            fs::TryLockError::Error(error) => {
                Err(error).tried(|| format!("lock {}", path.display()))
            }
        };
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .tried(|| format!("write {}", path.display()))?;
    Ok(file)
}

/// The major version that made the data, or nothing when there are none.
fn version_of(data: &Path) -> Result<Option<u32>, PrivateError> {
    if !data.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(data.join("PG_VERSION"))
        .tried(|| format!("read {}/PG_VERSION", data.display()))?;
    let major = text.trim().parse().map_err(|_| PrivateError::Folder {
        folder: data.to_owned(),
        reason: "was not made by a PostgreSQL that we know; remove it to begin anew".to_owned(),
    })?;
    Ok(Some(major))
}

/// The superuser's password; makes the data, or a new password, when there are none.
fn password(place: &Place, programs: &Programs, throwaway: bool) -> Result<String, PrivateError> {
    let path = place.home.join("password");
    let made = place.data().exists();
    match fs::read_to_string(&path) {
        Ok(known) if made => return Ok(known.trim().to_owned()),
        _ => {}
    }
    let password = hex::encode(Entropy::system().bytes::<24>());
    if made {
        set_password(place, programs, &place.data(), &password, "")?;
    } else {
        initialise(place, programs, &password, throwaway)?;
    }
    write(&path, &password, 0o600)?;
    Ok(password)
}

/// Makes the data in a folder beside, so that what was interrupted is never taken for a whole.
fn initialise(
    place: &Place,
    programs: &Programs,
    password: &str,
    throwaway: bool,
) -> Result<(), PrivateError> {
    let fresh = place.home.join("data.new");
    let mut said = String::new();
    let made = CHARACTERS.iter().try_fold(false, |made, characters| {
        if made {
            return Ok(true);
        }
        match fs::remove_dir_all(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).tried(|| format!("remove {}", fresh.display()));
            }
            _ => make_for(&place.user, &fresh)?,
        }
        let mut initdb = place.user.command(programs.path("initdb"));
        initdb
            .args(["--username", NAME, "--encoding", "UTF8"])
            .args(["--auth-local", "peer", "--auth-host", "reject"])
            .args(["--lc-collate", "C", "--lc-messages", "C"])
            .args(["--lc-ctype", characters])
            .args(throwaway.then_some("--no-sync"))
            .arg("--pgdata")
            .arg(&fresh);
        let output = initdb.output().tried(|| "run initdb".to_owned())?;
        said = tail(&output.stderr);
        Ok(output.status.success())
    })?;
    if !made {
        return Err(PrivateError::Failed {
            program: "initdb".to_owned(),
            output: said,
        });
    }
    let more = format!("CREATE DATABASE {NAME}\n");
    set_password(place, programs, &fresh, password, &more)?;
    fs::rename(&fresh, place.data()).tried(|| format!("rename {}", fresh.display()))
}

/// Sets the password without a server: no moment exists in which somebody else could connect without one.
fn set_password(
    place: &Place,
    programs: &Programs,
    data: &Path,
    password: &str,
    more: &str,
) -> Result<(), PrivateError> {
    let mut single = place
        .user
        .command(programs.path("postgres"))
        .arg("--single")
        .arg("-D")
        .arg(data)
        .args([
            "-c",
            "exit_on_error=on",
            "-c",
            "password_encryption=scram-sha-256",
        ])
        .args(["-c", "log_checkpoints=off", "postgres"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .tried(|| "run postgres --single".to_owned())?;
    if let Some(mut input) = single.stdin.take() {
        // What goes wrong here shows in the exit status.
        let _ = write!(input, "ALTER ROLE {NAME} PASSWORD '{password}'\n{more}");
    }
    let output = single
        .wait_with_output()
        .tried(|| "run postgres --single".to_owned())?;
    if output.status.success() {
        return Ok(());
    }
    Err(PrivateError::Failed {
        program: "postgres --single".to_owned(),
        output: tail(&output.stderr),
    })
}

/// Writes a file of ours as a whole.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), PrivateError> {
    let fresh = path.with_extension("new");
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&fresh)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(&fresh, path))
        .tried(|| format!("write {}", path.display()))
}

fn open_log(path: &Path) -> Result<File, PrivateError> {
    if path.metadata().is_ok_and(|found| found.len() > LONGEST_LOG) {
        let _ = fs::rename(path, path.with_extension("log.old"));
    }
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .tried(|| format!("open {}", path.display()))
}

fn read_from(log: &mut File, begin: u64) -> String {
    let mut said = Vec::new();
    let _ = log
        .seek(SeekFrom::Start(begin))
        .and_then(|_| log.read_to_end(&mut said));
    String::from_utf8_lossy(&said).into_owned()
}

fn last_port(home: &Path) -> Option<u16> {
    fs::read_to_string(home.join("port"))
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// A port that nobody listens on: this one, or any.
fn free_port(wanted: Option<u16>) -> Result<u16, PrivateError> {
    let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    wanted
        .and_then(|port| bind(port).ok())
        .map_or_else(|| bind(0), Ok)
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .tried(|| "find a free port on loopback".to_owned())
}
