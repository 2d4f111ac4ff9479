use serde::{Deserialize, Serialize};

/// `GET /api/graph`: who calls whom, from the spans held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Graph {
    /// The seconds that the counts are of, up to now: those asked for, or fewer where traces of
    /// that time are not held any more.
    pub seconds: f64,
    /// Services, databases and peers, by kind and name.
    pub nodes: Vec<GraphNode>,
    /// Calls between them, by both ends.
    pub calls: Vec<GraphCall>,
}

/// A service, or what services call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GraphNode {
    /// Its name, unique among those of its kind.
    pub name: String,
    /// What it is.
    pub kind: NodeKind,
    /// The work that came in: for a service, its spans whose parent is not of the service.
    pub traffic: Traffic,
}

/// What a node of the graph is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeKind {
    /// Sends telemetry.
    Service,
    /// A database, known from the spans of its callers.
    Database,
    /// Any other peer that sends no telemetry, or none that arrived.
    Peer,
}

/// Calls from one node to another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GraphCall {
    /// The service that calls.
    pub from: String,
    /// Who is called.
    pub to: String,
    /// What that is.
    pub kind: NodeKind,
    /// The calls.
    pub traffic: Traffic,
}

/// How much work, how much of it failed, how long it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Traffic {
    /// Spans.
    pub count: u64,
    /// Those with status error.
    pub errors: u64,
    /// Their durations, added up.
    pub total_nano: u64,
    /// The longest.
    pub max_nano: u64,
}

impl Traffic {
    /// Of one span.
    pub(crate) fn of(duration_nano: u64, is_error: bool) -> Self {
        Self { count: 1, errors: u64::from(is_error), total_nano: duration_nano, max_nano: duration_nano }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.count += other.count;
        self.errors += other.errors;
        self.total_nano = self.total_nano.saturating_add(other.total_nano);
        self.max_nano = self.max_nano.max(other.max_nano);
    }
}
