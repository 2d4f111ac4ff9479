use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::history::{History, Sample};
use super::series::{Group, MAX_GROUPS, SeriesQuery, Steps, kind};
use super::{Resources, size};
use crate::Limits;
use crate::model::{Attributes, Dropped, Instrument, Instruments, Metric, Metrics, Resource, SeriesList};

/// Which metric series to list. The default lists all.
#[derive(Debug, Clone, Default)]
pub struct MetricFilter {
    /// Only those of this metric.
    pub name: Option<String>,
    /// Only those of this service.
    pub service: Option<String>,
}

/// The latest point of each series, and what came before.
#[derive(Debug, Default)]
pub(super) struct MetricStore {
    series: HashMap<Arc<str>, Entry>,
    /// Keys by the time of the last point, as a count of points; longest silent first.
    by_age: BTreeMap<u64, Arc<str>>,
    points: u64,
    bytes: usize,
    history: History,
    /// Counts the series that ever appeared.
    appeared: u64,
}

#[derive(Debug)]
struct Entry {
    /// Its number in the order in which series appeared.
    id: u64,
    metric: Metric,
    resource: Arc<Resource>,
    bytes: usize,
    age: u64,
}

impl MetricStore {
    pub(super) fn len(&self) -> usize {
        self.series.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn history(&self) -> &History {
        &self.history
    }

    pub(super) fn add(
        &mut self,
        resource: &Arc<Resource>,
        points: Vec<Metric>,
        limits: &Limits,
        started_unix_nano: u64,
        dropped: &mut Dropped,
    ) {
        let resource_key = text(&resource.attributes);
        let resource_bytes = size::of_resource(resource);
        for metric in points {
            let key: Arc<str> = format!(
                "{}\u{0}{}\u{0}{}\u{0}{resource_key}",
                metric.name,
                metric.scope.name,
                text(&metric.attributes)
            )
            .into();
            self.points += 1;
            let age = self.points;
            let bytes = size::of_metric(&metric) + resource_bytes + key.len() + 2 * size_of::<Entry>();
            self.bytes += bytes;
            self.by_age.insert(age, Arc::clone(&key));
            let before = self.series.get(&key);
            let id = before.map_or(self.appeared, |before| before.id);
            self.appeared += u64::from(before.is_none());
            let before = before.map(|before| &before.metric);
            if let Some(sample) = Sample::between(before, &metric, started_unix_nano) {
                dropped.evicted_history_points += self.history.add(id, sample, limits.history_bytes);
            }
            let entry = Entry { id, metric, resource: Arc::clone(resource), bytes, age };
            if let Some(before) = self.series.insert(key, entry) {
                self.by_age.remove(&before.age);
                self.bytes -= before.bytes;
            }
            self.make_room(limits, dropped);
        }
    }

    /// By name, service and attributes.
    pub(super) fn list(&self, filter: &MetricFilter) -> Metrics {
        let mut entries: Vec<(&Arc<str>, &Entry)> = self
            .series
            .iter()
            .filter(|(_, entry)| filter.name.as_ref().is_none_or(|name| *name == entry.metric.name))
            .filter(|(_, entry)| {
                filter.service.as_ref().is_none_or(|service| *service == entry.metric.service)
            })
            .collect();
        entries.sort_by_key(|(key, entry)| (&entry.metric.name, &entry.metric.service, *key));
        let mut resources = Resources::default();
        let metrics = entries
            .into_iter()
            .map(|(_, entry)| Metric {
                resource: resources.index_of(&entry.resource),
                ..entry.metric.clone()
            })
            .collect();
        Metrics { resources: resources.into_vec(), metrics }
    }

    /// What is measured, by name.
    pub(super) fn instruments(&self) -> Instruments {
        let mut by_name: BTreeMap<&str, Instrument> = BTreeMap::new();
        for Entry { metric, .. } in self.series.values() {
            let instrument = by_name.entry(&metric.name).or_insert_with(|| Instrument {
                name: metric.name.clone(),
                description: metric.description.clone(),
                unit: metric.unit.clone(),
                kind: kind(&metric.data),
                services: Vec::new(),
                attributes: Vec::new(),
                series: 0,
            });
            instrument.series += 1;
            add_sorted(&mut instrument.services, &metric.service);
            for key in metric.attributes.keys() {
                add_sorted(&mut instrument.attributes, key);
            }
        }
        Instruments { instruments: by_name.into_values().collect() }
    }

    /// A metric over time, up to `now`.
    pub(super) fn over_time(&self, query: &SeriesQuery, now: u64) -> SeriesList {
        let steps = Steps::of(query.seconds, now);
        let mut list = SeriesList {
            name: query.name.clone(),
            unit: String::new(),
            kind: None,
            step_seconds: steps.step_seconds(),
            times: steps.times(),
            series: Vec::new(),
            omitted: 0,
        };
        // By text, since attributes have no order of their own.
        let mut groups: BTreeMap<(String, String), (Attributes, Group)> = BTreeMap::new();
        for entry in self.series.values().filter(|entry| query.matches(&entry.metric)) {
            let metric = &entry.metric;
            let kind = *list.kind.get_or_insert(kind(&metric.data));
            list.unit.clone_from(&metric.unit);
            let attributes = query.group_of(metric);
            let (_, group) = groups
                .entry((metric.service.clone(), text(&attributes)))
                .or_insert_with(|| (attributes, Group::new(kind, &steps)));
            group.add(metric, self.history.of(entry.id), &steps);
        }
        let finished = groups
            .into_iter()
            .map(|((service, _), (attributes, group))| group.finish(service, attributes, &steps));
        list.series = finished.collect();
        list.series.sort_by(|one, other| other.totals.value.total_cmp(&one.totals.value));
        list.omitted = list.series.len().saturating_sub(MAX_GROUPS);
        list.series.truncate(MAX_GROUPS);
        list
    }

    /// The services of all series.
    pub(super) fn services(&self) -> impl Iterator<Item = &str> {
        self.series.values().map(|entry| entry.metric.service.as_str())
    }

    fn make_room(&mut self, limits: &Limits, dropped: &mut Dropped) {
        while self.series.len() > limits.metric_series || self.bytes > limits.metric_bytes {
            let Some((_, key)) = self.by_age.pop_first() else { return };
            if let Some(entry) = self.series.remove(&key) {
                self.bytes -= entry.bytes;
                self.history.remove(entry.id);
                dropped.evicted_metric_series += 1;
            }
        }
    }
}

fn add_sorted(texts: &mut Vec<String>, text: &str) {
    if let Err(place) = texts.binary_search_by(|known| known.as_str().cmp(text)) {
        texts.insert(place, text.to_owned());
    }
}

/// A text that is the same for equal attributes, and for no others.
fn text(attributes: &crate::model::Attributes) -> String {
    serde_json::to_string(attributes).expect("attributes have text keys, so they can be written as JSON")
}

#[cfg(test)]
mod tests {
    use super::super::sample::{counter, resource};
    use super::*;
    use crate::Store;
    use crate::model::Number;

