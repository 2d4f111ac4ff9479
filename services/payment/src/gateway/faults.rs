//! What the gateway can be told to do worse than its cards say.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use service_kit::faults::Faults;

/// The gateway's faults: `PUT /internal/faults` takes this document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatewayFaults {
    /// Of so many charges one is declined, whatever the card. 0: none.
    pub decline_one_in: u32,
    /// Every charge begins so many milliseconds late, at most a minute.
    pub delay_ms: u64,
}

/// Longer than any caller waits.
const MAX_DELAY: Duration = Duration::from_secs(60);

/// The switch, and what it counts.
#[derive(Clone, Default)]
pub(super) struct Switch {
    pub(super) faults: Faults<GatewayFaults>,
    charges: Arc<AtomicU64>,
}

impl Switch {
    pub(super) fn new(faults: Faults<GatewayFaults>) -> Self {
        Self { faults, charges: Arc::default() }
    }

    /// Whether this charge is one of those to be declined.
    pub(super) fn declines(&self) -> bool {
        let one_in = u64::from(self.faults.current().decline_one_in);
        one_in > 0 && (self.charges.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(one_in)
    }

    pub(super) fn delay(&self) -> Duration {
        Duration::from_millis(self.faults.current().delay_ms).min(MAX_DELAY)
    }
}
