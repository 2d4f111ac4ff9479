//! Bringing the tables up to date, also when several processes start at once.

use anyhow::Context as _;
use diesel::migration::{MigrationVersion, Result as MigrationResult};
use diesel::{Connection as _, RunQueryDsl as _};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness};

use super::{Connection, DatabaseUrl};

/// Names the lock under which processes that start at once migrate one after the other. Any number
/// would do that every version of every service here agrees on; databases do not share locks.
const LOCK: &str = "SELECT pg_advisory_xact_lock(4317)";

/// Runs what has not run yet, all of it or nothing, and names it.
pub(super) fn run(url: &DatabaseUrl, migrations: EmbeddedMigrations) -> anyhow::Result<Vec<String>> {
    match Connection::open(url).context("connecting")? {
        // Takes the write lock before it looks what is pending.
        Connection::Sqlite(mut connection) => connection
            .immediate_transaction(|connection| names(connection.run_pending_migrations(migrations))),
        Connection::Postgres(mut connection) => connection.transaction(|connection| {
            diesel::sql_query(LOCK).execute(connection)?;
            names(connection.run_pending_migrations(migrations))
        }),
    }
}

fn names(applied: MigrationResult<Vec<MigrationVersion<'_>>>) -> anyhow::Result<Vec<String>> {
    let applied = applied.map_err(anyhow::Error::from_boxed)?;
    Ok(applied.iter().map(ToString::to_string).collect())
}
