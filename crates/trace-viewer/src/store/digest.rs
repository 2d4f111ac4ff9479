use std::collections::{BTreeMap, HashMap, HashSet};

use crate::model::{
    Attributes, GraphCall, GraphNode, NodeKind, Span, SpanId, SpanKind, TraceId, TraceSummary, Traffic, Value,
};
use crate::tree::Tree;

/// What lists and the graph ask of a trace, worked out once for each change of it.
#[derive(Debug, Clone)]
pub(super) struct Digest {
    pub(super) summary: TraceSummary,
    calls: Calls,
}

/// The calls and the work of some traces, by who is concerned.
#[derive(Debug, Clone, Default)]
pub(super) struct Calls {
    nodes: BTreeMap<(NodeKind, String), Traffic>,
    calls: BTreeMap<(String, NodeKind, String), Traffic>,
}

/// What is known of a trace beside its spans.
pub(super) struct Known {
    pub(super) trace_id: TraceId,
    pub(super) appeared: u64,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) dropped_spans: u64,
}

impl Digest {
    pub(super) fn of(known: &Known, spans: &[Span]) -> Self {
        let tree = Tree::of(spans);
        let root = tree.roots().first().and_then(|(root, _)| spans.get(*root));
        let mut by_start: Vec<&Span> = spans.iter().collect();
        by_start.sort_by_key(|span| (span.start_unix_nano, span.span_id));
        let mut seen = HashSet::new();
        let services = by_start.into_iter().map(|span| &span.service);
        let services = services.filter(|service| seen.insert(*service)).cloned().collect();
        let summary = TraceSummary {
            trace_id: known.trace_id,
            root_service: root.map(|span| span.service.clone()).unwrap_or_default(),
            root_name: root.map(|span| span.name.clone()).unwrap_or_default(),
            start_unix_nano: known.start,
            duration_nano: known.end.saturating_sub(known.start),
            span_count: spans.len(),
            error_count: spans.iter().filter(|span| span.status.is_error()).count(),
            services,
            complete: known.dropped_spans == 0 && tree.is_complete(),
            dropped_spans: known.dropped_spans,
            appeared: known.appeared,
        };
        Self { summary, calls: Calls::of(spans) }
    }

    pub(super) fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Bytes on the heap, an estimate from above.
    pub(super) fn bytes(&self) -> usize {
        let names = self.summary.services.iter().map(String::len).sum::<usize>()
            + self.summary.root_service.len()
            + self.summary.root_name.len()
            + self.calls.nodes.keys().map(|(_, name)| name.len()).sum::<usize>()
            + self.calls.calls.keys().map(|(from, _, to)| from.len() + to.len()).sum::<usize>();
        let texts = 2 + self.summary.services.len() + self.calls.nodes.len() + 2 * self.calls.calls.len();
        // Texts and what allocations cost; B-tree nodes are at least half full.
        names
            + texts * 2 * size_of::<String>()
            + 2 * (self.calls.nodes.len() + self.calls.calls.len()) * size_of::<(NodeKind, Traffic)>()
    }
}

impl Calls {
    fn of(spans: &[Span]) -> Self {
        let by_id: HashMap<SpanId, &Span> = spans.iter().map(|span| (span.span_id, span)).collect();
        let mut answered: HashSet<SpanId> = HashSet::new();
        let mut calls = Self::default();
        for span in spans {
            let traffic = Traffic::of(span.duration_nano(), span.status.is_error());
            let parent = span.parent_span_id.and_then(|parent| by_id.get(&parent).copied());
            match parent {
                Some(parent) if parent.service == span.service => continue,
                Some(parent) => {
                    answered.insert(parent.span_id);
                    calls.call(&parent.service, NodeKind::Service, &span.service, traffic);
                }
                None => {}
            }
            calls.work(NodeKind::Service, &span.service, traffic);
        }
        for span in spans.iter().filter(|span| matches!(span.kind, SpanKind::Client | SpanKind::Producer)) {
            if answered.contains(&span.span_id) {
                continue;
            }
            let Some((kind, name)) = peer(&span.attributes) else { continue };
            let traffic = Traffic::of(span.duration_nano(), span.status.is_error());
            calls.call(&span.service, kind, &name, traffic);
            calls.work(kind, &name, traffic);
        }
        calls
    }

    pub(super) fn add(&mut self, other: &Self) {
        for ((kind, name), traffic) in &other.nodes {
            self.work(*kind, name, *traffic);
        }
        for ((from, kind, to), traffic) in &other.calls {
            self.call(from, *kind, to, *traffic);
        }
    }

