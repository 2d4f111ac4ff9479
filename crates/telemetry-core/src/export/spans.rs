//! The way of spans to the collector.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor,
};

use super::counter::Counter;
use super::limits::LimitedSpans;
use super::otlp::{Counted, configured};
use super::{ExportError, Pipelines};
use crate::config::{Signal, Traces};

/// A batch processor whose losses are counted.
pub(super) fn processor(
    traces: &Traces,
    pipelines: &mut Pipelines,
) -> Result<impl SpanProcessor + use<>, ExportError> {
    let Traces { batch, otlp, .. } = traces;
    let (counter, delivery) = pipelines.begin(Signal::Traces, otlp, batch.queue_size, batch.export_timeout);
    let exporter = configured(opentelemetry_otlp::SpanExporter::builder().with_http(), otlp, &delivery)
        .build()
        .map_err(|source| ExportError::Exporter { signal: Signal::Traces, source })?;
    let exporter = Counted::new(exporter, counter.clone(), delivery);
    let exporter = LimitedSpans::new(exporter, traces.attribute_value_length);
    // The SDK's queue has no timeout of its own; the delivery keeps it.
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(batch.queue_size)
        .with_scheduled_delay(batch.delay)
        .with_max_export_batch_size(batch.batch_size)
        .build();
    let queue = BatchSpanProcessor::builder(exporter).with_batch_config(config).build();
    Ok(CountedQueue { queue, counter })
}

#[derive(Debug)]
struct CountedQueue {
    queue: BatchSpanProcessor,
    counter: Arc<Counter>,
}

impl SpanProcessor for CountedQueue {
    fn on_start(&self, span: &mut Span, cx: &Context) {
        self.queue.on_start(span, cx);
    }

    fn on_end(&self, span: SpanData) {
        if self.counter.admit() {
            self.queue.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.queue.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.counter.close();
        self.queue.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.queue.set_resource(resource);
    }
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        Counted::export(self, batch.len(), self.exporter.export(batch)).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
