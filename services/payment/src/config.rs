//! The variables that only this service reads.

use std::time::Duration;

use service_kit::config::number_within;
use service_kit::idempotency::IdempotencySettings;
use service_kit::peer::PeerConfig;
use service_kit::user;
use telemetry_core::config::Env;

use crate::clients::gateway;

/// Where the gateway and the user service are, and how charges that were left are found.
pub struct PaymentSettings {
    /// `GATEWAY_URL`, default `http://127.0.0.1:8084`, and `GATEWAY_TIMEOUT_MS`, 1 to 60000, default 5000:
    /// a customer who waits for longer goes away.
    pub gateway: PeerConfig,
    /// `PAYMENT_RECOVERY_INTERVAL_MS`, 10 to 600000, default 30000: how often charges of unknown outcome are looked for.
    /// Looking costs one indexed query.
    pub recovery_interval: Duration,
    /// `PAYMENT_ABANDONED_AFTER_MS`, 1000 to 3600000, default 150000. Left alone for this long, a payment has nobody who
    /// works on it: a gateway's answer is waited for one minute at most, and a voiding task ends after another.
    pub abandoned_after: Duration,
    /// `IDEMPOTENCY_KEY_TTL_S`.
    pub idempotency: IdempotencySettings,
    /// Where people's access tokens are shown: `USER_URL`, `USER_TIMEOUT_MS`.
    pub user: PeerConfig,
}

impl PaymentSettings {
    /// Reads the variables; mistakes stay in `env`.
    pub fn read(env: &mut Env) -> Self {
        let timeout = Duration::from_secs(5);
        let gateway = PeerConfig::read(env, gateway::NAME, "GATEWAY", "http://127.0.0.1:8084", timeout);
        let mut milliseconds = |name, default, range| {
            Duration::from_millis(number_within(env, name, default, range, "milliseconds"))
        };
        let recovery_interval = milliseconds("PAYMENT_RECOVERY_INTERVAL_MS", 30_000, 10..=600_000);
        let abandoned_after = milliseconds("PAYMENT_ABANDONED_AFTER_MS", 150_000, 1_000..=3_600_000);
        let idempotency = IdempotencySettings::read(env);
        Self { gateway, user: user::config(env), recovery_interval, abandoned_after, idempotency }
    }
}
