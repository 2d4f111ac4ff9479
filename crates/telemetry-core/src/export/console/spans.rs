//! A span is a line.

use std::fmt::Write as _;

use opentelemetry::KeyValue;
use opentelemetry::trace::{Event, SpanKind, Status};
use opentelemetry_sdk::trace::SpanData;
use opentelemetry_semantic_conventions::attribute;

use super::{attribute as shown, local_time};
use crate::span::CAUSED_BY;

/// A span as a line:
///
/// `12:00:01.500 order-service SERVER GET /api/orders/{id} 12.3 ms ERROR "out of stock" trace=4bf92f35 span=00f067aa http.response.status_code=500`
///
/// `depth` is how far it is below the first of its tree. Ids are cut to their first eight digits, which is enough to
/// find the lines of one trace.
pub(super) fn line(service: &str, depth: usize, span: &SpanData) -> String {
    let kind = match span.span_kind {
        SpanKind::Client => "CLIENT",
        SpanKind::Server => "SERVER",
        SpanKind::Producer => "PRODUCER",
        SpanKind::Consumer => "CONSUMER",
        SpanKind::Internal => "INTERNAL",
    };
    let duration = span.end_time.duration_since(span.start_time).unwrap_or_default();
    let indent = 2 * depth;
    let mut line = format!(
        "{} {service}{:indent$} {kind} {} {:.1} ms",
        local_time(span.end_time),
        "",
        span.name,
        duration.as_secs_f64() * 1000.0
    );
    // Writing to a String cannot fail.
    let _ = match &span.status {
        Status::Unset => Ok(()),
        Status::Ok => write!(line, " OK"),
        Status::Error { description } if description.is_empty() => write!(line, " ERROR"),
        Status::Error { description } => write!(line, " ERROR {description:?}"),
    };
    let (trace, id) = (span.span_context.trace_id().to_string(), span.span_context.span_id().to_string());
    let _ = write!(line, " trace={} span={}", &trace[..8], &id[..8]);
    let routed = span.attributes.iter().any(|attribute| attribute.key.as_str() == "http.route");
    for kept in span.attributes.iter().filter(|attribute| matters(attribute, routed)) {
        let _ = write!(line, " {}", shown(kept));
    }
    for event in span.events.iter() {
        let _ = write!(line, " [{}", event.name);
        if let Some(text) = exception(event) {
            let _ = write!(line, ": {text}");
        }
        line.push(']');
    }
    line.push('\n');
    line
}

/// What an exception says, and what it was caused by; a backtrace is no matter of one line.
fn exception(event: &Event) -> Option<String> {
    let text =
        |name| event.attributes.iter().find(|one| one.key.as_str() == name).map(|one| one.value.as_str());
    let mut told = text(attribute::EXCEPTION_MESSAGE)?.into_owned();
    let chain = text(attribute::EXCEPTION_STACKTRACE).unwrap_or_default();
    for cause in chain.lines().filter(|line| line.starts_with(CAUSED_BY)) {
        let _ = write!(told, "; {cause}");
    }
    // A span is one line, and no text of anyone's moves the cursor.
    Some(told.replace(char::is_control, " "))
}

