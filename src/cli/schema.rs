//! `companion schema`.

use std::path::PathBuf;

use clap::Args;

use super::output::Failure;

/// Where the schema goes.
#[derive(Args)]
pub(super) struct Schema {
    /// Write it to this file instead of printing it.
    #[arg(long, short)]
    output: Option<PathBuf>,
}

impl Schema {
    pub(super) fn run(self) -> Result<(), Failure> {
        let sdl = crate::graphql::sdl();
        match self.output {
            Some(path) => std::fs::write(path, sdl)?,
            None => print!("{sdl}"),
        }
        Ok(())
    }
}
