use serde::{Deserialize, Serialize};

use super::{Attributes, Scope, SpanId, TraceId, Value};

/// One log record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogRecord {
    /// When it happened; 0 where the sender does not know.
    pub time_unix_nano: u64,
    /// When the sender's telemetry saw it; 0 where not told.
    pub observed_time_unix_nano: u64,
    /// 1 to 24 in steps of four: trace, debug, info (9), warn (13), error (17), fatal; 0 where not told.
    pub severity_number: u8,
    /// The severity in the sender's words.
    pub severity_text: String,
    /// The message.
    pub body: Option<Value>,
    /// The record's fields.
    pub attributes: Attributes,
    /// The name that makes it an event, empty for others.
    pub event_name: String,
    /// The trace it was written in.
    pub trace_id: Option<TraceId>,
    /// The span it was written in.
    pub span_id: Option<SpanId>,
    /// `service.name` of its resource.
    pub service: String,
    /// The index of its resource in the document it came with.
    pub resource: usize,
    /// The instrumentation that made it; for a bridge, the logger's name.
    pub scope: Scope,
    /// Attributes that the sender dropped.
    pub dropped_attributes_count: u32,
    /// Its number in the order of arrival, from 1 on; 0 before it is kept.
    #[serde(default)]
    pub sequence: u64,
}

impl LogRecord {
    /// The best time known, in nanoseconds since the Unix epoch.
    pub fn time(&self) -> u64 {
        if self.time_unix_nano == 0 { self.observed_time_unix_nano } else { self.time_unix_nano }
    }
}
