//! Two thousand spans a second into a viewer of its own process: what it holds stays within its bound, what makes
//! room is counted, and it goes on answering.
//!
//! The short form is a test. The whole of it, five minutes with a browser that looks on, is
//! `FLOOD_SECONDS=300 cargo test -p trace-viewer --test flood -- --ignored --nocapture`; what it told is in
//! `docs/viewer.md`.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use browser::Browser;
use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use reqwest::Client;
use serde_json::Value;

const SPANS_A_SECOND: u64 = 2_000;
const SPANS_A_TRACE: u64 = 20;
/// Of services that export ten times a second.
const BATCHES_A_SECOND: u64 = 10;

/// What the viewer is told to keep at most, in MiB and traces.
const MAX_MEMORY: u64 = 64;
const MAX_TRACES: u64 = 2_000;

/// What the process needs beside what it keeps: itself, its buffers, and bodies that are arriving.
const BESIDE: u64 = 64;

struct Viewer {
    process: Child,
    url: String,
    client: Client,
}

impl Drop for Viewer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Viewer {
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_trace-viewer"))
            .args(["--port", "0", "--http-port", "0", "--grpc-port", "0"])
            .args(["--max-memory", &MAX_MEMORY.to_string(), "--max-traces", &MAX_TRACES.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the viewer starts");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let page = lines.find_map(|line| line.strip_prefix("page").map(|url| url.trim().to_owned()));
        // Nothing here speaks TLS, but a client is not built without it. Only the first call can succeed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().no_proxy().build().unwrap();
        Self { process, url: page.expect("the viewer tells where its page is"), client }
    }

    async fn send(&self, body: Vec<u8>) {
        let request = self.client.post(format!("{}/v1/traces", self.url));
        let answer =
            request.header("content-type", "application/x-protobuf").body(body).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    }

    async fn read(&self, path: &str) -> Value {
        self.client.get(format!("{}{path}", self.url)).send().await.unwrap().json().await.unwrap()
    }

    /// The memory of its process now and at most so far, in MiB.
    fn resident(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let field = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
        };
        (field("VmRSS:"), field("VmHWM:"))
    }
}

/// Trace `number` whole: a root and spans below it, with attributes as services have them.
fn trace(number: u64) -> Vec<Span> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let text = |key: &str, value: String| KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(any_value::Value::StringValue(value)) }),
        key_strindex: 0,
    };
    let mut trace_id = [7; 16];
    trace_id[8..].copy_from_slice(&(number + 1).to_be_bytes());
    let span = |at: u64| Span {
        trace_id: trace_id.to_vec(),
        span_id: (number * SPANS_A_TRACE + at + 1).to_be_bytes().to_vec(),
        parent_span_id: if at == 0 {
            Vec::new()
        } else {
            (number * SPANS_A_TRACE + 1).to_be_bytes().to_vec()
        },
        name: if at == 0 { "POST /api/orders".to_owned() } else { "SELECT stock".to_owned() },
        kind: if at == 0 { 2 } else { 3 },
        start_time_unix_nano: now + at * 100_000,
        end_time_unix_nano: now + at * 100_000 + 90_000,
        attributes: vec![
            text(
                "db.query.text",
                "SELECT `stock`.`on_hand` FROM `stock` WHERE `stock`.`product_id` = ?".to_owned(),
            ),
            text("order.id", format!("{number:032x}")),
            text("user.id", format!("{:032x}", number % 997)),
        ],
        ..Span::default()
    };
    (0..SPANS_A_TRACE).map(span).collect()
}

