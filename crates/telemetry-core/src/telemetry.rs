//! The handle that instruments: what the server, the client and the pool are made from.

use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use opentelemetry::baggage::{Baggage, BaggageExt};
use opentelemetry::context::FutureExt;
use opentelemetry::metrics::Meter;
use opentelemetry::trace::{Link, SpanBuilder, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SdkTracer;
use opentelemetry_semantic_conventions::attribute;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::config::Http;
use crate::exemplars::Exemplars;
use crate::export::{ExportHealth, Providers};
use crate::paths::PathPatterns;
use crate::prometheus::{Format, PullReader};
use crate::propagation::{self, Propagation};
use crate::runtime::{RuntimeWatch, Runtimes};
use crate::span::{self, Exception, PANIC, panic_message};
use crate::untraced::untraced;
use crate::{config, db};

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
    pub(crate) baggage_trusted_paths: PathPatterns,
    pub(crate) excluded_paths: PathPatterns,
    pub(crate) http: Http,
    #[cfg(feature = "reqwest")]
    pub(crate) hosts: crate::client::Hosts,
    #[cfg(feature = "diesel")]
    pub(crate) statements: Arc<crate::db::Statements>,
    /// Of everything that is served and called: what the application wants added.
    #[cfg(feature = "actix")]
    pub(crate) server_hooks: crate::server::ServerHooks,
    #[cfg(feature = "reqwest")]
    pub(crate) client_hooks: crate::client::ClientHooks,
    pub(crate) exports: Option<Providers>,
    /// None where no metrics are made.
    pub(crate) metrics: Option<PullReader>,
    pub(crate) is_enabled: bool,
    /// Whether spans go anywhere.
    pub(crate) keeps_spans: bool,
    /// Whether a trace that begins here is sampled, as far as the configuration tells.
    pub(crate) samples_roots: bool,
    /// Whether code of the application's sees spans start: a sampler, a processor, a provider.
    pub(crate) shows_starts: bool,
    pub(crate) exemplars: Exemplars,
    pub(crate) database: config::Database,
    /// Whether there is a database at all, whose queries are to be counted.
    pub(crate) has_database: AtomicBool,
    pub(crate) background: Background,
    /// The runtimes whose metrics are made; none where they are not.
    pub(crate) runtimes: Option<Runtimes>,
    /// Of the runtime in which it was set up.
    pub(crate) _own_runtime: Option<RuntimeWatch>,
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

    /// Starts work that outlives the request it belongs to, under an INTERNAL span of this name in
    /// the same trace. [`Telemetry::background_done`] waits for it.
    ///
    /// # Panics
    /// Without any tokio runtime, as `tokio::spawn` does.
    pub fn background<F>(&self, name: &'static str, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let context = Context::map_current(|parent| {
            if !self.is_enabled() {
                return parent.clone();
            }
            let parent = propagation::begun_here(parent);
            parent.with_span(self.tracer().build_with_context(internal(name), &parent))
        });
        self.start_background(context, future);
    }

    /// Like [`Telemetry::background`], under the root span of a trace of its own, which links to the one whose
    /// [`traceparent`](crate::span::traceparent) was stored: for work that goes on hours or days after the
    /// request it was left by. Baggage goes along; what is no traceparent links to nothing.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// # let telemetry = telemetry_core::testing::TestTelemetry::new();
    /// use telemetry_core::span;
    /// # use std::time::Duration;
    /// # use opentelemetry::trace::Tracer;
    /// # use telemetry_core::opentelemetry;
    ///
    /// # telemetry.tracer().in_span("request", |_| {
    /// // The request that leaves the work keeps its traceparent in the row:
    /// let stored: Option<String> = span::traceparent();
    /// # let stored = stored.unwrap();
    ///
    /// // Whoever finds the row later goes on with it:
    /// telemetry.background_linked("finish_order", &stored, async { /* … */ });
    /// # });
    /// # assert!(telemetry.background_done(Duration::from_secs(9)).await);
    /// # let spans = telemetry.spans();
    /// # let [request, finish] = &spans[..] else { panic!("two spans") };
    /// # assert_eq!(finish.links.links[0].span_context.span_id(), request.span_context.span_id());
    /// # }
    /// ```
    ///
    /// # Panics
    /// Without any tokio runtime, as `tokio::spawn` does.
    pub fn background_linked<F>(&self, name: &'static str, stored: &str, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let context = Context::map_current(|current| match current.baggage() {
            baggage if baggage.is_empty() => propagation::new_trace(),
            baggage => propagation::new_trace().with_baggage(Baggage::from_iter(
                baggage.iter().map(|(name, value)| (name.clone(), value.clone())),
            )),
        });
        if !self.is_enabled() {
            return self.start_background(context, future);
        }
        let links = span::stored(stored).map(Link::with_context).into_iter().collect();
        let span = self.tracer().build_with_context(internal(name).with_links(links), &context);
        self.start_background(context.with_span(span), future);
    }

    fn start_background<F>(&self, context: Context, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let context = db::counted(self, context);
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
        let context = Context::map_current(|parent| untraced(parent, self));
        future.with_context(context).await
    }

    fn track<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        let future = self.inner.background.tasks.track_future(future);
        match &self.inner.background.runtime {
            #[expect(clippy::disallowed_methods, reason = "the future carries its context")]
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

    #[cfg(any(feature = "actix", feature = "reqwest"))]
    pub(crate) fn keeps_spans(&self) -> bool {
        self.inner.keeps_spans
    }

    /// A guess whether a span below this parent will be kept; the sampler decides.
    #[cfg(any(feature = "actix", feature = "reqwest"))]
    pub(crate) fn will_keep(&self, parent: &Context) -> bool {
        let span = parent.span();
        let parent = span.span_context();
        let is_sampled = if parent.is_valid() { parent.is_sampled() } else { self.inner.samples_roots };
        is_sampled && self.inner.keeps_spans
    }

    #[cfg(any(feature = "actix", feature = "reqwest"))]
    pub(crate) fn shows_starts(&self) -> bool {
        self.inner.shows_starts
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
        self.scrape(Format::Text)
    }

    /// [`Telemetry::prometheus`] in the format that whoever scrapes prefers ([`Format::accepted_by`]): OpenMetrics has
    /// the exemplars too.
    ///
    /// ```
    /// use telemetry_core::prometheus::Format;
    ///
    /// # let telemetry = telemetry_core::testing::TestTelemetry::new();
    /// telemetry.meter().u64_counter("orders.created").build().add(2, &[]);
    ///
    /// let text = telemetry.scrape(Format::OpenMetrics).expect("metrics are made");
    /// assert!(text.contains("# TYPE orders_created counter\norders_created_total{"));
    /// assert!(text.ends_with("# EOF\n"));
    /// ```
    pub fn scrape(&self, format: Format) -> Option<String> {
        self.inner.metrics.as_ref()?.scrape(format, &self.inner.exemplars)
    }

    pub(crate) fn has_own_tracer_provider(&self) -> bool {
        self.inner.exports.as_ref().is_some_and(|providers| providers.is_tracer_own)
    }

    #[cfg(feature = "actix")]
    pub(crate) fn server_hooks(&self) -> &crate::server::ServerHooks {
        &self.inner.server_hooks
    }

    #[cfg(feature = "reqwest")]
    pub(crate) fn client_hooks(&self) -> &crate::client::ClientHooks {
        &self.inner.client_hooks
    }

    pub(crate) fn exemplars(&self) -> &Exemplars {
        &self.inner.exemplars
    }

    /// Makes metrics of the current runtime while the answer lives.
    pub(crate) fn watch_runtime(&self) -> Option<RuntimeWatch> {
        self.inner.runtimes.as_ref()?.watch_current()
    }

    /// The settings of databases, of which there is one from now on.
    pub(crate) fn database_in_use(&self) -> config::Database {
        self.inner.has_database.store(true, Ordering::Relaxed);
        self.inner.database
    }

    /// How often is too often; 0 where nothing is to be counted.
    pub(crate) fn repeated_query_threshold(&self) -> u32 {
        let has_database = self.inner.has_database.load(Ordering::Relaxed);
        if has_database { self.inner.database.repeated_query_threshold } else { 0 }
    }

    pub(crate) fn propagation(&self) -> &Propagation {
        &self.inner.propagation
    }

    pub(crate) fn trusts_baggage(&self, path: &str) -> bool {
        self.inner.baggage_trusted_paths.matches(path)
    }

    pub(crate) fn http(&self) -> &Http {
        &self.inner.http
    }

    /// The peers that have metric series of their own.
    #[cfg(feature = "reqwest")]
    pub(crate) fn hosts(&self) -> &crate::client::Hosts {
        &self.inner.hosts
    }

    /// The statements that have metric series of their own.
    #[cfg(feature = "diesel")]
    pub(crate) fn statements(&self) -> &Arc<db::Statements> {
        &self.inner.statements
    }

    pub(crate) fn is_excluded(&self, path: &str) -> bool {
        self.inner.excluded_paths.matches(path)
    }
}

fn internal(name: &'static str) -> SpanBuilder {
    SpanBuilder::from_name(name).with_kind(SpanKind::Internal)
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
            span.add_event("exception", Exception::of_panic(message).attributes());
            self.failed(PANIC, "the task panicked");
            db::tell(&self.context);
            span.end();
            resume_unwind(panic);
        }
        db::tell(&self.context);
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
            db::tell(&self.context);
            self.context.span().end();
        }
    }
}
