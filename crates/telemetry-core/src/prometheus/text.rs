//! From the SDK's metrics to the whole text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, Metric, MetricData, ResourceMetrics};

use super::Format;
use super::family::{Distribution, Family, Kind};
use super::label::{self, Labels};
use super::name::{Instrument, family_name, unit_words};
use crate::exemplars::{Exemplar, Exemplars};

/// How long the text may become. The SDK keeps at most 2000 series of an instrument, so this is for processes
/// with very many instruments or very long attributes; a Prometheus server would rather refuse such a text.
const LIMIT_BYTES: usize = 16 * 1024 * 1024;

const TARGET_INFO: &str = "target_info";

/// A text for Prometheus, and what is not in it.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) text: String,
    pub(super) left_out: Vec<LeftOut>,
}

/// A metric that is not in the text, at least in part.
#[derive(Debug)]
pub(super) struct LeftOut {
    name: String,
    reason: &'static str,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.reason)
    }
}

impl Text {
    /// In this format; of the exemplars, those that it has a place for.
    pub(super) fn of(metrics: &ResourceMetrics, format: Format, exemplars: &Exemplars) -> Self {
        Self::within(LIMIT_BYTES, metrics, format, exemplars)
    }

    /// Target first, then families by name, then what is left out.
    pub(super) fn within(
        limit: usize,
        metrics: &ResourceMetrics,
        format: Format,
        exemplars: &Exemplars,
    ) -> Self {
        let mut families = Families { format, exemplars, families: BTreeMap::new(), left_out: Vec::new() };
        // The SDK gives scopes in no order; which of two that disagree wins should not change.
        let mut scopes: Vec<_> =
            metrics.scope_metrics().map(|scope| (scope_labels(scope.scope()), scope)).collect();
        scopes.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (labels, scope) in &scopes {
            for metric in scope.metrics() {
                families.add(metric, labels);
            }
        }

        let Families { families, mut left_out, .. } = families;
        let target = target(metrics, format);
        let mut text = target.lines(TARGET_INFO);
        let mut sample_names = BTreeSet::from_iter(target.sample_names(TARGET_INFO));
        for (name, family) in families {
            let own_names = family.sample_names(&name);
            if own_names.iter().any(|own| sample_names.contains(own)) {
                left_out.push(LeftOut { name, reason: "another metric makes series of this name" });
                continue;
            }
            let lines = family.lines(&name);
            if lines.is_empty() {
                continue;
            }
            if text.len() + lines.len() > limit {
                left_out.push(LeftOut { name, reason: "the text would become too long" });
                continue;
            }
            text += &lines;
            sample_names.extend(own_names);
        }
        match format {
            Format::Text => text.extend(left_out.iter().map(|metric| format!("# left out: {metric}\n"))),
            // It knows no comments.
            Format::OpenMetrics => text += "# EOF\n",
        }
        Self { text, left_out }
    }
}

/// What tells that a metric is this scope's; attributes of the scope do not replace its name and version.
fn scope_labels(scope: &InstrumentationScope) -> Labels {
    let attributes = scope
        .attributes()
        .map(|attribute| KeyValue::new(format!("otel_scope_{}", attribute.key), attribute.value.clone()));
    let mut labels = label::of(attributes, &Labels::new());
    let own = [
        ("otel_scope_name", Some(scope.name())),
        ("otel_scope_version", scope.version()),
        ("otel_scope_schema_url", scope.schema_url()),
    ];
    for (name, value) in own {
        labels.remove(name);
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            labels.insert(name.to_owned(), value.to_owned());
        }
    }
    labels
}

/// The resource's attributes as labels of one constant, where there are any.
fn target(metrics: &ResourceMetrics, format: Format) -> Family {
    let attributes = metrics.resource().iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    let labels = label::of(attributes, &Labels::new());
    let mut info = Family::new(Kind::Info, format, "Target metadata", String::new());
    if !labels.is_empty() {
        info.add_value(TARGET_INFO, &labels, 1.0);
    }
    info
}

struct Families<'a> {
    format: Format,
    exemplars: &'a Exemplars,
    families: BTreeMap<String, Family>,
    left_out: Vec<LeftOut>,
}

