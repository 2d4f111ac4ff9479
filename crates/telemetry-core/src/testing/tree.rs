//! Span trees by value.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status};
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::trace::SpanData;

/// A span and what is below it, without ids and times.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanTree {
    /// The span's name.
    pub name: String,
    /// Its kind.
    pub kind: SpanKind,
    /// Its status, with the description of an error.
    pub status: Status,
    /// Its attributes.
    pub attributes: BTreeMap<String, Value>,
    /// The attributes that are to be there with whatever value; see [`SpanTree::any`].
    pub any: BTreeSet<String>,
    /// Its events: name and attributes.
    pub events: Vec<(String, BTreeMap<String, Value>)>,
    /// Its links: where each leads, as in [`SpanTree::link`], and attributes.
    pub links: Vec<(String, BTreeMap<String, Value>)>,
    /// The spans whose parent it is, in the order they started.
    pub children: Vec<SpanTree>,
}

/// A span to compare with: status unset, nothing in it.
pub fn span(name: impl Into<String>, kind: SpanKind) -> SpanTree {
    SpanTree {
        name: name.into(),
        kind,
        status: Status::Unset,
        attributes: BTreeMap::new(),
        any: BTreeSet::new(),
        events: Vec::new(),
        links: Vec::new(),
        children: Vec::new(),
    }
}

impl SpanTree {
    /// With this status.
    #[must_use]
    pub fn status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    /// With this attribute.
    #[must_use]
    pub fn attribute(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.attributes.insert(key.into(), value.into());
        self
    }

    /// With these attributes, whatever their values: for those that differ from run to run, like ports. It is for
    /// what [`assert_trees`](super::TestTelemetry::assert_trees) and [`assert_same_trees`](super::assert_same_trees)
    /// expect; `==` does not know it.
    #[must_use]
    pub fn any<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.any.extend(keys.into_iter().map(Into::into));
        self
    }

    /// With this event.
    #[must_use]
    pub fn event(mut self, name: impl Into<String>, attributes: impl IntoIterator<Item = KeyValue>) -> Self {
        self.events.push((name.into(), to_map(attributes)));
        self
    }

    /// With a link to the span of this name; to `{trace id}-{span id}` in hex where that span is not recorded here.
    #[must_use]
    pub fn link(mut self, to: impl Into<String>, attributes: impl IntoIterator<Item = KeyValue>) -> Self {
        self.links.push((to.into(), to_map(attributes)));
        self
    }

    /// With this span below it, after those already there.
    #[must_use]
    pub fn child(mut self, child: SpanTree) -> Self {
        self.children.push(child);
        self
    }

    /// Without these attributes, here and below.
    #[must_use]
    pub fn without(mut self, attributes: &[&str]) -> Self {
        self.attributes.retain(|name, _| !attributes.contains(&name.as_str()));
        self.children = self.children.into_iter().map(|child| child.without(attributes)).collect();
        self
    }

    /// How many spans it has.
    pub(super) fn len(&self) -> usize {
        1 + self.children.iter().map(Self::len).sum::<usize>()
    }
}

/// The spans as trees, siblings in the order they started. A span whose parent is not here is a root.
pub(super) fn trees(mut spans: Vec<SpanData>) -> Vec<SpanTree> {
    spans.sort_by_key(|span| span.start_time);
    let known: Vec<SpanId> = spans.iter().map(|span| span.span_context.span_id()).collect();
    let roots = spans.iter().filter(|span| !known.contains(&span.parent_span_id));
    roots.map(|root| build(root, &spans)).collect()
}

fn build(span: &SpanData, all: &[SpanData]) -> SpanTree {
    let is_child = |other: &&SpanData| {
        other.parent_span_id == span.span_context.span_id()
            && other.span_context.trace_id() == span.span_context.trace_id()
    };
    let target = |to: &SpanContext| {
        let is_it = |other: &&SpanData| {
            other.span_context.span_id() == to.span_id() && other.span_context.trace_id() == to.trace_id()
        };
        match all.iter().find(is_it) {
            Some(target) => target.name.to_string(),
            None => format!("{}-{}", to.trace_id(), to.span_id()),
        }
    };
    let events = span.events.iter().map(|event| (event.name.to_string(), &event.attributes));
    let links = span.links.iter().map(|link| (target(&link.span_context), &link.attributes));
    SpanTree {
        status: span.status.clone(),
        attributes: to_map(span.attributes.iter().cloned()),
        events: events.map(|(name, attributes)| (name, to_map(attributes.iter().cloned()))).collect(),
        links: links.map(|(to, attributes)| (to, to_map(attributes.iter().cloned()))).collect(),
        children: all.iter().filter(is_child).map(|child| build(child, all)).collect(),
        ..self::span(span.name.to_string(), span.span_kind.clone())
    }
}

/// Panics on a key that is there twice: attributes are unique (specification, "Attribute Collections").
pub(super) fn to_map(attributes: impl IntoIterator<Item = KeyValue>) -> BTreeMap<String, Value> {
    let mut map = BTreeMap::new();
    for attribute in attributes {
        let before = map.insert(attribute.key.to_string(), attribute.value);
        assert!(before.is_none(), "the attribute {} is there twice", attribute.key);
    }
    map
}
