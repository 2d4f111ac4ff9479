//! The last thing done to spans and log records before they leave: attributes become unique, and as short and as
//! few as the limits say (specification, "Attribute Collections" and "Attribute Limits"). The SDK keeps a key twice
//! that was set twice, knows no length limit, and no limit at all for log records.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity};
use opentelemetry::{Array, InstrumentationScope, Key, KeyValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogProcessor, SdkLogRecord, SdkLogger, SdkLoggerProvider};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use crate::config::AttributeLimits;

/// An exporter that gets spans within their limits. It works on the exporter's thread: no request waits for it.
#[derive(Debug)]
pub(super) struct LimitedSpans<E> {
    exporter: E,
    value_length: Option<usize>,
}

impl<E> LimitedSpans<E> {
    pub(super) fn new(exporter: E, value_length: Option<usize>) -> Self {
        Self { exporter, value_length }
    }
}

impl<E: SpanExporter> SpanExporter for LimitedSpans<E> {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        batch.iter_mut().for_each(|span| limit_span(span, self.value_length));
        self.exporter.export(batch).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// Keeps the last value of every key, and of every text no more than `value_length` characters: in the span, its
/// events and its links.
pub(crate) fn limit_span(span: &mut SpanData, value_length: Option<usize>) {
    let events = span.events.events.iter_mut().map(|event| &mut event.attributes);
    let links = span.links.links.iter_mut().map(|link| &mut link.attributes);
    for attributes in std::iter::once(&mut span.attributes).chain(events).chain(links) {
        if !are_unique(|| attributes.iter().map(|attribute| &attribute.key)) {
            let pairs = attributes.drain(..).map(|KeyValue { key, value, .. }| (key, value));
            *attributes =
                last_of_each(pairs).into_iter().map(|(key, value)| KeyValue::new(key, value)).collect();
        }
        if let Some(length) = value_length {
            attributes.iter_mut().for_each(|attribute| cut_value(&mut attribute.value, length));
        }
    }
}

fn cut_value(value: &mut Value, length: usize) {
    match value {
        Value::String(text) => {
            if let Some(cut) = cut(text.as_str(), length) {
                *text = cut.to_owned().into();
            }
        }
        Value::Array(Array::String(texts)) => {
            for text in texts {
                if let Some(cut) = cut(text.as_str(), length) {
                    *text = cut.to_owned().into();
                }
            }
        }
        _ => {}
    }
}

/// A processor that gets log records within their limits.
#[derive(Debug)]
pub(super) struct LimitedLogs<P> {
    processor: P,
    limits: AttributeLimits,
    /// Makes empty records; nothing else can.
    blank: SdkLogger,
    dropped: Arc<AtomicU64>,
}

impl<P> LimitedLogs<P> {
    /// `dropped` counts the attributes beyond the limit: the SDK's record has no place for their number.
    pub(super) fn new(processor: P, limits: AttributeLimits, dropped: Arc<AtomicU64>) -> Self {
        let blank = SdkLoggerProvider::builder().build().logger("");
        Self { processor, limits, blank, dropped }
    }

    fn is_within_limits(&self, record: &SdkLogRecord) -> bool {
        let fits = |value| self.limits.value_length.is_none_or(|length| any_fits(value, length));
        record.attributes_iter().count() <= self.limits.count as usize
            && are_unique(|| record.attributes_iter().map(|(key, _)| key))
            && record.attributes_iter().all(|(_, value)| fits(value))
    }

