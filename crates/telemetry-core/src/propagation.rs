//! Trace context and baggage in and out of HTTP headers.
//!
//! [`TraceContext`] is a propagator for W3C Trace Context Level 2; baggage is the SDK's W3C one.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// The flags that Level 2 defines: sampled (bit 0) and random trace id (bit 1).
const KNOWN_FLAGS: u8 = 0b11;

/// The longest `tracestate` that is carried on. The recommendation asks for at least 512.
const MAX_TRACESTATE_LENGTH: usize = 8192;
const MAX_TRACESTATE_MEMBERS: usize = 32;

/// W3C Trace Context, Level 2: `traceparent` and `tracestate`.
#[derive(Debug, Default, Clone)]
pub struct TraceContext {
    _private: (),
}

impl TraceContext {
    /// The propagator; it has no settings.
    pub fn new() -> Self {
        Self::default()
    }

    fn span_context(extractor: &dyn Extractor) -> Option<SpanContext> {
        // Two traceparent headers contradict each other, so neither is believed (section 3.2.1).
        let [traceparent] = extractor.get_all(TRACEPARENT)?[..] else { return None };
        let (trace_id, parent_id, flags) = parse_traceparent(traceparent)?;
        let trace_state =
            extractor.get_all(TRACESTATE).and_then(|headers| parse_tracestate(&headers)).unwrap_or_default();
        Some(SpanContext::new(trace_id, parent_id, flags, true, trace_state))
    }
}

impl TextMapPropagator for TraceContext {
    fn inject_context(&self, cx: &Context, injector: &mut dyn Injector) {
        let span = cx.span();
        let span_context = span.span_context();
        if !span_context.is_valid() {
            return;
        }
        injector.set(TRACEPARENT, traceparent(span_context));
        let trace_state = span_context.trace_state().header();
        if !trace_state.is_empty() {
            injector.set(TRACESTATE, trace_state);
        }
    }

    fn extract_with_context(&self, cx: &Context, extractor: &dyn Extractor) -> Context {
        match Self::span_context(extractor) {
            Some(span_context) => cx.with_remote_span_context(span_context),
            None => cx.clone(),
        }
    }

    fn fields(&self) -> FieldIter<'_> {
        static FIELDS: std::sync::LazyLock<[String; 2]> =
            std::sync::LazyLock::new(|| [TRACEPARENT.to_owned(), TRACESTATE.to_owned()]);
        FieldIter::new(FIELDS.as_ref())
    }
}

/// `00-{trace id}-{span id}-{flags}`, as `traceparent` and `traceresponse` have it.
pub(crate) fn traceparent(span_context: &SpanContext) -> String {
    format!(
        "00-{}-{}-{:02x}",
        span_context.trace_id(),
        span_context.span_id(),
        span_context.trace_flags().to_u8() & KNOWN_FLAGS
    )
}

/// Section 3.2.2: `version "-" trace-id "-" parent-id "-" trace-flags`, in lower-case hex.
pub(crate) fn parse_traceparent(header: &str) -> Option<(TraceId, SpanId, TraceFlags)> {
    let header = header.trim_matches([' ', '\t']);
    // A later version may append fields behind a dash; version 00 may not.
    let (fields, rest) = header.split_at_checked(55)?;
    let mut parts = fields.split('-');
    let version = hex(parts.next()?, 2)?;
    let trace_id = hex(parts.next()?, 32)?;
    let parent_id = hex(parts.next()?, 16)?;
    let flags = hex(parts.next()?, 2)?;
    if parts.next().is_some() || version == "ff" {
        return None;
    }
    if !(rest.is_empty() || (version != "00" && rest.starts_with('-'))) {
        return None;
    }
    let trace_id = TraceId::from_hex(trace_id).ok().filter(|id| *id != TraceId::INVALID)?;
    let parent_id = SpanId::from_hex(parent_id).ok().filter(|id| *id != SpanId::INVALID)?;
    let flags = u8::from_str_radix(flags, 16).ok()?;
    Some((trace_id, parent_id, TraceFlags::new(flags & KNOWN_FLAGS)))
}

fn hex(text: &str, length: usize) -> Option<&str> {
    let is_lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (text.len() == length && text.bytes().all(is_lower_hex)).then_some(text)
}

