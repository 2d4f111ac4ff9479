//! One metric of the text: its help, its type and its series.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use super::Format;
use super::label::{self, Labels};
use crate::exemplars::Exemplar;

/// Prometheus' types, as far as the SDK's metrics have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
    /// A constant whose labels are what it tells.
    Info,
}

impl Kind {
    fn name(self, format: Format) -> &'static str {
        match (self, format) {
            (Self::Counter, _) => "counter",
            (Self::Histogram, _) => "histogram",
            (Self::Info, Format::OpenMetrics) => "info",
            (Self::Gauge | Self::Info, _) => "gauge",
        }
    }

    /// What OpenMetrics leaves out of the family's name, and has in that of the samples.
    fn own_suffix(self) -> &'static str {
        match self {
            Self::Counter => "_total",
            Self::Info => "_info",
            Self::Gauge | Self::Histogram => "",
        }
    }
}

/// All series of one name.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) kind: Kind,
    format: Format,
    help: String,
    /// In words; empty where there is none.
    unit: String,
    /// The lines of each series, by its labels.
    series: BTreeMap<String, String>,
}

/// What a histogram knows of one series.
#[derive(Debug)]
pub(super) struct Distribution {
    /// Upper bounds in rising order, each with the count of its bucket alone.
    pub(super) buckets: Vec<(f64, u64)>,
    pub(super) count: u64,
    pub(super) sum: f64,
    pub(super) min: Option<f64>,
    pub(super) exemplars: Vec<Arc<Exemplar>>,
}

impl Family {
    pub(super) fn new(kind: Kind, format: Format, help: &str, unit: String) -> Self {
        Self { kind, format, help: help.to_owned(), unit, series: BTreeMap::new() }
    }

    /// Takes this help where there is none: a family has one, and the first has it.
    pub(super) fn help_if_none(&mut self, help: &str) {
        if self.help.is_empty() {
            help.clone_into(&mut self.help);
        }
    }

    /// Adds a series with one value; `false` where there is one with these labels.
    pub(super) fn add_value(&mut self, name: &str, labels: &Labels, value: f64) -> bool {
        self.add(labels, |labels| sample(name, labels, &number(value)))
    }

    /// Adds a series with a distribution; `false` where there is one with these labels.
    pub(super) fn add_distribution(
        &mut self,
        name: &str,
        labels: &Labels,
        distribution: &Distribution,
    ) -> bool {
        let format = self.format;
        self.add(labels, |labels| {
            let Distribution { buckets, count, sum, min, exemplars } = distribution;
            let mut lines = String::new();
            let mut bucket = |le: &str, count: u64, lower: f64, upper: f64| {
                let comma = if labels.is_empty() { "" } else { "," };
                let labels = format!("{labels}{comma}le=\"{le}\"");
                lines += &sample(&format!("{name}_bucket"), &labels, &count.to_string());
                let is_in_it = |exemplar: &&Arc<Exemplar>| exemplar.value > lower && exemplar.value <= upper;
                if let Some(exemplar) = exemplars.iter().find(is_in_it) {
                    lines.pop();
                    lines += &exemplar_text(exemplar);
                }
            };
            let (mut below, mut lower) = (0_u64, f64::NEG_INFINITY);
            for (bound, count) in buckets {
                below = below.saturating_add(*count);
                if bound.is_finite() {
                    bucket(&bound_text(*bound, format), below, lower, *bound);
                    lower = *bound;
                }
            }
            bucket("+Inf", *count, lower, f64::INFINITY);
            // A sum that can fall is none that Prometheus could take a rate of.
            let has_sum = min.is_none_or(|min| min >= 0.0);
            if has_sum {
                lines += &sample(&format!("{name}_sum"), labels, &number(*sum));
            }
            // OpenMetrics wants both or none.
            if has_sum || format == Format::Text {
                lines += &sample(&format!("{name}_count"), labels, &count.to_string());
            }
            lines
        })
    }

    fn add(&mut self, labels: &Labels, lines: impl FnOnce(&str) -> String) -> bool {
        match self.series.entry(label::text(labels)) {
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                let lines = lines(place.key());
                place.insert(lines);
                true
            }
        }
    }

    /// The names that this family takes: its own, and those of its samples; in OpenMetrics also those that its type
    /// reserves ("Suffixes").
    pub(super) fn sample_names(&self, name: &str) -> Vec<String> {
        let suffixes: &[&str] = match (self.kind, self.format) {
            (Kind::Counter, Format::OpenMetrics) => &["", "_total", "_created"],
            (Kind::Info, Format::OpenMetrics) => &["", "_info"],
            (Kind::Histogram, Format::OpenMetrics) => &["", "_bucket", "_sum", "_count", "_created"],
            (Kind::Histogram, Format::Text) => &["", "_bucket", "_sum", "_count"],
            (Kind::Gauge, _) | (Kind::Counter | Kind::Info, Format::Text) => &[""],
        };
        let name = self.family_name(name);
        suffixes.iter().map(|suffix| format!("{name}{suffix}")).collect()
    }

    /// The name in the lines of metadata, of the family whose samples have this one.
    fn family_name<'a>(&self, name: &'a str) -> &'a str {
        match self.format {
            Format::Text => name,
            Format::OpenMetrics => name.strip_suffix(self.kind.own_suffix()).unwrap_or(name),
        }
    }

    /// Metadata and series by their labels; nothing where there are no series.
    pub(super) fn lines(&self, name: &str) -> String {
        if self.series.is_empty() {
            return String::new();
        }
        let mut lines = String::new();
        let name = self.family_name(name);
        let mut help = self.help.replace('\\', r"\\").replace('\n', r"\n");
        if self.format == Format::OpenMetrics {
            help = help.replace('"', "\\\"");
        }
        if !help.is_empty() {
            lines += &format!("# HELP {name} {help}\n");
        }
        lines += &format!("# TYPE {name} {}\n", self.kind.name(self.format));
        let has_unit = !self.unit.is_empty() && name.ends_with(&format!("_{}", self.unit));
        if has_unit && self.format == Format::OpenMetrics {
            lines += &format!("# UNIT {name} {}\n", self.unit);
        }
        lines.extend(self.series.values().map(String::as_str));
        lines
    }
}

fn sample(name: &str, labels: &str, value: &str) -> String {
    if labels.is_empty() { format!("{name} {value}\n") } else { format!("{name}{{{labels}}} {value}\n") }
}

/// What follows a sample ("Exemplars"): the ids of trace and span, the measurement, and when it was made.
fn exemplar_text(exemplar: &Exemplar) -> String {
    let ids = exemplar.ids().map(|(trace, span)| format!("trace_id=\"{trace}\",span_id=\"{span}\""));
    let (value, time) = (number(exemplar.value), exemplar.time_unix_nano);
    let (seconds, milliseconds) = (time / 1_000_000_000, time / 1_000_000 % 1000);
    format!(" # {{{}}} {value} {seconds}.{milliseconds:03}\n", ids.unwrap_or_default())
}

/// A bucket's bound. OpenMetrics writes whole ones with a point ("Canonical Numbers").
fn bound_text(bound: f64, format: Format) -> String {
    let text = number(bound);
    let is_whole = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    if format == Format::OpenMetrics && is_whole { text + ".0" } else { text }
}

/// As Go reads it: `+Inf`, `-Inf`, `NaN`, and no long rows of zeros.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else if size == 0.0 || (1e-5..1e17).contains(&size) {
        value.to_string()
    } else {
        format!("{value:e}")
    }
}
