//! The private PostgreSQL: who may connect, what a crash leaves, and who ends it.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use companion::db::private::{PrivateCluster, PrivateError, PrivateOptions};
use tokio::{task::JoinHandle, time::timeout};
use tokio_postgres::{Client, NoTls};

use crate::support::cluster::{self, TestDatabase};

const LIMIT: Duration = Duration::from_secs(60);

/// A folder in the place of a clone, readable to all like most clones.
struct Clone(PathBuf);

impl Clone {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("companion-clone-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }

    fn folder(&self) -> PathBuf {
        self.0.join(".companion")
    }

    async fn start(&self) -> Result<PrivateCluster, PrivateError> {
        let options = PrivateOptions::development(self.folder()).install_missing(false);
        tokio::task::spawn_blocking(|| PrivateCluster::start(options))
            .await
            .unwrap()
    }
}

impl Drop for Clone {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

async fn connect(url: &str) -> (Client, JoinHandle<()>) {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    let ended = tokio::spawn(async move {
        let _ = connection.await;
    });
    (client, ended)
}

async fn write(url: &str) {
    let (client, _) = connect(url).await;
    client
        .batch_execute("CREATE TABLE kept AS SELECT 'ДОБРО' AS word")
        .await
        .unwrap();
}

async fn assert_kept(url: &str) {
    let (client, _) = connect(url).await;
    let row = client
        .query_one("SELECT lower(word) FROM kept", &[])
        .await
        .unwrap();
    assert_eq!(row.get::<_, &str>(0), "добро");
}

fn sh(script: &str, argument: &str) -> String {
    let output = Command::new("/bin/sh")
        .args(["-c", script, "sh", argument])
        .output()
        .unwrap();
    assert!(output.status.success(), "{script}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn is_root() -> bool {
    sh("id -u", "") == "0"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_start_finds_the_data_at_the_same_address() {
    let clone = Clone::new("second");
    let first = clone.start().await.unwrap();
    let url = first.url();
    write(&url).await;
    first.stop().unwrap();
    assert!(tokio_postgres::connect(&url, NoTls).await.is_err());

    let second = clone.start().await.unwrap();
    assert_eq!(second.url(), url);
    assert_kept(&url).await;
    assert_kept(&second.socket_url_of("companion")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn loopback_wants_the_password_and_secrets_stay_ours() {
    let clone = Clone::new("secret");
    let cluster = clone.start().await.unwrap();
    let (_, rest) = cluster
        .url()
        .split_once('@')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    for who in ["companion", "companion:wrong", "postgres"] {
        let outcome = tokio_postgres::connect(&format!("postgres://{who}@{rest}"), NoTls).await;
        assert!(outcome.is_err(), "{who}");
    }
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&cluster.folder().join("password")), 0o600);
    assert_eq!(mode(&cluster.folder().join("data")), 0o700);
    assert_eq!(mode(cluster.socket_folder()), 0o700);
    assert!(mode(cluster.folder()) & 0o066 == 0);
    let password = fs::read_to_string(cluster.folder().join("password")).unwrap();
    assert!(!format!("{cluster:?}").contains(password.trim()));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_at_a_time_owns_a_folder() {
    let clone = Clone::new("owned");
    let _first = clone.start().await.unwrap();
    let error = clone.start().await.unwrap_err();
    assert!(matches!(error, PrivateError::InUse { .. }), "{error}");
    let own = format!("process {}", std::process::id());
    assert!(error.to_string().contains(&own), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_recovers_even_when_its_process_id_is_taken() {
    let clone = Clone::new("killed");
    let first = clone.start().await.unwrap();
    write(&first.url()).await;
    let (_client, ended) = connect(&first.url()).await;
    sh("kill -KILL $1", &first.pid().to_string());
    timeout(LIMIT, ended).await.unwrap().unwrap();
    let pid_file = first.folder().join("data/postmaster.pid");
    drop(first);

    // The id now belongs to another process of the same account, as happens in containers.
    let stale = fs::read_to_string(&pid_file).unwrap();
    let (_, rest) = stale.split_once('\n').unwrap();
    let taken = cluster::cluster().pid();
    fs::write(&pid_file, format!("{taken}\n{rest}")).unwrap();

    let second = clone.start().await.unwrap();
    assert_kept(&second.url()).await;
    assert!(cluster::cluster().is_running());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_in_a_closed_folder_keeps_its_data_outside() {
    if !is_root() {
        // Everybody else runs the server as themselves, to whom nothing of theirs is closed.
        return;
    }
    let clone = Clone::new("closed");
    fs::set_permissions(&clone.0, fs::Permissions::from_mode(0o700)).unwrap();
    let first = clone.start().await.unwrap();
    let home = first.folder().to_owned();
    assert!(!home.starts_with(&clone.0), "{home:?}");
    assert!(!clone.folder().join("postgres").exists());
    write(&first.url()).await;
    first.stop().unwrap();

    let second = clone.start().await.unwrap();
    assert_eq!(second.folder(), home);
    assert_kept(&second.url()).await;
    second.stop().unwrap();

    // Who removes `.companion` begins anew.
    fs::remove_dir_all(clone.folder()).unwrap();
    let third = clone.start().await.unwrap();
    let (client, _) = connect(&third.url()).await;
    assert!(client.batch_execute("SELECT FROM kept").await.is_err());
    third.stop().unwrap();
    fs::remove_dir_all(&home).unwrap();
}

/// Not a test by itself: the owner of a cluster, in a process that a test can kill.
#[test]
fn owner_process() {
    let Some(folder) = env::var_os("TEST_OWNER_OF") else {
        return;
    };
    let options = match folder.to_str() {
        Some("") => PrivateOptions::throwaway(),
        _ => PrivateOptions::development(folder),
    };
    let cluster = PrivateCluster::start(options).unwrap();
    println!("\nURL {}", cluster.url());
    println!("FOLDER {}", cluster.folder().display());
    // Until killed, or until the test that started this is gone.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

/// Starts an owner; answers it, the address and the folder of its cluster.
fn spawn_owner(folder: &Path) -> (Child, String, PathBuf) {
    let mut owner = Command::new(env::current_exe().unwrap())
        .args(["--exact", "private_postgres::owner_process", "--nocapture"])
        .env("TEST_OWNER_OF", folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(owner.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let mut find = |key: &str| {
        let line = lines.find_map(|line| line.strip_prefix(key).map(str::to_owned));
        line.expect("the owner says it")
    };
    let (url, folder) = (find("URL "), find("FOLDER "));
    (owner, url, folder.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_owner_takes_its_server_along_and_leaves_good_data() {
    let clone = Clone::new("owner");
    let (mut owner, url, home) = spawn_owner(&clone.folder());
    write(&url).await;
    let (_client, ended) = connect(&url).await;
    owner.kill().unwrap();
    owner.wait().unwrap();
    timeout(LIMIT, ended).await.unwrap().unwrap();

    // It may still be writing its last; the next start waits for that.
    let next = clone.start().await.unwrap();
    assert_eq!(next.folder(), home);
    assert_kept(&next.url()).await;
    let log = fs::read_to_string(next.log()).unwrap();
    assert!(!log.contains("was not properly shut down"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_stays_of_a_throwaway_cluster_whose_owner_is_killed() {
    let (mut owner, url, home) = spawn_owner(Path::new(""));
    let (_client, ended) = connect(&url).await;
    assert!(home.exists());
    owner.kill().unwrap();
    owner.wait().unwrap();
    timeout(LIMIT, ended).await.unwrap().unwrap();
    let gone = async {
        while home.exists() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, gone).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_test_database_is_migrated_and_its_own() {
    let (one, other) = tokio::join!(TestDatabase::create(), TestDatabase::create());
    let (client, _) = connect(&one.url()).await;
    client
        .batch_execute("CREATE TABLE mine (); SELECT FROM bookings")
        .await
        .unwrap();
    let (client, _) = connect(&other.url()).await;
    client.batch_execute("SELECT FROM bookings").await.unwrap();
    assert!(client.batch_execute("SELECT FROM mine").await.is_err());

    let blank = TestDatabase::blank().await;
    let (client, _) = connect(&blank.url()).await;
    assert!(client.batch_execute("SELECT FROM bookings").await.is_err());
}
