use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanContext, SpanKind, TraceFlags, TraceId};
use opentelemetry::{Key, StringValue};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn text() -> impl Strategy<Value = String> {
    // Lengths on both sides of where a length takes a second byte.
    prop_oneof![Just(String::new()), ".{1,12}", "[a-zß漢]{120,140}", ".{300}"]
}

fn value() -> impl Strategy<Value = Value> {
    let texts =
        |texts: Vec<String>| Value::Array(Array::String(texts.into_iter().map(StringValue::from).collect()));
    prop_oneof![
        text().prop_map(Value::from),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::I64),
        any::<f64>().prop_map(Value::F64),
        vec(text(), 0..4).prop_map(texts),
        vec(any::<bool>(), 0..4).prop_map(|values| Value::Array(Array::Bool(values))),
        vec(any::<i64>(), 0..4).prop_map(|values| Value::Array(Array::I64(values))),
        vec(any::<f64>(), 0..4).prop_map(|values| Value::Array(Array::F64(values))),
    ]
}

fn attribute_list() -> impl Strategy<Value = Vec<KeyValue>> {
    vec((text(), value()).prop_map(|(key, value)| KeyValue::new(Key::from(key), value)), 0..4)
}

fn time() -> impl Strategy<Value = SystemTime> {
    prop_oneof![
        Just(UNIX_EPOCH - Duration::from_secs(1)),
        Just(UNIX_EPOCH),
        any::<u32>().prop_map(|seconds| UNIX_EPOCH + Duration::new(seconds.into(), seconds % 1_000_000_000)),
    ]
}

fn span_context() -> impl Strategy<Value = SpanContext> {
    let state = prop_oneof![
        Just(TraceState::NONE),
        Just(TraceState::from_key_value([("rojo", "1"), ("congo", "t61")]).expect("a tracestate")),
    ];
    (any::<u128>(), any::<u64>(), any::<u8>(), any::<bool>(), state).prop_map(
        |(trace, span, flags, is_remote, state)| {
            SpanContext::new(
                TraceId::from(trace),
                SpanId::from(span),
                TraceFlags::new(flags),
                is_remote,
                state,
            )
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    (text(), time(), attribute_list(), 0..3_u32)
        .prop_map(|(name, time, attributes, dropped)| Event::new(name, time, attributes, dropped))
}

fn link() -> impl Strategy<Value = Link> {
    (span_context(), attribute_list(), 0..300_u32)
        .prop_map(|(context, attributes, dropped)| Link::new(context, attributes, dropped))
}

fn scope() -> impl Strategy<Value = InstrumentationScope> {
    (0..3_u8, text(), attribute_list()).prop_map(|(which, schema_url, attributes)| match which {
        0 => InstrumentationScope::builder("plain").build(),
        1 => InstrumentationScope::builder("versioned").with_version("1.2").build(),
        _ => InstrumentationScope::builder("whole")
            .with_version("3")
            .with_schema_url(schema_url)
            .with_attributes(attributes)
            .build(),
    })
}

fn span() -> impl Strategy<Value = SpanData> {
    let kind = prop_oneof![
        Just(SpanKind::Client),
        Just(SpanKind::Server),
        Just(SpanKind::Producer),
        Just(SpanKind::Consumer),
        Just(SpanKind::Internal),
    ];
    let status = prop_oneof![Just(Status::Unset), Just(Status::Ok), text().prop_map(Status::error)];
    let events = (vec(event(), 0..3), 0..3_u32);
    let links = (vec(link(), 0..3), 0..3_u32);
    let parent = (prop_oneof![Just(0), any::<u64>()], any::<bool>());
    (
        span_context(),
        parent,
        kind,
        text(),
        (time(), time()),
        attribute_list(),
        (events, links),
        status,
        scope(),
    )
        .prop_map(
            |(span_context, parent, span_kind, name, times, attributes, (events, links), status, scope)| {
                let mut span_events = SpanEvents::default();
                (span_events.events, span_events.dropped_count) = events;
                let mut span_links = SpanLinks::default();
                (span_links.links, span_links.dropped_count) = links;
                SpanData {
                    span_context,
                    parent_span_id: SpanId::from(parent.0),
                    parent_span_is_remote: parent.1,
                    span_kind,
                    name: name.into(),
                    start_time: times.0,
                    end_time: times.1,
                    dropped_attributes_count: attributes.len() as u32,
                    attributes,
                    events: span_events,
                    links: span_links,
                    status,
                    instrumentation_scope: scope,
                }
            },
        )
}

proptest! {
    #[test]
    fn the_bytes_are_those_of_the_messages(
        batch in vec(span(), 0..6),
        resource in attribute_list(),
        schema_url in text(),
    ) {
        let resource = Resource::builder_empty().with_schema_url(resource, schema_url).build();
        let resource = ResourceAttributesWithSchema::from(&resource);
        let encoded = spans(&batch, &resource);
        let resource_spans = group_spans_by_resource_and_scope(batch, &resource);
        prop_assert_eq!(encoded, ExportTraceServiceRequest { resource_spans }.encode_to_vec());
    }
}
