//! `companion token`.

use clap::Subcommand;

use super::output::{Failure, app};
use crate::{config::Config, db::ids::UserId, features::accounts::service};

/// Issue access tokens by the operator's word.
#[derive(Subcommand)]
pub(super) enum Token {
    /// Begin a session for a person and print its tokens; it is in the audit trail.
    Issue {
        /// The person (`usr_…`).
        user: String,
    },
}

impl Token {
    pub(super) async fn run(self, config: Config) -> Result<(), Failure> {
        let Self::Issue { user } = self;
        let user: UserId = user
            .parse()
            .map_err(|_| Failure::new(format!("{user} is no person's id (usr_…)")))?;
        let signed_in = service::issue_for_operator(&app(config)?, user).await?;
        println!("access token:  {}", signed_in.access_token);
        println!("refresh token: {}", signed_in.refresh_token);
        println!("expires at:    {}", signed_in.expires_at);
        Ok(())
    }
}
