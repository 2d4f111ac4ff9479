//! Baggage that becomes attributes: what is known of the caller once is on every span below.

use std::time::Duration;

use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::Span as _;
use opentelemetry::{Context, Key, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

/// Names and ids are shorter. The value is on every span below.
const MAX_VALUE_LENGTH: usize = 256;

/// Copies baggage entries of these names onto each span at its start, their values cut, before `processor` gets it. One
/// processor in place of two, since the SDK copies each span for every one but the last.
///
/// What a caller sends under these names is dropped before it comes here, unless callers are trusted
/// ([`Propagation::reserving`](crate::propagation::Propagation::reserving)).
#[derive(Debug)]
pub(crate) struct WithBaggage<P> {
    names: Vec<Key>,
    processor: P,
}

impl<P> WithBaggage<P> {
    pub(crate) fn new(names: impl IntoIterator<Item = impl Into<Key>>, processor: P) -> Self {
        Self { names: names.into_iter().map(Into::into).collect(), processor }
    }
}

impl<P: SpanProcessor> SpanProcessor for WithBaggage<P> {
    fn on_start(&self, span: &mut Span, cx: &Context) {
        let baggage = cx.baggage();
        if !baggage.is_empty() {
            for name in &self.names {
                if let Some(value) = baggage.get(name) {
                    let value = value.as_str();
                    let value = value[..value.floor_char_boundary(MAX_VALUE_LENGTH)].to_owned();
                    span.set_attribute(KeyValue::new(name.clone(), value));
                }
            }
        }
        self.processor.on_start(span, cx);
    }

    fn on_end(&self, span: SpanData) {
        self.processor.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.processor.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.processor.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.processor.set_resource(resource);
    }
}
