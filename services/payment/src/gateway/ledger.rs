//! The gateway's books: what was asked for under which reference, and what became of it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

/// The oldest charges are forgotten beyond these: a demonstration that runs for weeks stays small.
const CAPACITY: usize = 10_000;

/// All charges, in memory.
pub(super) struct Ledger {
    slow: Duration,
    books: Mutex<Books>,
}

/// What a charge is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) amount_minor: i64,
    pub(super) currency: String,
    pub(super) method: Method,
}

/// The test cards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Ok,
    Declined,
    Slow,
    Error,
}

impl Method {
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name {
            "card_ok" => Some(Self::Ok),
            "card_declined" => Some(Self::Declined),
            "card_slow" => Some(Self::Slow),
            "gateway_error" => Some(Self::Error),
            _ => None,
        }
    }
}

/// What became of a charge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// Captured at this time, unless it is voided before.
    Pending {
        until: Instant,
        transaction_id: String,
    },
    Captured {
        transaction_id: String,
    },
    Declined,
    Failed,
    Voided,
    Refunded {
        transaction_id: String,
        amount_minor: i64,
    },
}

/// Why a charge or a refund is not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The reference or the transaction is known with other content.
    Conflict,
    /// The charge is not captured, so there is nothing to refund.
    NotCaptured,
    /// The money went back already, so there is nothing to void.
    Refunded,
    /// More than was captured.
    TooMuch,
    /// No such transaction.
    Unknown,
}

#[derive(Default)]
struct Books {
    charges: HashMap<String, Charge>,
    by_transaction: HashMap<String, String>,
    oldest_first: VecDeque<String>,
}

struct Charge {
    /// `None` where the void came before the charge.
    order: Option<Order>,
    state: State,
}

impl Ledger {
    pub(super) fn new(slow: Duration) -> Self {
        Self { slow, books: Mutex::default() }
    }

    /// Makes the charge, or finds the one that this reference stands for. A new one ends as those of
    /// `method` do, which is the order's own unless the gateway is told otherwise.
    pub(super) fn charge_as(&self, method: Method, reference: &str, order: Order) -> Result<State, Refusal> {
        let mut books = self.books();
        if let Some(charge) = books.charges.get_mut(reference) {
            return match &charge.order {
                Some(known) if *known != order => Err(Refusal::Conflict),
                _ => Ok(charge.settled()),
            };
        }
        let transaction_id = format!("txn_{}", Uuid::now_v7().simple());
        let state = match method {
            Method::Ok => State::Captured { transaction_id: transaction_id.clone() },
            Method::Slow => {
                State::Pending { until: Instant::now() + self.slow, transaction_id: transaction_id.clone() }
            }
            Method::Declined => State::Declined,
            Method::Error => State::Failed,
        };
        if matches!(method, Method::Ok | Method::Slow) {
            books.by_transaction.insert(transaction_id, reference.to_owned());
        }
        books.enter(reference, Charge { order: Some(order), state: state.clone() });
        Ok(state)
    }

    /// Sees to it that nothing is, or ever will be, charged under this reference.
    pub(super) fn void(&self, reference: &str) -> Result<(), Refusal> {
        let mut books = self.books();
        match books.charges.get_mut(reference) {
            Some(charge) if matches!(charge.state, State::Refunded { .. }) => Err(Refusal::Refunded),
            Some(charge) => {
                charge.state = State::Voided;
                Ok(())
            }
            None => {
                books.enter(reference, Charge { order: None, state: State::Voided });
                Ok(())
            }
        }
    }

    /// Gives the money back, once for a transaction.
    pub(super) fn refund(&self, transaction_id: &str, amount_minor: i64) -> Result<(), Refusal> {
        let mut books = self.books();
        let reference = books.by_transaction.get(transaction_id).ok_or(Refusal::Unknown)?.clone();
        let charge = books.charges.get_mut(&reference).ok_or(Refusal::Unknown)?;
        let charged = charge.order.as_ref().map_or(0, |order| order.amount_minor);
        match charge.settled() {
            State::Captured { .. } if amount_minor > charged => Err(Refusal::TooMuch),
            State::Captured { transaction_id } => {
                charge.state = State::Refunded { transaction_id, amount_minor };
                Ok(())
            }
            State::Refunded { amount_minor: refunded, .. } if refunded == amount_minor => Ok(()),
            State::Refunded { .. } => Err(Refusal::Conflict),
            State::Pending { .. } | State::Declined | State::Failed | State::Voided => {
                Err(Refusal::NotCaptured)
            }
        }
    }

