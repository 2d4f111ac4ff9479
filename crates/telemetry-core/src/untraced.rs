//! Work that leaves no spans and no metrics: excluded paths, and what runs below them.
//!
//! Such work still has a valid, unsampled span context. So its log records and its error answers name a trace,
//! a caller's trace id travels on to the services below, and those that follow their parent record nothing either.
//! (OpenTelemetry's own suppression silences log records too and forgets the caller.)

use opentelemetry::trace::{Link, SpanContext, SpanKind, TraceContextExt, TraceFlags, TraceId, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{
    IdGenerator, RandomIdGenerator, SamplingDecision, SamplingResult, ShouldSample,
};

use crate::Telemetry;
use crate::propagation::Deferring;

/// A context's mark, inherited by all below it.
struct Untraced;

/// `parent`, marked, with an unsampled span of the same trace; as it is where there is no telemetry to be left out.
pub(crate) fn untraced(parent: &Context, telemetry: &Telemetry) -> Context {
    if !telemetry.is_enabled() {
        return parent.clone();
    }
    let marked = parent.with_value(Untraced);
    if telemetry.has_own_tracer_provider() {
        // Its sampler may know nothing of the mark, and would record the span.
        let unsampled = unsampled(parent);
        return marked.with_remote_span_context(unsampled);
    }
    let tracer = telemetry.tracer();
    let span = tracer.build_with_context(tracer.span_builder("untraced"), &marked);
    marked.with_span(span)
}

/// A span of the parent's trace, or of a new one, that nobody records.
fn unsampled(parent: &Context) -> SpanContext {
    let span = parent.span();
    let parent = span.span_context();
    let ids = RandomIdGenerator::default();
    let trace_id = if parent.is_valid() { parent.trace_id() } else { ids.new_trace_id() };
    SpanContext::new(
        trace_id,
        ids.new_span_id(),
        TraceFlags::NOT_SAMPLED,
        false,
        parent.trace_state().clone(),
    )
}

/// A sampler for a tracer provider of the application's own
/// ([`TelemetryBuilder::tracer_provider`](crate::TelemetryBuilder::tracer_provider)): like `sampler`, but below excluded
/// paths and in [`Telemetry::untraced`] it samples nothing, whatever `sampler` would say, and where a caller left the
/// decision to the service it decides as for a new trace. The providers that telemetry-core makes have it already.
///
/// ```
/// use telemetry_core::opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
/// use telemetry_core::unless_untraced;
///
/// let provider = SdkTracerProvider::builder().with_sampler(unless_untraced(Sampler::AlwaysOn)).build();
/// ```
pub fn unless_untraced<S: ShouldSample + Clone + 'static>(sampler: S) -> impl ShouldSample + Clone + use<S> {
    UnlessUntraced(Deferring(sampler))
}

/// Whether nothing is to be recorded in this context.
pub(crate) fn is_untraced(context: &Context) -> bool {
    context.get::<Untraced>().is_some() || context.is_telemetry_suppressed()
}

/// [`is_untraced`] of the current context.
#[cfg(feature = "diesel")]
pub(crate) fn is_current_untraced() -> bool {
    Context::map_current(is_untraced)
}

/// The configured sampler, but for what is untraced: that is never sampled, whatever the sampler.
#[derive(Debug, Clone)]
pub(crate) struct UnlessUntraced<S>(pub(crate) S);

impl<S: ShouldSample + Clone + 'static> ShouldSample for UnlessUntraced<S> {
    fn should_sample(
        &self,
        parent_context: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        span_kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        match parent_context.filter(|context| context.get::<Untraced>().is_some()) {
            None => self.0.should_sample(parent_context, trace_id, name, span_kind, attributes, links),
            Some(context) => SamplingResult {
                decision: SamplingDecision::Drop,
                attributes: Vec::new(),
                trace_state: context.span().span_context().trace_state().clone(),
            },
        }
    }
}