/// Leaves out what the name says already, and where and by whom the call was made.
fn matters(attribute: &KeyValue, routed: bool) -> bool {
    let key = attribute.key.as_str();
    let noise = [
        "code.",
        "thread.",
        "network.",
        "server.",
        "client.",
        "user_agent.",
        "db.operation.",
        "db.collection.",
    ];
    match key {
        "http.request.method" | "http.route" | "url.scheme" | "busy_ns" | "idle_ns" => false,
        "db.system.name" | "db.namespace" | "db.query.summary" => false,
        "url.path" => !routed,
        _ => !noise.iter().any(|prefix| key.starts_with(prefix)),
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::time::{Duration, SystemTime};

    use opentelemetry::InstrumentationScope;
    use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
    use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};

    use super::*;

    fn span(kind: SpanKind, name: &'static str, attributes: Vec<KeyValue>, status: Status) -> SpanData {
        let end = SystemTime::now();
        SpanData {
            span_context: SpanContext::new(
                TraceId::from_hex("4bf92f3577b34da6a3ce929d0e0e4736").expect("an id"),
                SpanId::from_hex("00f067aa0ba902b7").expect("an id"),
                TraceFlags::SAMPLED,
                false,
                TraceState::default(),
            ),
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: kind,
            name: Cow::Borrowed(name),
            start_time: end - Duration::from_micros(12_340),
            end_time: end,
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status,
            instrumentation_scope: InstrumentationScope::default(),
        }
    }

    /// The line without its time.
    fn printed(span: SpanData) -> String {
        let text = line("order-service", 0, &span);
        let (time, line) = text.split_once(' ').expect("a time and a line");
        assert_eq!(time.len(), "12:00:01.500".len(), "{time}");
        line.to_owned()
    }

    #[test]
    fn a_span_is_one_line_with_what_matters() {
        let attributes = vec![
            KeyValue::new("http.request.method", "GET"),
            KeyValue::new("http.route", "/api/orders/{id}"),
            KeyValue::new("url.path", "/api/orders/7"),
            KeyValue::new("server.address", "localhost"),
            KeyValue::new("http.response.status_code", 200),
        ];
        assert_eq!(
            printed(span(SpanKind::Server, "GET /api/orders/{id}", attributes, Status::Unset)),
            "order-service SERVER GET /api/orders/{id} 12.3 ms trace=4bf92f35 span=00f067aa \
             http.response.status_code=200\n"
        );
    }

    #[test]
    fn an_unrouted_request_shows_its_path() {
        let attributes = vec![KeyValue::new("url.path", "/nowhere")];
        let line = printed(span(SpanKind::Server, "GET", attributes, Status::Unset));
        assert!(line.ends_with(" url.path=/nowhere\n"), "{line}");
    }

    #[test]
    fn a_failure_shows_its_description_and_its_exception() {
        let mut span = span(SpanKind::Client, "POST", Vec::new(), Status::error("Request timeout"));
        let mut events = SpanEvents::default();
        let message = vec![KeyValue::new("exception.message", "no\nanswer"), KeyValue::new("other", 1)];
        events.events.push(Event::new("exception", span.end_time, message, 0));
        span.events = events;
        let line = printed(span);
        assert!(line.contains(" ERROR \"Request timeout\" trace="), "{line}");
        assert!(line.ends_with(" [exception: no answer]\n"), "{line}");
    }

    #[test]
    fn an_exception_is_shown_with_its_causes_and_without_its_backtrace() {
        let mut span = span(SpanKind::Server, "POST /orders", Vec::new(), Status::error("database"));
        let chain = "a query failed\ncaused by: the disk is full\ncaused by: ENOSPC\n   0: shop::store\n      at src/store.rs:7";
        let attributes = vec![
            KeyValue::new("exception.message", "a query failed"),
            KeyValue::new("exception.stacktrace", chain),
        ];
        span.events.events.push(Event::new("exception", span.end_time, attributes, 0));
        let line = printed(span);
        let told = " [exception: a query failed; caused by: the disk is full; caused by: ENOSPC]\n";
        assert!(line.ends_with(told), "{line}");
    }

    #[test]
    fn a_long_or_broken_value_stays_on_the_line() {
        let query = format!("SELECT *\n  FROM orders WHERE {}", "x".repeat(200));
        let line = printed(span(
            SpanKind::Client,
            "SELECT orders",
            vec![KeyValue::new("db.query.text", query)],
            Status::Unset,
        ));
        assert_eq!(line.lines().count(), 1);
        assert!(line.contains(" db.query.text=SELECT * FROM orders WHERE xxx"), "{line}");
        assert!(line.ends_with("x…\n"), "{line}");
    }
}
