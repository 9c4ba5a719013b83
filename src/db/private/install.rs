//! Installing PostgreSQL where a newcomer has none.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use super::{PrivateError, Tried, tail};

/// Debian's package starts a cluster of its own on port 5432; we need its programs alone, so it is told not to while it
/// is installed. The setting goes away again: it is no business of ours for what is installed later.
const SCRIPT: &str = r#"
set -eu
export DEBIAN_FRONTEND=noninteractive
settings=/etc/postgresql-common/createcluster.d
mkdir -p "$settings"
trap 'rm -f "$settings/companion.conf"; rmdir "$settings" 2>/dev/null || true' EXIT
echo 'create_main_cluster = false' >"$settings/companion.conf"
apt-get -q -o DPkg::Lock::Timeout=300 update >&2 || true
apt-get -q -y -o DPkg::Lock::Timeout=300 --no-install-recommends install postgresql >&2
"#;

/// Installs Debian's package `postgresql`, or says in one line what a person has to install.
pub(super) fn install() -> Result<(), PrivateError> {
    if !Path::new("/usr/bin/apt-get").exists() {
        return Err(PrivateError::Programs(advice()));
    }
    let mut command = match may() {
        May::AsRoot => Command::new("/bin/sh"),
        May::WithSudo => {
            let mut sudo = Command::new("sudo");
            sudo.args(["-n", "/bin/sh"]);
            sudo
        }
        May::Not => return Err(PrivateError::Programs(advice())),
    };
    tracing::info!("PostgreSQL is missing: installing Debian's package `postgresql`");
    let output = command
        .args(["-c", SCRIPT])
        .stdin(Stdio::null())
        .output()
        .tried(|| "run apt-get".to_owned())?;
    if output.status.success() {
        return Ok(());
    }
    Err(PrivateError::Failed {
        program: "apt-get install postgresql".to_owned(),
        output: tail(&output.stderr),
    })
}

/// What to install, in one line.
pub(super) fn advice() -> String {
    let how = if Path::new("/usr/bin/apt-get").exists() {
        "run `sudo apt-get install postgresql`"
    } else if cfg!(target_os = "macos") {
        "run `brew install postgresql@17`"
    } else {
        "install PostgreSQL 14 or newer (its server programs `initdb` and `postgres`)"
    };
    format!("PostgreSQL's programs are missing: {how}, or set DATABASE_URL to a database of yours")
}

enum May {
    AsRoot,
    WithSudo,
    Not,
}

/// Whether we may install, without asking anybody for a password.
fn may() -> May {
    let says = |program: &str, arguments: &[&str]| {
        Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .ok()
            .filter(|output| output.status.success())
            .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    if says("id", &["-u"]).as_deref() == Some("0") {
        May::AsRoot
    } else if says("sudo", &["-n", "true"]).is_some() {
        May::WithSudo
    } else {
        May::Not
    }
}
