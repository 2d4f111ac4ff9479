//! Bringing the tables up to date, also when several processes start at once.

use anyhow::Context as _;
use diesel::connection::SimpleConnection as _;
use diesel::migration::{MigrationVersion, Result as MigrationResult};
use diesel::{Connection as _, RunQueryDsl as _};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness};

use super::{Connection, DatabaseUrl};

/// Names the lock under which processes that start at once migrate one after the other. Any number
/// would do that every version of every service here agrees on; databases do not share locks.
const LOCK: &str = "SELECT pg_advisory_xact_lock(4317)";

/// Takes every table there is, those that were made first first, as most changes do. A migration that makes a table anew
/// copies it: what a version that still serves would write in between would be lost.
///
/// A change that takes tables in another order would wait for us while we wait for it. So who waits half a second for one
/// of them lets go of all: two that wait for each other have parted before PostgreSQL would look for a deadlock
/// (`deadlock_timeout`, 1 s) and end the change. What queues behind us gets through in the pause. After a minute somebody holds a table who will not let go soon.
const TAKE_TABLES: &str = "
DO $$
DECLARE
    tables TEXT;
    give_up CONSTANT TIMESTAMPTZ := clock_timestamp() + INTERVAL '1 minute';
BEGIN
    -- Only their owner may alter them.
    SELECT string_agg(oid::regclass::text, ', ' ORDER BY oid) INTO tables FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND pg_has_role(relowner, 'USAGE');
    PERFORM set_config('lock_timeout', '500ms', true);
    LOOP
        BEGIN
            EXECUTE 'LOCK TABLE ' || tables;
            RETURN;
        EXCEPTION WHEN lock_not_available THEN
            IF clock_timestamp() > give_up THEN
                RAISE;
            END IF;
        END;
        PERFORM pg_sleep(0.1);
    END LOOP;
END
$$";

/// Runs what has not run yet, all of it or nothing, and names it. Meanwhile nobody writes.
pub(super) fn run(url: &DatabaseUrl, migrations: EmbeddedMigrations) -> anyhow::Result<Vec<String>> {
    match Connection::open(url).context("connecting")? {
        // Takes the write lock before it looks what is pending.
        Connection::Sqlite(mut connection) => connection
            .immediate_transaction(|connection| names(connection.run_pending_migrations(migrations))),
        Connection::Postgres(mut connection) => connection.transaction(|connection| {
            diesel::sql_query(LOCK).execute(connection)?;
            let pending = connection.pending_migrations(migrations).map_err(anyhow::Error::from_boxed)?;
            if !pending.is_empty() {
                connection.batch_execute(TAKE_TABLES).context("taking the tables")?;
            }
            names(connection.run_migrations(&pending))
        }),
    }
}

fn names(applied: MigrationResult<Vec<MigrationVersion<'_>>>) -> anyhow::Result<Vec<String>> {
    let applied = applied.map_err(anyhow::Error::from_boxed)?;
    Ok(applied.iter().map(ToString::to_string).collect())
}
