use std::collections::{BTreeMap, BTreeSet};

use super::history::{Amount, Bin, Sample, merged, percentile};
use crate::model::{Attributes, InstrumentKind, Metric, MetricData, Series, SeriesExemplar, SeriesTotals};

const SECOND: u64 = 1_000_000_000;

/// More groups than this make no picture; the rest is counted.
pub(super) const MAX_GROUPS: usize = 40;

/// Exemplars of a group: a handful to follow.
const MAX_EXEMPLARS: usize = 5;

/// What to show of a metric over time.
#[derive(Debug, Clone, Default)]
pub struct SeriesQuery {
    /// The metric.
    pub name: String,
    /// Only of this service.
    pub service: Option<String>,
    /// The attributes whose values tell groups apart; `None` for all of them.
    pub by: Option<Vec<String>>,
    /// Only series with these attributes, as text.
    pub only: Vec<(String, String)>,
    /// How far back, in seconds; at least a minute, at most a day.
    pub seconds: u64,
}

/// The steps of a picture: all but the last have passed.
#[derive(Debug, Clone)]
pub(super) struct Steps {
    /// The end of the first, in nanoseconds.
    first_end: u64,
    nano: u64,
    pub(super) count: usize,
}

impl Steps {
    /// Steps of at least 5 s, about ninety of them, on full multiples, so that asking again moves no
    /// point.
    pub(super) fn of(seconds: u64, now: u64) -> Self {
        let seconds = seconds.clamp(60, 86_400);
        let step = (seconds / 90).div_ceil(5).max(1) * 5;
        let nano = step * SECOND;
        let last_end = (now / nano + 1) * nano;
        let count = (seconds / step) as usize;
        Self { first_end: last_end.saturating_sub(nano * (count as u64 - 1)), nano, count }
    }

    pub(super) fn step_seconds(&self) -> u64 {
        self.nano / SECOND
    }

    pub(super) fn times(&self) -> Vec<u64> {
        (0..self.count as u64).map(|index| (self.first_end + index * self.nano) / SECOND).collect()
    }

    fn start(&self) -> u64 {
        self.first_end.saturating_sub(self.nano)
    }

    /// The step that a time lies in; times on a border belong to the step that they end.
    fn at(&self, time: u64) -> Option<usize> {
        let index = usize::try_from(time.checked_sub(self.start())?.saturating_sub(1) / self.nano).ok()?;
        (index < self.count).then_some(index)
    }

    /// The steps that a stretch of time lies in, with the nanoseconds of it in each. A stretch of no
    /// length lies in one.
    fn overlaps(&self, from: u64, to: u64) -> Vec<(usize, f64)> {
        if from >= to {
            return self.at(to).map(|index| (index, 0.0)).into_iter().collect();
        }
        let first = from.saturating_sub(self.start()) / self.nano;
        let mut overlaps = Vec::new();
        for index in first..self.count as u64 {
            let start = self.start() + index * self.nano;
            if start >= to {
                break;
            }
            let nano = to.min(start + self.nano).saturating_sub(from.max(start));
            if nano > 0 {
                overlaps.push((index as usize, nano as f64));
            }
        }
        overlaps
    }
}

/// How the series of an instrument are shown.
pub(super) fn kind(data: &MetricData) -> InstrumentKind {
    match data {
        MetricData::Gauge { .. } => InstrumentKind::Gauge,
        MetricData::Sum { monotonic: false, .. } => InstrumentKind::Level,
        MetricData::Sum { monotonic: true, .. } => InstrumentKind::Rate,
        MetricData::Histogram { .. }
        | MetricData::ExponentialHistogram { .. }
        | MetricData::Summary { .. } => InstrumentKind::Distribution,
    }
}

/// Series with something in common, summed up step by step.
pub(super) struct Group {
    kind: InstrumentKind,
    steps: Vec<Step>,
    exemplars: Vec<SeriesExemplar>,
}

#[derive(Debug, Clone, Default)]
struct Step {
    /// Added up over the series.
    value: f64,
    /// How many series told of this step.
    told: usize,
    errors: f64,
    bins: Vec<Bin>,
}

impl Group {
    pub(super) fn new(kind: InstrumentKind, steps: &Steps) -> Self {
        Self { kind, steps: vec![Step::default(); steps.count], exemplars: Vec::new() }
    }

