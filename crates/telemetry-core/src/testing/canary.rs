//! Canaries: texts that must not come out anywhere, looked for in every form they may have taken.

use std::fmt::Write;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use opentelemetry::KeyValue;
use opentelemetry::trace::Status;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, Exemplar, MetricData, ResourceMetrics};
use opentelemetry_sdk::trace::SpanData;

use super::log::{self, Log};

/// A text that must not come out anywhere: a password, a card number, an address.
///
/// It is found whatever its case, percent-encoded, as a form field, inside JSON or Rust's `{:?}`; from eight bytes on
/// also in base64, wherever it stands in what was encoded. Not found: a part of it, or a digest of it.
///
/// ```
/// use telemetry_core::testing::Canary;
///
/// let canary = Canary::new("s3cret & sound");
/// assert!(canary.is_in("the password was S3CRET & SOUND"));
/// assert!(canary.is_in("/login?password=s3cret%20%26%20sound"));
/// assert!(canary.is_in("Basic am9lOnMzY3JldCAmIHNvdW5k")); // "joe:s3cret & sound"
/// assert!(!canary.is_in("the password was REDACTED"));
/// ```
#[derive(Debug, Clone)]
pub struct Canary {
    text: String,
    /// In lower case.
    forms: Vec<String>,
    base64: Vec<String>,
}

impl Canary {
    /// # Panics
    /// On an empty text, which is everywhere.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        assert!(!text.is_empty(), "an empty canary is found everywhere");
        let every_byte = text.bytes().fold(String::new(), |mut encoded, byte| {
            // A string takes whatever is written.
            let _ = write!(encoded, "%{byte:02x}");
            encoded
        });
        let form: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        let mut forms = vec![
            text.clone(),
            form.replace('+', "%20"),
            form,
            every_byte,
            text.escape_debug().to_string(),
            serde_json::Value::from(text.as_str()).to_string().trim_matches('"').to_owned(),
        ];
        forms.iter_mut().for_each(|form| *form = form.to_lowercase());
        forms.sort();
        forms.dedup();
        // Fewer bytes fix so few characters that chance would find them.
        let base64 = if text.len() < 8 { Vec::new() } else { base64_forms(text.as_bytes()) };
        Self { text, forms, base64 }
    }

    /// The text itself.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it stands in `text`, in any form.
    pub fn is_in(&self, text: &str) -> bool {
        let lower = text.to_lowercase();
        self.forms.iter().any(|form| lower.contains(form))
            || self.base64.iter().any(|form| text.contains(form))
    }
}

/// The characters that the bytes alone decide, for each of the three ways they can lie in groups of three bytes.
fn base64_forms(bytes: &[u8]) -> Vec<String> {
    let mut forms = Vec::new();
    for before in 0..3 {
        let padded = [&vec![0; before], bytes].concat();
        for encoded in [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
            let decided = (8 * before).div_ceil(6)..8 * padded.len() / 6;
            forms.push(encoded[decided].to_owned());
        }
    }
    forms.sort();
    forms.dedup();
    forms
}

/// A text that was recorded, and where.
pub(super) struct Place {
    pub(super) place: String,
    pub(super) text: String,
}

/// Every text in what is read into it.
#[derive(Default)]
pub(super) struct Places(pub(super) Vec<Place>);

impl Places {
    fn add(&mut self, place: &str, text: impl Into<String>) {
        self.0.push(Place { place: place.to_owned(), text: text.into() });
    }

    fn attributes<'a>(&mut self, of: &str, attributes: impl IntoIterator<Item = &'a KeyValue>) {
        for attribute in attributes {
            self.add(&format!("an attribute's name {of}"), attribute.key.as_str());
            self.add(&format!("the attribute {} {of}", attribute.key), attribute.value.to_string());
        }
    }

    pub(super) fn span(&mut self, span: &SpanData) {
        let of = format!("of the span {:?}", span.name);
        self.add("a span's name", span.name.as_ref());
        self.attributes(&of, &span.attributes);
        self.add(&format!("the tracestate {of}"), span.span_context.trace_state().header());
        if let Status::Error { description } = &span.status {
            self.add(&format!("the status {of}"), description.as_ref());
        }
        for event in span.events.iter() {
            self.add(&format!("the name of an event {of}"), event.name.as_ref());
            self.attributes(&format!("of the event {:?} {of}", event.name), &event.attributes);
        }
        for link in span.links.iter() {
            self.attributes(&format!("of a link {of}"), &link.attributes);
            self.add(&format!("the tracestate of a link {of}"), link.span_context.trace_state().header());
        }
        self.add(&format!("the scope {of}"), span.instrumentation_scope.name());
        self.attributes(&format!("of the scope {of}"), span.instrumentation_scope.attributes());
    }

    pub(super) fn log(&mut self, log: &Log) {
        let of = format!("of the log record {:?}", log.body);
        self.add("a log record's body", log.body.as_str());
        self.add(&format!("the target {of}"), log.target.as_str());
        self.add(&format!("the event's name {of}"), log.event_name.clone().unwrap_or_default());
        for (key, value) in &log.attributes {
            self.add(&format!("a field's name {of}"), key.as_str());
            self.add(&format!("the field {key} {of}"), log::shown(value));
        }
    }

    pub(super) fn resource(&mut self, resource: &Resource) {
        for (key, value) in resource.iter() {
            self.add("an attribute's name of the resource", key.as_str());
            self.add(&format!("the attribute {key} of the resource"), value.to_string());
        }
    }

    pub(super) fn metrics(&mut self, metrics: &ResourceMetrics) {
        self.resource(metrics.resource());
        for scope in metrics.scope_metrics() {
            self.add("a meter's name", scope.scope().name());
            self.attributes("of a meter", scope.scope().attributes());
            for metric in scope.metrics() {
                let of = format!("of the metric {:?}", metric.name());
                self.add("a metric's name", metric.name());
                self.add(&format!("the description {of}"), metric.description());
                self.add(&format!("the unit {of}"), metric.unit());
                match metric.data() {
                    AggregatedMetrics::F64(data) => self.points(&of, data),
                    AggregatedMetrics::I64(data) => self.points(&of, data),
                    AggregatedMetrics::U64(data) => self.points(&of, data),
                }
            }
        }
    }

    fn points<T>(&mut self, of: &str, data: &MetricData<T>) {
        match data {
            MetricData::Gauge(data) => {
                data.data_points().for_each(|point| self.point(of, point.attributes(), point.exemplars()));
            }
            MetricData::Sum(data) => {
                data.data_points().for_each(|point| self.point(of, point.attributes(), point.exemplars()));
            }
            MetricData::Histogram(data) => {
                data.data_points().for_each(|point| self.point(of, point.attributes(), point.exemplars()));
            }
            MetricData::ExponentialHistogram(data) => {
                data.data_points().for_each(|point| self.point(of, point.attributes(), point.exemplars()));
            }
        }
    }

    fn point<'a, T: 'a>(
        &mut self,
        of: &str,
        attributes: impl Iterator<Item = &'a KeyValue>,
        exemplars: impl Iterator<Item = &'a Exemplar<T>>,
    ) {
        self.attributes(of, attributes);
        for exemplar in exemplars {
            self.attributes(&format!("of an exemplar {of}"), exemplar.filtered_attributes());
        }
    }
}
