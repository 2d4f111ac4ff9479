//! Customers without a browser: errands at a steady rate, and what became of them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::shop::{Product, Shop};

/// What customers do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errand {
    /// Order what there is plenty of, and pay with a good card.
    Buy,
    /// Order the product that everybody wants.
    BuyHot,
    /// Look at the products.
    Browse,
    /// Mostly good orders, as in life: one card in ten declined, one in ten that makes the gateway fail.
    Mixed,
}

/// Which errand, and how many of it a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// What they do.
    pub errand: Errand,
    /// How often, errands a second.
    pub rate: f64,
}

/// More errands in flight than this are not begun: the services are slower than the rate asked for.
const MAX_IN_FLIGHT: usize = 256;

/// Customers on their errands, until this is dropped.
pub struct Traffic {
    _task: JoinSet<()>,
}

impl Traffic {
    /// Sends customers, one every 1/rate seconds however long each takes. Those of [`Errand::BuyHot`] want
    /// `product`.
    pub fn start(shop: Shop, product: Product, plan: Plan, tally: Tally) -> Self {
        let mut task = JoinSet::new();
        task.spawn(send_customers(shop, product, plan, tally));
        Self { _task: task }
    }
}

async fn send_customers(mut shop: Shop, product: Product, plan: Plan, tally: Tally) {
    let mut errands = interval(Duration::from_secs_f64(1.0 / plan.rate));
    errands.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let free = Arc::new(Semaphore::new(MAX_IN_FLIGHT));
    let mut running = JoinSet::new();
    let mut signed_in = Instant::now();
    for number in 0_usize.. {
        errands.tick().await;
        while running.try_join_next().is_some() {}
        if signed_in.elapsed() > Shop::SIGN_IN_AGAIN && shop.sign_in_again().await.is_ok() {
            signed_in = Instant::now();
        }
        let Ok(permit) = free.clone().try_acquire_owned() else {
            tally.not_sent();
            continue;
        };
        let (shop, product, tally) = (shop.clone(), product.clone(), tally.clone());
        tally.begin();
        running.spawn(async move {
            let _permit = permit;
            let begun = Instant::now();
            let outcome = run_errand(&shop, &product, plan.errand, number).await;
            tally.end(outcome, begun.elapsed());
        });
    }
}

async fn run_errand(shop: &Shop, hot: &Product, errand: Errand, number: usize) -> Outcome {
    let status = match errand {
        Errand::Browse => shop.browse().await,
        Errand::BuyHot => shop.order(hot, "card_ok").await.map(|placed| placed.status),
        Errand::Buy => shop.order(shop.in_stock(), "card_ok").await.map(|placed| placed.status),
        Errand::Mixed => {
            let payment_method = match number % 10 {
                4 => "card_declined",
                8 => "gateway_error",
                _ => "card_ok",
            };
            shop.order(shop.in_stock(), payment_method).await.map(|placed| placed.status)
        }
    };
    status.map_or(Outcome::NoAnswer, |status| Outcome::Status(status.as_u16()))
}

/// How an errand ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// With this HTTP status.
    Status(u16),
    /// Without one.
    NoAnswer,
    /// It was not begun: too many were in flight.
    NotSent,
}

impl Outcome {
    /// Whether the customer did not get what they wanted.
    pub fn is_failure(self) -> bool {
        !matches!(self, Self::Status(200..=299))
    }
}

/// What became of the errands of the last ten seconds. Cheap to clone; clones count together.
#[derive(Clone, Default)]
pub struct Tally {
    books: Arc<Mutex<Books>>,
}

/// How long an errand is remembered; with at most a thousand a second this is ten thousand of them.
pub const WINDOW: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Books {
    ended: VecDeque<(Instant, Outcome, Duration)>,
    begun: Option<Instant>,
    in_flight: usize,
    total: u64,
}

