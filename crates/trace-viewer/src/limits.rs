use serde::{Deserialize, Serialize};

const MIB: usize = 1024 * 1024;

/// What the viewer keeps and takes at most. Byte counts are estimates from above.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Traces held; the one that appeared first goes first. Default 2,000.
    pub traces: usize,
    /// Spans held of one trace; later ones are dropped. Default 5,000: a runaway loop fills its own
    /// trace and no other.
    pub spans_per_trace: usize,
    /// Bytes of all traces held. Default 64 MiB.
    pub trace_bytes: usize,
    /// Log records held; the oldest goes first. Default 10,000.
    pub log_records: usize,
    /// Bytes of all log records held. Default 16 MiB.
    pub log_bytes: usize,
    /// Metric series held; the one that was silent longest goes first. Default 5,000.
    pub metric_series: usize,
    /// Bytes of all metric series held. Default 16 MiB.
    pub metric_bytes: usize,
    /// Bytes of the points of all series over time; the oldest points go first. Default 32 MiB.
    pub history_bytes: usize,
    /// Bytes of one request's body, before and after inflating. Default 16 MiB.
    pub body_bytes: usize,
    /// Bytes of all bodies being received at a time; beyond, senders are asked to come again. Default 64 MiB.
    pub bodies_bytes: usize,
    /// Bytes that one request may take decoded: two bytes of protobuf can mean a span of hundreds.
    /// Default 128 MiB, which a body of 16 MiB with real telemetry in it stays below.
    pub decoded_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            traces: 2_000,
            spans_per_trace: 5_000,
            trace_bytes: 64 * MIB,
            log_records: 10_000,
            log_bytes: 16 * MIB,
            metric_series: 5_000,
            metric_bytes: 16 * MIB,
            history_bytes: 32 * MIB,
            body_bytes: 16 * MIB,
            bodies_bytes: 64 * MIB,
            decoded_bytes: 128 * MIB,
        }
    }
}
