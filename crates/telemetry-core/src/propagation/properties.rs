//! Whatever callers send: nothing panics, what is taken is bounded, and what is sent again is valid.
//!
//! Each property runs with 512 cases. A million of each, with optimisation, take about half an hour of two cores,
//! most of it for baggage:
//!
//! ```text
//! PROPTEST_CASES=1000000 cargo test --release -p telemetry-core --lib propagation::properties
//! ```

use std::collections::HashMap;

use opentelemetry::baggage::BaggageExt;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::config::Propagator::{B3, B3Multi, Baggage, Jaeger, TraceContext, XRay};

const DEFAULT_CASES: u32 = 512;

fn cases() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: cases.unwrap_or(DEFAULT_CASES), failure_persistence: None, ..Default::default() }
}

/// Headers as a hostile caller may repeat them.
struct Headers(HashMap<&'static str, Vec<String>>);

impl Extractor for Headers {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.first().map(String::as_str)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().copied().collect()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        self.0.get(key).map(|values| values.iter().map(String::as_str).collect())
    }
}

impl Injector for Headers {
    fn set(&mut self, key: &str, value: String) {
        HeaderValue::try_from(&value).expect("every value that is sent may stand in a header");
        let fields = ALL.iter().flat_map(|format| format.fields());
        let name = fields.copied().find(|name| *name == key).expect("a header that is told of");
        self.0.insert(name, vec![value]);
    }
}

const ALL: [Propagator; 6] = [TraceContext, Baggage, B3, B3Multi, Jaeger, XRay];