/// The numbers of a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Numbers {
    /// Errands that ended, a second.
    pub rate: f64,
    /// Errands under way.
    pub in_flight: usize,
    /// Errands that ended since the beginning.
    pub total: u64,
    /// How long those that got an answer took: half of them, 95 and 99 in a hundred took no longer. `None`
    /// where none did.
    pub percentiles: Option<[Duration; 3]>,
    /// How many ended how.
    pub outcomes: BTreeMap<Outcome, usize>,
}

impl Numbers {
    /// The share of those that failed, 0 to 1.
    pub fn failures(&self) -> f64 {
        let all: usize = self.outcomes.values().sum();
        let failed = self.outcomes.iter().filter(|(outcome, _)| outcome.is_failure());
        let failed: usize = failed.map(|(_, count)| count).sum();
        if all == 0 { 0.0 } else { failed as f64 / all as f64 }
    }
}

impl Tally {
    fn begin(&self) {
        self.books().in_flight += 1;
    }

    fn end(&self, outcome: Outcome, took: Duration) {
        let mut books = self.books();
        books.in_flight -= 1;
        books.add(Instant::now(), outcome, took);
    }

    fn not_sent(&self) {
        self.books().add(Instant::now(), Outcome::NotSent, Duration::ZERO);
    }

    /// The last ten seconds, or less where it has just begun.
    pub fn numbers(&self) -> Numbers {
        self.books().numbers(Instant::now())
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    fn add(&mut self, now: Instant, outcome: Outcome, took: Duration) {
        self.total += 1;
        self.begun.get_or_insert(now);
        self.ended.push_back((now, outcome, took));
        self.forget(now);
    }

    fn numbers(&mut self, now: Instant) -> Numbers {
        self.forget(now);
        let since = self.begun.map_or(Duration::ZERO, |begun| now.duration_since(begun)).min(WINDOW);
        let answered = self.ended.iter().filter(|(_, outcome, _)| matches!(outcome, Outcome::Status(_)));
        let mut times: Vec<Duration> = answered.map(|(.., took)| *took).collect();
        times.sort_unstable();
        let mut outcomes = BTreeMap::new();
        for (_, outcome, _) in &self.ended {
            *outcomes.entry(*outcome).or_default() += 1;
        }
        Numbers {
            rate: self.ended.len() as f64 / since.as_secs_f64().max(1.0),
            in_flight: self.in_flight,
            total: self.total,
            percentiles: (!times.is_empty()).then(|| [50, 95, 99].map(|share| percentile(&times, share))),
            outcomes,
        }
    }

    fn forget(&mut self, now: Instant) {
        while self.ended.front().is_some_and(|(ended, ..)| now.duration_since(*ended) > WINDOW) {
            self.ended.pop_front();
        }
    }
}

/// The nearest-rank percentile of sorted times, of which there is at least one.
fn percentile(sorted: &[Duration], share: usize) -> Duration {
    sorted[(sorted.len() * share).div_ceil(100).max(1) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        let times: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!([50, 95, 99].map(|share| percentile(&times, share).as_millis()), [100, 190, 198]);
        assert_eq!(percentile(&times[..1], 99), Duration::from_millis(1));
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten_and_still_counted() {
        let (mut books, start) = (Books { in_flight: 1, ..Books::default() }, Instant::now());
        for _ in 0..20 {
            books.add(start, Outcome::Status(201), Duration::from_millis(5));
        }
        let later = start + Duration::from_secs(2);
        books.add(later, Outcome::NotSent, Duration::ZERO);
        let numbers = books.numbers(later);
        assert_eq!((numbers.in_flight, numbers.total), (1, 21));
        assert!((numbers.rate - 10.5).abs() < 0.01, "{numbers:?}");
        assert!((numbers.failures() - 1.0 / 21.0).abs() < 0.001);
        assert_eq!(numbers.percentiles, Some([Duration::from_millis(5); 3]));
        let numbers = books.numbers(later + Duration::from_secs(9));
        assert_eq!((numbers.percentiles, numbers.total), (None, 21));
        assert_eq!(numbers.outcomes, BTreeMap::from([(Outcome::NotSent, 1)]));
    }
}
