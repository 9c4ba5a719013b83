//! `companion migrate`.

use clap::Subcommand;

use super::output::{Failure, direct_url};
use crate::{config::Config, db::migrate};

/// What to do with the database's version.
#[derive(Subcommand)]
pub(super) enum Migrate {
    /// Apply what is missing.
    Up,
    /// Take the newest migration back.
    Down,
    /// List the migrations and which are applied.
    Status,
}

impl Migrate {
    pub(super) async fn run(self, config: &Config) -> Result<(), Failure> {
        let url = direct_url(config)?;
        match self {
            Self::Up => {
                for name in migrate::up(&url).await? {
                    println!("applied {name}");
                }
            }
            Self::Down => match migrate::down(&url).await? {
                Some(name) => println!("took back {name}"),
                None => println!("nothing is applied"),
            },
            Self::Status => {
                for migration in migrate::status(&url).await? {
                    let mark = if migration.applied {
                        "applied"
                    } else {
                        "missing"
                    };
                    println!("{mark}  {}", migration.name);
                }
            }
        }
        Ok(())
    }
}
