//! `companion admin`.

use clap::Subcommand;

use super::output::{Failure, app};
use crate::{
    config::Config,
    features::accounts::service::{self, AdminSignIn},
};

/// Manage administrators.
#[derive(Subcommand)]
pub(super) enum Admin {
    /// Make a person an administrator (the account is made when there is none).
    // A group, so that who gives neither is told of both.
    #[command(group(clap::ArgGroup::new("sign_in").required(true).args(["telegram_id", "email"])))]
    Create {
        /// The number of the Telegram account that signs the person in.
        #[arg(long, value_parser = clap::value_parser!(i64).range(1..=1 << 52))]
        telegram_id: Option<i64>,
        /// The e-mail address that signs the person in, once `passwordReset` has set a password.
        #[arg(long)]
        email: Option<String>,
        /// The name that everyone sees, of a new account.
        #[arg(long, default_value = "Administrator")]
        name: String,
    },
}

impl Admin {
    pub(super) async fn run(self, config: Config) -> Result<(), Failure> {
        let Self::Create {
            telegram_id,
            email,
            name,
        } = self;
        let sign_in = match (telegram_id, email) {
            (Some(id), _) => AdminSignIn::Telegram(id),
            (None, email) => AdminSignIn::Email(email.unwrap_or_default()),
        };
        let user = service::create_admin(&app(config)?, sign_in, &name).await?;
        println!("{} is an administrator", user.id);
        Ok(())
    }
}
