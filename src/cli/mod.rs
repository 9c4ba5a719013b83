//! The command line, a file a command.

mod admin;
mod demo;
mod migrate;
mod output;
mod schema;
mod serve;
mod telegram;
mod token;
mod worker;

use clap::{Parser, Subcommand};

use crate::config::Config;
use output::Failure;

/// One GraphQL API for a services marketplace.
#[derive(Parser)]
#[command(name = "companion", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API. In development it migrates the database and fills an empty one with demo data; without
    /// `DATABASE_URL` it starts a private PostgreSQL for that.
    Serve,
    /// Do background work alone (with `RUN_WORKER=false` on the servers).
    Worker,
    /// Bring the database to a version.
    #[command(subcommand)]
    Migrate(migrate::Migrate),
    /// Manage administrators.
    #[command(subcommand)]
    Admin(admin::Admin),
    /// Manage demo data.
    #[command(subcommand)]
    Demo(demo::Demo),
    /// Print the schema (SDL), or write it to a file.
    Schema(schema::Schema),
    /// Tools for Telegram sign-in.
    #[command(subcommand)]
    Telegram(telegram::Telegram),
    /// Issue access tokens by the operator's word.
    #[command(subcommand)]
    Token(token::Token),
}

/// Runs the command that the arguments name; answers the exit code (78: the settings are refused).
pub async fn run() -> std::process::ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        Command::Schema(command) => command.run(),
        command => match Config::from_env() {
            Ok(config) => with_config(command, config).await,
            Err(error) => Err(Failure::settings(error)),
        },
    };
    output::exit_code(outcome)
}

async fn with_config(command: Command, config: Config) -> Result<(), Failure> {
    match command {
        Command::Serve => serve::run(config).await,
        Command::Worker => worker::run(config).await,
        Command::Migrate(command) => command.run(&config).await,
        Command::Admin(command) => command.run(config).await,
        Command::Demo(command) => command.run(config).await,
        Command::Schema(command) => command.run(),
        Command::Telegram(command) => command.run(&config),
        Command::Token(command) => command.run(config).await,
    }
}
