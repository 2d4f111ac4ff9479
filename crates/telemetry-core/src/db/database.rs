//! What spans and metrics say of a database: read from its URL, never the credentials in it.

use std::fmt;

use opentelemetry::KeyValue;
use opentelemetry_semantic_conventions::attribute::{
    DB_NAMESPACE, DB_SYSTEM_NAME, SERVER_ADDRESS, SERVER_PORT,
};

/// The database that a connection leads to, as its telemetry names it.
///
/// It holds no credentials, so printing it is safe. The values are those of the URL: a later
/// `SET search_path`, `USE` or `ATTACH` does not change them.
///
/// ```
/// use telemetry_core::db::Database;
///
/// let database = Database::from_url("postgres://app:secret@db.internal:6432/orders")?;
/// assert_eq!(database.system_name(), "postgresql");
/// assert_eq!(database.namespace(), Some("orders"));
/// assert_eq!(database.server_address(), Some("db.internal"));
/// assert_eq!(database.server_port(), Some(6432));
/// # Ok::<(), telemetry_core::db::DatabaseUrlError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    system: System,
    namespace: Option<String>,
    address: Option<String>,
    port: Option<u16>,
}

/// Which SQL is spoken, and which error codes are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum System {
    Sqlite,
    Postgresql,
    Mysql,
}

/// A database URL that cannot be understood. The message never repeats the URL: it may hold a
/// password.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseUrlError {
    /// The scheme is missing or unknown.
    #[error("the database URL must begin with sqlite://, postgres://, postgresql:// or mysql://")]
    Scheme,
    /// An `@`, `/`, `?` or `#` of the user name or the password is not percent-encoded.
    #[error("in the database URL, '@' in the user name or the password must be percent-encoded as %40")]
    Credentials,
    /// The host is not closed by `]`, or the port is not a number from 1 to 65535.
    #[error("the database URL's host and port are wrong: expected HOST, HOST:PORT or [IPV6]:PORT")]
    Server,
    /// A `sqlite:` URL without a file.
    #[error("the database URL names no file: expected sqlite://PATH")]
    File,
}

/// The same as its display: `fn main() -> Result<…>` shows an error's debug form to an operator.
impl fmt::Debug for DatabaseUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Database {
    /// Reads `sqlite://PATH` (also `sqlite:PATH`, `file:PATH` and `:memory:`),
    /// `postgres://…`, `postgresql://…` or `mysql://…`. A path alone, such as `hello.db`, is refused.
    ///
    /// The namespace of SQLite is the file's name without its folder. Of several PostgreSQL hosts
    /// none is named, since which one answers is not known here.
    ///
    /// # Errors
    /// A URL of another kind, or one that a driver would take apart differently.
    pub fn from_url(url: &str) -> Result<Self, DatabaseUrlError> {
        if url == ":memory:" {
            return Self::sqlite(url);
        }
        let (scheme, rest) = url.split_once(':').ok_or(DatabaseUrlError::Scheme)?;
        let authority_and_path = rest.strip_prefix("//");
        match (scheme, authority_and_path) {
            ("sqlite" | "file", path) => Self::sqlite(path.unwrap_or(rest)),
            ("postgres" | "postgresql", Some(rest)) => Self::server(System::Postgresql, rest),
            ("mysql", Some(rest)) => Self::server(System::Mysql, rest),
            _ => Err(DatabaseUrlError::Scheme),
        }
    }

