//! A bounded number at work, and a queue for bursts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

/// Lets so many in at a time.
pub(super) struct Gate {
    at_work: usize,
    places: Arc<Semaphore>,
    most_waiting: usize,
    waiting: AtomicUsize,
    patience: Duration,
    pace: Arc<Pace>,
}

/// Why a request was sent away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shed {
    /// As many wait as may, or as there is a place for in time.
    QueueFull,
    /// It has waited for as long as it may.
    WaitedTooLong,
    /// Its caller does not wait any more.
    DeadlineOver,
}

impl Shed {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::WaitedTooLong => "waited_too_long",
            Self::DeadlineOver => "deadline_over",
        }
    }
}

impl Gate {
    /// So many are at work, so many wait, and each for so long.
    pub(super) fn new(at_work: usize, most_waiting: usize, patience: Duration) -> Self {
        let (places, pace) = (Arc::new(Semaphore::new(at_work)), Arc::default());
        Self { at_work, places, most_waiting, waiting: AtomicUsize::new(0), patience, pace }
    }

    /// A place for one whose caller waits until then.
    pub(super) async fn admit(&self, deadline: Instant) -> Result<AtWork, Shed> {
        if deadline <= Instant::now() {
            return Err(Shed::DeadlineOver);
        }
        // Nobody overtakes those who wait: the semaphore is fair.
        if let Ok(place) = self.places.clone().try_acquire_owned() {
            return Ok(self.at_work(place));
        }
        let waiting = Waiting::enter(&self.waiting);
        // Who would wait in vain is better told at once.
        if waiting.place > self.most_waiting || self.pace.wait(waiting.place, self.at_work) > self.patience {
            return Err(Shed::QueueFull);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        match timeout(self.patience.min(left), self.places.clone().acquire_owned()).await {
            Ok(place) => Ok(self.at_work(place.expect("nobody closes the semaphore"))),
            Err(_) if left <= self.patience => Err(Shed::DeadlineOver),
            Err(_) => Err(Shed::WaitedTooLong),
        }
    }

    fn at_work(&self, place: OwnedSemaphorePermit) -> AtWork {
        AtWork { _place: place, since: Instant::now(), pace: self.pace.clone() }
    }
}

/// A place among those at work, until it is dropped.
#[derive(Debug)]
pub(super) struct AtWork {
    _place: OwnedSemaphorePermit,
    since: Instant,
    pace: Arc<Pace>,
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.pace.note(self.since.elapsed());
    }
}

/// How many microseconds a request is at work, on the average of the latest dozen or two. What two note at once may count
/// as one.
#[derive(Debug, Default)]
struct Pace(AtomicU64);

impl Pace {
    /// The weight of the latest is one in so many.
    const MEMORY: u64 = 16;

    fn note(&self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX / Self::MEMORY);
        let average = self.0.load(Ordering::Relaxed);
        let average = (average * (Self::MEMORY - 1)).saturating_add(took) / Self::MEMORY;
        self.0.store(average, Ordering::Relaxed);
    }

    /// How long the one at this place of the queue waits, as far as anyone can tell: with so many at work, that many leave
    /// in the time that one takes.
    fn wait(&self, place: usize, at_work: usize) -> Duration {
        let average = Duration::from_micros(self.0.load(Ordering::Relaxed));
        average.mul_f64(place as f64 / at_work as f64)
    }
}

/// A place among those who wait.
struct Waiting<'a> {
    waiting: &'a AtomicUsize,
    /// The first is 1.
    place: usize,
}

impl<'a> Waiting<'a> {
    fn enter(waiting: &'a AtomicUsize) -> Self {
        Self { waiting, place: waiting.fetch_add(1, Ordering::Relaxed) + 1 }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    fn gate(at_work: usize, waiting: usize) -> Gate {
        Gate::new(at_work, waiting, Duration::from_millis(100))
    }

    fn later(milliseconds: u64) -> Instant {
        Instant::now() + Duration::from_millis(milliseconds)
    }

    #[actix_web::test]
    async fn beyond_those_at_work_and_those_who_wait_everybody_is_sent_away_at_once() {
        let gate = gate(1, 1);
        let at_work = gate.admit(later(10_000)).await.unwrap();
        let mut waits = pin!(gate.admit(later(10_000)));
        assert!(futures_util::poll!(&mut waits).is_pending());
        assert_eq!(gate.admit(later(10_000)).await.unwrap_err(), Shed::QueueFull);
        assert!(
            futures_util::poll!(&mut waits).is_pending(),
            "the other is told at once, and not after its wait"
        );
        drop(at_work);
        let at_work = waits.await.expect("whoever waits is next");
        let started = Instant::now();
        assert_eq!(gate.admit(later(10_000)).await.unwrap_err(), Shed::WaitedTooLong);
        assert!(started.elapsed() >= Duration::from_millis(100));
        drop(at_work);
        assert_eq!(gate.waiting.load(Ordering::Relaxed), 0, "nobody waits any more");
        assert!(gate.admit(later(10_000)).await.is_ok());
    }

    #[actix_web::test]
    async fn nobody_waits_for_longer_than_their_caller() {
        let gate = gate(1, 1);
        assert_eq!(gate.admit(Instant::now()).await.unwrap_err(), Shed::DeadlineOver);
        let _at_work = gate.admit(later(10_000)).await.unwrap();
        let started = Instant::now();
        assert_eq!(gate.admit(later(30)).await.unwrap_err(), Shed::DeadlineOver);
        assert!(started.elapsed() >= Duration::from_millis(30));
    }

    #[actix_web::test]
    async fn one_who_gives_up_waiting_frees_the_place() {
        let gate = gate(1, 1);
        let _at_work = gate.admit(later(10_000)).await.unwrap();
        {
            let mut waits = pin!(gate.admit(later(10_000)));
            assert!(futures_util::poll!(&mut waits).is_pending());
        }
        assert_eq!(gate.admit(later(10_000)).await.unwrap_err(), Shed::WaitedTooLong);
    }

    /// One at work takes 60 ms, and those who wait 100 ms: there is a place in time for the first of them.
    #[actix_web::test]
    async fn who_would_wait_in_vain_is_sent_away_at_once() {
        let gate = gate(1, 64);
        for _ in 0..100 {
            gate.pace.note(Duration::from_millis(60));
        }
        let _at_work = gate.admit(later(10_000)).await.unwrap();
        let mut first = pin!(gate.admit(later(10_000)));
        assert!(futures_util::poll!(&mut first).is_pending());
        let mut second = pin!(gate.admit(later(10_000)));
        let told = futures_util::poll!(&mut second);
        assert!(matches!(told, std::task::Poll::Ready(Err(Shed::QueueFull))));
        assert!(futures_util::poll!(&mut first).is_pending());
    }

    #[test]
    fn the_pace_is_that_of_the_latest() {
        let pace = Pace::default();
        assert_eq!(pace.wait(64, 1), Duration::ZERO, "nobody knows yet");
        let note =
            |milliseconds, times| (0..times).for_each(|_| pace.note(Duration::from_millis(milliseconds)));
        note(80, 100);
        let waits = |place| pace.wait(place, 8).as_millis();
        assert_eq!((waits(1), waits(8), waits(16)), (9, 79, 159));
        note(8, 100);
        assert!((7..=9).contains(&waits(8)));
        note(u64::MAX / 1000, 1000);
        assert!(waits(8) > 10_000, "a time that is out of all bounds is a long time");
    }
}