    /// Adds one series with its samples, oldest first.
    pub(super) fn add<'a>(
        &mut self,
        metric: &Metric,
        samples: impl Iterator<Item = &'a Sample>,
        steps: &Steps,
    ) {
        let failed = metric.attributes.contains_key("error.type");
        // What this series alone did: an amount and the time it is told of, for each step.
        let mut own: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
        for sample in samples {
            let length = sample.to.saturating_sub(sample.from) as f64;
            match &sample.amount {
                Amount::Value(value) => {
                    if let Some(index) = steps.at(sample.to) {
                        own.insert(index, (*value, 1.0));
                    }
                }
                Amount::Counted(count) | Amount::Measured { count, .. } => {
                    for (index, nano) in steps.overlaps(sample.from, sample.to) {
                        let share = if length > 0.0 { nano / length } else { 1.0 };
                        let (amount, told) = own.entry(index).or_default();
                        *amount += count * share;
                        *told += nano;
                        if let Amount::Measured { bins, .. } = &sample.amount {
                            let bins = bins.iter().map(|bin| Bin { count: bin.count * share, ..*bin });
                            self.steps[index].bins.extend(bins);
                        }
                    }
                }
            }
        }
        for (index, (amount, told)) in own {
            let step = &mut self.steps[index];
            step.told += 1;
            let value = match self.kind {
                InstrumentKind::Gauge | InstrumentKind::Level => amount,
                // By the time that it is told of: of the last step only a part is. What took no time
                // at all counts for the whole step.
                InstrumentKind::Rate | InstrumentKind::Distribution => {
                    let nano = if told > 0.0 { told } else { steps.nano as f64 };
                    amount * SECOND as f64 / nano
                }
            };
            step.value += value;
            if failed {
                step.errors += value;
            }
        }
        for exemplar in &metric.exemplars {
            if let Some(trace_id) = exemplar.trace_id {
                let (time_unix_nano, value) = (exemplar.time_unix_nano, exemplar.value.as_f64());
                let span_id = exemplar.span_id;
                self.exemplars.push(SeriesExemplar { time_unix_nano, value, trace_id, span_id });
            }
        }
    }

    pub(super) fn finish(mut self, service: String, attributes: Attributes, steps: &Steps) -> Series {
        let is_distribution = self.kind == InstrumentKind::Distribution;
        let value = |step: &Step| match self.kind {
            _ if step.told == 0 => None,
            InstrumentKind::Gauge => Some(step.value / step.told as f64),
            InstrumentKind::Level | InstrumentKind::Rate | InstrumentKind::Distribution => Some(step.value),
        };
        let values: Vec<Option<f64>> = self.steps.iter().map(value).collect();
        let mut series = Series { service, attributes, ..Series::default() };
        let seconds = steps.step_seconds() as f64;
        let sum = |amounts: &mut dyn Iterator<Item = f64>| amounts.sum::<f64>() * seconds;
        series.totals = match self.kind {
            InstrumentKind::Gauge | InstrumentKind::Level => SeriesTotals {
                value: values.iter().rev().find_map(|value| *value).unwrap_or_default(),
                ..SeriesTotals::default()
            },
            InstrumentKind::Rate | InstrumentKind::Distribution => SeriesTotals {
                value: sum(&mut values.iter().flatten().copied()),
                errors: sum(&mut self.steps.iter().map(|step| step.errors)),
                ..SeriesTotals::default()
            },
        };
        series.values = values;
        if is_distribution {
            for step in &mut self.steps {
                step.bins = merged(std::mem::take(&mut step.bins));
            }
            let at = |quantile| self.steps.iter().map(|step| percentile(&step.bins, quantile)).collect();
            series.errors = self.steps.iter().map(|step| (step.told > 0).then_some(step.errors)).collect();
            (series.p50, series.p95, series.p99) = (at(0.5), at(0.95), at(0.99));
            let all = merged(self.steps.iter().flat_map(|step| step.bins.iter().copied()).collect());
            series.totals.p50 = percentile(&all, 0.5);
            series.totals.p95 = percentile(&all, 0.95);
            series.totals.p99 = percentile(&all, 0.99);
        }
        self.exemplars.sort_by(|one, other| other.value.total_cmp(&one.value));
        self.exemplars.truncate(MAX_EXEMPLARS);
        self.exemplars.retain(|exemplar| exemplar.value.is_finite());
        series.exemplars = self.exemplars;
        series
    }
}

impl SeriesQuery {
    pub(super) fn matches(&self, metric: &Metric) -> bool {
        metric.name == self.name
            && self.service.as_ref().is_none_or(|service| *service == metric.service)
            && self
                .only
                .iter()
                .all(|(key, value)| metric.attributes.get(key).is_some_and(|held| held.to_string() == *value))
    }

