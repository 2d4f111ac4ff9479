//! W3C Trace Context, Level 2: `traceparent` and `tracestate`.

use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId};

use super::{Carried, OWS, Remote, formatted, is_lower_hex, one, span_id, trace_id, trace_state};

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";
pub(super) const FIELDS: [&str; 2] = [TRACEPARENT, TRACESTATE];

/// The flags that Level 2 defines; the others are neither believed nor sent.
const SAMPLED: u8 = 0b01;
const RANDOM: u8 = 0b10;

/// The length of version 00, and the shortest that any version has.
const LENGTH: usize = 55;

pub(super) fn read(carrier: &dyn Extractor) -> Option<Remote> {
    // Two traceparents contradict each other, so neither is believed (section 3.2.1).
    let (trace_id, span_id, flags) = parse_traceparent(one(carrier, TRACEPARENT).ok()??)?;
    let (state, complete) =
        carrier.get_all(TRACESTATE).and_then(|headers| trace_state::parse(&headers)).unwrap_or_default();
    let random = flags.to_u8() & RANDOM != 0;
    Some(Remote {
        span_context: SpanContext::new(trace_id, span_id, flags, true, state),
        carried: Carried { random, trace_state: complete, ..Carried::default() },
    })
}

pub(super) fn write(span_context: &SpanContext, carried: &Carried, carrier: &mut dyn Injector) {
    let random = if carried.random { RANDOM } else { 0 };
    carrier.set(TRACEPARENT, with_flags(span_context, random));
    let state = trace_state::header(span_context.trace_state(), carried.trace_state.as_deref());
    if !state.is_empty() {
        carrier.set(TRACESTATE, state);
    }
}

/// `00-{trace id}-{span id}-{flags}`, as `traceparent` and `traceresponse` have it.
pub(crate) fn traceparent(span_context: &SpanContext) -> String {
    with_flags(span_context, 0)
}

fn with_flags(span_context: &SpanContext, flags: u8) -> String {
    let flags = (span_context.trace_flags().to_u8() | flags) & (SAMPLED | RANDOM);
    let (trace_id, span_id) = (span_context.trace_id(), span_context.span_id());
    formatted(LENGTH, format_args!("00-{trace_id}-{span_id}-{flags:02x}"))
}

/// Section 3.2.2: `version "-" trace-id "-" parent-id "-" trace-flags`, in lower-case hex.
pub(crate) fn parse_traceparent(header: &str) -> Option<(TraceId, SpanId, TraceFlags)> {
    // A later version may append fields behind a dash; version 00 may not.
    let (fields, rest) = header.trim_matches(OWS).split_at_checked(LENGTH)?;
    let mut parts = fields.split('-');
    let [version, trace, parent, flags] = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    if parts.next().is_some() || version.len() != 2 || !is_lower_hex(version) || version == "ff" {
        return None;
    }
    if !(rest.is_empty() || (version != "00" && rest.starts_with('-'))) {
        return None;
    }
    if trace.len() != 32 || flags.len() != 2 || !is_lower_hex(flags) {
        return None;
    }
    let flags = u8::from_str_radix(flags, 16).ok()?;
    Some((trace_id(trace)?, span_id(parent)?, TraceFlags::new(flags & (SAMPLED | RANDOM))))
}