/// Section 3.3.1: one list out of all headers; one wrong member discards the whole.
fn parse_tracestate(headers: &[&str]) -> Option<TraceState> {
    if headers.iter().map(|header| header.len()).sum::<usize>() > MAX_TRACESTATE_LENGTH {
        return None;
    }
    let mut members: Vec<(&str, &str)> = Vec::new();
    for member in headers.iter().flat_map(|header| header.split(',')) {
        let member = member.trim_matches([' ', '\t']);
        if member.is_empty() {
            continue;
        }
        let (key, value) = member.split_once('=')?;
        let is_repeated = members.iter().any(|(known, _)| *known == key);
        if !is_tracestate_key(key) || !is_tracestate_value(value) || is_repeated {
            return None;
        }
        members.push((key, value));
    }
    if members.len() > MAX_TRACESTATE_MEMBERS {
        return None;
    }
    TraceState::from_key_value(members).ok()
}

/// Section 3.3.1.3.1: a simple key, or `tenant@system`. (The API's `TraceState` then refuses a system
/// of 14 characters, one fewer than the recommendation allows.)
fn is_tracestate_key(key: &str) -> bool {
    let is_rest = |bytes: &[u8]| {
        bytes.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/'))
    };
    match key.split_once('@') {
        None => match key.as_bytes() {
            [b'a'..=b'z', rest @ ..] => rest.len() <= 255 && is_rest(rest),
            _ => false,
        },
        Some((tenant, system)) => match (tenant.as_bytes(), system.as_bytes()) {
            ([b'a'..=b'z' | b'0'..=b'9', tenant @ ..], [b'a'..=b'z', system @ ..]) => {
                tenant.len() <= 240 && is_rest(tenant) && system.len() <= 13 && is_rest(system)
            }
            _ => false,
        },
    }
}

/// Section 3.3.1.3.2: up to 256 printable ASCII characters but `,` and `=`, the last no space.
fn is_tracestate_value(value: &str) -> bool {
    let is_value_byte = |byte: u8| (0x20..=0x7e).contains(&byte) && byte != b',' && byte != b'=';
    (1..=256).contains(&value.len()) && value.bytes().all(is_value_byte) && !value.ends_with(' ')
}

/// Reads the headers of an actix request.
pub(crate) struct ActixHeaders<'a>(pub(crate) &'a actix_web::http::header::HeaderMap);

impl Extractor for ActixHeaders<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(|name| name.as_str()).collect()
    }

    /// All values of a repeated header. One that is not text makes the header invalid as a whole,
    /// which an impossible value stands for.
    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        let values: Vec<&str> =
            self.0.get_all(key).map(|value| value.to_str().unwrap_or("\u{fffd}")).collect();
        (!values.is_empty()).then_some(values)
    }
}

/// Writes into the headers of a reqwest request. Values that no header may hold are left out.
pub(crate) struct RequestHeaders<'a>(pub(crate) &'a mut HeaderMap);

impl Injector for RequestHeaders<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}

/// The propagators in use, in order.
pub(crate) struct Propagation(Vec<Box<dyn TextMapPropagator + Send + Sync>>);

impl Propagation {
    pub(crate) fn new(propagators: Vec<Box<dyn TextMapPropagator + Send + Sync>>) -> Self {
        Self(propagators)
    }

    pub(crate) fn extract(&self, extractor: &dyn Extractor) -> Context {
        // Not the current context: a request belongs to its caller, whatever this thread did before.
        self.0.iter().fold(Context::new(), |cx, propagator| propagator.extract_with_context(&cx, extractor))
    }

    pub(crate) fn inject(&self, cx: &Context, injector: &mut dyn Injector) {
        for propagator in &self.0 {
            propagator.inject_context(cx, injector);
        }
    }
}

