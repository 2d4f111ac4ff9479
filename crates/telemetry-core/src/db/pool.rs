//! A pool whose connections are instrumented, and which tells how long one waits for them.

mod manager;
mod observed;
mod reason;

use std::error::Error;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::Connection;
use diesel::r2d2::{self, ManageConnection, NopErrorHandler};
use opentelemetry::trace::{Span as _, SpanBuilder, SpanKind, Status, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_semantic_conventions::attribute::ERROR_TYPE;
use scheduled_thread_pool::ScheduledThreadPool;

use self::manager::Manager;
use self::observed::PoolState;
use super::database::Database;
use super::instrumentation::{ConnectionTelemetry, Shared};
use crate::{Telemetry, context};

/// The span of waiting for a connection.
const WAIT_FOR_CONNECTION: &str = "wait_for_connection";

/// A pool of instrumented connections; cheap to clone.
///
/// Connections are tested before they are handed out, closed after 10 minutes without use and after
/// 30 minutes in any case (and a `:memory:` database with them), and opened on one thread of the
/// pool's own. None of that is traced.
pub struct Pool<M: ManageConnection>
where
    M::Connection: Connection,
{
    inner: Arc<Inner<M>>,
}

struct Inner<M: ManageConnection>
where
    M::Connection: Connection,
{
    connections: r2d2::Pool<Manager<M>>,
    state: Arc<PoolState>,
}

/// How many connections a pool keeps, and how long one waits for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolOptions {
    /// The most connections open at once; 10 by default, at least 1.
    pub max_size: u32,
    /// Connections kept open without use; 1 by default, so that a pool which cannot connect at all
    /// is not made, and at most `max_size`. With 0 the first is opened when it is asked for.
    pub min_idle: u32,
    /// How long to wait for a connection, at the start too; 5 s by default, more than 0.
    pub connection_timeout: Duration,
    /// `db.client.connection.pool.name`. Give each pool of a process a name of its own; by default it
    /// is made from the database's address, port and namespace.
    pub name: Option<String>,
}

/// Why there is no connection. No message holds credentials.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// All connections were in use for too long.
    #[error("no connection of pool {pool} became free within {timeout:?}")]
    Timeout {
        /// The pool's name.
        pool: Arc<str>,
        /// How long was waited.
        timeout: Duration,
    },
    /// The database could not be reached, or refused.
    #[error("pool {pool} cannot connect to its database")]
    Connect {
        /// The pool's name.
        pool: Arc<str>,
        /// What the driver said.
        source: ConnectError,
    },
    /// The options contradict themselves.
    #[error("wrong pool options: {0}")]
    Options(&'static str),
}

/// What the driver said when it could not connect, without credentials: what it quotes is hidden, but for names of
/// hosts, users and databases, and a set-up that failed is told by the kind of its error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectError(pub(super) String);

/// A connection on loan; dropping it gives it back.
pub struct PooledConnection<M: ManageConnection>
where
    M::Connection: Connection,
{
    connection: r2d2::PooledConnection<Manager<M>>,
    state: Arc<PoolState>,
    since: Instant,
}

impl Telemetry {
    /// Makes a pool. It blocks until `min_idle` connections are open.
    ///
    /// # Errors
    /// No connection within the timeout, or options that contradict themselves.
    pub fn pool<M>(&self, manager: M, database: Database, options: PoolOptions) -> Result<Pool<M>, PoolError>
    where
        M: ManageConnection,
        M::Connection: Connection,
    {
        self.pool_with_set_up(manager, database, options, |_| Ok(()))
    }

    /// As [`Telemetry::pool`]; `set_up` is run on each new connection, for `PRAGMA`s and the like, and
    /// is not traced.
    ///
    /// # Errors
    /// As [`Telemetry::pool`]; a `set_up` that fails counts as a connection that failed.
    pub fn pool_with_set_up<M>(
        &self,
        manager: M,
        database: Database,
        options: PoolOptions,
        set_up: impl Fn(&mut M::Connection) -> diesel::QueryResult<()> + Send + Sync + 'static,
    ) -> Result<Pool<M>, PoolError>
    where
        M: ManageConnection,
        M::Connection: Connection,
    {
        options.check()?;
        let name = options.name.clone().unwrap_or_else(|| database.pool_name());
        let state = Arc::new(PoolState::new(name.into(), self, &database, &options));
        let shared = Arc::new(Shared::new(self, &database));
        let manager = Manager::new(manager, state.clone(), shared, Box::new(set_up));
        let connections = r2d2::Pool::builder()
            .max_size(options.max_size)
            .min_idle(Some(options.min_idle))
            .connection_timeout(options.connection_timeout)
            // The manager logs what fails; r2d2's own handler would log each try.
            .error_handler(Box::new(NopErrorHandler))
            // Opening connections needs no more; r2d2 would start three threads for each pool.
            .thread_pool(Arc::new(
                ScheduledThreadPool::builder().num_threads(1).thread_name_pattern("db-pool-{}").build(),
            ))
            .build(manager)
            .map_err(|_| state.no_connection(options.connection_timeout))?;
        let inner = Arc::new(Inner { connections, state });
        observed::observe(self.meter(), &inner);
        Ok(Pool { inner })
    }
}

