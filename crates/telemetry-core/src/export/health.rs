//! What became of the telemetry so far, to be shown.

use serde::Serialize;

/// One entry for each signal that goes to a collector; a signal that only goes to the console has none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ExportHealth {
    /// Spans.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traces: Option<SignalHealth>,
    /// Data points of metrics, counted each time they are exported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<SignalHealth>,
    /// Log records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logs: Option<SignalHealth>,
    /// What limits kept from being recorded; left out of the JSON where they kept nothing.
    #[serde(skip_serializing_if = "LimitsHealth::is_empty")]
    pub limits: LimitsHealth,
}

/// What limits kept from being recorded since the start of the process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LimitsHealth {
    /// Attributes of log records beyond `OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT`. (Those of spans are told by each
    /// span, in `dropped_attributes_count`.)
    pub log_attributes_dropped: u64,
    /// Log lines beyond `LOG_RATE_LIMIT`.
    pub log_lines_suppressed: u64,
    /// Metrics with more series than `METRICS_CARDINALITY_LIMIT`, by name.
    pub metrics_overflowing: Vec<String>,
}

impl LimitsHealth {
    /// Whether no limit was reached.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Counts since the start of the process: `ended = exported + failed + dropped + queued`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SignalHealth {
    /// Items that were to be exported: sampled spans that ended, records that were logged, points collected.
    pub ended: u64,
    /// Accepted by the collector.
    pub exported: u64,
    /// Refused by the collector, or not delivered after all retries.
    pub failed: u64,
    /// Lost before any export: the queue was full, or the shutdown too short.
    pub dropped: u64,
    /// Waiting, or being exported.
    pub queued: u64,
    /// Whether the last export went well and nothing was dropped before it.
    pub healthy: bool,
    /// What the last failed export failed with.
    pub last_error: Option<String>,
}
