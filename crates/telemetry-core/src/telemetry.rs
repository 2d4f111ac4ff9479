//! The handle that instruments: what the server, the client and the pool are made from.

use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use opentelemetry::context::FutureExt;
use opentelemetry::metrics::Meter;
use opentelemetry::trace::{SpanBuilder, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SdkTracer;
use opentelemetry_semantic_conventions::attribute;
use reqwest_middleware::ClientWithMiddleware;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::client::{ClientTelemetry, Hosts};
use crate::config::Http;
use crate::export::{ExportHealth, Providers};
use crate::paths::PathPatterns;
use crate::prometheus::PullReader;
use crate::propagation::Propagation;
use crate::server::ServerTelemetry;
use crate::server::websocket::WebSocketTelemetry;
use crate::span::{Exception, PANIC, panic_message};
use crate::untraced::untraced;

/// Makes instrumented parts: a server middleware, an HTTP client, a database pool.
///
/// Cheap to clone. It holds no globals, so a process may have several (each test has its own).
#[derive(Clone)]
pub struct Telemetry {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) tracer: SdkTracer,
    pub(crate) meter: Meter,
    pub(crate) propagation: Propagation,
    pub(crate) excluded_paths: PathPatterns,
    pub(crate) http: Http,
    pub(crate) hosts: Hosts,
    pub(crate) exports: Option<Providers>,
    /// None where no metrics are made.
    pub(crate) metrics: Option<PullReader>,
    pub(crate) is_enabled: bool,
    pub(crate) background: Background,
}

/// Where background tasks run, and how many still do.
#[derive(Default)]
pub(crate) struct Background {
    tasks: TaskTracker,
    runtime: Option<Handle>,
}

impl Background {
    /// Tasks run on the runtime that is current now: a worker's own ends with the server, and its
    /// tasks with it.
    pub(crate) fn on_current_runtime() -> Self {
        Self { tasks: TaskTracker::new(), runtime: Handle::try_current().ok() }
    }
}

