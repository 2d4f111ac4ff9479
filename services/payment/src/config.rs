//! The variables that only this service reads.

use std::time::Duration;

use service_kit::peer::PeerConfig;
use telemetry_core::config::Env;

use crate::clients::gateway;

/// Where the gateway is.
pub struct PaymentSettings {
    /// `GATEWAY_URL`, default `http://127.0.0.1:8084`, and `GATEWAY_TIMEOUT_MS`, 1 to 60000, default 5000:
    /// a customer who waits for longer goes away.
    pub gateway: PeerConfig,
}

impl PaymentSettings {
    /// Reads the variables; mistakes stay in `env`.
    pub fn read(env: &mut Env) -> Self {
        let timeout = Duration::from_secs(5);
        Self { gateway: PeerConfig::read(env, gateway::NAME, "GATEWAY", "http://127.0.0.1:8084", timeout) }
    }
}
