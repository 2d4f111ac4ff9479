//! OTLP as services send it, by hand.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span::Event};
use prost::Message;

pub(crate) const HOSTILE: &str = "<img src=x onerror=\"window.pwned=1\"><script>window.pwned=2</script>";

const MS: u64 = 1_000_000;

pub(crate) fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(any_value::Value::StringValue(value.to_owned()));
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value }), key_strindex: 0 }
}

/// An id that differs in its last bytes.
pub(crate) fn id<const N: usize>(number: u64) -> Vec<u8> {
    let mut id = vec![0xab; N];
    id[N - 8..].copy_from_slice(&number.to_be_bytes());
    id
}

/// A span from `from` to `to`, in milliseconds from the start.
pub(crate) fn span(trace: u64, number: u64, parent: u64, name: &str, kind: i32, from: u64, to: u64) -> Span {
    let start = 1_795_377_543_123_456_789 + trace * 1_000 * MS;
    Span {
        trace_id: id::<16>(trace),
        span_id: id::<8>(number),
        parent_span_id: if parent == 0 { Vec::new() } else { id::<8>(parent) },
        name: name.to_owned(),
        kind,
        start_time_unix_nano: start + from * MS,
        end_time_unix_nano: start + to * MS,
        ..Span::default()
    }
}

fn failed(mut span: Span, description: &str) -> Span {
    span.status = Some(Status { code: 2, message: description.to_owned() });
    span
}

pub(crate) fn of_service(service: &str, spans: Vec<Span>) -> ResourceSpans {
    ResourceSpans {
        resource: Some(Resource { attributes: vec![text("service.name", service)], ..Resource::default() }),
        scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    }
}

pub(crate) fn body(resource_spans: Vec<ResourceSpans>) -> Vec<u8> {
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

const SERVER: i32 = 2;
const CLIENT: i32 = 3;

/// An order over four services, whose payment is declined.
pub(crate) fn declined_order(trace: u64) -> Vec<u8> {
    let mut charge = failed(span(trace, 7, 6, "POST /charges", SERVER, 32, 40), "Payment declined");
    charge.events.push(Event {
        time_unix_nano: charge.start_time_unix_nano + 5 * MS,
        name: "exception".to_owned(),
        attributes: vec![
            text("exception.type", "GatewayError"),
            text("exception.message", "the card was declined"),
            text("exception.stacktrace", "caused by: answered 402\ncaused by: insufficient funds"),
        ],
        dropped_attributes_count: 0,
    });
    let mut statement = span(trace, 5, 4, "UPDATE stock", CLIENT, 22, 24);
    statement.attributes = vec![
        text("db.system.name", "sqlite"),
        text(
            "db.query.text",
            "UPDATE stock SET reserved = reserved + ? WHERE product_id = ? AND available >= ?",
        ),
    ];
    body(vec![
        of_service(
            "order-service",
            vec![
                failed(span(trace, 1, 0, "POST /api/orders", SERVER, 0, 50), "Payment declined"),
                span(trace, 3, 1, "check_inventory", 1, 20, 28),
                span(trace, 6, 1, "POST /charges", CLIENT, 30, 42),
            ],
        ),
        of_service("user-service", vec![span(trace, 2, 1, "POST /tokens/validate", SERVER, 2, 10)]),
        of_service(
            "inventory-service",
            vec![span(trace, 4, 3, "POST /reservations", SERVER, 21, 27), statement],
        ),
        of_service("payment-service", vec![charge]),
    ])
}

/// A trace of one span, all of whose text would be a script if it were HTML.
pub(crate) fn hostile(trace: u64) -> Vec<u8> {
    let mut root = failed(span(trace, 1, 0, HOSTILE, SERVER, 0, 5), HOSTILE);
    root.attributes = vec![text(HOSTILE, HOSTILE), text("db.query.text", HOSTILE)];
    root.events.push(Event {
        name: "exception".to_owned(),
        attributes: vec![
            text("exception.type", HOSTILE),
            text("exception.message", HOSTILE),
            text("exception.stacktrace", HOSTILE),
        ],
        time_unix_nano: root.start_time_unix_nano,
        dropped_attributes_count: 0,
    });
    body(vec![of_service(HOSTILE, vec![root])])
}

/// So many traces of one span.
pub(crate) fn many(from: u64, count: u64) -> Vec<u8> {
    let spans = (from..from + count).map(|trace| span(trace, 1, 0, "GET /products", SERVER, 0, 3)).collect();
    body(vec![of_service("inventory-service", spans)])
}

/// A trace of so many spans: a root and what it did one after the other.
pub(crate) fn wide(trace: u64, count: u64) -> Vec<u8> {
    let below = (2..=count).map(|number| span(trace, number, 1, "step", 1, number, number + 1));
    let spans = std::iter::once(span(trace, 1, 0, "import", 1, 0, count + 2)).chain(below).collect();
    body(vec![of_service("inventory-service", spans)])
}
