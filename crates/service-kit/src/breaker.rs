//! Not asking someone who does not answer: a circuit breaker.
//!
//! Where call after call fails, none is made for a while; then some are, to see. So what is down gets time to come back, and
//! callers are told at once instead of when their time is up.

use std::time::Duration;

use failsafe::failure_policy::{ConsecutiveFailures, consecutive_failures};
use failsafe::{Instrument, StateMachine, backoff};
use telemetry_core::Telemetry;
use telemetry_core::opentelemetry::KeyValue;
use telemetry_core::opentelemetry::metrics::Counter;
use telemetry_core::span;

/// It opens where so many calls fail one after the other: fewer may be chance, and more would keep callers waiting.
const FAILURES: u32 = 20;
/// Twice as long as it stays open the first time, since the jitter is half of it and whole seconds; and the most.
const OPEN_FOR: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(30));

type Policy = ConsecutiveFailures<backoff::EqualJittered>;

/// The breaker in front of one peer. Cheap to clone.
#[derive(Clone)]
pub struct Breaker {
    peer: &'static str,
    machine: StateMachine<Policy, Events>,
}

/// No call was made: the breaker is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{peer} has not answered of late, and is left alone for a while")]
pub struct Open {
    /// The peer's name.
    pub peer: &'static str,
}

impl Breaker {
    /// A closed breaker in front of this peer.
    pub fn new(peer: &'static str, telemetry: &Telemetry) -> Self {
        let counter = |name, unit, description| {
            telemetry.meter().u64_counter(name).with_unit(unit).with_description(description).build()
        };
        let events = Events {
            peer,
            transitions: counter(
                "peer.breaker.transitions",
                "{transition}",
                "Changes of circuit breakers, by what they changed to.",
            ),
            rejected: counter(
                "peer.breaker.rejected",
                "{call}",
                "Calls that an open circuit breaker kept from being made.",
            ),
        };
        let policy = consecutive_failures(FAILURES, backoff::equal_jittered(OPEN_FOR.0, OPEN_FOR.1));
        Self { peer, machine: StateMachine::new(policy, events) }
    }

    /// Makes the call where the peer is not left alone. `is_failure` tells which errors say that the peer is not well:
    /// a refusal does not. A call that is dropped says nothing.
    ///
    /// # Errors
    /// `Open` as an error of the call's own kind, or what the call answers.
    pub async fn call<T, E: From<Open>>(
        &self,
        call: impl Future<Output = Result<T, E>>,
        is_failure: impl FnOnce(&E) -> bool,
    ) -> Result<T, E> {
        if !self.machine.is_call_permitted() {
            span::set_attribute("peer.breaker.state", "open");
            return Err(Open { peer: self.peer }.into());
        }
        let outcome = call.await;
        match &outcome {
            Err(error) if is_failure(error) => self.machine.on_error(),
            Ok(_) | Err(_) => self.machine.on_success(),
        }
        outcome
    }
}

/// Tells what the breaker does.
struct Events {
    peer: &'static str,
    transitions: Counter<u64>,
    rejected: Counter<u64>,
}

impl Events {
    fn changed(&self, state: &'static str) {
        let attributes =
            [KeyValue::new("service.peer.name", self.peer), KeyValue::new("peer.breaker.state", state)];
        self.transitions.add(1, &attributes);
    }
}

impl Instrument for Events {
    fn on_call_rejected(&self) {
        self.rejected.add(1, &[KeyValue::new("service.peer.name", self.peer)]);
    }

    fn on_open(&self) {
        tracing::warn!(
            service.peer.name = self.peer,
            "a peer does not answer, and is left alone for a while"
        );
        self.changed("open");
    }

    fn on_half_open(&self) {
        self.changed("half_open");
    }

    fn on_closed(&self) {
        self.changed("closed");
    }
}

#[cfg(test)]
mod tests {
    use telemetry_core::testing::TestTelemetry;

    use super::*;

    #[derive(Debug, PartialEq, Eq)]
    enum Failure {
        Left(Open),
        Down,
        Refused,
    }

    impl From<Open> for Failure {
        fn from(open: Open) -> Self {
            Self::Left(open)
        }
    }

    async fn call(breaker: &Breaker, outcome: Result<(), Failure>) -> Result<(), Failure> {
        breaker.call(async { outcome }, |failure| *failure == Failure::Down).await
    }

    #[actix_web::test]
    async fn a_peer_that_fails_is_left_alone_and_one_that_refuses_is_not() {
        let telemetry = TestTelemetry::new();
        let breaker = Breaker::new("gateway", &telemetry);
        for _ in 0..100 {
            assert_eq!(call(&breaker, Err(Failure::Refused)).await, Err(Failure::Refused));
        }
        let breaker = Breaker::new("gateway", &telemetry);
        let mut failures = 0;
        while call(&breaker, Err(Failure::Down)).await == Err(Failure::Down) {
            failures += 1;
            assert!(failures < 100, "it never opens");
        }
        assert_eq!(failures, FAILURES);
        let left = Err(Failure::Left(Open { peer: "gateway" }));
        assert_eq!(call(&breaker, Ok(())).await, left, "also what would go well is not tried");
        let rejected = telemetry.metric("peer.breaker.rejected").with("service.peer.name", "gateway");
        assert_eq!(rejected.value(), 2.0);
        let opened = telemetry.metric("peer.breaker.transitions").with("peer.breaker.state", "open");
        assert_eq!(opened.value(), 1.0);
    }
}
