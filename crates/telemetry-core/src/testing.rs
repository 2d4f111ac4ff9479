//! Telemetry in memory, for tests: whole span trees compared by value (feature `testing`).
//!
//! Each test makes a [`TestTelemetry`] of its own, so tests run side by side.
//!
//! ```
//! use opentelemetry::trace::{SpanKind, Tracer};
//! use telemetry_core::opentelemetry;
//! use telemetry_core::testing::{TestTelemetry, span};
//!
//! let telemetry = TestTelemetry::new();
//! telemetry.tracer().in_span("outer", |_| {
//!     telemetry.tracer().in_span("inner", |_| {
//!         telemetry_core::span::set_attribute("order.quantity", 2_i64);
//!     });
//! });
//! assert_eq!(
//!     telemetry.trees(),
//!     [span("outer", SpanKind::Internal)
//!         .child(span("inner", SpanKind::Internal).attribute("order.quantity", 2_i64))]
//! );
//! ```
//!
//! The application under test is given it in place of what [`init`](crate::init) answers, and is asked through a socket or
//! by actix-web's own means:
//!
//! ```
//! use actix_web::{App, test, web};
//! use telemetry_core::opentelemetry::trace::SpanKind;
//! use telemetry_core::testing::{TestTelemetry, span};
//!
//! # actix_web::rt::System::new().block_on(async {
//! let telemetry = TestTelemetry::new();
//! let _tracing = telemetry.collect_tracing(); // `#[tracing::instrument]` and log records of this thread
//! let hello = async |name: web::Path<String>| {
//!     tracing::info!("somebody is greeted");
//!     format!("Hello, {name}!")
//! };
//! let app = App::new().route("/hello/{name}", web::get().to(hello)).wrap(telemetry.server());
//! let app = test::init_service(app).await;
//! let request = test::TestRequest::get().uri("/hello/ada").to_request();
//! assert_eq!(test::call_and_read_body(&app, request).await, "Hello, ada!");
//!
//! let request = span("GET /hello/{name}", SpanKind::Server)
//!     .attribute("http.request.method", "GET")
//!     .attribute("http.route", "/hello/{name}")
//!     .attribute("http.response.status_code", 200)
//!     .attribute("url.scheme", "http")
//!     .attribute("url.path", "/hello/ada")
//!     .any(["network.protocol.version"]);
//! telemetry.assert_trees([request]).await;
//! assert_eq!(telemetry.log("somebody is greeted").span.as_deref(), Some("GET /hello/{name}"));
//! assert_eq!(telemetry.metric("http.server.request.duration").with("http.route", "/hello/{name}").count(), 1);
//! # });
//! ```

mod canary;
mod diff;
mod log;
mod metric;
mod recorder;
mod settings;
mod tree;

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::logs::{SdkLogRecord, SdkLoggerProvider};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, ResourceMetrics};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SpanData};
use tracing::Dispatch;
use tracing::subscriber::{DefaultGuard, NoSubscriber};
use tracing_subscriber::layer::SubscriberExt;

use crate::baggage::WithBaggage;
use crate::builder::TelemetryBuilder;
use crate::config::{self, Env, ExemplarFilter, HistogramAggregation, Http, is_plain};
use crate::exemplars::Exemplars;
use crate::export::{self, Overflows};
use crate::names::SCOPE;
use crate::paths::PathPatterns;
use crate::prometheus::PullReader;
use crate::propagation::{Deferring, Propagation};
use crate::subscriber::{self, LogRecords, RateLimit};
use crate::telemetry::{Background, Inner, Telemetry};
use crate::untraced::UnlessUntraced;
use canary::Places;
use recorder::{Recorder, Records};
use settings::Settings;

pub use canary::Canary;
pub use log::Log;
pub use metric::{Metric, Series};
pub use tree::{SpanTree, span};

/// How long a test waits for spans that do not come.
const BOUND: Duration = Duration::from_secs(10);

const POLL: Duration = Duration::from_millis(5);

