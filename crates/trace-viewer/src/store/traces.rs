use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::digest::{Calls, Digest, Known};
use super::{Resources, TraceFilter, size};
use crate::Limits;
use crate::model::{Dropped, Resource, Span, SpanId, Trace, TraceId, TraceSummary};

/// Traces in the order in which they appeared.
#[derive(Debug, Default)]
pub(super) struct TraceStore {
    by_id: HashMap<TraceId, Entry>,
    /// Oldest first.
    order: VecDeque<TraceId>,
    spans: usize,
    bytes: usize,
    /// Counts up with every change of any trace.
    changes: u64,
    /// Counts the traces that ever appeared.
    appeared: u64,
}

/// Traces that changed, and those of them that a filter does not want.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) traces: Vec<TraceSummary>,
    pub(super) left: Vec<TraceId>,
    /// The count of changes that these reach to.
    pub(super) reached: u64,
}

/// A place in the list of traces by start, newest first: the one after it is next.
pub(super) type Place = (u64, TraceId);

#[derive(Debug)]
struct Entry {
    resources: Resources,
    spans: Vec<Span>,
    known: HashSet<SpanId>,
    start: u64,
    end: u64,
    bytes: usize,
    dropped_spans: u64,
    changed: u64,
    appeared: u64,
    /// Made when it is asked for, forgotten when the trace changes.
    digest: Option<Digest>,
}

impl TraceStore {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn spans(&self) -> usize {
        self.spans
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// The number of the trace that leaves next.
    pub(super) fn oldest(&self) -> u64 {
        self.order.front().and_then(|oldest| self.by_id.get(oldest)).map_or(0, |entry| entry.appeared)
    }

    /// Takes spans in and makes room; answers how many were over their trace's limit.
    pub(super) fn add(
        &mut self,
        resource: &Arc<Resource>,
        spans: Vec<(TraceId, Span)>,
        limits: &Limits,
        dropped: &mut Dropped,
    ) -> u64 {
        let mut over_limit = 0;
        for (trace_id, span) in spans {
            self.changes += 1;
            let entry = self.by_id.entry(trace_id).or_insert_with(|| {
                self.order.push_back(trace_id);
                self.bytes += Entry::EMPTY_BYTES;
                self.appeared += 1;
                Entry::new(self.appeared)
            });
            entry.changed = self.changes;
            self.bytes -= entry.forget_digest();
            if entry.known.contains(&span.span_id) {
                dropped.duplicate_spans += 1;
            } else if entry.spans.len() >= limits.spans_per_trace {
                entry.dropped_spans += 1;
                over_limit += 1;
            } else {
                self.bytes += entry.add(resource, span);
                self.spans += 1;
            }
            self.make_room(limits, dropped);
        }
        dropped.spans_over_limit += over_limit;
        over_limit
    }

    /// Marks a trace as changed, where it is here.
    pub(super) fn touch(&mut self, trace_id: TraceId) {
        if let Some(entry) = self.by_id.get_mut(&trace_id) {
            self.changes += 1;
            entry.changed = self.changes;
        }
    }

    /// The count of changes that the last one of this trace made.
    pub(super) fn changed(&self, trace_id: TraceId) -> Option<u64> {
        self.by_id.get(&trace_id).map(|entry| entry.changed)
    }

    /// The trace without its logs and resources, and the resources its spans point to.
    pub(super) fn find(&self, trace_id: TraceId) -> Option<(Trace, Resources)> {
        let entry = self.by_id.get(&trace_id)?;
        let mut spans = entry.spans.clone();
        spans.sort_by_key(|span| (span.start_unix_nano, span.span_id));
        let resources = Resources { listed: entry.resources.listed.clone() };
        let dropped_spans = entry.dropped_spans;
        Some((Trace { trace_id, resources: Vec::new(), spans, logs: Vec::new(), dropped_spans }, resources))
    }

