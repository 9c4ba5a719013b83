//! The database's versions, embedded in the binary.

use diesel_async::{AsyncMigrationHarness, AsyncPgConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// Why a migration did not run; its text is for the operator's log.
#[derive(Debug, thiserror::Error)]
#[error("migration failed: {0}")]
pub struct MigrationError(String);

/// One migration and whether the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationStatus {
    /// Its folder's name.
    pub name: String,
    /// Whether it is applied.
    pub applied: bool,
}

async fn harness(url: &str) -> Result<AsyncMigrationHarness<AsyncPgConnection>, MigrationError> {
    let connection = super::pool::connect(url, None)
        .await
        .map_err(|error| MigrationError(format!("cannot connect: {error}")))?;
    Ok(AsyncMigrationHarness::new(connection))
}

fn failed(error: impl std::fmt::Display) -> MigrationError {
    MigrationError(error.to_string())
}

/// An advisory lock that keeps two starting servers from migrating at once.
const MIGRATION_LOCK: &str = "SELECT pg_advisory_lock(7246091873)";

/// Applies what is missing; answers the names of what it applied. Needs a multi-thread runtime.
pub async fn up(url: &str) -> Result<Vec<String>, MigrationError> {
    let mut connection = super::pool::connect(url, None)
        .await
        .map_err(|error| MigrationError(format!("cannot connect: {error}")))?;
    diesel_async::SimpleAsyncConnection::batch_execute(&mut connection, MIGRATION_LOCK)
        .await
        .map_err(failed)?;
    let mut harness = AsyncMigrationHarness::new(connection);
    let applied = harness.run_pending_migrations(MIGRATIONS).map_err(failed)?;
    Ok(applied.iter().map(ToString::to_string).collect())
}

/// Takes the newest applied migration back; answers its name, or nothing when none is applied.
pub async fn down(url: &str) -> Result<Option<String>, MigrationError> {
    let mut harness = harness(url).await?;
    if harness.applied_migrations().map_err(failed)?.is_empty() {
        return Ok(None);
    }
    let reverted = harness.revert_last_migration(MIGRATIONS).map_err(failed)?;
    Ok(Some(reverted.to_string()))
}

/// Every migration that this binary knows, oldest first.
pub async fn status(url: &str) -> Result<Vec<MigrationStatus>, MigrationError> {
    use diesel::migration::MigrationSource;
    let mut harness = harness(url).await?;
    let applied = harness.applied_migrations().map_err(failed)?;
    let mut known = MigrationSource::<diesel::pg::Pg>::migrations(&MIGRATIONS).map_err(failed)?;
    known.sort_by_key(|migration| migration.name().to_string());
    Ok(known
        .iter()
        .map(|migration| MigrationStatus {
            name: migration.name().to_string(),
            applied: applied.contains(&migration.name().version()),
        })
        .collect())
}
