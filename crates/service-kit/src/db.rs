//! The database of a service: SQLite or PostgreSQL, told apart by the URL alone.
//!
//! One set of diesel queries runs on both, over [`Connection`]. What the queries may use is what both
//! have: text, integers, booleans, timestamps; `RETURNING`; transactions.

#[expect(missing_docs, reason = "MultiConnection derives public types without documentation")]
mod connection;
mod error;
mod migrations;
mod url;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use diesel::RunQueryDsl as _;
use diesel_migrations::EmbeddedMigrations;
use telemetry_core::Telemetry;
use telemetry_core::config::Env;
use telemetry_core::db::{Pool, PoolOptions};

use crate::config::record;
use crate::deadline;

pub use self::connection::{AnyConnection as Connection, Manager, MultiBackend};
pub use self::error::DatabaseError;
pub use self::url::{DatabaseUrl, InvalidDatabaseUrl};

/// The reading connections of one process. Four serve two workers, each with a query in flight and one
/// waiting; more would cost memory and, on PostgreSQL, server processes.
const READ_CONNECTIONS: u32 = 4;

/// A request does not wait longer than this for a connection, nor than its [`deadline`].
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(3);

/// Where a service keeps its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseConfig {
    /// `DATABASE_URL`: `sqlite://PATH` or `postgres://USER:PASSWORD@HOST/DATABASE`.
    /// Default `sqlite://data/NAME.db`, where NAME is the service's without `-service`.
    pub url: DatabaseUrl,
}

impl DatabaseConfig {
    /// Reads the variables for the service of this name.
    pub fn read(env: &mut Env, service: &str) -> Self {
        let default = || DatabaseUrl::sqlite(format!("data/{}.db", service.trim_end_matches("-service")));
        let url = match env.text("DATABASE_URL").map(|text| text.parse::<DatabaseUrl>()) {
            None => default(),
            Some(Ok(url)) => url,
            Some(Err(error)) => {
                // The URL may hold a password, so the mistake does not show it.
                env.reject("DATABASE_URL", "", &error.to_string());
                default()
            }
        };
        record(env, "DATABASE_URL", format!("{url:?}"));
        Self { url }
    }

    /// Asks the database for a sign of life, on a connection of its own. Blocks. SQLite makes the file where it is
    /// missing.
    ///
    /// # Errors
    /// Where it gives none.
    pub fn ping(&self) -> anyhow::Result<()> {
        let mut connection = Connection::open(&self.url).context("connecting")?;
        diesel::sql_query("SELECT 1").execute(&mut connection).context("asking")?;
        Ok(())
    }

    /// Brings the tables up to date on a connection of its own, and names the migrations that ran.
    ///
    /// # Errors
    /// Where the database cannot be reached, or a migration fails; what ran before it stays.
    pub async fn migrate(&self, migrations: EmbeddedMigrations) -> anyhow::Result<Vec<String>> {
        let url = self.url.clone();
        telemetry_core::context::blocking(move || migrations::run(&url, migrations)).await
    }
}

/// The connections of one service. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    read: Pool<Manager>,
    write: Pool<Manager>,
    url: Arc<DatabaseUrl>,
}

impl Database {
    /// Opens the pools, each with a connection in it, so that a database that is not there is told now.
    /// Blocks until then.
    ///
    /// SQLite has one writer at a time: its writes queue for one connection here instead of failing
    /// with "database is locked" there. PostgreSQL reads and writes through the same pool.
    ///
    /// # Errors
    /// Where the database cannot be reached.
    pub fn open(config: &DatabaseConfig, telemetry: &Telemetry) -> anyhow::Result<Self> {
        let pool = |name: &str, max_size| {
            let options = PoolOptions {
                max_size,
                min_idle: 1,
                connection_timeout: CONNECTION_TIMEOUT,
                name: Some(name.to_owned()),
            };
            let database = config.url.described()?;
            anyhow::Ok(telemetry.pool(Manager::new(config.url.clone()), database, options)?)
        };
        let url = Arc::new(config.url.clone());
        match &config.url {
            DatabaseUrl::Sqlite(_) => {
                Ok(Self { read: pool("read", READ_CONNECTIONS)?, write: pool("write", 1)?, url })
            }
            DatabaseUrl::Postgres(_) => {
                let both = pool("main", READ_CONNECTIONS)?;
                Ok(Self { read: both.clone(), write: both, url })
            }
        }
    }

    /// Where it is.
    pub fn url(&self) -> &DatabaseUrl {
        &self.url
    }

    /// Runs queries that only read, on a thread where they may block.
    ///
    /// # Errors
    /// What `queries` answers, or a [`DatabaseError`] where no connection was to be had.
    pub async fn read<T, E>(
        &self,
        queries: impl FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
    {
        run(&self.read, queries).await
    }

    /// Runs queries that write.
    ///
    /// # Errors
    /// As [`Database::read`].
    pub async fn write<T, E>(
        &self,
        queries: impl FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
    {
        run(&self.write, queries).await
    }

    /// Asks the database for a sign of life.
    ///
    /// # Errors
    /// Where it gives none.
    pub async fn ping(&self) -> Result<(), DatabaseError> {
        self.read(|connection| {
            diesel::sql_query("SELECT 1").execute(connection)?;
            Ok(())
        })
        .await
    }
}

async fn run<T, E>(
    pool: &Pool<Manager>,
    queries: impl FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<DatabaseError> + Send + 'static,
{
    match pool.run_within(deadline::at_most(CONNECTION_TIMEOUT), queries).await {
        Ok(answer) => answer,
        Err(error) => Err(DatabaseError::from(error).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_a_file_of_the_services_name() {
        let mut env = Env::of::<&str, &str>([]);
        let config = DatabaseConfig::read(&mut env, "user-service");
        assert_eq!(config.url, DatabaseUrl::sqlite("data/user.db"));
    }

    #[test]
    fn a_wrong_url_is_a_mistake_that_does_not_show_it() {
        let mut env = Env::of([("DATABASE_URL", "mysql://app:hunter2@localhost/user")]);
        DatabaseConfig::read(&mut env, "user-service");
        let mistake = env.finish().unwrap_err().to_string();
        assert!(mistake.contains("DATABASE_URL: expected a URL that begins with sqlite://"), "{mistake}");
        assert!(!mistake.contains("hunter2"), "{mistake}");
    }
}
