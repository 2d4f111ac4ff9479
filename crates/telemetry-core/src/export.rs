//! The way out: from a [`Config`] to providers whose spans, metrics and log records leave the process.
//!
//! Nothing here waits on a request's thread. Each OTLP signal has a bounded queue and a thread of its own
//! (the SDK's batch processors and periodic reader); all share one connection pool on one more thread. What a
//! full queue, a failing collector or a short shutdown loses is counted, never guessed: [`ExportHealth`] tells
//! it while the process runs, [`ShutdownReport`] at its end.

mod console;
mod counter;
mod health;
mod limits;
mod logs;
mod metrics;
mod otlp;
mod overflow;
mod own;
mod parts;
mod sdk_metrics;
mod shutdown;
mod side_by_side;
mod spans;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::Key;
use opentelemetry::metrics::Meter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{LogProcessor, SdkLoggerProvider};
use opentelemetry_sdk::metrics::{
    Aggregation, Instrument, InstrumentKind, MeterProviderBuilder, SdkMeterProvider, Stream,
};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SpanProcessor};

use crate::Config;
use crate::baggage::WithBaggage;
use crate::config::{
    ByParent, ExemplarFilter, Exporter, HistogramAggregation, MetricPipeline, Metrics, Otlp, Signal,
};
use crate::exemplars::Exemplars;
use crate::prometheus::PullReader;
use crate::propagation::Deferring;
use crate::untraced::UnlessUntraced;
use counter::Counter;
use metrics::SharedReader;
use otlp::{Connection, Delivery, OtlpExporter, Transport};
use own::OwnExporter;
use sdk_metrics::{Component, CountedSampler, Started};
use side_by_side::SideBySide;

pub use health::{Drops, ExportHealth, ExporterHealth, Failures, LastError, LimitsHealth, SignalHealth};
pub(crate) use limits::cut;
#[cfg(any(test, feature = "testing"))]
pub(crate) use limits::limit_span;
pub(crate) use otlp::install_crypto_provider;
pub(crate) use overflow::Overflows;
pub(crate) use own::AnySampler;
pub(crate) use parts::Parts;
pub use shutdown::{ExporterReport, ShutdownReport, SignalReport};

/// The target of this module's own log lines.
const TARGET: &str = "telemetry_core::export";

/// The three providers of one configuration, and what became of what they were given. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Providers {
    /// Makes tracers.
    pub(crate) tracer: SdkTracerProvider,
    /// Whether the application made that one.
    pub(crate) is_tracer_own: bool,
    /// Whether spans go anywhere.
    pub(crate) keeps_spans: bool,
    /// Whether code of the application's sees them start.
    pub(crate) shows_starts: bool,
    /// Makes meters.
    pub(crate) meter: SdkMeterProvider,
    /// Makes loggers, for the bridge from `tracing`.
    pub(crate) logger: SdkLoggerProvider,
    /// Reads the metrics on demand, whichever exporters there are; none where there are none.
    pub(crate) pull: Option<PullReader>,
    /// Takes the exemplars that go with the metrics to a collector.
    pub(crate) exemplars: Exemplars,
    overflows: Overflows,
    started: Started,
    pipelines: Arc<Pipelines>,
}

impl Providers {
    /// Starts the exporters that the configuration names, and those that the application brings. With
    /// `OTEL_SDK_DISABLED` there are none of either, and no span is recorded.
    ///
    /// # Errors
    /// Where a thread or the HTTP client cannot be made; `https://` needs root certificates on the machine.
    pub(crate) fn start(config: &Config, resource: &Resource, parts: Parts) -> Result<Self, ExportError> {
        let parts = if config.disabled { Parts::default() } else { parts };
        // The console has no place for them.
        let has_place = |exporter: &Exporter| matches!(exporter, Exporter::Otlp | Exporter::Prometheus);
        let is_exported = !config.disabled && config.metrics.exporters.iter().any(has_place);
        let filter = if is_exported { config.metrics.exemplars } else { ExemplarFilter::AlwaysOff };
        let mut starting = Starting {
            config,
            resource,
            exemplars: Exemplars::new(filter),
            overflows: Overflows::new(config.metrics.cardinality_limit),
            started: Started::default(),
            pull: None,
            pipelines: Pipelines::default(),
        };
        let is_tracer_own = parts.tracer_provider.is_some();
        let shows_starts = parts.sees_starts() || !config.traces.has_plain_sampler();
        let keeps_spans = !config.disabled && (parts.takes_spans() || !config.traces.exporters.is_empty());
        let tracer = match parts.tracer_provider {
            Some(own) => own,
            None => starting.tracer(parts.sampler, parts.spans)?,
        };
        let meter = match parts.meter_provider {
            Some(own) => own,
            None => starting.meter(parts.metrics, parts.views)?,
        };
        let logger = match parts.logger_provider {
            Some(own) => own,
            None => starting.logger(parts.logs)?,
        };
        let Starting { exemplars, overflows, started, pull, pipelines, .. } = starting;
        let pipelines = Arc::new(pipelines);
        Ok(Self {
            tracer,
            is_tracer_own,
            keeps_spans,
            shows_starts,
            meter,
            logger,
            pull,
            exemplars,
            overflows,
            started,
            pipelines,
        })
    }

