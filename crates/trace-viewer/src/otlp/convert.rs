//! From the wire's types to the model's.

mod metric;

use opentelemetry_proto::tonic::common::v1::any_value::Value as WireValue;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord as WireLogRecord;
use opentelemetry_proto::tonic::resource::v1::Resource as WireResource;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span as WireSpan, Status as WireStatus, span as wire};

use crate::model::{
    Attributes, Event, InvalidId, Link, LogRecord, Resource, Scope, Span, SpanId, SpanKind, SpanStatus,
    TraceId, Value,
};

pub(super) use self::metric::metric;

/// Bits of `flags` that tell whether a parent is of another process.
const HAS_IS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

pub(super) fn resource(resource: Option<WireResource>) -> Resource {
    Resource { attributes: attributes(resource.unwrap_or_default().attributes) }
}

pub(super) fn scope(scope: Option<InstrumentationScope>) -> Scope {
    let InstrumentationScope { name, version, .. } = scope.unwrap_or_default();
    Scope { name, version }
}

/// # Errors
/// The trace id, the span id or the id of a parent is invalid. An empty parent id means no parent.
pub(super) fn span(span: WireSpan, service: &str, scope: &Scope) -> Result<(TraceId, Span), InvalidId> {
    let parent_span_id = parent(&span.parent_span_id)?;
    let trace_id = TraceId::from_bytes(&span.trace_id)?;
    let kept = Span {
        span_id: SpanId::from_bytes(&span.span_id)?,
        parent_span_id,
        parent_is_remote: (parent_span_id.is_some() && span.flags & HAS_IS_REMOTE != 0)
            .then_some(span.flags & IS_REMOTE != 0),
        kind: kind(&span),
        name: span.name,
        service: service.to_owned(),
        resource: 0,
        scope: scope.clone(),
        start_unix_nano: span.start_time_unix_nano,
        end_unix_nano: span.end_time_unix_nano,
        status: status(span.status),
        attributes: attributes(span.attributes),
        events: span.events.into_iter().map(event).collect(),
        links: span.links.into_iter().filter_map(|sent| link(sent).ok()).collect(),
        trace_state: span.trace_state,
        dropped_attributes_count: span.dropped_attributes_count,
        dropped_events_count: span.dropped_events_count,
        dropped_links_count: span.dropped_links_count,
    };
    Ok((trace_id, kept))
}

pub(super) fn log_record(record: WireLogRecord, service: &str, scope: &Scope) -> LogRecord {
    LogRecord {
        time_unix_nano: record.time_unix_nano,
        observed_time_unix_nano: record.observed_time_unix_nano,
        severity_number: u8::try_from(record.severity_number).unwrap_or(0),
        severity_text: record.severity_text,
        body: record.body.map(any_value),
        attributes: attributes(record.attributes),
        event_name: record.event_name,
        trace_id: TraceId::from_bytes(&record.trace_id).ok(),
        span_id: SpanId::from_bytes(&record.span_id).ok(),
        service: service.to_owned(),
        resource: 0,
        scope: scope.clone(),
        dropped_attributes_count: record.dropped_attributes_count,
        sequence: 0,
    }
}

fn attributes(sent: Vec<KeyValue>) -> Attributes {
    sent.into_iter().map(|pair| (pair.key, pair.value.map_or(Value::Empty, any_value))).collect()
}

/// The decoder has bounded the depth.
fn any_value(sent: AnyValue) -> Value {
    match sent.value {
        Some(WireValue::StringValue(text)) => Value::String(text),
        Some(WireValue::BoolValue(truth)) => Value::Bool(truth),
        Some(WireValue::IntValue(number)) => Value::Int(number),
        Some(WireValue::DoubleValue(number)) => Value::Double(number),
        Some(WireValue::ArrayValue(array)) => Value::Array(array.values.into_iter().map(any_value).collect()),
        Some(WireValue::KvlistValue(list)) => Value::Map(attributes(list.values)),
        Some(WireValue::BytesValue(bytes)) => Value::Bytes(bytes),
        // An index into a table that only profiles carry.
        Some(WireValue::StringValueStrindex(_)) | None => Value::Empty,
    }
}

/// Eight zero bytes are the invalid id, which some senders write for "none".
fn parent(sent: &[u8]) -> Result<Option<SpanId>, InvalidId> {
    if sent.is_empty() || sent == [0; 8] { Ok(None) } else { SpanId::from_bytes(sent).map(Some) }
}

fn kind(span: &WireSpan) -> SpanKind {
    match wire::SpanKind::try_from(span.kind) {
        Ok(wire::SpanKind::Internal) => SpanKind::Internal,
        Ok(wire::SpanKind::Server) => SpanKind::Server,
        Ok(wire::SpanKind::Client) => SpanKind::Client,
        Ok(wire::SpanKind::Producer) => SpanKind::Producer,
        Ok(wire::SpanKind::Consumer) => SpanKind::Consumer,
        Ok(wire::SpanKind::Unspecified) | Err(_) => SpanKind::Unspecified,
    }
}

fn status(sent: Option<WireStatus>) -> SpanStatus {
    let WireStatus { message, code } = sent.unwrap_or_default();
    match StatusCode::try_from(code) {
        Ok(StatusCode::Error) => SpanStatus::Error { description: message },
        Ok(StatusCode::Ok) => SpanStatus::Ok,
        Ok(StatusCode::Unset) | Err(_) => SpanStatus::Unset,
    }
}

fn event(sent: wire::Event) -> Event {
    Event {
        time_unix_nano: sent.time_unix_nano,
        name: sent.name,
        attributes: attributes(sent.attributes),
        dropped_attributes_count: sent.dropped_attributes_count,
    }
}

fn link(sent: wire::Link) -> Result<Link, InvalidId> {
    Ok(Link {
        trace_id: TraceId::from_bytes(&sent.trace_id)?,
        span_id: SpanId::from_bytes(&sent.span_id)?,
        trace_state: sent.trace_state,
        attributes: attributes(sent.attributes),
        dropped_attributes_count: sent.dropped_attributes_count,
    })
}
