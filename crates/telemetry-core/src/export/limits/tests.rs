use std::sync::Mutex;

use opentelemetry::StringValue;
use opentelemetry::trace::{Event, Link, Span as _, SpanContext, Tracer as _, TracerProvider as _};
use opentelemetry_sdk::trace::SdkTracerProvider;

use super::*;

#[derive(Debug, Clone, Default)]
struct Kept {
    spans: Arc<Mutex<Vec<SpanData>>>,
    logs: Arc<Mutex<Vec<SdkLogRecord>>>,
}

impl SpanExporter for Kept {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.spans.lock().unwrap().extend(batch);
        Ok(())
    }
}

impl LogProcessor for Kept {
    fn emit(&self, record: &mut SdkLogRecord, _scope: &InstrumentationScope) {
        self.logs.lock().unwrap().push(record.clone());
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }
}

/// The one span that `work` leaves, as an exporter gets it.
fn exported(value_length: Option<usize>, work: impl FnOnce(&mut opentelemetry_sdk::trace::Span)) -> SpanData {
    let kept = Kept::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(LimitedSpans::new(kept.clone(), value_length))
        .build();
    let mut span = provider.tracer("test").start("work");
    work(&mut span);
    span.end();
    drop(span);
    let mut spans = kept.spans.lock().unwrap();
    assert_eq!(spans.len(), 1);
    spans.remove(0)
}

/// The record that these attributes make, and how many were dropped.
fn logged(
    limits: AttributeLimits,
    attributes: Vec<(&'static str, AnyValue)>,
) -> (Vec<(String, AnyValue)>, u64) {
    let kept = Kept::default();
    let dropped = Arc::new(AtomicU64::new(0));
    let provider = SdkLoggerProvider::builder()
        .with_log_processor(LimitedLogs::new(kept.clone(), limits, dropped.clone()))
        .build();
    let logger = provider.logger("test");
    let mut record = logger.create_log_record();
    record.set_body("a long body stays".into());
    record.set_event_name("order.placed");
    record.set_target("orders");
    record.set_severity_text("INFO");
    record.set_severity_number(Severity::Info);
    record.set_timestamp(std::time::UNIX_EPOCH);
    record.add_attributes(attributes);
    let mut before = record.clone();
    logger.emit(record);
    let after = kept.logs.lock().unwrap().remove(0);
    // All but the attributes is as it was; the SDK adds when it saw the record.
    before.set_observed_timestamp(after.observed_timestamp().unwrap());
    let text = |record: &SdkLogRecord| format!("{record:?}").split("attributes").next().unwrap().to_owned();
    assert_eq!(text(&before), text(&after));
    let attributes = after.attributes_iter().map(|(key, value)| (key.to_string(), value.clone())).collect();
    (attributes, dropped.load(Ordering::Relaxed))
}

fn limits(count: u32, value_length: Option<usize>) -> AttributeLimits {
    let variables = [
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", count.to_string()),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", value_length.map_or(String::new(), |n| n.to_string())),
    ];
    crate::Config::read("s", "1", &mut crate::config::Env::of(variables)).logs.limits
}

#[test]
fn a_text_is_cut_after_so_many_characters_and_never_inside_one() {
    for (text, length, expected) in [
        ("abc", 3, None),
        ("abcd", 3, Some("abc")),
        ("", 0, None),
        ("a", 0, Some("")),
        ("größe", 5, None),
        ("größer", 4, Some("größ")),
        ("日本語", 2, Some("日本")),
        ("日本語", 3, None),
        ("e\u{301}e", 1, Some("e")),
        ("🎉🎉", 1, Some("🎉")),
    ] {
        assert_eq!(cut(text, length), expected, "{text} to {length}");
    }
}

