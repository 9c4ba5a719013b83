//! `companion admin`.

use clap::Subcommand;

use super::output::{Failure, app};
use crate::{config::Config, features::accounts::service};

/// Manage administrators.
#[derive(Subcommand)]
pub(super) enum Admin {
    /// Make the person of this Telegram account an administrator (the account is made when there is none).
    Create {
        /// The Telegram user id that signs the person in.
        #[arg(long)]
        telegram_id: i64,
        /// The name that everyone sees.
        #[arg(long, default_value = "Administrator")]
        name: String,
    },
}

impl Admin {
    pub(super) async fn run(self, config: Config) -> Result<(), Failure> {
        let Self::Create { telegram_id, name } = self;
        let user = service::create_admin(&app(config)?, telegram_id, &name).await?;
        println!("{} is an administrator", user.id);
        Ok(())
    }
}
