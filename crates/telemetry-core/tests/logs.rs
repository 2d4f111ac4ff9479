//! Log lines of whole processes, printed and exported: each test runs this binary again as the process that logs.

#[path = "../src/export/tests/collector.rs"]
#[expect(dead_code, reason = "the exporters' own tests use more of it")]
mod collector;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use opentelemetry::Context;
use opentelemetry::context::FutureExt as _;
use opentelemetry::trace::{TraceContextExt, Tracer};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use telemetry_core::{Config, TelemetryGuard, context, opentelemetry};

use collector::{Answer, Collector};

/// Longer than any of it takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the process is to do; unset where this is the test and not the process.
const WORK: &str = "TEST_LOGS_WORK";

const CANARY: &str = "s3cret-canary";

/// Not a test: what the processes of the other tests run.
#[test]
fn process() {
    let Ok(work) = std::env::var(WORK) else { return };
    // Ends the line that the test runner has begun.
    println!();
    let telemetry = Config::from_env("log-test", "1").map(telemetry_core::init).unwrap().unwrap();
    match work.as_str() {
        "everywhere" => actix_web::rt::System::new().block_on(log_everywhere(&telemetry)),
        "flood" => flood(),
        "idle" => {
            telemetry.meter().u64_counter("idle").build().add(1, &[]);
            tracing::info!("idle");
        }
        other => panic!("{other}"),
    }
    // Until the test has seen enough.
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    let suppressed = telemetry.export_health().limits.log_lines_suppressed;
    let report = telemetry.shutdown(Duration::from_secs(10));
    println!("suppressed={suppressed} complete={}", report.is_complete());
}

async fn log_everywhere(telemetry: &TelemetryGuard) {
    #[tracing::instrument(skip_all, fields(password = CANARY))]
    async fn instrumented() {
        tokio::task::yield_now().await;
        tracing::info!(target: "places", "instrumented");
    }
    tracing::info!(target: "places", "outside");
    let request = Context::new().with_span(telemetry.tracer().start("request"));
    async {
        tracing::info!(target: "places", quantity = 3, ratio = f64::NAN, "in the request");
        log::warn!(target: "places", "by the log crate");
        context::blocking(|| tracing::info!(target: "places", "on a blocking thread")).await;
        context::spawn(async { tracing::info!(target: "places", "in a spawned task") }).await.unwrap();
        instrumented().await;
        let url = format!("http://127.0.0.1:1/?token={CANARY}");
        let error = telemetry.client().get(url).send().await.unwrap_err();
        tracing::error!(target: "places", error = &error as &(dyn std::error::Error + 'static), "failed");
        tracing::info!(target: "places", "a \x1b[31mred\x1b[0m text");
    }
    .with_context(request.clone())
    .await;
    request.span().end();
}

fn flood() {
    for round in 0..1000 {
        tracing::error!(target: "flood", round, "by tracing");
        log::info!(target: "flood", "by log {round}");
        if round % 100 == 0 {
            log::info!(target: "flood", "seldom");
        }
    }
}

/// This binary, run again with these variables.
struct Process {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Process {
    fn start(work: &str, collector: &Collector, variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["process", "--exact", "--nocapture", "--test-threads=1"])
            .env_clear()
            .envs([(WORK, work), ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint())])
            .envs([("ENVIRONMENT", "test"), ("OTEL_BLRP_SCHEDULE_DELAY", "20")])
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = mpsc::channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { child, lines }
    }

    /// The lines up to the first for which `is_last` holds.
    fn lines_until(&self, is_last: impl Fn(&str) -> bool) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("only {lines:#?}"));
            let is_done = is_last(&line);
            lines.push(line);
            if is_done {
                return lines;
            }
        }
    }

    /// Lets it end; its last line.
    fn end(mut self) -> (Vec<String>, String) {
        drop(self.child.stdin.take());
        let mut lines = self.lines_until(|line| line.contains("complete="));
        let last = lines.pop().unwrap();
        assert!(self.child.wait().unwrap().success());
        (lines, last)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The records that arrived, each with its scope's name.
fn records(collector: &Collector) -> Vec<(String, LogRecord)> {
    let received = collector.received();
    let logs = received.iter().filter(|request| request.path == "/v1/logs").map(|request| request.logs());
    let scopes = logs.flat_map(|logs| logs.resource_logs).flat_map(|logs| logs.scope_logs);
    scopes
        .flat_map(|scope| {
            let name = scope.scope.unwrap_or_default().name;
            scope.log_records.into_iter().map(move |record| (name.clone(), record))
        })
        .collect()
}

fn body(record: &LogRecord) -> &str {
    match record.body.as_ref().and_then(|body| body.value.as_ref()) {
        Some(Value::StringValue(text)) => text,
        other => panic!("{other:?}"),
    }
}

fn attribute<'a>(record: &'a LogRecord, key: &str) -> Option<&'a Value> {
    record.attributes.iter().find(|one| one.key == key)?.value.as_ref()?.value.as_ref()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const PLACES: [&str; 8] = [
    "outside",
    "in the request",
    "by the log crate",
    "on a blocking thread",
    "in a spawned task",
    "instrumented",
    "failed",
    "a \u{1b}[31mred\u{1b}[0m text",
];

