//! One connection type for both databases, and how its connections are made.

use std::path::Path;

use diesel::connection::SimpleConnection;
use diesel::r2d2::{ManageConnection, R2D2Connection as _};
use diesel::{Connection as _, ConnectionError, PgConnection, SqliteConnection};
use telemetry_core::db::TracedConnection;

use super::DatabaseUrl;

/// SQLite's connection. (The derive takes names alone, no type arguments.)
type TracedSqlite = TracedConnection<SqliteConnection>;

/// PostgreSQL's.
type TracedPostgres = TracedConnection<PgConnection>;

/// A connection to either database; [`crate::db::Connection`] to everyone else. (The derive brings
/// diesel's own `Connection` into scope here.)
#[derive(diesel::MultiConnection)]
pub enum AnyConnection {
    /// To a file.
    Sqlite(TracedSqlite),
    /// To a server.
    Postgres(TracedPostgres),
}

/// Readers never wait for the writer (WAL), whose commits survive a crash of the process and, but for
/// the last few, of the machine (NORMAL). Another process's write is waited for, 5 s at most.
/// `busy_timeout` comes first: switching to WAL needs it.
const SQLITE_SETTINGS: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; \
     PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;";

impl AnyConnection {
    /// Connects; with SQLite, creates the file and its folder where they are missing.
    ///
    /// # Errors
    /// The database's own words. (`MultiConnection` would try each kind and tell only that none worked.)
    pub fn open(url: &DatabaseUrl) -> Result<Self, ConnectionError> {
        match url {
            DatabaseUrl::Sqlite(file) => open_sqlite(file).map(Self::Sqlite),
            DatabaseUrl::Postgres(url) => TracedPostgres::establish(url.as_str()).map(Self::Postgres),
        }
    }

    /// diesel's `transaction`, with the spans that `work` opens below the transaction's.
    ///
    /// # Errors
    /// Those of `work`, and of the transaction itself.
    pub fn transaction<T, E: From<diesel::result::Error>>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        telemetry_core::db::transaction(self, work)
    }
}

fn open_sqlite(file: &Path) -> Result<TracedSqlite, ConnectionError> {
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|error| bad_file(file, &error))?;
    }
    let name = file.to_str().ok_or_else(|| bad_file(file, &"the path is not UTF-8"))?;
    let mut connection = TracedSqlite::establish(name).map_err(|error| bad_file(file, &error))?;
    connection.batch_execute(SQLITE_SETTINGS).map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(connection)
}

fn bad_file(file: &Path, what: &dyn std::fmt::Display) -> ConnectionError {
    ConnectionError::BadConnection(format!("{}: {what}", file.display()))
}

/// Makes connections for a pool.
#[derive(Debug, Clone)]
pub struct Manager {
    url: DatabaseUrl,
}

impl Manager {
    pub(super) fn new(url: DatabaseUrl) -> Self {
        Self { url }
    }
}

impl ManageConnection for Manager {
    type Connection = AnyConnection;
    type Error = diesel::r2d2::Error;

    fn connect(&self) -> Result<AnyConnection, diesel::r2d2::Error> {
        AnyConnection::open(&self.url).map_err(diesel::r2d2::Error::ConnectionError)
    }

    fn is_valid(&self, connection: &mut AnyConnection) -> Result<(), diesel::r2d2::Error> {
        // SQLite would go on writing to a file that was removed, where nobody can read it again.
        if let DatabaseUrl::Sqlite(file) = &self.url {
            std::fs::metadata(file)
                .map_err(|error| bad_file(file, &error))
                .map_err(diesel::r2d2::Error::ConnectionError)?;
        }
        connection.ping().map_err(diesel::r2d2::Error::QueryError)
    }

    fn has_broken(&self, connection: &mut AnyConnection) -> bool {
        // A transaction that was left open would swallow the next user's writes.
        std::thread::panicking() || connection.is_broken()
    }
}
