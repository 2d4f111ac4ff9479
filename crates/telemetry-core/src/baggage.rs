//! Baggage that becomes attributes: what is known of the caller once is on every span below.

use std::time::Duration;

use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::Span as _;
use opentelemetry::{Context, Key, KeyValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

/// Names and ids are shorter. The value is on every span below.
const MAX_VALUE_LENGTH: usize = 256;

/// Copies baggage entries of these names onto each span at its start, their values cut.
///
/// What a caller sends under these names is dropped before it comes here, unless callers are trusted
/// ([`Propagation::reserving`](crate::propagation::Propagation::reserving)).
#[derive(Debug)]
pub(crate) struct BaggageAttributes(Vec<Key>);

impl BaggageAttributes {
    pub(crate) fn new(names: impl IntoIterator<Item = impl Into<Key>>) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }
}

impl SpanProcessor for BaggageAttributes {
    fn on_start(&self, span: &mut Span, cx: &Context) {
        let baggage = cx.baggage();
        if baggage.is_empty() {
            return;
        }
        for name in &self.0 {
            if let Some(value) = baggage.get(name) {
                let value = value.as_str();
                let value = value[..value.floor_char_boundary(MAX_VALUE_LENGTH)].to_owned();
                span.set_attribute(KeyValue::new(name.clone(), value));
            }
        }
    }

    fn on_end(&self, _span: SpanData) {}

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}
