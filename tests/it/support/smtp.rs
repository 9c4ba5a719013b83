//! A mail server in a process of its own: aiosmtpd (`tests/smtp/`), with a certificate that only the test trusts.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use companion::config::{SmtpSecurity, SmtpSettings};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout},
};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/smtp");

/// A Python that can serve mail, if there is one. Without it the caller's test is skipped, which `python.sh` says; with
/// `SMTP_TEST=required` that is a failure.
fn python() -> Option<&'static str> {
    static PYTHON: OnceLock<Option<String>> = OnceLock::new();
    PYTHON
        .get_or_init(|| {
            let output = Command::new(format!("{FOLDER}/python.sh"))
                .stderr(Stdio::inherit())
                .output()
                .unwrap();
            let found = output
                .status
                .success()
                .then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned());
            let required = std::env::var("SMTP_TEST").is_ok_and(|value| value == "required");
            assert!(found.is_some() || !required, "SMTP_TEST=required");
            found
        })
        .as_deref()
}

/// What a mail server is like.
#[derive(Clone)]
pub struct Options {
    /// How it is reached.
    pub security: SmtpSecurity,
    /// User and password that it wants.
    pub user: Option<(&'static str, &'static str)>,
    /// 0 for a free one.
    pub port: u16,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            security: SmtpSecurity::StartTls,
            user: None,
            port: 0,
        }
    }
}

/// Certificates of an authority of the test's own, in a folder that goes with it.
pub struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    /// For a server at 127.0.0.1.
    pub fn make() -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("companion-smtp-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut authority = CertificateParams::new(Vec::<String>::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority =
            CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()])
            .unwrap()
            .signed_by(&key, &authority)
            .unwrap();
        for (name, pem) in [
            ("ca.pem", authority.pem()),
            ("server.pem", certificate.pem()),
            ("key.pem", key.serialize_pem()),
        ] {
            std::fs::write(folder.join(name), pem).unwrap();
        }
        Self { folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A running mail server; ends with this.
pub struct SmtpServer {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// Where it listens, at 127.0.0.1.
    pub port: u16,
}

impl SmtpServer {
    /// Starts one; nothing where no Python can.
    pub async fn start(certificates: &Certificates, options: &Options) -> Option<Self> {
        let python = tokio::task::spawn_blocking(python).await.unwrap()?;
        let mut command = tokio::process::Command::new(python);
        command
            .arg(Path::new(FOLDER).join("server.py"))
            .arg(options.port.to_string())
            .arg(word(options.security))
            .arg(certificates.file("server.pem"))
            .arg(certificates.file("key.pem"));
        if let Some((user, password)) = options.user {
            command.args([user, password]);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next_line().await.unwrap();
        let port = port.expect("the mail server starts").parse().unwrap();
        Some(Self { child, lines, port })
    }

    /// Settings with which a server of ours sends here.
    pub fn settings(&self, certificates: &Certificates, options: &Options) -> SmtpSettings {
        SmtpSettings {
            host: "127.0.0.1".to_owned(),
            port: self.port,
            credentials: options
                .user
                .map(|(user, password)| (user.to_owned(), password.into())),
            security: options.security,
            ca_file: Some(certificates.file("ca.pem")),
            from: "Companion <no-reply@example.org>".to_owned(),
            timeout: std::time::Duration::from_secs(20),
        }
    }

    /// The next message that it took. It says so before it answers, so that one that was sent is never missed.
    pub async fn next(&mut self) -> Value {
        let line = self.lines.next_line().await.unwrap();
        serde_json::from_str(&line.expect("a message")).unwrap()
    }

    /// Stops it; answers the messages that nobody asked for.
    pub async fn stop(mut self) -> Vec<Value> {
        drop(self.child.stdin.take());
        self.child.wait().await.unwrap();
        let mut rest = Vec::new();
        while let Some(line) = self.lines.next_line().await.unwrap() {
            rest.push(serde_json::from_str(&line).unwrap());
        }
        rest
    }
}

fn word(security: SmtpSecurity) -> &'static str {
    match security {
        SmtpSecurity::StartTls => "starttls",
        SmtpSecurity::Tls => "tls",
        SmtpSecurity::None => "none",
    }
}
