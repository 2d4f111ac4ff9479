//! The variables that only this service has.

use std::time::Duration;

use service_kit::config::number_within;
use service_kit::peer::PeerConfig;
use telemetry_core::config::Env;

/// Where the peers of the order flow are and how long each may take, and how much may be watched.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `USER_URL`, default `http://127.0.0.1:8081`; `USER_TIMEOUT_MS`, default 2000.
    pub user: PeerConfig,
    /// `INVENTORY_URL`, default `http://127.0.0.1:8082`; `INVENTORY_TIMEOUT_MS`, default 2000.
    pub inventory: PeerConfig,
    /// `PAYMENT_URL`, default `http://127.0.0.1:8083`; `PAYMENT_TIMEOUT_MS`, default 8000: longer than
    /// the payment service waits for its gateway, so that it is the payment service that gives up.
    pub payment: PeerConfig,
    /// `EVENTS_*`.
    pub events: EventLimits,
}

/// What the WebSockets that tell orders' events may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventLimits {
    /// `EVENTS_MAX_CONNECTIONS`, default 512: how many the process holds open; each costs some 10 kB.
    pub connections: usize,
    /// `EVENTS_IDLE_TIMEOUT_MS`, default 45000: after so much silence a client is gone. It is asked three times before;
    /// proxies close what is silent for a minute.
    pub idle: Duration,
    /// `EVENTS_MAX_LIFETIME_MS`, default 1800000: as long as an access token is good for by default. A client may
    /// connect again.
    pub lifetime: Duration,
}

impl EventLimits {
    fn read(env: &mut Env) -> Self {
        // Bounded, so that no sum of times overflows.
        let mut milliseconds = |name, default, most| {
            Duration::from_millis(number_within(env, name, default, 100..=most, "milliseconds"))
        };
        let idle = milliseconds("EVENTS_IDLE_TIMEOUT_MS", 45_000, 3_600_000);
        let lifetime = milliseconds("EVENTS_MAX_LIFETIME_MS", 1_800_000, 86_400_000);
        let connections = number_within(env, "EVENTS_MAX_CONNECTIONS", 512, 1..=65_536, "connections");
        Self { connections, idle, lifetime }
    }
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
            events: EventLimits::read(env),
        }
    }
}
