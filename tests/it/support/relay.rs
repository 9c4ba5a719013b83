//! Something between the server and its database.

use secrecy::{ExposeSecret, SecretString};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
};
use tokio_postgres::config::Host;

/// The address of something that hands each of its callers to `pass`, with a connection to the database at `url`.
pub fn relay<F>(
    url: &SecretString,
    pass: impl Fn(TcpStream, UnixStream) -> F + Send + 'static,
) -> SecretString
where
    F: Future<Output = ()> + Send + 'static,
{
    let config: tokio_postgres::Config = url.expose_secret().parse().unwrap();
    let Host::Unix(folder) = &config.get_hosts()[0] else {
        panic!("tests reach their database over a socket")
    };
    let socket = folder.join(format!(".s.PGSQL.{}", config.get_ports()[0]));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let listener = TcpListener::from_std(listener).unwrap();
    let address = format!(
        "postgres://{}@{}/{}?sslmode=disable",
        config.get_user().unwrap(),
        listener.local_addr().unwrap(),
        config.get_dbname().unwrap(),
    );
    tokio::spawn(async move {
        while let Ok((caller, _)) = listener.accept().await {
            let server = UnixStream::connect(&socket).await.unwrap();
            tokio::spawn(pass(caller, server));
        }
    });
    SecretString::from(address)
}

/// Passes everything on until `silent`, and nothing from then on: such a connection stays open and says nothing, even
/// when others are answered again.
pub fn stalling(url: &SecretString, silent: watch::Receiver<bool>) -> SecretString {
    relay(url, move |mut caller, mut server| {
        let mut silent = silent.clone();
        async move {
            tokio::select! {
                _ = copy_bidirectional(&mut caller, &mut server) => return,
                _ = silent.wait_for(|silent| *silent) => {}
            }
            std::future::pending().await
        }
    })
}
