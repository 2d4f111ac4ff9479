//! The variables that only this service has.

use std::time::Duration;

use service_kit::peer::PeerConfig;
use telemetry_core::config::Env;

/// Where the peers of the order flow are, and how long each may take.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `USER_URL`, default `http://127.0.0.1:8081`; `USER_TIMEOUT_MS`, default 2000.
    pub user: PeerConfig,
    /// `INVENTORY_URL`, default `http://127.0.0.1:8082`; `INVENTORY_TIMEOUT_MS`, default 2000.
    pub inventory: PeerConfig,
    /// `PAYMENT_URL`, default `http://127.0.0.1:8083`; `PAYMENT_TIMEOUT_MS`, default 8000: longer than
    /// the payment service waits for its gateway, so that it is the payment service that gives up.
    pub payment: PeerConfig,
}

impl Settings {
    pub(crate) fn read(env: &mut Env) -> Self {
        let mut peer = |name, prefix, port: u16, timeout| {
            PeerConfig::read(
                env,
                name,
                prefix,
                &format!("http://127.0.0.1:{port}"),
                Duration::from_secs(timeout),
            )
        };
        Self {
            user: peer("user-service", "USER", 8081, 2),
            inventory: peer("inventory-service", "INVENTORY", 8082, 2),
            payment: peer("payment-service", "PAYMENT", 8083, 8),
        }
    }
}
