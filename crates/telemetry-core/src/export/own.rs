//! Exporters and processors of the application's own: counted like ours, and no panic of theirs reaches a request.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use opentelemetry::logs::Severity;
use opentelemetry::trace::{Link, SpanKind, TraceContextExt as _, TraceId};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{LogProcessor, SdkLogRecord};
use opentelemetry_sdk::trace::{
    SamplingDecision, SamplingResult, ShouldSample, Span, SpanData, SpanProcessor,
};

use super::counter::Counter;
use super::otlp::{Delivered, Failure, Outcome};
use super::sdk_metrics::Component;
use crate::span::panic_message;

/// An exporter of the application's own, whose items are counted. The SDK's traits are implemented beside each
/// signal's processor.
#[derive(Debug)]
pub(super) struct OwnExporter<E> {
    pub(super) exporter: E,
    counter: Arc<Counter>,
    component: Arc<Component>,
}

impl<E> OwnExporter<E> {
    pub(super) fn new(exporter: E, counter: Arc<Counter>, component: Arc<Component>) -> Self {
        Self { exporter, counter, component }
    }

    /// Items that no queue held are to be exported.
    pub(super) fn collected(&self, items: usize) {
        self.counter.collected(items);
    }

    /// Exports so many items, which leave their queue now, and counts what became of them. A panic is a failed export:
    /// the queue's thread goes on.
    pub(super) async fn counted(
        &self,
        items: usize,
        export: impl Future<Output = OTelSdkResult>,
    ) -> OTelSdkResult {
        self.counter.taken(items);
        let start = Instant::now();
        let result = AssertUnwindSafe(export).catch_unwind().await.unwrap_or_else(|panic| {
            let message = panic_message(&*panic);
            Err(OTelSdkError::InternalFailure(format!("the exporter panicked: {message}")))
        });
        let outcome = match &result {
            Ok(()) => Outcome::Accepted { warning: None },
            Err(error) => Failure::of_own(error).into(),
        };
        let delivered = Delivered { outcome, retries: 0, took: start.elapsed() };
        self.component.exported(&delivered);
        self.counter.settled(items, delivered);
        result
    }
}

/// A processor, sampler or view of the application's own. A panic in it costs what it was called with and no more, and is
/// logged the first time.
#[derive(Debug, Clone)]
pub(super) struct Guarded<P> {
    inner: P,
    has_panicked: Arc<AtomicBool>,
}

impl<P> Guarded<P> {
    pub(super) fn new(inner: P) -> Self {
        Self { inner, has_panicked: Arc::default() }
    }

    pub(super) fn guard<T>(&self, call: impl FnOnce(&P) -> T) -> Option<T> {
        catch_unwind(AssertUnwindSafe(|| call(&self.inner))).inspect_err(|panic| self.tell(&**panic)).ok()
    }

    fn result(&self, call: impl FnOnce(&P) -> OTelSdkResult) -> OTelSdkResult {
        self.guard(call).unwrap_or_else(|| Err(OTelSdkError::InternalFailure("it panicked".to_owned())))
    }

    fn tell(&self, panic: &(dyn Any + Send)) {
        if !self.has_panicked.swap(true, Ordering::Relaxed) {
            let what = std::any::type_name::<P>();
            let message = &*panic_message(panic);
            tracing::error!(
                target: super::TARGET,
                { exception.type = crate::span::PANIC, exception.message = message },
                "{what} panicked; later panics of it are not logged"
            );
        }
    }
}

impl<P: SpanProcessor> SpanProcessor for Guarded<P> {
    fn on_start(&self, span: &mut Span, cx: &Context) {
        self.guard(|inner| inner.on_start(span, cx));
    }

    fn on_end(&self, span: SpanData) {
        self.guard(|inner| inner.on_end(span));
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.result(P::force_flush)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.result(|inner| inner.shutdown_with_timeout(timeout))
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<P: LogProcessor> LogProcessor for Guarded<P> {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        self.guard(|inner| inner.emit(record, scope));
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.result(P::force_flush)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.result(|inner| inner.shutdown_with_timeout(timeout))
    }

    fn event_enabled(&self, level: Severity, target: &str, name: Option<&str>) -> bool {
        self.guard(|inner| inner.event_enabled(level, target, name)).unwrap_or_default()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// A sampler that panics leaves the span out.
impl<S: ShouldSample + Clone + 'static> ShouldSample for Guarded<S> {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        self.guard(|inner| inner.should_sample(parent, trace_id, name, kind, attributes, links))
            .unwrap_or_else(|| SamplingResult {
                decision: SamplingDecision::Drop,
                attributes: Vec::new(),
                trace_state: parent
                    .map(|parent| parent.span().span_context().trace_state().clone())
                    .unwrap_or_default(),
            })
    }
}

/// A sampler of any kind.
#[derive(Debug, Clone)]
pub(crate) struct AnySampler(Box<dyn ShouldSample>);

impl AnySampler {
    /// One of our own, which does not panic.
    pub(crate) fn ours(sampler: impl ShouldSample + Clone + 'static) -> Self {
        Self(Box::new(sampler))
    }

    /// One of the application's.
    pub(crate) fn own(sampler: impl ShouldSample + Clone + 'static) -> Self {
        Self(Box::new(Guarded::new(sampler)))
    }
}

impl ShouldSample for AnySampler {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        self.0.should_sample(parent, trace_id, name, kind, attributes, links)
    }
}
