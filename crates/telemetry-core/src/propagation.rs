//! Trace context and baggage in and out of headers, as `OTEL_PROPAGATORS` has it.
//!
//! | name | headers | in | out |
//! |---|---|---|---|
//! | `tracecontext` | `traceparent`, `tracestate` | W3C Trace Context Level 2 | the same |
//! | `baggage` | `baggage` | W3C Baggage | the same |
//! | `b3` | `b3`, `x-b3-*` | the single header, else the others | the single header |
//! | `b3multi` | `b3`, `x-b3-*` | the single header, else the others | the others |
//! | `jaeger` | `uber-trace-id` | Jaeger's native format, without `uberctx-*` | the same |
//! | `xray` | `x-amzn-trace-id` | AWS X-Ray's `Root`, `Parent`, `Sampled` | the same |
//!
//! Of several formats all are written. On the way in each is tried in the order of the list, and the last one
//! that is right wins: OpenTelemetry's rule for composite propagators, each of which may replace what those
//! before it found. A header that is wrong, or there more than once where one is meant, counts as not there.
//!
//! What a [`SpanContext`] has no place for (a forced or a deferred sampling decision, the random flag where the
//! span is not sampled, members of `tracestate` that the API refuses) travels in the [`Context`] beside it.

mod b3;
mod baggage;
mod jaeger;
mod trace_context;
mod trace_state;
mod xray;

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::sync::LazyLock;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::baggage::{Baggage, BaggageExt};
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{
    Link, SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SamplingResult, ShouldSample};

#[cfg(feature = "actix")]
pub(crate) use self::trace_context::traceparent_bytes;
pub(crate) use self::trace_context::{parse_traceparent, traceparent};
use crate::config::Propagator;
use crate::untraced::is_untraced;

/// The propagators in use, as one.
#[derive(Clone)]
pub struct Propagation {
    formats: Vec<Propagator>,
    fields: Vec<String>,
    /// Names of baggage entries that callers may not set.
    reserved: Vec<String>,
}

impl Propagation {
    /// These propagators; callers may set any baggage.
    pub fn new(formats: &[Propagator]) -> Self {
        let fields = formats.iter().flat_map(|format| format.fields()).map(|&name| name.to_owned()).collect();
        Self { formats: formats.to_vec(), fields, reserved: Vec::new() }
    }

    /// Drops baggage entries of these names on the way in: only this process sets them. The others are
    /// carried on.
    #[must_use]
    pub fn reserving(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.reserved = names.into_iter().map(Into::into).collect();
        self
    }

    /// What a request brings along, and nothing else: it belongs to its caller, whatever this thread did
    /// before. `None` where that is neither a trace nor baggage.
    ///
    /// A trusted caller may set reserved baggage.
    pub(crate) fn extract(
        &self,
        carrier: &dyn Extractor,
        is_trusted: impl FnOnce() -> bool,
    ) -> Option<Context> {
        let context = self.remote(carrier).map(|Remote { span_context, carried }| {
            let context = if carried == Carried::default() {
                Context::new()
            } else if carried == Carried::RANDOM {
                RANDOM.clone()
            } else {
                Context::new().with_value(carried)
            };
            context.with_remote_span_context(span_context)
        });
        match self.baggage(carrier, is_trusted) {
            Some(baggage) => Some(context.unwrap_or_else(new_trace).with_baggage(baggage)),
            None => context,
        }
    }

    pub(crate) fn inject(&self, cx: &Context, carrier: &mut dyn Injector) {
        let span = cx.span();
        let span_context = span.span_context();
        let carried = cx.get::<Carried>().unwrap_or(&Carried::NOTHING);
        let unforced;
        let carried = if carried.debug && is_untraced(cx) {
            unforced = Carried { debug: false, ..carried.clone() };
            &unforced
        } else {
            carried
        };
        for format in &self.formats {
            match format {
                Propagator::Baggage => baggage::write(cx, carrier),
                _ if !span_context.is_valid() => {}
                Propagator::TraceContext => trace_context::write(span_context, carried, carrier),
                Propagator::B3 => b3::write_single(span_context, carried, carrier),
                Propagator::B3Multi => b3::write_multi(span_context, carried, carrier),
                Propagator::Jaeger => jaeger::write(span_context, carried, carrier),
                Propagator::XRay => xray::write(span_context, carrier),
            }
        }
    }

