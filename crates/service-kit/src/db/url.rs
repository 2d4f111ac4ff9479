//! `DATABASE_URL`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use telemetry_core::db::{Database, DatabaseUrlError};
use url::Url;

/// A database to connect to. Its `Debug` text has no password in it.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file.
    Sqlite(PathBuf),
    /// A server: `postgres://USER:PASSWORD@HOST:PORT/DATABASE?…`, as libpq reads it.
    Postgres(Url),
}

/// What is wrong with a database's URL; never the URL itself, which may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDatabaseUrl {
    /// Another scheme, or none.
    #[error("a URL that begins with sqlite:// or postgres://")]
    Scheme,
    /// SQLite without a file.
    #[error("a file after sqlite://, such as sqlite://data/orders.db or sqlite:///var/lib/orders.db")]
    NoFile,
    /// SQLite in memory: each connection would have a database of its own.
    #[error("a file after sqlite://; a database in memory would be another one for each connection")]
    InMemory,
    /// PostgreSQL without a host or a database's name.
    #[error("a host and a database's name, such as postgres://user:password@localhost/orders")]
    Incomplete,
}

impl DatabaseUrl {
    /// The SQLite database in this file.
    pub fn sqlite(file: impl Into<PathBuf>) -> Self {
        Self::Sqlite(file.into())
    }

    /// As spans and metrics name it.
    pub(super) fn described(&self) -> Result<Database, DatabaseUrlError> {
        match self {
            Self::Sqlite(file) => Database::from_url(&format!("sqlite://{}", file.display())),
            Self::Postgres(url) => Database::from_url(url.as_str()),
        }
    }
}

impl FromStr for DatabaseUrl {
    type Err = InvalidDatabaseUrl;

    fn from_str(text: &str) -> Result<Self, InvalidDatabaseUrl> {
        if let Some(file) = text.strip_prefix("sqlite://") {
            return match file {
                "" | "/" => Err(InvalidDatabaseUrl::NoFile),
                file if file.starts_with(":memory:") || file.starts_with("file:") => {
                    Err(InvalidDatabaseUrl::InMemory)
                }
                file if file.ends_with('/') => Err(InvalidDatabaseUrl::NoFile),
                file => Ok(Self::Sqlite(Path::new(file).to_owned())),
            };
        }
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(InvalidDatabaseUrl::Scheme);
        }
        let url = Url::parse(text).map_err(|_| InvalidDatabaseUrl::Incomplete)?;
        // libpq takes a socket's folder as `?host=/run/postgresql`.
        let has_host = url.host_str().is_some_and(|host| !host.is_empty())
            || url.query_pairs().any(|(name, _)| name == "host");
        if !has_host || url.path().trim_matches('/').is_empty() {
            return Err(InvalidDatabaseUrl::Incomplete);
        }
        Ok(Self::Postgres(url))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(file) => write!(f, "sqlite://{}", file.display()),
            Self::Postgres(url) => {
                write!(f, "postgres://{}{}", url.host_str().unwrap_or_default(), url.path())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_file_or_a_server() {
        assert_eq!("sqlite://data/user.db".parse(), Ok(DatabaseUrl::sqlite("data/user.db")));
        assert_eq!("sqlite:///var/lib/user.db".parse(), Ok(DatabaseUrl::sqlite("/var/lib/user.db")));
        for url in [
            "postgres://app:hunter2@db.example:5433/user",
            "postgresql://db.example/user?sslmode=disable",
            "postgres:///user?host=/run/postgresql",
        ] {
            assert!(matches!(url.parse(), Ok(DatabaseUrl::Postgres(_))), "{url}");
        }
    }

    #[test]
    fn each_mistake_is_told_apart() {
        for (url, mistake) in [
            ("", InvalidDatabaseUrl::Scheme),
            ("data/user.db", InvalidDatabaseUrl::Scheme),
            ("sqlite:data/user.db", InvalidDatabaseUrl::Scheme),
            ("mysql://localhost/user", InvalidDatabaseUrl::Scheme),
            ("sqlite://", InvalidDatabaseUrl::NoFile),
            ("sqlite:///", InvalidDatabaseUrl::NoFile),
            ("sqlite://data/", InvalidDatabaseUrl::NoFile),
            ("sqlite://:memory:", InvalidDatabaseUrl::InMemory),
            ("postgres://", InvalidDatabaseUrl::Incomplete),
            ("postgres://localhost", InvalidDatabaseUrl::Incomplete),
            ("postgres:///user", InvalidDatabaseUrl::Incomplete),
            ("postgres://localhost:port/user", InvalidDatabaseUrl::Incomplete),
        ] {
            assert_eq!(url.parse::<DatabaseUrl>(), Err(mistake), "{url}");
        }
    }

    #[test]
    fn a_password_is_in_no_debug_text() {
        let url: DatabaseUrl = "postgres://app:hunter2@db.example/user".parse().unwrap();
        assert_eq!(format!("{url:?}"), "postgres://db.example/user");
    }
}
