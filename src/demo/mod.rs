//! Demo data for development: believable people, prices, times, bookings in every state, reviews and reports.
//!
//! The same on every machine, relative to the day on which it is loaded.

mod payments;

use diesel::{
    OptionalExtension, QueryableByName,
    sql_types::{Bool, Text, Uuid as SqlUuid},
};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};

use crate::{
    app::App,
    db::ids::UserId,
    error::Result,
    features::accounts::service,
    http::graphiql::{DemoPeople, DemoPerson},
};

const SCRIPT: &str = include_str!("demo.sql");
const WINDOWS: &str = include_str!("windows.sql");

/// Fills a database that has no people. One that has some keeps them, and this answers false; the demo people among
/// them get times for the next 14 days again.
pub async fn load(app: &App) -> Result<bool> {
    #[derive(QueryableByName)]
    struct Populated {
        #[diesel(sql_type = Bool)]
        populated: bool,
    }
    let mut tx = app.db.begin().await?;
    // Of two servers that start on one empty database, one loads.
    tx.batch_execute("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE")
        .await?;
    let found: Populated = diesel::sql_query("SELECT EXISTS (SELECT FROM users) AS populated")
        .get_result(&mut *tx)
        .await?;
    let script = if found.populated { WINDOWS } else { SCRIPT };
    // A script of several statements takes no parameters; the text is our own clock's.
    tx.batch_execute(&script.replace("{{now}}", &app.clock.now().to_string()))
        .await?;
    if !found.populated {
        payments::pay(&mut tx, app).await?;
    }
    tx.commit().await?;
    Ok(!found.populated)
}

/// The people whom one may pick: what each is for, and the username.
const PEOPLE: [(&str, &str); 4] = [
    ("client", "demo_client"),
    ("provider", "demo_provider"),
    ("moderator", "demo_moderator"),
    ("admin", "demo_admin"),
];

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = SqlUuid)]
    id: UserId,
    #[diesel(sql_type = Text)]
    display_name: String,
}

async fn person(app: &App, username: &str) -> Result<Option<Row>> {
    let row = diesel::sql_query(
        "SELECT id, display_name FROM users WHERE username = $1 AND status = 'ACTIVE'",
    )
    .bind::<Text, _>(username)
    .get_result(&mut *app.db.conn().await?)
    .await
    .optional()?;
    Ok(row)
}

/// Prints ready-made tokens of the demo people, each with a new session; nothing without demo data.
pub async fn print_people(app: &App) -> Result<()> {
    for (role, username) in PEOPLE {
        let Some(Row { id, display_name }) = person(app, username).await? else {
            continue;
        };
        let minutes = app.config.access_token_ttl.as_secs() / 60;
        let token = service::issue_for_operator(app, id).await?.access_token;
        println!("\n{role} ({display_name}), good for {minutes} minutes:\n{token}");
    }
    println!();
    Ok(())
}

/// Signs demo people in on the GraphiQL page; for development alone.
pub struct DemoSignIn(pub App);

impl DemoSignIn {
    async fn found(&self) -> Result<Vec<DemoPerson>> {
        let mut found = Vec::new();
        for (role, username) in PEOPLE {
            if let Some(person) = person(&self.0, username).await? {
                found.push(DemoPerson {
                    label: person.display_name,
                    role: role.to_owned(),
                });
            }
        }
        Ok(found)
    }

    async fn signed_in(&self, role: &str) -> Result<Option<String>> {
        let Some((_, username)) = PEOPLE.iter().find(|(known, _)| *known == role) else {
            return Ok(None);
        };
        let Some(person) = person(&self.0, username).await? else {
            return Ok(None);
        };
        let signed_in = service::issue_for_operator(&self.0, person.id).await?;
        Ok(Some(signed_in.access_token))
    }
}

#[async_trait::async_trait]
impl DemoPeople for DemoSignIn {
    async fn people(&self) -> Vec<DemoPerson> {
        self.found().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "demo people are not known");
            Vec::new()
        })
    }

    async fn sign_in(&self, role: &str) -> Option<String> {
        self.signed_in(role).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "a demo person cannot sign in");
            None
        })
    }
}
