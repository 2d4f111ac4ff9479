//! Counting one signal on its way to the collector, so that nothing is lost unseen.
//!
//! Every item ends in exactly one of three: exported, failed, or dropped. What is in none of them waits, or is
//! being exported. The counter also guards the queue: it lets in no more than fit, so the SDK's queue behind it
//! never drops an item that was counted as waiting.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

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

/// What the log has been told.
#[derive(Clone, Copy)]
struct Condition {
    failing: bool,
    dropping: bool,
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

    /// An export of `items` is over; `failed` of them are lost, for the reason of `error`. Tells the log when
    /// exports turn bad or good again, and when the queue overflows or does so no more.
    pub(super) fn settled(&self, items: usize, failed: u64, error: Option<String>) {
        let mut done = self.done();
        done.exported += (items as u64).saturating_sub(failed);
        done.failed += failed;
        if error.is_some() {
            done.last_error = error;
        }
        let dropped = self.dropped.load(Ordering::Relaxed);
        let before = Condition { failing: done.failing, dropping: done.dropping };
        let now = Condition { failing: failed > 0, dropping: dropped > done.dropped };
        done.failing = now.failing;
        done.dropping = now.dropping;
        done.dropped = dropped;
        let (failed, error) = (done.failed, done.last_error.clone());
        // The log may be slow, and it must not keep anyone from reading the counts.
        drop(done);
        self.progress.notify_all();
        self.tell(before, now, dropped, failed, error.as_deref().unwrap_or_default());
    }

    fn tell(&self, before: Condition, now: Condition, dropped: u64, failed: u64, error: &str) {
        let signal = self.signal.name();
        match (before.failing, now.failing) {
            (false, true) => {
                tracing::warn!(target: TARGET, signal, error, "exports fail; this is told once until they succeed");
            }
            (true, false) => tracing::info!(target: TARGET, signal, failed, "exports succeed again"),
            _ => {}
        }
        match (before.dropping, now.dropping) {
            (false, true) => tracing::warn!(
                target: TARGET,
                signal,
                dropped,
                queue_size = self.queue_size,
                "the queue is full and drops what comes; this is told once until it has room"
            ),
            (true, false) => tracing::info!(target: TARGET, signal, dropped, "the queue has room again"),
            _ => {}
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
    use super::super::console::Page;
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
    fn a_change_for_the_worse_and_back_is_one_line_each() {
        let page = Page::default();
        let writer = page.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .without_time()
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let counter = Counter::new(Signal::Traces, 1);
            let export = |items, failed, error: Option<&str>| {
                for _ in 0..items {
                    counter.admit();
                }
                counter.taken(1);
                counter.settled(1, failed, error.map(str::to_owned));
            };
            for _ in 0..3 {
                export(1, 1, Some("HTTP 503"));
            }
            for _ in 0..2 {
                export(1, 0, None);
            }
            for _ in 0..2 {
                export(3, 0, None);
            }
            export(1, 0, None);
        });
        let text = page.text();
        let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
        assert_eq!(
            lines,
            [
                "WARN telemetry_core::export: exports fail; this is told once until they succeed signal=\"traces\" error=\"HTTP 503\"",
                "INFO telemetry_core::export: exports succeed again signal=\"traces\" failed=3",
                "WARN telemetry_core::export: the queue is full and drops what comes; this is told once until it has room signal=\"traces\" dropped=2 queue_size=1",
                "INFO telemetry_core::export: the queue has room again signal=\"traces\" dropped=4",
            ]
        );
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