/// Text near to what is right: joined out of the pieces that right headers are made of.
fn near(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => proptest::sample::select(pieces).prop_map(str::to_owned),
        1 => "[0-9a-f]{1,33}",
        1 => "[ -~\t]{0,8}",
        1 => any::<char>().prop_map(String::from),
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// The header as it should be, and with one character replaced, inserted or taken out.
fn broken(right: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (right, any::<prop::sample::Index>(), any::<char>(), 0..4_u8).prop_map(|(text, at, other, how)| {
        let mut characters: Vec<char> = text.chars().collect();
        if characters.is_empty() || how == 0 {
            return text;
        }
        let at = at.index(characters.len());
        match how {
            1 => characters[at] = other,
            2 => characters.insert(at, other),
            _ => drop(characters.remove(at)),
        }
        characters.into_iter().collect()
    })
}

fn ids() -> impl Strategy<Value = (u128, u64, u8)> {
    (any::<u128>(), any::<u64>(), any::<u8>())
}

/// One header, or the same name twice.
fn values(value: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<String>> {
    let any_text = prop_oneof![Just(None), ".{0,80}".prop_map(Some)];
    (value, any_text).prop_map(|(value, second)| std::iter::once(value).chain(second).collect())
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// What is sent after `values` came in; nothing where they were not believed. It must be believed itself, and
/// mean the same.
fn sent_again(format: Propagator, headers: HashMap<&'static str, Vec<String>>) -> Option<Headers> {
    let propagation = Propagation::new(&[format]);
    let cx = propagation.extract(&Headers(headers), || true).unwrap_or_else(new_trace);
    let mut sent = Headers(HashMap::new());
    propagation.inject(&cx, &mut sent);
    let again = propagation.extract(&sent, || true).unwrap_or_else(new_trace);
    let (first, second) = (cx.span().span_context().clone(), again.span().span_context().clone());
    assert_eq!(first.is_valid(), second.is_valid());
    assert_eq!((first.trace_id(), first.span_id()), (second.trace_id(), second.span_id()));
    assert_eq!(first.trace_flags(), second.trace_flags());
    assert_eq!(first.trace_state().header(), second.trace_state().header());
    let carried = |cx: &Context| cx.get::<Carried>().cloned().unwrap_or_default();
    // A decision that was left to us is made by what we send.
    assert_eq!(Carried { deferred: false, ..carried(&cx) }, carried(&again));
    let length: usize = sent.0.values().flatten().map(String::len).sum();
    assert!(length <= 55 + 2048, "{length} bytes for {format}");
    (!sent.0.is_empty()).then_some(sent)
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn traceparent(
        (trace, span, flags) in ids(),
        version in 0..=255_u8,
        text in near(&["00-", "-", "-01", TRACE, "-b7ad6b7169203331", "cc-", "ff-"]),
        broken in broken(ids().prop_map(|(trace, span, flags)| format!("00-{trace:032x}-{span:016x}-{flags:02x}"))),
    ) {
        let right = format!("{version:02x}-{trace:032x}-{span:016x}-{flags:02x}");
        let read = parse_traceparent(&right);
        prop_assert_eq!(read.is_some(), version != 0xff && trace != 0 && span != 0);
        if let Some((trace_id, span_id, read)) = read {
            prop_assert_eq!((trace_id, span_id), (TraceId::from(trace), SpanId::from(span)));
            prop_assert_eq!(read.to_u8(), flags & 3);
        }
        for text in [text, broken] {
            if let Some((trace_id, span_id, flags)) = parse_traceparent(&text) {
                prop_assert!(trace_id != TraceId::INVALID && span_id != SpanId::INVALID);
                prop_assert!(flags.to_u8() <= 3);
                prop_assert!(text.trim_matches(OWS).is_ascii() || !text.starts_with("00"));
            }
            sent_again(TraceContext, [("traceparent", vec![text])].into());
        }
    }

    #[test]
    fn tracestate(
        members in vec(("[a-z0-9][a-z0-9_@*/-]{0,20}", "[ -+\\--<>-~]{0,200}[!-+\\--<>-~]"), 0..40),
        lines in vec(near(&["a=1", ",", "b@c=2", "=", " ", "\t", "x@y@z=3", "vendor=value"]), 1..4),
    ) {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned();
        let with = |states: Vec<String>| {
            sent_again(TraceContext, [("traceparent", vec![parent.clone()]), ("tracestate", states)].into())
                .expect("a wrong tracestate does not cost the traceparent")
        };
        with(lines);
        let texts: Vec<String> = members.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let sent = with(vec![texts.join(",")]);
        let sent = sent.get("tracestate").unwrap_or_default();
        if members.len() > 32 {
            prop_assert_eq!(sent, "");
        } else {
            // Whole members, in their order, the first of each key.
            let mut rest = texts.iter();
            for member in sent.split(',').filter(|member| !member.is_empty()) {
                prop_assert!(rest.any(|text| text == member), "{} is not in {:?}", member, texts);
            }
            let all: usize = texts.iter().map(|text| text.len() + 1).sum();
            let mut keys: Vec<&str> = members.iter().map(|(key, _)| key.as_str()).collect();
            keys.sort_unstable();
            keys.dedup();
            if all <= 2048 && keys.len() == members.len() {
                prop_assert_eq!(sent, texts.join(","));
            }
        }
    }

    #[test]
    fn b3(
        single in prop_oneof![
            near(&[TRACE, "-", "b7ad6b7169203331", "-1", "-d", "-0", "d"]),
            broken(ids().prop_map(|(trace, span, state)| {
                let state = ["", "-0", "-1", "-d"][usize::from(state % 4)];
                format!("{trace:032x}-{span:016x}{state}")
            })),
        ],
        multi in [
            near(&[TRACE, "b7ad6b7169203331"]),
            near(&["b7ad6b7169203331"]),
            near(&["0", "1", "true", "false"]),
            near(&["0", "1"]),
        ],
        second in prop_oneof![Just(None), ".{0,9}".prop_map(Some)],
        (trace, span, state) in ids(),
    ) {
        for format in [B3, B3Multi] {
            let names = ["x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags"];
            let mut headers: HashMap<_, _> = names.into_iter().zip(multi.clone().map(|text| vec![text])).collect();
            sent_again(format, headers.clone());
            headers.insert("b3", std::iter::once(single.clone()).chain(second.clone()).collect());
            sent_again(format, headers);
            let state = ["", "-0", "-1", "-d"][usize::from(state % 4)];
            let right = format!("{trace:032x}-{span:016x}{state}");
            let sent = sent_again(format, [("b3", vec![right.clone()])].into());
            prop_assert_eq!(sent.is_some(), trace != 0 && span != 0);
            if format == B3 && let Some(sent) = sent {
                let decided = if state.is_empty() { right + "-0" } else { right };
                prop_assert_eq!(sent.get("b3"), Some(decided.as_str()));
            }
        }
    }

    #[test]
    fn jaeger(
        text in values(prop_oneof![
            near(&[TRACE, ":", "b7ad6b7169203331", ":0:1", "%3A", "%3a", "%"]),
            broken(ids().prop_map(|(trace, span, flags)| format!("{trace:x}:{span:x}:0:{flags:x}"))),
        ]),
        (trace, span, flags) in ids(),
    ) {
        sent_again(Jaeger, [("uber-trace-id", text)].into());
        let right = vec![format!("{trace:x}:{span:x}:{span:x}:{flags:x}")];
        let sent = sent_again(Jaeger, [("uber-trace-id", right)].into());
        prop_assert_eq!(sent.is_some(), trace != 0 && span != 0);
        if let Some(sent) = sent {
            let flags = [0, 1, 0, 3][usize::from(flags & 3)];
            let wanted = format!("{trace:032x}:{span:016x}:0:{flags}");
            prop_assert_eq!(sent.get("uber-trace-id"), Some(wanted.as_str()));
        }
    }

    #[test]
    fn xray(
        text in values(prop_oneof![
            near(&["Root=1-", "5759e988", "-", "bd862e3fe1be46a994272793", ";Parent=", "53995c3f42cd8ad8", ";Sampled=1"]),
            broken(ids().prop_map(|(trace, span, state)| {
                let (epoch, rest) = (trace >> 96, trace & (u128::MAX >> 32));
                format!("Root=1-{epoch:08x}-{rest:024x};Parent={span:016x};Sampled={}", state % 2)
            })),
        ]),
        (trace, span, state) in ids(),
    ) {
        sent_again(XRay, [("x-amzn-trace-id", text)].into());
        let (epoch, rest) = (trace >> 96, trace & (u128::MAX >> 32));
        let right = format!("Root=1-{epoch:08x}-{rest:024x};Parent={span:016x};Sampled={}", state % 2);
        let sent = sent_again(XRay, [("x-amzn-trace-id", vec![right.clone()])].into());
        prop_assert_eq!(sent.is_some(), trace != 0 && span != 0);
        if let Some(sent) = sent {
            prop_assert_eq!(sent.get("x-amzn-trace-id"), Some(right.as_str()));
        }
    }

    #[test]
    fn baggage(
        lines in vec(near(&["a=1", ",", ";", "=", "%41", "%", "tenant.id=t", "b=x;p=q", "%C3%BC", "%FF"]), 1..5),
        own in vec(("[!#$%&'*+.^_`|~0-9a-zA-Z-]{1,12}", any::<String>(), any::<String>()), 0..80),
    ) {
        let propagation = Propagation::new(&[Baggage]);
        let through = |cx: &Context| {
            let mut sent = Headers(HashMap::new());
            propagation.inject(cx, &mut sent);
            let length = sent.get("baggage").unwrap_or_default().len();
            (propagation.extract(&sent, || true).unwrap_or_else(new_trace), length)
        };
        let entries = |cx: &Context| {
            let entries = cx.baggage().iter();
            entries.map(|(name, entry)| (name.to_string(), entry.clone())).collect::<HashMap<_, _>>()
        };

        let cx = propagation.extract(&Headers([("baggage", lines)].into()), || true).unwrap_or_else(new_trace);
        prop_assert!(cx.baggage().len() <= 64);
        let (again, length) = through(&cx);
        prop_assert!(length <= 8192);
        prop_assert_eq!(entries(&cx), entries(&again), "what came in goes out, and means the same");

        let mut mine = opentelemetry::baggage::Baggage::new();
        for (name, value, metadata) in own {
            mine.insert_with_metadata(name, value, metadata);
        }
        let cx = Context::new().with_baggage(mine);
        let (again, length) = through(&cx);
        prop_assert!(length <= 8192);
        let (before, after) = (entries(&cx), entries(&again));
        for (name, (value, _)) in &after {
            prop_assert_eq!(Some(value), before.get(name).map(|(value, _)| value));
        }
        if length < 8192 / 2 {
            prop_assert_eq!(before.len(), after.len(), "where all fits, all is sent");
        }
    }
}
