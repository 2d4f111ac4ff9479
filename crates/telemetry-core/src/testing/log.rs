//! Log records by value.

use std::collections::BTreeMap;
use std::fmt;

use opentelemetry::logs::AnyValue;
use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::logs::SdkLogRecord;
use opentelemetry_sdk::trace::SpanData;

/// A log record without its times.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// `ERROR`, `WARN`, `INFO`, `DEBUG` or `TRACE`.
    pub severity: String,
    /// The message.
    pub body: String,
    /// The module that wrote it, or the target it named.
    pub target: String,
    /// The event's name, where somebody gave it one.
    pub event_name: Option<String>,
    /// Its fields, and `code.file.path` and `code.line.number`.
    pub attributes: BTreeMap<String, AnyValue>,
    /// The trace it was written in.
    pub trace_id: Option<TraceId>,
    /// The span it was written in.
    pub span_id: Option<SpanId>,
    /// That span's name, once it has ended.
    pub span: Option<String>,
}

impl Log {
    /// The field's text; `None` where there is no such field, or one of another type.
    pub fn text(&self, field: &str) -> Option<&str> {
        match self.attributes.get(field)? {
            AnyValue::String(text) => Some(text.as_str()),
            _ => None,
        }
    }

    pub(super) fn read(record: &SdkLogRecord, spans: &[SpanData]) -> Self {
        let context = record.trace_context();
        let is_its_span = |span: &&SpanData| {
            context.is_some_and(|context| {
                span.span_context.span_id() == context.span_id
                    && span.span_context.trace_id() == context.trace_id
            })
        };
        let mut attributes = BTreeMap::new();
        for (key, value) in record.attributes_iter() {
            attributes.insert(key.to_string(), value.clone());
        }
        Self {
            severity: record.severity_text().unwrap_or_default().to_owned(),
            body: record.body().map(shown).unwrap_or_default(),
            target: record.target().map(ToString::to_string).unwrap_or_default(),
            event_name: record.event_name().map(str::to_owned),
            attributes,
            trace_id: context.map(|context| context.trace_id),
            span_id: context.map(|context| context.span_id),
            span: spans.iter().find(is_its_span).map(|span| span.name.to_string()),
        }
    }
}

/// One line.
impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.severity, self.body)?;
        for (key, value) in &self.attributes {
            write!(f, " {key}={}", shown(value))?;
        }
        match &self.span {
            Some(span) => write!(f, " in the span {span:?}"),
            None => Ok(()),
        }
    }
}

/// The text of a text, and a value of another type as Rust shows it.
pub(super) fn shown(value: &AnyValue) -> String {
    match value {
        AnyValue::String(text) => text.as_str().to_owned(),
        AnyValue::Int(value) => value.to_string(),
        AnyValue::Double(value) => value.to_string(),
        AnyValue::Boolean(value) => value.to_string(),
        AnyValue::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        AnyValue::ListAny(values) => format!("[{}]", values.iter().map(shown).collect::<Vec<_>>().join(", ")),
        AnyValue::Map(values) => {
            let entries = values.iter().map(|(key, value)| format!("{key}: {}", shown(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        other => format!("{other:?}"),
    }
}