    /// What tells a series' group from others.
    pub(super) fn group_of(&self, metric: &Metric) -> Attributes {
        match &self.by {
            None => metric.attributes.clone(),
            Some(keys) => {
                let keys: BTreeSet<&String> = keys.iter().collect();
                let held = metric.attributes.iter().filter(|(key, _)| keys.contains(key));
                held.map(|(key, value)| (key.clone(), value.clone())).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{counter, histogram, resource};
    use super::*;
    use crate::{Limits, Store};

    /// 1,000,000 s after the epoch, where a step begins.
    const START: u64 = 1_000_000 * SECOND;

    fn at(mut metric: Metric, seconds: u64) -> Metric {
        (metric.start_unix_nano, metric.time_unix_nano) = (1, START + seconds * SECOND);
        metric
    }

    fn query(name: &str, by: Option<&[&str]>) -> SeriesQuery {
        let by = by.map(|keys| keys.iter().map(|key| (*key).to_owned()).collect());
        SeriesQuery { name: name.to_owned(), by, seconds: 60, ..SeriesQuery::default() }
    }

    #[test]
    fn steps_stay_where_they_are_as_time_goes_on() {
        let steps = Steps::of(300, START + 7 * SECOND);
        assert_eq!((steps.step_seconds(), steps.count), (5, 60));
        assert_eq!(steps.times().last(), Some(&1_000_010));
        assert_eq!(Steps::of(300, START + 9 * SECOND).times(), steps.times());
        assert_eq!(Steps::of(3_600, START).step_seconds(), 40);
        assert_eq!(steps.at(START + 5 * SECOND), Some(58));
        assert_eq!(steps.at(START + 5 * SECOND + 1), Some(59));
        assert_eq!(steps.at(START + 11 * SECOND), None);
        assert_eq!(steps.at(u64::MAX), None);
        assert_eq!(steps.overlaps(0, 5), []);
        assert_eq!(steps.overlaps(0, u64::MAX).len(), 60);
    }

    #[test]
    fn rates_are_by_the_second_of_the_time_told_of_and_sum_up_within_a_group() {
        let store = Store::new(Limits::default());
        for (seconds, a, b) in [(0, 10, 100), (10, 20, 100), (20, 40, 120)] {
            let points = vec![at(counter("orders", "a", a), seconds), at(counter("orders", "b", b), seconds)];
            store.add_metrics(resource("order-service"), points);
        }
        let all = store.series_at(&query("orders", Some(&[])), START + 21 * SECOND);
        assert_eq!((all.kind, all.series.len()), (Some(InstrumentKind::Rate), 1));
        let known: Vec<f64> = all.series[0].values.iter().flatten().copied().collect();
        assert_eq!(known, [1.0, 1.0, 4.0, 4.0]);
        assert_eq!(all.series[0].totals.value, 50.0);
        let by_route = store.series_at(&query("orders", Some(&["http.route"])), START + 21 * SECOND);
        let totals: Vec<f64> = by_route.series.iter().map(|series| series.totals.value).collect();
        assert_eq!(totals, [30.0, 20.0]);
        let mut only = query("orders", None);
        only.only = vec![("http.route".to_owned(), "b".to_owned())];
        assert_eq!(store.series_at(&only, START + 21 * SECOND).series.len(), 1);
    }

    #[test]
    fn distributions_tell_rate_errors_and_percentiles() {
        let store = Store::new(Limits::default());
        let failed = |mut metric: Metric| {
            metric.attributes.insert("error.type".to_owned(), "500".into());
            metric
        };
        for (seconds, good, bad) in [(0, 0, 0), (10, 90, 10)] {
            store.add_metrics(
                resource("order-service"),
                vec![
                    at(histogram(&[0.1, 0.5], &[good, 0, 0]), seconds),
                    failed(at(histogram(&[0.1, 0.5], &[0, bad, 0]), seconds)),
                ],
            );
        }
        let answer = store.series_at(&query("latency", Some(&[])), START + 12 * SECOND);
        let [series] = answer.series.as_slice() else { panic!("{answer:?}") };
        let totals = series.totals;
        assert_eq!((totals.value, totals.errors), (100.0, 10.0));
        assert!((totals.p50.unwrap() - 0.1 * 50.0 / 90.0).abs() < 1e-9);
        assert!((totals.p99.unwrap() - 0.46).abs() < 1e-9);
        let rates: Vec<f64> = series.values.iter().flatten().copied().collect();
        let errors: Vec<f64> = series.errors.iter().flatten().copied().collect();
        assert_eq!((rates, errors), (vec![10.0, 10.0], vec![1.0, 1.0]));
    }

    #[test]
    fn history_is_bounded_and_what_left_is_counted() {
        let store = Store::new(Limits { history_bytes: 20_000, ..Limits::default() });
        for seconds in 0..500 {
            let points = vec![at(counter("orders", "a", seconds as i64), seconds)];
            store.add_metrics(resource("order-service"), points);
            assert!(store.status().held.history_bytes <= 20_000);
        }
        let status = store.status();
        assert!(status.held.history_points > 50);
        assert_eq!(status.held.history_points as u64 + status.dropped.evicted_history_points, 499);
    }

    #[test]
    fn instruments_are_listed_with_who_sends_them() {
        let store = Store::new(Limits::default());
        store.add_metrics(
            resource("order-service"),
            vec![counter("orders", "a", 1), counter("orders", "b", 5), histogram(&[0.1], &[1, 0])],
        );
        let instruments = store.instruments().instruments;
        assert_eq!(
            (instruments[0].name.as_str(), instruments[0].kind),
            ("latency", InstrumentKind::Distribution)
        );
        assert_eq!(
            (instruments[1].series, instruments[1].attributes.as_slice()),
            (2, &["http.route".to_owned()][..])
        );
        assert_eq!(instruments[1].services, ["order-service"]);
    }
}
