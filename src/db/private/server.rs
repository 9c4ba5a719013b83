//! The running server, and the watcher which ends it with its owner.
//!
//! The server is the child of a small shell, the watcher, which reads a pipe that we hold. The pipe ends when we close
//! it and when we die, be it by `kill -9`; either way the watcher stops the server. Both are in a process group of their
//! own, so that Ctrl-C at a terminal reaches us alone and the server stays until the last request is answered. A second
//! pipe, which the server inherits, ends when the server is gone.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use super::{PrivateError, Tried, user::RunAs};

/// `$1` data, `$2` the socket's folder, `$3` the signal that stops, `$4` what to remove at the end or nothing, then the
/// server's command line.
///
/// PostgreSQL refuses to start while a process of its account has the id in a stale `postmaster.pid`, and process ids
/// come again soon in a container. We know that no server runs on these data; the file cannot be removed, because its
/// seventh line protects against backends which outlive their postmaster, so it gets the shell's own id: the server
/// takes its parent's for stale.
const WATCHER: &str = r#"
data=$1 sockets=$2 signal=$3 remove=$4
shift 4
trap '' HUP INT TERM PIPE
if [ -f "$data/postmaster.pid" ]; then
  { echo $$; sed -n 2,7p "$data/postmaster.pid"; } >"$data/postmaster.stale"
  mv -f "$data/postmaster.stale" "$data/postmaster.pid"
fi
rm -f "$sockets"/.s.PGSQL.*
"$@" &
server=$!
echo "$server"
exec >&-
read -r _
kill -"$signal" "$server" 2>/dev/null
(
  seconds=0
  while [ $seconds -lt 60 ]; do
    sleep 1
    kill -0 "$server" 2>/dev/null || exit 0
    seconds=$((seconds + 1))
  done
  kill -QUIT "$server" 2>/dev/null
) &
guard=$!
wait "$server"
kill -KILL $guard 2>/dev/null
[ -z "$remove" ] || rm -rf -- "$remove"
"#;

/// How long a server may take to recover what a crash left.
const START_LIMIT: Duration = Duration::from_secs(180);
/// How long one that nobody watches any more may take to end.
const END_LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(5);

/// What to run and how to end it.
pub(super) struct Launch<'a> {
    pub(super) user: &'a RunAs,
    pub(super) data: &'a Path,
    pub(super) sockets: &'a Path,
    /// `INT` ends in order, `QUIT` at once.
    pub(super) signal: &'a str,
    /// Removed at the end.
    pub(super) remove: Option<&'a Path>,
    /// Where the server's messages go.
    pub(super) log: File,
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<OsString>,
}

/// A server that was started; ends when this is dropped.
#[derive(Debug)]
pub(super) struct Server {
    watcher: Child,
    gone: Arc<AtomicBool>,
    pid: u32,
    data: PathBuf,
    user: RunAs,
}

/// What became of a start.
pub(super) enum Started {
    /// It takes connections.
    Ready,
    /// It ended; the log says why.
    Gone,
}

impl Server {
    /// Starts the server; it is not ready yet. No other one may be running on these data.
    pub(super) fn launch(launch: Launch<'_>) -> Result<Self, PrivateError> {
        let mut command = launch.user.command("/bin/sh");
        command
            .args(["-c", WATCHER, "companion-postgres"])
            .args([launch.data, launch.sockets])
            .arg(launch.signal)
            .arg(launch.remove.unwrap_or(Path::new("")))
            .arg(&launch.program)
            .args(&launch.arguments)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(launch.log);
        let mut watcher = command.spawn().tried(|| "start PostgreSQL".to_owned())?;
        let gone = Arc::new(AtomicBool::new(false));
        let (sender, receiver) = mpsc::channel();
        if let Some(output) = watcher.stdout.take() {
            let gone = Arc::clone(&gone);
            thread::spawn(move || {
                let mut output = BufReader::new(output);
                let mut line = String::new();
                let _ = output.read_line(&mut line);
                let _ = sender.send(line);
                let _ = output.read_to_end(&mut Vec::new());
                gone.store(true, Ordering::Release);
            });
        }
        let mut server = Self {
            watcher,
            gone,
            pid: 0,
            data: launch.data.to_owned(),
            user: launch.user.clone(),
        };
        let line = receiver.recv().unwrap_or_default();
        server.pid = line.trim().parse().map_err(|_| PrivateError::Failed {
            program: "/bin/sh".to_owned(),
            output: "the watcher did not start".to_owned(),
        })?;
        Ok(server)
    }

