//! Small telemetry for the tests of this crate.

use crate::model::{
    Attributes, LogRecord, Metric, MetricData, Number, Resource, Scope, Span, SpanId, SpanKind, SpanStatus,
    Temporality, TraceId,
};

pub(crate) fn trace_id(n: u8) -> TraceId {
    TraceId::from_bytes(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, n]).unwrap()
}

pub(crate) fn span_id(n: u64) -> SpanId {
    SpanId::from_bytes(&n.to_be_bytes()).unwrap()
}

pub(crate) fn resource(service: &str) -> Resource {
    Resource { attributes: Attributes::from([("service.name".to_owned(), service.into())]) }
}

/// A span of order-service from 0 to 10.
pub(crate) fn span(id: u64, parent: Option<u64>, name: &str) -> Span {
    Span {
        span_id: span_id(id),
        parent_span_id: parent.map(span_id),
        parent_is_remote: None,
        name: name.to_owned(),
        kind: SpanKind::Internal,
        service: "order-service".to_owned(),
        resource: 0,
        scope: Scope::default(),
        start_unix_nano: 0,
        end_unix_nano: 10,
        status: SpanStatus::Unset,
        attributes: Attributes::new(),
        events: Vec::new(),
        links: Vec::new(),
        trace_state: String::new(),
        dropped_attributes_count: 0,
        dropped_events_count: 0,
        dropped_links_count: 0,
    }
}

impl Span {
    pub(crate) fn at(mut self, start: u64, end: u64) -> Self {
        (self.start_unix_nano, self.end_unix_nano) = (start, end);
        self
    }
}

/// A record of user-service.
pub(crate) fn log(time: u64, body: &str, trace: Option<u8>) -> LogRecord {
    LogRecord {
        time_unix_nano: time,
        observed_time_unix_nano: time,
        severity_number: 9,
        severity_text: "INFO".to_owned(),
        body: Some(body.into()),
        attributes: Attributes::new(),
        event_name: String::new(),
        trace_id: trace.map(trace_id),
        span_id: None,
        service: "user-service".to_owned(),
        resource: 0,
        scope: Scope::default(),
        dropped_attributes_count: 0,
        sequence: 0,
    }
}

pub(crate) fn counter(name: &str, route: &str, value: i64) -> Metric {
    Metric {
        name: name.to_owned(),
        description: String::new(),
        unit: "1".to_owned(),
        attributes: Attributes::from([("http.route".to_owned(), route.into())]),
        service: "order-service".to_owned(),
        resource: 0,
        scope: Scope::default(),
        start_unix_nano: 0,
        time_unix_nano: 1,
        data: MetricData::Sum {
            value: Number::Int(value),
            monotonic: true,
            temporality: Temporality::Cumulative,
        },
        exemplars: Vec::new(),
    }
}

/// A cumulative histogram without attributes.
pub(crate) fn histogram(bounds: &[f64], counts: &[u64]) -> Metric {
    let data = MetricData::Histogram {
        count: counts.iter().sum(),
        sum: None,
        min: None,
        max: None,
        bounds: bounds.to_vec(),
        bucket_counts: counts.to_vec(),
        temporality: Temporality::Cumulative,
    };
    Metric { name: "latency".to_owned(), attributes: Attributes::new(), data, ..counter("", "", 0) }
}
