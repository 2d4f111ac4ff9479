//! The 41 rules of the W3C's test suite for Trace Context (strictness 2, Level 2), each over real sockets: a
//! harness sends raw headers to the service of `examples/trace_context.rs` and looks at the requests that the
//! service makes of it.

#[path = "../examples/trace_context.rs"]
mod service;
#[expect(dead_code, reason = "no rule is about something to wait for")]
mod support;

use std::collections::HashSet;
use std::future::ready;
use std::sync::{Arc, Mutex};

use actix_web::{HttpRequest, HttpResponse, web};
use telemetry_core::config::Propagator;
use telemetry_core::propagation::Propagation;
use telemetry_core::testing::TestTelemetry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use support::TestServer;

const TRACE: &str = "12345678901234567890123456789012";
const PARENT: &str = "1234567890123456";
const VALID: &str = "00-12345678901234567890123456789012-1234567890123456-01";
const UNSAMPLED: &str = "00-12345678901234567890123456789012-1234567890123456-00";

/// The trace context of a request that the service made.
#[derive(Debug, Clone)]
struct Sent {
    trace_id: String,
    parent_id: String,
    flags: u8,
    state: String,
}

impl Sent {
    /// One `traceparent` of version 00, right to the letter, and all `tracestate` headers together.
    fn read(request: &HttpRequest) -> Self {
        let all = |name: &str| -> Vec<String> {
            request.headers().get_all(name).map(|value| value.to_str().unwrap().to_owned()).collect()
        };
        let [traceparent] = &all("traceparent")[..] else { panic!("one traceparent: {request:?}") };
        let parts: Vec<&str> = traceparent.split('-').collect();
        let [version, trace_id, parent_id, flags] = parts[..] else { panic!("four fields: {traceparent}") };
        assert_eq!(
            (version, trace_id.len(), parent_id.len(), flags.len()),
            ("00", 32, 16, 2),
            "{traceparent}"
        );
        assert!(
            traceparent.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-')),
            "{traceparent}"
        );
        assert!(trace_id.bytes().any(|byte| byte != b'0') && parent_id.bytes().any(|byte| byte != b'0'));
        Self {
            trace_id: trace_id.to_owned(),
            parent_id: parent_id.to_owned(),
            flags: u8::from_str_radix(flags, 16).unwrap(),
            state: all("tracestate").join(","),
        }
    }

    fn member(&self, key: &str) -> Option<&str> {
        let members = self.state.split(',').filter_map(|member| member.split_once('='));
        members.into_iter().find(|(name, _)| *name == key).map(|(_, value)| value)
    }
}

struct Suite {
    service: TestServer,
    harness: TestServer,
    calls: Arc<Mutex<Vec<Sent>>>,
    _telemetry: TestTelemetry,
}

impl Suite {
    fn start() -> Self {
        let w3c = Propagation::new(&[Propagator::TraceContext, Propagator::Baggage]);
        let telemetry = TestTelemetry::with_propagation(w3c);
        let client = telemetry.client();
        let service =
            TestServer::start(telemetry.clone(), move |config| service::routes(config, client.clone()));
        let calls = Arc::new(Mutex::new(Vec::new()));
        let noted = calls.clone();
        let harness = TestServer::start(TestTelemetry::new().clone(), move |config| {
            let noted = noted.clone();
            let note = move |request: HttpRequest| {
                noted.lock().unwrap().push(Sent::read(&request));
                ready(HttpResponse::Ok())
            };
            config.route("/callback", web::post().to(note));
        });
        Self { service, harness, calls, _telemetry: telemetry }
    }

