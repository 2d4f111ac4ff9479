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
mod sdk_metrics;
mod shutdown;
mod spans;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::Key;
use opentelemetry::metrics::Meter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::{
    Aggregation, Instrument, InstrumentKind, MeterProviderBuilder, SdkMeterProvider, Stream,
};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, TracerProviderBuilder};

use crate::Config;
use crate::config::{ExemplarFilter, Exporter, HistogramAggregation, Otlp, Signal};
use crate::exemplars::Exemplars;
use crate::prometheus::PullReader;
use crate::propagation::Deferring;
use crate::untraced::UnlessUntraced;
use counter::Counter;
use otlp::{Connection, Delivery, OtlpExporter, Transport};
use sdk_metrics::{Component, CountedSampler, Started};

pub use health::{Drops, ExportHealth, Failures, LastError, LimitsHealth, SignalHealth};
pub(crate) use limits::cut;
#[cfg(any(test, feature = "testing"))]
pub(crate) use limits::limit_span;
pub(crate) use otlp::install_crypto_provider;
pub(crate) use overflow::Overflows;
pub use shutdown::{ShutdownReport, SignalReport};

/// The target of this module's own log lines.
const TARGET: &str = "telemetry_core::export";

/// The three providers of one configuration, and what became of what they were given. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Providers {
    /// Makes tracers.
    pub(crate) tracer: SdkTracerProvider,
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
    /// Starts the exporters that the configuration names. With `OTEL_SDK_DISABLED` there are none, and no span
    /// is recorded.
    ///
    /// `extend` may add to the tracer provider what is not its configuration, such as a span processor.
    ///
    /// # Errors
    /// Where a thread or the HTTP client cannot be made; `https://` needs root certificates on the machine.
    pub(crate) fn start(
        config: &Config,
        resource: &Resource,
        extend: impl FnOnce(TracerProviderBuilder) -> TracerProviderBuilder,
    ) -> Result<Self, ExportError> {
        let started = Started::default();
        let mut tracer = SdkTracerProvider::builder()
            .with_resource(resource.clone())
            .with_sampler(CountedSampler {
                sampler: UnlessUntraced(Deferring(config.traces.sampler.clone())),
                started: started.clone(),
            })
            .with_span_limits(config.traces.limits);
        // The console has no place for them.
        let has_place = |exporter: &Exporter| matches!(exporter, Exporter::Otlp | Exporter::Prometheus);
        let is_exported = !config.disabled && config.metrics.exporters.iter().any(has_place);
        let filter = if is_exported { config.metrics.exemplars } else { ExemplarFilter::AlwaysOff };
        let exemplars = Exemplars::new(filter);
        let overflows = Overflows::new(config.metrics.cardinality_limit);
        let mut meter = limited(config.metrics.cardinality_limit, config.metrics.histograms)
            .with_resource(resource.clone());
        let mut logger = SdkLoggerProvider::builder().with_resource(resource.clone());
        let mut pull = None;
        let mut pipelines = Pipelines::default();

        if config.disabled {
            tracer = tracer.with_sampler(Sampler::AlwaysOff);
        } else {
            tracer = extend(tracer);
            // The console comes last, so that no shutdown waits for it before the collector has everything.
            if config.traces.exporters.contains(&Exporter::Otlp) {
                tracer = tracer.with_span_processor(spans::processor(&config.traces, &mut pipelines)?);
            }
            if config.traces.exporters.contains(&Exporter::Console) {
                let service = resource.get(&Key::from_static_str("service.name"));
                let (spans, counter) = console::ConsoleSpans::start(
                    console::Output::stdout(),
                    service.map(|name| name.to_string()).unwrap_or_default(),
                    config.traces.attribute_value_length,
                )
                .map_err(ExportError::Thread)?;
                tracer = tracer.with_span_processor(spans);
                pipelines.console = Some(counter);
            }
            for exporter in &config.metrics.exporters {
                meter = match exporter {
                    Exporter::Console => meter.with_reader(metrics::reader(
                        console::Metrics::to_stdout(),
                        config.metrics.interval,
                        &overflows,
                    )),
                    Exporter::Otlp => meter.with_reader(metrics::otlp_reader(
                        &config.metrics,
                        &mut pipelines,
                        &overflows,
                        &exemplars,
                    )?),
                    // The reader below is all it needs.
                    Exporter::Prometheus => meter,
                };
            }
            if !config.metrics.exporters.is_empty() {
                let reader = PullReader::new(overflows.clone());
                meter = meter.with_reader(reader.clone());
                pull = Some(reader);
            }
            // On the console log records are the subscriber's lines; they need no exporter.
            if config.logs.exporters.contains(&Exporter::Otlp) {
                logger = logger.with_log_processor(logs::processor(&config.logs, &mut pipelines)?);
            }
        }
        Ok(Self {
            tracer: tracer.build(),
            meter: meter.build(),
            logger: logger.build(),
            pull,
            exemplars,
            overflows,
            started,
            pipelines: Arc::new(pipelines),
        })
    }

    /// What became of everything that was to be exported so far.
    pub(crate) fn health(&self) -> ExportHealth {
        let health = |counter: &Option<Arc<Counter>>| counter.as_deref().map(Counter::health);
        ExportHealth {
            traces: health(&self.pipelines.traces),
            metrics: health(&self.pipelines.metrics),
            logs: health(&self.pipelines.logs),
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
        }
    }

    /// Makes the metrics in which the export tells of itself.
    pub(crate) fn observe(&self, meter: &Meter) {
        let counter = |signal| match signal {
            Signal::Traces => self.pipelines.traces.as_ref(),
            Signal::Metrics => self.pipelines.metrics.as_ref(),
            Signal::Logs => self.pipelines.logs.as_ref(),
        };
        self.started.observe(meter, counter(Signal::Traces));
        for component in &self.pipelines.components {
            if let Some(counter) = counter(component.signal()) {
                component.observe(meter, counter);
            }
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

/// What stands behind the providers: a counter for each signal that goes to a collector, and the connection.
#[derive(Default)]
struct Pipelines {
    traces: Option<Arc<Counter>>,
    metrics: Option<Arc<Counter>>,
    logs: Option<Arc<Counter>>,
    /// Spans on their way to standard output.
    console: Option<Arc<Counter>>,
    components: Vec<Arc<Component>>,
    connection: Option<Arc<Connection>>,
    log_attributes_dropped: Arc<AtomicU64>,
    log_lines_suppressed: Arc<AtomicU64>,
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
        let counter = Arc::new(Counter::new(signal, queue_size));
        let place = match signal {
            Signal::Traces => &mut self.traces,
            Signal::Metrics => &mut self.metrics,
            Signal::Logs => &mut self.logs,
        };
        *place = Some(counter.clone());
        let component = Arc::new(Component::new(signal, otlp));
        self.components.push(component.clone());
        Ok((OtlpExporter::new(otlp, delivery, counter.clone(), component), counter))
    }
}

/// A provider whose instruments have no more than so many series each, and whose histograms are aggregated so.
pub(crate) fn limited(cardinality: usize, histograms: HistogramAggregation) -> MeterProviderBuilder {
    SdkMeterProvider::builder().with_view(move |instrument: &Instrument| {
        let mut stream = Stream::builder().with_cardinality_limit(cardinality);
        let is_exponential = histograms == HistogramAggregation::Exponential;
        if is_exponential && instrument.kind() == InstrumentKind::Histogram {
            stream = stream.with_aggregation(EXPONENTIAL);
        }
        stream.build().ok()
    })
}

/// The specification's defaults ("Base2 Exponential Bucket Histogram Aggregation").
const EXPONENTIAL: Aggregation =
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