impl Families<'_> {
    fn add(&mut self, metric: &Metric, scope: &Labels) {
        match metric.data() {
            AggregatedMetrics::F64(data) => self.add_points(metric, data, scope, |number| number),
            AggregatedMetrics::U64(data) => self.add_points(metric, data, scope, |number| number as f64),
            AggregatedMetrics::I64(data) => self.add_points(metric, data, scope, |number| number as f64),
        }
    }

    fn add_points<T: Copy>(
        &mut self,
        metric: &Metric,
        data: &MetricData<T>,
        scope: &Labels,
        float: impl Fn(T) -> f64,
    ) {
        let (instrument, temporality) = match data {
            MetricData::Gauge(_) => (Instrument::Gauge, Temporality::Cumulative),
            MetricData::Sum(sum) if sum.is_monotonic() => (Instrument::Counter, sum.temporality()),
            MetricData::Sum(sum) => (Instrument::UpDownCounter, sum.temporality()),
            MetricData::Histogram(histogram) => (Instrument::Histogram, histogram.temporality()),
            MetricData::ExponentialHistogram(histogram) => (Instrument::Histogram, histogram.temporality()),
        };
        let name = family_name(metric.name(), metric.unit(), instrument);
        if temporality == Temporality::Delta {
            self.left_out.push(LeftOut { name, reason: "it tells changes, not totals" });
            return;
        }
        let kind = match instrument {
            Instrument::Counter => Kind::Counter,
            Instrument::UpDownCounter | Instrument::Gauge => Kind::Gauge,
            Instrument::Histogram => Kind::Histogram,
        };
        let (families, format) = (&mut self.families, self.format);
        let family = families.entry(name.clone()).or_insert_with(|| {
            Family::new(kind, format, metric.description(), unit_words(metric.unit(), instrument))
        });
        if family.kind != kind {
            self.left_out.push(LeftOut { name, reason: "another metric of this name has another type" });
            return;
        }
        family.help_if_none(metric.description());

        let mut reserved = scope.clone();
        if kind == Kind::Histogram {
            reserved.insert("le".to_owned(), String::new());
        }
        let labels = |attributes: &mut dyn Iterator<Item = &KeyValue>| {
            let mut labels = label::of(attributes.cloned(), &reserved);
            labels.extend(scope.clone());
            labels
        };
        let is_complete = match data {
            MetricData::Gauge(gauge) => all(gauge.data_points().map(|point| {
                family.add_value(&name, &labels(&mut point.attributes()), float(point.value()))
            })),
            MetricData::Sum(sum) => all(sum.data_points().map(|point| {
                family.add_value(&name, &labels(&mut point.attributes()), float(point.value()))
            })),
            MetricData::Histogram(histogram) => {
                let exemplars: Vec<Arc<Exemplar>> = match self.format {
                    Format::Text => Vec::new(),
                    Format::OpenMetrics => self.exemplars.scraped(metric.name(), histogram.time()),
                };
                all(histogram.data_points().map(|point| {
                    let distribution = Distribution {
                        buckets: point.bounds().zip(point.bucket_counts()).collect(),
                        count: point.count(),
                        sum: float(point.sum()),
                        min: point.min().map(&float),
                        exemplars: own(&exemplars, point.attributes()),
                    };
                    family.add_distribution(&name, &labels(&mut point.attributes()), &distribution)
                }))
            }
            MetricData::ExponentialHistogram(histogram) => all(histogram.data_points().map(|point| {
                let distribution = Distribution {
                    buckets: Vec::new(),
                    count: u64::try_from(point.count()).unwrap_or(u64::MAX),
                    sum: float(point.sum()),
                    min: point.min().map(&float),
                    exemplars: Vec::new(),
                };
                family.add_distribution(&name, &labels(&mut point.attributes()), &distribution)
            })),
        };
        if !is_complete {
            self.left_out.push(LeftOut { name, reason: "some of its series have the labels of others" });
        }
    }
}

/// The exemplars of the series with these attributes.
fn own<'a>(
    exemplars: &[Arc<Exemplar>],
    attributes: impl Iterator<Item = &'a KeyValue>,
) -> Vec<Arc<Exemplar>> {
    if exemplars.is_empty() {
        return Vec::new();
    }
    let attributes: Vec<KeyValue> = attributes.cloned().collect();
    exemplars.iter().filter(|exemplar| exemplar.is_of(&attributes)).cloned().collect()
}

/// Whether all are true; runs them all.
fn all(added: impl Iterator<Item = bool>) -> bool {
    added.filter(|one| !one).count() == 0
}