#[test]
fn values_of_a_span_its_events_and_its_links_are_cut() {
    let texts = |texts: &[&'static str]| {
        Value::Array(Array::String(texts.iter().map(|text| StringValue::from(*text)).collect()))
    };
    let span = exported(Some(2), |span| {
        span.set_attribute(KeyValue::new("text", "größe"));
        span.set_attribute(KeyValue::new("texts", texts(&["abc", "d"])));
        span.set_attribute(KeyValue::new("number", 12345_i64));
        span.set_attribute(KeyValue::new("numbers", Value::Array(Array::I64(vec![123, 456]))));
        span.add_event("a long name stays", vec![KeyValue::new("text", "abc")]);
        span.add_link(SpanContext::NONE, vec![KeyValue::new("text", "abc")]);
    });
    assert_eq!(
        span.attributes,
        [
            KeyValue::new("text", "gr"),
            KeyValue::new("texts", texts(&["ab", "d"])),
            KeyValue::new("number", 12345_i64),
            KeyValue::new("numbers", Value::Array(Array::I64(vec![123, 456]))),
        ]
    );
    let [Event { name, attributes, .. }] = &span.events[..] else { panic!("one event") };
    assert_eq!((name.as_ref(), &attributes[..]), ("a long name stays", &[KeyValue::new("text", "ab")][..]));
    let [Link { attributes, .. }] = &span.links[..] else { panic!("one link") };
    assert_eq!(attributes[..], [KeyValue::new("text", "ab")]);
}

#[test]
fn a_key_that_is_set_twice_keeps_its_place_and_its_last_value() {
    let set = [("a", 1_i64), ("b", 2), ("a", 3), ("c", 4), ("a", 5)].map(|(k, v)| KeyValue::new(k, v));
    let kept = [("a", 5_i64), ("b", 2), ("c", 4)].map(|(k, v)| KeyValue::new(k, v));
    let span = exported(None, |span| {
        span.set_attributes(set.clone());
        span.add_event("event", set.to_vec());
        span.add_link(SpanContext::NONE, set.to_vec());
    });
    assert_eq!(span.attributes, kept);
    assert_eq!(span.events[0].attributes, kept);
    assert_eq!(span.links[0].attributes, kept);
    assert_eq!(span.dropped_attributes_count, 0, "what is overwritten is not lost");
}

#[test]
fn many_attributes_are_unique_too() {
    let many = || (0..40_i64).map(|n| KeyValue::new(format!("key.{n}"), n));
    let span = exported(None, |span| {
        span.set_attributes(many());
        span.set_attribute(KeyValue::new("key.7", "last"));
    });
    let mut expected: Vec<KeyValue> = many().collect();
    expected[7] = KeyValue::new("key.7", "last");
    assert_eq!(span.attributes, expected);
}

#[test]
fn a_log_record_within_its_limits_goes_on_as_it_is() {
    let attributes = vec![("a", AnyValue::from(1)), ("b", AnyValue::from("text"))];
    let expected = vec![("a".to_owned(), AnyValue::from(1)), ("b".to_owned(), AnyValue::from("text"))];
    assert_eq!(logged(limits(2, Some(4)), attributes), (expected, 0));
}

#[test]
fn attributes_of_a_log_record_are_unique_cut_and_counted() {
    let nested = |text: &'static str, bytes: &[u8]| {
        let map = AnyValue::from_iter([("key", AnyValue::from(text)), ("bytes", AnyValue::from(bytes))]);
        AnyValue::from_iter([map, AnyValue::from(7), AnyValue::from(text)])
    };
    let (attributes, dropped) = logged(
        limits(3, Some(2)),
        vec![
            ("a", AnyValue::from("first")),
            ("nested", nested("größe", b"abc")),
            ("a", AnyValue::from("日本語")),
            ("c", AnyValue::from(12345)),
            ("d", AnyValue::from(1)),
            ("e", AnyValue::from(1)),
        ],
    );
    let expected =
        [("a", AnyValue::from("日本")), ("nested", nested("gr", b"ab")), ("c", AnyValue::from(12345))];
    assert_eq!(attributes, expected.map(|(key, value)| (key.to_owned(), value)));
    assert_eq!(dropped, 2);
}