    /// What became of everything that was to be exported so far.
    pub(crate) fn health(&self) -> ExportHealth {
        let mut health = ExportHealth {
            limits: LimitsHealth {
                log_attributes_dropped: self.pipelines.log_attributes_dropped.load(Ordering::Relaxed),
                console_spans_dropped: self
                    .pipelines
                    .console
                    .as_ref()
                    .map_or(0, |counter| counter.health().dropped),
                log_lines_suppressed: self.pipelines.log_lines_suppressed.load(Ordering::Relaxed),
                metrics_overflowing: self.overflows.names(),
            },
            ..ExportHealth::default()
        };
        for route in &self.pipelines.routes {
            let counts = route.counter.health();
            match route.signal {
                Signal::Traces if route.is_main => health.traces = Some(counts),
                Signal::Metrics if route.is_main => health.metrics = Some(counts),
                Signal::Logs if route.is_main => health.logs = Some(counts),
                signal => {
                    let exporter = route.component.name().to_owned();
                    health.further.push(ExporterHealth { exporter, signal, health: counts });
                }
            }
        }
        health
    }

    /// Makes the metrics in which the export tells of itself.
    pub(crate) fn observe(&self, meter: &Meter) {
        let routes = &self.pipelines.routes;
        let of_spans = routes.iter().find(|route| route.signal == Signal::Traces);
        self.started.observe(meter, of_spans.map(|route| &route.counter));
        for route in routes {
            route.component.observe(meter, &route.counter);
        }
    }

    /// Where log lines are counted that are neither printed nor exported.
    pub(crate) fn suppressed_lines(&self) -> Arc<AtomicU64> {
        self.pipelines.log_lines_suppressed.clone()
    }

    /// Flushes all signals side by side and stops, at the latest after `deadline`.
    ///
    /// May be called from any thread, that of a single-threaded runtime too; it blocks the caller.
    pub(crate) fn shutdown(&self, deadline: Duration) -> ShutdownReport {
        shutdown::shutdown(self, deadline)
    }
}

/// Providers in the making.
struct Starting<'a> {
    config: &'a Config,
    resource: &'a Resource,
    exemplars: Exemplars,
    overflows: Overflows,
    started: Started,
    pull: Option<PullReader>,
    pipelines: Pipelines,
}