    /// A record's attributes cannot be changed, so this is another one.
    fn limited(&self, record: &SdkLogRecord) -> SdkLogRecord {
        let mut copy = self.blank.create_log_record();
        if let Some(name) = record.event_name() {
            copy.set_event_name(name);
        }
        if let Some(target) = record.target() {
            copy.set_target(target.clone());
        }
        if let Some(timestamp) = record.timestamp() {
            copy.set_timestamp(timestamp);
        }
        if let Some(timestamp) = record.observed_timestamp() {
            copy.set_observed_timestamp(timestamp);
        }
        if let Some(trace) = record.trace_context() {
            copy.set_trace_context(trace.trace_id, trace.span_id, trace.trace_flags);
        }
        if let Some(text) = record.severity_text() {
            copy.set_severity_text(text);
        }
        if let Some(number) = record.severity_number() {
            copy.set_severity_number(number);
        }
        if let Some(body) = record.body() {
            copy.set_body(body.clone());
        }
        let attributes = last_of_each(record.attributes_iter().map(|(key, value)| (key, value)));
        let count = self.limits.count as usize;
        self.dropped.fetch_add(attributes.len().saturating_sub(count) as u64, Ordering::Relaxed);
        for (key, value) in attributes.into_iter().take(count) {
            let mut value = value.clone();
            if let Some(length) = self.limits.value_length {
                cut_any(&mut value, length);
            }
            copy.add_attribute(key.clone(), value);
        }
        copy
    }
}

impl<P: LogProcessor> LogProcessor for LimitedLogs<P> {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        if self.is_within_limits(record) {
            self.processor.emit(record, scope);
        } else {
            self.processor.emit(&mut self.limited(record), scope);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.processor.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.processor.shutdown_with_timeout(timeout)
    }

    fn event_enabled(&self, level: Severity, target: &str, name: Option<&str>) -> bool {
        self.processor.event_enabled(level, target, name)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.processor.set_resource(resource);
    }
}

fn any_fits(value: &AnyValue, length: usize) -> bool {
    match value {
        AnyValue::String(text) => cut(text.as_str(), length).is_none(),
        AnyValue::Bytes(bytes) => bytes.len() <= length,
        AnyValue::ListAny(values) => values.iter().all(|value| any_fits(value, length)),
        AnyValue::Map(values) => values.values().all(|value| any_fits(value, length)),
        _ => true,
    }
}

fn cut_any(value: &mut AnyValue, length: usize) {
    match value {
        AnyValue::String(text) => {
            if let Some(cut) = cut(text.as_str(), length) {
                *text = cut.to_owned().into();
            }
        }
        AnyValue::Bytes(bytes) => bytes.truncate(length),
        AnyValue::ListAny(values) => values.iter_mut().for_each(|value| cut_any(value, length)),
        AnyValue::Map(values) => values.values_mut().for_each(|value| cut_any(value, length)),
        _ => {}
    }
}

/// The first `length` characters of a text that has more.
pub(crate) fn cut(text: &str, length: usize) -> Option<&str> {
    if text.len() <= length {
        return None;
    }
    text.char_indices().nth(length).map(|(end, _)| &text[..end])
}

/// Up to so many keys are compared with each other, which allocates nothing.
const FEW: usize = 32;

fn are_unique<'a, I: Iterator<Item = &'a Key>>(keys: impl Fn() -> I) -> bool {
    if keys().nth(FEW).is_some() {
        let mut seen = HashSet::new();
        return keys().all(|key| seen.insert(key));
    }
    // A mark for each key, which most keys have to themselves: only with those of the same mark it may be the same.
    let mut marks = 0_u128;
    keys().enumerate().all(|(place, key)| {
        let mark = 1 << mark_of(key.as_str());
        let is_new = marks & mark == 0;
        marks |= mark;
        is_new || keys().take(place).all(|earlier| earlier != key)
    })
}

/// One of 128, by the length and the bytes in which the names of attributes differ most.
fn mark_of(key: &str) -> u32 {
    let bytes = key.as_bytes();
    let byte = |at: usize| bytes.get(at).copied().map_or(0, u32::from);
    let sum = byte(bytes.len() / 2) * 31 + byte(bytes.len().wrapping_sub(1)) * 7 + bytes.len() as u32 * 13;
    (sum ^ sum >> 7) % 128
}

/// Each key with its last value, in the order in which the keys came first.
fn last_of_each<K: Clone + Eq + Hash, V>(pairs: impl Iterator<Item = (K, V)>) -> Vec<(K, V)> {
    let mut kept: Vec<(K, V)> = Vec::new();
    let mut places = HashMap::new();
    for (key, value) in pairs {
        match places.get(&key) {
            Some(place) => {
                let (_, before): &mut (K, V) = &mut kept[*place];
                *before = value;
            }
            None => {
                places.insert(key.clone(), kept.len());
                kept.push((key, value));
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests;