    /// What became of the charge so far.
    pub(super) fn find(&self, reference: &str) -> Option<State> {
        self.books().charges.get_mut(reference).map(Charge::settled)
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    fn enter(&mut self, reference: &str, charge: Charge) {
        if self.oldest_first.len() == CAPACITY
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.charges.remove(&oldest);
            self.by_transaction.retain(|_, reference| *reference != oldest);
        }
        self.oldest_first.push_back(reference.to_owned());
        self.charges.insert(reference.to_owned(), charge);
    }
}

impl Charge {
    /// A slow capture happens when its time has come, also when its caller has gone.
    fn settled(&mut self) -> State {
        if let State::Pending { until, transaction_id } = &self.state
            && *until <= Instant::now()
        {
            self.state = State::Captured { transaction_id: transaction_id.clone() };
        }
        self.state.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: Duration = Duration::from_secs(600);

    impl Ledger {
        fn charge(&self, reference: &str, order: Order) -> Result<State, Refusal> {
            self.charge_as(order.method, reference, order)
        }
    }

    fn order(method: Method) -> Order {
        Order { amount_minor: 1999, currency: "EUR".into(), method }
    }

    fn captured(ledger: &Ledger, reference: &str) -> String {
        match ledger.charge(reference, order(Method::Ok)) {
            Ok(State::Captured { transaction_id }) => transaction_id,
            other => panic!("not captured: {other:?}"),
        }
    }

    #[test]
    fn a_reference_is_charged_once() {
        let ledger = Ledger::new(NEVER);
        let transaction_id = captured(&ledger, "order-1");
        assert_eq!(captured(&ledger, "order-1"), transaction_id);
        assert_ne!(captured(&ledger, "order-2"), transaction_id);
        let other = Order { amount_minor: 2000, ..order(Method::Ok) };
        assert_eq!(ledger.charge("order-1", other), Err(Refusal::Conflict));
    }

    #[test]
    fn a_slow_card_is_captured_when_its_time_has_come() {
        let ledger = Ledger::new(Duration::ZERO);
        assert!(matches!(ledger.charge("order-1", order(Method::Slow)), Ok(State::Pending { .. })));
        assert!(matches!(ledger.find("order-1"), Some(State::Captured { .. })));
    }

    #[test]
    fn a_void_comes_before_during_and_after_the_charge() {
        let ledger = Ledger::new(NEVER);
        ledger.void("before").unwrap();
        assert_eq!(ledger.charge("before", order(Method::Ok)), Ok(State::Voided));
        ledger.charge("during", order(Method::Slow)).unwrap();
        captured(&ledger, "after");
        for reference in ["before", "during", "after"] {
            ledger.void(reference).unwrap();
            ledger.void(reference).unwrap();
            assert_eq!(ledger.find(reference), Some(State::Voided), "{reference}");
        }
    }

    #[test]
    fn only_what_was_captured_goes_back_and_only_once() {
        let ledger = Ledger::new(NEVER);
        let transaction_id = captured(&ledger, "order-1");
        assert_eq!(ledger.refund(&transaction_id, 2000), Err(Refusal::TooMuch));
        assert_eq!(ledger.refund(&transaction_id, 1999), Ok(()));
        assert_eq!(ledger.refund(&transaction_id, 1999), Ok(()));
        assert_eq!(ledger.refund(&transaction_id, 1), Err(Refusal::Conflict));
        assert_eq!(ledger.void("order-1"), Err(Refusal::Refunded));

        let voided = captured(&ledger, "order-2");
        ledger.void("order-2").unwrap();
        assert_eq!(ledger.refund(&voided, 1999), Err(Refusal::NotCaptured));
        assert_eq!(ledger.refund("txn_unknown", 1999), Err(Refusal::Unknown));
    }

    #[test]
    fn the_oldest_charges_are_forgotten() {
        let ledger = Ledger::new(NEVER);
        let first = captured(&ledger, "order-0");
        for number in 1..=CAPACITY {
            ledger.charge(&format!("order-{number}"), order(Method::Declined)).unwrap();
        }
        assert_eq!(ledger.find("order-0"), None);
        assert_eq!(ledger.find("order-1"), Some(State::Declined));
        assert_eq!(ledger.refund(&first, 1999), Err(Refusal::Unknown));
        let books = ledger.books();
        assert_eq!(
            (books.charges.len(), books.oldest_first.len(), books.by_transaction.len()),
            (CAPACITY, CAPACITY, 0)
        );
    }
}