/// Where there is one dispatcher only, `tracing` asks the thread that comes first to an event whether anyone wants it.
/// That may be another test's, which collects nothing, and then nobody gets the event. So there are always two.
static SECOND_DISPATCH: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::default()));

/// As in production, by default.
const CARDINALITY_LIMIT: usize = 2000;

/// A [`Telemetry`] whose spans, logs and metrics stay in memory.
pub struct TestTelemetry {
    telemetry: Telemetry,
    records: Arc<Records>,
    loggers: SdkLoggerProvider,
    reader: PullReader,
    // Kept for what they own: the tracer and the meter hold them weakly or not at all.
    _meters: SdkMeterProvider,
}

impl TestTelemetry {
    /// Everything sampled, `/health`, `/ready`, `/metrics` and `/favicon.ico` excluded, W3C propagation, all callers'
    /// baggage trusted.
    ///
    /// As after [`init`](crate::init), a `reqwest::Client` of one's own can be built then:
    ///
    /// ```
    /// let telemetry = telemetry_core::testing::TestTelemetry::new();
    /// let client = reqwest_middleware::ClientBuilder::new(reqwest::Client::builder().build()?)
    ///     .with(telemetry.client_middleware())
    ///     .build();
    /// # Ok::<(), reqwest::Error>(())
    /// ```
    pub fn new() -> Self {
        Self::with_sampler(Sampler::AlwaysOn)
    }

    /// With a sampler of one's own.
    pub fn with_sampler(sampler: Sampler) -> Self {
        Self::build(Settings { sampler, ..Settings::default() })
    }

    /// With propagation of one's own, and the sampler that is the default elsewhere: it goes by the caller.
    /// Reserved baggage is believed under `/internal/`.
    pub fn with_propagation(propagation: Propagation) -> Self {
        let sampler = Sampler::ParentBased(Box::new(Sampler::AlwaysOn));
        Self::build(Settings { sampler, propagation, ..Settings::default() })
    }

    /// With a sampler and settings of databases of one's own.
    pub fn with_database(sampler: Sampler, database: config::Database) -> Self {
        Self::build(Settings { sampler, database, ..Settings::default() })
    }

    /// With settings of HTTP requests of one's own.
    pub fn with_http(http: Http) -> Self {
        Self::build(Settings { http, ..Settings::default() })
    }

    /// As the program's own set-up in code asks for it, so that a test sees what the program does: excluded paths,
    /// captured headers, all other settings of HTTP, databases, propagation and baggage, and the hooks of every server
    /// and client. No variable is read. Everything is sampled and stays in memory; exporters, processors, samplers,
    /// providers and attributes of the resource are left out.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use actix_web::{App, test, web};
    /// use telemetry_core::testing::TestTelemetry;
    /// use telemetry_core::{Telemetry, TelemetryBuilder};
    ///
    /// /// What `main` calls `init` of.
    /// fn telemetry() -> TelemetryBuilder {
    ///     Telemetry::builder("order-service", "1.2.0").excluded_paths(["/ping"])
    /// }
    ///
    /// let telemetry = TestTelemetry::with_builder(telemetry());
    /// let app = App::new().route("/ping", web::get().to(async || "pong")).wrap(telemetry.server());
    /// let app = test::init_service(app).await;
    /// let ping = test::TestRequest::get().uri("/ping").to_request();
    /// assert_eq!(test::call_and_read_body(&app, ping).await, "pong");
    /// assert_eq!(telemetry.trees(), []);
    /// # }
    /// ```
    ///
    /// # Panics
    /// On a wrong setting, with what the start would tell.
    pub fn with_builder(builder: TelemetryBuilder) -> Self {
        let mut env = Env::of::<&str, &str>([]);
        let configured = builder.read(&mut env);
        if let Err(error) = env.finish() {
            panic!("{error}");
        }
        let config = configured.config;
        Self::build(Settings {
            sampler: Sampler::AlwaysOn,
            propagation: Propagation::new(&config.propagators).reserving(config.baggage_attributes.clone()),
            database: config.database,
            http: config.http,
            baggage_attributes: config.baggage_attributes,
            baggage_trusted_paths: PathPatterns::new(config.baggage_trusted_urls),
            excluded_paths: PathPatterns::new(config.excluded_urls),
            #[cfg(feature = "actix")]
            server_hooks: configured.own.server_hooks,
            #[cfg(feature = "reqwest")]
            client_hooks: configured.own.client_hooks,
        })
    }

