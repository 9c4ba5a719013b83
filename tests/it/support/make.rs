//! Builders: what a test needs there before anybody acts.

use companion::{
    db::{
        Instant,
        ids::{SessionId, UserId},
    },
    features::{
        accounts::service,
        users::model::{self as users, Language, User},
    },
};

use diesel_async::SimpleAsyncConnection;

use super::{Client, TestApp};

impl TestApp {
    /// A signed-in person with this name and the role USER.
    pub async fn user(&self, name: &str) -> Client {
        self.user_with_roles(name, &["USER"]).await
    }

    /// A signed-in person with these roles.
    pub async fn user_with_roles(&self, name: &str, roles: &[&str]) -> Client {
        let now = self.now();
        let id = UserId(self.app.entropy.uuid_v7(now));
        let user = User::new(id, name.to_owned(), Language::En, Instant(now));
        let mut conn = self.conn().await;
        assert!(users::insert_new(&mut conn, &user).await.unwrap());
        for role in roles {
            users::grant_role(&mut conn, id, role, Instant(now))
                .await
                .unwrap();
        }
        self.sign_in(id).await
    }

    /// A signed-in person with a role of their own that grants these permissions.
    pub async fn user_with_permissions(&self, name: &str, permissions: &[&str]) -> Client {
        let now = self.now();
        let uuid = || self.app.entropy.uuid_v7(now);
        // Its last 64 bits are random; the first ones are the clock's, which stands still.
        let role = format!("R{:016X}", uuid().as_u64_pair().1);
        let mut sql = format!(
            "INSERT INTO roles VALUES ('{}', '{role}', '', false, 1);",
            uuid()
        );
        for permission in permissions {
            sql.push_str(&format!(
                "INSERT INTO permissions VALUES ('{}', '{permission}', '', false) ON CONFLICT DO NOTHING;
                 INSERT INTO role_permissions SELECT r.id, p.id FROM roles r, permissions p
                     WHERE r.name = '{role}' AND p.name = '{permission}';",
                uuid()
            ));
        }
        self.conn().await.batch_execute(&sql).await.unwrap();
        self.user_with_roles(name, &[&role]).await
    }

    /// A new session of a person.
    pub async fn sign_in(&self, id: UserId) -> Client {
        let signed_in = service::issue_for_operator(&self.app, id).await.unwrap();
        let mut client = Client::new(&self.base_url, Some(signed_in.access_token));
        client.user_id = id.to_string();
        client
    }

    /// Waits until the server has heard of every change of rights so far, and lets it read these people's: from then
    /// on none of their requests pays for that.
    pub async fn settle(&self, people: &[&Client]) {
        self.app.access.ready().await;
        for person in people {
            person.query("{ me { id } }").await.data();
        }
    }

    /// The session ids of a person, oldest first.
    pub async fn sessions(&self, client: &Client) -> Vec<SessionId> {
        let answer = client.query("{ me { sessions { nodes { id } } } }").await;
        let mut ids: Vec<SessionId> = answer.data()["me"]["sessions"]["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|node| node["id"].as_str().unwrap().parse().unwrap())
            .collect();
        ids.reverse();
        ids
    }
}
