//! The way of log records out of the process.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry::logs::Severity;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::transform::logs::tonic::group_logs_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{
    BatchConfigBuilder, BatchLogProcessor, LogBatch, LogExporter, LogProcessor, SdkLogRecord,
};

use super::counter::Counter;
use super::limits::LimitedLogs;
use super::otlp::OtlpExporter;
use super::own::OwnExporter;
use super::{ExportError, Pipelines};
use crate::config::{Batch, Logs, Otlp, Signal};

/// A batch processor in front of a collector, whose losses are counted.
pub(super) fn processor(
    logs: &Logs,
    batch: &Batch,
    otlp: &Otlp,
    pipelines: &mut Pipelines,
) -> Result<Box<dyn LogProcessor>, ExportError> {
    let (exporter, counter) =
        pipelines.begin(Signal::Logs, otlp, Some(batch.queue_size), batch.export_timeout)?;
    Ok(queue(exporter, counter, logs, batch, pipelines))
}

/// The same in front of an exporter of the application's own.
pub(super) fn own_processor<E: LogExporter + 'static>(
    exporter: E,
    logs: &Logs,
    pipelines: &mut Pipelines,
) -> Box<dyn LogProcessor> {
    let batch = &logs.batch;
    let (exporter, counter) = pipelines.begin_own(Signal::Logs, exporter, Some(batch.queue_size));
    queue(exporter, counter, logs, batch, pipelines)
}

fn queue<E: LogExporter + 'static>(
    exporter: E,
    counter: Arc<Counter>,
    logs: &Logs,
    batch: &Batch,
    pipelines: &Pipelines,
) -> Box<dyn LogProcessor> {
    // The SDK's queue has no timeout of its own; the delivery keeps it.
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(batch.queue_size)
        .with_scheduled_delay(batch.delay)
        .with_max_export_batch_size(batch.batch_size)
        .build();
    let queue = BatchLogProcessor::builder(exporter).with_batch_config(config).build();
    let dropped = pipelines.log_attributes_dropped.clone();
    Box::new(LimitedLogs::new(CountedQueue { queue, counter }, logs.limits, dropped))
}

#[derive(Debug)]
struct CountedQueue {
    queue: BatchLogProcessor,
    counter: Arc<Counter>,
}

impl LogProcessor for CountedQueue {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        if self.counter.admit() {
            self.queue.emit(record, scope);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.queue.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.counter.close();
        self.queue.shutdown_with_timeout(timeout)
    }

    fn event_enabled(&self, level: Severity, target: &str, name: Option<&str>) -> bool {
        self.queue.event_enabled(level, target, name)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.queue.set_resource(resource);
    }
}

impl LogExporter for OtlpExporter {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let records = batch.iter().count();
        self.taken(records);
        let resource_logs = group_logs_by_resource_and_scope(&batch, self.resource());
        OtlpExporter::export(self, records, ExportLogsServiceRequest { resource_logs }).await
    }

    fn set_resource(&mut self, resource: &Resource) {
        OtlpExporter::set_resource(self, resource);
    }
}

impl<E: LogExporter> LogExporter for OwnExporter<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let records = batch.iter().count();
        self.counted(records, self.exporter.export(batch)).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn event_enabled(&self, level: Severity, target: &str, name: Option<&str>) -> bool {
        self.exporter.event_enabled(level, target, name)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
