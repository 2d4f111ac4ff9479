//! Counting one signal on its way to the collector, so that nothing is lost unseen.
//!
//! Every item ends in exactly one of three: exported, failed, or dropped. What is in none of them waits, or is
//! being exported. The counter also guards the queue: it lets in no more than fit, so the SDK's queue behind it
//! never drops an item that was counted as waiting.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use opentelemetry::Context;

use super::otlp::{Delivered, Outcome, Reason};
use super::{Drops, Failures, LastError, SignalHealth, TARGET};
use crate::config::Signal;

#[derive(Debug)]
pub(super) struct Counter {
    signal: Signal,
    queue_size: Option<usize>,
    ended: AtomicU64,
    /// Dropped in front of a full queue.
    overflown: AtomicU64,
    /// Dropped since the shutdown began.
    late: AtomicU64,
    waiting: AtomicUsize,
    /// Left the queue for an export.
    taken: AtomicU64,
    closed: AtomicBool,
    over: AtomicBool,
    done: Mutex<Done>,
    progress: Condvar,
}

/// How far items have come since the start of the process.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) overflown: u64,
    pub(super) late: u64,
    /// In the queue now.
    pub(super) waiting: u64,
    /// Given to an export.
    pub(super) taken: u64,
    /// Of those, the ones whose export goes on.
    pub(super) in_flight: u64,
    pub(super) exported: u64,
    /// Failed, by `error.type`.
    pub(super) errors: BTreeMap<Cow<'static, str>, u64>,
}

/// What the log is told, once each time it happens.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    /// Exports fail, for this reason.
    Failing(String),
    /// Exports succeed again; so many items have failed up to now.
    Recovered(u64),
    /// The queue drops what comes; so many items up to now.
    Overflowing(u64),
    /// The queue dropped nothing since the last export; so many items before.
    Drained(u64),
}

/// What exports brought, and which of it was told in the log.
#[derive(Debug, Default)]
struct Done {
    exported: u64,
    failures: Failures,
    /// Items whose export the shutdown ended.
    cut: u64,
    /// Items of failed exports, by `error.type`: the status codes of two protocols, and a handful of words.
    errors: BTreeMap<Cow<'static, str>, u64>,
    retried: u64,
    failing: bool,
    last_error: Option<LastError>,
    /// The overflow known at the end of the last export.
    overflown: u64,
    overflowing: bool,
}

impl Counter {
    /// `queue_size` is how many items may wait for an export, those in an export not counted; `None` where there is no
    /// queue.
    pub(super) fn new(signal: Signal, queue_size: Option<usize>) -> Self {
        Self {
            signal,
            queue_size,
            ended: AtomicU64::new(0),
            overflown: AtomicU64::new(0),
            late: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
            taken: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            over: AtomicBool::new(false),
            done: Mutex::default(),
            progress: Condvar::new(),
        }
    }

    /// Counts an item that has ended; whether it may enter the queue.
    pub(super) fn admit(&self) -> bool {
        self.ended.fetch_add(1, Ordering::Relaxed);
        let before = self.waiting.fetch_add(1, Ordering::AcqRel);
        let fits = self.queue_size.is_none_or(|size| before < size);
        let closed = self.closed.load(Ordering::Acquire);
        if fits && !closed {
            return true;
        }
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        let reason = if closed { &self.late } else { &self.overflown };
        reason.fetch_add(1, Ordering::Relaxed);
        false
    }

    /// Counts items that no queue held: what a reader has just collected.
    pub(super) fn collected(&self, items: usize) {
        self.ended.fetch_add(items as u64, Ordering::Relaxed);
        self.waiting.fetch_add(items, Ordering::AcqRel);
    }

    /// Items leave the queue for an export.
    pub(super) fn taken(&self, items: usize) {
        self.waiting.fetch_sub(items, Ordering::AcqRel);
        self.taken.fetch_add(items as u64, Ordering::Relaxed);
    }

    /// An export of `items` is over. Tells the log what has changed by it.
    pub(super) fn settled(&self, items: usize, delivered: Delivered) {
        let changes = self.settle(items as u64, delivered);
        // The log may be slow, so it is told when nobody waits for the counts any more.
        for change in changes.into_iter().flatten() {
            self.tell(change);
        }
    }

