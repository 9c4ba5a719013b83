//! `companion demo`.

use clap::Subcommand;

use super::output::{Failure, app};
use crate::{config::Config, demo};

/// Manage demo data.
#[derive(Subcommand)]
pub(super) enum Demo {
    /// Fill an empty database with believable people, times, bookings and reviews. Refused in production.
    Load,
}

impl Demo {
    pub(super) async fn run(self, config: Config) -> Result<(), Failure> {
        let Self::Load = self;
        if config.is_production() {
            return Err(Failure::settings("demo data is for development"));
        }
        let loaded = demo::load(&app(config)?).await?;
        println!(
            "{}",
            if loaded {
                "demo data is loaded"
            } else {
                "the database has people already: nothing was done"
            }
        );
        Ok(())
    }
}
