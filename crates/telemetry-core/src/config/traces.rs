//! Spans: which are kept, how large they grow, and how their context travels.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use opentelemetry::trace::{SpanKind, TraceId};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, ShouldSample as _, SpanLimits};

use super::otlp::GeneralOtlp;
use super::{AttributeLimits, Batch, Env, Exporter, Otlp, ParentSamplers, Pipeline, Signal, Source};

/// What is done with spans.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Traces {
    /// `OTEL_TRACES_EXPORTER`: `otlp`, `console`, both, or `none`; by default `console` in development, `otlp` elsewhere.
    pub exporters: Vec<Exporter>,
    /// `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`, default `parentbased_always_on`.
    pub sampler: Sampler,
    /// What a file says of spans below a parent (`parent_based`); by default what the parent decided is kept.
    pub parents: Option<ParentSamplers>,
    /// `OTEL_{SPAN,EVENT,LINK}_ATTRIBUTE_COUNT_LIMIT` and `OTEL_SPAN_{EVENT,LINK}_COUNT_LIMIT`, default 128 each;
    /// `OTEL_ATTRIBUTE_COUNT_LIMIT` changes that default for attributes.
    pub limits: SpanLimits,
    /// `OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT`, else `OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT`, no limit by default: the
    /// most characters of a text among the attributes of a span, its events and its links. What is longer is cut.
    pub attribute_value_length: Option<usize>,
    /// `OTEL_BSP_*`.
    pub batch: Batch,
    /// `OTEL_EXPORTER_OTLP_*` and `OTEL_EXPORTER_OTLP_TRACES_*`.
    pub otlp: Otlp,
    /// Collectors beside that one, which a file names.
    pub further: Vec<Pipeline>,
}

impl Traces {
    /// Whether the sampler is one that variables can name, which decides by the trace id alone. One that the application
    /// has put there may look at all that a span begins with, and panic.
    pub(crate) fn has_plain_sampler(&self) -> bool {
        is_plain(&self.sampler)
    }

    /// Whether most traces that begin here are sampled; of a plain sampler.
    pub(crate) fn samples_roots(&self) -> bool {
        if !self.has_plain_sampler() {
            return false;
        }
        // A sampler by ratio looks at the lower half: half of all trace ids are below this one.
        let median = TraceId::from(1 << 63);
        let result = self.sampler.should_sample(None, median, "", &SpanKind::Server, &[], &[]);
        result.decision == SamplingDecision::RecordAndSample
    }

    pub(super) fn read(
        development: bool,
        general: &GeneralOtlp,
        limits: AttributeLimits,
        env: &mut Env,
    ) -> Self {
        let exporters = Exporter::read(Signal::Traces, development, env);
        let sampler = read_sampler(env);
        let parents = env.file().and_then(|file| file.parents.clone());
        if let Some(parents) = &parents {
            env.record("tracer_provider.sampler.parent_based", format!("{parents:?}"), Source::File);
        }
        let attributes = limits.read("OTEL_SPAN", env);
        let delay = Duration::from_secs(5);
        Self {
            exporters,
            sampler,
            parents,
            limits: read_limits(limits.count, attributes.count, env),
            attribute_value_length: attributes.value_length,
            batch: Batch::read("OTEL_BSP", delay, env),
            otlp: general.for_signal(Signal::Traces, env),
            further: Pipeline::read_further(Signal::Traces, "OTEL_BSP", delay, general, env),
        }
    }
}

/// [`Traces::has_plain_sampler`]. What is in a `ParentBased` shows itself by its debug form alone.
pub(crate) fn is_plain(sampler: &Sampler) -> bool {
    let text = format!("{sampler:?}");
    let root = text.trim_start_matches("ParentBased(").trim_end_matches(')');
    matches!(root, "AlwaysOn" | "AlwaysOff") || root.starts_with("TraceIdRatioBased(")
}

fn read_sampler(env: &mut Env) -> Sampler {
    const EXPECTED: &str = "always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off or \
                            parentbased_traceidratio (jaeger_remote, parentbased_jaeger_remote and xray are not \
                            supported)";
    const NAMES: [&str; 6] = [
        "always_on",
        "always_off",
        "traceidratio",
        "parentbased_always_on",
        "parentbased_always_off",
        "parentbased_traceidratio",
    ];
    let known = |text: &str| {
        let text = text.to_ascii_lowercase();
        NAMES.into_iter().find(|name| *name == text)
    };
    let show = |name: &&str| (*name).to_owned();
    let name = env.recorded("OTEL_TRACES_SAMPLER", "parentbased_always_on", EXPECTED, known, show);

    let (parent_based, root) = match name.strip_prefix("parentbased_") {
        Some(root) => (true, root),
        None => (false, name),
    };
    const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
    let root = match root {
        "traceidratio" => Sampler::TraceIdRatioBased(read_ratio(ARGUMENT, env)),
        root => {
            if env.find(ARGUMENT).is_some() {
                env.warn(ARGUMENT, format!("no effect: the sampler is {name}, which takes no argument"));
            }
            if root == "always_on" { Sampler::AlwaysOn } else { Sampler::AlwaysOff }
        }
    };
    if parent_based { Sampler::ParentBased(Box::new(root)) } else { root }
}

fn read_ratio(variable: &str, env: &mut Env) -> f64 {
    let parse = |text: &str| text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    env.recorded(variable, 1.0, "a ratio from 0 to 1", parse, f64::to_string)
}

fn read_limits(attributes: u32, max_attributes_per_span: u32, env: &mut Env) -> SpanLimits {
    const EXPECTED: &str = "a whole number";
    SpanLimits {
        max_attributes_per_span,
        max_events_per_span: env.setting("OTEL_SPAN_EVENT_COUNT_LIMIT", 128, EXPECTED),
        max_links_per_span: env.setting("OTEL_SPAN_LINK_COUNT_LIMIT", 128, EXPECTED),
        max_attributes_per_event: env.setting("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", attributes, EXPECTED),
        max_attributes_per_link: env.setting("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", attributes, EXPECTED),
    }
}

/// How a context travels from service to service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagator {
    /// W3C `traceparent` and `tracestate`.
    TraceContext,
    /// W3C `baggage`.
    Baggage,
    /// Zipkin's B3 in one header.
    B3,
    /// Zipkin's B3 in several headers.
    B3Multi,
    /// Jaeger's `uber-trace-id`.
    Jaeger,
    /// AWS X-Ray's `X-Amzn-Trace-Id`.
    XRay,
}

impl FromStr for Propagator {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.to_ascii_lowercase().as_str() {
            "tracecontext" => Ok(Self::TraceContext),
            "baggage" => Ok(Self::Baggage),
            "b3" => Ok(Self::B3),
            "b3multi" => Ok(Self::B3Multi),
            "jaeger" => Ok(Self::Jaeger),
            "xray" => Ok(Self::XRay),
            _ => Err(()),
        }
    }
}

impl fmt::Display for Propagator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TraceContext => "tracecontext",
            Self::Baggage => "baggage",
            Self::B3 => "b3",
            Self::B3Multi => "b3multi",
            Self::Jaeger => "jaeger",
            Self::XRay => "xray",
        })
    }
}

pub(super) fn read_propagators(env: &mut Env) -> Vec<Propagator> {
    const EXPECTED: &str =
        "a list of tracecontext, baggage, b3, b3multi, jaeger and xray, or none (ottrace is not supported)";
    env.list("OTEL_PROPAGATORS", vec![Propagator::TraceContext, Propagator::Baggage], EXPECTED)
}
