//! The check checked: what a system emitted is spoilt in one place after the other, and each time the check says so.

use trace_viewer::model::{
    Attributes, LogRecord, Metric, MetricData, Number, Resource, Span, SpanKind, SpanStatus, Value,
};

use super::check::Check;
use super::drive::Emitted;
use super::registry::Registry;

/// A way to break the contract, and what of the finding is expected.
enum Sabotage {
    Span(&'static str, fn(&mut Span), &'static str),
    Metric(&'static str, fn(&mut Metric), &'static str),
    Log(fn(&mut LogRecord), &'static str),
    Resource(fn(&mut Resource), &'static str),
}

use Sabotage::{Log, Resource as OfResource, Span as OfSpan};

const ORDER: &str = "create_order";
const REQUEST: &str = "POST /api/orders";
const ORDERS: &str = "order.orders";

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn set(attributes: &mut Attributes, name: &str, value: Value) {
    attributes.insert(name.to_owned(), value);
}

fn lose(attributes: &mut Attributes, name: &str) {
    attributes.remove(name).unwrap_or_else(|| panic!("{name} is there to be lost"));
}

/// Of what our own registry says.
const OURS: &[Sabotage] = &[
    OfSpan(ORDER, |span| lose(&mut span.attributes, "order.type"), "lacks order.type"),
    OfSpan(ORDER, |span| lose(&mut span.attributes, "order.amount"), "lacks order.amount"),
    OfSpan(ORDER, |span| set(&mut span.attributes, "order.quantity", text("2")), "does not fit"),
    OfSpan(ORDER, |span| set(&mut span.attributes, "order.quantity", Value::Double(2.0)), "does not fit"),
    OfSpan(ORDER, |span| set(&mut span.attributes, "order.type", text("teleport")), "does not fit"),
    OfSpan(ORDER, |span| set(&mut span.attributes, "order.colour", text("red")), "no registry knows"),
    OfSpan(ORDER, |span| set(&mut span.attributes, "product.id", text("p")), "does not list"),
    OfSpan(ORDER, |span| set(&mut span.attributes, "error.type", text("x")), "no error status"),
    OfSpan(ORDER, |span| span.kind = SpanKind::Producer, "is of kind producer"),
    OfSpan(ORDER, |span| span.name = "make_coffee".to_owned(), "is not in the registry"),
    OfSpan(ORDER, |span| lose(&mut span.events[0].attributes, "order.id"), "lacks order.id"),
    OfSpan(ORDER, |span| set(&mut span.events[0].attributes, "order.colour", text("red")), "no registry"),
    OfSpan(REQUEST, |span| span.name = "POST".to_owned(), "is named"),
    OfSpan(REQUEST, |span| set(&mut span.attributes, "http.method", text("POST")), "an older name"),
    OfSpan(
        REQUEST,
        |span| span.status = SpanStatus::Error { description: String::new() },
        "an error status and no error.type",
    ),
    Sabotage::Metric(ORDERS, |metric| metric.unit = "1".to_owned(), "has the unit"),
    Sabotage::Metric(ORDERS, |metric| metric.description.clear(), "is described as"),
    Sabotage::Metric(ORDERS, |metric| metric.name = "order.coffees".to_owned(), "not in the registry"),
    Sabotage::Metric(ORDERS, |metric| metric.name = "http.server.requests".to_owned(), "an older name"),
    Sabotage::Metric(ORDERS, |metric| lose(&mut metric.attributes, "order.status"), "lacks order.status"),
    Sabotage::Metric(
        ORDERS,
        |metric| set(&mut metric.attributes, "order.status", text("failed")),
        "lacks error.type",
    ),
    Sabotage::Metric(ORDERS, |metric| set(&mut metric.attributes, "order.id", text("1")), "does not list"),
    Sabotage::Metric(
        ORDERS,
        |metric| {
            if let MetricData::Sum { value, .. } = &mut metric.data {
                *value = Number::Double(1.0);
            }
        },
        "values that are no int",
    ),
    Sabotage::Metric(
        ORDERS,
        |metric| {
            if let MetricData::Sum { monotonic, .. } = &mut metric.data {
                *monotonic = false;
            }
        },
        "is a updowncounter",
    ),
    Log(|record| lose(&mut record.attributes, "code.file.path"), "lacks code.file.path"),
    Log(|record| set(&mut record.attributes, "colour", text("red")), "has colour"),
    OfResource(|resource| lose(&mut resource.attributes, "service.instance.id"), "lacks service.instance.id"),
    OfResource(|resource| set(&mut resource.attributes, "order.id", text("1")), "does not list"),
];

/// Of what the conventions say.
const THEIRS: &[Sabotage] = &[
    OfSpan(REQUEST, |span| lose(&mut span.attributes, "url.path"), "lacks url.path"),
    OfSpan(REQUEST, |span| lose(&mut span.attributes, "http.route"), "lacks http.route"),
    OfSpan(REQUEST, |span| lose(&mut span.attributes, "server.port"), "lacks server.port"),
    OfSpan(REQUEST, |span| lose(&mut span.attributes, "http.response.status_code"), "lacks http.response"),
    OfSpan(
        REQUEST,
        |span| set(&mut span.attributes, "http.response.status_code", text("201")),
        "does not fit",
    ),
    OfSpan(
        REQUEST,
        |span| set(&mut span.attributes, "http.request.method_original", text("GET")),
        "there is no reason",
    ),
    OfSpan(REQUEST, |span| set(&mut span.attributes, "http.colour", text("red")), "no registry knows"),
    OfSpan("INSERT orders", |span| lose(&mut span.attributes, "db.namespace"), "lacks db.namespace"),
    OfSpan("INSERT orders", |span| lose(&mut span.attributes, "db.collection.name"), "lacks db.collection"),
    OfSpan("INSERT orders", |span| set(&mut span.attributes, "db.system", text("sqlite")), "is deprecated"),
    Sabotage::Metric("http.server.request.duration", |metric| metric.unit = "ms".to_owned(), "has the unit"),
    Sabotage::Metric(
        "http.server.request.duration",
        |metric| set(&mut metric.attributes, "url.path", text("/")),
        "does not list",
    ),
];

/// Each is found.
pub(super) fn assert_each_is_found(registry: &Registry, emitted: &Emitted) {
    let theirs = if registry.has_model() { THEIRS } else { &[] };
    for sabotage in OURS.iter().chain(theirs) {
        let mut check = Check::new(registry);
        let expected = match sabotage {
            OfSpan(name, spoil, expected) => {
                let spans = emitted.traces.iter().flat_map(|trace| &trace.spans);
                let went_well = |span: &&Span| span.name == *name && span.status == SpanStatus::Unset;
                // A good order's: it has all that there may be.
                let is_whole = |span: &&Span| *name != ORDER || !span.events.is_empty();
                let is_answered = |span: &&Span| {
                    *name != REQUEST || span.attribute("http.response.status_code") == Some(&Value::Int(201))
                };
                let mut span = spans
                    .filter(went_well)
                    .find(|span| is_whole(span) && is_answered(span))
                    .unwrap_or_else(|| panic!("no span {name} to spoil"))
                    .clone();
                check.span(&span);
                assert_eq!(check.violations.len(), 0, "{name} was right before: {:?}", check.violations);
                spoil(&mut span);
                check.span(&span);
                expected
            }
            Sabotage::Metric(name, spoil, expected) => {
                let is_right =
                    |metric: &&Metric| metric.name == *name && !metric.attributes.contains_key("error.type");
                let found = emitted.metrics.metrics.iter().find(is_right);
                let mut metric = found.unwrap_or_else(|| panic!("no metric {name} to spoil")).clone();
                spoil(&mut metric);
                check.metric(&metric);
                expected
            }
            Log(spoil, expected) => {
                let mut record = emitted.logs.records[0].clone();
                spoil(&mut record);
                check.log_record(&record);
                expected
            }
            OfResource(spoil, expected) => {
                let mut resource = emitted.logs.resources[0].clone();
                spoil(&mut resource);
                check.resource(&resource);
                expected
            }
        };
        let found = check.violations.iter().any(|violation| violation.contains(expected));
        assert!(found, "{expected:?} is not among {:?}", check.violations);
    }
}
