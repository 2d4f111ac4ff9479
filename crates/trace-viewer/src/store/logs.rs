use std::collections::VecDeque;
use std::sync::Arc;

use super::filter::{contains, value_contains};
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
    /// Only those at least as severe; see [`LogRecord::severity_number`].
    pub severity: Option<u8>,
    /// Only those with this text, whatever its case, in body, event name, logger or an attribute's value.
    pub text: Option<String>,
    /// Only those that arrived before the one of this sequence.
    pub before: Option<u64>,
    /// Only those that arrived after the one of this sequence.
    pub since: Option<u64>,
}

impl LogFilter {
    fn matches(&self, record: &LogRecord) -> bool {
        (self.trace_id.is_none() || record.trace_id == self.trace_id)
            && self.before.is_none_or(|before| record.sequence < before)
            && self.since.is_none_or(|since| record.sequence > since)
            && self.severity.is_none_or(|severity| record.severity_number >= severity)
            && self.service.as_ref().is_none_or(|service| *service == record.service)
            && self.text.as_ref().is_none_or(|text| {
                record.body.as_ref().is_some_and(|body| value_contains(body, text))
                    || contains(&record.event_name, text)
                    || contains(&record.scope.name, text)
                    || record.attributes.values().any(|value| value_contains(value, text))
            })
    }
}

/// Log records in the order in which they arrived.
#[derive(Debug, Default)]
pub(super) struct LogStore {
    /// Oldest first.
    entries: VecDeque<Entry>,
    bytes: usize,
    /// Counts the records that ever arrived.
    arrived: u64,
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
        for mut record in records {
            self.arrived += 1;
            record.sequence = self.arrived;
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
        let mut matching = self.entries.iter().rev().filter(|entry| filter.matches(&entry.record));
        let records = matching
            .by_ref()
            .take(filter.limit.unwrap_or(usize::MAX))
            .map(|entry| entry.leave(&mut resources))
            .collect();
        let more = matching.next().is_some();
        let oldest = self.entries.front().map_or(0, |entry| entry.record.sequence);
        Logs { resources: resources.into_vec(), records, more, oldest }
    }

    /// The services of all records.
    pub(super) fn services(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.record.service.as_str())
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

    #[test]
    fn records_are_found_by_severity_and_text_and_listed_page_by_page() {
        let store = Store::new(Limits { log_records: 4, ..Limits::default() });
        let mut records: Vec<LogRecord> = (1..=6).map(|n| log(n, &format!("Message {n}"), None)).collect();
        records[4].severity_number = 17;
        store.add_logs(resource("user-service"), records);
        let sequences = |filter: LogFilter| {
            let logs = store.logs(&filter);
            assert_eq!(logs.oldest, 3);
            (logs.records.iter().map(|record| record.sequence).collect::<Vec<_>>(), logs.more)
        };
        let all = LogFilter::default;
        assert_eq!(sequences(LogFilter { severity: Some(17), ..all() }), (vec![5], false));
        assert_eq!(sequences(LogFilter { text: Some("message 4".to_owned()), ..all() }), (vec![4], false));
        assert_eq!(sequences(LogFilter { limit: Some(2), ..all() }), (vec![6, 5], true));
        assert_eq!(sequences(LogFilter { limit: Some(2), before: Some(5), ..all() }), (vec![4, 3], false));
        assert_eq!(sequences(LogFilter { since: Some(4), ..all() }), (vec![6, 5], false));
    }
}