    /// `db.system.name`: `sqlite`, `postgresql` or `mysql`.
    pub fn system_name(&self) -> &'static str {
        self.system.name()
    }

    /// `db.namespace`: the database's name, or SQLite's file name.
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// `server.address`: host name, IP address or folder of a Unix socket.
    pub fn server_address(&self) -> Option<&str> {
        self.address.as_deref()
    }

    /// `server.port`, where it is not the system's default port, as the conventions ask.
    pub fn server_port(&self) -> Option<u16> {
        self.port
    }

    pub(super) fn system(&self) -> System {
        self.system
    }

    /// The attributes that every span of this database carries.
    pub(super) fn attributes(&self) -> Vec<KeyValue> {
        let mut attributes = vec![KeyValue::new(DB_SYSTEM_NAME, self.system.name())];
        attributes.extend(self.namespace.clone().map(|name| KeyValue::new(DB_NAMESPACE, name)));
        attributes.extend(self.address.clone().map(|address| KeyValue::new(SERVER_ADDRESS, address)));
        attributes.extend(self.port.map(|port| KeyValue::new(SERVER_PORT, i64::from(port))));
        attributes
    }

    /// A name for a pool that was given none: `address:port/namespace`, as far as they are known
    /// (the conventions' advice for `db.client.connection.pool.name`).
    pub(super) fn pool_name(&self) -> String {
        let mut name = self.address.clone().unwrap_or_default();
        if let Some(port) = self.port {
            name.push_str(&format!(":{port}"));
        }
        match (&self.namespace, name.is_empty()) {
            (Some(namespace), true) => namespace.clone(),
            (Some(namespace), false) => format!("{name}/{namespace}"),
            (None, true) => self.system.name().to_owned(),
            (None, false) => name,
        }
    }

    fn sqlite(path: &str) -> Result<Self, DatabaseUrlError> {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let file = path.rsplit(['/', '\\']).next().unwrap_or_default();
        if file.is_empty() {
            return Err(DatabaseUrlError::File);
        }
        Ok(Self { system: System::Sqlite, namespace: Some(decode(file)), address: None, port: None })
    }

    /// Takes `USER:PASSWORD@HOST:PORT,…/NAME?OPTIONS` apart, with libpq's meaning of the options
    /// `host`, `port` and `dbname`.
    fn server(system: System, rest: &str) -> Result<Self, DatabaseUrlError> {
        let rest = rest.split('#').next().unwrap_or_default();
        let (rest, options) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        // Drivers disagree on which '@' ends a password. Where they look for the host in the
        // password's rest, that rest ends up in their error messages.
        if authority.matches('@').count() > 1 || path.contains('@') || options.contains('@') {
            return Err(DatabaseUrlError::Credentials);
        }
        let hosts = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts);
        let option = |wanted: &str| {
            let mut pairs = options.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, value)| *key == wanted && !value.is_empty()).map(|(_, value)| decode(value))
        };

        let several_hosts = hosts.contains(',');
        let (host, port) = if several_hosts { (None, None) } else { split_host(hosts)? };
        let port = match option("port") {
            Some(port) => port.parse().ok().filter(|port| *port != 0),
            None => port,
        };
        let namespace = option("dbname").or_else(|| Some(decode(path)).filter(|name| !name.is_empty()));
        let address = option("host").or(host).filter(|host| !host.contains(','));
        let port = port.filter(|port| address.is_some() && *port != system.default_port());
        Ok(Self { system, namespace, address, port })
    }
}

impl System {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgresql => "postgresql",
            Self::Mysql => "mysql",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Self::Sqlite => 0,
            Self::Postgresql => 5432,
            Self::Mysql => 3306,
        }
    }
}