#[test]
fn every_event_in_a_span_tells_its_trace_as_json_and_as_a_record() {
    let collector = Collector::start(|_| Answer::Accept);
    let process = Process::start("everywhere", &collector, &[("LOG_FORMAT", "json")]);
    let (mut lines, _) = {
        let lines = process.lines_until(|line| line.contains("red"));
        let (more, last) = process.end();
        ([lines, more].concat(), last)
    };
    lines.retain(|line| line.contains("\"target\":\"places\""));
    let lines: Vec<serde_json::Value> =
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let messages: Vec<&str> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
    assert_eq!(messages, PLACES);

    let records = records(&collector);
    let records: Vec<&LogRecord> =
        records.iter().filter(|(scope, _)| scope == "places").map(|(_, record)| record).collect();
    assert_eq!(records.iter().map(|record| body(record)).collect::<Vec<_>>(), PLACES);

    let trace = lines[1]["trace_id"].as_str().unwrap();
    for (line, record) in lines.iter().zip(&records) {
        let is_inside = line["message"] != "outside";
        let ids = [&line["trace_id"], &line["span_id"]].map(|id| id.as_str().unwrap_or_default().to_owned());
        assert_eq!(ids, [hex(&record.trace_id), hex(&record.span_id)], "{line}");
        assert_eq!(ids[0], if is_inside { trace } else { "" }, "{line}");
        assert_eq!(ids[1].len(), if is_inside { 16 } else { 0 });
        assert_eq!(line["level"].as_str().unwrap(), record.severity_text);
        let is_here = Value::StringValue(file!().to_owned());
        assert_eq!(attribute(record, "code.file.path"), Some(&is_here));
        assert!(matches!(attribute(record, "code.line.number"), Some(Value::IntValue(1..))));
        assert!(attribute(record, "log.target").is_none() && line.get("log.target").is_none());
    }
    assert_ne!(lines[5]["span_id"], lines[1]["span_id"], "an instrumented function has a span of its own");
    assert_eq!(lines[1]["quantity"], 3);
    assert_eq!(lines[1]["ratio"], "NaN");
    assert_eq!(records[2].severity_number, 13);
    assert!(lines[6]["error"].as_str().unwrap().starts_with("Connection failed: "), "{}", lines[6]);
    let message = Value::StringValue("Connection failed".to_owned());
    assert_eq!(attribute(records[6], "exception.message"), Some(&message));
    assert!(!format!("{lines:?}{records:?}").contains(CANARY));
}

