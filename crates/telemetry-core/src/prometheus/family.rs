//! One metric of the text: its help, its type and its series.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::label::{self, Labels};

/// Prometheus' types, as far as the SDK's metrics have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// All series of one name.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) kind: Kind,
    help: String,
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
}

impl Family {
    pub(super) fn new(kind: Kind, help: &str) -> Self {
        Self { kind, help: help.to_owned(), series: BTreeMap::new() }
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
        self.add(labels, |labels| {
            let Distribution { buckets, count, sum, min } = distribution;
            let bucket = |le: &str, count: u64| {
                let comma = if labels.is_empty() { "" } else { "," };
                sample(&format!("{name}_bucket"), &format!("{labels}{comma}le=\"{le}\""), &count.to_string())
            };
            let mut lines = String::new();
            let mut below = 0_u64;
            for (bound, count) in buckets {
                below = below.saturating_add(*count);
                if bound.is_finite() {
                    lines += &bucket(&number(*bound), below);
                }
            }
            lines += &bucket("+Inf", *count);
            // A sum that can fall is none that Prometheus could take a rate of.
            if min.is_none_or(|min| min >= 0.0) {
                lines += &sample(&format!("{name}_sum"), labels, &number(*sum));
            }
            lines += &sample(&format!("{name}_count"), labels, &count.to_string());
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

    /// The names that this family takes: its own, and those of its samples.
    pub(super) fn sample_names(&self, name: &str) -> Vec<String> {
        match self.kind {
            Kind::Counter | Kind::Gauge => vec![name.to_owned()],
            Kind::Histogram => {
                ["", "_bucket", "_sum", "_count"].map(|suffix| format!("{name}{suffix}")).to_vec()
            }
        }
    }

    /// Help, type and series by their labels; nothing where there are no series.
    pub(super) fn lines(&self, name: &str) -> String {
        if self.series.is_empty() {
            return String::new();
        }
        let mut lines = String::new();
        if !self.help.is_empty() {
            let help = self.help.replace('\\', r"\\").replace('\n', r"\n");
            lines += &format!("# HELP {name} {help}\n");
        }
        lines += &format!("# TYPE {name} {}\n", self.kind.name());
        lines.extend(self.series.values().map(String::as_str));
        lines
    }
}

fn sample(name: &str, labels: &str, value: &str) -> String {
    if labels.is_empty() { format!("{name} {value}\n") } else { format!("{name}{{{labels}}} {value}\n") }
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
