//! The latest telemetry in memory, bounded on every side.

mod cursor;
mod digest;
mod filter;
mod history;
mod logs;
mod metrics;
#[cfg(test)]
pub(crate) mod sample;
mod series;
mod size;
mod traces;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

use self::cursor::Cursors;
use self::logs::LogStore;
use self::metrics::MetricStore;
use self::traces::TraceStore;
use crate::Limits;
use crate::model::{
    Dropped, Graph, Held, Instruments, LogRecord, Logs, Metric, Metrics, Received, Resource, SeriesList,
    Services, Span, Status, Trace, TraceId, TraceList, TraceSummary,
};

pub use self::cursor::UnknownCursor;
pub use self::filter::{Outcome, TraceFilter};
pub use self::logs::LogFilter;
pub use self::metrics::MetricFilter;
pub use self::series::SeriesQuery;

/// What arrived lately. Shared by receiver and API; every method takes one short lock.
///
/// Items come in without a meaningful `resource` index, since it belongs to the document they
/// leave in.
#[derive(Debug)]
pub struct Store {
    limits: Limits,
    started_unix_nano: u64,
    cursors: Cursors,
    held: Mutex<Inner>,
    /// Counts what arrives, for those who wait for it.
    arrivals: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Inner {
    traces: TraceStore,
    logs: LogStore,
    metrics: MetricStore,
    received: Received,
    dropped: Dropped,
}

impl Store {
    /// An empty store.
    pub fn new(limits: Limits) -> Self {
        let started_unix_nano = now();
        Self {
            limits,
            started_unix_nano,
            cursors: Cursors::of(started_unix_nano),
            held: Mutex::new(Inner::default()),
            arrivals: watch::Sender::new(0),
        }
    }

    /// What it keeps at most.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The newest traces by start time, `limit` of them; or with `since`, a cursor of an earlier
    /// answer, those that changed after it, the longest unchanged first, so that a follower who
    /// gives each answer's cursor back misses none, however small its `limit`.
    ///
    /// A trace changes when a span or a log record of it arrives. A cursor of a viewer that ran
    /// before this one counts as the beginning.
    ///
    /// # Errors
    /// `since` is no cursor.
    pub fn traces(&self, limit: usize, since: Option<&str>) -> Result<TraceList, UnknownCursor> {
        self.traces_matching(limit, &TraceFilter::default(), since, None)
    }

    /// As [`traces`](Self::traces), but only those that the filter wants; and without `since`, those
    /// after the place `before` of an earlier answer.
    ///
    /// # Errors
    /// `since` or `before` is no cursor.
    pub fn traces_matching(
        &self,
        limit: usize,
        filter: &TraceFilter,
        since: Option<&str>,
        before: Option<&str>,
    ) -> Result<TraceList, UnknownCursor> {
        let inner = &mut *self.lock();
        let Some(since) = since else {
            let before = before.map(cursor::read_place).transpose()?;
            let (traces, more) = inner.traces.newest(limit, filter, before);
            inner.traces.make_room(&self.limits, &mut inner.dropped);
            let place = |trace: &TraceSummary| cursor::write_place((trace.start_unix_nano, trace.trace_id));
            return Ok(TraceList {
                cursor: self.cursors.write(inner.traces.changes()),
                before: traces.last().filter(|_| more).map(place),
                traces,
                left: Vec::new(),
                oldest: inner.traces.oldest(),
            });
        };
        let changes = inner.traces.changed_since(self.cursors.read(since)?, limit, filter);
        inner.traces.make_room(&self.limits, &mut inner.dropped);
        Ok(TraceList {
            cursor: self.cursors.write(changes.reached),
            traces: changes.traces,
            before: None,
            left: changes.left,
            oldest: inner.traces.oldest(),
        })
    }

    /// A trace as far as it has arrived, with its logs.
    pub fn trace(&self, trace_id: TraceId) -> Option<Trace> {
        let inner = self.lock();
        let (mut trace, mut resources) = inner.traces.find(trace_id)?;
        trace.logs = inner.logs.of_trace(trace_id, &mut resources);
        trace.resources = resources.into_vec();
        Some(trace)
    }

    /// A text that changes whenever the trace does; none where it is not held.
    pub fn trace_version(&self, trace_id: TraceId) -> Option<String> {
        self.lock().traces.changed(trace_id).map(|changes| self.cursors.write(changes))
    }

    /// The log records that arrived last, last one first.
    pub fn logs(&self, filter: &LogFilter) -> Logs {
        self.lock().logs.latest(filter)
    }

    /// The latest point of each series, by name, service and attributes.
    pub fn metrics(&self, filter: &MetricFilter) -> Metrics {
        self.lock().metrics.list(filter)
    }

    /// What is measured, by name.
    pub fn instruments(&self) -> Instruments {
        self.lock().metrics.instruments()
    }

