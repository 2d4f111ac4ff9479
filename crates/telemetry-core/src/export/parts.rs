//! What an application brings along: processors, exporters and readers beside the configured ones, a sampler, whole
//! providers in their place.

use opentelemetry_sdk::logs::{LogExporter, LogProcessor, SdkLoggerProvider};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{Instrument, SdkMeterProvider, Stream};
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanExporter, SpanProcessor};

use super::overflow::Overflows;
use super::own::{AnySampler, Guarded};
use super::{Pipelines, logs, metrics, spans};
use crate::config::{Logs, Metrics, Traces};

pub(super) type View = dyn Fn(&Instrument) -> Option<Stream> + Send + Sync;
pub(super) type MakeSpans = Box<dyn FnOnce(&Traces, &mut Pipelines) -> Box<dyn SpanProcessor> + Send>;
pub(super) type MakeLogs = Box<dyn FnOnce(&Logs, &mut Pipelines) -> Box<dyn LogProcessor> + Send>;
pub(super) type MakeMetrics =
    Box<dyn FnOnce(&Metrics, &mut Pipelines, &Overflows) -> Box<dyn MetricReader> + Send>;

/// All of it.
#[derive(Default)]
pub(crate) struct Parts {
    /// Processors, then exporters.
    pub(super) spans: Vec<MakeSpans>,
    /// Processors, then exporters.
    pub(super) logs: Vec<MakeLogs>,
    span_processors: usize,
    log_processors: usize,
    pub(super) metrics: Vec<MakeMetrics>,
    pub(super) views: Vec<Box<View>>,
    pub(super) sampler: Option<AnySampler>,
    pub(super) tracer_provider: Option<SdkTracerProvider>,
    pub(super) meter_provider: Option<SdkMeterProvider>,
    pub(super) logger_provider: Option<SdkLoggerProvider>,
}

impl Parts {
    pub(crate) fn span_processor(&mut self, processor: impl SpanProcessor + 'static) {
        self.spans.insert(self.span_processors, Box::new(|_, _| Box::new(Guarded::new(processor))));
        self.span_processors += 1;
    }

    pub(crate) fn span_exporter(&mut self, exporter: impl SpanExporter + 'static) {
        self.spans.push(Box::new(|traces, pipelines| spans::own_processor(exporter, traces, pipelines)));
    }

    pub(crate) fn log_processor(&mut self, processor: impl LogProcessor + 'static) {
        self.logs.insert(self.log_processors, Box::new(|_, _| Box::new(Guarded::new(processor))));
        self.log_processors += 1;
    }

    pub(crate) fn log_exporter(&mut self, exporter: impl LogExporter + 'static) {
        self.logs.push(Box::new(|logs, pipelines| logs::own_processor(exporter, logs, pipelines)));
    }

    pub(crate) fn metric_reader(&mut self, reader: impl MetricReader) {
        self.metrics.push(Box::new(|_, _, _| Box::new(reader)));
    }

    pub(crate) fn metric_exporter(&mut self, exporter: impl PushMetricExporter) {
        self.metrics.push(Box::new(|metrics, pipelines, overflows| {
            metrics::own_reader(exporter, metrics, pipelines, overflows)
        }));
    }

    pub(crate) fn view(&mut self, view: impl Fn(&Instrument) -> Option<Stream> + Send + Sync + 'static) {
        let view = Guarded::new(view);
        self.views.push(Box::new(move |instrument| view.guard(|view| view(instrument)).flatten()));
    }

    pub(crate) fn sampler(&mut self, sampler: AnySampler) {
        self.sampler = Some(sampler);
    }

    pub(crate) fn tracer_provider(&mut self, provider: SdkTracerProvider) {
        self.tracer_provider = Some(provider);
    }

    pub(crate) fn meter_provider(&mut self, provider: SdkMeterProvider) {
        self.meter_provider = Some(provider);
    }

    pub(crate) fn logger_provider(&mut self, provider: SdkLoggerProvider) {
        self.logger_provider = Some(provider);
    }

    /// Whether any of it sees a span when it starts.
    pub(super) fn sees_starts(&self) -> bool {
        self.span_processors > 0 || self.sampler.is_some() || self.tracer_provider.is_some()
    }

    /// Whether spans go anywhere but to the configured exporters.
    pub(super) fn takes_spans(&self) -> bool {
        !self.spans.is_empty() || self.tracer_provider.is_some()
    }

    /// Whether log records go anywhere but to the configured exporters.
    pub(crate) fn takes_logs(&self) -> bool {
        !self.logs.is_empty() || self.logger_provider.is_some()
    }
}