    /// The traces that started last, newest first, after a place in that list; and whether there
    /// are more.
    pub(super) fn newest(
        &mut self,
        limit: usize,
        filter: &TraceFilter,
        after: Option<Place>,
    ) -> (Vec<TraceSummary>, bool) {
        let places = self.by_id.iter().map(|(trace_id, entry)| (entry.start, *trace_id));
        let mut places: Vec<Place> =
            places.filter(|place| after.is_none_or(|after| *place < after)).collect();
        places.sort_unstable_by(|one, other| other.cmp(one));
        let mut found = Vec::new();
        for (_, trace_id) in places {
            let Some(entry) = self.by_id.get_mut(&trace_id) else { continue };
            self.bytes += entry.make_digest(trace_id);
            let Some(summary) = entry.summary_if(filter) else { continue };
            if found.len() >= limit {
                return (found, true);
            }
            found.push(summary.clone());
        }
        (found, false)
    }

    /// The traces that changed after a count of changes, the longest unchanged first.
    pub(super) fn changed_since(&mut self, since: u64, limit: usize, filter: &TraceFilter) -> Changes {
        let changed = self.by_id.iter().filter(|(_, entry)| entry.changed > since);
        let mut ids: Vec<(u64, TraceId)> =
            changed.map(|(trace_id, entry)| (entry.changed, *trace_id)).collect();
        ids.sort_unstable();
        let reached = match ids.get(limit.wrapping_sub(1)) {
            Some((last, _)) if ids.len() > limit => *last,
            _ => self.changes,
        };
        let mut changes = Changes { reached, ..Changes::default() };
        for (_, trace_id) in ids.into_iter().take(limit) {
            let Some(entry) = self.by_id.get_mut(&trace_id) else { continue };
            self.bytes += entry.make_digest(trace_id);
            match entry.summary_if(filter) {
                Some(summary) => changes.traces.push(summary.clone()),
                None => changes.left.push(trace_id),
            }
        }
        changes
    }

    /// The calls of all traces that began at or after a time, and when the first trace held began.
    pub(super) fn calls(&mut self, from: u64) -> (Calls, Option<u64>) {
        let mut calls = Calls::default();
        for (trace_id, entry) in self.by_id.iter_mut().filter(|(_, entry)| entry.start >= from) {
            self.bytes += entry.make_digest(*trace_id);
            calls.add(entry.digest.as_ref().map(Digest::calls).unwrap_or(&Calls::default()));
        }
        (calls, self.by_id.values().map(|entry| entry.start).min())
    }

    /// The services of all spans.
    pub(super) fn services(&self) -> impl Iterator<Item = &str> {
        self.by_id.values().flat_map(|entry| entry.resources.listed.iter()).map(|resource| resource.service())
    }

    /// Evicts the traces that appeared first, until the others are within the limits. To be called after what takes
    /// memory: spans that are added, and lists, which work out what they tell and keep it.
    pub(super) fn make_room(&mut self, limits: &Limits, dropped: &mut Dropped) {
        while self.by_id.len() > limits.traces || self.bytes > limits.trace_bytes {
            let Some(entry) = self.order.pop_front().and_then(|oldest| self.by_id.remove(&oldest)) else {
                return;
            };
            self.bytes -= entry.bytes;
            self.spans -= entry.spans.len();
            dropped.evicted_traces += 1;
            dropped.evicted_spans += entry.spans.len() as u64;
        }
    }
}

impl Entry {
    /// The entry itself, its place in the map and its place in the order.
    const EMPTY_BYTES: usize = 2 * (size_of::<Self>() + 2 * size_of::<TraceId>());

    fn new(appeared: u64) -> Self {
        Self {
            resources: Resources::default(),
            spans: Vec::new(),
            known: HashSet::new(),
            start: u64::MAX,
            end: 0,
            bytes: Self::EMPTY_BYTES,
            dropped_spans: 0,
            changed: 0,
            appeared,
            digest: None,
        }
    }

    /// Answers the bytes that this took.
    fn add(&mut self, resource: &Arc<Resource>, mut span: Span) -> usize {
        let resources_before = self.resources.listed.len();
        span.resource = self.resources.index_of(resource);
        let mut bytes = size::of_span(&span) + 4 * size_of::<SpanId>();
        if self.resources.listed.len() > resources_before {
            // Counted for every trace, though traces of one batch share it.
            bytes += size::of_resource(resource);
        }
        self.start = self.start.min(span.start_unix_nano);
        self.end = self.end.max(span.end_unix_nano);
        self.known.insert(span.span_id);
        self.spans.push(span);
        self.bytes += bytes;
        bytes
    }

