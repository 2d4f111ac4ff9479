//! Metrics by value.

use std::collections::BTreeMap;
use std::fmt;

use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::metrics::data::MetricData;

use super::diff::shown;
use super::tree::to_map;

/// One series of a metric: a point under one set of attributes.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The instrument's name.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// What tells this series from the metric's others.
    pub attributes: BTreeMap<String, Value>,
    /// How often a histogram was recorded to; 1 for the other kinds.
    pub count: u64,
    /// A histogram's sum, a counter's or a gauge's value.
    pub value: f64,
}

impl Series {
    pub(super) fn read<T: Copy + ToF64>(
        name: &str,
        unit: &str,
        data: &MetricData<T>,
        series: &mut Vec<Self>,
    ) {
        let mut add = |attributes: &mut dyn Iterator<Item = &KeyValue>, count: u64, value: f64| {
            series.push(Self {
                name: name.to_owned(),
                unit: unit.to_owned(),
                attributes: to_map(attributes.cloned()),
                count,
                value,
            });
        };
        match data {
            MetricData::Gauge(gauge) => {
                for point in gauge.data_points() {
                    add(&mut point.attributes(), 1, point.value().to_f64());
                }
            }
            MetricData::Sum(sum) => {
                for point in sum.data_points() {
                    add(&mut point.attributes(), 1, point.value().to_f64());
                }
            }
            MetricData::Histogram(histogram) => {
                for point in histogram.data_points() {
                    add(&mut point.attributes(), point.count(), point.sum().to_f64());
                }
            }
            MetricData::ExponentialHistogram(histogram) => {
                for point in histogram.data_points() {
                    add(&mut point.attributes(), point.count() as u64, point.sum().to_f64());
                }
            }
        }
    }
}

/// One line.
impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        for (key, value) in &self.attributes {
            write!(f, " {key}={}", shown(value))?;
        }
        write!(f, ": count {}, value {} {}", self.count, self.value, self.unit)
    }
}

/// The series of one metric, and which of them are looked for. See
/// [`TestTelemetry::metric`](super::TestTelemetry::metric).
#[derive(Debug, Clone)]
#[must_use = "looks at nothing before one of its answers is asked for"]
pub struct Metric {
    pub(super) name: String,
    /// All there are, for the failure to list.
    pub(super) all: Vec<Series>,
    pub(super) wanted: BTreeMap<String, Value>,
}

impl Metric {
    /// Only series with this attribute.
    pub fn with(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.wanted.insert(key.into(), value.into());
        self
    }

    /// The series with these attributes, and whatever others.
    pub fn series(&self) -> Vec<Series> {
        let has = |series: &Series| {
            self.wanted.iter().all(|(key, value)| series.attributes.get(key) == Some(value))
        };
        self.all.iter().filter(|series| series.name == self.name && has(series)).cloned().collect()
    }

    /// The only series with these attributes.
    ///
    /// # Panics
    /// Where there is none or more than one; the message lists what there is.
    #[track_caller]
    pub fn one(&self) -> Series {
        match <[Series; 1]>::try_from(self.series()) {
            Ok([series]) => series,
            Err(found) => panic!("{} series instead of one of {self}", found.len()),
        }
    }

    /// How often [the one series](Self::one) was recorded to, where it is a histogram's; else 1.
    #[track_caller]
    pub fn count(&self) -> u64 {
        self.one().count
    }

    /// The value of [the one series](Self::one): of a histogram the sum of its measurements.
    #[track_caller]
    pub fn value(&self) -> f64 {
        self.one().value
    }

    /// The unit of [the one series](Self::one).
    #[track_caller]
    pub fn unit(&self) -> String {
        self.one().unit
    }

    /// # Panics
    /// Where there is any series with these attributes.
    #[track_caller]
    pub fn assert_absent(&self) {
        let found = self.series().len();
        assert!(found == 0, "{found} series instead of none of {self}");
    }
}

/// What is looked for, and what there is.
impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        for (key, value) in &self.wanted {
            write!(f, " {key}={}", shown(value))?;
        }
        let same_name: Vec<&Series> = self.all.iter().filter(|series| series.name == self.name).collect();
        if same_name.is_empty() {
            let mut names: Vec<&str> = self.all.iter().map(|series| series.name.as_str()).collect();
            names.dedup();
            return write!(f, "; there is no such metric, only: {}", names.join(", "));
        }
        write!(f, "; there is")?;
        same_name.iter().try_for_each(|series| write!(f, "\n  {series}"))
    }
}

pub(super) trait ToF64 {
    fn to_f64(self) -> f64;
}

impl ToF64 for f64 {
    fn to_f64(self) -> f64 {
        self
    }
}

impl ToF64 for i64 {
    fn to_f64(self) -> f64 {
        self as f64
    }
}

impl ToF64 for u64 {
    fn to_f64(self) -> f64 {
        self as f64
    }
}
