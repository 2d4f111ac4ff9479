//! What a collector may say instead of yes, over HTTP.

use super::*;

/// Sends three spans to a collector; what it got, and the health after.
fn answered(
    variables: &[(&str, &str)],
    answer: impl Fn(usize) -> Answer + Send + Sync + 'static,
) -> (Vec<collector::Received>, SignalHealth) {
    let collector = Collector::start(answer);
    let quiet = [("OTEL_LOGS_EXPORTER", "none"), ("OTEL_METRICS_EXPORTER", "none")];
    let variables: Vec<_> = quiet.iter().chain(variables).copied().collect();
    let providers = start(&collector.endpoint(), &variables);
    end_spans(&providers, 3);
    let report = providers.shutdown(DEADLINE);
    assert!(!report.traces.timed_out, "{report}");
    let health = providers.health().traces.expect("traces are exported");
    assert_eq!(health.ended, health.exported + health.failed + health.dropped + health.queued);
    (collector.received(), health)
}

fn message(health: &SignalHealth) -> &str {
    &health.last_error.as_ref().expect("it failed").message
}

#[test]
fn a_request_that_is_refused_for_good_is_not_sent_again() {
    for status in ["400 Bad Request", "401 Unauthorized", "404 Not Found", "413 Too Large", "500 Broken"] {
        let (received, health) = answered(&[], move |_| Answer::Status(status));
        assert_eq!(received.len(), 1, "{status}");
        assert_eq!((health.failures.rejected, health.retried), (3, 0), "{status}");
        assert!(message(&health).starts_with(&format!("HTTP {}", &status[..3])), "{health:?}");
    }
}

#[test]
fn a_refusal_is_told_in_the_collectors_own_words_and_no_more_than_a_line_of_them() {
    let (_, health) = answered(&[], |_| {
        Answer::Reply("401 Unauthorized", "content-type: text/plain\r\n", b"unknown\r\nAPI key")
    });
    assert_eq!(message(&health), "HTTP 401 Unauthorized: unknown  API key");
    let (_, health) = answered(&[], |_| Answer::Reply("400 Bad Request", "", &[b'x'; 10_000]));
    assert_eq!(message(&health).len(), "HTTP 400 Bad Request: …".len() + 256);
}

#[test]
fn a_redirect_is_not_followed() {
    let (received, health) =
        answered(&[], |_| Answer::Reply("307 Temporary Redirect", "location: /elsewhere\r\n", b""));
    assert_eq!(received.len(), 1);
    assert!(message(&health).contains("redirect"), "{health:?}");
}

#[test]
fn the_pause_that_a_collector_asks_for_is_kept() {
    for status in ["503 Service Unavailable", "429 Too Many Requests"] {
        let (received, health) = answered(&[], move |earlier| match earlier {
            0 => Answer::Reply(status, "retry-after: 1\r\n", b""),
            _ => Answer::Accept,
        });
        assert_eq!((health.exported, health.retried), (3, 1));
        let [first, second] = &received[..] else { panic!("{} requests", received.len()) };
        assert!(second.time - first.time >= Duration::from_secs(1), "{status}");
    }
}

#[test]
fn a_pause_longer_than_an_export_may_take_is_not_waited_for_and_the_next_export_keeps_it() {
    let (received, health) = answered(
        &[
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "300"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "3"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1"),
        ],
        |_| Answer::Reply("503 Service Unavailable", "retry-after: 3600\r\n", b""),
    );
    assert_eq!(received.len(), 1, "the other two batches kept the pause");
    assert_eq!((health.failures.retries_exhausted, health.retried), (3, 0));
}

#[test]
fn an_answer_that_never_ends_is_an_acceptance_all_the_same() {
    let (_, health) = answered(&[], |_| Answer::Reply("200 OK", "", &[0; 5 * 1024 * 1024]));
    assert_eq!(health.exported, 3);
}
