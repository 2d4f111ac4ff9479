//! B3, Zipkin's format: `b3`, or `x-b3-traceid` and its companions.
//!
//! The parent's id is read over and never sent: OpenTelemetry shares no span ids between the two sides of a
//! call. A sampling state without ids (`b3: 0`) is no trace to go on with.

use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::SpanContext;

use super::{Carried, Remote, formatted, one, span_id, trace_id};

const SINGLE: &str = "b3";
const TRACE_ID: &str = "x-b3-traceid";
const SPAN_ID: &str = "x-b3-spanid";
const SAMPLED: &str = "x-b3-sampled";
const FLAGS: &str = "x-b3-flags";
pub(super) const SINGLE_FIELDS: [&str; 1] = [SINGLE];
pub(super) const MULTI_FIELDS: [&str; 4] = [TRACE_ID, SPAN_ID, SAMPLED, FLAGS];

/// The single header where it is right, else the others.
pub(super) fn read(carrier: &dyn Extractor) -> Option<Remote> {
    let single = one(carrier, SINGLE).ok().flatten();
    single.and_then(read_single).or_else(|| read_multi(carrier))
}

/// `{trace id}-{span id}[-{sampling state}[-{parent span id}]]`.
fn read_single(header: &str) -> Option<Remote> {
    let mut parts = header.split('-');
    let trace_id = trace_id(parts.next()?)?;
    let id = span_id(parts.next()?)?;
    let (sampled, debug) = match parts.next() {
        None => (None, false),
        Some("0") => (Some(false), false),
        Some("1") => (Some(true), false),
        Some("d") => (Some(true), true),
        Some(_) => return None,
    };
    if let Some(parent) = parts.next() {
        span_id(parent)?;
    }
    parts.next().is_none().then(|| Remote::new(trace_id, id, sampled, debug))
}

fn read_multi(carrier: &dyn Extractor) -> Option<Remote> {
    let trace_id = trace_id(one(carrier, TRACE_ID).ok()??)?;
    let span_id = span_id(one(carrier, SPAN_ID).ok()??)?;
    let sampled = match one(carrier, SAMPLED).ok()? {
        None => None,
        // The words are from before the specification, which asks to understand them.
        Some("1" | "true") => Some(true),
        Some("0" | "false") => Some(false),
        Some(_) => return None,
    };
    let debug = match one(carrier, FLAGS).ok()? {
        None | Some("0") => false,
        Some("1") => true,
        Some(_) => return None,
    };
    Some(Remote::new(trace_id, span_id, sampled, debug))
}

pub(super) fn write_single(span_context: &SpanContext, carried: &Carried, carrier: &mut dyn Injector) {
    let state = match (carried.debug, span_context.is_sampled()) {
        (true, _) => 'd',
        (false, true) => '1',
        (false, false) => '0',
    };
    let (trace_id, span_id) = (span_context.trace_id(), span_context.span_id());
    carrier.set(SINGLE, formatted(51, format_args!("{trace_id}-{span_id}-{state}")));
}

pub(super) fn write_multi(span_context: &SpanContext, carried: &Carried, carrier: &mut dyn Injector) {
    carrier.set(TRACE_ID, formatted(32, format_args!("{}", span_context.trace_id())));
    carrier.set(SPAN_ID, formatted(16, format_args!("{}", span_context.span_id())));
    if carried.debug {
        // It implies the decision, which is then not sent.
        carrier.set(FLAGS, "1".to_owned());
    } else {
        carrier.set(SAMPLED, if span_context.is_sampled() { "1" } else { "0" }.to_owned());
    }
}
