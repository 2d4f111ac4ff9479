use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::{Attributes, LogRecord, SpanId, TraceId, Value};
use crate::tree::Tree;

/// One trace, as far as it has arrived.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// Its name in every service.
    pub trace_id: TraceId,
    /// Who sent the spans and logs below; they name theirs by its index here.
    pub resources: Vec<Resource>,
    /// Every span held, by start time.
    pub spans: Vec<Span>,
    /// The log records that carry this trace's id, by time.
    pub logs: Vec<LogRecord>,
    /// Spans that arrived for this trace and were not kept, since it is at its limit.
    pub dropped_spans: u64,
}

impl Trace {
    /// The span that starts the trace; the first of those without a parent here, where there are
    /// several.
    pub fn root(&self) -> Option<&Span> {
        self.tree().roots().first().map(|(root, _)| &self.spans[*root])
    }

    /// The spans of this name, by start time.
    pub fn spans_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Span> {
        self.spans.iter().filter(move |span| span.name == name)
    }

    /// The span of this id.
    pub fn span(&self, span_id: SpanId) -> Option<&Span> {
        self.spans.iter().find(|span| span.span_id == span_id)
    }

    /// The spans whose parent is this one, by start time.
    pub fn children_of(&self, span_id: SpanId) -> impl Iterator<Item = &Span> {
        self.spans.iter().filter(move |span| span.parent_span_id == Some(span_id))
    }

    /// Who sent this span.
    pub fn resource_of(&self, span: &Span) -> Option<&Resource> {
        self.resources.get(span.resource)
    }

    /// The services in the trace, in the order in which they first appear.
    pub fn services(&self) -> Vec<&str> {
        let mut seen = HashSet::new();
        let services = self.spans.iter().map(|span| span.service.as_str());
        services.filter(|service| seen.insert(*service)).collect()
    }

    /// The spans as a tree.
    pub fn tree(&self) -> Tree {
        Tree::of(&self.spans)
    }

    /// Whether the trace holds together: one root, everything else below it, nothing dropped.
    ///
    /// The root has no parent, or one that is not here and not known to be of the same process
    /// (the caller's own span). True of a part that happens to hold together too: a trace can
    /// still grow after it was complete.
    pub fn is_complete(&self) -> bool {
        self.dropped_spans == 0 && self.tree().is_complete()
    }
}

/// What produced telemetry: a process of a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    /// `service.name`, `service.version` and all else that describes the process.
    pub attributes: Attributes,
}

impl Resource {
    /// `service.name`, or `unknown_service`, the specification's word, where there is none.
    pub fn service(&self) -> &str {
        match self.attributes.get("service.name").and_then(Value::as_str) {
            Some(name) if !name.is_empty() => name,
            _ => "unknown_service",
        }
    }
}

/// The instrumentation that made a span, a record or a metric.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Scope {
    /// Often the name of a library.
    pub name: String,
    /// Empty where not told.
    pub version: String,
}

/// One unit of work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// Its id within the trace.
    pub span_id: SpanId,
    /// The span it is a part of; `None` for one that starts a trace.
    pub parent_span_id: Option<SpanId>,
    /// Whether the parent lives in another process; `None` where the sender does not say.
    pub parent_is_remote: Option<bool>,
    /// What is done.
    pub name: String,
    /// Which side of a call it is.
    pub kind: SpanKind,
    /// `service.name` of its resource.
    pub service: String,
    /// The index of its resource in the trace.
    pub resource: usize,
    /// The instrumentation that made it.
    pub scope: Scope,
    /// Start.
    pub start_unix_nano: u64,
    /// End; a sender's clock can put it before the start.
    pub end_unix_nano: u64,
    /// How it ended.
    pub status: SpanStatus,
    /// What is known about it.
    pub attributes: Attributes,
    /// What happened during it.
    pub events: Vec<Event>,
    /// Spans it relates to otherwise than as a child.
    pub links: Vec<Link>,
    /// W3C `tracestate`, empty where there is none.
    pub trace_state: String,
    /// Attributes that the sender dropped.
    pub dropped_attributes_count: u32,
    /// Events that the sender dropped.
    pub dropped_events_count: u32,
    /// Links that the sender dropped.
    pub dropped_links_count: u32,
}

impl Span {
    /// From start to end in nanoseconds; 0 where the end lies before the start.
    pub fn duration_nano(&self) -> u64 {
        self.end_unix_nano.saturating_sub(self.start_unix_nano)
    }

    /// The value of an attribute.
    pub fn attribute(&self, key: &str) -> Option<&Value> {
        self.attributes.get(key)
    }

    /// The events of this name, in the order sent.
    pub fn events_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Event> {
        self.events.iter().filter(move |event| event.name == name)
    }
}

/// Which side of a call a span is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpanKind {
    /// Not told, or a kind that OTLP did not have when this was written.
    Unspecified,
    /// Within one service.
    Internal,
    /// Answers a call.
    Server,
    /// Makes a call.
    Client,
    /// Sends a message.
    Producer,
    /// Handles a message.
    Consumer,
}

/// How a span ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum SpanStatus {
    /// Nobody said.
    Unset,
    /// Someone called it a success.
    Ok,
    /// It failed.
    Error {
        /// Why; empty where not told.
        description: String,
    },
}

impl SpanStatus {
    /// Whether it failed.
    pub fn is_error(&self) -> bool {
        matches!(self, Self::Error { .. })
    }
}

/// Something that happened at one moment of a span.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub time_unix_nano: u64,
    /// What.
    pub name: String,
    /// Details.
    pub attributes: Attributes,
    /// Attributes that the sender dropped.
    pub dropped_attributes_count: u32,
}

/// A relation to a span, often of another trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// The other trace.
    pub trace_id: TraceId,
    /// The span in it.
    pub span_id: SpanId,
    /// The other context's W3C `tracestate`, empty where there is none.
    pub trace_state: String,
    /// Details.
    pub attributes: Attributes,
    /// Attributes that the sender dropped.
    pub dropped_attributes_count: u32,
}
