use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets as WireBuckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar as WireExemplar, ExponentialHistogramDataPoint, HistogramDataPoint,
    Metric as WireMetric, NumberDataPoint, SummaryDataPoint, exemplar, number_data_point,
};

use super::attributes;
use crate::model::{
    Buckets, Exemplar, Metric, MetricData, Number, Quantile, Scope, SpanId, Temporality, TraceId,
};

/// Adds the points of a metric to `kept`; answers how many had no value: a metric without any data
/// counts as one.
pub(in crate::otlp) fn metric(
    metric: WireMetric,
    service: &str,
    scope: &Scope,
    kept: &mut Vec<Metric>,
) -> u64 {
    let WireMetric { name, description, unit, data, .. } = metric;
    let points: Vec<Option<Point>> = match data {
        Some(Data::Gauge(gauge)) => gauge
            .data_points
            .into_iter()
            .map(|point| number(point, |value| MetricData::Gauge { value }))
            .collect(),
        Some(Data::Sum(sum)) => {
            let (monotonic, temporality) = (sum.is_monotonic, temporality(sum.aggregation_temporality));
            let data = |value| MetricData::Sum { value, monotonic, temporality };
            sum.data_points.into_iter().map(|point| number(point, data)).collect()
        }
        Some(Data::Histogram(sent)) => {
            let temporality = temporality(sent.aggregation_temporality);
            sent.data_points.into_iter().map(|point| Some(histogram(point, temporality))).collect()
        }
        Some(Data::ExponentialHistogram(sent)) => {
            let temporality = temporality(sent.aggregation_temporality);
            sent.data_points
                .into_iter()
                .map(|point| Some(exponential_histogram(point, temporality)))
                .collect()
        }
        Some(Data::Summary(sent)) => sent.data_points.into_iter().map(|point| Some(summary(point))).collect(),
        None => vec![None],
    };
    let sent = points.len();
    let before = kept.len();
    kept.extend(points.into_iter().flatten().map(|point| Metric {
        name: name.clone(),
        description: description.clone(),
        unit: unit.clone(),
        attributes: attributes(point.attributes),
        service: service.to_owned(),
        resource: 0,
        scope: scope.clone(),
        start_unix_nano: point.start_unix_nano,
        time_unix_nano: point.time_unix_nano,
        data: point.data,
        exemplars: point.exemplars.into_iter().filter_map(exemplar).collect(),
    }));
    (sent - (kept.len() - before)) as u64
}

/// What all kinds of points have.
struct Point {
    attributes: Vec<KeyValue>,
    start_unix_nano: u64,
    time_unix_nano: u64,
    exemplars: Vec<WireExemplar>,
    data: MetricData,
}

fn number(point: NumberDataPoint, data: impl FnOnce(Number) -> MetricData) -> Option<Point> {
    let value = match point.value? {
        number_data_point::Value::AsInt(number) => Number::Int(number),
        number_data_point::Value::AsDouble(number) => Number::Double(number),
    };
    Some(Point {
        attributes: point.attributes,
        start_unix_nano: point.start_time_unix_nano,
        time_unix_nano: point.time_unix_nano,
        exemplars: point.exemplars,
        data: data(value),
    })
}

fn histogram(point: HistogramDataPoint, temporality: Temporality) -> Point {
    Point {
        attributes: point.attributes,
        start_unix_nano: point.start_time_unix_nano,
        time_unix_nano: point.time_unix_nano,
        exemplars: point.exemplars,
        data: MetricData::Histogram {
            count: point.count,
            sum: finite(point.sum),
            min: finite(point.min),
            max: finite(point.max),
            bounds: point.explicit_bounds.into_iter().filter(|bound| bound.is_finite()).collect(),
            bucket_counts: point.bucket_counts,
            temporality,
        },
    }
}

fn exponential_histogram(point: ExponentialHistogramDataPoint, temporality: Temporality) -> Point {
    Point {
        attributes: point.attributes,
        start_unix_nano: point.start_time_unix_nano,
        time_unix_nano: point.time_unix_nano,
        exemplars: point.exemplars,
        data: MetricData::ExponentialHistogram {
            count: point.count,
            sum: finite(point.sum),
            min: finite(point.min),
            max: finite(point.max),
            scale: point.scale,
            zero_count: point.zero_count,
            positive: buckets(point.positive),
            negative: buckets(point.negative),
            temporality,
        },
    }
}

fn summary(point: SummaryDataPoint) -> Point {
    let quantiles = point.quantile_values.iter();
    let quantiles = quantiles.map(|at| Quantile { quantile: at.quantile, value: at.value }).collect();
    Point {
        attributes: point.attributes,
        start_unix_nano: point.start_time_unix_nano,
        time_unix_nano: point.time_unix_nano,
        exemplars: Vec::new(),
        data: MetricData::Summary { count: point.count, sum: point.sum, quantiles },
    }
}

fn buckets(sent: Option<WireBuckets>) -> Buckets {
    let WireBuckets { offset, bucket_counts } = sent.unwrap_or_default();
    Buckets { offset, counts: bucket_counts }
}

fn exemplar(sent: WireExemplar) -> Option<Exemplar> {
    let value = match sent.value? {
        exemplar::Value::AsInt(number) => Number::Int(number),
        exemplar::Value::AsDouble(number) => Number::Double(number),
    };
    Some(Exemplar {
        time_unix_nano: sent.time_unix_nano,
        value,
        trace_id: TraceId::from_bytes(&sent.trace_id).ok(),
        span_id: SpanId::from_bytes(&sent.span_id).ok(),
        attributes: attributes(sent.filtered_attributes),
    })
}

fn temporality(sent: i32) -> Temporality {
    match AggregationTemporality::try_from(sent) {
        Ok(AggregationTemporality::Delta) => Temporality::Delta,
        Ok(AggregationTemporality::Cumulative) => Temporality::Cumulative,
        Ok(AggregationTemporality::Unspecified) | Err(_) => Temporality::Unspecified,
    }
}

/// JSON has no other numbers; a sum that is none says as much as no sum.
fn finite(number: Option<f64>) -> Option<f64> {
    number.filter(|number| number.is_finite())
}
