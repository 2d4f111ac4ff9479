//! How large a body becomes when it is decoded, found without decoding it.
//!
//! An empty span takes two bytes in protobuf and three in JSON, and some hundreds as a struct, so a
//! limit on the body alone would let 16 MiB become gigabytes.

use std::mem::size_of;

use opentelemetry_proto::tonic::common::v1 as common;
use opentelemetry_proto::tonic::logs::v1 as logs;
use opentelemetry_proto::tonic::metrics::v1 as metrics;
use opentelemetry_proto::tonic::resource::v1 as resource;
use opentelemetry_proto::tonic::trace::v1 as trace;
use prost::encoding::{WireType, decode_key, decode_varint};

/// A message type: what one of it takes in memory, and which fields hold messages or packed numbers.
/// All other fields count as text.
pub(super) struct Shape {
    bytes: usize,
    fields: &'static [(u32, Field)],
}

enum Field {
    Message(&'static Shape),
    /// Numbers that can be one byte each and become eight.
    Packed,
}

use Field::{Message, Packed};

#[derive(Debug, PartialEq, Eq)]
pub(super) enum WeighError {
    Malformed,
    TooHeavy,
}

pub(super) static TRACES: Shape = Shape { bytes: 0, fields: &[(1, Message(&RESOURCE_SPANS))] };
pub(super) static METRICS: Shape = Shape { bytes: 0, fields: &[(1, Message(&RESOURCE_METRICS))] };
pub(super) static LOGS: Shape = Shape { bytes: 0, fields: &[(1, Message(&RESOURCE_LOGS))] };

static RESOURCE: Shape = Shape {
    bytes: size_of::<resource::Resource>(),
    fields: &[(1, Message(&KEY_VALUE)), (3, Message(&ENTITY_REF))],
};
static ENTITY_REF: Shape = Shape { bytes: size_of::<common::EntityRef>(), fields: &[] };
static SCOPE: Shape =
    Shape { bytes: size_of::<common::InstrumentationScope>(), fields: &[(3, Message(&KEY_VALUE))] };
static KEY_VALUE: Shape = Shape { bytes: size_of::<common::KeyValue>(), fields: &[(2, Message(&ANY_VALUE))] };
static ANY_VALUE: Shape = Shape {
    bytes: size_of::<common::AnyValue>(),
    fields: &[(5, Message(&ARRAY)), (6, Message(&KEY_VALUE_LIST))],
};
static ARRAY: Shape = Shape { bytes: 0, fields: &[(1, Message(&ANY_VALUE))] };
static KEY_VALUE_LIST: Shape = Shape { bytes: 0, fields: &[(1, Message(&KEY_VALUE))] };

static RESOURCE_SPANS: Shape = Shape {
    bytes: size_of::<trace::ResourceSpans>(),
    fields: &[(1, Message(&RESOURCE)), (2, Message(&SCOPE_SPANS))],
};
static SCOPE_SPANS: Shape =
    Shape { bytes: size_of::<trace::ScopeSpans>(), fields: &[(1, Message(&SCOPE)), (2, Message(&SPAN))] };
static SPAN: Shape = Shape {
    bytes: size_of::<trace::Span>(),
    fields: &[(9, Message(&KEY_VALUE)), (11, Message(&EVENT)), (13, Message(&LINK))],
};
static EVENT: Shape = Shape { bytes: size_of::<trace::span::Event>(), fields: &[(3, Message(&KEY_VALUE))] };
static LINK: Shape = Shape { bytes: size_of::<trace::span::Link>(), fields: &[(4, Message(&KEY_VALUE))] };

static RESOURCE_LOGS: Shape = Shape {
    bytes: size_of::<logs::ResourceLogs>(),
    fields: &[(1, Message(&RESOURCE)), (2, Message(&SCOPE_LOGS))],
};
static SCOPE_LOGS: Shape =
    Shape { bytes: size_of::<logs::ScopeLogs>(), fields: &[(1, Message(&SCOPE)), (2, Message(&LOG_RECORD))] };
static LOG_RECORD: Shape = Shape {
    bytes: size_of::<logs::LogRecord>(),
    fields: &[(5, Message(&ANY_VALUE)), (6, Message(&KEY_VALUE))],
};

static RESOURCE_METRICS: Shape = Shape {
    bytes: size_of::<metrics::ResourceMetrics>(),
    fields: &[(1, Message(&RESOURCE)), (2, Message(&SCOPE_METRICS))],
};
static SCOPE_METRICS: Shape = Shape {
    bytes: size_of::<metrics::ScopeMetrics>(),
    fields: &[(1, Message(&SCOPE)), (2, Message(&METRIC))],
};
static METRIC: Shape = Shape {
    bytes: size_of::<metrics::Metric>(),
    fields: &[
        (5, Message(&NUMBERS)),
        (7, Message(&NUMBERS)),
        (9, Message(&HISTOGRAMS)),
        (10, Message(&EXPONENTIAL_HISTOGRAMS)),
        (11, Message(&SUMMARIES)),
        (12, Message(&KEY_VALUE)),
    ],
};
static NUMBERS: Shape = Shape { bytes: 0, fields: &[(1, Message(&NUMBER))] };
static NUMBER: Shape = Shape {
    bytes: size_of::<metrics::NumberDataPoint>(),
    fields: &[(5, Message(&EXEMPLAR)), (7, Message(&KEY_VALUE))],
};
static HISTOGRAMS: Shape = Shape { bytes: 0, fields: &[(1, Message(&HISTOGRAM))] };
static HISTOGRAM: Shape = Shape {
    bytes: size_of::<metrics::HistogramDataPoint>(),
    fields: &[(8, Message(&EXEMPLAR)), (9, Message(&KEY_VALUE))],
};
static EXPONENTIAL_HISTOGRAMS: Shape = Shape { bytes: 0, fields: &[(1, Message(&EXPONENTIAL_HISTOGRAM))] };
static EXPONENTIAL_HISTOGRAM: Shape = Shape {
    bytes: size_of::<metrics::ExponentialHistogramDataPoint>(),
    fields: &[
        (1, Message(&KEY_VALUE)),
        (8, Message(&BUCKETS)),
        (9, Message(&BUCKETS)),
        (11, Message(&EXEMPLAR)),
    ],
};
static BUCKETS: Shape = Shape { bytes: 0, fields: &[(2, Packed)] };
static SUMMARIES: Shape = Shape { bytes: 0, fields: &[(1, Message(&SUMMARY))] };
static SUMMARY: Shape = Shape {
    bytes: size_of::<metrics::SummaryDataPoint>(),
    fields: &[(6, Message(&QUANTILE)), (7, Message(&KEY_VALUE))],
};
static QUANTILE: Shape =
    Shape { bytes: size_of::<metrics::summary_data_point::ValueAtQuantile>(), fields: &[] };
static EXEMPLAR: Shape = Shape { bytes: size_of::<metrics::Exemplar>(), fields: &[(7, Message(&KEY_VALUE))] };

/// Refuses a message that takes more than `limit` bytes when decoded, or is not well-formed.
pub(super) fn protobuf(body: &[u8], shape: &'static Shape, limit: usize) -> Result<(), WeighError> {
    // A list of what is open instead of recursion: the body decides how deep it goes.
    let mut open = vec![(body, shape)];
    let mut bytes = 0_usize;
    while let Some((mut rest, shape)) = open.pop() {
        while !rest.is_empty() {
            let (tag, wire_type) = decode_key(&mut rest).map_err(|_| WeighError::Malformed)?;
            match wire_type {
                WireType::Varint => {
                    decode_varint(&mut rest).map_err(|_| WeighError::Malformed)?;
                    bytes += size_of::<u64>();
                }
                WireType::SixtyFourBit => {
                    take(&mut rest, 8)?;
                    bytes += 2 * size_of::<u64>();
                }
                WireType::ThirtyTwoBit => drop(take(&mut rest, 4)?),
                WireType::LengthDelimited => {
                    let length = decode_varint(&mut rest).map_err(|_| WeighError::Malformed)?;
                    let field = take(&mut rest, usize::try_from(length).map_err(|_| WeighError::Malformed)?)?;
                    match shape.fields.iter().find(|(known, _)| *known == tag) {
                        Some((_, Message(shape))) => {
                            // Vectors double as they grow.
                            bytes += 2 * shape.bytes;
                            open.push((field, shape));
                        }
                        Some((_, Packed)) => bytes += 2 * size_of::<u64>() * field.len(),
                        None => bytes += size_of::<String>() + field.len(),
                    }
                }
                // OTLP has no groups.
                WireType::StartGroup | WireType::EndGroup => return Err(WeighError::Malformed),
            }
            if bytes + open.len() * size_of::<(&[u8], &Shape)>() > limit {
                return Err(WeighError::TooHeavy);
            }
        }
    }
    Ok(())
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], WeighError> {
    let (taken, left) = rest.split_at_checked(length).ok_or(WeighError::Malformed)?;
    *rest = left;
    Ok(taken)
}

/// How many bytes JSON takes at most when decoded. Brackets and commas within strings count too.
pub(super) fn json(body: &[u8]) -> usize {
    // A decoder holds every member of a flattened object once more before it knows its type.
    const BUFFERED: usize = 64;
    const LARGEST: usize = size_of::<trace::Span>();
    body.iter()
        .map(|byte| match byte {
            b'{' => BUFFERED + LARGEST,
            b'[' | b',' => BUFFERED,
            _ => 1,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use prost::Message as _;

    use super::*;

    fn traces(spans: Vec<trace::Span>) -> Vec<u8> {
        let scope_spans = vec![trace::ScopeSpans { spans, ..Default::default() }];
        let resource_spans = vec![trace::ResourceSpans { scope_spans, ..Default::default() }];
        ExportTraceServiceRequest { resource_spans }.encode_to_vec()
    }

    #[test]
    fn empty_messages_weigh_what_they_become() {
        let body = traces(vec![trace::Span::default(); 1_000]);
        assert!(body.len() < 2_100);
        assert_eq!(protobuf(&body, &TRACES, 1_000 * size_of::<trace::Span>()), Err(WeighError::TooHeavy));
        assert_eq!(protobuf(&body, &TRACES, 1_000_000), Ok(()));
    }

    /// A thousand empty items weigh no less than their structs.
    fn assert_weighs<T>(request: &impl prost::Message, shape: &'static Shape) {
        let items = 1_000 * size_of::<T>();
        let body = request.encode_to_vec();
        let name = std::any::type_name::<T>();
        assert!(body.len() < items, "{name}");
        assert_eq!(protobuf(&body, shape, items), Err(WeighError::TooHeavy), "{name}");
    }

    fn thousand<T: Default + Clone>() -> Vec<T> {
        vec![T::default(); 1_000]
    }

    fn array(items: Vec<common::AnyValue>) -> common::AnyValue {
        let array = common::ArrayValue { values: items };
        common::AnyValue { value: Some(common::any_value::Value::ArrayValue(array)) }
    }

    #[test]
    fn every_part_of_a_trace_weighs() {
        use trace::{ResourceSpans, ScopeSpans, Span, span};
        let resource_spans = |spans| ExportTraceServiceRequest { resource_spans: spans };
        assert_weighs::<ResourceSpans>(&resource_spans(thousand()), &TRACES);
        let scope_spans =
            |spans| resource_spans(vec![ResourceSpans { scope_spans: spans, ..Default::default() }]);
        assert_weighs::<ScopeSpans>(&scope_spans(thousand()), &TRACES);
        let span = |span| scope_spans(vec![ScopeSpans { spans: vec![span], ..Default::default() }]);
        assert_weighs::<span::Event>(&span(Span { events: thousand(), ..Default::default() }), &TRACES);
        assert_weighs::<span::Link>(&span(Span { links: thousand(), ..Default::default() }), &TRACES);
        assert_weighs::<common::KeyValue>(
            &span(Span { attributes: thousand(), ..Default::default() }),
            &TRACES,
        );
        let of_values = common::KeyValue { value: Some(array(thousand())), ..Default::default() };
        let of_values = Span { attributes: vec![of_values], ..Default::default() };
        assert_weighs::<common::AnyValue>(&span(of_values), &TRACES);
        let resource = resource::Resource { attributes: thousand(), ..Default::default() };
        let of_resource = ResourceSpans { resource: Some(resource), ..Default::default() };
        assert_weighs::<common::KeyValue>(&resource_spans(vec![of_resource]), &TRACES);
    }

    #[test]
    fn every_part_of_a_log_weighs() {
        use logs::{LogRecord, ResourceLogs, ScopeLogs};
        use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
        let scope_logs = |scope_logs| ExportLogsServiceRequest {
            resource_logs: vec![ResourceLogs { scope_logs, ..Default::default() }],
        };
        assert_weighs::<ScopeLogs>(&scope_logs(thousand()), &LOGS);
        let records = |log_records| scope_logs(vec![ScopeLogs { log_records, ..Default::default() }]);
        assert_weighs::<LogRecord>(&records(thousand()), &LOGS);
        let of_body = LogRecord { body: Some(array(thousand())), ..Default::default() };
        assert_weighs::<common::AnyValue>(&records(vec![of_body]), &LOGS);
        let of_attributes = LogRecord { attributes: thousand(), ..Default::default() };
        assert_weighs::<common::KeyValue>(&records(vec![of_attributes]), &LOGS);
    }

    #[test]
    fn every_part_of_a_metric_weighs() {
        use metrics::metric::Data;
        use metrics::{
            Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
            HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary,
            SummaryDataPoint, exponential_histogram_data_point::Buckets, summary_data_point::ValueAtQuantile,
        };
        use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
        let metrics = |metrics| {
            let scope_metrics = vec![ScopeMetrics { metrics, ..Default::default() }];
            let resource_metrics = vec![ResourceMetrics { scope_metrics, ..Default::default() }];
            ExportMetricsServiceRequest { resource_metrics }
        };
        assert_weighs::<Metric>(&metrics(thousand()), &METRICS);
        let data = |data| metrics(vec![Metric { data: Some(data), ..Default::default() }]);
        let sum = |data_points| data(Data::Sum(Sum { data_points, ..Default::default() }));
        assert_weighs::<NumberDataPoint>(&sum(thousand()), &METRICS);
        assert_weighs::<NumberDataPoint>(&data(Data::Gauge(Gauge { data_points: thousand() })), &METRICS);
        let of_exemplars = NumberDataPoint { exemplars: thousand(), ..Default::default() };
        assert_weighs::<Exemplar>(&sum(vec![of_exemplars]), &METRICS);
        let histogram = |data_points| data(Data::Histogram(Histogram { data_points, ..Default::default() }));
        assert_weighs::<HistogramDataPoint>(&histogram(thousand()), &METRICS);
        let of_exemplars = HistogramDataPoint { exemplars: thousand(), ..Default::default() };
        assert_weighs::<Exemplar>(&histogram(vec![of_exemplars]), &METRICS);
        let exponential = |data_points| {
            data(Data::ExponentialHistogram(ExponentialHistogram { data_points, ..Default::default() }))
        };
        assert_weighs::<ExponentialHistogramDataPoint>(&exponential(thousand()), &METRICS);
        let positive = Some(Buckets { offset: 0, bucket_counts: vec![0; 1_000] });
        let of_buckets = ExponentialHistogramDataPoint { positive, ..Default::default() };
        assert_weighs::<u64>(&exponential(vec![of_buckets]), &METRICS);
        let summary = |data_points| data(Data::Summary(Summary { data_points }));
        assert_weighs::<SummaryDataPoint>(&summary(thousand()), &METRICS);
        let of_quantiles = SummaryDataPoint { quantile_values: thousand(), ..Default::default() };
        assert_weighs::<ValueAtQuantile>(&summary(vec![of_quantiles]), &METRICS);
    }

    #[test]
    fn text_weighs_little_more_than_its_length() {
        let body = traces(vec![trace::Span { name: "x".repeat(100_000), ..Default::default() }]);
        assert_eq!(protobuf(&body, &TRACES, 102_000), Ok(()));
        assert_eq!(protobuf(&body, &TRACES, 99_000), Err(WeighError::TooHeavy));
    }

    #[test]
    fn values_nested_without_end_are_weighed_without_recursion() {
        let mut value = Vec::new();
        for _ in 0..2_000 {
            // AnyValue { array_value: ArrayValue { values: [value] } }
            for tag in [0x0a, 0x2a] {
                let mut outer = vec![tag];
                prost::encoding::encode_varint(value.len() as u64, &mut outer);
                outer.extend(&value);
                value = outer;
            }
        }
        assert_eq!(protobuf(&value, &ANY_VALUE, 1 << 20), Ok(()));
    }

    #[test]
    fn what_is_not_protobuf_is_refused() {
        for garbage in [&[0x0a, 0x05, 0x00][..], &[0xff; 20], &[0x0b], &[0x00], &[0x09, 1, 2]] {
            assert_eq!(protobuf(garbage, &TRACES, 1 << 20), Err(WeighError::Malformed), "{garbage:?}");
        }
    }

    #[test]
    fn empty_json_objects_weigh_what_they_become() {
        let spans = format!("[{}{{}}]", "{},".repeat(999));
        assert!(json(spans.as_bytes()) > 1_000 * size_of::<trace::Span>());
        assert_eq!(json(br#""text""#), 6);
    }
}
