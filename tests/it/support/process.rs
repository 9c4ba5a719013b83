//! The program itself, serving, as an operator starts it.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use super::Client;

/// `companion serve` on a database of somebody else's, killed with this.
pub struct Process {
    child: Child,
    folder: PathBuf,
    base_url: String,
}

impl Process {
    /// Starts it with these settings besides, on a free port, without jobs; waits until it serves.
    pub async fn start(database_url: String, settings: &[(&str, String)]) -> Self {
        let settings: Vec<(String, String)> = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        tokio::task::spawn_blocking(move || Self::spawn(&database_url, settings))
            .await
            .unwrap()
    }

    fn spawn(database_url: &str, settings: Vec<(String, String)>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let base_url = format!("http://{address}");
        let name = format!("companion-copy-{}-{}", std::process::id(), address.port());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_companion"))
            .arg("serve")
            // Where no `.env` lies.
            .current_dir(&folder)
            .env_clear()
            .env("DATABASE_URL", database_url)
            .env("PORT", address.port().to_string())
            .env("BASE_URL", &base_url)
            .env("LOG_LEVEL", "error")
            .env("RUN_WORKER", "false")
            .env("DATA_DIR", &folder)
            .envs(settings)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let serves = lines.any(|line| line.is_ok_and(|line| line.starts_with("GraphQL ")));
        // Reads on, or else the server would write to nobody.
        std::thread::spawn(move || lines.count());
        let process = Self {
            child,
            folder,
            base_url,
        };
        assert!(serves, "the server starts");
        process
    }

    /// A client of it that is not signed in.
    pub fn anonymous(&self) -> Client {
        Client::new(&self.base_url, None)
    }

    /// The same person at this server.
    pub fn as_seen_by(&self, person: &Client) -> Client {
        let mut client = Client::new(&self.base_url, person.token());
        client.user_id.clone_from(&person.user_id);
        client
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
