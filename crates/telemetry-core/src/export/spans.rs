//! The way of spans out of the process.

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
use super::otlp::OtlpExporter;
use super::own::OwnExporter;
use super::{ExportError, Pipelines};
use crate::config::{Batch, Otlp, Signal, Traces};

/// A batch processor in front of a collector, whose losses are counted.
pub(super) fn processor(
    traces: &Traces,
    batch: &Batch,
    otlp: &Otlp,
    pipelines: &mut Pipelines,
) -> Result<Box<dyn SpanProcessor>, ExportError> {
    let (exporter, counter) =
        pipelines.begin(Signal::Traces, otlp, Some(batch.queue_size), batch.export_timeout)?;
    Ok(queue(exporter, counter, batch, traces.attribute_value_length))
}

/// The same in front of an exporter of the application's own.
pub(super) fn own_processor<E: SpanExporter + 'static>(
    exporter: E,
    traces: &Traces,
    pipelines: &mut Pipelines,
) -> Box<dyn SpanProcessor> {
    let batch = &traces.batch;
    let (exporter, counter) = pipelines.begin_own(Signal::Traces, exporter, Some(batch.queue_size));
    queue(exporter, counter, batch, traces.attribute_value_length)
}

fn queue<E: SpanExporter + 'static>(
    exporter: E,
    counter: Arc<Counter>,
    batch: &Batch,
    value_length: Option<usize>,
) -> Box<dyn SpanProcessor> {
    let exporter = LimitedSpans::new(exporter, value_length);
    // The SDK's queue has no timeout of its own; the delivery keeps it.
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(batch.queue_size)
        .with_scheduled_delay(batch.delay)
        .with_max_export_batch_size(batch.batch_size)
        .build();
    let queue = BatchSpanProcessor::builder(exporter).with_batch_config(config).build();
    Box::new(CountedQueue { queue, counter })
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

impl SpanExporter for OtlpExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.taken(batch.len());
        self.export_spans(batch).await
    }

    fn set_resource(&mut self, resource: &Resource) {
        OtlpExporter::set_resource(self, resource);
    }
}

impl<E: SpanExporter> SpanExporter for OwnExporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        self.counted(spans, self.exporter.export(batch)).await
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