    fn remote(&self, carrier: &dyn Extractor) -> Option<Remote> {
        self.formats.iter().rev().find_map(|format| match format {
            Propagator::TraceContext => trace_context::read(carrier),
            Propagator::Baggage => None,
            Propagator::B3 | Propagator::B3Multi => b3::read(carrier),
            Propagator::Jaeger => jaeger::read(carrier),
            Propagator::XRay => xray::read(carrier),
        })
    }

    fn baggage(&self, carrier: &dyn Extractor, is_trusted: impl FnOnce() -> bool) -> Option<Baggage> {
        if !self.formats.contains(&Propagator::Baggage) {
            return None;
        }
        baggage::read(carrier, || if is_trusted() { &[] } else { &*self.reserved })
    }
}

impl TextMapPropagator for Propagation {
    fn inject_context(&self, cx: &Context, injector: &mut dyn Injector) {
        self.inject(cx, injector);
    }

    fn extract_with_context(&self, cx: &Context, extractor: &dyn Extractor) -> Context {
        let context = match self.remote(extractor) {
            Some(Remote { span_context, carried }) => {
                cx.with_value(carried).with_remote_span_context(span_context)
            }
            None => cx.clone(),
        };
        match self.baggage(extractor, || false) {
            Some(baggage) => context.with_baggage(baggage),
            None => context,
        }
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.fields)
    }
}

impl fmt::Debug for Propagation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.fields).finish()
    }
}

impl Propagator {
    fn fields(self) -> &'static [&'static str] {
        match self {
            Self::TraceContext => &trace_context::FIELDS,
            Self::Baggage => &baggage::FIELDS,
            Self::B3 => &b3::SINGLE_FIELDS,
            Self::B3Multi => &b3::MULTI_FIELDS,
            Self::Jaeger => &jaeger::FIELDS,
            Self::XRay => &xray::FIELDS,
        }
    }
}

/// The caller's span, as a header told it.
#[derive(Debug, Clone, PartialEq)]
struct Remote {
    span_context: SpanContext,
    carried: Carried,
}

impl Remote {
    /// A caller that knows no `tracestate`. No decision is a deferred one.
    fn new(trace_id: TraceId, span_id: SpanId, sampled: Option<bool>, debug: bool) -> Self {
        let flags = TraceFlags::default().with_sampled(debug || sampled == Some(true));
        let deferred = !debug && sampled.is_none();
        Self {
            span_context: SpanContext::new(trace_id, span_id, flags, true, TraceState::NONE),
            carried: Carried { debug, deferred, ..Carried::default() },
        }
    }
}

/// What belongs to a trace and has no place in its [`SpanContext`].
#[derive(Debug, Clone, Default, PartialEq)]
struct Carried {
    /// The trace id is random (Level 2, "Random Trace ID Flag"). The SDK drops the flag of spans that it does
    /// not sample, and sets none on those it starts.
    random: bool,
    /// Sampled by force: B3's `d`, Jaeger's flag 2.
    debug: bool,
    /// The caller leaves the sampling decision to us.
    deferred: bool,
    /// All members of `tracestate`, where the API's [`TraceState`] refuses some of them.
    trace_state: Option<String>,
}

impl Carried {
    const NOTHING: Self = Self { random: false, debug: false, deferred: false, trace_state: None };
    const RANDOM: Self = Self { random: true, debug: false, deferred: false, trace_state: None };
}

static RANDOM: LazyLock<Context> = LazyLock::new(|| Context::new().with_value(Carried::RANDOM));

/// An empty context for a trace that begins here: its id will be random, and the traceparents sent say so.
pub(crate) fn new_trace() -> Context {
    // Made once: every request without a caller's trace begins with it.
    RANDOM.clone()
}

/// The context to start a span in: where that begins a trace, like [`new_trace`].
pub(crate) fn begun_here(parent: &Context) -> Cow<'_, Context> {
    if parent.span().span_context().is_valid() || parent.get() == Some(&Carried::RANDOM) {
        Cow::Borrowed(parent)
    } else {
        Cow::Owned(parent.with_value(Carried::RANDOM))
    }
}