    /// Waits until it takes connections or ends.
    pub(super) fn wait_until_ready(&self) -> Result<Started, PrivateError> {
        let started = Instant::now();
        loop {
            if self.is_gone() {
                return Ok(Started::Gone);
            }
            if PidFile::read(&self.data).is_some_and(|file| file.ready && file.pid == self.pid) {
                return Ok(Started::Ready);
            }
            if started.elapsed() > START_LIMIT {
                return Err(PrivateError::Failed {
                    program: "postgres".to_owned(),
                    output: format!("not ready after {} s", START_LIMIT.as_secs()),
                });
            }
            thread::sleep(PAUSE);
        }
    }

    /// Whether the server and all of its backends have ended.
    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// The postmaster's process id.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Ends it; the second time does nothing.
    pub(super) fn stop(&mut self) -> Result<(), PrivateError> {
        drop(self.watcher.stdin.take());
        self.watcher
            .wait()
            .tried(|| "wait for PostgreSQL's end".to_owned())?;
        // In case that somebody killed the watcher.
        end_orphan(&self.user, &self.data)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            tracing::warn!(%error, "the private PostgreSQL did not stop");
        }
    }
}

/// Ends a server that runs on these data though nobody owns it: its owner and the watcher were killed, or the watcher
/// is still about to end it.
pub(super) fn end_orphan(user: &RunAs, data: &Path) -> Result<(), PrivateError> {
    let started = Instant::now();
    let mut told = None;
    while let Some(pid) = PidFile::read(data)
        .map(|file| file.pid)
        .filter(|pid| serves(*pid, data))
    {
        if told != Some(pid) {
            told = Some(pid);
            user.command("/bin/sh")
                .args(["-c", "kill -INT \"$1\"", "sh", &pid.to_string()])
                .output()
                .tried(|| "run /bin/sh".to_owned())?;
        }
        if started.elapsed() > END_LIMIT {
            return Err(PrivateError::Folder {
                folder: data.to_owned(),
                reason: format!("PostgreSQL (process {pid}) still runs on it and does not end"),
            });
        }
        thread::sleep(PAUSE);
    }
    Ok(())
}

/// What a server says of itself in its data.
struct PidFile {
    pid: u32,
    ready: bool,
}

impl PidFile {
    fn read(data: &Path) -> Option<Self> {
        let text = fs::read_to_string(data.join("postmaster.pid")).ok()?;
        let mut lines = text.lines();
        let pid = lines.next()?.trim().parse().ok()?;
        let ready = lines.nth(6).is_some_and(|status| status.trim() == "ready");
        Some(Self { pid, ready })
    }
}

/// Whether a process is a server of these data. Its command line says so and, unlike its working folder, is readable to
/// root in a container that took its rights away.
fn serves(pid: u32, data: &Path) -> bool {
    let data = data.as_os_str().as_encoded_bytes();
    if Path::new("/proc/self/cmdline").exists() {
        return fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| {
            let mut words = line.split(|byte| *byte == 0);
            words.any(|word| word == b"-D") && words.next() == Some(data)
        });
    }
    Command::new("ps")
        .args(["-ww", "-o", "command=", "-p", &pid.to_string()])
        .output()
        .is_ok_and(|output| {
            output
                .stdout
                .windows(data.len().max(1))
                .any(|part| part == data)
        })
}
