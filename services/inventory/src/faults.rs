//! What this service can be told to do wrong, where it was started with `FAULTS=on`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actix_web::http::StatusCode;
use serde::{Deserialize, Serialize};
use service_kit::Problem;
use service_kit::faults::Faults;

/// The faults of this service: `PUT /internal/faults` takes this document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InventoryFaults {
    /// Products are listed with a query for each one's stock, instead of one for all.
    pub stock_by_product: bool,
    /// Of so many requests to reserve, commit or release one is handled; the others are answered 503
    /// `overloaded` at once. 0 and 1: every request is handled.
    pub handle_one_in: u32,
}

/// The switch, and what it counts.
#[derive(Clone, Default)]
pub(crate) struct Switch {
    pub(crate) faults: Faults<InventoryFaults>,
    asked: Arc<AtomicU64>,
}

impl Switch {
    pub(crate) fn new(faults: Faults<InventoryFaults>) -> Self {
        Self { faults, asked: Arc::default() }
    }

    /// Refuses what this service is told to have no time for.
    pub(crate) fn admit(&self) -> Result<(), Problem> {
        let one_in = u64::from(self.faults.current().handle_one_in);
        if one_in < 2 || (self.asked.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(one_in) {
            return Ok(());
        }
        Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "The service has too much to do."))
    }
}