/// A sampler that decides for itself where a caller left the decision to it.
#[derive(Debug, Clone)]
pub(crate) struct Deferring<S>(pub(crate) S);

impl<S: ShouldSample + Clone + 'static> ShouldSample for Deferring<S> {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let is_deferred = |parent: &&Context| {
            parent.span().span_context().is_remote() && parent.get::<Carried>().is_some_and(|c| c.deferred)
        };
        let parent = parent.filter(|parent| !is_deferred(parent));
        self.0.should_sample(parent, trace_id, name, kind, attributes, links)
    }
}

/// The header's one value without the white space around it: `None` where it is not there, an error where it
/// is there more than once.
fn one<'a>(carrier: &'a dyn Extractor, name: &str) -> Result<Option<&'a str>, Repeated> {
    match carrier.get_all(name).as_deref() {
        None | Some([]) => Ok(None),
        Some([value]) => Ok(Some(value.trim_matches(OWS))),
        Some(_) => Err(Repeated),
    }
}

struct Repeated;

/// Optional white space around values and list members.
const OWS: [char; 2] = [' ', '\t'];

/// A trace id out of 32 lower-case hexadecimal digits, or 16 for those whose upper half is zero.
fn trace_id(text: &str) -> Option<TraceId> {
    if !matches!(text.len(), 16 | 32) || !is_lower_hex(text) {
        return None;
    }
    TraceId::from_hex(text).ok().filter(|id| *id != TraceId::INVALID)
}

/// A span id out of 16 lower-case hexadecimal digits.
fn span_id(text: &str) -> Option<SpanId> {
    if text.len() != 16 || !is_lower_hex(text) {
        return None;
    }
    SpanId::from_hex(text).ok().filter(|id| *id != SpanId::INVALID)
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Formats into one allocation of this size.
fn formatted(capacity: usize, text: fmt::Arguments<'_>) -> String {
    let mut header = String::with_capacity(capacity);
    // Writing to a String cannot fail.
    let _ = header.write_fmt(text);
    header
}

/// Reads the headers of an actix request.
#[cfg(feature = "actix")]
pub(crate) struct ActixHeaders<'a>(pub(crate) &'a actix_web::http::header::HeaderMap);

#[cfg(feature = "actix")]
impl Extractor for ActixHeaders<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.values(key).next()?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(|name| name.as_str()).collect()
    }

    /// All values of a repeated header. One that is not text makes the header invalid as a whole,
    /// which an impossible value stands for.
    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        let values = self.values(key);
        if values.len() == 0 {
            return None;
        }
        Some(values.map(|value| value.to_str().unwrap_or("\u{fffd}")).collect())
    }
}

#[cfg(feature = "actix")]
impl<'a> ActixHeaders<'a> {
    /// The names that every request is asked for need not be made of text each time.
    fn values(&self, key: &str) -> std::slice::Iter<'a, actix_web::http::header::HeaderValue> {
        use actix_web::http::header::HeaderName;

        static TRACEPARENT: HeaderName = HeaderName::from_static(trace_context::TRACEPARENT);
        static TRACESTATE: HeaderName = HeaderName::from_static(trace_context::TRACESTATE);
        static BAGGAGE: HeaderName = HeaderName::from_static(baggage::BAGGAGE);
        match key {
            trace_context::TRACEPARENT => self.0.get_all(&TRACEPARENT),
            trace_context::TRACESTATE => self.0.get_all(&TRACESTATE),
            baggage::BAGGAGE => self.0.get_all(&BAGGAGE),
            _ => self.0.get_all(key),
        }
    }
}

/// Writes into the headers of a reqwest request. Values that no header may hold are left out.
pub(crate) struct RequestHeaders<'a>(pub(crate) &'a mut HeaderMap);

impl Injector for RequestHeaders<'_> {
    fn set(&mut self, key: &str, value: String) {
        let name = match key {
            trace_context::TRACEPARENT => Ok(HeaderName::from_static(trace_context::TRACEPARENT)),
            trace_context::TRACESTATE => Ok(HeaderName::from_static(trace_context::TRACESTATE)),
            baggage::BAGGAGE => Ok(HeaderName::from_static(baggage::BAGGAGE)),
            _ => HeaderName::try_from(key),
        };
        if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