    fn build(settings: Settings) -> Self {
        // As `init` does: the code under test builds its clients.
        export::install_crypto_provider();
        let records = Arc::new(Records::default());
        let shows_starts = !is_plain(&settings.sampler);
        let tracers = SdkTracerProvider::builder()
            .with_sampler(UnlessUntraced(Deferring(settings.sampler)))
            .with_span_processor(WithBaggage::new(settings.baggage_attributes, Recorder(records.clone())))
            .build();
        let reader = PullReader::new(Overflows::new(CARDINALITY_LIMIT));
        let meters = export::limited(CARDINALITY_LIMIT, HistogramAggregation::ExplicitBuckets, Vec::new())
            .with_reader(reader.clone())
            .build();
        let loggers = SdkLoggerProvider::builder().with_log_processor(Recorder(records.clone())).build();
        let telemetry = Telemetry::from_parts(Inner {
            tracer: tracers.tracer(SCOPE),
            meter: meters.meter(SCOPE),
            propagation: settings.propagation,
            baggage_trusted_paths: settings.baggage_trusted_paths,
            excluded_paths: settings.excluded_paths,
            exemplars: Exemplars::new(ExemplarFilter::TraceBased),
            http: settings.http,
            #[cfg(feature = "reqwest")]
            hosts: crate::client::Hosts::default(),
            #[cfg(feature = "diesel")]
            statements: Arc::default(),
            #[cfg(feature = "actix")]
            server_hooks: settings.server_hooks,
            #[cfg(feature = "reqwest")]
            client_hooks: settings.client_hooks,
            exports: None,
            metrics: Some(reader.clone()),
            is_enabled: true,
            keeps_spans: true,
            samples_roots: true,
            shows_starts,
            database: settings.database,
            has_database: AtomicBool::new(false),
            background: Background::on_current_runtime(),
            runtimes: None,
            _own_runtime: None,
        });
        Self { telemetry, records, loggers, reader, _meters: meters }
    }

    /// Makes `tracing` spans and events of this thread go here while the guard lives, and those of the work that it gives
    /// to blocking threads by [`context::blocking`](crate::context::blocking) or
    /// [`Pool::run`](crate::db::Pool::run). A server's workers are threads of their own: let the test run the
    /// service on its own thread, by actix-web's `test::init_service` for example.
    #[must_use]
    pub fn collect_tracing(&self) -> DefaultGuard {
        LazyLock::force(&SECOND_DISPATCH);
        let no_limit = RateLimit::new(0, Arc::default());
        let subscriber = tracing_subscriber::registry()
            .with(subscriber::spans(self.telemetry.tracer().clone()))
            .with(subscriber::logs(LogRecords::new(&self.loggers), "trace", no_limit));
        tracing::subscriber::set_default(subscriber)
    }

    /// The finished spans, in the order they ended.
    pub fn spans(&self) -> Vec<SpanData> {
        self.records.spans().clone()
    }

    /// The finished spans as trees, siblings in the order they started. A span whose parent is not
    /// here is a root.
    pub fn trees(&self) -> Vec<SpanTree> {
        tree::trees(self.spans())
    }

    /// The trees once the spans of `roots` requests or other traces have ended: those without a parent in this
    /// process. A request's span ends when its body has been sent, so the client may have the answer before.
    ///
    /// # Panics
    /// Where they have not ended after 10 s; the message shows what has.
    pub async fn finished(&self, roots: usize) -> Vec<SpanTree> {
        let is_root = |span: &&SpanData| {
            span.parent_span_id == opentelemetry::SpanId::INVALID || span.parent_span_is_remote
        };
        let has_come = || self.records.spans().iter().filter(is_root).count() >= roots;
        if !within_bound(has_come).await {
            let missing =
                diff::difference(&self.trees(), &[]).unwrap_or_else(|| "nothing has ended".to_owned());
            panic!("{roots} traces were expected to end; {missing}");
        }
        self.trees()
    }

