//! What is told below a span.

use super::layout::Layout;
use super::line::Style;
use super::text;
use crate::model::{Attributes, Event, LogRecord, Span, SpanId, SpanStatus, Trace, Value};

/// Attributes that tell how a call went.
const OUTCOME: [&str; 3] = ["error.type", "db.response.status_code", "http.request.resend_count"];

/// What attributes of the business begin with.
const BUSINESS: [&str; 12] = [
    "app.",
    "auth.",
    "dataset.",
    "email.",
    "inventory.",
    "order.",
    "payment.",
    "product.",
    "reservation.",
    "stock.",
    "tenant.",
    "user.",
];

/// The stable name of a statement's text, and the one before it.
const QUERY: [&str; 2] = ["db.query.text", "db.statement"];

const ERROR_LINES: usize = 3;
const ATTRIBUTE_LINES: usize = 4;
/// A loop's events tell their story in the first ones.
const EVENTS: usize = 8;
/// `WARN` in OpenTelemetry's numbers.
const WARN: u8 = 13;

/// What is told below the spans of one trace.
pub(super) struct Details<'a> {
    /// Records of at least severity WARN that belong to a span.
    warnings: Vec<(SpanId, &'a LogRecord)>,
    start_unix_nano: u64,
}

impl<'a> Details<'a> {
    pub(super) fn of(trace: &'a Trace, start_unix_nano: u64) -> Self {
        let warnings = trace.logs.iter().filter(|log| log.severity_number >= WARN);
        let warnings = warnings.filter_map(|log| Some((log.span_id?, log))).collect();
        Self { warnings, start_unix_nano }
    }

    /// Lines of at most `width` columns below a span.
    pub(super) fn below(
        &self,
        span: &Span,
        parent: Option<&Span>,
        layout: &Layout,
        width: usize,
    ) -> Vec<(Style, String)> {
        let mut lines = Vec::new();
        if let SpanStatus::Error { description } = &span.status {
            lines.extend(error_lines(description, span, width).into_iter().map(|line| (Style::Error, line)));
        }
        lines.extend(flow(&shown_attributes(span, parent), width).into_iter().map(|line| (Style::Dim, line)));
        if let Some(query) = QUERY.iter().find_map(|key| span.attribute(key)).and_then(Value::as_str) {
            lines.push((Style::Dim, text::fit(query.trim(), width)));
        }
        for event in span.events.iter().take(EVENTS) {
            let offset = layout.milliseconds(event.time_unix_nano.saturating_sub(self.start_unix_nano));
            lines.push((Style::Plain, text::fit(&format!("• {offset} ms {}", event_text(event)), width)));
        }
        if span.events.len() > EVENTS {
            lines.push((
                Style::Dim,
                text::fit(&format!("• … {} more events", span.events.len() - EVENTS), width),
            ));
        }
        for link in &span.links {
            let text = format!("→ linked to span {} of trace {}", link.span_id, link.trace_id);
            lines.push((Style::Dim, text::fit(&text, width)));
        }
        let logs = self.warnings.iter().filter(|(span_id, _)| *span_id == span.span_id);
        lines.extend(logs.take(EVENTS).map(|(_, log)| (Style::Plain, text::fit(&log_text(log), width))));
        lines.retain(|(_, line)| !line.trim().is_empty());
        lines
    }
}

/// The description, and what kind of error it is where there is room for both.
fn error_lines(description: &str, span: &Span, width: usize) -> Vec<String> {
    let text = if description.is_empty() { "ERROR".to_owned() } else { format!("ERROR {description}") };
    let mut lines = text::wrap(&text, width, ERROR_LINES);
    if let Some(kind) = span.attribute("error.type") {
        let items = [lines.pop().unwrap_or_default(), pair("error.type", kind)];
        lines.extend(flow(&items, width));
    }
    lines
}

/// `key=value`, those of the business only where the parent does not say the same.
fn shown_attributes(span: &Span, parent: Option<&Span>) -> Vec<String> {
    // An error's type stands beside its description already.
    let told = |key: &str| key == "error.type" && span.status.is_error();
    let outcome =
        OUTCOME.iter().filter(|key| !told(key)).filter_map(|key| Some((*key, span.attribute(key)?)));
    let business = span
        .attributes
        .iter()
        .filter(|(key, _)| BUSINESS.iter().any(|prefix| key.starts_with(prefix)))
        .filter(|(key, value)| parent.and_then(|parent| parent.attribute(key)) != Some(*value))
        .map(|(key, value)| (key.as_str(), value));
    outcome.chain(business).map(|(key, value)| pair(key, value)).collect()
}

fn pair(key: &str, value: &Value) -> String {
    let value = match value {
        Value::String(text) if text.is_empty() || text.contains(char::is_whitespace) => format!("\"{text}\""),
        other => other.to_string(),
    };
    format!("{key}={value}")
}

/// Items side by side, two spaces apart.
fn flow(items: &[String], width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (position, item) in items.iter().enumerate() {
        let item = text::fit(item, width);
        let has_room = |line: &String| text::width(line) + 2 + text::width(&item) <= width;
        if let Some(line) = lines.last_mut().filter(|line| has_room(line)) {
            line.extend(["  ", &item]);
        } else if lines.len() == ATTRIBUTE_LINES {
            lines.push(text::fit(&format!("… {} more attributes", items.len() - position), width));
            break;
        } else {
            lines.push(item);
        }
    }
    lines
}

fn event_text(event: &Event) -> String {
    let text = |key: &str| event.attributes.get(key).and_then(Value::as_str);
    if event.name == "exception" {
        let kind = text("exception.type").unwrap_or("exception");
        return match text("exception.message") {
            Some(message) => format!("exception {kind}: {message}"),
            None => format!("exception {kind}"),
        };
    }
    format!("{}{}", event.name, pairs(&event.attributes))
}

fn log_text(log: &LogRecord) -> String {
    let severity = if log.severity_text.is_empty() { "WARN" } else { &log.severity_text };
    let body = log.body.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("▪ {severity} {body}")
}

fn pairs(attributes: &Attributes) -> String {
    attributes.iter().map(|(key, value)| format!(" {}", pair(key, value))).collect()
}
