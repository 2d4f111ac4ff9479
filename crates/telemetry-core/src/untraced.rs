//! Work that leaves no spans and no metrics: excluded paths, and what runs below them.
//!
//! Such work still has a valid, unsampled span context. So its log records and its error answers name a trace,
//! a caller's trace id travels on to the services below, and those that follow their parent record nothing either.
//! (OpenTelemetry's own suppression silences log records too and forgets the caller.)

use opentelemetry::trace::{Link, SpanKind, TraceContextExt, TraceId, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, SdkTracer, ShouldSample};

/// A context's mark, inherited by all below it.
struct Untraced;

/// `parent`, marked, with an unsampled span of the same trace.
pub(crate) fn untraced(parent: &Context, tracer: &SdkTracer) -> Context {
    let marked = parent.with_value(Untraced);
    let span = tracer.build_with_context(tracer.span_builder("untraced"), &marked);
    marked.with_span(span)
}

/// Whether nothing is to be recorded in this context.
pub(crate) fn is_untraced(context: &Context) -> bool {
    context.get::<Untraced>().is_some() || context.is_telemetry_suppressed()
}

/// [`is_untraced`] of the current context.
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