    fn settle(&self, items: u64, delivered: Delivered) -> [Option<Change>; 2] {
        let mut done = self.done();
        done.retried += delivered.retries;
        let error_type = delivered.outcome.error_type();
        // The shutdown's report tells it, and comes before this could.
        let is_cut =
            matches!(&delivered.outcome, Outcome::Failed(failure) if failure.reason == Reason::Shutdown);
        let (failed, error) = match delivered.outcome {
            Outcome::Accepted { warning } => (0, warning),
            Outcome::PartlyRejected { rejected, message } => {
                let rejected = rejected.min(items);
                done.failures.partly_rejected += rejected;
                (rejected, Some(message))
            }
            Outcome::Failed(failure) => {
                let failures = &mut done.failures;
                match failure.reason {
                    Reason::Rejected => failures.rejected += items,
                    Reason::RetriesExhausted => failures.retries_exhausted += items,
                    Reason::Timeout => failures.timeout += items,
                    Reason::Unreachable => failures.unreachable += items,
                    Reason::Encoding => failures.encoding += items,
                    Reason::Own => failures.own_exporter += items,
                    Reason::Shutdown => done.cut += items,
                }
                (items, Some(failure.message))
            }
        };
        done.exported += items - failed;
        if let Some(error) = error_type {
            *done.errors.entry(error).or_default() += failed;
        }
        if let Some(message) = error {
            done.last_error = Some(LastError { message, time: SystemTime::now() });
        }
        let exports = match (done.failing, failed > 0) {
            (false, true) if !is_cut => {
                let error = done.last_error.as_ref().map(|error| error.message.clone());
                Some(Change::Failing(error.unwrap_or_default()))
            }
            (true, false) => Some(Change::Recovered(done.failures.total())),
            _ => None,
        };
        done.failing = failed > 0;

        let overflown = self.overflown.load(Ordering::Relaxed);
        let overflowing = overflown > done.overflown;
        let queue = match (done.overflowing, overflowing) {
            (false, true) => Some(Change::Overflowing(overflown)),
            (true, false) => Some(Change::Drained(overflown)),
            _ => None,
        };
        done.overflown = overflown;
        done.overflowing = overflowing;
        drop(done);
        self.progress.notify_all();
        [exports, queue]
    }

    fn tell(&self, change: Change) {
        // The threads of the queues suppress telemetry; this line is for the application, and is told once.
        let _unsuppressed = Context::new().attach();
        let signal = self.signal.name();
        match change {
            Change::Failing(error) => {
                tracing::warn!(target: TARGET, { export.signal = signal, exception.message = error }, "exports fail; told once until they succeed");
            }
            Change::Recovered(failed) => {
                tracing::info!(target: TARGET, { export.signal = signal, export.failed = failed }, "exports succeed again");
            }
            Change::Overflowing(dropped) => {
                tracing::warn!(target: TARGET, { export.signal = signal, export.dropped = dropped, export.queue_size = self.queue_size.unwrap_or_default() }, "the queue is full; told once until it has room");
            }
            Change::Drained(dropped) => {
                tracing::info!(target: TARGET, { export.signal = signal, export.dropped = dropped }, "the queue has room again");
            }
        }
    }

