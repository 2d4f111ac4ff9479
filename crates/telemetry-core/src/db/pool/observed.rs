//! What a pool knows of itself, and the metrics that are read from it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use diesel::Connection;
use diesel::r2d2::ManageConnection;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};
use opentelemetry_sdk::trace::SdkTracer;
use opentelemetry_semantic_conventions::attribute::{
    DB_CLIENT_CONNECTION_POOL_NAME, DB_CLIENT_CONNECTION_STATE,
};
use opentelemetry_semantic_conventions::metric::{
    DB_CLIENT_CONNECTION_COUNT, DB_CLIENT_CONNECTION_IDLE_MIN, DB_CLIENT_CONNECTION_MAX,
    DB_CLIENT_CONNECTION_PENDING_REQUESTS,
};

use super::{ConnectError, Inner, PoolError, PoolOptions};
use crate::Telemetry;
use crate::db::database::Database;
use crate::db::metrics::PoolMetrics;

pub(super) struct PoolState {
    pub(super) name: Arc<str>,
    pub(super) tracer: SdkTracer,
    pub(super) metrics: PoolMetrics,
    /// The database's attributes and the pool's name, for the span of a wait.
    pub(super) attributes: Vec<KeyValue>,
    max_size: u32,
    min_idle: u32,
    pending: AtomicI64,
    /// Why the last try to connect failed; `None` after one that did not.
    failure: Mutex<Option<ConnectError>>,
}

/// Counts as waiting while it lives.
pub(super) struct Pending<'a>(&'a AtomicI64);

impl PoolState {
    pub(super) fn new(
        name: Arc<str>,
        telemetry: &Telemetry,
        database: &Database,
        options: &PoolOptions,
    ) -> Self {
        let pool = KeyValue::new(DB_CLIENT_CONNECTION_POOL_NAME, name.clone());
        let mut attributes = database.attributes();
        attributes.push(pool.clone());
        Self {
            name,
            tracer: telemetry.tracer().clone(),
            metrics: PoolMetrics::new(telemetry.meter(), pool),
            attributes,
            max_size: options.max_size,
            min_idle: options.min_idle,
            pending: AtomicI64::new(0),
            failure: Mutex::new(None),
        }
    }

    pub(super) fn pending(&self) -> Pending<'_> {
        self.pending.fetch_add(1, Ordering::Relaxed);
        Pending(&self.pending)
    }

    /// Remembers how a try to connect ended, and logs it where that is news: r2d2 tries again and
    /// again.
    pub(super) fn connected(&self, failure: Option<&ConnectError>) {
        let mut known = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref() == failure {
            return;
        }
        match failure {
            Some(error) => {
                tracing::error!(db.client.connection.pool.name = &*self.name, exception.message = %error, "cannot connect to the database")
            }
            None => tracing::info!(
                db.client.connection.pool.name = &*self.name,
                "connected to the database again"
            ),
        }
        *known = failure.cloned();
    }

    /// Why a wait for a connection was in vain.
    pub(super) fn no_connection(&self, timeout: Duration) -> PoolError {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match failure {
            Some(source) => PoolError::Connect { pool: self.name.clone(), source },
            None => PoolError::Timeout { pool: self.name.clone(), timeout },
        }
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Has the pool's size read whenever metrics are, until the last of its clones is dropped.
pub(super) fn observe<M>(meter: &Meter, pool: &Arc<Inner<M>>)
where
    M: ManageConnection,
    M::Connection: Connection,
{
    let gauge = |name: &'static str, unit: &'static str, description: &'static str| {
        meter.i64_observable_up_down_counter(name).with_unit(unit).with_description(description)
    };
    gauge(
        DB_CLIENT_CONNECTION_COUNT,
        "{connection}",
        "The number of connections that are currently in state described by the `state` attribute.",
    )
    .with_callback(reading(pool, |pool, observe| {
        let size = pool.connections.state();
        let idle = i64::from(size.idle_connections);
        observe(idle, Some(KeyValue::new(DB_CLIENT_CONNECTION_STATE, "idle")));
        observe(i64::from(size.connections) - idle, Some(KeyValue::new(DB_CLIENT_CONNECTION_STATE, "used")));
    }))
    .build();
    gauge(DB_CLIENT_CONNECTION_MAX, "{connection}", "The maximum number of open connections allowed.")
        .with_callback(reading(pool, |pool, observe| observe(i64::from(pool.state.max_size), None)))
        .build();
    gauge(
        DB_CLIENT_CONNECTION_IDLE_MIN,
        "{connection}",
        "The minimum number of idle open connections allowed.",
    )
    .with_callback(reading(pool, |pool, observe| observe(i64::from(pool.state.min_idle), None)))
    .build();
    gauge(
        DB_CLIENT_CONNECTION_PENDING_REQUESTS,
        "{request}",
        "The number of current pending requests for an open connection.",
    )
    .with_callback(reading(pool, |pool, observe| observe(pool.state.pending.load(Ordering::Relaxed), None)))
    .build();
}

/// A callback that reads the pool where it still is: the meter keeps callbacks for ever.
fn reading<M>(
    pool: &Arc<Inner<M>>,
    read: impl Fn(&Inner<M>, &dyn Fn(i64, Option<KeyValue>)) + Send + Sync + 'static,
) -> impl Fn(&dyn AsyncInstrument<i64>) + Send + Sync + 'static
where
    M: ManageConnection,
    M::Connection: Connection,
{
    let pool: Weak<Inner<M>> = Arc::downgrade(pool);
    move |instrument| {
        let Some(pool) = pool.upgrade() else { return };
        read(&pool, &|value, state| {
            let name = KeyValue::new(DB_CLIENT_CONNECTION_POOL_NAME, pool.state.name.clone());
            let attributes: Vec<KeyValue> = std::iter::once(name).chain(state).collect();
            instrument.observe(value, &attributes);
        });
    }
}
