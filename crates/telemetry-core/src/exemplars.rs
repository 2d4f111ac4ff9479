//! Exemplars: measurements that point from a metric to a trace (specification, "Exemplar"). The SDK takes none, so the
//! histograms of durations that are ours take them; the OTLP exporter adds them to their data points, and OpenMetrics
//! text to the lines of their buckets.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::metrics::{BoundHistogram, Histogram};
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use opentelemetry::{Context, KeyValue, SpanId, TraceId};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue as KeyValueMessage;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Exemplar as ExemplarMessage, HistogramDataPoint, exemplar};
use opentelemetry_semantic_conventions::attribute;

use crate::config::ExemplarFilter;

/// Where exemplars wait for the next export and the next scrape. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Exemplars {
    filter: ExemplarFilter,
    reservoirs: Arc<Mutex<Vec<Arc<Reservoir>>>>,
}

impl Exemplars {
    pub(crate) fn new(filter: ExemplarFilter) -> Self {
        Self { filter, reservoirs: Arc::default() }
    }

    /// The histogram with exemplars, which it shares with every other of its name; `name` and `bounds` are those it was made with.
    pub(crate) fn of(
        &self,
        histogram: Histogram<f64>,
        name: &'static str,
        bounds: &[f64],
    ) -> TracedHistogram {
        if self.filter == ExemplarFilter::AlwaysOff {
            return TracedHistogram { histogram, reservoir: None };
        }
        let mut reservoirs = self.reservoirs.lock().unwrap_or_else(PoisonError::into_inner);
        let known = reservoirs.iter().find(|reservoir| reservoir.name == name).cloned();
        let reservoir = known.unwrap_or_else(|| {
            let places = (0..2 * (bounds.len() + 1)).map(|_| Place::default()).collect();
            let new = Arc::new(Reservoir { name, filter: self.filter, bounds: bounds.to_vec(), places });
            reservoirs.push(new.clone());
            new
        });
        TracedHistogram { histogram, reservoir: Some(reservoir) }
    }

    /// Those of the metric of this name that a scrape tells, and wants newer ones. They are told again until there are.
    ///
    /// A measurement that came after the collection is not in it: its exemplar waits for the next.
    pub(crate) fn scraped(&self, metric: &str, collected: SystemTime) -> Vec<Arc<Exemplar>> {
        let reservoirs = self.reservoirs.lock().unwrap_or_else(PoisonError::into_inner);
        let reservoir = reservoirs.iter().find(|reservoir| reservoir.name == metric).cloned();
        drop(reservoirs);
        let places = reservoir.as_ref().map(|reservoir| &reservoir.places[..]).unwrap_or_default();
        places.iter().filter_map(|place| place.scraped(nanoseconds(collected))).collect()
    }

    /// Moves the exemplars to the data points that their measurements went to, and wants new ones.
    pub(crate) fn fill(&self, request: &mut ExportMetricsServiceRequest) {
        let reservoirs = self.reservoirs.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let metrics = request.resource_metrics.iter_mut().flat_map(|resource| &mut resource.scope_metrics);
        for metric in metrics.flat_map(|scope| &mut scope.metrics) {
            let Some(Data::Histogram(histogram)) = &mut metric.data else { continue };
            for reservoir in reservoirs.iter().filter(|reservoir| reservoir.name == metric.name) {
                reservoir.places.iter().for_each(|place| place.fill(&mut histogram.data_points));
            }
        }
    }
}

/// A histogram whose measurements may become exemplars.
#[derive(Debug, Clone)]
pub(crate) struct TracedHistogram {
    histogram: Histogram<f64>,
    reservoir: Option<Arc<Reservoir>>,
}

impl TracedHistogram {
    /// Records the measurement, and keeps it as an exemplar of the current span where the next export or scrape
    /// wants one.
    pub(crate) fn record(&self, value: f64, attributes: &[KeyValue]) {
        self.histogram.record(value, attributes);
        if let Some(reservoir) = &self.reservoir {
            reservoir
                .offer(value, attributes, || Context::map_current(|cx| Ids::of(cx.span().span_context())));
        }
    }

    /// [`TracedHistogram::record`] of a span that is not the current one.
    pub(crate) fn record_of(&self, span: &SpanContext, value: f64, attributes: &[KeyValue]) {
        self.histogram.record(value, attributes);
        if let Some(reservoir) = &self.reservoir {
            reservoir.offer(value, attributes, || Ids::of(span));
        }
    }
}

impl TracedHistogram {
    /// The one series with these attributes.
    pub(crate) fn bind(&self, attributes: Vec<KeyValue>) -> BoundTracedHistogram {
        BoundTracedHistogram {
            histogram: self.histogram.bind(&attributes),
            reservoir: self.reservoir.clone(),
            attributes,
        }
    }
}

/// One series of a [`TracedHistogram`]: it need not be looked for.
#[derive(Debug)]
pub(crate) struct BoundTracedHistogram {
    histogram: BoundHistogram<f64>,
    reservoir: Option<Arc<Reservoir>>,
    attributes: Vec<KeyValue>,
}

impl BoundTracedHistogram {
    #[cfg(any(feature = "actix", feature = "reqwest"))]
    pub(crate) fn attributes(&self) -> &[KeyValue] {
        &self.attributes
    }

