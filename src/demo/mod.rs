//! Demo data for development: believable people, prices, times, bookings in every state, reviews and reports.
//!
//! The same on every machine, relative to the day on which it is loaded.

use diesel::{
    QueryableByName,
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

/// Fills a database that has no people; false, and nothing done, when it has some.
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
    if found.populated {
        return Ok(false);
    }
    // A script of several statements takes no parameters; the text is our own clock's.
    tx.batch_execute(&SCRIPT.replace("{{now}}", &app.clock.now().to_string()))
        .await?;
    tx.commit().await?;
    Ok(true)
}

/// A person of the demo data, signed in.
#[derive(Clone, Debug)]
pub struct Person {
    /// What the person is for: `client`, `provider` or `admin`.
    pub role: &'static str,
    /// The name that everyone sees.
    pub name: String,
    /// A fresh access token.
    pub access_token: String,
}

/// One client, one provider and one admin of the demo data, each with a new session; empty without demo data.
pub async fn people(app: &App) -> Result<Vec<Person>> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = SqlUuid)]
        id: UserId,
        #[diesel(sql_type = Text)]
        display_name: String,
    }
    let mut people = Vec::new();
    for (role, username) in [
        ("client", "demo_client"),
        ("provider", "demo_provider"),
        ("admin", "demo_admin"),
    ] {
        let rows: Vec<Row> = diesel::sql_query(
            "SELECT id, display_name FROM users WHERE username = $1 AND status = 'ACTIVE'",
        )
        .bind::<Text, _>(username)
        .load(&mut *app.db.conn().await?)
        .await?;
        for row in rows {
            let signed_in = service::issue_for_operator(app, row.id).await?;
            people.push(Person {
                role,
                name: row.display_name,
                access_token: signed_in.access_token,
            });
        }
    }
    Ok(people)
}

/// Prints ready-made tokens of [`people`].
pub async fn print_people(app: &App) -> Result<()> {
    for Person {
        role,
        name,
        access_token,
    } in people(app).await?
    {
        println!("\n{role} ({name}), good for 30 minutes:\n{access_token}");
    }
    println!();
    Ok(())
}

/// Signs demo people in on the GraphiQL page; for development alone.
pub struct DemoSignIn(pub App);

#[async_trait::async_trait]
impl DemoPeople for DemoSignIn {
    async fn people(&self) -> Vec<DemoPerson> {
        match people(&self.0).await {
            Ok(people) => people
                .into_iter()
                .map(
                    |Person {
                         role,
                         name,
                         access_token,
                     }| DemoPerson {
                        label: format!("{name} ({role})"),
                        role: role.to_owned(),
                        access_token,
                    },
                )
                .collect(),
            Err(error) => {
                tracing::warn!(%error, "demo people cannot sign in");
                Vec::new()
            }
        }
    }
}
