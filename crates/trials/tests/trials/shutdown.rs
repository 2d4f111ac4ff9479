//! SIGTERM after many requests: every span of theirs arrives, or is told as lost.
//!
//! The long form makes ten times ten thousand requests (`SHUTDOWN_REQUESTS` says otherwise), by each protocol, of a
//! service with one worker and one with several:
//!
//! ```sh
//! cargo test -p trials shutdown -- --ignored --nocapture
//! ```

use tokio::task::JoinSet;

use crate::collector::{Collector, Manner};
use crate::load::get;
use crate::service::{PROTOCOLS, Service, client, eventually};

/// Requests at a time.
const LOOPS: usize = 8;

#[tokio::test]
async fn after_a_shutdown_the_collector_has_the_span_of_every_request() {
    for protocol in PROTOCOLS {
        for workers in ["1", "3"] {
            assert_nothing_is_lost(protocol, workers, 400).await;
        }
    }
}

#[tokio::test]
#[ignore = "takes minutes: ten times SHUTDOWN_REQUESTS, by default 10000, in each of the ways"]
async fn after_each_of_ten_shutdowns_the_collector_has_the_span_of_every_request() {
    let requests = std::env::var("SHUTDOWN_REQUESTS").map_or(10_000, |text| text.parse().expect("a number"));
    for protocol in PROTOCOLS {
        for workers in ["1", "3"] {
            for round in 1..=10 {
                let served = assert_nothing_is_lost(protocol, workers, requests).await;
                println!(
                    "{protocol}, WORKERS={workers}, round {round}: {served} requests, as many server spans"
                );
            }
        }
    }
}

/// Answers how many requests there were.
async fn assert_nothing_is_lost(protocol: &str, workers: &str, requests: usize) -> u64 {
    let collector = Collector::start();
    let mut service = Service::serve(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("WORKERS", workers),
        // All of them have room, so that what is missing was lost by the end.
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100000"),
        ("RUST_LOG", "warn"),
    ])
    .await;
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
    let served = (requests / LOOPS * LOOPS + LOOPS) as u64;
    let accepted = collector.accepted();
    assert_eq!(accepted.server_spans, served, "{}", service.printed());
    assert_eq!(accepted.spans, 2 * served - LOOPS as u64, "those below them, which waiting has not");
    served
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