impl fmt::Debug for Propagation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = self.0.iter().flat_map(|propagator| propagator.fields());
        f.debug_list().entries(fields).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const PARENT: &str = "b7ad6b7169203331";

    fn extract(headers: &[(&str, &str)]) -> SpanContext {
        let mut map = header::HeaderMap::new();
        for (name, value) in headers {
            let name = header::HeaderName::try_from(*name).unwrap();
            map.append(name, header::HeaderValue::from_str(value).unwrap());
        }
        let cx = TraceContext::new().extract_with_context(&Context::new(), &ActixHeaders(&map));
        cx.span().span_context().clone()
    }

    #[test]
    fn traceparent_is_believed_only_when_it_is_right_to_the_letter() {
        let upper = TRACE.to_uppercase();
        let table = [
            (format!("00-{TRACE}-{PARENT}-01"), Some(1)),
            (format!("00-{TRACE}-{PARENT}-00"), Some(0)),
            (format!("00-{TRACE}-{PARENT}-03"), Some(3)),
            (format!("00-{TRACE}-{PARENT}-ff"), Some(3)),
            (format!("01-{TRACE}-{PARENT}-01-later"), Some(1)),
            (format!("cc-{TRACE}-{PARENT}-01"), Some(1)),
            (format!("00-{TRACE}-{PARENT}-01-"), None),
            (format!("cc-{TRACE}-{PARENT}-01.later"), None),
            (format!("ff-{TRACE}-{PARENT}-01"), None),
            (format!("00-{upper}-{PARENT}-01"), None),
            (format!("00-{}-{PARENT}-01", "0".repeat(32)), None),
            (format!("00-{TRACE}-{}-01", "0".repeat(16)), None),
            (format!("0-{TRACE}-{PARENT}-01"), None),
            (format!("000-{TRACE}-{PARENT}-01"), None),
            (format!("00-{TRACE}1-{PARENT}-01"), None),
            (format!("00-{TRACE}-{PARENT}1-01"), None),
            (format!("00-{TRACE}-{PARENT}-1"), None),
            (format!("00-{TRACE}-{PARENT}-001"), None),
            (format!("00-{TRACE}-{PARENT}-0é"), None),
            (String::new(), None),
        ];
        for (header, wanted) in table {
            let found = extract(&[("traceparent", &header)]);
            assert_eq!(found.is_valid().then(|| found.trace_flags().to_u8()), wanted, "{header}");
        }
    }

    #[test]
    fn two_traceparents_start_a_new_trace() {
        let header = format!("00-{TRACE}-{PARENT}-01");
        assert!(!extract(&[("traceparent", &header), ("traceparent", &header)]).is_valid());
    }

    #[test]
    fn tracestate_headers_are_joined_and_one_wrong_member_discards_them_all() {
        let parent = format!("00-{TRACE}-{PARENT}-01");
        let many = |count: usize| (0..count).map(|i| format!("k{i}=v")).collect::<Vec<_>>().join(",");
        let long_key = format!("{}=v", "k".repeat(256));
        let too_long_key = format!("{}=v", "k".repeat(257));
        let tenant_key = format!("{}@{}=v", "t".repeat(241), "s".repeat(13));
        let cases: Vec<(Vec<&str>, &str)> = vec![
            (vec!["foo=1", "bar=2"], "foo=1,bar=2"),
            (vec!["foo=1 , bar=2\t,"], "foo=1,bar=2"),
            (vec!["foo=1", ""], "foo=1"),
            (vec!["foo=1,foo=2"], ""),
            (vec!["foo@=1"], ""),
            (vec!["@foo=1"], ""),
            (vec!["a@b@c=1"], ""),
            (vec!["Foo=1"], ""),
            (vec!["foo=1,bar"], ""),
            (vec!["foo=a=b"], ""),
            (vec!["0tenant@sys=1"], "0tenant@sys=1"),
            (vec!["0foo=1"], ""),
            (vec![&long_key], &long_key),
            (vec![&too_long_key], ""),
            (vec![&tenant_key], &tenant_key),
        ];
        for (headers, wanted) in cases {
            let mut all = vec![("traceparent", parent.as_str())];
            all.extend(headers.iter().map(|header| ("tracestate", *header)));
            assert_eq!(extract(&all).trace_state().header(), wanted, "{headers:?}");
        }
        for (count, kept) in [(32, 32), (33, 0)] {
            let state = many(count);
            let found = extract(&[("traceparent", &parent), ("tracestate", &state)]);
            assert_eq!(found.trace_state().header().split(',').filter(|m| !m.is_empty()).count(), kept);
        }
    }

    #[test]
    fn what_is_injected_is_extracted_again() {
        let parent = format!("00-{TRACE}-{PARENT}-03");
        let span_context = extract(&[("traceparent", &parent), ("tracestate", "foo=1")]);
        let cx = Context::new().with_remote_span_context(span_context);
        let mut headers = HeaderMap::new();
        TraceContext::new().inject_context(&cx, &mut RequestHeaders(&mut headers));
        assert_eq!(headers["traceparent"], parent.as_str());
        assert_eq!(headers["tracestate"], "foo=1");
    }
}
