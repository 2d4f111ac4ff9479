//! diesel, instrumented: a span and a duration for each query, a span for each transaction, and a pool
//! that tells how it does.
//!
//! # What is emitted
//!
//! Spans, after the stable semantic conventions for databases:
//!
//! - **one CLIENT span a query**, named by its summary (`SELECT orders`): `db.system.name`,
//!   `db.namespace`, `server.address`, `server.port` (unless the default), `db.query.text`,
//!   `db.query.summary`, `db.operation.name` of a single statement, `db.collection.name` of a single
//!   table. A failed one has status ERROR, `error.type` (the kind of error by PostgreSQL's name of it:
//!   `unique_violation`, whatever the database) and, where diesel's kind stands for a single code,
//!   `db.response.status_code` (SQLSTATE, or SQLite's result code).
//! - **one INTERNAL span a transaction**, `transaction`, around its queries; savepoints are nested
//!   ones. `db.transaction.outcome` is `commit`, `rollback`, or `abandoned` where the connection was
//!   dropped in the middle. Status ERROR only where BEGIN, COMMIT or ROLLBACK itself failed. A span that
//!   the application opens inside is not below it but beside it, and has its own queries below.
//! - **one INTERNAL span a wait**, `wait_for_connection`, where the pool had no idle connection.
//!
//! Metrics: `db.client.operation.duration`, with the same attributes but for the text (the first two hundred different
//! statements of a process; those that come later share the series of `db.query.summary` `_OTHER`); of each pool
//! `db.client.connection.` `count`, `max`, `idle.min`, `pending_requests`, `timeouts`, `wait_time`,
//! `use_time` and `create_time`.
//!
//! # What is never emitted
//!
//! Values. Those bound to a query are not even formatted; literals in hand-written SQL become `?`;
//! the database's error messages, which repeat values, are not recorded. Credentials of the URL are
//! not kept.
//!
//! # What diesel does not tell
//!
//! Row counts; SQLSTATE beyond its own kinds of error; and, on SQLite, that a query failed while its rows
//! were read: an `INSERT … RETURNING` (diesel's feature `returning_clauses_for_sqlite_3_35`) that breaks a constraint ends
//! its span without an error. The rows that were read and these errors are told of a [`TracedConnection`], whose
//! transactions have the application's spans below them and whose statements may carry the trace to the database. It
//! stands wherever a connection's type does: `ConnectionManager<TracedConnection<SqliteConnection>>`.
//!
//! ```
//! use diesel::prelude::*;
//! use diesel::r2d2::ConnectionManager;
//! use telemetry_core::db::{Database, PoolOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let telemetry = telemetry_core::testing::TestTelemetry::new();
//! let url = "sqlite://:memory:";
//! let pool = telemetry.pool(
//!     ConnectionManager::<SqliteConnection>::new(url),
//!     Database::from_url(url)?,
//!     PoolOptions { max_size: 1, ..PoolOptions::default() },
//! )?;
//! diesel::sql_query("CREATE TABLE orders (id INTEGER)").execute(&mut *pool.get()?)?;
//! # assert_eq!(telemetry.spans()[0].name, "CREATE TABLE orders");
//! # Ok(())
//! # }
//! ```
//!
//! In a handler, `pool.run(|connection| …).await` does the same on a thread where it may block.
//!
//! # Comments for the database
//!
//! With [`config::Database::sqlcommenter`](crate::config::Database::sqlcommenter), which is off by default, the statements
//! of a [`TracedConnection`] under a sampled trace carry their span's ids in a SQL comment. No two are the same then, so
//! none stays prepared: a look-up by primary key took 1.5 times as long on SQLite (5.8 and 8.7 µs), and 3 to 5 times as
//! long on a PostgreSQL on the same machine (21 and 73 to 98 µs; one more round trip, and parsing and planning each time).
//! `cargo test -p telemetry-core --test db -- --ignored --nocapture cost_of` measures it; these are two runs of November
//! 2026, on two busy cores and without optimisation of this crate.

mod connection;
mod database;
mod failure;
mod instrumentation;
mod metrics;
mod notes;
mod pool;
mod query;
mod repetition;
mod series;
mod sql;
mod transaction;

use std::sync::Arc;

use diesel::Connection;

pub use self::connection::{TracedConnection, TracedRows, TracedTransactions, transaction};
pub use self::database::{Database, DatabaseUrlError};
pub(crate) use self::failure::failure_text;
use self::instrumentation::{ConnectionTelemetry, Shared};
pub use self::pool::{ConnectError, Pool, PoolError, PoolOptions, PooledConnection};
pub(crate) use self::repetition::{counted, tell};
pub(crate) use self::series::Statements;
use crate::Telemetry;

/// Instruments one connection, in place of any instrumentation it had. A [`Pool`] does so itself.
pub fn instrument(connection: &mut impl Connection, telemetry: &Telemetry, database: &Database) {
    ConnectionTelemetry::install(&Arc::new(Shared::new(telemetry, database)), connection);
}
