//! What arrived, in types that the API writes and its readers read.
//!
//! Identifiers are lower-case hex, times are nanoseconds since the Unix epoch as numbers, and an
//! attribute's value keeps the type it was sent with: `{"int": 200}` is not `{"string": "200"}`.
//! A resource is long and shared, so a document lists each once, and spans, log records and metrics
//! name theirs by its index.

mod answers;
mod graph;
mod id;
mod log;
mod metric;
mod series;
mod trace;
mod value;

pub use answers::{
    Dropped, Health, Held, Logs, Metrics, Received, Services, Status, TraceList, TraceSummary,
};
pub use graph::{Graph, GraphCall, GraphNode, NodeKind, Traffic};
pub use id::{Id, InvalidId, SpanId, TraceId};
pub use log::LogRecord;
pub use metric::{Buckets, Exemplar, Metric, MetricData, Number, Quantile, Temporality};
pub use series::{Instrument, InstrumentKind, Instruments, Series, SeriesExemplar, SeriesList, SeriesTotals};
pub use trace::{Event, Link, Resource, Scope, Span, SpanKind, SpanStatus, Trace};
pub use value::{Attributes, Value};
