//! A pooler between the server and its database, which brings no messages: PgBouncer in transaction mode.

use std::time::Duration;

use diesel_async::SimpleAsyncConnection;
use secrecy::SecretString;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpStream, UnixStream},
    time::timeout,
};

use super::support::{TestApp, relay::relay};

/// The address of something that passes all but notifications between its callers and the database at `url`.
fn deaf_pooler(url: &SecretString) -> SecretString {
    relay(url, pass)
}

/// Ends with the first of the two.
async fn pass(mut caller: TcpStream, mut server: UnixStream) {
    let (mut from_caller, mut to_caller) = caller.split();
    let (mut from_server, mut to_server) = server.split();
    let answers = async {
        // Each message is a letter, its length with these four bytes, and the rest.
        let mut head = [0; 5];
        while from_server.read_exact(&mut head).await.is_ok() {
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
            let mut rest = vec![0; length as usize - 4];
            from_server.read_exact(&mut rest).await?;
            if head[0] != b'A' {
                to_caller.write_all(&[&head[..], &rest].concat()).await?;
            }
        }
        std::io::Result::Ok(())
    };
    tokio::select! {
        _ = copy(&mut from_caller, &mut to_server) => {}
        _ = answers => {}
    }
}

const REVOKE_ALL: &str = "UPDATE sessions SET revoked_at = created_at, revoked_reason = 'LOGOUT'";

#[tokio::test(flavor = "multi_thread")]
async fn where_no_message_arrives_an_ended_session_is_refused_at_once() {
    let app = TestApp::start_with(|config| {
        config.database_url = config.database_url.as_ref().map(deaf_pooler);
    })
    .await;
    let heard = timeout(Duration::from_secs(3), app.app.access.ready()).await;
    assert!(heard.is_err(), "what brings nothing is not taken for fresh");
    let mia = app.user("Mia").await;
    for _ in 0..2 {
        assert_eq!(
            mia.query("{ me { id } }").await.data()["me"]["id"],
            mia.user_id
        );
    }
    app.conn().await.batch_execute(REVOKE_ALL).await.unwrap();
    let refused = mia.query("{ me { id } }").await;
    assert_eq!(
        (refused.status, refused.error_code()),
        (401, "UNAUTHENTICATED")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_direct_address_leads_past_it() {
    let app = TestApp::start_with(|config| {
        config.database_direct_url = config.database_url.clone();
        config.database_url = config.database_url.as_ref().map(deaf_pooler);
    })
    .await;
    timeout(Duration::from_secs(30), app.app.access.ready())
        .await
        .expect("messages arrive");
    let mia = app.user("Mia").await;
    mia.query("{ me { id } }").await.data();
    let again = mia.query("{ __typename }").await;
    assert_eq!(again.statements, 0, "rights are kept");
}
