//! Processes that end by an error or a panic in `main`, where nobody calls `shutdown`: the guard's drop flushes.

use crate::collector::{Collector, Manner};
use crate::service::{PROTOCOLS, Service};

/// Ends as `argument` says; answers the exit code, what was printed, and how many spans arrived.
async fn end(argument: &str, protocol: &str, collector: &Collector) -> (Option<i32>, String, u64) {
    let mut service = Service::start(
        argument,
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            // Longer than the trial waits, for collectors that hang.
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "600000"),
            ("OTEL_BSP_EXPORT_TIMEOUT", "600000"),
        ],
    );
    let status = service.ended().await;
    (status.code(), service.printed(), collector.accepted().spans)
}

#[tokio::test]
async fn an_error_from_main_loses_no_span() {
    for protocol in PROTOCOLS {
        let (code, printed, spans) = end("fail", protocol, &Collector::start()).await;
        assert_eq!((code, spans), (Some(1), 100), "{protocol}: {printed}");
        assert!(printed.contains("failed as asked"), "{printed}");
    }
}

#[tokio::test]
async fn a_panic_in_main_loses_no_span() {
    for protocol in PROTOCOLS {
        let (code, printed, spans) = end("panic", protocol, &Collector::start()).await;
        assert_eq!((code, spans), (Some(101), 100), "{protocol}: {printed}");
        assert!(printed.contains("panicked as asked"), "{printed}");
    }
}

#[tokio::test]
async fn neither_waits_for_a_collector_that_hangs() {
    for protocol in PROTOCOLS {
        for (argument, expected) in [("fail", 1), ("panic", 101)] {
            let collector = Collector::start();
            collector.behave(Manner::Hang);
            let (code, printed, spans) = end(argument, protocol, &collector).await;
            assert_eq!((code, spans), (Some(expected), 0), "{protocol}: {printed}");
            assert!(collector.requests() > 0, "the collector was asked");
            assert!(printed.contains("traces: 0 exported, 100 dropped (shutdown), timed out"), "{printed}");
        }
    }
}
