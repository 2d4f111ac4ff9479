//! The end: everything that waits leaves, or is counted as lost.

use std::fmt;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use serde::Serialize;

use super::{Counter, Drops, Failures, Providers, SignalHealth};
use crate::config::Signal;

/// What a shutdown flushed and what it lost, a signal each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Spans.
    pub traces: SignalReport,
    /// Data points of metrics.
    pub metrics: SignalReport,
    /// Log records.
    pub logs: SignalReport,
    /// How long it took.
    pub took: Duration,
}

/// The end of one signal. The counts are of the whole process, as in [`SignalHealth`]; they are 0 for a signal that
/// goes to no collector.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SignalReport {
    /// Accepted by the collector.
    pub exported: u64,
    /// Refused by the collector, or not delivered after all retries.
    pub failed: u64,
    /// `failed` by its reasons.
    pub failures: Failures,
    /// Lost before any export: the queue was full, or the deadline came first.
    pub dropped: u64,
    /// `dropped` by its reasons.
    pub drops: Drops,
    /// How many of `failed` and `dropped` were lost by this shutdown and not before.
    pub lost: u64,
    /// Whether the deadline came before the end.
    pub timed_out: bool,
}

impl ShutdownReport {
    /// Whether everything that waited has left. What was lost before the shutdown does not count here.
    pub fn is_complete(&self) -> bool {
        [&self.traces, &self.metrics, &self.logs].iter().all(|signal| signal.lost == 0 && !signal.timed_out)
    }
}

impl SignalReport {
    /// What was lost, by its reasons.
    fn losses(&self) -> [(u64, &'static str); 8] {
        let (failures, drops) = (&self.failures, &self.drops);
        [
            (failures.rejected, "failed (rejected)"),
            (failures.partly_rejected, "failed (partly rejected)"),
            (failures.retries_exhausted, "failed (retries exhausted)"),
            (failures.timeout, "failed (timeout)"),
            (failures.unreachable, "failed (unreachable)"),
            (failures.encoding, "failed (encoding)"),
            (drops.queue_full, "dropped (queue full)"),
            (drops.shutdown, "dropped (shutdown)"),
        ]
    }
}

/// One line, for the log.
impl fmt::Display for ShutdownReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = if self.is_complete() { "complete" } else { "incomplete" };
        write!(f, "telemetry flush {outcome} after {} ms", self.took.as_millis())?;
        let signals =
            [(Signal::Traces, &self.traces), (Signal::Metrics, &self.metrics), (Signal::Logs, &self.logs)];
        // A signal that went to no collector has nothing to tell.
        for (signal, report) in signals.into_iter().filter(|(_, report)| **report != SignalReport::default())
        {
            write!(f, "; {signal}: {} exported", report.exported)?;
            for (count, what) in report.losses() {
                if count > 0 {
                    write!(f, ", {count} {what}")?;
                }
            }
            if report.timed_out {
                f.write_str(", timed out")?;
            }
        }
        Ok(())
    }
}

pub(super) fn shutdown(providers: &Providers, deadline: Duration) -> ShutdownReport {
    let start = Instant::now();
    let end = start.checked_add(deadline).unwrap_or(start + A_YEAR);
    let pipelines = &providers.pipelines;
    let Providers { tracer, meter, logger, .. } = providers.clone();

    // Threads, because each of these blocks and the caller's may be the application's only one.
    let traces = Flush::start(pipelines.traces.as_deref(), move || tracer.shutdown_with_timeout(deadline));
    let metrics = Flush::start(pipelines.metrics.as_deref(), move || meter.shutdown_with_timeout(deadline));
    let logs = Flush::start(pipelines.logs.as_deref(), move || logger.shutdown_with_timeout(deadline));
    let (traces, metrics, logs) = (traces.finish(end), metrics.finish(end), logs.finish(end));

    if let Some(connection) = &pipelines.connection {
        connection.cut();
    }
    ShutdownReport { traces, metrics, logs, took: start.elapsed() }
}

/// An instant cannot be infinitely far away.
const A_YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// One signal's flush, running on a thread of its own.
struct Flush<'a> {
    counter: Option<&'a Counter>,
    before: Option<SignalHealth>,
    result: mpsc::Receiver<OTelSdkResult>,
}

impl<'a> Flush<'a> {
    fn start(
        counter: Option<&'a Counter>,
        shutdown: impl FnOnce() -> OTelSdkResult + Send + 'static,
    ) -> Self {
        let before = counter.map(Counter::health);
        let (sender, result) = mpsc::sync_channel(1);
        let flush = move || drop(sender.send(shutdown()));
        // Without a thread the channel is closed at once, and what waits is counted as lost.
        drop(thread::Builder::new().name("telemetry-flush".to_owned()).spawn(flush));
        Self { counter, before, result }
    }

    fn finish(self, end: Instant) -> SignalReport {
        let left = end.saturating_duration_since(Instant::now());
        let result = self.result.recv_timeout(left);
        let ended = match result {
            Ok(Ok(()) | Err(OTelSdkError::AlreadyShutdown)) => true,
            // Either it failed, or a timeout shorter than ours struck (the reader of metrics has one of five
            // seconds) while its thread goes on.
            Ok(Err(_)) => self.counter.is_none_or(|counter| counter.wait_until_idle(end)),
            Err(_) => false,
        };
        let (Some(counter), Some(before)) = (self.counter, self.before) else {
            return SignalReport { timed_out: !ended, ..SignalReport::default() };
        };
        counter.give_up();
        let health = counter.health();
        SignalReport {
            exported: health.exported,
            failed: health.failed,
            failures: health.failures,
            dropped: health.dropped,
            drops: health.drops,
            lost: (health.failed + health.dropped).saturating_sub(before.failed + before.dropped),
            timed_out: !ended,
        }
    }
}
