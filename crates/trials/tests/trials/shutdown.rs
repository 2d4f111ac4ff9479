//! SIGTERM after many requests: every span of theirs arrives, or is told as lost.
//!
//! The long form makes ten times ten thousand requests (`SHUTDOWN_REQUESTS` says otherwise), by each protocol, of a
//! service with one worker and one with several:
//!
//! ```sh
//! cargo test -p trials shutdown -- --ignored --nocapture
//! ```

use std::fmt::{self, Display, Formatter};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::collector::{Accepted, Collector, Manner};
use crate::load::get;
use crate::service::{PROTOCOLS, Service, client, eventually};

/// Requests at a time.
const LOOPS: usize = 8;

/// All of the trial's spans have room in the queue, so that what is missing was lost by the end.
const ROOM: [(&str, &str); 1] = [("OTEL_BSP_MAX_QUEUE_SIZE", "100000")];

#[tokio::test]
async fn after_a_shutdown_the_collector_has_the_span_of_every_request() {
    for protocol in PROTOCOLS {
        for workers in ["1", "3"] {
            let end = end(protocol, workers, 400, &ROOM).await;
            end.assert_nothing_is_lost();
        }
    }
}

#[tokio::test]
async fn with_the_default_queue_every_span_arrives_or_is_counted() {
    for protocol in PROTOCOLS {
        for workers in ["1", "3"] {
            end(protocol, workers, 4000, &[]).await.assert_every_span_is_accounted_for();
        }
    }
}

#[tokio::test]
#[ignore = "takes minutes: ten times SHUTDOWN_REQUESTS, by default 10000, in each of the ways"]
async fn after_each_of_ten_shutdowns_the_collector_has_the_span_of_every_request() {
    for protocol in PROTOCOLS {
        for workers in ["1", "3"] {
            for round in 1..=10 {
                let end = end(protocol, workers, requests(), &ROOM).await;
                end.assert_nothing_is_lost();
                println!("{protocol}, WORKERS={workers}, round {round}: {end}");
            }
        }
    }
}

#[tokio::test]
#[ignore = "takes minutes: ten times SHUTDOWN_REQUESTS, by default 10000, in each of the ways"]
async fn with_the_default_queue_every_span_of_ten_shutdowns_arrives_or_is_counted() {
    for protocol in PROTOCOLS {
        for workers in ["1", "3"] {
            for round in 1..=10 {
                let end = end(protocol, workers, requests(), &[]).await;
                end.assert_every_span_is_accounted_for();
                println!("{protocol}, WORKERS={workers}, round {round}: {end}");
            }
        }
    }
}

fn requests() -> usize {
    std::env::var("SHUTDOWN_REQUESTS").map_or(10_000, |text| text.parse().expect("a number"))
}

/// What a process left behind.
struct End {
    served: u64,
    /// Of the requests but the last, from the first to the last.
    took: Duration,
    accepted: Accepted,
    /// The report of its flush.
    report: String,
}

impl End {
    /// A span of each request, and one below it, which those that waited have not.
    fn ended(&self) -> u64 {
        2 * self.served - LOOPS as u64
    }

    fn assert_nothing_is_lost(&self) {
        assert_eq!(self.accepted.server_spans, self.served, "{}", self.report);
        assert_eq!(self.accepted.spans, self.ended(), "{}", self.report);
    }

    /// Only a full queue loses spans, and tells how many; the end loses none.
    fn assert_every_span_is_accounted_for(&self) {
        assert!(self.report.starts_with("telemetry flush complete"), "{}", self.report);
        let lost = match self.dropped() {
            0 => String::new(),
            dropped => format!(", {dropped} dropped (queue full)"),
        };
        let traces = format!("traces: {} exported{lost};", self.accepted.spans);
        assert!(self.report.contains(&traces), "{traces} in {}", self.report);
        assert_eq!(self.accepted.spans + self.dropped(), self.ended(), "{}", self.report);
    }

    /// What the report tells of the queue.
    fn dropped(&self) -> u64 {
        let Some((before, _)) = self.report.split_once(" dropped (queue full)") else { return 0 };
        before.rsplit(' ').next().and_then(|count| count.parse().ok()).expect("a number")
    }
}

impl Display for End {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (Self { served, took, accepted, .. }, dropped) = (self, self.dropped());
        let rate = (*served as f64 / took.as_secs_f64()).round();
        write!(f, "{served} requests, {rate} a second; {} of their spans came, ", accepted.server_spans)?;
        write!(f, "{} of {} spans, {dropped} dropped", accepted.spans, self.ended())
    }
}

/// So many requests as fast as they are answered, eight at a time, eight more that are in flight when SIGTERM comes, and
/// the end.
async fn end(protocol: &str, workers: &str, requests: usize, settings: &[(&str, &str)]) -> End {
    let collector = Collector::start();
    let endpoint = collector.endpoint();
    let exporter = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("WORKERS", workers),
        ("RUST_LOG", "warn"),
    ];
    let mut service = Service::serve(&[&exporter[..], settings].concat()).await;
    let start = Instant::now();
    let mut loops = JoinSet::new();
    for _ in 0..LOOPS {
        let (client, url) = (client(), service.url("/work"));
        loops.spawn(async move {
            for _ in 0..requests / LOOPS {
                assert!(get(&client, &url).await, "a request failed");
            }
        });
    }
    loops.join_all().await;
    let took = start.elapsed();
    // These are in flight when the signal comes.
    let mut waiting = JoinSet::new();
    for _ in 0..LOOPS {
        let (client, url) = (client(), service.url("/wait"));
        waiting.spawn(async move { get(&client, &url).await });
    }
    eventually("requests are in flight", async || service.health().await["waiting"] == LOOPS).await;
    service.terminate();
    assert_eq!(waiting.join_all().await, [true; LOOPS], "requests in flight were cut off");
    assert!(service.ended().await.success(), "{}", service.printed());
    let printed = service.printed();
    let report =
        printed.lines().find(|line| line.starts_with("telemetry flush")).expect("it tells").to_owned();
    let served = (requests / LOOPS * LOOPS + LOOPS) as u64;
    End { served, took, accepted: collector.accepted(), report }
}

#[tokio::test]
async fn a_hanging_collector_delays_the_end_no_longer_than_the_deadline_and_the_loss_is_told() {
    for protocol in PROTOCOLS {
        let collector = Collector::start();
        collector.behave(Manner::Hang);
        let mut service = Service::serve(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            // Longer than the trial waits: only the deadline can end it.
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "600000"),
            ("OTEL_BSP_EXPORT_TIMEOUT", "600000"),
            ("FLUSH_MS", "700"),
        ])
        .await;
        let client = client();
        for _ in 0..50 {
            assert!(get(&client, &service.url("/work")).await, "a request failed");
        }
        service.terminate();
        assert!(service.ended().await.success());
        let printed = service.printed();
        let report = printed.lines().find(|line| line.starts_with("telemetry flush")).expect("it tells");
        println!("{protocol}: {report}");
        assert!(report.starts_with("telemetry flush incomplete"), "{report}");
        assert!(report.contains("traces: 0 exported, 100 dropped (shutdown), timed out"), "{report}");
        assert!(report.contains("logs: 0 exported, "), "{report}");
    }
}