    /// From now on nothing enters the queue.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Waits until nothing is under way, or was given up; false where the deadline comes first.
    pub(super) fn wait_until_idle(&self, deadline: Instant) -> bool {
        let mut done = self.done();
        while self.queued(&done) > 0 && !self.over.load(Ordering::Acquire) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            done = self.progress.wait_timeout(done, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// From now on what is still under way counts as dropped.
    pub(super) fn give_up(&self) {
        self.close();
        self.over.store(true, Ordering::Release);
    }

    /// The counts of now.
    pub(super) fn health(&self) -> SignalHealth {
        let done = self.done();
        let queued = self.queued(&done);
        let over = self.over.load(Ordering::Acquire);
        let drops = Drops {
            queue_full: self.overflown.load(Ordering::Relaxed),
            shutdown: self.late.load(Ordering::Relaxed) + done.cut + if over { queued } else { 0 },
        };
        SignalHealth {
            ended: self.ended.load(Ordering::Relaxed),
            exported: done.exported,
            failed: done.failures.total(),
            failures: done.failures,
            dropped: drops.total(),
            drops,
            queued: if over { 0 } else { queued },
            queue_capacity: self.queue_size,
            retried: done.retried,
            healthy: !done.failing && !done.overflowing,
            last_error: done.last_error.clone(),
        }
    }

    /// How many items there were to export.
    pub(super) fn ended(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }

    pub(super) fn queue_size(&self) -> Option<usize> {
        self.queue_size
    }

    /// How far items have come.
    pub(super) fn progress(&self) -> Progress {
        let done = self.done();
        let taken = self.taken.load(Ordering::Relaxed);
        let settled = done.exported + done.failures.total() + done.cut;
        Progress {
            overflown: self.overflown.load(Ordering::Relaxed),
            late: self.late.load(Ordering::Relaxed),
            waiting: self.waiting.load(Ordering::Relaxed) as u64,
            taken,
            in_flight: taken.saturating_sub(settled),
            exported: done.exported,
            errors: done.errors.clone(),
        }
    }

    fn queued(&self, done: &Done) -> u64 {
        let dropped = self.overflown.load(Ordering::Relaxed) + self.late.load(Ordering::Relaxed) + done.cut;
        let gone = done.exported + done.failures.total() + dropped;
        self.ended.load(Ordering::Relaxed).saturating_sub(gone)
    }

    fn done(&self) -> MutexGuard<'_, Done> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::otlp::Failure;
    use super::*;

    fn delivered(outcome: Outcome) -> Delivered {
        Delivered { outcome, retries: 0, took: std::time::Duration::ZERO }
    }

    fn accepted() -> Delivered {
        delivered(Outcome::Accepted { warning: None })
    }

    fn failed(reason: Reason, message: &str) -> Delivered {
        delivered(Outcome::Failed(Failure { reason, status: None, message: message.to_owned() }))
    }

    #[test]
    fn every_item_is_counted_once() {
        let counter = Counter::new(Signal::Traces, Some(3));
        let admitted = (0..5).filter(|_| counter.admit()).count();
        assert_eq!(admitted, 3);
        counter.taken(2);
        assert!(counter.admit(), "an export makes room");
        let refused = Outcome::PartlyRejected { rejected: 1, message: "too old".to_owned() };
        counter.settled(2, Delivered { retries: 3, ..delivered(refused) });
        let health = counter.health();
        assert_eq!(
            (health.ended, health.exported, health.failed, health.dropped, health.queued),
            (6, 1, 1, 2, 2)
        );
        assert_eq!((health.failures.partly_rejected, health.drops.queue_full), (1, 2));
        assert_eq!((health.retried, health.queue_capacity, health.healthy), (3, Some(3), false));
        assert_eq!(health.last_error.expect("it failed").message, "too old");
        counter.give_up();
        let health = counter.health();
        assert_eq!((health.dropped, health.drops.shutdown, health.queued), (4, 2, 0));
        assert!(!counter.admit(), "nothing enters any more");
        assert_eq!(counter.health().drops.shutdown, 3);
    }

    #[test]
    fn failures_are_counted_by_their_reason() {
        let counter = Counter::new(Signal::Traces, None);
        let reasons = [
            Reason::Rejected,
            Reason::RetriesExhausted,
            Reason::Timeout,
            Reason::Unreachable,
            Reason::Encoding,
            Reason::Own,
            Reason::Shutdown,
        ];
        for (items, reason) in (1..).zip(reasons) {
            counter.collected(items);
            counter.taken(items);
            counter.settled(items, failed(reason, ""));
        }
        let health = counter.health();
        let expected = Failures {
            rejected: 1,
            partly_rejected: 0,
            retries_exhausted: 2,
            timeout: 3,
            unreachable: 4,
            encoding: 5,
            own_exporter: 6,
        };
        assert_eq!(health.failures, expected);
        assert_eq!((health.ended, health.failed, health.dropped, health.queued), (28, 21, 7, 0));
        assert_eq!(health.drops, Drops { queue_full: 0, shutdown: 7 });
    }

    #[test]
    fn a_full_queue_admits_exactly_its_size_from_many_threads() {
        let counter = Counter::new(Signal::Logs, Some(100));
        let admitted: usize = std::thread::scope(|scope| {
            let admit = || (0..100).filter(|_| counter.admit()).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(admit)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
        });
        let health = counter.health();
        assert_eq!(health.ended, 400);
        assert_eq!(health.queued as usize, admitted);
        assert_eq!(health.dropped as usize, 400 - admitted);
        assert!(admitted <= 100, "{admitted}");
    }

    #[test]
    fn a_change_for_the_worse_and_back_is_told_once_each() {
        let counter = Counter::new(Signal::Traces, Some(1));
        let export = |ended, outcome| {
            for _ in 0..ended {
                counter.admit();
            }
            counter.taken(1);
            counter.settle(1, outcome).into_iter().flatten().collect::<Vec<_>>()
        };
        let told = [
            (1, failed(Reason::RetriesExhausted, "HTTP 503"), Some(Change::Failing("HTTP 503".to_owned()))),
            (1, failed(Reason::Unreachable, "no route"), None),
            (1, accepted(), Some(Change::Recovered(2))),
            (1, accepted(), None),
            (3, accepted(), Some(Change::Overflowing(2))),
            (3, accepted(), None),
            (1, accepted(), Some(Change::Drained(4))),
        ];
        for (ended, outcome, change) in told {
            assert_eq!(export(ended, outcome), Vec::from_iter(change));
        }
    }

    #[test]
    fn an_export_that_the_shutdown_ends_is_for_its_report_alone() {
        let counter = Counter::new(Signal::Traces, Some(1));
        assert!(counter.admit());
        counter.taken(1);
        let changes = counter.settle(1, failed(Reason::Shutdown, "cut off by the shutdown"));
        assert_eq!(changes, [None, None]);
    }

    #[test]
    fn a_counter_is_healthy_again_after_a_success() {
        let counter = Counter::new(Signal::Metrics, None);
        for (outcome, healthy) in [(failed(Reason::Timeout, "slow"), false), (accepted(), true)] {
            counter.collected(4);
            counter.taken(4);
            counter.settled(4, outcome);
            assert_eq!(counter.health().healthy, healthy);
        }
        let health = counter.health();
        assert_eq!((health.ended, health.exported, health.failed, health.queued), (8, 4, 4, 0));
    }
}
