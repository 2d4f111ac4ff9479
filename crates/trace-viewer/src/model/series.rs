use serde::{Deserialize, Serialize};

use super::{Attributes, SpanId, TraceId};

/// `GET /api/metrics/instruments`: what is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Instruments {
    /// By name.
    pub instruments: Vec<Instrument>,
}

/// A metric, of all services that send it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Instrument {
    /// Its name.
    pub name: String,
    /// What it measures.
    pub description: String,
    /// The unit, in UCUM's words.
    pub unit: String,
    /// How it is shown over time.
    pub kind: InstrumentKind,
    /// Who sends it, by name.
    pub services: Vec<String>,
    /// The keys of its series' attributes, by name.
    pub attributes: Vec<String>,
    /// How many series it has.
    pub series: usize,
}

/// How a metric is shown over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstrumentKind {
    /// A value that cannot be added to others: a group shows the mean of its series.
    Gauge,
    /// A value that can: a group shows the sum of its series.
    Level,
    /// Something counted: a group shows how much a second.
    Rate,
    /// Measurements: a group shows how many a second, and their percentiles.
    Distribution,
}

/// `GET /api/metrics/series`: a metric over time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeriesList {
    /// The metric's name.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// How it is shown; none where no series matches.
    pub kind: Option<InstrumentKind>,
    /// The seconds that each place of the lists below stands for.
    pub step_seconds: u64,
    /// The end of each step, in seconds since the Unix epoch.
    pub times: Vec<u64>,
    /// The groups, those with most in them first.
    pub series: Vec<Series>,
    /// Groups beyond the most that are shown.
    pub omitted: usize,
}

/// The series of a metric that have the same service and the same values of the attributes asked
/// for. The lists have a place for each step; nothing was told of a step where it holds none.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Series {
    /// Who sends it.
    pub service: String,
    /// The attributes that tell it from the others.
    pub attributes: Attributes,
    /// The value of a gauge or a level; what was counted or measured, a second.
    pub values: Vec<Option<f64>>,
    /// Of a distribution: those measured with an `error.type`, a second. Empty for others.
    pub errors: Vec<Option<f64>>,
    /// Of a distribution: the median, guessed from the buckets. Empty for others.
    pub p50: Vec<Option<f64>>,
    /// The 95th percentile.
    pub p95: Vec<Option<f64>>,
    /// The 99th percentile.
    pub p99: Vec<Option<f64>>,
    /// The same over all steps.
    pub totals: SeriesTotals,
    /// Measurements kept whole whose trace is told, the largest first.
    pub exemplars: Vec<SeriesExemplar>,
}

/// A group of series over the whole time asked for.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct SeriesTotals {
    /// The latest value of a gauge or a level; how much was counted or measured.
    pub value: f64,
    /// Of a distribution: how many with an `error.type`.
    pub errors: f64,
    /// The median.
    pub p50: Option<f64>,
    /// The 95th percentile.
    pub p95: Option<f64>,
    /// The 99th percentile.
    pub p99: Option<f64>,
}

/// One measurement and the trace it was taken in.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SeriesExemplar {
    /// When it was taken.
    pub time_unix_nano: u64,
    /// What was measured.
    pub value: f64,
    /// The trace.
    pub trace_id: TraceId,
    /// The span in it.
    pub span_id: Option<SpanId>,
}
