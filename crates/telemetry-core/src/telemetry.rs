//! The handle that instruments: what the server, the client and the pool are made from.

use std::sync::Arc;

use opentelemetry::metrics::Meter;
use opentelemetry_sdk::trace::SdkTracer;

/// Makes instrumented parts: a server middleware, an HTTP client, a database pool.
///
/// Cheap to clone. It holds no globals, so a process may have several (each test has its own).
#[derive(Clone)]
pub struct Telemetry {
    inner: Arc<Inner>,
}

struct Inner {
    tracer: SdkTracer,
    meter: Meter,
}

impl Telemetry {
    pub(crate) fn new(tracer: SdkTracer, meter: Meter) -> Self {
        Self { inner: Arc::new(Inner { tracer, meter }) }
    }

    /// The tracer that the instrumentation's spans are made with.
    pub fn tracer(&self) -> &SdkTracer {
        &self.inner.tracer
    }

    /// The meter that the instrumentation's metrics are made with.
    pub fn meter(&self) -> &Meter {
        &self.inner.meter
    }
}
