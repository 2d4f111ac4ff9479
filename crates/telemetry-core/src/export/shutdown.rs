//! The end: everything that waits leaves, or is counted as lost.

use std::fmt;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::reader::MetricReader;
use serde::Serialize;

use super::side_by_side::all;
use super::{Counter, Drops, Failures, Providers, Route, SignalHealth};
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
    /// Exporters beside those: further collectors of a signal, and the application's own.
    pub further: Vec<ExporterReport>,
    /// How long it took.
    pub took: Duration,
}

/// The end of one exporter of a signal that has several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ExporterReport {
    /// Its name, as in [`ExporterHealth`](super::ExporterHealth).
    pub exporter: String,
    /// What it exported and lost.
    pub report: SignalReport,
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
        let further = self.further.iter().map(|further| &further.report);
        [&self.traces, &self.metrics, &self.logs]
            .into_iter()
            .chain(further)
            .all(|report| report.lost == 0 && !report.timed_out)
    }
}

impl SignalReport {
    /// What was lost, by its reasons.
    fn losses(&self) -> [(u64, &'static str); 9] {
        let (failures, drops) = (&self.failures, &self.drops);
        [
            (failures.rejected, "failed (rejected)"),
            (failures.partly_rejected, "failed (partly rejected)"),
            (failures.retries_exhausted, "failed (retries exhausted)"),
            (failures.timeout, "failed (timeout)"),
            (failures.unreachable, "failed (unreachable)"),
            (failures.encoding, "failed (encoding)"),
            (failures.own_exporter, "failed (own exporter)"),
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
            [(Signal::Traces, &self.traces), (Signal::Metrics, &self.metrics), (Signal::Logs, &self.logs)]
                .map(|(signal, report)| (signal.name(), report));
        let further = self.further.iter().map(|further| (further.exporter.as_str(), &further.report));
        // A signal that went to no collector has nothing to tell.
        for (name, report) in
            signals.into_iter().chain(further).filter(|(_, report)| **report != SignalReport::default())
        {
            write!(f, "; {name}: {} exported", report.exported)?;
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
    let pipelines = providers.pipelines.clone();
    let Providers { tracer, meter, logger, .. } = providers.clone();
    let before: Vec<SignalHealth> = pipelines.routes.iter().map(|route| route.counter.health()).collect();

    // Threads, because each of these blocks and the caller's may be the application's only one.
    let flushes = [
        (Signal::Traces, Flush::start(move || tracer.shutdown_with_timeout(deadline))),
        (Signal::Metrics, {
            let pipelines = pipelines.clone();
            Flush::start(move || {
                let result = all(&pipelines.readers, |reader| reader.shutdown_with_timeout(deadline));
                result.and(meter.shutdown_with_timeout(deadline))
            })
        }),
        (Signal::Logs, Flush::start(move || logger.shutdown_with_timeout(deadline))),
    ];
    let mut report = ShutdownReport::default();
    for (signal, flush) in flushes {
        let end_of_it = flush.finish(end);
        let routes: Vec<(&Route, &SignalHealth)> =
            pipelines.routes.iter().zip(&before).filter(|(route, _)| route.signal == signal).collect();
        report.of(signal).timed_out = routes.is_empty() && end_of_it == End::TooLate;
        let is_one_of_several = routes.len() > 1;
        for (route, before) in routes {
            // Another one may be why the whole is late.
            let is_done = is_one_of_several && route.counter.health().queued == 0;
            let ended = settle(&route.counter, before, if is_done { End::Done } else { end_of_it }, end);
            if route.is_main {
                *report.of(signal) = ended;
            } else {
                let exporter = route.component.name().to_owned();
                report.further.push(ExporterReport { exporter, report: ended });
            }
        }
    }
    if let Some(connection) = &pipelines.connection {
        connection.cut();
    }
    report.took = start.elapsed();
    report
}

/// An instant cannot be infinitely far away.
const A_YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl ShutdownReport {
    fn of(&mut self, signal: Signal) -> &mut SignalReport {
        match signal {
            Signal::Traces => &mut self.traces,
            Signal::Metrics => &mut self.metrics,
            Signal::Logs => &mut self.logs,
        }
    }
}

/// How the flush of a signal ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Done,
    /// Either something failed, or a timeout shorter than ours struck while its thread goes on.
    Failed,
    /// The deadline came first.
    TooLate,
}

/// One signal's flush, running on a thread of its own.
struct Flush(mpsc::Receiver<OTelSdkResult>);

impl Flush {
    fn start(shutdown: impl FnOnce() -> OTelSdkResult + Send + 'static) -> Self {
        let (sender, result) = mpsc::sync_channel(1);
        let flush = move || drop(sender.send(shutdown()));
        // Without a thread the channel is closed at once, and what waits is counted as lost.
        drop(thread::Builder::new().name("telemetry-flush".to_owned()).spawn(flush));
        Self(result)
    }

    fn finish(self, end: Instant) -> End {
        match self.0.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(Ok(()) | Err(OTelSdkError::AlreadyShutdown)) => End::Done,
            Ok(Err(_)) => End::Failed,
            Err(_) => End::TooLate,
        }
    }
}

/// What became of what one exporter was given. What is still under way counts as lost from here on.
fn settle(counter: &Counter, before: &SignalHealth, flush: End, end: Instant) -> SignalReport {
    let ended = match flush {
        End::Done => true,
        End::Failed => counter.wait_until_idle(end),
        End::TooLate => false,
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
