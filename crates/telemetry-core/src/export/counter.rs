//! Counting one signal on its way to the collector, so that nothing is lost unseen.
//!
//! Every item ends in exactly one of three: exported, failed, or dropped. What is in none of them waits, or is
//! being exported. The counter also guards the queue: it lets in no more than fit, so the SDK's queue behind it
//! never drops an item that was counted as waiting.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use opentelemetry::Context;

use super::{SignalHealth, TARGET};
use crate::config::Signal;

#[derive(Debug)]
pub(super) struct Counter {
    signal: Signal,
    queue_size: usize,
    ended: AtomicU64,
    dropped: AtomicU64,
    waiting: AtomicUsize,
    closed: AtomicBool,
    over: AtomicBool,
    done: Mutex<Done>,
    progress: Condvar,
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
    failed: u64,
    failing: bool,
    last_error: Option<String>,
    /// The drops known at the end of the last export.
    dropped: u64,
    dropping: bool,
}

impl Counter {
    /// `queue_size` is how many items may wait for an export, those in an export not counted.
    pub(super) fn new(signal: Signal, queue_size: usize) -> Self {
        Self {
            signal,
            queue_size,
            ended: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            over: AtomicBool::new(false),
            done: Mutex::default(),
            progress: Condvar::new(),
        }
    }

    /// Counts an item that has ended; whether it may enter the queue.
    pub(super) fn admit(&self) -> bool {
        self.ended.fetch_add(1, Ordering::Relaxed);
        let fits = self.waiting.fetch_add(1, Ordering::AcqRel) < self.queue_size;
        if fits && !self.closed.load(Ordering::Acquire) {
            return true;
        }
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        self.dropped.fetch_add(1, Ordering::Relaxed);
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
    }

    /// An export of `items` is over; `failed` of them are lost, for the reason of `error`. Tells the log what
    /// has changed by it.
    pub(super) fn settled(&self, items: usize, failed: u64, error: Option<String>) {
        let changes = self.settle(items, failed, error);
        // The log may be slow, so it is told when nobody waits for the counts any more.
        for change in changes.into_iter().flatten() {
            self.tell(change);
        }
    }

    fn settle(&self, items: usize, failed: u64, error: Option<String>) -> [Option<Change>; 2] {
        let mut done = self.done();
        done.exported += (items as u64).saturating_sub(failed);
        done.failed += failed;
        if error.is_some() {
            done.last_error = error;
        }
        let exports = match (done.failing, failed > 0) {
            (false, true) => Some(Change::Failing(done.last_error.clone().unwrap_or_default())),
            (true, false) => Some(Change::Recovered(done.failed)),
            _ => None,
        };
        done.failing = failed > 0;

        let dropped = self.dropped.load(Ordering::Relaxed);
        let dropping = dropped > done.dropped;
        let queue = match (done.dropping, dropping) {
            (false, true) => Some(Change::Overflowing(dropped)),
            (true, false) => Some(Change::Drained(dropped)),
            _ => None,
        };
        done.dropped = dropped;
        done.dropping = dropping;
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
                tracing::warn!(target: TARGET, { export.signal = signal, export.dropped = dropped, export.queue_size = self.queue_size }, "the queue is full; told once until it has room");
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
        SignalHealth {
            ended: self.ended.load(Ordering::Relaxed),
            exported: done.exported,
            failed: done.failed,
            dropped: self.dropped.load(Ordering::Relaxed) + if over { queued } else { 0 },
            queued: if over { 0 } else { queued },
            healthy: !done.failing && !done.dropping,
            last_error: done.last_error.clone(),
        }
    }

    fn queued(&self, done: &Done) -> u64 {
        let gone = done.exported + done.failed + self.dropped.load(Ordering::Relaxed);
        self.ended.load(Ordering::Relaxed).saturating_sub(gone)
    }

    fn done(&self) -> MutexGuard<'_, Done> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_ends_in_one_place() {
        let counter = Counter::new(Signal::Traces, 3);
        let admitted = (0..5).filter(|_| counter.admit()).count();
        assert_eq!(admitted, 3);
        counter.taken(2);
        assert!(counter.admit(), "an export makes room");
        counter.settled(2, 1, Some("HTTP 503".to_owned()));
        assert_eq!(
            counter.health(),
            SignalHealth {
                ended: 6,
                exported: 1,
                failed: 1,
                dropped: 2,
                queued: 2,
                healthy: false,
                last_error: Some("HTTP 503".to_owned()),
            }
        );
        counter.give_up();
        let health = counter.health();
        assert_eq!((health.dropped, health.queued), (4, 0));
        assert!(!counter.admit(), "nothing enters any more");
        assert_eq!(counter.health().dropped, 5);
    }

    #[test]
    fn a_full_queue_admits_exactly_its_size_from_many_threads() {
        let counter = Counter::new(Signal::Logs, 100);
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
        let counter = Counter::new(Signal::Traces, 1);
        let export = |ended, failed, error: Option<&str>| {
            for _ in 0..ended {
                counter.admit();
            }
            counter.taken(1);
            counter.settle(1, failed, error.map(str::to_owned)).into_iter().flatten().collect::<Vec<_>>()
        };
        let told = [
            (1, 1, Some("HTTP 503"), Some(Change::Failing("HTTP 503".to_owned()))),
            (1, 1, Some("HTTP 503"), None),
            (1, 0, None, Some(Change::Recovered(2))),
            (1, 0, None, None),
            (3, 0, None, Some(Change::Overflowing(2))),
            (3, 0, None, None),
            (1, 0, None, Some(Change::Drained(4))),
        ];
        for (ended, failed, error, change) in told {
            assert_eq!(export(ended, failed, error), Vec::from_iter(change));
        }
    }

    #[test]
    fn a_counter_is_healthy_again_after_a_success() {
        let counter = Counter::new(Signal::Metrics, usize::MAX);
        for (failed, healthy) in [(4, false), (0, true)] {
            counter.collected(4);
            counter.taken(4);
            counter.settled(4, failed, None);
            assert_eq!(counter.health().healthy, healthy);
        }
        let health = counter.health();
        assert_eq!((health.ended, health.exported, health.failed, health.queued), (8, 4, 4, 0));
    }
}