fn batch(first: u64, traces: u64) -> Vec<u8> {
    let name = KeyValue {
        key: "service.name".to_owned(),
        value: Some(AnyValue { value: Some(any_value::Value::StringValue("order-service".to_owned())) }),
        key_strindex: 0,
    };
    let spans = (first..first + traces).flat_map(trace).collect();
    let resource_spans = vec![ResourceSpans {
        resource: Some(Resource { attributes: vec![name], ..Resource::default() }),
        scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

/// Sends for so long, at the rate or, where it cannot be kept, as fast as it goes; answers how many traces.
async fn flood(viewer: &Viewer, seconds: u64) -> u64 {
    let traces = SPANS_A_SECOND / SPANS_A_TRACE / BATCHES_A_SECOND;
    let mut tick = tokio::time::interval(Duration::from_millis(1000 / BATCHES_A_SECOND));
    for number in 0..seconds * BATCHES_A_SECOND {
        tick.tick().await;
        viewer.send(batch(number * traces, traces)).await;
        let (resident, _) = viewer.resident();
        assert!(resident < MAX_MEMORY + BESIDE, "{resident} MiB after {number} batches");
    }
    seconds * BATCHES_A_SECOND * traces
}

/// That every span was taken, that what is held is the newest, whole, and that all the rest is counted.
async fn account(viewer: &Viewer, sent: u64) {
    let status = viewer.read("/api/status").await;
    let number =
        |of: &str, name: &str| status[of][name].as_u64().unwrap_or_else(|| panic!("{of}.{name}: {status}"));
    assert_eq!(number("received", "spans"), sent * SPANS_A_TRACE);
    let held = number("held", "traces");
    assert_eq!(held + number("dropped", "evicted_traces"), sent);
    assert_eq!(number("held", "spans"), held * SPANS_A_TRACE);
    assert!(held <= MAX_TRACES && held >= MAX_TRACES.min(sent) / 2, "{held} of {sent}");
    assert!(number("held", "trace_bytes") <= number("limits", "trace_bytes"));
    let mut id = [7; 16];
    for number in [sent - held, sent.saturating_sub(1)].into_iter().filter(|number| *number < sent) {
        id[8..].copy_from_slice(&(number + 1).to_be_bytes());
        let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        let trace = viewer.read(&format!("/api/traces/{id}")).await;
        assert_eq!(
            trace["spans"].as_array().map(Vec::len),
            Some(SPANS_A_TRACE as usize),
            "{number}: {trace}"
        );
    }
}

#[tokio::test]
async fn a_flood_stays_within_the_bound_and_what_makes_room_is_counted() {
    let viewer = Viewer::start();
    // As many traces as are kept, and half as many again, as fast as they go.
    let (sent, at_once) = (MAX_TRACES * 3 / 2, 100);
    for first in (0..sent).step_by(at_once as usize) {
        viewer.send(batch(first, at_once)).await;
    }
    let (resident, _) = viewer.resident();
    assert!(resident < MAX_MEMORY + BESIDE, "{resident} MiB");
    account(&viewer, sent).await;
    let dropped = viewer.read("/api/status").await["dropped"]["evicted_traces"].as_u64();
    assert!(dropped.is_some_and(|dropped| dropped >= sent - MAX_TRACES), "{dropped:?}");
}

/// A value in a list in a list …, as the attribute of a resource, in protobuf: fields 5 and 1 within each other.
fn nested_protobuf(depth: usize) -> Vec<u8> {
    let wrap = |tag: u8, inner: Vec<u8>| {
        let mut outer = vec![tag];
        prost::encoding::encode_varint(inner.len() as u64, &mut outer);
        outer.extend(inner);
        outer
    };
    let value = (0..depth).fold(Vec::new(), |value, _| wrap(0x2a, wrap(0x0a, value)));
    // KeyValue.value, Resource.attributes, ResourceSpans.resource, and the request's list of those.
    [0x12, 0x0a, 0x0a, 0x0a].into_iter().fold(value, |inner, tag| wrap(tag, inner))
}

fn nested_json(signal: &str, depth: usize) -> Vec<u8> {
    let (open, close) = (r#"{"arrayValue":{"values":["#.repeat(depth), "]}}".repeat(depth));
    let attributes = format!(r#"[{{"key":"k","value":{open}{close}}}]"#);
    format!(r#"{{"resource{signal}":[{{"resource":{{"attributes":{attributes}}}}}]}}"#).into_bytes()
}

/// So many zeros, gzipped.
fn bomb(bytes: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let zeros = vec![0; 1 << 20];
    for _ in 0..bytes >> 20 {
        encoder.write_all(&zeros).unwrap();
    }
    encoder.finish().unwrap()
}

#[tokio::test]
async fn bombs_and_bodies_that_are_huge_or_nested_without_end_are_refused_and_cost_bounded_memory() {
    let viewer = Viewer::start();
    let bomb = bomb(512 << 20);
    assert!(bomb.len() < 4 << 20, "a bomb is small: {}", bomb.len());
    let huge = vec![b' '; 40 << 20];
    let mut refused = 0;
    for (path, signal) in [("/v1/traces", "Spans"), ("/v1/metrics", "Metrics"), ("/v1/logs", "Logs")] {
        for (kind, nested) in [
            ("application/x-protobuf", nested_protobuf(5_000)),
            ("application/json", nested_json(signal, 5_000)),
        ] {
            for (what, body, encoding, status) in [
                ("a bomb", &bomb, "gzip", 413),
                ("a huge body", &huge, "identity", 413),
                ("a nested body", &nested, "identity", 400),
            ] {
                let request =
                    viewer.client.post(format!("{}{path}", viewer.url)).header("content-type", kind);
                let answer = request.header("content-encoding", encoding).body(body.clone()).send().await;
                // A sender of too much may find the connection closed before it has sent all of it.
                match answer {
                    Ok(answer) => assert_eq!(answer.status(), status, "{what} to {path} as {kind}"),
                    Err(error) => assert!(what == "a huge body" && !error.is_connect(), "{what}: {error:?}"),
                }
                refused += 1;
            }
        }
    }
    let (_, most) = viewer.resident();
    assert!(most < MAX_MEMORY + BESIDE, "{most} MiB at most");
    let status = viewer.read("/api/status").await;
    assert_eq!(status["dropped"]["refused_requests"], refused, "{status}");
    account(&viewer, 0).await;
}

#[tokio::test]
#[ignore = "takes FLOOD_SECONDS (20), and needs chromium"]
async fn a_page_that_looks_on_stays_responsive_through_minutes_of_it() {
    let seconds =
        std::env::var("FLOOD_SECONDS").map_or(20, |text| text.parse().expect("FLOOD_SECONDS is a number"));
    let viewer = Viewer::start();
    let browser = Browser::start(1280, 800).await;
    browser.go(&viewer.url).await;
    browser.until("document.getElementById('held')?.textContent.includes('held')").await;
    // The longest time between two frames, and how many were drawn.
    browser
        .run(
            "window.frames_ = 0; window.longest = 0; let last = performance.now(); \
             const frame = (now) => { window.frames_ += 1; window.longest = Math.max(window.longest, now - last); last = now; requestAnimationFrame(frame); }; \
             requestAnimationFrame(frame)",
        )
        .await;
    let looking = async {
        let mut longest = Duration::ZERO;
        // What a person does: open the newest trace, go back.
        loop {
            let begun = Instant::now();
            browser.until("document.querySelector('.trace-row:not(.row-head)')").await;
            browser.run("document.querySelector('.trace-row:not(.row-head)').click()").await;
            browser.until("document.querySelectorAll('.span-row').length === 20").await;
            browser.run("location.hash = '#/traces'").await;
            longest = longest.max(begun.elapsed());
            LONGEST.store(longest.as_millis() as u64, std::sync::atomic::Ordering::Relaxed);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let sent = tokio::select! {
        sent = flood(&viewer, seconds) => sent,
        () = looking => unreachable!("it looks for ever"),
    };
    browser.until("document.getElementById('held').textContent.includes('older traces made room')").await;
    let frames = browser.run("return [window.frames_, Math.round(window.longest)]").await;
    let told = browser.run("return document.getElementById('held').textContent").await;
    account(&viewer, sent).await;
    let (resident, most) = viewer.resident();
    println!("{} spans in {seconds} s; {resident} MiB resident, {most} MiB at most", sent * SPANS_A_TRACE);
    println!(
        "the page: {} frames, the longest {} ms; opening a trace and going back took {} ms at most",
        frames[0],
        frames[1],
        LONGEST.load(std::sync::atomic::Ordering::Relaxed)
    );
    println!("its foot: {told}");
    println!("{}", viewer.read("/api/status").await);
    browser.close().await;
}

static LONGEST: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
