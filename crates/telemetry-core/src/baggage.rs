//! Baggage that becomes attributes: what is known of the caller once is on every span below.

use std::time::Duration;

use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::Span as _;
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use crate::names::BAGGAGE_ATTRIBUTES;

/// Names and ids are shorter. The value is on every span below.
const MAX_VALUE_LENGTH: usize = 256;

/// Copies the allowed baggage entries ([`BAGGAGE_ATTRIBUTES`]) onto each span at its start.
///
/// The list is fixed and the values are cut: baggage comes from callers, and may hold anything.
#[derive(Debug)]
pub(crate) struct BaggageAttributes;

impl SpanProcessor for BaggageAttributes {
    fn on_start(&self, span: &mut Span, cx: &Context) {
        let baggage = cx.baggage();
        if baggage.is_empty() {
            return;
        }
        for name in BAGGAGE_ATTRIBUTES {
            if let Some(value) = baggage.get(name) {
                let value = value.as_str();
                let value = value[..value.floor_char_boundary(MAX_VALUE_LENGTH)].to_owned();
                span.set_attribute(KeyValue::new(name, value));
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
