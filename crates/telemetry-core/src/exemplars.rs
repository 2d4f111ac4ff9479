//! Exemplars: measurements that point from a metric to a trace (specification, "Exemplar"). The SDK takes none, so the
//! histograms of durations that are ours take them, and the OTLP exporter adds them to their data points.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::metrics::Histogram;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context, KeyValue, SpanId, TraceId};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue as KeyValueMessage;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Exemplar as ExemplarMessage, HistogramDataPoint, exemplar};
use opentelemetry_semantic_conventions::attribute;

use crate::config::ExemplarFilter;

/// Where exemplars wait for the next export. Clones share them.
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

    /// Whether there may be any.
    pub(crate) fn is_empty(&self) -> bool {
        self.reservoirs.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
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
    /// Records the measurement, and keeps it as an exemplar of the current span where the next export wants one.
    pub(crate) fn record(&self, value: f64, attributes: &[KeyValue]) {
        self.histogram.record(value, attributes);
        if let Some(reservoir) = &self.reservoir {
            reservoir.offer(value, attributes);
        }
    }
}

/// The exemplars of one instrument: for each bucket one of what went well and one of what did not, each the first
/// since the last export. Its size is fixed, however many series there are; a measurement that is not kept costs a
/// look at its bucket.
#[derive(Debug)]
struct Reservoir {
    name: &'static str,
    filter: ExemplarFilter,
    bounds: Vec<f64>,
    places: Vec<Place>,
}

#[derive(Debug, Default)]
struct Place {
    is_taken: AtomicBool,
    exemplar: Mutex<Option<Exemplar>>,
}

#[derive(Debug)]
struct Exemplar {
    value: f64,
    time_unix_nano: u64,
    trace_id: TraceId,
    span_id: SpanId,
    attributes: Vec<KeyValue>,
}

impl Reservoir {
    fn offer(&self, value: f64, attributes: &[KeyValue]) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        let is_error = attributes.iter().any(|one| one.key.as_str() == attribute::ERROR_TYPE);
        let Some(place) = self.places.get(2 * bucket + usize::from(is_error)) else { return };
        if place.is_taken.load(Ordering::Relaxed) {
            return;
        }
        let (trace_id, span_id, is_sampled) = Context::map_current(|cx| {
            let span = cx.span();
            let span = span.span_context();
            (span.trace_id(), span.span_id(), span.is_sampled())
        });
        if (self.filter == ExemplarFilter::AlwaysOn || is_sampled)
            && !place.is_taken.swap(true, Ordering::AcqRel)
        {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let time_unix_nano = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
            let exemplar =
                Exemplar { value, time_unix_nano, trace_id, span_id, attributes: attributes.to_vec() };
            *place.exemplar.lock().unwrap_or_else(PoisonError::into_inner) = Some(exemplar);
        }
    }
}

impl Place {
    /// Gives its exemplar to its point. Where it has none (the series is summed up with others), it is dropped; where
    /// it is later than the collection, it waits for the next.
    fn fill(&self, points: &mut [HistogramDataPoint]) {
        let mut waiting = self.exemplar.lock().unwrap_or_else(PoisonError::into_inner);
        let collected = points.iter().map(|point| point.time_unix_nano).max().unwrap_or_default();
        let Some(exemplar) = waiting.take_if(|exemplar| exemplar.time_unix_nano <= collected) else { return };
        drop(waiting);
        self.is_taken.store(false, Ordering::Release);
        let attributes: Vec<KeyValueMessage> = exemplar.attributes.iter().map(Into::into).collect();
        let is_its_own = |point: &&mut HistogramDataPoint| {
            point.attributes.len() == attributes.len()
                && attributes.iter().all(|one| point.attributes.contains(one))
        };
        if let Some(point) = points.iter_mut().find(is_its_own) {
            let is_traced = exemplar.trace_id != TraceId::INVALID;
            point.exemplars.push(ExemplarMessage {
                filtered_attributes: Vec::new(),
                time_unix_nano: exemplar.time_unix_nano,
                span_id: if is_traced { exemplar.span_id.to_bytes().to_vec() } else { Vec::new() },
                trace_id: if is_traced { exemplar.trace_id.to_bytes().to_vec() } else { Vec::new() },
                value: Some(exemplar::Value::AsDouble(exemplar.value)),
            });
        }
    }
}
