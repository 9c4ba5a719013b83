//! `companion telegram`.

use clap::Subcommand;
use serde_json::json;

use super::output::Failure;
use crate::{clock::Clock, config::Config, integrations::telegram};

/// Tools for Telegram sign-in.
#[derive(Subcommand)]
pub(super) enum Telegram {
    /// Print init data signed with the configured bot token, as a Mini App would get it, to try sign-in with.
    Sign {
        /// The Telegram user id.
        #[arg(long, default_value_t = 42)]
        id: i64,
        /// The first name.
        #[arg(long, default_value = "Ada")]
        first_name: String,
        /// The Telegram username.
        #[arg(long)]
        username: Option<String>,
        /// The language code, e.g. `ru`.
        #[arg(long)]
        language_code: Option<String>,
    },
}

impl Telegram {
    pub(super) fn run(self, config: &Config) -> Result<(), Failure> {
        let Self::Sign {
            id,
            first_name,
            username,
            language_code,
        } = self;
        let token = config
            .telegram_bot_tokens
            .first()
            .ok_or_else(|| Failure::settings("TELEGRAM_BOT_TOKEN is not set"))?;
        let mut user = json!({ "id": id, "first_name": first_name });
        if let Some(fields) = user.as_object_mut() {
            fields.extend(username.map(|name| ("username".to_owned(), name.into())));
            fields.extend(language_code.map(|code| ("language_code".to_owned(), code.into())));
        }
        println!(
            "{}",
            telegram::sign(&user.to_string(), token, Clock::system().now(), &[])?
        );
        Ok(())
    }
}