    /// Waits until as many spans have ended as are expected, at most 10 s, and compares all that are here.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// # use opentelemetry::trace::{SpanKind, Tracer};
    /// # use telemetry_core::opentelemetry;
    /// use telemetry_core::testing::{TestTelemetry, span};
    ///
    /// let telemetry = TestTelemetry::new();
    /// telemetry.tracer().in_span("work", |_| telemetry_core::span::set_attribute("worker.id", 17_i64));
    /// telemetry.assert_trees([span("work", SpanKind::Internal).any(["worker.id"])]).await;
    /// # }
    /// ```
    ///
    /// # Panics
    /// Where they differ. The message is one text of indented lines, as [`assert_same_trees`] has it.
    pub async fn assert_trees(&self, expected: impl IntoIterator<Item = SpanTree>) {
        let expected: Vec<SpanTree> = expected.into_iter().collect();
        let count: usize = expected.iter().map(SpanTree::len).sum();
        // An ended span does not change any more: where that many do not fit, no further one helps.
        within_bound(|| self.records.spans().len() >= count).await;
        assert_same_trees(&self.trees(), &expected);
    }

    /// The log records so far.
    ///
    /// ```
    /// # use telemetry_core::testing::TestTelemetry;
    /// let telemetry = TestTelemetry::new();
    /// let _tracing = telemetry.collect_tracing();
    /// tracing::info_span!("checkout").in_scope(|| tracing::warn!(product.id = "p-1", "sold out"));
    ///
    /// let [log] = telemetry.logs().try_into().expect("one record");
    /// assert_eq!((log.severity.as_str(), log.body.as_str()), ("WARN", "sold out"));
    /// assert_eq!(log.text("product.id"), Some("p-1"));
    /// assert_eq!(log.span.as_deref(), Some("checkout"));
    /// ```
    pub fn logs(&self) -> Vec<Log> {
        let (records, spans) = (self.log_records(), self.spans());
        records.iter().map(|record| Log::read(record, &spans)).collect()
    }

    /// The only log record with this body.
    ///
    /// # Panics
    /// Where there is none or more than one; the message lists what there is.
    #[track_caller]
    pub fn log(&self, body: &str) -> Log {
        let logs = self.logs();
        let found: Vec<&Log> = logs.iter().filter(|log| log.body == body).collect();
        match found[..] {
            [log] => log.clone(),
            _ => {
                let there: String = logs.iter().map(|log| format!("\n  {log}")).collect();
                panic!("{} log records instead of one say {body:?}; there is{there}", found.len());
            }
        }
    }

    /// The log records so far, as the SDK has them.
    pub fn log_records(&self) -> Vec<SdkLogRecord> {
        self.records.logs().clone()
    }

    /// Every series of the metrics so far, by name and attributes.
    pub fn metrics(&self) -> Vec<Series> {
        let metrics = self.read_metrics();
        let mut series = Vec::new();
        for metric in metrics.scope_metrics().flat_map(|scope| scope.metrics()) {
            let (name, unit) = (metric.name(), metric.unit());
            match metric.data() {
                AggregatedMetrics::F64(data) => Series::read(name, unit, data, &mut series),
                AggregatedMetrics::I64(data) => Series::read(name, unit, data, &mut series),
                AggregatedMetrics::U64(data) => Series::read(name, unit, data, &mut series),
            }
        }
        // The SDK tells them in any order.
        series.sort_by_cached_key(|series| (series.name.clone(), format!("{:?}", series.attributes)));
        series
    }