    fn values(store: &Store, name: &str) -> Vec<Number> {
        let filter = MetricFilter { name: Some(name.to_owned()), ..MetricFilter::default() };
        store.metrics(&filter).metrics.iter().filter_map(|metric| metric.data.value()).collect()
    }

    #[test]
    fn each_series_keeps_its_latest_point() {
        let store = Store::new(Limits::default());
        store.add_metrics(
            resource("order-service"),
            vec![counter("orders", "a", 1), counter("orders", "b", 5)],
        );
        store.add_metrics(resource("order-service"), vec![counter("orders", "a", 2)]);
        let of_user_service = Metric { service: "user-service".to_owned(), ..counter("orders", "a", 9) };
        store.add_metrics(resource("user-service"), vec![of_user_service]);
        assert_eq!(values(&store, "orders"), [Number::Int(2), Number::Int(5), Number::Int(9)]);
        assert_eq!(values(&store, "order"), []);
        assert_eq!(store.status().received.metric_points, 4);
    }

    #[test]
    fn the_series_silent_longest_makes_room_and_is_counted() {
        let store = Store::new(Limits { metric_series: 2, ..Limits::default() });
        for (name, value) in [("a", 1), ("b", 2), ("a", 3), ("c", 4)] {
            store.add_metrics(resource("order-service"), vec![counter(name, "x", value)]);
        }
        assert_eq!(
            (values(&store, "a").len(), values(&store, "b").len(), values(&store, "c").len()),
            (1, 0, 1)
        );
        assert_eq!(store.status().dropped.evicted_metric_series, 1);
    }

    #[test]
    fn bytes_are_bounded_and_a_replaced_point_gives_its_own_back() {
        let store = Store::new(Limits { metric_bytes: 50_000, ..Limits::default() });
        store.add_metrics(resource("order-service"), vec![counter("a", "x", 1)]);
        let one = store.status().held.metric_bytes;
        store.add_metrics(resource("order-service"), vec![counter("a", "x", 2)]);
        assert_eq!(store.status().held.metric_bytes, one);
        for n in 0..500 {
            store.add_metrics(resource("order-service"), vec![counter("a", &format!("{n}"), n)]);
            assert!(store.status().held.metric_bytes <= 50_000);
        }
        assert!(store.status().dropped.evicted_metric_series > 100);
    }
}
