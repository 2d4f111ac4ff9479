//! A database for one test.

use diesel::connection::SimpleConnection;
use diesel::{Connection as _, PgConnection};
use url::Url;
use uuid::Uuid;

/// An empty database that is gone when this is dropped: a SQLite file in a temporary folder, or, where
/// `TEST_POSTGRES_URL` names a server, a PostgreSQL database there.
pub struct TestDatabase {
    url: String,
    kind: Kind,
}

enum Kind {
    Sqlite { folder: tempfile::TempDir },
    Postgres { server: Url, name: String },
}

impl TestDatabase {
    /// Makes one.
    ///
    /// # Panics
    /// Where that fails.
    pub fn new() -> Self {
        match std::env::var("TEST_POSTGRES_URL") {
            Ok(server) => Self::postgres(&server),
            Err(_) => Self::sqlite(),
        }
    }

    fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let url = format!("sqlite://{}", folder.path().join("test.db").display());
        Self { url, kind: Kind::Sqlite { folder } }
    }

    fn postgres(server: &str) -> Self {
        let server: Url = server.parse().expect("TEST_POSTGRES_URL is a URL");
        let name = format!("test_{}", Uuid::now_v7().simple());
        execute(&server, &format!("CREATE DATABASE {name}")).expect("TEST_POSTGRES_URL may create databases");
        let mut url = server.clone();
        url.set_path(&name);
        Self { url: url.into(), kind: Kind::Postgres { server, name } }
    }

    /// What `DATABASE_URL` is to hold.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Takes it away under the service: from now on no new connection can be made.
    ///
    /// # Panics
    /// Where that fails.
    pub fn take_away(&self) {
        match &self.kind {
            Kind::Sqlite { folder } => {
                std::fs::remove_dir_all(folder).expect("a temporary folder can be removed");
                // Connecting makes missing folders, so something else stands in its place.
                std::fs::write(folder, "").expect("a file can be written");
            }
            Kind::Postgres { server, name } => {
                drop_database(server, name).expect("TEST_POSTGRES_URL may drop databases");
            }
        }
    }
}

impl Default for TestDatabase {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        // What stays is no reason to fail.
        let _ = match &self.kind {
            Kind::Sqlite { folder } => std::fs::remove_file(folder).map_err(Into::into),
            Kind::Postgres { server, name } => drop_database(server, name),
        };
    }
}

/// Also where the service's connections are still open.
fn drop_database(server: &Url, name: &str) -> Result<(), Box<dyn std::error::Error>> {
    execute(server, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
}

fn execute(server: &Url, sql: &str) -> Result<(), Box<dyn std::error::Error>> {
    Ok(PgConnection::establish(server.as_str())?.batch_execute(sql)?)
}
