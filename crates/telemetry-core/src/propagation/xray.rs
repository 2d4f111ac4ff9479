//! AWS X-Ray: `X-Amzn-Trace-Id: Root=1-{8 digits}-{24 digits};Parent={16 digits};Sampled={0, 1 or ?}`.
//!
//! The first eight digits of a trace id are the seconds since 1970 at which X-Ray began the trace; together
//! with the other 24 they are the trace id of everyone else, and back. X-Ray takes any id now, so that those
//! made here need no time in them. Without a parent, as a load balancer sends it, there is no span to go on
//! from, and a new trace begins. Fields of other names are read over.

use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::SpanContext;

use super::{OWS, Remote, formatted, one, span_id, trace_id};

const HEADER: &str = "x-amzn-trace-id";
pub(super) const FIELDS: [&str; 1] = [HEADER];

/// X-Ray's own fields are shorter by far.
const MAX_LENGTH: usize = 1024;

pub(super) fn read(carrier: &dyn Extractor) -> Option<Remote> {
    let header = one(carrier, HEADER).ok()??;
    if header.len() > MAX_LENGTH {
        return None;
    }
    let (mut root, mut parent, mut decision) = (None, None, None);
    for field in header.split(';').map(|field| field.trim_matches(OWS)).filter(|field| !field.is_empty()) {
        let (name, value) = field.split_once('=')?;
        let known = match name {
            "Root" => &mut root,
            "Parent" => &mut parent,
            "Sampled" => &mut decision,
            _ => continue,
        };
        if known.replace(value).is_some() {
            return None;
        }
    }
    let sampled = match decision {
        Some("1") => Some(true),
        Some("0") => Some(false),
        // The caller asks for a decision, or has made none.
        Some("?") | None => None,
        Some(_) => return None,
    };
    let (epoch, unique) = root?.strip_prefix("1-")?.split_once('-')?;
    if epoch.len() != 8 || unique.len() != 24 {
        return None;
    }
    let mut digits = [0; 32];
    digits[..8].copy_from_slice(epoch.as_bytes());
    digits[8..].copy_from_slice(unique.as_bytes());
    let trace_id = trace_id(std::str::from_utf8(&digits).ok()?)?;
    Some(Remote::new(trace_id, span_id(parent?)?, sampled, false))
}

pub(super) fn write(span_context: &SpanContext, carrier: &mut dyn Injector) {
    let id = u128::from_be_bytes(span_context.trace_id().to_bytes());
    let (epoch, unique) = (id >> 96, id & (u128::MAX >> 32));
    let (parent, sampled) = (span_context.span_id(), u8::from(span_context.is_sampled()));
    let header = format_args!("Root=1-{epoch:08x}-{unique:024x};Parent={parent};Sampled={sampled}");
    carrier.set(HEADER, formatted(74, header));
}
