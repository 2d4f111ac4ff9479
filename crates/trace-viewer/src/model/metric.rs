use serde::{Deserialize, Serialize};

use super::value::double;
use super::{Attributes, Scope, SpanId, TraceId};

/// The latest point of one series: a metric of a process under one set of attributes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// The instrument's name.
    pub name: String,
    /// What it measures.
    pub description: String,
    /// The unit, in UCUM's words: `s`, `By`, `{request}`.
    pub unit: String,
    /// What tells this series from others of the metric.
    pub attributes: Attributes,
    /// `service.name` of its resource.
    pub service: String,
    /// The index of its resource in the document it came with.
    pub resource: usize,
    /// The meter.
    pub scope: Scope,
    /// From when the point counts; 0 where not told.
    pub start_unix_nano: u64,
    /// When the point was taken.
    pub time_unix_nano: u64,
    /// The point.
    pub data: MetricData,
    /// Measurements kept whole, some with the trace they were taken in.
    pub exemplars: Vec<Exemplar>,
}

/// A point of a series, by the kind of its instrument.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum MetricData {
    /// A value that goes up and down by itself.
    Gauge {
        /// The value.
        value: Number,
    },
    /// Something added up.
    Sum {
        /// The total, or under [`Temporality::Delta`] what came since the point before.
        value: Number,
        /// Whether it never falls.
        monotonic: bool,
        /// What the value counts from.
        temporality: Temporality,
    },
    /// A distribution over explicit buckets.
    Histogram {
        /// How many measurements.
        count: u64,
        /// Their sum.
        sum: Option<f64>,
        /// The smallest.
        min: Option<f64>,
        /// The largest.
        max: Option<f64>,
        /// The upper bounds; the last bucket has none.
        bounds: Vec<f64>,
        /// The count of each bucket: one more than there are bounds.
        bucket_counts: Vec<u64>,
        /// What the counts count from.
        temporality: Temporality,
    },
    /// A distribution over buckets that grow by a factor.
    ExponentialHistogram {
        /// How many measurements.
        count: u64,
        /// Their sum.
        sum: Option<f64>,
        /// The smallest.
        min: Option<f64>,
        /// The largest.
        max: Option<f64>,
        /// The factor is 2^(2^-scale).
        scale: i32,
        /// How many were about zero.
        zero_count: u64,
        /// Those above zero.
        positive: Buckets,
        /// Those below zero.
        negative: Buckets,
        /// What the counts count from.
        temporality: Temporality,
    },
    /// Quantiles that the sender worked out.
    Summary {
        /// How many measurements.
        count: u64,
        /// Their sum.
        #[serde(with = "double")]
        sum: f64,
        /// The quantiles.
        quantiles: Vec<Quantile>,
    },
}

impl MetricData {
    /// The value of a gauge or a sum; `None` for the distributions.
    pub fn value(&self) -> Option<Number> {
        match self {
            Self::Gauge { value } | Self::Sum { value, .. } => Some(*value),
            Self::Histogram { .. } | Self::ExponentialHistogram { .. } | Self::Summary { .. } => None,
        }
    }

    /// The count of a distribution; `None` for a gauge or a sum.
    pub fn count(&self) -> Option<u64> {
        match self {
            Self::Gauge { .. } | Self::Sum { .. } => None,
            Self::Histogram { count, .. }
            | Self::ExponentialHistogram { count, .. }
            | Self::Summary { count, .. } => Some(*count),
        }
    }
}

/// A measured number, with the type it was sent with.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Number {
    /// A whole number.
    Int(i64),
    /// A floating-point number.
    Double(#[serde(with = "double")] f64),
}

impl Number {
    /// As a floating-point number, whichever it is.
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Int(number) => number as f64,
            Self::Double(number) => number,
        }
    }
}

/// What a sum or a distribution counts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Temporality {
    /// Not told.
    Unspecified,
    /// From the point before.
    Delta,
    /// From the start.
    Cumulative,
}

/// Buckets of an exponential histogram.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Buckets {
    /// The index of the first.
    pub offset: i32,
    /// The counts from there on.
    pub counts: Vec<u64>,
}

/// A quantile of a summary.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Quantile {
    /// From 0 to 1.
    #[serde(with = "double")]
    pub quantile: f64,
    /// The value there.
    #[serde(with = "double")]
    pub value: f64,
}

/// One measurement, kept whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exemplar {
    /// When it was taken.
    pub time_unix_nano: u64,
    /// What was measured.
    pub value: Number,
    /// The trace it was taken in.
    pub trace_id: Option<TraceId>,
    /// The span it was taken in.
    pub span_id: Option<SpanId>,
    /// Attributes that the series does not carry.
    pub attributes: Attributes,
}