impl<M> Pool<M>
where
    M: ManageConnection,
    M::Connection: Connection,
{
    /// Takes a connection, and blocks while there is none. Call it where blocking is allowed, or
    /// use [`Pool::run`].
    ///
    /// A wait is an INTERNAL span, `wait_for_connection`.
    ///
    /// # Errors
    /// No connection within the timeout.
    pub fn get(&self) -> Result<PooledConnection<M>, PoolError> {
        self.get_within(self.inner.connections.connection_timeout())
    }

    /// As [`Pool::get`], and waits no longer than this: for work whose caller has a deadline. With zero it takes a
    /// connection that is free, or none.
    ///
    /// # Errors
    /// No connection within `timeout`.
    pub fn get_within(&self, timeout: Duration) -> Result<PooledConnection<M>, PoolError> {
        let started = Instant::now();
        let Inner { connections, state } = &*self.inner;
        let connection = match connections.try_get() {
            Some(connection) => connection,
            None => self.wait(timeout)?,
        };
        let since = Instant::now();
        state.metrics.waited(since - started);
        Ok(PooledConnection { connection, state: state.clone(), since })
    }

    /// Runs `work` with a connection, on a thread where it may block, as part of the current trace.
    ///
    /// A panic of `work` goes on in the caller. Dropping the future does not stop `work`.
    ///
    /// # Errors
    /// No connection within the timeout; then `work` was not run.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut M::Connection) -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        self.run_within(self.inner.connections.connection_timeout(), work).await
    }

    /// As [`Pool::run`], and waits no longer than this for the connection, from now on.
    ///
    /// # Errors
    /// No connection within `timeout`; then `work` was not run.
    pub async fn run_within<T: Send + 'static>(
        &self,
        timeout: Duration,
        work: impl FnOnce(&mut M::Connection) -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        let (pool, asked) = (self.clone(), Instant::now());
        context::blocking(move || {
            // The thread may have come late.
            let left = timeout.saturating_sub(asked.elapsed());
            pool.get_within(left).map(|mut connection| work(&mut connection))
        })
        .await
    }

    /// `db.client.connection.pool.name`.
    pub fn name(&self) -> &str {
        &self.inner.state.name
    }

    fn wait(&self, timeout: Duration) -> Result<r2d2::PooledConnection<Manager<M>>, PoolError> {
        let Inner { connections, state } = &*self.inner;
        let _pending = state.pending();
        let builder = SpanBuilder::from_name(WAIT_FOR_CONNECTION)
            .with_kind(SpanKind::Internal)
            .with_attributes(state.attributes.clone());
        let tracer = &state.tracer;
        let mut span = Context::map_current(|current| tracer.build_with_context(builder, current));
        connections.get_timeout(timeout).map_err(|_| {
            state.metrics.timed_out();
            let error = state.no_connection(timeout);
            span.set_attribute(KeyValue::new(ERROR_TYPE, error.error_type()));
            span.set_status(Status::error(error.to_string()));
            error
        })
    }
}

impl<M: ManageConnection> Clone for Pool<M>
where
    M::Connection: Connection,
{
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<M: ManageConnection> fmt::Debug for Pool<M>
where
    M::Connection: Connection,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("name", &self.inner.state.name).finish_non_exhaustive()
    }
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self { max_size: 10, min_idle: 1, connection_timeout: Duration::from_secs(5), name: None }
    }
}

impl PoolOptions {
    /// r2d2 panics at these.
    fn check(&self) -> Result<(), PoolError> {
        if self.max_size == 0 {
            return Err(PoolError::Options("max_size must be at least 1"));
        }
        if self.min_idle > self.max_size {
            return Err(PoolError::Options("min_idle must be at most max_size"));
        }
        if self.connection_timeout.is_zero() {
            return Err(PoolError::Options("connection_timeout must be more than 0"));
        }
        Ok(())
    }
}

impl PoolError {
    fn error_type(&self) -> &'static str {
        match self {
            Self::Timeout { .. } => "timeout",
            Self::Connect { .. } => "connect",
            Self::Options(_) => "options",
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for ConnectError {}

impl<M> Deref for PooledConnection<M>
where
    M: ManageConnection,
    M::Connection: Connection,
{
    type Target = M::Connection;

    fn deref(&self) -> &M::Connection {
        &self.connection
    }
}

impl<M> DerefMut for PooledConnection<M>
where
    M: ManageConnection,
    M::Connection: Connection,
{
    fn deref_mut(&mut self) -> &mut M::Connection {
        &mut self.connection
    }
}

impl<M: ManageConnection> Drop for PooledConnection<M>
where
    M::Connection: Connection,
{
    fn drop(&mut self) {
        self.state.metrics.used(self.since.elapsed());
        if let Some(telemetry) = self.connection.instrumentation().downcast_mut::<ConnectionTelemetry>() {
            telemetry.settle();
        }
    }
}