#[test]
fn every_event_in_a_span_tells_its_trace_as_text() {
    let collector = Collector::start(|_| Answer::Accept);
    let process = Process::start("everywhere", &collector, &[("LOG_FORMAT", "text")]);
    let lines = process.lines_until(|line| line.contains("red"));
    process.end();
    let lines: Vec<&String> = lines.iter().filter(|line| line.contains(" places: ")).collect();
    assert_eq!(lines.len(), PLACES.len(), "{lines:#?}");
    for (line, place) in lines.iter().zip(PLACES) {
        let is_inside = place != "outside";
        assert_eq!(line.contains(" trace_id=") && line.contains(" span_id="), is_inside, "{line}");
        assert!(!line.contains(CANARY) && !line.contains("log.") && !line.contains('\u{1b}'), "{line}");
    }
    assert!(lines[1].contains(" INFO places: in the request quantity=3 ratio=NaN trace_id="), "{}", lines[1]);
    assert!(lines[2].contains(" WARN places: by the log crate trace_id="), "{}", lines[2]);
    assert!(lines[6].contains("ERROR places: failed error=\"Connection failed: "), "{}", lines[6]);
    assert!(lines[7].contains(r"a \u{1b}[31mred\u{1b}[0m text"), "{}", lines[7]);
}

#[test]
fn a_flood_of_one_place_is_cut_told_while_it_lasts_and_counted() {
    let collector = Collector::start(|_| Answer::Accept);
    // The line that tells of it comes through, whatever the filter.
    let variables = [("LOG_FORMAT", "json"), ("LOG_RATE_LIMIT", "10"), ("RUST_LOG", "off,flood=info")];
    let process = Process::start("flood", &collector, &variables);
    // Told by the process itself, not by its end.
    let mut lines = process.lines_until(|line| line.contains("suppressed.lines"));
    let (more, last) = process.end();
    lines.extend(more);

    let lines: Vec<serde_json::Value> =
        lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let (mut passed, mut suppressed) = (BTreeMap::new(), BTreeMap::new());
    for line in &lines {
        let place = line["message"].as_str().unwrap().trim_end_matches(|c: char| c.is_ascii_digit()).trim();
        match line["suppressed.lines"].as_u64() {
            Some(lines) => {
                *suppressed.entry(line["suppressed.level"].as_str().unwrap()).or_default() += lines
            }
            None => *passed.entry(place).or_insert(0_u64) += 1,
        }
    }
    assert_eq!(passed["seldom"], 10, "{lines:#?}");
    for (place, level) in [("by tracing", "ERROR"), ("by log", "INFO")] {
        assert!(passed[place] >= 10 && suppressed[level] > 0, "{lines:#?}");
        assert_eq!(passed[place] + suppressed[level], 1000, "{lines:#?}");
    }
    let all: u64 = suppressed.values().sum();
    assert_eq!(last, format!("suppressed={all} complete=true"));
    assert_eq!(records(&collector).len(), lines.len(), "exported as printed");
    let told = lines.iter().find(|line| line["suppressed.level"] == "ERROR").unwrap();
    assert_eq!(told["suppressed.target"], "flood");
    assert!(told["suppressed.place"].as_str().unwrap().starts_with(concat!(file!(), ":")), "{told}");
}

#[test]
fn with_every_level_on_an_export_makes_no_records_of_itself() {
    let collector = Collector::start(|_| Answer::Accept);
    let variables = [("RUST_LOG", "trace"), ("OTEL_METRIC_EXPORT_INTERVAL", "20")];
    let process = Process::start("idle", &collector, &variables);
    let exports = || collector.received().iter().filter(|request| request.path == "/v1/metrics").count();
    let end = Instant::now() + PATIENCE;
    while exports() < 50 {
        assert!(Instant::now() < end, "only {} exports", exports());
        std::thread::sleep(Duration::from_millis(10));
    }
    process.end();
    let records = records(&collector);
    assert!(records.iter().any(|(_, record)| body(record) == "idle"));
    // What init tells of the settings, and a few lines of the runtime.
    let others = records.iter().filter(|(scope, _)| !scope.starts_with("telemetry_core")).count();
    assert!(others < 40, "{others} of {} records: {records:#?}", records.len());
}

