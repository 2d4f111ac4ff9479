use serde::{Deserialize, Serialize};

use super::{LogRecord, Metric, Resource, TraceId};
use crate::Limits;

/// `GET /api/traces`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TraceList {
    /// Give it back as `?since=` to hear of what changes after this answer.
    pub cursor: String,
    /// The traces.
    pub traces: Vec<TraceSummary>,
    /// Give it back as `?before=` for older ones; none where these are the last.
    #[serde(default)]
    pub before: Option<String>,
    /// With `?since=` and a filter: traces that changed and do not match.
    #[serde(default)]
    pub left: Vec<TraceId>,
    /// Traces whose [`appeared`](TraceSummary::appeared) is smaller have made room for newer ones.
    #[serde(default)]
    pub oldest: u64,
}

/// A trace in one line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TraceSummary {
    /// Its id.
    pub trace_id: TraceId,
    /// The service of the root: of the first one, where parents are missing.
    pub root_service: String,
    /// The name of the root span.
    pub root_name: String,
    /// The earliest start.
    pub start_unix_nano: u64,
    /// From the earliest start to the latest end.
    pub duration_nano: u64,
    /// Spans held.
    pub span_count: usize,
    /// Spans with status error.
    pub error_count: usize,
    /// Services, in the order in which they first appear.
    pub services: Vec<String>,
    /// See [`Trace::is_complete`](super::Trace::is_complete).
    pub complete: bool,
    /// Spans of it that were not kept.
    pub dropped_spans: u64,
    /// Its number in the order in which traces appeared, which is the order in which they leave.
    #[serde(default)]
    pub appeared: u64,
}

/// `GET /api/logs`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Logs {
    /// Who wrote the records.
    pub resources: Vec<Resource>,
    /// The latest to arrive, last one first.
    pub records: Vec<LogRecord>,
    /// Whether older ones match too; ask for those with `?before=` the last one's
    /// [`sequence`](LogRecord::sequence).
    #[serde(default)]
    pub more: bool,
    /// Records whose sequence is smaller have made room for newer ones.
    #[serde(default)]
    pub oldest: u64,
}

/// `GET /api/metrics`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Who took the points.
    pub resources: Vec<Resource>,
    /// One point a series, by name, service and attributes.
    pub metrics: Vec<Metric>,
}

/// `GET /api/services`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Services {
    /// Who is in the telemetry held, by name.
    pub services: Vec<String>,
}

/// `GET /health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// `ok`.
    pub status: String,
}

/// `GET /api/status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The viewer's version.
    pub version: String,
    /// When it started.
    pub started_unix_nano: u64,
    /// What is in memory now.
    pub held: Held,
    /// What arrived since the start.
    pub received: Received,
    /// What was not kept, or not for long.
    pub dropped: Dropped,
    /// What the viewer keeps at most.
    pub limits: Limits,
}

/// What is in memory.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Held {
    /// Traces.
    pub traces: usize,
    /// Spans of all traces.
    pub spans: usize,
    /// Bytes of all traces, an estimate from above.
    pub trace_bytes: usize,
    /// Log records.
    pub log_records: usize,
    /// Bytes of all log records, an estimate from above.
    pub log_bytes: usize,
    /// Metric series.
    pub metric_series: usize,
    /// Bytes of all series, an estimate from above.
    pub metric_bytes: usize,
    /// Points of the series over time.
    #[serde(default)]
    pub history_points: usize,
    /// Bytes of those, an estimate from above.
    #[serde(default)]
    pub history_bytes: usize,
}

/// What arrived, kept or not.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Received {
    /// Export requests answered with 200.
    pub requests: u64,
    /// Spans in them.
    pub spans: u64,
    /// Log records in them.
    pub log_records: u64,
    /// Metric points in them.
    pub metric_points: u64,
}

/// What was not kept, or not for long.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Dropped {
    /// Export requests that were refused: malformed, too large, of an unknown type.
    pub refused_requests: u64,
    /// Spans with no valid id; the sender is told.
    pub invalid_spans: u64,
    /// Spans beyond the limit of their trace; the sender is told.
    pub spans_over_limit: u64,
    /// Spans that were here already: a sender that tries again repeats them.
    pub duplicate_spans: u64,
    /// Traces that made room for newer ones.
    pub evicted_traces: u64,
    /// The spans in those.
    pub evicted_spans: u64,
    /// Log records that made room for newer ones.
    pub evicted_log_records: u64,
    /// Metric points without a value; the sender is told.
    pub invalid_metric_points: u64,
    /// Metric series that made room for newer ones.
    pub evicted_metric_series: u64,
    /// Points over time that made room for newer ones.
    #[serde(default)]
    pub evicted_history_points: u64,
}
