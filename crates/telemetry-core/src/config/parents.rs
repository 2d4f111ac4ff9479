//! What becomes of spans below a parent, where that is not simply what the parent decided.

use opentelemetry::trace::{Link, SpanKind, TraceContextExt as _, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{Sampler, SamplingResult, ShouldSample};

/// Samplers for spans below a parent, by where it is and what it decided (specification, "ParentBased"). A file names
/// them (`parent_based`); no variable can.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ParentSamplers {
    /// The parent is of another process, and sampled.
    pub remote_sampled: Sampler,
    /// The parent is of another process, and not sampled.
    pub remote_not_sampled: Sampler,
    /// The parent is of this process, and sampled.
    pub local_sampled: Sampler,
    /// The parent is of this process, and not sampled.
    pub local_not_sampled: Sampler,
}

/// What the parent decided is kept.
impl Default for ParentSamplers {
    fn default() -> Self {
        Self {
            remote_sampled: Sampler::AlwaysOn,
            remote_not_sampled: Sampler::AlwaysOff,
            local_sampled: Sampler::AlwaysOn,
            local_not_sampled: Sampler::AlwaysOff,
        }
    }
}

/// A root's sampler, and others below a parent.
#[derive(Debug, Clone)]
pub(crate) struct ByParent {
    pub(crate) root: Sampler,
    pub(crate) parents: ParentSamplers,
}

impl ShouldSample for ByParent {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let sampler = parent
            .filter(|parent| parent.span().span_context().is_valid())
            .map(|parent| {
                let span = parent.span();
                let span = span.span_context();
                match (span.is_remote(), span.is_sampled()) {
                    (true, true) => &self.parents.remote_sampled,
                    (true, false) => &self.parents.remote_not_sampled,
                    (false, true) => &self.parents.local_sampled,
                    (false, false) => &self.parents.local_not_sampled,
                }
            })
            .unwrap_or(&self.root);
        sampler.should_sample(parent, trace_id, name, kind, attributes, links)
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceState};
    use opentelemetry_sdk::trace::SamplingDecision;

    use super::*;

    #[test]
    fn each_kind_of_parent_has_the_sampler_of_its_own() {
        let (on, off) = (Sampler::AlwaysOn, Sampler::AlwaysOff);
        let parent = |is_remote, is_sampled| {
            let flags = if is_sampled { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
            let (trace, span) = (TraceId::from(1_u128), SpanId::from(1_u64));
            let span = SpanContext::new(trace, span, flags, is_remote, TraceState::default());
            Context::new().with_remote_span_context(span)
        };
        let parents =
            [parent(true, true), parent(true, false), parent(false, true), parent(false, false)].map(Some);
        for sampled in 0..5 {
            let one = |number| if number == sampled { on.clone() } else { off.clone() };
            let sampler = ByParent {
                root: one(4),
                parents: ParentSamplers {
                    remote_sampled: one(0),
                    remote_not_sampled: one(1),
                    local_sampled: one(2),
                    local_not_sampled: one(3),
                },
            };
            for (number, parent) in parents.iter().chain(&[None]).enumerate() {
                let result = sampler.should_sample(
                    parent.as_ref(),
                    TraceId::from(1_u128),
                    "",
                    &SpanKind::Internal,
                    &[],
                    &[],
                );
                let is_sampled = result.decision == SamplingDecision::RecordAndSample;
                assert_eq!(is_sampled, number == sampled, "{number} of {sampled}");
            }
        }
    }
}
