use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::{Resources, size};
use crate::Limits;
use crate::model::{Dropped, Metric, Metrics, Resource};

/// Which metric series to list. The default lists all.
#[derive(Debug, Clone, Default)]
pub struct MetricFilter {
    /// Only those of this metric.
    pub name: Option<String>,
    /// Only those of this service.
    pub service: Option<String>,
}

/// The latest point of each series.
#[derive(Debug, Default)]
pub(super) struct MetricStore {
    series: HashMap<Arc<str>, Entry>,
    /// Keys by the time of the last point, as a count of points; longest silent first.
    by_age: BTreeMap<u64, Arc<str>>,
    points: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
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

    pub(super) fn add(
        &mut self,
        resource: &Arc<Resource>,
        points: Vec<Metric>,
        limits: &Limits,
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
            let entry = Entry { metric, resource: Arc::clone(resource), bytes, age };
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

    fn make_room(&mut self, limits: &Limits, dropped: &mut Dropped) {
        while self.series.len() > limits.metric_series || self.bytes > limits.metric_bytes {
            let Some((_, key)) = self.by_age.pop_first() else { return };
            if let Some(entry) = self.series.remove(&key) {
                self.bytes -= entry.bytes;
                dropped.evicted_metric_series += 1;
            }
        }
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
