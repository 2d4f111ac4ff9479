mod baggage;

use actix_web::http::header;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{Tracer, TracerProvider};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};

use super::*;
use crate::config::Propagator::{B3, B3Multi, Baggage, Jaeger, TraceContext, XRay};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

fn headers(list: &[(&str, &str)]) -> header::HeaderMap {
    let mut map = header::HeaderMap::new();
    for (name, value) in list {
        let name = header::HeaderName::try_from(*name).unwrap();
        map.append(name, header::HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    map
}

fn extract(formats: &[Propagator], list: &[(&str, &str)]) -> Context {
    Propagation::new(formats).extract(&ActixHeaders(&headers(list)), || true).unwrap_or_else(new_trace)
}

fn remote(format: Propagator, list: &[(&str, &str)]) -> SpanContext {
    extract(&[format], list).span().span_context().clone()
}

/// The headers that are sent in this context, in the order of their names.
fn sent(formats: &[Propagator], cx: &Context) -> Vec<(String, String)> {
    let mut map = HeaderMap::new();
    Propagation::new(formats).inject(cx, &mut RequestHeaders(&mut map));
    let mut sent: Vec<(String, String)> =
        map.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    sent.sort();
    sent
}

fn pairs(sent: &[(String, String)]) -> Vec<(&str, &str)> {
    sent.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// What came in as a table's `traceparent`: trace id, span id, flags.
fn shown(context: &SpanContext) -> Option<String> {
    context.is_valid().then(|| traceparent(context))
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
        // Sixteen digits are a trace id in B3 and none here.
        (format!("00-{PARENT}-{PARENT}-01-{PARENT}"), None),
        (format!("01-{PARENT}-{TRACE}-01"), None),
        (String::new(), None),
    ];
    for (header, wanted) in table {
        let found = remote(TraceContext, &[("traceparent", &header)]);
        assert_eq!(found.is_valid().then(|| found.trace_flags().to_u8()), wanted, "{header}");
    }
}

#[test]
fn two_headers_where_one_is_meant_start_a_new_trace() {
    let w3c = format!("00-{TRACE}-{PARENT}-01");
    let b3 = format!("{TRACE}-{PARENT}-1");
    let jaeger = format!("{TRACE}:{PARENT}:0:1");
    let xray = format!("Root=1-{}-{};Parent={PARENT};Sampled=1", &TRACE[..8], &TRACE[8..]);
    for (format, name, value) in [
        (TraceContext, "traceparent", w3c),
        (B3, "b3", b3),
        (Jaeger, "uber-trace-id", jaeger),
        (XRay, "x-amzn-trace-id", xray),
    ] {
        assert!(remote(format, &[(name, &value)]).is_valid(), "{value}");
        assert!(!remote(format, &[(name, &value), (name, &value)]).is_valid(), "{value} twice");
    }
}

#[test]
fn tracestate_headers_are_joined_and_one_wrong_member_discards_them_all() {
    let parent = format!("00-{TRACE}-{PARENT}-01");
    let many = |count: usize| (0..count).map(|i| format!("k{i}=v")).collect::<Vec<_>>().join(",");
    let (most, too_many) = (many(32), many(33));
    let most_and_nothing = format!("{most}, ,");
    let longest_key = format!("{}=v", "k".repeat(256));
    let too_long_key = format!("{}=v", "k".repeat(257));
    let longest_value = format!("k={}", "v".repeat(256));
    let too_long_value = format!("k={}", "v".repeat(257));
    let tenant_key = format!("{}@{}=v", "t".repeat(241), "s".repeat(14));
    let among_others = format!("foo=1,{tenant_key},bar=2");
    let cases: Vec<(Vec<&str>, &str)> = vec![
        (vec!["foo=1", "bar=2"], "foo=1,bar=2"),
        (vec!["foo=1 , bar=2\t,"], "foo=1,bar=2"),
        (vec!["foo=1", ""], "foo=1"),
        (vec!["", ",", " \t"], ""),
        (vec!["foo= 1"], "foo= 1"),
        // One entry per key, and the first is the latest.
        (vec!["foo=1,bar=2,foo=3", "bar=2"], "foo=1,bar=2"),
        // Level 2 knows no vendors in keys: `@` may stand anywhere but first.
        (vec!["foo@=1,a@b@c=2,t@0sys=3", "d@@e=4"], "foo@=1,a@b@c=2,t@0sys=3,d@@e=4"),
        (vec!["0foo=1"], "0foo=1"),
        (vec![&tenant_key], &tenant_key),
        (vec!["foo=1", &tenant_key, "bar=2"], &among_others),
        (vec!["@foo=1,bar=2"], ""),
        (vec!["_foo=1"], ""),
        (vec!["Foo=1"], ""),
        (vec!["foo =1"], ""),
        (vec!["foo.bar=1"], ""),
        (vec!["foo=1,bar"], ""),
        (vec!["foo=a=b"], ""),
        (vec!["foo=,bar=3"], ""),
        (vec!["=1"], ""),
        (vec!["foo=a\tb"], ""),
        (vec!["foo=é"], ""),
        (vec![&most], &most),
        (vec![&most_and_nothing], &most),
        (vec![&too_many], ""),
        (vec![&longest_key], &longest_key),
        (vec![&too_long_key], ""),
        (vec![&longest_value], &longest_value),
        (vec![&too_long_value], ""),
    ];
    for (states, wanted) in cases {
        let mut list = vec![("traceparent", parent.as_str())];
        list.extend(states.iter().map(|state| ("tracestate", *state)));
        let cx = extract(&[TraceContext], &list);
        assert!(cx.span().span_context().is_valid(), "tracestate {states:?} must not cost the traceparent");
        let sent = sent(&[TraceContext], &cx);
        let state = sent.iter().find(|(name, _)| name == "tracestate").map_or("", |(_, value)| value);
        assert_eq!(state, wanted, "{states:?}");
    }
}

#[test]
fn a_long_tracestate_loses_whole_members_long_ones_first_and_then_from_the_end() {
    let long = |key: &str| format!("{key}={}", "v".repeat(200));
    let medium = |i: usize| format!("m{i:02}={}", "v".repeat(100));
    let parse = |members: &[String]| {
        let (state, complete) = trace_state::parse(&[&members.join(",")]).unwrap();
        trace_state::header(&state, complete.as_deref())
    };
    // 10 long ones are 2029 characters and fit; of 11 and a short one, one long one must go: the last.
    let ten: Vec<String> = (0..10).map(|i| long(&format!("l{i}"))).collect();
    assert_eq!(parse(&ten), ten.join(","));
    let mut more = ten.clone();
    more.extend([long("last"), "short=1".to_owned()]);
    assert_eq!(parse(&more), [&ten[..], &["short=1".to_owned()]].concat().join(","));
    // 32 of 104 characters: none is long, the first 19 fit.
    let mediums: Vec<String> = (0..32).map(medium).collect();
    assert_eq!(parse(&mediums), mediums[..19].join(","));
    // Where there is more than a server could have been sent, nothing is read.
    assert_eq!(trace_state::parse(&[&",".repeat(40_000)]), None);
}

#[test]
fn members_set_here_stand_first_and_those_the_api_refuses_keep_their_place() {
    let (state, complete) = trace_state::parse(&["a=1,b@c@d=2,e=3"]).unwrap();
    assert_eq!(state.header(), "a=1,e=3");
    let header = |state: &TraceState| trace_state::header(state, complete.as_deref());
    assert_eq!(header(&state), "a=1,b@c@d=2,e=3");
    assert_eq!(header(&state.insert("e", "4").unwrap()), "e=4,a=1,b@c@d=2");
    assert_eq!(header(&state.insert("f", "5").unwrap()), "f=5,a=1,b@c@d=2,e=3");
    assert_eq!(header(&state.delete("a").unwrap()), "b@c@d=2,e=3");
}

#[test]
fn the_random_flag_goes_on_whatever_is_sampled_and_is_set_where_a_trace_begins() {
    let on = Sampler::ParentBased(Box::new(Sampler::AlwaysOn));
    let parent = |flags: &str| Some(format!("00-{TRACE}-{PARENT}-{flags}"));
    let table = [
        (parent("00"), on.clone(), "00"),
        (parent("01"), on.clone(), "01"),
        (parent("02"), on.clone(), "02"),
        (parent("03"), on.clone(), "03"),
        (parent("03"), Sampler::AlwaysOff, "02"),
        (parent("01"), Sampler::AlwaysOff, "00"),
        (parent("02"), Sampler::AlwaysOn, "03"),
        (None, on, "03"),
        (None, Sampler::AlwaysOff, "02"),
    ];
    for (parent, sampler, wanted) in table {
        let tracer = SdkTracerProvider::builder().with_sampler(Deferring(sampler)).build().tracer("test");
        let list: Vec<_> = parent.iter().map(|parent| ("traceparent", parent.as_str())).collect();
        let incoming = extract(&[TraceContext], &list);
        let server = incoming.with_span(tracer.start_with_context("server", &incoming));
        let client = server.with_span(tracer.start_with_context("client", &server));
        let [(_, sent)] = &sent(&[TraceContext], &client)[..] else { panic!("one header") };
        assert!(sent.ends_with(&format!("-{wanted}")), "{parent:?}: {sent}");
    }
    // A client's own root is begun here too; what somebody else began stays as it is.
    let tracer = SdkTracerProvider::builder().build().tracer("test");
    let cx = begun_here(&Context::new()).into_owned();
    let cx = cx.with_span(tracer.start_with_context("client", &cx));
    assert!(sent(&[TraceContext], &cx)[0].1.ends_with("-03"));
    let foreign = extract(&[TraceContext], &[("traceparent", &parent("01").unwrap())]);
    assert!(matches!(begun_here(&foreign), Cow::Borrowed(_)));
}

#[test]
fn b3_in_one_header() {
    let id = format!("00-{TRACE}-{PARENT}");
    let short = format!("00-{}{PARENT}-{PARENT}", "0".repeat(16));
    let table = [
        (format!("{TRACE}-{PARENT}-1"), Some(format!("{id}-01"))),
        (format!("{TRACE}-{PARENT}-0"), Some(format!("{id}-00"))),
        (format!("{TRACE}-{PARENT}-d"), Some(format!("{id}-01"))),
        (format!("{TRACE}-{PARENT}"), Some(format!("{id}-00"))),
        (format!(" {TRACE}-{PARENT}-1-{PARENT}\t"), Some(format!("{id}-01"))),
        (format!("{PARENT}-{PARENT}-1"), Some(format!("{short}-01"))),
        ("0".to_owned(), None),
        ("d".to_owned(), None),
        (format!("{TRACE}-{PARENT}-2"), None),
        (format!("{TRACE}-{PARENT}-true"), None),
        (format!("{TRACE}-{PARENT}-1-"), None),
        (format!("{TRACE}-{PARENT}-1-{PARENT}-1"), None),
        (format!("{TRACE}-{}-1", "0".repeat(16)), None),
        (format!("{}-{PARENT}-1", "0".repeat(32)), None),
        (format!("{}-{PARENT}-1", TRACE.to_uppercase()), None),
        (format!("{}-{PARENT}-1", &TRACE[1..]), None),
        (format!("{TRACE}-{}-1", &PARENT[1..]), None),
        ("é".to_owned(), None),
    ];
    for (header, wanted) in table {
        assert_eq!(shown(&remote(B3, &[("b3", &header)])), wanted, "{header}");
        assert_eq!(shown(&remote(B3Multi, &[("b3", &header)])), wanted, "{header} as b3multi");
    }
}

#[test]
fn b3_in_several_headers() {
    let ids = [("X-B3-TraceId", TRACE), ("X-B3-SpanId", PARENT)];
    let id = format!("00-{TRACE}-{PARENT}");
    type List = &'static [(&'static str, &'static str)];
    let table: [(List, Option<&str>); 12] = [
        (&[("X-B3-Sampled", "1")], Some("01")),
        (&[("X-B3-Sampled", "true")], Some("01")),
        (&[("X-B3-Sampled", "0")], Some("00")),
        (&[("X-B3-Sampled", "false")], Some("00")),
        (&[], Some("00")),
        (&[("X-B3-Flags", "1")], Some("01")),
        (&[("X-B3-Flags", "1"), ("X-B3-Sampled", "0")], Some("01")),
        (&[("X-B3-Flags", "0"), ("X-B3-Sampled", "1"), ("X-B3-ParentSpanId", "any")], Some("01")),
        (&[("X-B3-Sampled", "maybe")], None),
        (&[("X-B3-Flags", "2")], None),
        (&[("X-B3-Sampled", "1"), ("X-B3-Sampled", "1")], None),
        (&[("X-B3-SpanId", PARENT)], None),
    ];
    for (more, wanted) in table {
        let list = [&ids[..], more].concat();
        let wanted = wanted.map(|flags| format!("{id}-{flags}"));
        assert_eq!(shown(&remote(B3, &list)), wanted, "{more:?}");
        assert_eq!(shown(&remote(B3Multi, &list)), wanted, "{more:?}");
    }
    assert!(!remote(B3, &ids[..1]).is_valid(), "both ids are needed");
    assert!(!remote(B3, &ids[1..]).is_valid(), "both ids are needed");
    // The single header comes first, where it is right.
    let other = format!("{PARENT}-{PARENT}-1");
    let both = |single: &str| shown(&remote(B3, &[("b3", single), ids[0], ids[1]])).unwrap();
    assert!(both(&other).starts_with("00-0000000000000000b7ad6b7169203331-"));
    assert_eq!(both("0"), format!("{id}-00"));
}

#[test]
fn jaeger() {
    let id = format!("00-{TRACE}-{PARENT}");
    let small = format!("00-{}1-{}2-01", "0".repeat(31), "0".repeat(15));
    let table = [
        (format!("{TRACE}:{PARENT}:0:1"), Some(format!("{id}-01"))),
        (format!("{TRACE}:{PARENT}:0:0"), Some(format!("{id}-00"))),
        (format!("{TRACE}:{PARENT}:0:3"), Some(format!("{id}-01"))),
        (format!("{TRACE}:{PARENT}:0:02"), Some(format!("{id}-00"))),
        (format!("{TRACE}:{PARENT}:{PARENT}:09"), Some(format!("{id}-01"))),
        (format!("{TRACE}%3A{PARENT}%3a0%3A1"), Some(format!("{id}-01"))),
        ("1:2:0:1".to_owned(), Some(small)),
        (format!("{TRACE}:{PARENT}:0:001"), None),
        (format!("{TRACE}:{PARENT}:0"), None),
        (format!("{TRACE}:{PARENT}:0:1:0"), None),
        (format!("{TRACE}:{PARENT}::1"), None),
        (format!("{TRACE}:{PARENT}:x:1"), None),
        (format!("{TRACE}:+1:0:1"), None),
        (format!("0:{PARENT}:0:1"), None),
        (format!("{TRACE}:0:0:1"), None),
        (format!("0{TRACE}:{PARENT}:0:1"), None),
        (format!("{TRACE}:0{PARENT}:0:1"), None),
        ("é".to_owned(), None),
    ];
    for (header, wanted) in table {
        assert_eq!(shown(&remote(Jaeger, &[("uber-trace-id", &header)])), wanted, "{header}");
    }
}

#[test]
fn xray() {
    let root = format!("Root=1-{}-{}", &TRACE[..8], &TRACE[8..]);
    let id = format!("00-{TRACE}-{PARENT}");
    let table = [
        (format!("{root};Parent={PARENT};Sampled=1"), Some(format!("{id}-01"))),
        (format!("{root};Parent={PARENT};Sampled=0"), Some(format!("{id}-00"))),
        (format!("{root};Parent={PARENT};Sampled=?"), Some(format!("{id}-00"))),
        (format!("{root};Parent={PARENT}"), Some(format!("{id}-00"))),
        (format!("Sampled=1; Self=1-2-3;Parent={PARENT} ;{root};Lineage=a:1"), Some(format!("{id}-01"))),
        (format!("{root};Sampled=1"), None),
        (format!("Parent={PARENT};Sampled=1"), None),
        (format!("{root};{root};Parent={PARENT}"), None),
        (format!("{root};Parent={PARENT};Sampled=2"), None),
        (format!("{root};Parent={PARENT};Sampled"), None),
        (format!("{root}0;Parent={PARENT}"), None),
        (format!("{root};Parent={PARENT}0"), None),
        (root.replace("=1-", "=2-") + ";Parent=" + PARENT, None),
        (format!("Root=1-{TRACE};Parent={PARENT}"), None),
        (format!("Root=1-{}-{};Parent={PARENT}", "0".repeat(8), "0".repeat(24)), None),
        (format!("{};Parent={PARENT}", root.replace("0a", "0A")), None),
        (format!("{root};Parent={PARENT};More={}", "x".repeat(1024)), None),
        ("Root=1-éééé-é".to_owned(), None),
    ];
    for (header, wanted) in table {
        assert_eq!(shown(&remote(XRay, &[("X-Amzn-Trace-Id", &header)])), wanted, "{header}");
    }
}

#[test]
fn each_format_sends_what_it_says() {
    let (epoch, unique) = TRACE.split_at(8);
    let sampled = |flags: &str| extract(&[B3], &[("b3", &format!("{TRACE}-{PARENT}-{flags}"))]);
    let (yes, no, debug) = (sampled("1"), sampled("0"), sampled("d"));
    type List<'a> = &'a [(&'a str, String)];
    let table: [(&Context, Propagator, List<'_>); 12] = [
        (&yes, TraceContext, &[("traceparent", format!("00-{TRACE}-{PARENT}-01"))]),
        (&yes, B3, &[("b3", format!("{TRACE}-{PARENT}-1"))]),
        (&no, B3, &[("b3", format!("{TRACE}-{PARENT}-0"))]),
        (&debug, B3, &[("b3", format!("{TRACE}-{PARENT}-d"))]),
        (
            &yes,
            B3Multi,
            &[("x-b3-sampled", "1".into()), ("x-b3-spanid", PARENT.into()), ("x-b3-traceid", TRACE.into())],
        ),
        (
            &no,
            B3Multi,
            &[("x-b3-sampled", "0".into()), ("x-b3-spanid", PARENT.into()), ("x-b3-traceid", TRACE.into())],
        ),
        (
            &debug,
            B3Multi,
            &[("x-b3-flags", "1".into()), ("x-b3-spanid", PARENT.into()), ("x-b3-traceid", TRACE.into())],
        ),
        (&yes, Jaeger, &[("uber-trace-id", format!("{TRACE}:{PARENT}:0:1"))]),
        (&no, Jaeger, &[("uber-trace-id", format!("{TRACE}:{PARENT}:0:0"))]),
        (&debug, Jaeger, &[("uber-trace-id", format!("{TRACE}:{PARENT}:0:3"))]),
        (&yes, XRay, &[("x-amzn-trace-id", format!("Root=1-{epoch}-{unique};Parent={PARENT};Sampled=1"))]),
        (&no, XRay, &[("x-amzn-trace-id", format!("Root=1-{epoch}-{unique};Parent={PARENT};Sampled=0"))]),
    ];
    for (cx, format, wanted) in table {
        let wanted: Vec<(&str, &str)> = wanted.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(pairs(&sent(&[format], cx)), wanted, "{format}");
        let fields: Vec<&str> = format.fields().to_vec();
        assert!(wanted.iter().all(|(name, _)| fields.contains(name)), "{format} names its headers");
    }
    assert_eq!(sent(&[TraceContext, B3, B3Multi, Jaeger, XRay, Baggage], &Context::new()), []);
}

#[test]
fn of_several_formats_the_last_right_one_wins_and_all_are_sent() {
    let (w3c, b3) = (format!("00-{TRACE}-{PARENT}-01"), format!("{PARENT}-{PARENT}-1"));
    let both = [("traceparent", w3c.as_str()), ("b3", b3.as_str())];
    let trace = |formats: &[Propagator], list: &[(&str, &str)]| {
        extract(formats, list).span().span_context().trace_id().to_string()
    };
    assert_eq!(trace(&[TraceContext, B3], &both), format!("0000000000000000{PARENT}"));
    assert_eq!(trace(&[B3, TraceContext], &both), TRACE);
    assert_eq!(trace(&[TraceContext, B3], &[both[0], ("b3", "0")]), TRACE);
    assert_eq!(trace(&[TraceContext, Baggage], &both), TRACE);
    for (trace_id, span_id) in [("0", PARENT), ("1", "0")] {
        let zero = format!("{trace_id}:{span_id}:0:1");
        assert_eq!(trace(&[TraceContext, Jaeger], &[both[0], ("uber-trace-id", &zero)]), TRACE, "{zero}");
    }
    assert!(!extract(&[], &both).span().span_context().is_valid());

    let cx = extract(&[TraceContext], &both);
    let names: Vec<String> =
        sent(&[TraceContext, B3, Jaeger, XRay], &cx).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["b3", "traceparent", "uber-trace-id", "x-amzn-trace-id"]);
}

#[test]
fn as_one_of_opentelemetrys_propagators_it_does_the_same_to_a_given_context() {
    let propagation = Propagation::new(&[TraceContext, B3Multi, Baggage]).reserving(["tenant.id"]);
    assert_eq!(
        propagation.fields().collect::<Vec<_>>(),
        ["traceparent", "tracestate", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags", "baggage"]
    );
    let list =
        headers(&[("traceparent", &format!("00-{TRACE}-{PARENT}-02")), ("baggage", "a=1,tenant.id=2")]);
    let given = Context::new().with_value(7_u8);
    let cx = propagation.extract_with_context(&given, &ActixHeaders(&list));
    assert_eq!(cx.get::<u8>(), Some(&7));
    let mut carrier = std::collections::HashMap::new();
    propagation.inject_context(&cx, &mut carrier);
    assert_eq!(carrier["traceparent"], format!("00-{TRACE}-{PARENT}-02"));
    assert_eq!(carrier["baggage"], "a=1");
    let nothing = headers(&[]);
    let cx = propagation.extract_with_context(&given, &ActixHeaders(&nothing));
    assert!(!cx.has_active_span());
}

#[test]
fn a_deferred_decision_is_ours_to_make() {
    let parent_based = |root: Sampler| Sampler::ParentBased(Box::new(root));
    let xray = |state| format!("Root=1-{}-{};Parent={PARENT}{state}", &TRACE[..8], &TRACE[8..]);
    for (format, name, value, decided) in [
        (B3, "b3", format!("{TRACE}-{PARENT}"), None),
        (B3, "b3", format!("{TRACE}-{PARENT}-0"), Some(false)),
        (B3, "b3", format!("{TRACE}-{PARENT}-1"), Some(true)),
        (XRay, "x-amzn-trace-id", xray(";Sampled=?"), None),
        (XRay, "x-amzn-trace-id", xray(""), None),
        (XRay, "x-amzn-trace-id", xray(";Sampled=0"), Some(false)),
        (Jaeger, "uber-trace-id", format!("{TRACE}:{PARENT}:0:0"), Some(false)),
    ] {
        for (root, ours) in [(Sampler::AlwaysOn, true), (Sampler::AlwaysOff, false)] {
            let sampler = Deferring(parent_based(root));
            let tracer = SdkTracerProvider::builder().with_sampler(sampler).build().tracer("test");
            let cx = extract(&[format], &[(name, &value)]);
            let server = cx.with_span(tracer.start_with_context("server", &cx));
            let child = server.with_span(tracer.start_with_context("child", &server));
            for cx in [server, child] {
                let span = cx.span();
                assert_eq!(span.span_context().trace_id().to_string(), TRACE);
                assert_eq!(span.span_context().is_sampled(), decided.unwrap_or(ours), "{value}");
            }
        }
    }
}