#[test]
fn what_telemetry_says_of_itself_has_a_level_of_its_own() {
    let collector = Collector::start(|_| Answer::Accept);
    let told = |variables: &[(&str, &str)]| {
        let all = [variables, &[("LOG_FORMAT", "text"), ("OTEL_TRACES_EXPORTER", "none")]].concat();
        let process = Process::start("idle", &collector, &all);
        let (lines, _) = process.end();
        lines.join("\n")
    };
    let setting = "OTEL_SDK_DISABLED = false (default)";
    let news = "telemetry is set up";

    let quiet = told(&[("RUST_LOG", "info")]);
    assert!(
        quiet.contains(news) && !quiet.contains(setting) && !quiet.contains("opentelemetry_sdk"),
        "{quiet}"
    );
    let detailed = told(&[("RUST_LOG", "warn"), ("OTEL_LOG_LEVEL", "debug")]);
    assert!(detailed.contains(setting) && detailed.contains("opentelemetry_sdk"), "{detailed}");
    let silent = told(&[("RUST_LOG", "info"), ("OTEL_LOG_LEVEL", "none")]);
    assert!(silent.contains("idle") && !silent.contains(news), "{silent}");
    let named = told(&[("RUST_LOG", "info,telemetry_core=debug"), ("OTEL_LOG_LEVEL", "none")]);
    assert!(named.contains(setting), "{named}");
}

#[test]
fn the_start_tells_what_was_decided_and_what_is_most_likely_a_mistake() {
    let collector = Collector::start(|_| Answer::Accept);
    let variables = [
        ("LOG_FORMAT", "text"),
        ("OTEL_TRACE_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "key=s3cret-canary"),
    ];
    let (lines, _) = Process::start("idle", &collector, &variables).end();
    let text = lines.join("\n");
    assert!(text.contains("OTEL_TRACE_EXPORTER: unknown; did you mean OTEL_TRACES_EXPORTER?"), "{text}");
    assert!(text.contains("OTEL_BLRP_SCHEDULE_DELAY = 20 (environment)"), "{text}");
    assert!(text.contains("OTEL_EXPORTER_OTLP_HEADERS = key=*** (environment)"), "{text}");
    assert!(!text.contains(CANARY), "{text}");
}

#[test]
fn a_file_sets_up_a_whole_process() {
    let collector = Collector::start(|_| Answer::Accept);
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../telemetry/otel-config.yaml");
    let endpoint = collector.endpoint();
    let variables = [
        ("OTEL_CONFIG_FILE", file),
        ("COLLECTOR", endpoint.as_str()),
        ("COLLECTOR_AUTHORIZATION", CANARY),
        ("OTEL_EXPORTER_OTLP_HEADERS", "not-of-the-file=1"),
        ("OTEL_SERVICE_NAME", "checkout"),
    ];
    let (lines, last) = Process::start("idle", &collector, &variables).end();
    assert!(last.ends_with("complete=true"), "{last}");
    let text = lines.join("\n");
    assert!(text.contains("OTEL_BSP_MAX_QUEUE_SIZE = 2048 (file)") && !text.contains(CANARY), "{text}");
    assert!(text.contains("decides; no effect have OTEL_BLRP_SCHEDULE_DELAY"), "{text}");
    let received = collector.received();
    for path in ["/v1/metrics", "/v1/logs"] {
        let request = received.iter().find(|request| request.path == path).expect(path);
        assert_eq!(request.service_name().as_deref(), Some("checkout"), "{path}");
        assert_eq!(request.header("authorization"), Some(CANARY), "{path}");
        assert_eq!(request.header("not-of-the-file"), None, "{path}");
        assert_eq!(request.header("content-encoding"), Some("gzip"), "{path}");
    }
}