    /// A metric over time, up to now.
    pub fn series(&self, query: &SeriesQuery) -> SeriesList {
        self.series_at(query, now())
    }

    fn series_at(&self, query: &SeriesQuery, now: u64) -> SeriesList {
        self.lock().metrics.over_time(query, now)
    }

    /// Who calls whom, in the traces that began in the last `seconds`.
    pub fn graph(&self, seconds: u64) -> Graph {
        let now = now();
        let from = now.saturating_sub(seconds.saturating_mul(1_000_000_000)).max(self.started_unix_nano);
        let inner = &mut *self.lock();
        let (calls, first) = inner.traces.calls(from);
        inner.traces.make_room(&self.limits, &mut inner.dropped);
        // Where traces were evicted, what is held may not reach as far back.
        let evicted = inner.dropped.evicted_traces > 0;
        let from = first.filter(|_| evicted).map_or(from, |first| from.max(first));
        let (nodes, calls) = calls.into_lists();
        Graph { seconds: now.saturating_sub(from) as f64 / 1e9, nodes, calls }
    }

    /// Who is in the telemetry held, by name.
    pub fn services(&self) -> Services {
        let inner = self.lock();
        let all = inner.traces.services().chain(inner.logs.services()).chain(inner.metrics.services());
        let services: BTreeSet<&str> = all.collect();
        Services { services: services.into_iter().map(str::to_owned).collect() }
    }

    /// Changes with everything that arrives, and ends with the store.
    pub fn arrivals(&self) -> watch::Receiver<u64> {
        self.arrivals.subscribe()
    }

    /// What is held, what came, what went.
    pub fn status(&self) -> Status {
        let inner = self.lock();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_unix_nano: self.started_unix_nano,
            held: Held {
                traces: inner.traces.len(),
                spans: inner.traces.spans(),
                trace_bytes: inner.traces.bytes(),
                log_records: inner.logs.len(),
                log_bytes: inner.logs.bytes(),
                metric_series: inner.metrics.len(),
                metric_bytes: inner.metrics.bytes(),
                history_points: inner.metrics.history().points(),
                history_bytes: inner.metrics.history().bytes(),
            },
            received: inner.received.clone(),
            dropped: inner.dropped.clone(),
            limits: self.limits.clone(),
        }
    }

    /// Keeps the spans of one resource; answers how many were over their trace's limit.
    pub(crate) fn add_spans(&self, resource: Resource, spans: Vec<(TraceId, Span)>) -> u64 {
        let inner = &mut *self.lock();
        inner.received.spans += spans.len() as u64;
        inner.traces.add(&Arc::new(resource), spans, &self.limits, &mut inner.dropped)
    }

    /// Keeps the log records of one resource.
    pub(crate) fn add_logs(&self, resource: Resource, records: Vec<LogRecord>) {
        let inner = &mut *self.lock();
        inner.received.log_records += records.len() as u64;
        for trace_id in records.iter().filter_map(|record| record.trace_id) {
            inner.traces.touch(trace_id);
        }
        inner.logs.add(&Arc::new(resource), records, &self.limits, &mut inner.dropped);
    }

    /// Keeps the points of one resource.
    pub(crate) fn add_metrics(&self, resource: Resource, points: Vec<Metric>) {
        let inner = &mut *self.lock();
        inner.received.metric_points += points.len() as u64;
        let resource = Arc::new(resource);
        inner.metrics.add(&resource, points, &self.limits, self.started_unix_nano, &mut inner.dropped);
    }

    /// Counts an export request that was answered with 200.
    pub(crate) fn count_request(&self) {
        self.lock().received.requests += 1;
        self.arrivals.send_modify(|arrivals| *arrivals += 1);
    }

    /// Counts what never got in.
    pub(crate) fn count_dropped(&self, count: impl FnOnce(&mut Dropped)) {
        count(&mut self.lock().dropped);
        self.arrivals.send_modify(|arrivals| *arrivals += 1);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No method leaves the store half changed but for counts, so a panic elsewhere spoils nothing.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
}

/// The resources of one document, each once.
#[derive(Debug, Default)]
struct Resources {
    listed: Vec<Arc<Resource>>,
}

impl Resources {
    /// The index of a resource, which is added where it is new.
    fn index_of(&mut self, resource: &Arc<Resource>) -> usize {
        // The last ones first: telemetry comes in batches of one resource.
        let known = |listed: &Arc<Resource>| Arc::ptr_eq(listed, resource) || listed == resource;
        self.listed.iter().rposition(known).unwrap_or_else(|| {
            self.listed.push(Arc::clone(resource));
            self.listed.len() - 1
        })
    }

    fn into_vec(self) -> Vec<Resource> {
        self.listed.iter().map(|resource| Resource::clone(resource)).collect()
    }
}
