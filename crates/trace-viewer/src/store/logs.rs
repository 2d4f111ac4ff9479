use std::collections::VecDeque;
use std::sync::Arc;

use super::{Resources, size};
use crate::Limits;
use crate::model::{Dropped, LogRecord, Logs, Resource, TraceId};

/// Which log records to list. The default lists all.
#[derive(Debug, Clone, Default)]
pub struct LogFilter {
    /// At most so many; `None` for all that are held.
    pub limit: Option<usize>,
    /// Only those of this trace.
    pub trace_id: Option<TraceId>,
    /// Only those of this service.
    pub service: Option<String>,
}

/// Log records in the order in which they arrived.
#[derive(Debug, Default)]
pub(super) struct LogStore {
    /// Oldest first.
    entries: VecDeque<Entry>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    record: LogRecord,
    resource: Arc<Resource>,
    bytes: usize,
}

impl LogStore {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn add(
        &mut self,
        resource: &Arc<Resource>,
        records: Vec<LogRecord>,
        limits: &Limits,
        dropped: &mut Dropped,
    ) {
        // Counted for every record, though those of one batch share it: the last one left holds it all.
        let resource_bytes = size::of_resource(resource);
        for record in records {
            let bytes = size::of_log(&record) + resource_bytes;
            self.bytes += bytes;
            self.entries.push_back(Entry { record, resource: Arc::clone(resource), bytes });
            while self.entries.len() > limits.log_records || self.bytes > limits.log_bytes {
                let Some(oldest) = self.entries.pop_front() else { break };
                self.bytes -= oldest.bytes;
                dropped.evicted_log_records += 1;
            }
        }
    }

    /// The records of one trace, by time.
    pub(super) fn of_trace(&self, trace_id: TraceId, resources: &mut Resources) -> Vec<LogRecord> {
        let entries = self.entries.iter().filter(|entry| entry.record.trace_id == Some(trace_id));
        let mut records: Vec<LogRecord> = entries.map(|entry| entry.leave(resources)).collect();
        records.sort_by_key(LogRecord::time);
        records
    }

    pub(super) fn latest(&self, filter: &LogFilter) -> Logs {
        let mut resources = Resources::default();
        let records = self
            .entries
            .iter()
            .rev()
            .filter(|entry| filter.trace_id.is_none() || entry.record.trace_id == filter.trace_id)
            .filter(|entry| filter.service.as_ref().is_none_or(|service| *service == entry.record.service))
            .take(filter.limit.unwrap_or(usize::MAX))
            .map(|entry| entry.leave(&mut resources))
            .collect();
        Logs { resources: resources.into_vec(), records }
    }
}

impl Entry {
    fn leave(&self, resources: &mut Resources) -> LogRecord {
        LogRecord { resource: resources.index_of(&self.resource), ..self.record.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{log, resource, span, trace_id};
    use super::*;
    use crate::Store;

    #[test]
    fn the_oldest_records_make_room_and_are_counted() {
        let store = Store::new(Limits { log_records: 3, ..Limits::default() });
        store.add_logs(resource("order-service"), (0..5).map(|n| log(n, "m", None)).collect());
        let times: Vec<u64> =
            store.logs(&LogFilter::default()).records.iter().map(|record| record.time_unix_nano).collect();
        assert_eq!(times, [4, 3, 2]);
        assert_eq!(store.status().dropped.evicted_log_records, 2);
    }

    #[test]
    fn bytes_are_bounded() {
        let store = Store::new(Limits { log_bytes: 20_000, ..Limits::default() });
        for n in 0..100 {
            store.add_logs(resource("order-service"), vec![log(n, &"x".repeat(1_000), None)]);
            assert!(store.status().held.log_bytes <= 20_000);
        }
        assert!(store.status().held.log_records > 5);
        store.add_logs(resource("order-service"), vec![log(0, &"x".repeat(30_000), None)]);
        let held = store.status().held;
        assert_eq!((held.log_records, held.log_bytes), (0, 0));
    }

    #[test]
    fn records_are_found_by_trace_and_by_service_and_change_the_trace() {
        let store = Store::new(Limits::default());
        store.add_spans(resource("order-service"), vec![(trace_id(1), span(1, None, "root"))]);
        let cursor = store.traces(1, None).unwrap().cursor;
        store.add_logs(resource("user-service"), vec![log(2, "second", Some(1)), log(1, "first", Some(1))]);
        let mut other = log(3, "elsewhere", None);
        other.service = "order-service".to_owned();
        store.add_logs(resource("order-service"), vec![other]);

        let trace = store.trace(trace_id(1)).unwrap();
        let bodies: Vec<String> =
            trace.logs.iter().map(|record| record.body.as_ref().unwrap().to_string()).collect();
        assert_eq!(bodies, ["first", "second"]);
        assert_eq!(trace.resources[trace.logs[0].resource].service(), "user-service");
        assert_eq!(trace.resources[trace.spans[0].resource].service(), "order-service");
        assert_eq!(store.traces(9, Some(&cursor)).unwrap().traces.len(), 1);

        let of_trace = LogFilter { trace_id: Some(trace_id(1)), ..LogFilter::default() };
        assert_eq!(store.logs(&of_trace).records.len(), 2);
        let of_service = LogFilter { service: Some("order-service".to_owned()), ..LogFilter::default() };
        assert_eq!(store.logs(&of_service).records[0].time_unix_nano, 3);
        assert_eq!(store.logs(&LogFilter { limit: Some(1), ..LogFilter::default() }).records.len(), 1);
    }
}
