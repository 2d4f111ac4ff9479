//! Spans, straight from the SDK's data into the bytes of a request. The messages of `opentelemetry-proto` would have
//! every text of every span copied before it is encoded, and their sizes counted before that; these bytes are the same.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{Event, Link, SpanId, Status, TraceState};
use opentelemetry::{Array, InstrumentationScope, KeyValue, Value};
use opentelemetry_proto::tonic::trace::v1::{SpanFlags, span, status};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_sdk::trace::SpanData;
use prost::Message as _;

use super::message::Message;

/// What a span takes at a guess, in bytes: one of a request takes 500.
const SPAN: usize = 640;

/// An `ExportTraceServiceRequest`: the spans of each scope together, in the order of their scopes' first.
pub(in crate::export) fn spans(batch: &[SpanData], resource: &ResourceAttributesWithSchema) -> Vec<u8> {
    let mut request = Message::with_capacity(1024 + SPAN * batch.len());
    request.message(1, |spans| {
        spans.message(1, |message| {
            for attribute in &resource.attributes.0 {
                message.bytes(1, &attribute.encode_to_vec());
            }
        });
        let (scopes, places) = scopes(batch);
        for (place, scope) in scopes.into_iter().enumerate() {
            spans.message(2, |spans| {
                spans.message(1, |message| describe_scope(message, scope));
                for (span, _) in batch.iter().zip(&places).filter(|(_, of)| **of == place) {
                    spans.message(2, |message| describe(message, span));
                }
                spans.text(3, scope.schema_url().unwrap_or_default());
            });
        }
        spans.text(3, resource.schema_url.as_deref().unwrap_or_default());
    });
    request.0
}

/// The scopes, and for each span which of them is its own.
fn scopes(batch: &[SpanData]) -> (Vec<&InstrumentationScope>, Vec<usize>) {
    let mut scopes: Vec<&InstrumentationScope> = Vec::new();
    let mut place_of = |scope| {
        scopes.iter().position(|known| is_same(known, scope)).unwrap_or_else(|| {
            scopes.push(scope);
            scopes.len() - 1
        })
    };
    let places = batch.iter().map(|span| place_of(&span.instrumentation_scope)).collect();
    (scopes, places)
}

/// Whether both are one scope: most are of one tracer, whose name and version are where the other's are.
fn is_same(one: &InstrumentationScope, other: &InstrumentationScope) -> bool {
    let place = |text: Option<&str>| text.map(|text| (text.as_ptr(), text.len()));
    let is_plain = one.attributes().next().is_none() && other.attributes().next().is_none();
    let is_one_text = place(Some(one.name())) == place(Some(other.name()))
        && place(one.version()) == place(other.version())
        && place(one.schema_url()) == place(other.schema_url());
    (is_plain && is_one_text) || one == other
}

fn describe_scope(message: &mut Message, scope: &InstrumentationScope) {
    message.text(1, scope.name());
    message.text(2, scope.version().unwrap_or_default());
    attributes(message, 3, scope.attributes());
}

fn describe(message: &mut Message, span: &SpanData) {
    let context = &span.span_context;
    message.bytes(1, &context.trace_id().to_bytes());
    message.bytes(2, &context.span_id().to_bytes());
    state(message, 3, context.trace_state());
    if span.parent_span_id != SpanId::INVALID {
        message.bytes(4, &span.parent_span_id.to_bytes());
    }
    message.text(5, &span.name);
    message.number(6, span::SpanKind::from(span.span_kind.clone()) as u64);
    message.fixed64(7, nanoseconds(span.start_time));
    message.fixed64(8, nanoseconds(span.end_time));
    attributes(message, 9, &span.attributes);
    message.count(10, span.dropped_attributes_count);
    for event in &span.events.events {
        message.message(11, |message| describe_event(message, event));
    }
    message.count(12, span.events.dropped_count);
    for link in &span.links.links {
        message.message(13, |message| describe_link(message, link));
    }
    message.count(14, span.links.dropped_count);
    message.message(15, |message| {
        if let Status::Error { description } = &span.status {
            message.text(2, description);
        }
        message.count(3, status::StatusCode::from(&span.status) as u32);
    });
    message.fixed32(16, flags(context.trace_flags().to_u8(), span.parent_span_is_remote));
}

fn describe_event(message: &mut Message, event: &Event) {
    message.fixed64(1, nanoseconds(event.timestamp));
    message.text(2, &event.name);
    attributes(message, 3, &event.attributes);
    message.count(4, event.dropped_attributes_count);
}

fn describe_link(message: &mut Message, link: &Link) {
    let context = &link.span_context;
    message.bytes(1, &context.trace_id().to_bytes());
    message.bytes(2, &context.span_id().to_bytes());
    state(message, 3, context.trace_state());
    attributes(message, 4, &link.attributes);
    message.count(5, link.dropped_attributes_count);
    message.fixed32(6, flags(context.trace_flags().to_u8(), context.is_remote()));
}

fn state(message: &mut Message, field: u32, state: &TraceState) {
    message.text(field, &state.header());
}

/// The W3C flags, and whether the context that the span or link points to came from elsewhere.
fn flags(trace_flags: u8, is_remote: bool) -> u32 {
    let known = SpanFlags::ContextHasIsRemoteMask as u32;
    let remote = if is_remote { SpanFlags::ContextIsRemoteMask as u32 } else { 0 };
    u32::from(trace_flags) | known | remote
}

fn attributes<'a>(message: &mut Message, field: u32, attributes: impl IntoIterator<Item = &'a KeyValue>) {
    for attribute in attributes {
        if let Value::String(text) = &attribute.value {
            message.pair(field, attribute.key.as_str(), 1, text.as_str());
            continue;
        }
        message.message(field, |message| {
            message.text(1, attribute.key.as_str());
            message.message(2, |message| describe_value(message, &attribute.value));
        });
    }
}

fn describe_value(message: &mut Message, value: &Value) {
    match value {
        Value::String(text) => message.bytes(1, text.as_str().as_bytes()),
        Value::Bool(value) => message.number(2, (*value).into()),
        // Negative ones take the ten bytes of their two's complement.
        Value::I64(value) => message.number(3, *value as u64),
        Value::F64(value) => message.double(4, *value),
        Value::Array(array) => message.message(5, |message| match array {
            Array::String(texts) => list(message, texts, |message, text| {
                message.bytes(1, text.as_str().as_bytes());
            }),
            Array::Bool(values) => list(message, values, |message, value| message.number(2, (*value).into())),
            Array::I64(values) => list(message, values, |message, value| message.number(3, *value as u64)),
            Array::F64(values) => list(message, values, |message, value| message.double(4, *value)),
            _ => {}
        }),
        // A kind that this version of the API has not got.
        _ => {}
    }
}

fn list<T>(message: &mut Message, values: &[T], write: impl Fn(&mut Message, &T)) {
    for value in values {
        message.message(1, |message| write(message, value));
    }
}

/// Since 1970; 0 for what was before.
fn nanoseconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64
}

#[cfg(test)]
mod tests;
