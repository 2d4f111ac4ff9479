//! Opens connections: the caller's manager, then the set-up, then the instrumentation.

use std::sync::Arc;
use std::time::Instant;

use diesel::Connection;
use diesel::r2d2::ManageConnection;
use opentelemetry::Context;

use super::ConnectError;
use super::observed::PoolState;
use super::reason::{of_set_up, reason};
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
        let connection = self.manager.connect().map_err(|error| reason(&error)).and_then(|mut connection| {
            (self.set_up)(&mut connection).map_err(|error| of_set_up(&error))?;
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
        self.manager.is_valid(connection).map_err(|error| reason(&error))
    }

    fn has_broken(&self, connection: &mut M::Connection) -> bool {
        self.manager.has_broken(connection)
    }
}
