//! Where spans and log records are kept.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogProcessor, SdkLogRecord};
use opentelemetry_sdk::trace::{SpanData, SpanProcessor};

use crate::export::limit_span;

#[derive(Debug, Default)]
pub(super) struct Records {
    spans: Mutex<Vec<SpanData>>,
    logs: Mutex<Vec<SdkLogRecord>>,
    resources: Mutex<Vec<Resource>>,
}

impl Records {
    pub(super) fn spans(&self) -> MutexGuard<'_, Vec<SpanData>> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn logs(&self) -> MutexGuard<'_, Vec<SdkLogRecord>> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Of the providers of spans and of log records.
    pub(super) fn resources(&self) -> MutexGuard<'_, Vec<Resource>> {
        self.resources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps each span and log record as it ends.
#[derive(Debug)]
pub(super) struct Recorder(pub(super) Arc<Records>);

impl SpanProcessor for Recorder {
    fn on_start(&self, _span: &mut opentelemetry_sdk::trace::Span, _cx: &opentelemetry::Context) {}

    fn on_end(&self, mut span: SpanData) {
        limit_span(&mut span, None);
        self.0.spans().push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.resources().push(resource.clone());
    }
}

impl LogProcessor for Recorder {
    fn emit(&self, record: &mut SdkLogRecord, _scope: &opentelemetry::InstrumentationScope) {
        self.0.logs().push(record.clone());
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.resources().push(resource.clone());
    }
}