    /// Sends the headers as they stand here, and answers with the context of each call that it asked for.
    async fn calls(&self, headers: &[(&str, &str)], count: usize) -> Vec<Sent> {
        let call = format!(r#"{{"url": "{}", "arguments": []}}"#, self.harness.url("/callback"));
        let body = format!("[{}]", vec![call; count].join(","));
        let mut request = format!(
            "POST /test HTTP/1.1\r\nhost: service\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            // No white space of ours: it would hide whether the service takes that of the header.
            request.push_str(&format!("{name}:{value}\r\n"));
        }
        request.push_str("\r\n");
        request.push_str(&body);
        let mut stream = TcpStream::connect(self.service.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let calls = std::mem::take(&mut *self.calls.lock().unwrap());
        assert_eq!(calls.len(), count);
        calls
    }

    async fn call(&self, headers: &[(&str, &str)]) -> Sent {
        self.calls(headers, 1).await.remove(0)
    }

    /// These `tracestate` headers, with a right `traceparent`, which must go on.
    async fn with_states(&self, states: &[&str]) -> Sent {
        let mut headers = vec![("traceparent", UNSAMPLED)];
        headers.extend(states.iter().map(|state| ("tracestate", *state)));
        let sent = self.call(&headers).await;
        assert_eq!(sent.trace_id, TRACE, "{states:?}");
        sent
    }
}

/// Each of these alone starts a new trace.
async fn refuses(traceparents: &[&str]) {
    let suite = Suite::start();
    for traceparent in traceparents {
        let sent = suite.call(&[("traceparent", traceparent), ("tracestate", "foo=1")]).await;
        assert!(!traceparent.contains(&sent.trace_id), "{traceparent} was believed");
        assert_eq!(sent.state, "", "the state of a refused trace");
    }
}

/// Each of these alone is believed.
async fn accepts(traceparents: &[&str]) {
    let suite = Suite::start();
    for traceparent in traceparents {
        let sent = suite.call(&[("traceparent", traceparent)]).await;
        assert_eq!(sent.trace_id, TRACE, "{traceparent}");
        assert_ne!(sent.parent_id, PARENT, "{traceparent}");
    }
}

/// Each of these lists of headers costs all of its members.
async fn discards(lists: &[&[&str]]) {
    let suite = Suite::start();
    for states in lists {
        assert_eq!(suite.with_states(states).await.state, "", "{states:?}");
    }
}

/// Each of these lists of headers comes out as the one beside it.
async fn inherits(lists: &[(&[&str], &str)]) {
    let suite = Suite::start();
    for (states, wanted) in lists {
        assert_eq!(suite.with_states(states).await.state, *wanted, "{states:?}");
    }
}

#[tokio::test]
async fn both_traceparent_and_tracestate_missing() {
    let sent = Suite::start().call(&[]).await;
    assert_eq!(sent.state, "");
}

#[tokio::test]
async fn traceparent_included_tracestate_missing() {
    accepts(&[VALID]).await;
}

#[tokio::test]
async fn traceparent_duplicated() {
    let other = VALID.replace("9012-", "9011-");
    let sent = Suite::start().call(&[("traceparent", &other), ("traceparent", VALID)]).await;
    assert!(sent.trace_id != TRACE && !other.contains(&sent.trace_id));
}

#[tokio::test]
async fn traceparent_header_name() {
    let suite = Suite::start();
    for name in ["trace-parent", "trace.parent"] {
        assert_ne!(suite.call(&[(name, VALID)]).await.trace_id, TRACE);
    }
}

#[tokio::test]
async fn traceparent_header_name_valid_casing() {
    let suite = Suite::start();
    for name in ["TraceParent", "TrAcEpArEnT", "TRACEPARENT"] {
        assert_eq!(suite.call(&[(name, VALID)]).await.trace_id, TRACE);
    }
}

#[tokio::test]
async fn traceparent_version_0x00() {
    refuses(&[&format!("{VALID}."), &format!("{VALID}-what-the-future-will-be-like")]).await;
}

#[tokio::test]
async fn traceparent_version_0xcc() {
    let future = VALID.replacen("00", "cc", 1);
    accepts(&[&future, &format!("{future}-what-the-future-will-be-like")]).await;
    refuses(&[&format!("{future}.what-the-future-will-be-like")]).await;
}

#[tokio::test]
async fn traceparent_version_0xff() {
    refuses(&[&VALID.replacen("00", "ff", 1)]).await;
}

#[tokio::test]
async fn traceparent_version_illegal_characters() {
    refuses(&[&VALID.replacen("00", ".0", 1), &VALID.replacen("00", "0.", 1)]).await;
}

#[tokio::test]
async fn traceparent_version_too_long() {
    refuses(&[&VALID.replacen("00", "000", 1), &VALID.replacen("00", "0000", 1)]).await;
}

#[tokio::test]
async fn traceparent_version_too_short() {
    refuses(&[&VALID[1..]]).await;
}

#[tokio::test]
async fn traceparent_trace_id_all_zero() {
    refuses(&[&VALID.replace(TRACE, &"0".repeat(32))]).await;
}

#[tokio::test]
async fn traceparent_trace_id_illegal_characters() {
    let begin = VALID.replace(TRACE, &format!(".{}", &TRACE[1..]));
    refuses(&[&begin, &VALID.replace(TRACE, &format!("{}.", &TRACE[..31]))]).await;
}

#[tokio::test]
async fn traceparent_trace_id_too_long() {
    refuses(&[&VALID.replace(TRACE, &format!("{TRACE}3"))]).await;
}

#[tokio::test]
async fn traceparent_trace_id_too_short() {
    refuses(&[&VALID.replace(TRACE, &TRACE[..31])]).await;
}

#[tokio::test]
async fn traceparent_parent_id_all_zero() {
    refuses(&[&format!("00-{TRACE}-{}-01", "0".repeat(16))]).await;
}

#[tokio::test]
async fn traceparent_parent_id_illegal_characters() {
    refuses(&[&format!("00-{TRACE}-.{}-01", &PARENT[1..]), &format!("00-{TRACE}-{}.-01", &PARENT[..15])])
        .await;
}

#[tokio::test]
async fn traceparent_parent_id_too_long() {
    refuses(&[&format!("00-{TRACE}-{PARENT}7-01")]).await;
}

#[tokio::test]
async fn traceparent_parent_id_too_short() {
    refuses(&[&format!("00-{TRACE}-{}-01", &PARENT[..15])]).await;
}

#[tokio::test]
async fn traceparent_trace_flags_illegal_characters() {
    refuses(&[&format!("00-{TRACE}-{PARENT}-.0"), &format!("00-{TRACE}-{PARENT}-0.")]).await;
}

#[tokio::test]
async fn traceparent_trace_flags_too_long() {
    refuses(&[&format!("00-{TRACE}-{PARENT}-001")]).await;
}

#[tokio::test]
async fn traceparent_trace_flags_too_short() {
    refuses(&[&format!("00-{TRACE}-{PARENT}-1")]).await;
}

#[tokio::test]
async fn traceparent_ows_handling() {
    let around = [(" ", ""), ("\t", ""), ("", " "), ("", "\t"), ("\t ", " \t")];
    let padded = around.map(|(before, after)| format!("{before}{VALID}{after}"));
    accepts(&padded.each_ref().map(String::as_str)).await;
}

#[tokio::test]
async fn tracestate_included_traceparent_missing() {
    let suite = Suite::start();
    for state in ["foo=1", "foo=1,bar=2"] {
        assert_eq!(suite.call(&[("tracestate", state)]).await.state, "");
    }
}

#[tokio::test]
async fn tracestate_included_traceparent_included() {
    inherits(&[(&["foo=1,bar=2"], "foo=1,bar=2")]).await;
}

#[tokio::test]
async fn tracestate_header_name() {
    let suite = Suite::start();
    for name in ["trace-state", "trace.state"] {
        assert_eq!(suite.call(&[("traceparent", UNSAMPLED), (name, "foo=1")]).await.state, "");
    }
}

#[tokio::test]
async fn tracestate_header_name_valid_casing() {
    let suite = Suite::start();
    for name in ["TraceState", "TrAcEsTaTe", "TRACESTATE"] {
        assert_eq!(suite.call(&[("traceparent", UNSAMPLED), (name, "foo=1")]).await.state, "foo=1");
    }
}

#[tokio::test]
async fn tracestate_empty_header() {
    inherits(&[(&[""], ""), (&["foo=1", ""], "foo=1"), (&["", "foo=1"], "foo=1")]).await;
}

#[tokio::test]
async fn tracestate_multiple_headers_different_keys() {
    let headers: &[&str] = &["foo=1,bar=2", "rojo=1,congo=2", "baz=3"];
    inherits(&[(headers, "foo=1,bar=2,rojo=1,congo=2,baz=3")]).await;
}

/// The list goes on; of members with one key, one is enough.
#[tokio::test]
async fn tracestate_duplicated_keys() {
    inherits(&[
        (&["foo=1,foo=1"], "foo=1"),
        (&["foo=1,foo=2"], "foo=1"),
        (&["foo=1", "foo=1"], "foo=1"),
        (&["foo=1", "foo=2"], "foo=1"),
    ])
    .await;
}

#[tokio::test]
async fn tracestate_all_allowed_characters() {
    let key = "abcdefghijklmnopqrstuvwxyz0123456789_-*/";
    let value: String = (' '..='~').filter(|character| !",=".contains(*character)).collect();
    let suite = Suite::start();
    for key in [key.to_owned(), format!("{key}@a-z0-9_-*/")] {
        let sent = suite.with_states(&[&format!("{key}={value}")]).await;
        assert_eq!(sent.member(&key), Some(value.as_str()));
    }
}

#[tokio::test]
async fn tracestate_ows_handling() {
    inherits(&[
        (&["foo=1 \t , \t bar=2, \t baz=3"], "foo=1,bar=2,baz=3"),
        (&["foo=1\t \t,\t \tbar=2,\t \tbaz=3"], "foo=1,bar=2,baz=3"),
        (&[" foo=1"], "foo=1"),
        (&["\tfoo=1"], "foo=1"),
        (&["foo=1 "], "foo=1"),
        (&["foo=1\t"], "foo=1"),
        (&["\t foo=1 \t"], "foo=1"),
    ])
    .await;
}

#[tokio::test]
async fn tracestate_key_illegal_characters() {
    discards(&[&["foo =1"], &["FOO=1"], &["foo.bar=1"]]).await;
}

/// Level 1 had `tenant@vendor`; in Level 2 `@` is a character of keys, which may stand anywhere but first.
#[tokio::test]
async fn tracestate_key_illegal_vendor_format() {
    discards(&[&["@foo=1,bar=2"]]).await;
    let lists = ["foo@=1,bar=2", "foo@@bar=1,bar=2", "foo@bar@baz=1,bar=2"];
    inherits(&lists.each_ref().map(|list| (std::slice::from_ref(list), *list))).await;
}

#[tokio::test]
async fn tracestate_member_count_limit() {
    let members = |numbers: std::ops::RangeInclusive<u8>| {
        numbers.map(|number| format!("bar{number:02}={number:02}")).collect::<Vec<_>>().join(",")
    };
    let tens = [members(1..=10), members(11..=20), members(21..=30)];
    let [first, second, third] = tens.each_ref().map(String::as_str);
    inherits(&[(&[first, second, third, &members(31..=32)], &members(1..=32))]).await;
    discards(&[&[first, second, third, &members(31..=33)]]).await;
}

/// Level 1 limited tenant and vendor besides; Level 2 limits the key as a whole.
#[tokio::test]
async fn tracestate_key_length_limit() {
    let suite = Suite::start();
    for key in [
        "z".repeat(256),
        format!("{}@{}", "t".repeat(241), "v".repeat(14)),
        format!("{}@v", "t".repeat(242)),
        format!("t@{}", "v".repeat(15)),
    ] {
        let sent = suite.with_states(&["foo=1", &format!("{key}=1")]).await;
        assert_eq!((sent.member("foo"), sent.member(&key)), (Some("1"), Some("1")), "{key}");
    }
    discards(&[&["foo=1", &format!("{}=1", "z".repeat(257))]]).await;
}

#[tokio::test]
async fn tracestate_value_illegal_characters() {
    discards(&[&["foo=bar=baz"], &["foo=,bar=3"]]).await;
}

fn distinct<'a>(ids: impl Iterator<Item = &'a String>) -> usize {
    ids.collect::<HashSet<_>>().len()
}

#[tokio::test]
async fn multiple_requests_with_valid_traceparent() {
    let calls = Suite::start().calls(&[("traceparent", VALID)], 3).await;
    assert!(calls.iter().all(|call| call.trace_id == TRACE));
    assert_eq!(distinct(calls.iter().map(|call| &call.parent_id)), 3);
}

#[tokio::test]
async fn multiple_requests_without_traceparent() {
    let calls = Suite::start().calls(&[], 3).await;
    assert_eq!(distinct(calls.iter().map(|call| &call.trace_id)), 1);
    assert_eq!(distinct(calls.iter().map(|call| &call.parent_id)), 3);
}

#[tokio::test]
async fn multiple_requests_with_illegal_traceparent() {
    let zero = VALID.replace(TRACE, &"0".repeat(32));
    let calls = Suite::start().calls(&[("traceparent", &zero)], 3).await;
    assert_eq!(distinct(calls.iter().map(|call| &call.trace_id)), 1);
    assert_eq!(distinct(calls.iter().map(|call| &call.parent_id)), 3);
}

/// The flag of a continued trace is the caller's, whether it is sampled or not; that of a trace which begins
/// here is set, since its id is random; unknown flags are not sent.
#[tokio::test]
async fn propagates_random_flag() {
    let suite = Suite::start();
    for (flags, wanted) in [("02", 2), ("03", 3), ("01", 1), ("00", 0), ("ff", 3), ("fc", 0)] {
        let traceparent = format!("00-{TRACE}-{PARENT}-{flags}");
        let sent = suite.call(&[("traceparent", &traceparent)]).await;
        assert_eq!((sent.trace_id.as_str(), sent.flags), (TRACE, wanted), "{flags}");
    }
    assert_eq!(suite.call(&[]).await.flags, 3);
}
