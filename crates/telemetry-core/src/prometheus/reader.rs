//! What is asked for the metrics, instead of sending them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{InstrumentKind, ManualReader, Pipeline, Temporality};

use super::Format;
use super::text::Text;
use crate::exemplars::Exemplars;
use crate::export::Overflows;

/// A reader that its provider shares with whoever asks for the metrics: cumulative, and idle until asked.
#[derive(Clone, Debug)]
pub(crate) struct PullReader {
    reader: Arc<dyn MetricReader>,
    overflows: Overflows,
    has_warned: Arc<AtomicBool>,
}

impl PullReader {
    pub(crate) fn new(overflows: Overflows) -> Self {
        Self::of(Arc::new(ManualReader::default()), overflows)
    }

    /// One that tells what a cumulative reader has already: a reader more would take every measurement once more.
    pub(crate) fn of(reader: Arc<dyn MetricReader>, overflows: Overflows) -> Self {
        Self { reader, overflows, has_warned: Arc::default() }
    }

    /// All metrics so far; `None` once their provider has shut down.
    pub(crate) fn read(&self) -> Option<ResourceMetrics> {
        let mut metrics = ResourceMetrics::default();
        self.reader.collect(&mut metrics).ok()?;
        self.overflows.watch(&metrics);
        Some(metrics)
    }

    /// [`PullReader::read`], as text for Prometheus. The first text that leaves something out is logged.
    pub(crate) fn scrape(&self, format: Format, exemplars: &Exemplars) -> Option<String> {
        let Text { text, left_out } = Text::of(&self.read()?, format, exemplars);
        if let Some(first) = left_out.first()
            && !self.has_warned.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(metric.count = left_out.len(), "left out of the metrics for Prometheus: {first}");
        }
        Some(text)
    }
}

impl MetricReader for PullReader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.reader.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.reader.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.reader.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.reader.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.reader.temporality(kind)
    }
}
