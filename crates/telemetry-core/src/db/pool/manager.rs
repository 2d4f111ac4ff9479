//! Opens connections: the caller's manager, then the set-up, then the instrumentation.

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use diesel::Connection;
use diesel::r2d2::ManageConnection;
use opentelemetry::Context;

use super::ConnectError;
use super::observed::PoolState;
use crate::db::instrumentation::{ConnectionTelemetry, Shared};

pub(super) type SetUp<C> = Box<dyn Fn(&mut C) -> diesel::QueryResult<()> + Send + Sync>;

pub(super) struct Manager<M: ManageConnection> {
    manager: M,
    state: Arc<PoolState>,
    shared: Arc<Shared>,
    set_up: SetUp<M::Connection>,
}

impl<M: ManageConnection> Manager<M> {
    pub(super) fn new(
        manager: M,
        state: Arc<PoolState>,
        shared: Arc<Shared>,
        set_up: SetUp<M::Connection>,
    ) -> Self {
        Self { manager, state, shared, set_up }
    }
}

impl<M> ManageConnection for Manager<M>
where
    M: ManageConnection,
    M::Connection: Connection,
{
    type Connection = M::Connection;
    type Error = ConnectError;

    fn connect(&self) -> Result<M::Connection, ConnectError> {
        let started = Instant::now();
        let connection =
            self.manager.connect().map_err(|error| describe(&error)).and_then(|mut connection| {
                (self.set_up)(&mut connection).map_err(|error| describe(&error))?;
                Ok(connection)
            });
        self.state.connected(connection.as_ref().err());
        let mut connection = connection?;
        ConnectionTelemetry::install(&self.shared, &mut connection);
        self.state.metrics.created(started.elapsed());
        Ok(connection)
    }

    /// r2d2 asks before it hands a connection out; the question is not the application's query.
    fn is_valid(&self, connection: &mut M::Connection) -> Result<(), ConnectError> {
        let _quiet = Context::enter_telemetry_suppressed_scope();
        self.manager.is_valid(connection).map_err(|error| describe(&error))
    }

    fn has_broken(&self, connection: &mut M::Connection) -> bool {
        self.manager.has_broken(connection)
    }
}

/// The whole chain of an error in one line, without credentials.
fn describe(error: &dyn Error) -> ConnectError {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    ConnectError(redact(&text))
}

/// Hides what stands before the `@` of a URL, and what follows `password=`.
///
/// Drivers seldom repeat them, but a manager of the caller's own may put its URL into its error.
fn redact(text: &str) -> String {
    const REDACTED: &str = "REDACTED";
    let mut out = String::with_capacity(text.len());
    for word in text.split_inclusive([' ', '\n', '\t']) {
        let mut word = word.to_owned();
        if let Some(scheme_end) = word.find("://").map(|at| at + 3)
            && let Some(at) = word[scheme_end..].rfind('@')
        {
            word.replace_range(scheme_end..scheme_end + at, REDACTED);
        }
        let lower = word.to_ascii_lowercase();
        if let Some(value) = lower.find("password=").map(|at| at + "password=".len()) {
            let end = word[value..].find(['&', ' ', '\n', '\t']).map_or(word.len(), |end| value + end);
            word.replace_range(value..end, REDACTED);
        }
        out.push_str(&word);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_hidden_in_any_error_text() {
        let table = [
            (
                "cannot open postgres://joe:canary@db/orders: refused",
                "cannot open postgres://REDACTED@db/orders: refused",
            ),
            ("url \"postgres://joe:can@ary@db/x\"", "url \"postgres://REDACTED@db/x\""),
            ("host=db Password=canary user=joe", "host=db Password=REDACTED user=joe"),
            ("postgres://db/x?password=canary&a=b", "postgres://db/x?password=REDACTED&a=b"),
            ("connection to server at \"::1\" failed", "connection to server at \"::1\" failed"),
            ("é password=é", "é password=REDACTED"),
        ];
        for (given, expected) in table {
            assert_eq!(redact(given), expected);
        }
    }
}