    /// [`TracedHistogram::record_of`] this series.
    pub(crate) fn record_of(&self, span: &SpanContext, value: f64) {
        self.histogram.record(value);
        if let Some(reservoir) = &self.reservoir {
            reservoir.offer(value, &self.attributes, || Ids::of(span));
        }
    }
}

/// The exemplars of one instrument: for each bucket one of what went well and one of what did not, each the first
/// since the last export, and since the last scrape. Its size is fixed, however many series there are; a measurement
/// that is not kept costs a look at its bucket.
#[derive(Debug)]
struct Reservoir {
    name: &'static str,
    filter: ExemplarFilter,
    bounds: Vec<f64>,
    places: Vec<Place>,
}

#[derive(Debug)]
struct Place {
    /// Which of [`EXPORT`] and [`SCRAPE`] want a new one.
    wanted: AtomicU8,
    kept: Mutex<Kept>,
}

const EXPORT: u8 = 0b01;
const SCRAPE: u8 = 0b10;

#[derive(Debug, Default)]
struct Kept {
    for_export: Option<Arc<Exemplar>>,
    for_scrape: Option<Arc<Exemplar>>,
}

/// A measurement, the span it was made in, and the attributes of its series.
#[derive(Debug)]
pub(crate) struct Exemplar {
    pub(crate) value: f64,
    pub(crate) time_unix_nano: u64,
    trace_id: TraceId,
    span_id: SpanId,
    attributes: Vec<KeyValue>,
}

impl Exemplar {
    /// The trace's id and the span's; `None` where no span was current.
    pub(crate) fn ids(&self) -> Option<(TraceId, SpanId)> {
        (self.trace_id != TraceId::INVALID).then_some((self.trace_id, self.span_id))
    }

    /// Whether the series with these attributes is its own.
    pub(crate) fn is_of(&self, attributes: &[KeyValue]) -> bool {
        attributes.len() == self.attributes.len()
            && self.attributes.iter().all(|one| attributes.contains(one))
    }
}

impl Reservoir {
    fn offer(&self, value: f64, attributes: &[KeyValue], ids: impl FnOnce() -> Ids) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        let is_error = attributes.iter().any(|one| one.key.as_str() == attribute::ERROR_TYPE);
        let Some(place) = self.places.get(2 * bucket + usize::from(is_error)) else { return };
        if place.wanted.load(Ordering::Relaxed) == 0 {
            return;
        }
        let Ids { trace_id, span_id, is_sampled } = ids();
        if self.filter == ExemplarFilter::AlwaysOn || is_sampled {
            let time_unix_nano = nanoseconds(SystemTime::now());
            place.keep(|| Exemplar {
                value,
                time_unix_nano,
                trace_id,
                span_id,
                attributes: attributes.to_vec(),
            });
        }
    }
}

struct Ids {
    trace_id: TraceId,
    span_id: SpanId,
    is_sampled: bool,
}

impl Ids {
    fn of(span: &SpanContext) -> Self {
        Self { trace_id: span.trace_id(), span_id: span.span_id(), is_sampled: span.is_sampled() }
    }
}

impl Default for Place {
    fn default() -> Self {
        Self { wanted: AtomicU8::new(EXPORT | SCRAPE), kept: Mutex::default() }
    }
}

impl Place {
    /// Keeps an exemplar for those who still want one.
    fn keep(&self, exemplar: impl FnOnce() -> Exemplar) {
        let wanted = self.wanted.swap(0, Ordering::AcqRel);
        if wanted == 0 {
            return;
        }
        let exemplar = Arc::new(exemplar());
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if wanted & EXPORT != 0 {
            kept.for_export = Some(exemplar.clone());
        }
        if wanted & SCRAPE != 0 {
            kept.for_scrape = Some(exemplar);
        }
    }

    /// Gives its exemplar to its point. Where it has none (the series is summed up with others), it is dropped; where
    /// it is later than the collection, it waits for the next.
    fn fill(&self, points: &mut [HistogramDataPoint]) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let collected = points.iter().map(|point| point.time_unix_nano).max().unwrap_or_default();
        let is_in_it = |exemplar: &mut Arc<Exemplar>| exemplar.time_unix_nano <= collected;
        let Some(exemplar) = kept.for_export.take_if(is_in_it) else { return };
        drop(kept);
        self.wanted.fetch_or(EXPORT, Ordering::Release);
        let attributes: Vec<KeyValueMessage> = exemplar.attributes.iter().map(Into::into).collect();
        let is_its_own = |point: &&mut HistogramDataPoint| {
            point.attributes.len() == attributes.len()
                && attributes.iter().all(|one| point.attributes.contains(one))
        };
        if let Some(point) = points.iter_mut().find(is_its_own) {
            let (trace_id, span_id) = match exemplar.ids() {
                Some((trace_id, span_id)) => (trace_id.to_bytes().to_vec(), span_id.to_bytes().to_vec()),
                None => (Vec::new(), Vec::new()),
            };
            point.exemplars.push(ExemplarMessage {
                filtered_attributes: Vec::new(),
                time_unix_nano: exemplar.time_unix_nano,
                span_id,
                trace_id,
                value: Some(exemplar::Value::AsDouble(exemplar.value)),
            });
        }
    }

    fn scraped(&self, collected: u64) -> Option<Arc<Exemplar>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let exemplar = kept.for_scrape.clone().filter(|exemplar| exemplar.time_unix_nano <= collected)?;
        drop(kept);
        self.wanted.fetch_or(SCRAPE, Ordering::Release);
        Some(exemplar)
    }
}

fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