fn split_host(text: &str) -> Result<(Option<String>, Option<u16>), DatabaseUrlError> {
    let (host, port) = match text.strip_prefix('[') {
        Some(bracketed) => {
            let (host, rest) = bracketed.split_once(']').ok_or(DatabaseUrlError::Server)?;
            match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return Err(DatabaseUrlError::Server),
            }
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = match port {
        None | Some("") => None,
        Some(port) => match port.parse() {
            Ok(0) | Err(_) => return Err(DatabaseUrlError::Server),
            Ok(port) => Some(port),
        },
    };
    Ok((Some(decode(host)).filter(|host| !host.is_empty()), port))
}

/// Percent-decodes; what is no UTF-8 then is replaced.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let decoded = hex
            .filter(|hex| first == b'%' && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match decoded {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Parts<'a> = (&'a str, Option<&'a str>, Option<&'a str>, Option<u16>);

    fn parts(database: &Database) -> Parts<'_> {
        (database.system_name(), database.namespace(), database.server_address(), database.server_port())
    }

    #[test]
    fn url_gives_system_namespace_and_server() {
        let table: [(&str, Parts<'_>); 18] = [
            (":memory:", ("sqlite", Some(":memory:"), None, None)),
            ("sqlite://:memory:", ("sqlite", Some(":memory:"), None, None)),
            ("sqlite://data/order.db", ("sqlite", Some("order.db"), None, None)),
            ("sqlite:order.db", ("sqlite", Some("order.db"), None, None)),
            ("sqlite:///var/lib/my%20orders.db?mode=ro", ("sqlite", Some("my orders.db"), None, None)),
            ("sqlite://C:\\data\\order.db", ("sqlite", Some("order.db"), None, None)),
            ("file:order.db?cache=shared", ("sqlite", Some("order.db"), None, None)),
            ("postgres://localhost/orders", ("postgresql", Some("orders"), Some("localhost"), None)),
            ("postgresql://u:p@db:5432/orders", ("postgresql", Some("orders"), Some("db"), None)),
            ("postgres://u:p%40ss@db:6432/orders", ("postgresql", Some("orders"), Some("db"), Some(6432))),
            ("postgres://u@[::1]:6432/a%2Fb", ("postgresql", Some("a/b"), Some("::1"), Some(6432))),
            ("postgres://u:p@db", ("postgresql", None, Some("db"), None)),
            ("postgres:///orders", ("postgresql", Some("orders"), None, None)),
            (
                "postgres:///?host=/run/postgresql&port=6432&dbname=orders&password=x",
                ("postgresql", Some("orders"), Some("/run/postgresql"), Some(6432)),
            ),
            ("postgres://a:1,b:2/orders", ("postgresql", Some("orders"), None, None)),
            ("postgres://db:/orders", ("postgresql", Some("orders"), Some("db"), None)),
            ("mysql://root:pw@db:3307/shop", ("mysql", Some("shop"), Some("db"), Some(3307))),
            ("mysql://db:3306/shop", ("mysql", Some("shop"), Some("db"), None)),
        ];
        for (url, expected) in table {
            let database = Database::from_url(url).unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!(parts(&database), expected, "{url}");
        }
    }

    #[test]
    fn malformed_url_is_refused_without_repeating_it() {
        let table = [
            ("", DatabaseUrlError::Scheme),
            ("orders.db", DatabaseUrlError::Scheme),
            ("oracle://db/canary", DatabaseUrlError::Scheme),
            ("postgres:canary", DatabaseUrlError::Scheme),
            ("sqlite://", DatabaseUrlError::File),
            ("sqlite://data/", DatabaseUrlError::File),
            ("postgres://u:can@ary@db/orders", DatabaseUrlError::Credentials),
            ("postgres://u:can/ary@db/orders", DatabaseUrlError::Credentials),
            ("postgres://u:can?ary@db/orders", DatabaseUrlError::Credentials),
            ("postgres://u:can#ary@db/orders", DatabaseUrlError::Server),
            ("postgres://db:canary/orders", DatabaseUrlError::Server),
            ("postgres://db:0/orders", DatabaseUrlError::Server),
            ("postgres://[::1/orders", DatabaseUrlError::Server),
        ];
        for (url, expected) in table {
            let error = Database::from_url(url).expect_err(url);
            assert_eq!(error, expected, "{url}");
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }

    #[test]
    fn credentials_are_not_kept() {
        let database = Database::from_url("postgres://joe:canary@db/orders?password=canary").unwrap();
        assert!(!format!("{database:?}{:?}", database.attributes()).contains("canary"));
    }

    #[test]
    fn unnamed_pool_is_named_after_its_database() {
        let table = [
            ("sqlite://data/order.db", "order.db"),
            ("postgres://db:6432/orders", "db:6432/orders"),
            ("postgres://db/orders", "db/orders"),
            ("postgres:///", "postgresql"),
            ("postgres://db", "db"),
        ];
        for (url, expected) in table {
            assert_eq!(Database::from_url(url).unwrap().pool_name(), expected, "{url}");
        }
    }

    #[test]
    fn percent_decoding_takes_any_input() {
        for (given, expected) in [
            ("a%2", "a%2"),
            ("%", "%"),
            ("%zz", "%zz"),
            ("%+1", "%+1"),
            ("é%C3%A9", "éé"),
            ("%ff", "\u{fffd}"),
        ] {
            assert_eq!(decode(given), expected, "{given}");
        }
    }
}