impl Starting<'_> {
    fn tracer(
        &mut self,
        sampler: Option<AnySampler>,
        own: Vec<parts::MakeSpans>,
    ) -> Result<SdkTracerProvider, ExportError> {
        let (disabled, traces) = (self.config.disabled, &self.config.traces);
        let sampler = sampler.unwrap_or_else(|| match (&traces.sampler, &traces.parents) {
            (Sampler::ParentBased(_), Some(parents)) => {
                AnySampler::ours(ByParent { root: traces.sampler.clone(), parents: parents.clone() })
            }
            (sampler, _) => AnySampler::ours(sampler.clone()),
        });
        let tracer =
            SdkTracerProvider::builder().with_resource(self.resource.clone()).with_span_limits(traces.limits);
        if disabled {
            return Ok(tracer.with_sampler(Sampler::AlwaysOff).build());
        }
        let tracer = tracer.with_sampler(CountedSampler {
            sampler: UnlessUntraced(Deferring(sampler)),
            started: self.started.clone(),
        });
        let mut exporting = Vec::new();
        if traces.exporters.contains(&Exporter::Otlp) {
            exporting.push(spans::processor(traces, &traces.batch, &traces.otlp, &mut self.pipelines)?);
            for further in &traces.further {
                exporting.push(spans::processor(traces, &further.batch, &further.otlp, &mut self.pipelines)?);
            }
        }
        // What the application brings comes first: it may add to a span what exporters are to see.
        let mut all: Vec<Box<dyn SpanProcessor>> =
            own.into_iter().map(|make| make(traces, &mut self.pipelines)).collect();
        all.extend(exporting);
        // Baggage first of all, so that the application's processors find the tenant on a span.
        let baggage = self.config.baggage_attributes.iter().cloned();
        let mut tracer = tracer.with_span_processor(WithBaggage::new(baggage, SideBySide(all)));
        // The console comes last, so that no shutdown waits for it before the collector has everything.
        if traces.exporters.contains(&Exporter::Console) {
            let service = self.resource.get(&Key::from_static_str("service.name"));
            let (spans, counter) = console::ConsoleSpans::start(
                console::Output::stdout(),
                service.map(|name| name.to_string()).unwrap_or_default(),
                traces.attribute_value_length,
            )
            .map_err(ExportError::Thread)?;
            tracer = tracer.with_span_processor(spans);
            self.pipelines.console = Some(counter);
        }
        Ok(tracer.build())
    }

    fn meter(
        &mut self,
        own: Vec<parts::MakeMetrics>,
        views: Vec<Box<parts::View>>,
    ) -> Result<SdkMeterProvider, ExportError> {
        let metrics = &self.config.metrics;
        let (cardinality, histograms) = (metrics.cardinality_limit, metrics.histograms);
        let of_file = metrics.views.iter().cloned().map(|view| -> Box<parts::View> {
            Box::new(move |instrument: &Instrument| {
                view.stream(instrument, cardinality, default_aggregation(histograms))
            })
        });
        let views = of_file.chain(views).collect();
        let mut meter = limited(cardinality, histograms, views).with_resource(self.resource.clone());
        if self.config.disabled {
            return Ok(meter.build());
        }
        let mut readers = Vec::new();
        for exporter in &metrics.exporters {
            match exporter {
                Exporter::Console => {
                    let console = console::Metrics::to_stdout();
                    meter = meter.with_reader(metrics::reader(console, metrics.interval, &self.overflows));
                }
                Exporter::Otlp => {
                    let Metrics { interval, export_timeout, temporality, .. } = *metrics;
                    let first =
                        MetricPipeline { interval, export_timeout, temporality, otlp: metrics.otlp.clone() };
                    for collector in std::iter::once(&first).chain(&metrics.further) {
                        // An exemplar goes with one export: the first collector has them.
                        let exemplars = if readers.is_empty() { Some(&self.exemplars) } else { None };
                        readers.push(SharedReader::new(metrics::otlp_reader(
                            collector,
                            &mut self.pipelines,
                            &self.overflows,
                            exemplars,
                        )?));
                    }
                }
                // The reader below is all it needs.
                Exporter::Prometheus => {}
            }
        }
        if !metrics.exporters.is_empty() {
            let overflows = self.overflows.clone();
            self.pull = Some(match readers.iter().find(|reader| reader.is_cumulative()) {
                Some(reader) => PullReader::of(Arc::new(reader.clone()), overflows),
                None => {
                    let reader = PullReader::new(overflows);
                    meter = meter.with_reader(reader.clone());
                    reader
                }
            });
        }
        let own = own.into_iter().map(|make| make(metrics, &mut self.pipelines, &self.overflows));
        readers.extend(own.map(SharedReader::new));
        for reader in &readers {
            meter = meter.with_reader(reader.clone());
        }
        self.pipelines.readers = readers;
        Ok(meter.build())
    }

    fn logger(&mut self, own: Vec<parts::MakeLogs>) -> Result<SdkLoggerProvider, ExportError> {
        let logs = &self.config.logs;
        let logger = SdkLoggerProvider::builder().with_resource(self.resource.clone());
        if self.config.disabled {
            return Ok(logger.build());
        }
        let mut exporting = Vec::new();
        // On the console log records are the subscriber's lines; they need no exporter.
        if logs.exporters.contains(&Exporter::Otlp) {
            exporting.push(logs::processor(logs, &logs.batch, &logs.otlp, &mut self.pipelines)?);
            for further in &logs.further {
                exporting.push(logs::processor(logs, &further.batch, &further.otlp, &mut self.pipelines)?);
            }
        }
        let mut all: Vec<Box<dyn LogProcessor>> =
            own.into_iter().map(|make| make(logs, &mut self.pipelines)).collect();
        all.extend(exporting);
        // Without any processor no record is made at all.
        Ok(if all.is_empty() { logger } else { logger.with_log_processor(SideBySide(all)) }.build())
    }
}

/// What stands behind the providers: the ways that are counted, and the connection.
#[derive(Default)]
struct Pipelines {
    routes: Vec<Route>,
    /// Of pushed metrics, to be shut down side by side.
    readers: Vec<SharedReader>,
    /// Spans on their way to standard output.
    console: Option<Arc<Counter>>,
    connection: Option<Arc<Connection>>,
    log_attributes_dropped: Arc<AtomicU64>,
    log_lines_suppressed: Arc<AtomicU64>,
}

