//! Jaeger's native format: `uber-trace-id: {trace id}:{span id}:{parent span id}:{flags}`.
//!
//! Baggage in `uberctx-*` headers is not read: W3C `baggage` is the one way for it here.

use std::borrow::Cow;

use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::{SpanContext, SpanId, TraceId};

use super::{Carried, Remote, formatted, one};

const UBER_TRACE_ID: &str = "uber-trace-id";
pub(super) const FIELDS: [&str; 1] = [UBER_TRACE_ID];

/// Every digit written out and every colon encoded.
const MAX_LENGTH: usize = 32 + 16 + 16 + 2 + 3 * "%3A".len();

const SAMPLED: u64 = 1;
/// Counts together with [`SAMPLED`] only.
const DEBUG: u64 = 2;

pub(super) fn read(carrier: &dyn Extractor) -> Option<Remote> {
    let header = one(carrier, UBER_TRACE_ID).ok()??;
    if header.len() > MAX_LENGTH {
        return None;
    }
    // Some clients send header values URL-encoded.
    let header = if header.contains('%') {
        Cow::Owned(header.replace("%3A", ":").replace("%3a", ":"))
    } else {
        Cow::Borrowed(header)
    };
    let mut parts = header.split(':');
    let trace_id = TraceId::from(number(parts.next()?, 32)?);
    let span_id = SpanId::from(u64::try_from(number(parts.next()?, 16)?).ok()?);
    // The parent's id is there for old clients only, and may be anything that is a number.
    number(parts.next()?, 16)?;
    let flags = u64::try_from(number(parts.next()?, 2)?).ok()?;
    if parts.next().is_some() || trace_id == TraceId::INVALID || span_id == SpanId::INVALID {
        return None;
    }
    let sampled = flags & SAMPLED != 0;
    Some(Remote::new(trace_id, span_id, Some(sampled), sampled && flags & DEBUG != 0))
}

/// Up to so many hexadecimal digits: zeros on the left may be left out.
fn number(text: &str, max_digits: usize) -> Option<u128> {
    let is_number =
        (1..=max_digits).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_number.then(|| u128::from_str_radix(text, 16).ok())?
}

pub(super) fn write(span_context: &SpanContext, carried: &Carried, carrier: &mut dyn Injector) {
    let flags = match (carried.debug, span_context.is_sampled()) {
        (true, _) => SAMPLED | DEBUG,
        (false, true) => SAMPLED,
        (false, false) => 0,
    };
    let (trace_id, span_id) = (span_context.trace_id(), span_context.span_id());
    carrier.set(UBER_TRACE_ID, formatted(53, format_args!("{trace_id}:{span_id}:0:{flags:x}")));
}