impl Telemetry {
    pub(crate) fn from_parts(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    /// The middleware that makes a SERVER span and the server metrics of every request:
    /// `App::new().wrap(telemetry.server())`.
    pub fn server(&self) -> ServerTelemetry {
        ServerTelemetry::new(self.clone())
    }

    /// Observes WebSocket connections: what goes over them after their upgrade.
    pub fn websockets(&self) -> WebSocketTelemetry {
        WebSocketTelemetry::new(self.clone())
    }

    /// An HTTP client that makes a CLIENT span and the client metrics of every request, and sends
    /// the trace along. It gives up connecting after 5 s and waiting after 30 s.
    pub fn client(&self) -> ClientWithMiddleware {
        self.client_middleware().into_client()
    }

    /// The middleware of [`Telemetry::client`], for a client of one's own. Add it last.
    pub fn client_middleware(&self) -> ClientTelemetry {
        ClientTelemetry::new(self.clone())
    }

    /// Starts work that outlives the request it belongs to, under an INTERNAL span of this name in
    /// the same trace. [`Telemetry::background_done`] waits for it.
    ///
    /// # Panics
    /// Without any tokio runtime, as `tokio::spawn` does.
    pub fn background<F>(&self, name: &'static str, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let builder = SpanBuilder::from_name(name).with_kind(SpanKind::Internal);
        let context = Context::map_current(|parent| {
            parent.with_span(self.tracer().build_with_context(builder, parent))
        });
        let mut task = BackgroundTask { context: context.clone(), is_done: false };
        let future = async move {
            let outcome = AssertUnwindSafe(future).catch_unwind().await;
            task.end(outcome);
        };
        drop(self.track(future.with_context(context)));
    }

    /// Runs `future` to its end in the current trace, also when the caller stops waiting for it: for what
    /// must not be left half done because a client hung up. [`Telemetry::background_done`] waits for it.
    ///
    /// A panic of `future` goes on in the caller.
    ///
    /// # Panics
    /// Without any tokio runtime, as `tokio::spawn` does.
    pub async fn detached<F>(&self, future: F) -> F::Output
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        match self.track(future.with_context(Context::current())).await {
            Ok(output) => output,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // The runtime is being shut down, and with it whoever waits here.
                Err(_) => std::future::pending().await,
            },
        }
    }

    /// Runs `future` without spans and metrics of it, as below an excluded path: for what is done so often, and
    /// tells so little, that its telemetry would hide the rest. Its log records are kept.
    pub async fn untraced<F: Future>(&self, future: F) -> F::Output {
        let context = Context::map_current(|parent| untraced(parent, self.tracer()));
        future.with_context(context).await
    }

    fn track<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        let future = self.inner.background.tasks.track_future(future);
        match &self.inner.background.runtime {
            Some(runtime) => runtime.spawn(future),
            None => crate::context::spawn(future),
        }
    }

    /// Waits until no background task runs any more; `false` when `deadline` came first.
    pub async fn background_done(&self, deadline: Duration) -> bool {
        let tasks = &self.inner.background.tasks;
        tasks.close();
        tokio::time::timeout(deadline, tasks.wait()).await.is_ok()
    }

    /// The tracer that the instrumentation's spans are made with.
    pub fn tracer(&self) -> &SdkTracer {
        &self.inner.tracer
    }

    /// The meter that the instrumentation's metrics are made with.
    pub fn meter(&self) -> &Meter {
        &self.inner.meter
    }

    /// Whether telemetry is made at all (`OTEL_SDK_DISABLED` is not `true`).
    pub fn is_enabled(&self) -> bool {
        self.inner.is_enabled
    }

    /// What has been exported and what was lost so far; nothing where telemetry stays in memory.
    pub fn export_health(&self) -> ExportHealth {
        self.inner.exports.as_ref().map(Providers::health).unwrap_or_default()
    }

    /// All metrics as text for a Prometheus server, of the media type
    /// [`CONTENT_TYPE`](crate::prometheus::CONTENT_TYPE); [`prometheus`](crate::prometheus) tells its names.
    ///
    /// Whichever exporters push metrics besides; `None` with `OTEL_METRICS_EXPORTER=none`, with
    /// `OTEL_SDK_DISABLED=true`, and after the shutdown. It collects now, on this thread, which takes some
    /// milliseconds for thousands of series: a handler calls it by [`context::blocking`](crate::context::blocking).
    ///
    /// ```
    /// use telemetry_core::opentelemetry::KeyValue;
    ///
    /// # let telemetry = telemetry_core::testing::TestTelemetry::new();
    /// let orders = telemetry.meter().u64_counter("orders.created").with_unit("{order}").build();
    /// orders.add(2, &[KeyValue::new("order.type", "standard")]);
    ///
    /// let text = telemetry.prometheus().expect("metrics are made");
    /// let series = r#"orders_created_total{order_type="standard",otel_scope_name="telemetry-core"} 2"#;
    /// assert!(text.lines().any(|line| line == series));
    /// ```
    pub fn prometheus(&self) -> Option<String> {
        self.inner.metrics.as_ref()?.scrape()
    }

    pub(crate) fn propagation(&self) -> &Propagation {
        &self.inner.propagation
    }

    pub(crate) fn http(&self) -> &Http {
        &self.inner.http
    }

    /// The peers that have metric series of their own.
    pub(crate) fn hosts(&self) -> &Hosts {
        &self.inner.hosts
    }

    pub(crate) fn is_excluded(&self, path: &str) -> bool {
        self.inner.excluded_paths.matches(path)
    }
}

/// Ends the span of a background task, whichever way the task went.
struct BackgroundTask {
    context: Context,
    is_done: bool,
}

impl BackgroundTask {
    fn end(&mut self, outcome: std::thread::Result<()>) {
        self.is_done = true;
        let span = self.context.span();
        if let Err(panic) = outcome {
            let message = panic_message(&*panic);
            span.add_event("exception", Exception::from_text(PANIC, message).attributes());
            self.failed(PANIC, "the task panicked");
            span.end();
            resume_unwind(panic);
        }
        span.end();
    }

    fn failed(&self, error_type: &'static str, description: &'static str) {
        let span = self.context.span();
        span.set_attribute(KeyValue::new(attribute::ERROR_TYPE, error_type));
        span.set_status(Status::error(description));
    }
}

impl Drop for BackgroundTask {
    fn drop(&mut self) {
        if !self.is_done {
            self.failed("cancelled", "the task was dropped before its end");
            self.context.span().end();
        }
    }
}