    pub(super) fn into_lists(self) -> (Vec<GraphNode>, Vec<GraphCall>) {
        let nodes = self.nodes.into_iter().map(|((kind, name), traffic)| GraphNode { name, kind, traffic });
        let calls = self.calls.into_iter();
        let calls = calls.map(|((from, kind, to), traffic)| GraphCall { from, to, kind, traffic });
        (nodes.collect(), calls.collect())
    }

    fn work(&mut self, kind: NodeKind, name: &str, traffic: Traffic) {
        self.nodes.entry((kind, name.to_owned())).or_default().add(traffic);
    }

    fn call(&mut self, from: &str, kind: NodeKind, to: &str, traffic: Traffic) {
        self.calls.entry((from.to_owned(), kind, to.to_owned())).or_default().add(traffic);
    }
}

/// Whom a client's span calls, in the words of the semantic conventions, stable ones and older.
fn peer(attributes: &Attributes) -> Option<(NodeKind, String)> {
    let text = |keys: &[&str]| {
        keys.iter().find_map(|key| attributes.get(*key)).map(Value::to_string).filter(|text| !text.is_empty())
    };
    if let Some(system) = text(&["db.system.name", "db.system"]) {
        // A file's path says where it lies, which is of no use in a picture.
        let namespace = text(&["db.namespace", "db.name"]);
        let namespace = namespace.as_deref().and_then(|path| path.rsplit('/').next());
        let name = namespace.map_or_else(|| system.clone(), |namespace| format!("{system} {namespace}"));
        return Some((NodeKind::Database, name));
    }
    if let Some(name) = text(&["service.peer.name", "peer.service", "messaging.destination.name"]) {
        return Some((NodeKind::Peer, name));
    }
    let address = text(&["server.address", "net.peer.name"])?;
    let port = text(&["server.port", "net.peer.port"]);
    Some((NodeKind::Peer, port.map_or_else(|| address.clone(), |port| format!("{address}:{port}"))))
}

#[cfg(test)]
mod tests {
    use super::super::sample::{resource, span, trace_id};
    use super::*;
    use crate::{Limits, Store};

    #[test]
    fn the_graph_tells_callers_databases_and_peers_with_their_errors() {
        let store = Store::new(Limits::default());
        let now = super::super::now();
        let at = |mut span: Span, service: &str, kind| {
            span.service = service.to_owned();
            span.kind = kind;
            span.at(now, now + 1_000)
        };
        let failed = |mut span: Span| {
            span.status = crate::model::SpanStatus::Error { description: String::new() };
            span
        };
        let with = |mut span: Span, key: &str, value: &str| {
            span.attributes.insert(key.to_owned(), value.into());
            span
        };
        let spans = vec![
            at(span(1, None, "POST /orders"), "order", SpanKind::Server),
            at(span(2, Some(1), "call"), "order", SpanKind::Client),
            failed(at(span(3, Some(2), "charge"), "payment", SpanKind::Server)),
            with(
                with(at(span(4, Some(3), "INSERT"), "payment", SpanKind::Client), "db.system.name", "sqlite"),
                "db.namespace",
                "/tmp/payment.db",
            ),
            with(at(span(5, Some(3), "POST"), "payment", SpanKind::Client), "server.address", "gateway"),
            at(span(6, Some(3), "inside"), "payment", SpanKind::Internal),
        ];
        store.add_spans(resource("any"), spans.into_iter().map(|span| (trace_id(1), span)).collect());
        let graph = store.graph(300);
        let nodes: Vec<_> =
            graph.nodes.iter().map(|node| (node.name.as_str(), node.kind, node.traffic.count)).collect();
        assert_eq!(
            nodes,
            [
                ("order", NodeKind::Service, 1),
                ("payment", NodeKind::Service, 1),
                ("sqlite payment.db", NodeKind::Database, 1),
                ("gateway", NodeKind::Peer, 1),
            ]
        );
        let calls: Vec<_> = graph
            .calls
            .iter()
            .map(|call| (call.from.as_str(), call.to.as_str(), call.traffic.errors, call.traffic.total_nano))
            .collect();
        assert_eq!(
            calls,
            [
                ("order", "payment", 1, 1_000),
                ("payment", "sqlite payment.db", 0, 1_000),
                ("payment", "gateway", 0, 1_000)
            ]
        );
        assert_eq!(store.graph(0).nodes, [], "the trace began before the time asked for");
    }
}
