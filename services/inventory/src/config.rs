//! The variables that only this service reads.

use std::time::Duration;

use service_kit::config::number_within;
use service_kit::faults::Faults;
use service_kit::peer::PeerConfig;
use service_kit::user;
use telemetry_core::config::Env;

use crate::faults::InventoryFaults;

/// What only this service has.
pub struct Settings {
    /// Where people's access tokens are shown: `USER_URL`, `USER_TIMEOUT_MS`.
    pub user: PeerConfig,
    /// `RESERVATION_*`.
    pub timeouts: Timeouts,
    /// Whether it can be told to do something wrong.
    pub faults: Faults<InventoryFaults>,
}

/// How long stock is set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// `RESERVATION_TIMEOUT_MS`, 100 to 86400000, default 900000, a quarter of an hour: what an order has reserved and
    /// not bought by then, others can order. It is three times as long as an unpaid order lives.
    pub reservation_timeout: Duration,
    /// `RESERVATION_SWEEP_INTERVAL_MS`, 10 to 3600000, default 10000: how often such reservations are looked for.
    pub sweep_interval: Duration,
}

impl Settings {
    /// Reads the variables; mistakes stay in `env`.
    pub fn read(env: &mut Env) -> Self {
        Self { user: user::config(env), timeouts: Timeouts::read(env), faults: Faults::read(env) }
    }
}

impl Timeouts {
    fn read(env: &mut Env) -> Self {
        let mut milliseconds = |name, default, range| {
            Duration::from_millis(number_within(env, name, default, range, "milliseconds"))
        };
        Self {
            reservation_timeout: milliseconds("RESERVATION_TIMEOUT_MS", 900_000, 100..=86_400_000),
            sweep_interval: milliseconds("RESERVATION_SWEEP_INTERVAL_MS", 10_000, 10..=3_600_000),
        }
    }
}
