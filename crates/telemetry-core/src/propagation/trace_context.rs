//! W3C Trace Context, Level 2: `traceparent` and `tracestate`.

use std::ops::Range;

use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId};

use super::{Carried, OWS, Remote, one, trace_state};

pub(super) const TRACEPARENT: &str = "traceparent";
pub(super) const TRACESTATE: &str = "tracestate";
pub(super) const FIELDS: [&str; 2] = [TRACEPARENT, TRACESTATE];

/// The flags that Level 2 defines; the others are neither believed nor sent.
const SAMPLED: u8 = 0b01;
const RANDOM: u8 = 0b10;

/// The length of version 00, and the shortest that any version has.
const LENGTH: usize = 55;

/// Where its fields are; a dash follows each but the last.
const VERSION: Range<usize> = 0..2;
const TRACE_ID: Range<usize> = 3..35;
const SPAN_ID: Range<usize> = 36..52;
const FLAGS: Range<usize> = 53..55;

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
    carrier.set(TRACEPARENT, text(&with_flags(span_context, random)));
    let state = trace_state::header(span_context.trace_state(), carried.trace_state.as_deref());
    if !state.is_empty() {
        carrier.set(TRACESTATE, state);
    }
}

/// `00-{trace id}-{span id}-{flags}`, as `traceparent` and `traceresponse` have it.
pub(crate) fn traceparent(span_context: &SpanContext) -> String {
    text(&with_flags(span_context, 0))
}

/// [`traceparent`] as bytes, all of them ASCII.
#[cfg(feature = "actix")]
pub(crate) fn traceparent_bytes(span_context: &SpanContext) -> [u8; LENGTH] {
    with_flags(span_context, 0)
}

fn text(header: &[u8; LENGTH]) -> String {
    std::str::from_utf8(header).unwrap_or_default().to_owned()
}

fn with_flags(span_context: &SpanContext, flags: u8) -> [u8; LENGTH] {
    let flags = (span_context.trace_flags().to_u8() | flags) & (SAMPLED | RANDOM);
    let mut header = *b"00-00000000000000000000000000000000-0000000000000000-00";
    write_hex(&mut header[TRACE_ID], &span_context.trace_id().to_bytes());
    write_hex(&mut header[SPAN_ID], &span_context.span_id().to_bytes());
    write_hex(&mut header[FLAGS], &[flags]);
    header
}

fn write_hex(place: &mut [u8], bytes: &[u8]) {
    for (digits, byte) in place.as_chunks_mut().0.iter_mut().zip(bytes) {
        *digits = HEX[usize::from(*byte)];
    }
}

/// The two lower-case digits of each byte.
const HEX: [[u8; 2]; 256] = {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hex = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        hex[byte] = [DIGITS[byte >> 4], DIGITS[byte & 0xf]];
        byte += 1;
    }
    hex
};

/// Section 3.2.2: `version "-" trace-id "-" parent-id "-" trace-flags`, in lower-case hex.
pub(crate) fn parse_traceparent(header: &str) -> Option<(TraceId, SpanId, TraceFlags)> {
    // A later version may append fields behind a dash; version 00 may not.
    let (fields, rest) = header.trim_matches(OWS).as_bytes().split_at_checked(LENGTH)?;
    if fields[VERSION.end] != b'-' || fields[TRACE_ID.end] != b'-' || fields[SPAN_ID.end] != b'-' {
        return None;
    }
    let [version] = read_hex(&fields[VERSION])?;
    if version == 0xff || !(rest.is_empty() || (version != 0 && rest.starts_with(b"-"))) {
        return None;
    }
    let trace_id = TraceId::from(u128::from_be_bytes(read_hex(&fields[TRACE_ID])?));
    let span_id = SpanId::from(u64::from_be_bytes(read_hex(&fields[SPAN_ID])?));
    let [flags] = read_hex(&fields[FLAGS])?;
    let is_valid = trace_id != TraceId::INVALID && span_id != SpanId::INVALID;
    is_valid.then(|| (trace_id, span_id, TraceFlags::new(flags & (SAMPLED | RANDOM))))
}

/// So many bytes out of twice as many lower-case digits.
fn read_hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    for (byte, digits) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(digits[0])? << 4 | digit(digits[1])?;
    }
    Some(bytes)
}

fn digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}
