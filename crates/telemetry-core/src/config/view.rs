//! Views: which streams an instrument becomes (specification, "Metrics SDK", "View"). A file names them; no variable can.

use opentelemetry::Key;
use opentelemetry_sdk::metrics::{Aggregation, Instrument, InstrumentKind, Stream};

use crate::paths;

/// A stream for each instrument that is selected, in place of the default one. Of several that select it each makes a
/// stream.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct View {
    /// Name of the instrument, upper and lower case alike, `*` standing for any run of characters; none is any.
    pub instrument_name: Option<String>,
    /// Its kind.
    pub instrument_kind: Option<InstrumentKind>,
    /// Its unit.
    pub unit: Option<String>,
    /// Name of the meter that makes it.
    pub meter_name: Option<String>,
    /// Version of that meter.
    pub meter_version: Option<String>,
    /// Schema of that meter.
    pub meter_schema_url: Option<String>,
    /// Name of the stream; that of the instrument by default.
    pub name: Option<String>,
    /// Its description; that of the instrument by default.
    pub description: Option<String>,
    /// How it is aggregated; by default as the instrument says.
    pub aggregation: Option<Aggregation>,
    /// How many series it may have; `METRICS_CARDINALITY_LIMIT` by default.
    pub cardinality_limit: Option<usize>,
    /// The only attributes that it keeps; all by default.
    pub attribute_keys: Option<Vec<String>>,
}

impl View {
    fn selects(&self, instrument: &Instrument) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        let is_named = |pattern: &String| {
            paths::matches(&pattern.to_ascii_lowercase(), &instrument.name().to_ascii_lowercase())
        };
        let scope = instrument.scope();
        self.instrument_name.as_ref().is_none_or(is_named)
            && self.instrument_kind.is_none_or(|kind| kind == instrument.kind())
            && is(&self.unit, Some(instrument.unit()))
            && is(&self.meter_name, Some(scope.name()))
            && is(&self.meter_version, scope.version())
            && is(&self.meter_schema_url, scope.schema_url())
    }

    /// The stream of an instrument that it selects. `cardinality` and `histograms` are those of every instrument that
    /// no view says anything of.
    pub(crate) fn stream(
        &self,
        instrument: &Instrument,
        cardinality: usize,
        histograms: Option<&Aggregation>,
    ) -> Option<Stream> {
        if !self.selects(instrument) {
            return None;
        }
        let histograms = histograms.filter(|_| instrument.kind() == InstrumentKind::Histogram);
        self.build(cardinality, histograms).ok()
    }

    /// Whether the SDK makes a stream of it; else what it says.
    pub(super) fn check(&self) -> Result<(), String> {
        self.build(1, None).map(drop)
    }

    fn build(&self, cardinality: usize, histograms: Option<&Aggregation>) -> Result<Stream, String> {
        let mut stream =
            Stream::builder().with_cardinality_limit(self.cardinality_limit.unwrap_or(cardinality));
        if let Some(name) = &self.name {
            stream = stream.with_name(name.clone());
        }
        if let Some(description) = &self.description {
            stream = stream.with_description(description.clone());
        }
        if let Some(aggregation) = self.aggregation.as_ref().or(histograms) {
            stream = stream.with_aggregation(aggregation.clone());
        }
        if let Some(keys) = &self.attribute_keys {
            stream = stream.with_allowed_attribute_keys(keys.iter().map(|key| Key::from(key.clone())));
        }
        stream.build().map_err(|error| error.to_string())
    }
}
