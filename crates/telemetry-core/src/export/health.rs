//! What became of the telemetry so far, to be shown.

use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};

use crate::config::Signal;

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
    /// Exporters beside those: further collectors of a signal, and the application's own. Left out of the JSON where
    /// there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub further: Vec<ExporterHealth>,
    /// What limits kept from being recorded; left out of the JSON where they kept nothing.
    #[serde(skip_serializing_if = "LimitsHealth::is_empty")]
    pub limits: LimitsHealth,
}

/// One exporter of a signal that has several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ExporterHealth {
    /// Its name, as `otel.component.name` of its metrics: `otlp_grpc_span_exporter/1`.
    pub exporter: String,
    /// `traces`, `metrics` or `logs`.
    #[serde(serialize_with = "by_name")]
    pub signal: Signal,
    /// What became of what it was given.
    #[serde(flatten)]
    pub health: SignalHealth,
}

fn by_name<S: Serializer>(signal: &Signal, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(signal.name())
}

/// What limits kept from being recorded since the start of the process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LimitsHealth {
    /// Attributes of log records beyond `OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT`. (Those of spans are told by each
    /// span, in `dropped_attributes_count`.)
    pub log_attributes_dropped: u64,
    /// Spans that were not printed since the console was too slow for them.
    pub console_spans_dropped: u64,
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
    /// `failed` by its reasons; left out of the JSON where nothing failed.
    #[serde(skip_serializing_if = "Failures::is_empty")]
    pub failures: Failures,
    /// Lost before any export: the queue was full, or the shutdown too short.
    pub dropped: u64,
    /// `dropped` by its reasons; left out of the JSON where nothing was dropped.
    #[serde(skip_serializing_if = "Drops::is_empty")]
    pub drops: Drops,
    /// Waiting, or being exported.
    pub queued: u64,
    /// How many may wait; metrics have no queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_capacity: Option<usize>,
    /// How many times an export was tried again.
    pub retried: u64,
    /// Whether the last export went well and nothing was dropped before it.
    pub healthy: bool,
    /// What the last export failed with that did; what a collector last wanted to be known.
    pub last_error: Option<LastError>,
}

/// Items of failed exports, by the reason of the failure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Failures {
    /// The collector refused the export for good (HTTP 400 and its like; gRPC `INVALID_ARGUMENT` and its like).
    pub rejected: u64,
    /// The collector accepted the export and refused these of it ("partial success").
    pub partly_rejected: u64,
    /// The collector said at every try that it cannot now (HTTP 429, 502, 503, 504; gRPC `UNAVAILABLE` and its like).
    pub retries_exhausted: u64,
    /// No answer within the time of an export.
    pub timeout: u64,
    /// No connection, or one that broke, at every try.
    pub unreachable: u64,
    /// No request could be made of them.
    pub encoding: u64,
    /// An exporter of the application's own could not; left out of the JSON where none failed.
    #[serde(skip_serializing_if = "is_zero")]
    pub own_exporter: u64,
}

impl Failures {
    /// All of them.
    pub fn total(&self) -> u64 {
        let Self {
            rejected,
            partly_rejected,
            retries_exhausted,
            timeout,
            unreachable,
            encoding,
            own_exporter,
        } = self;
        rejected + partly_rejected + retries_exhausted + timeout + unreachable + encoding + own_exporter
    }

    /// Whether nothing failed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Items that were lost before any export, by the reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Drops {
    /// The queue was full.
    pub queue_full: u64,
    /// They came after the shutdown, or were still under way at its deadline.
    pub shutdown: u64,
}

impl Drops {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.queue_full + self.shutdown
    }

    /// Whether nothing was dropped.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What went wrong last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LastError {
    /// One line, of which no more than 256 characters are the collector's own words.
    pub message: String,
    /// When; in JSON a time of RFC 3339, in UTC.
    #[serde(serialize_with = "rfc3339")]
    pub time: SystemTime,
}

fn rfc3339<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    let time = DateTime::<Utc>::from(*time).to_rfc3339_opts(SecondsFormat::Millis, true);
    serializer.serialize_str(&time)
}
