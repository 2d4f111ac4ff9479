//! Steady load while the collector is well, stopped, hanging, overloaded, cutting connections, restarted, in turn.
//!
//! The long form takes a minute for each (`OUTAGE_SECONDS` says otherwise), with the default settings, and prints the
//! table that `docs/outages.md` shows:
//!
//! ```sh
//! cargo test -p trials outages -- --ignored --nocapture
//! ```

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;

use crate::collector::{Collector, Manner};
use crate::load::{Times, drive};
use crate::service::{Service, eventually};

/// Requests a second, to each of the two services.
const RATE: u32 = 200;

/// How much memory an outage may take: two queues of 2048 that fill up, and batches under way. What a minute's load would
/// take without a bound is several times that.
const ALLOWANCE: u64 = 16 << 20;

/// All waiting times short, so that phases of seconds see what phases of a minute do.
const HASTE: [(&str, &str); 5] = [
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "400"),
    ("OTEL_BSP_SCHEDULE_DELAY", "100"),
    ("OTEL_BLRP_SCHEDULE_DELAY", "100"),
    ("OTEL_METRIC_EXPORT_INTERVAL", "200"),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "512"),
];

#[tokio::test]
async fn outages_of_seconds_fail_no_request_and_lose_nothing_uncounted() {
    trial("http/protobuf", &HASTE, Duration::from_secs(1)).await;
}

#[tokio::test]
async fn outages_of_seconds_fail_no_request_and_lose_nothing_uncounted_by_grpc() {
    trial("grpc", &HASTE, Duration::from_secs(1)).await;
}

#[tokio::test]
#[ignore = "takes minutes: six phases of OUTAGE_SECONDS, by default 60"]
async fn outages_of_a_minute_fail_no_request_and_lose_nothing_uncounted() {
    trial("http/protobuf", &[], long_phase()).await;
}

#[tokio::test]
#[ignore = "takes minutes: six phases of OUTAGE_SECONDS, by default 60"]
async fn outages_of_a_minute_fail_no_request_and_lose_nothing_uncounted_by_grpc() {
    trial("grpc", &[], long_phase()).await;
}

fn long_phase() -> Duration {
    let seconds = std::env::var("OUTAGE_SECONDS").map_or(60, |text| text.parse().expect("seconds"));
    Duration::from_secs(seconds)
}

async fn trial(protocol: &str, settings: &[(&str, &str)], phase: Duration) {
    let mut collector = Collector::start();
    let endpoint = collector.endpoint();
    let exporter =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)];
    let mut service = Service::serve(&[&exporter[..], settings].concat()).await;
    let without = Service::serve(&[("OTEL_SDK_DISABLED", "true")]).await;
    // What is done once, and first connections, are no part of what is compared.
    let [warm_up, _] = drive([&service, &without], RATE, Duration::from_secs(1)).await;

    let mut table = HEAD.to_owned();
    let mut ended = 2 * warm_up.requests() as u64;
    let mut resident = None;
    for name in ["well", "stopped", "hanging", "overloaded", "cutting", "restarted"] {
        match name {
            "stopped" => collector.stop().await,
            "hanging" => {
                collector.behave(Manner::Hang);
                collector.restart();
            }
            "overloaded" => collector.behave(Manner::Refuse),
            "cutting" => collector.behave(Manner::Cut),
            "restarted" => {
                collector.stop().await;
                collector.behave(Manner::Accept);
                collector.restart();
            }
            _ => {}
        }
        let times = drive([&service, &without], RATE, phase).await;
        assert_eq!(times.each_ref().map(|times| times.failed), [0, 0], "{name}: requests failed");
        // A server's span ends when the client has the whole answer, or a moment later.
        ended += 2 * times[0].requests() as u64;
        let mut health = Value::Null;
        eventually("every span has ended", async || {
            health = service.health().await["exporters"].take();
            health["traces"]["ended"] == ended
        })
        .await;
        for signal in ["traces", "metrics", "logs"] {
            assert_balanced(name, signal, &health[signal]);
        }
        let now = service.resident();
        let before = *resident.get_or_insert(now);
        assert!(now <= before + ALLOWANCE, "{name}: {now} bytes resident, {before} while all was well");
        write_row(&mut table, name, &times, &health["traces"], now);
    }

    // The process was never restarted, and everything is well.
    eventually("what waits is exported", async || {
        let health = service.health().await["exporters"].take();
        ["traces", "metrics", "logs"].iter().all(|signal| health[signal]["healthy"] == true)
            && health["traces"]["queued"] == 0
    })
    .await;
    service.terminate();
    let status = service.ended().await;
    let printed = service.printed();
    assert!(status.success(), "{status}: {printed}");
    let report = printed.lines().find(|line| line.starts_with("telemetry flush")).expect("it flushes");
    println!("{table}\nat the end: {report}");
    assert!(report.starts_with("telemetry flush complete"), "{report}");
    assert!(report.contains(&format!("traces: {} exported", collector.accepted().spans)), "{report}");
    assert!(report.contains(&format!("logs: {} exported", collector.accepted().log_records)), "{report}");
    for signal in ["traces", "metrics", "logs"] {
        for told in ["exports fail", "exports succeed again"] {
            let field = format!("export.signal=\"{signal}\"");
            let is_it = |line: &&str| line.contains(told) && line.contains(&field);
            let lines: Vec<_> = printed.lines().filter(is_it).collect();
            assert_eq!(lines.len(), 1, "{told} of {signal}: {lines:#?}");
        }
    }
}

/// Everything that ended was exported, failed, was dropped, or waits in a queue with an end.
fn assert_balanced(phase: &str, signal: &str, health: &Value) {
    let count = |name: &str| health[name].as_u64().expect("a number");
    let gone = count("exported") + count("failed") + count("dropped");
    assert_eq!(count("ended"), gone + count("queued"), "{phase}: {signal} is {health}");
    // A full queue, and a batch under way.
    assert!(count("queued") <= 2048 + 512, "{phase}: {signal} is {health}");
}

const HEAD: &str = "\
| collector | requests | failed | median, ms | 90 %, ms | 99 %, ms | resident, MiB | spans ended | exported | failed | dropped | queued |
|---|---|---|---|---|---|---|---|---|---|---|---|
";

/// Each time with its ratio to that of the same load without telemetry.
fn write_row(table: &mut String, name: &str, times: &[Times; 2], traces: &Value, resident: u64) {
    let [with, without] = times;
    write!(table, "| {name} | {} | {} |", with.requests(), with.failed).expect("a string takes it");
    for share in [0.5, 0.9, 0.99] {
        let [with, without] = [with, without].map(|times| times.percentile(share).as_secs_f64() * 1000.0);
        write!(table, " {with:.2} ({:.2}) |", with / without).expect("a string takes it");
    }
    write!(table, " {:.1} |", resident as f64 / f64::from(1 << 20)).expect("a string takes it");
    for count in ["ended", "exported", "failed", "dropped", "queued"] {
        write!(table, " {} |", traces[count]).expect("a string takes it");
    }
    table.push('\n');
}
