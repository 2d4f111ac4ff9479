//! Processors that end at the same time: with several in a row, one whose collector hangs would take the others' time.

use std::thread;
use std::time::Duration;

use opentelemetry::logs::Severity;
use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogProcessor, SdkLogRecord};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

/// Each gets everything, in this order; each is flushed and shut down on a thread of its own.
#[derive(Debug)]
pub(super) struct SideBySide<P: ?Sized>(pub(super) Vec<Box<P>>);

impl SpanProcessor for SideBySide<dyn SpanProcessor> {
    fn on_start(&self, span: &mut Span, cx: &Context) {
        self.0.iter().for_each(|one| one.on_start(span, cx));
    }

    fn on_end(&self, span: SpanData) {
        if let Some((last, others)) = self.0.split_last() {
            others.iter().for_each(|one| one.on_end(span.clone()));
            last.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        all(&self.0, |one| one.force_flush())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        all(&self.0, |one| one.shutdown_with_timeout(timeout))
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.iter_mut().for_each(|one| one.set_resource(resource));
    }
}

impl LogProcessor for SideBySide<dyn LogProcessor> {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        self.0.iter().for_each(|one| one.emit(record, scope));
    }

    fn force_flush(&self) -> OTelSdkResult {
        all(&self.0, |one| one.force_flush())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        all(&self.0, |one| one.shutdown_with_timeout(timeout))
    }

    fn event_enabled(&self, level: Severity, target: &str, name: Option<&str>) -> bool {
        self.0.iter().any(|one| one.event_enabled(level, target, name))
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.iter_mut().for_each(|one| one.set_resource(resource));
    }
}

/// Calls all at once and answers the first error. Without a thread one is called here.
pub(super) fn all<P: Send + Sync>(those: &[P], call: impl Fn(&P) -> OTelSdkResult + Sync) -> OTelSdkResult {
    let [first, others @ ..] = those else { return Ok(()) };
    let call = &call;
    thread::scope(|scope| {
        let started: Vec<_> = others
            .iter()
            .map(|one| {
                thread::Builder::new()
                    .name("telemetry-flush".to_owned())
                    .spawn_scoped(scope, || call(one))
                    .map_err(|_| one)
            })
            .collect();
        let mut result = call(first);
        for one in started {
            let other = match one {
                Ok(thread) => thread.join().unwrap_or(Ok(())),
                Err(one) => call(one),
            };
            result = result.and(other);
        }
        result
    })
}
