//! How many retries a peer gets: so few that they never multiply what is too much for it already.

use std::time::Duration;

use telemetry_core::Telemetry;
use telemetry_core::opentelemetry::KeyValue;
use telemetry_core::opentelemetry::metrics::Counter;
use tower::retry::budget::{Budget as _, TpsBudget};

/// Retries may be this part of the calls
const PART: f32 = 0.2;
/// of the last
const WINDOW: Duration = Duration::from_secs(10);
/// and so many a second beside them: where little is called, one failure is no overload.
const BESIDE: u32 = 2;

/// The retries that the calls of one peer share.
pub(super) struct RetryBudget {
    peer: &'static str,
    tokens: TpsBudget,
    exhausted: Counter<u64>,
}

impl RetryBudget {
    pub(super) fn new(peer: &'static str, telemetry: &Telemetry) -> Self {
        let exhausted = telemetry
            .meter()
            .u64_counter("peer.retries.withheld")
            .with_unit("{retry}")
            .with_description("Retries that were not made because the peer had used up its budget of them.")
            .build();
        Self { peer, tokens: TpsBudget::new(WINDOW, BESIDE, PART), exhausted }
    }

    /// A call is made, which adds a part of a retry.
    pub(super) fn call(&self) {
        self.tokens.deposit();
    }

    /// Whether a call may be tried again.
    pub(super) fn take(&self) -> bool {
        let may = self.tokens.withdraw();
        if !may {
            self.exhausted.add(1, &[KeyValue::new("service.peer.name", self.peer)]);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use telemetry_core::testing::TestTelemetry;

    use super::*;

    #[test]
    fn where_everything_fails_a_fifth_is_tried_again() {
        let telemetry = TestTelemetry::new();
        let budget = RetryBudget::new("inventory-service", &telemetry);
        let mut retries = 0;
        for _ in 0..1_000 {
            budget.call();
            retries += u32::from(budget.take());
        }
        assert!((200..=220).contains(&retries), "{retries} retries of 1000 calls");
        let withheld =
            telemetry.metric("peer.retries.withheld").with("service.peer.name", "inventory-service");
        assert_eq!(withheld.value(), f64::from(1_000 - retries));
    }

    #[test]
    fn a_few_calls_may_always_be_tried_again() {
        let budget = RetryBudget::new("inventory-service", &TestTelemetry::new());
        budget.call();
        assert!((0..20).all(|_| budget.take()));
        assert!(!budget.take());
    }
}
