//! Bytes in memory, estimated from above: what is on the heap, with room for what allocators add.

use std::mem::size_of;

use crate::model::{
    Attributes, Event, Exemplar, Link, LogRecord, Metric, MetricData, Resource, Scope, Span, SpanStatus,
    Value,
};

/// A B-tree node is at least half full, and an allocation costs some bytes of its own.
const ENTRY: usize = 2 * (size_of::<String>() + size_of::<Value>());
const ALLOCATION: usize = 16;

pub(super) fn of_span(span: &Span) -> usize {
    let description = match &span.status {
        SpanStatus::Error { description } => text(description),
        SpanStatus::Unset | SpanStatus::Ok => 0,
    };
    // Twice the struct: a growing vector has up to as many places again.
    2 * size_of::<Span>()
        + text(&span.name)
        + text(&span.service)
        + text(&span.trace_state)
        + of_scope(&span.scope)
        + description
        + of_attributes(&span.attributes)
        + span.events.iter().map(of_event).sum::<usize>()
        + span.links.iter().map(of_link).sum::<usize>()
}

pub(super) fn of_log(record: &LogRecord) -> usize {
    2 * size_of::<LogRecord>()
        + text(&record.severity_text)
        + text(&record.event_name)
        + text(&record.service)
        + of_scope(&record.scope)
        + record.body.as_ref().map_or(0, of_value)
        + of_attributes(&record.attributes)
}

pub(super) fn of_metric(metric: &Metric) -> usize {
    let numbers = match &metric.data {
        MetricData::Gauge { .. } | MetricData::Sum { .. } => 0,
        MetricData::Histogram { bounds, bucket_counts, .. } => bounds.capacity() + bucket_counts.capacity(),
        MetricData::ExponentialHistogram { positive, negative, .. } => {
            positive.counts.capacity() + negative.counts.capacity()
        }
        MetricData::Summary { quantiles, .. } => 2 * quantiles.capacity(),
    };
    2 * size_of::<Metric>()
        + text(&metric.name)
        + text(&metric.description)
        + text(&metric.unit)
        + text(&metric.service)
        + of_scope(&metric.scope)
        + of_attributes(&metric.attributes)
        + numbers * size_of::<u64>()
        + metric.exemplars.iter().map(of_exemplar).sum::<usize>()
}

pub(super) fn of_resource(resource: &Resource) -> usize {
    size_of::<Resource>() + ALLOCATION + of_attributes(&resource.attributes)
}

fn of_exemplar(exemplar: &Exemplar) -> usize {
    2 * size_of::<Exemplar>() + of_attributes(&exemplar.attributes)
}

fn of_event(event: &Event) -> usize {
    2 * size_of::<Event>() + text(&event.name) + of_attributes(&event.attributes)
}

fn of_link(link: &Link) -> usize {
    2 * size_of::<Link>() + text(&link.trace_state) + of_attributes(&link.attributes)
}

fn of_scope(scope: &Scope) -> usize {
    text(&scope.name) + text(&scope.version)
}

fn of_attributes(attributes: &Attributes) -> usize {
    attributes.iter().map(|(key, value)| ENTRY + text(key) + of_value(value)).sum()
}

/// What a value has on the heap.
fn of_value(value: &Value) -> usize {
    match value {
        Value::Empty | Value::Bool(_) | Value::Int(_) | Value::Double(_) => 0,
        Value::String(string) => text(string),
        Value::Array(items) => {
            ALLOCATION + items.iter().map(|item| 2 * size_of::<Value>() + of_value(item)).sum::<usize>()
        }
        Value::Map(entries) => of_attributes(entries),
        Value::Bytes(bytes) => ALLOCATION + bytes.capacity(),
    }
}

fn text(string: &String) -> usize {
    if string.capacity() == 0 { 0 } else { string.capacity() + ALLOCATION }
}