/// The way of one signal to one exporter.
struct Route {
    signal: Signal,
    /// The first collector of its signal; in most processes there is no other.
    is_main: bool,
    counter: Arc<Counter>,
    component: Arc<Component>,
}

impl Pipelines {
    /// Begins the pipeline of a signal: its counter, and the exporter that counts there. An export takes no longer
    /// than the exporter's timeout and that of the queue allow.
    fn begin(
        &mut self,
        signal: Signal,
        otlp: &Otlp,
        queue_size: Option<usize>,
        export_timeout: Duration,
    ) -> Result<(OtlpExporter, Arc<Counter>), ExportError> {
        let connection = match &self.connection {
            Some(connection) => connection.clone(),
            None => {
                let connection = Arc::new(Connection::open().map_err(ExportError::Thread)?);
                self.connection.insert(connection).clone()
            }
        };
        let transport = Transport::new(&connection, signal, otlp)
            .map_err(|source| ExportError::Client { signal, source })?;
        let delivery = Delivery::new(connection, transport, otlp.timeout.min(export_timeout));
        let component = Component::new(signal, otlp, self.routes.iter().map(|route| &*route.component));
        let is_main = !self.routes.iter().any(|route| route.signal == signal && route.is_main);
        let (counter, component) = self.add(signal, is_main, queue_size, component);
        Ok((OtlpExporter::new(otlp, delivery, counter.clone(), component), counter))
    }

    /// The same for an exporter that the application brings.
    fn begin_own<E>(
        &mut self,
        signal: Signal,
        exporter: E,
        queue_size: Option<usize>,
    ) -> (OwnExporter<E>, Arc<Counter>) {
        let kind = std::any::type_name::<E>();
        let component = Component::named(signal, kind, self.routes.iter().map(|route| &*route.component));
        let (counter, component) = self.add(signal, false, queue_size, component);
        (OwnExporter::new(exporter, counter.clone(), component), counter)
    }

    fn add(
        &mut self,
        signal: Signal,
        is_main: bool,
        queue_size: Option<usize>,
        component: Component,
    ) -> (Arc<Counter>, Arc<Component>) {
        let (counter, component) = (Arc::new(Counter::new(signal, queue_size)), Arc::new(component));
        let route = Route { signal, is_main, counter: counter.clone(), component: component.clone() };
        self.routes.push(route);
        (counter, component)
    }
}

/// A provider whose instruments have no more than so many series each, and whose histograms are aggregated so, unless
/// a view of the application's says otherwise.
pub(crate) fn limited(
    cardinality: usize,
    histograms: HistogramAggregation,
    views: Vec<Box<parts::View>>,
) -> MeterProviderBuilder {
    let views: Arc<[Box<parts::View>]> = views.into();
    let own = (0..views.len()).map(|number| {
        let views = views.clone();
        move |instrument: &Instrument| views[number](instrument)
    });
    let builder = own.fold(SdkMeterProvider::builder(), MeterProviderBuilder::with_view);
    builder.with_view(move |instrument: &Instrument| {
        // Each view that matches is a stream of its own.
        if views.iter().any(|view| view(instrument).is_some()) {
            return None;
        }
        let mut stream = Stream::builder().with_cardinality_limit(cardinality);
        if instrument.kind() == InstrumentKind::Histogram
            && let Some(aggregation) = default_aggregation(histograms)
        {
            stream = stream.with_aggregation(aggregation.clone());
        }
        stream.build().ok()
    })
}

/// What histograms are aggregated by where that is not as each of them says.
fn default_aggregation(histograms: HistogramAggregation) -> Option<&'static Aggregation> {
    (histograms == HistogramAggregation::Exponential).then_some(&EXPONENTIAL)
}

/// The specification's defaults ("Base2 Exponential Bucket Histogram Aggregation").
static EXPONENTIAL: Aggregation =
    Aggregation::Base2ExponentialHistogram { max_size: 160, max_scale: 20, record_min_max: true };

/// Why exporters cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// No thread for exports.
    #[error("the thread for exports cannot start")]
    Thread(#[source] std::io::Error),
    /// No client for the collector.
    #[error(
        "the client for exports of {signal} cannot be made; an https:// endpoint needs root certificates: those of the \
         machine (package ca-certificates), or of OTEL_EXPORTER_OTLP_CERTIFICATE"
    )]
    Client {
        /// Whose exports.
        signal: Signal,
        /// What is wrong.
        source: reqwest::Error,
    },
}

#[cfg(test)]
mod tests;