    /// Answers the bytes that this took: none where it was there.
    fn make_digest(&mut self, trace_id: TraceId) -> usize {
        if self.digest.is_some() {
            return 0;
        }
        let Self { appeared, start, end, dropped_spans, .. } = *self;
        let digest = Digest::of(&Known { trace_id, appeared, start, end, dropped_spans }, &self.spans);
        let bytes = digest.bytes();
        self.bytes += bytes;
        self.digest = Some(digest);
        bytes
    }

    /// Answers the bytes that this gave back.
    fn forget_digest(&mut self) -> usize {
        let bytes = self.digest.take().map_or(0, |digest| digest.bytes());
        self.bytes -= bytes;
        bytes
    }

    /// The summary of a trace whose digest is made, where the filter wants it.
    fn summary_if(&self, filter: &TraceFilter) -> Option<&TraceSummary> {
        let summary = &self.digest.as_ref()?.summary;
        let resources = self.resources.listed.iter().map(Arc::as_ref);
        filter.matches(summary, &self.spans, resources).then_some(summary)
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{resource, span, trace_id};
    use super::*;
    use crate::Store;

    fn store(limits: Limits) -> Store {
        Store::new(limits)
    }

    fn add(store: &Store, trace: u8, spans: Vec<Span>) -> u64 {
        store.add_spans(
            resource("order-service"),
            spans.into_iter().map(|span| (trace_id(trace), span)).collect(),
        )
    }

    #[test]
    fn the_trace_that_appeared_first_makes_room_and_is_counted() {
        let store = store(Limits { traces: 2, ..Limits::default() });
        for trace in 1..=3 {
            add(&store, trace, vec![span(1, None, "root"), span(2, Some(1), "child")]);
        }
        assert!(store.trace(trace_id(1)).is_none());
        assert!(store.trace(trace_id(2)).is_some() && store.trace(trace_id(3)).is_some());
        let status = store.status();
        assert_eq!((status.held.traces, status.held.spans), (2, 4));
        assert_eq!((status.dropped.evicted_traces, status.dropped.evicted_spans), (1, 2));
        assert_eq!(status.received.spans, 6);
    }

    #[test]
    fn bytes_are_bounded_and_return_to_zero() {
        let limits = Limits { trace_bytes: 100_000, ..Limits::default() };
        let store = store(limits.clone());
        for trace in 1..=50 {
            let mut big = span(1, None, "root");
            big.attributes.insert("payload".to_owned(), "x".repeat(10_000).as_str().into());
            add(&store, trace, vec![big]);
            let held = store.status().held;
            assert!(held.trace_bytes <= limits.trace_bytes && held.trace_bytes > 10_000, "{held:?}");
        }
        assert!(store.status().dropped.evicted_traces >= 40);

        let mut huge = span(1, None, "root");
        huge.name = "x".repeat(200_000);
        add(&store, 99, vec![huge]);
        assert_eq!(store.status().held, crate::model::Held::default());
    }

    #[test]
    fn spans_beyond_the_limit_of_their_trace_are_dropped_told_and_make_it_incomplete() {
        let store = store(Limits { spans_per_trace: 2, ..Limits::default() });
        let over = add(&store, 1, vec![span(1, None, "root"), span(2, Some(1), "a"), span(3, Some(1), "b")]);
        assert_eq!(over, 1);
        let trace = store.trace(trace_id(1)).unwrap();
        assert_eq!((trace.spans.len(), trace.dropped_spans), (2, 1));
        assert!(!trace.is_complete());
        assert!(!store.traces(1, None).unwrap().traces[0].complete);
        assert_eq!(store.status().dropped.spans_over_limit, 1);
    }

    #[test]
    fn a_span_sent_again_is_kept_once() {
        let store = store(Limits::default());
        add(&store, 1, vec![span(1, None, "root")]);
        add(&store, 1, vec![span(1, None, "root")]);
        assert_eq!(store.trace(trace_id(1)).unwrap().spans.len(), 1);
        assert_eq!(store.status().dropped.duplicate_spans, 1);
    }

    #[test]
    fn resources_are_listed_once_however_many_batches_bring_them() {
        let store = store(Limits::default());
        add(&store, 1, vec![span(1, None, "root")]);
        store.add_spans(resource("user-service"), vec![(trace_id(1), span(2, Some(1), "call"))]);
        add(&store, 1, vec![span(3, Some(1), "later")]);
        let trace = store.trace(trace_id(1)).unwrap();
        assert_eq!(trace.resources.len(), 2);
        assert_eq!(
            trace.resource_of(trace.spans_named("call").next().unwrap()).unwrap().service(),
            "user-service"
        );
        assert_eq!(
            trace.resource_of(trace.spans_named("later").next().unwrap()).unwrap().service(),
            "order-service"
        );
    }

    #[test]
    fn what_lists_work_out_counts_as_held_and_is_given_back() {
        let store = store(Limits::default());
        add(&store, 1, vec![span(1, None, "root")]);
        let before = store.status().held.trace_bytes;
        store.traces(10, None).unwrap();
        let listed = store.status().held.trace_bytes;
        assert!(listed > before);
        store.traces(10, None).unwrap();
        assert_eq!(store.status().held.trace_bytes, listed);
        add(&store, 1, vec![span(1, None, "root")]);
        assert_eq!(store.status().held.trace_bytes, before);
    }

    #[test]
    fn what_lists_work_out_is_within_the_limit_too() {
        let small = |look: &dyn Fn(&Store)| {
            let limits = Limits { trace_bytes: 50_000, ..Limits::default() };
            let store = store(limits.clone());
            let mut trace = 0;
            while store.status().dropped.evicted_traces == 0 {
                trace += 1;
                let now = crate::store::now();
                add(
                    &store,
                    trace,
                    vec![span(1, None, "root").at(now, 10), span(2, Some(1), "child").at(now, 5)],
                );
            }
            look(&store);
            let (held, dropped) = (store.status().held, store.status().dropped);
            assert!(held.trace_bytes <= limits.trace_bytes, "{held:?}");
            assert_eq!(held.traces as u64 + dropped.evicted_traces, u64::from(trace));
            assert!(dropped.evicted_traces > 1, "what was worked out needed room");
        };
        small(&|store| drop(store.traces(1000, None)));
        small(&|store| drop(store.traces(1000, Some("0-0"))));
        small(&|store| drop(store.graph(60)));
    }

    #[test]
    fn older_traces_are_listed_page_by_page_and_each_once() {
        let store = store(Limits { traces: 7, ..Limits::default() });
        for trace in 1..=9 {
            // Two by two they start at the same time.
            add(&store, trace, vec![span(1, None, "root").at(u64::from(trace / 2), 10)]);
        }
        let (mut pages, mut before) = (Vec::new(), None);
        loop {
            let page = store.traces_matching(3, &TraceFilter::default(), None, before.as_deref()).unwrap();
            assert_eq!(page.oldest, 3);
            pages.push(page.traces.iter().map(|trace| trace.appeared).collect::<Vec<_>>());
            before = page.before;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(pages, [vec![9, 8, 7], vec![6, 5, 4], vec![3]]);
    }

    #[test]
    fn a_follower_hears_of_every_change_even_in_small_helpings() {
        let store = store(Limits::default());
        let names = |list: &crate::model::TraceList| -> Vec<String> {
            list.traces.iter().map(|trace| trace.trace_id.to_string()[30..].to_owned()).collect()
        };
        let start = store.traces(10, None).unwrap().cursor;
        for trace in 1..=3 {
            add(&store, trace, vec![span(1, None, "root").at(u64::from(trace), 10)]);
        }
        assert_eq!(names(&store.traces(10, None).unwrap()), ["03", "02", "01"]);

        let first = store.traces(2, Some(&start)).unwrap();
        assert_eq!(names(&first), ["01", "02"]);
        add(&store, 1, vec![span(2, Some(1), "late")]);
        let second = store.traces(2, Some(&first.cursor)).unwrap();
        assert_eq!(names(&second), ["03", "01"]);
        assert_eq!(second.traces[1].span_count, 2);
        let third = store.traces(2, Some(&second.cursor)).unwrap();
        assert_eq!((names(&third).len(), third.cursor), (0, second.cursor));
    }
}
