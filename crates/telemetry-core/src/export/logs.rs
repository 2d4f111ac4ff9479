//! The way of log records to the collector.

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
use super::{ExportError, Pipelines};
use crate::config::{Logs, Signal};

/// A batch processor whose losses are counted.
pub(super) fn processor(
    logs: &Logs,
    pipelines: &mut Pipelines,
) -> Result<impl LogProcessor + use<>, ExportError> {
    let Logs { batch, otlp, .. } = logs;
    let (exporter, counter) =
        pipelines.begin(Signal::Logs, otlp, Some(batch.queue_size), batch.export_timeout)?;
    // The SDK's queue has no timeout of its own; the delivery keeps it.
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(batch.queue_size)
        .with_scheduled_delay(batch.delay)
        .with_max_export_batch_size(batch.batch_size)
        .build();
    let queue = BatchLogProcessor::builder(exporter).with_batch_config(config).build();
    Ok(LimitedLogs::new(
        CountedQueue { queue, counter },
        logs.limits,
        pipelines.log_attributes_dropped.clone(),
    ))
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