    /// Looks for series of the metric of this name, as it is now. A request's metrics are there once its span is.
    ///
    /// ```
    /// # use telemetry_core::testing::TestTelemetry;
    /// # use telemetry_core::opentelemetry::KeyValue;
    /// let telemetry = TestTelemetry::new();
    /// let orders = telemetry.meter().f64_histogram("orders.amount").with_unit("EUR").build();
    /// orders.record(10.0, &[KeyValue::new("order.type", "express")]);
    /// orders.record(2.5, &[KeyValue::new("order.type", "express")]);
    ///
    /// let express = telemetry.metric("orders.amount").with("order.type", "express");
    /// assert_eq!((express.count(), express.value()), (2, 12.5));
    /// assert_eq!(express.unit(), "EUR");
    /// telemetry.metric("orders.amount").with("order.type", "standard").assert_absent();
    /// ```
    pub fn metric(&self, name: impl Into<String>) -> Metric {
        Metric { name: name.into(), all: self.metrics(), wanted: BTreeMap::new() }
    }

    /// Panics when `canary` stands anywhere in what was recorded, in any form that [`Canary`] knows: names,
    /// attributes, events, links, tracestate, status descriptions, log records, metrics, exemplars, resources.
    #[track_caller]
    pub fn assert_absent(&self, canary: &str) {
        self.assert_all_absent([canary]);
    }

    /// [`TestTelemetry::assert_absent`] of several; the message tells every place.
    ///
    /// ```
    /// # use telemetry_core::testing::TestTelemetry;
    /// let telemetry = TestTelemetry::new();
    /// let _tracing = telemetry.collect_tracing();
    /// tracing::info!(user.id = 7, "signed in");
    /// telemetry.assert_all_absent(["ada@example.com", "correct horse"]);
    /// ```
    ///
    /// # Panics
    /// Also where a span lost attributes, events or links to its limits: nobody can say what was in them.
    #[track_caller]
    pub fn assert_all_absent(&self, canaries: impl IntoIterator<Item = impl Into<String>>) {
        let mut places = Places::default();
        for span in self.spans() {
            let lost = span.dropped_attributes_count + span.events.dropped_count + span.links.dropped_count;
            assert!(lost == 0, "the span {:?} lost {lost} attributes, events or links unseen", span.name);
            places.span(&span);
        }
        self.logs().iter().for_each(|log| places.log(log));
        self.records.resources().iter().for_each(|resource| places.resource(resource));
        places.metrics(&self.read_metrics());
        let mut leaks = Vec::new();
        for canary in canaries.into_iter().map(Canary::new) {
            for found in places.0.iter().filter(|found| canary.is_in(&found.text)) {
                leaks.push(format!("{:?} leaked into {}: {:?}", canary.text(), found.place, found.text));
            }
        }
        assert!(leaks.is_empty(), "{}", leaks.join("\n"));
    }

    fn read_metrics(&self) -> ResourceMetrics {
        self.reader.read().expect("the provider lives as long as this")
    }
}

/// `work`, whose `tracing` spans and events go where those of this thread go now, wherever it is run.
pub(crate) fn collected<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    let dispatch = tracing::dispatcher::get_default(Dispatch::clone);
    move || tracing::dispatcher::with_default(&dispatch, work)
}

/// Compares span trees whole; [`SpanTree::any`] of the expected ones is heeded.
///
/// # Panics
/// Where they differ. The message shows both as one text of indented lines: `-` before what is expected and not
/// found, `+` before what is found and not expected.
#[track_caller]
pub fn assert_same_trees(found: &[SpanTree], expected: &[SpanTree]) {
    if let Some(difference) = diff::difference(found, expected) {
        panic!("{difference}");
    }
}

/// Whether the condition came to hold in time.
async fn within_bound(condition: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while !condition() {
        if start.elapsed() >= BOUND {
            return false;
        }
        tokio::time::sleep(POLL).await;
    }
    true
}

impl Default for TestTelemetry {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for TestTelemetry {
    type Target = Telemetry;

    fn deref(&self) -> &Telemetry {
        &self.telemetry
    }
}
