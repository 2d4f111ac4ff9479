//! The variables that only this service has.

use std::time::Duration;

use chrono::TimeDelta;
use service_kit::config::number_within;
use service_kit::idempotency::IdempotencySettings;
use service_kit::peer::PeerConfig;
use service_kit::user;
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
    /// `ORDER_LEASE_MS`, `RECOVERY_*`.
    pub recovery: RecoverySettings,
    /// `IDEMPOTENCY_KEY_TTL_S`.
    pub idempotency: IdempotencySettings,
}

/// How orders that were left unfinished are brought to their end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecoverySettings {
    /// `ORDER_LEASE_MS`, default ten seconds more than the slowest peer may take: so long after its last change nobody
    /// works on an order any more. With less than a step takes, orders are taken from those who still work on them,
    /// which costs calls and does no harm.
    pub lease: Duration,
    /// `RECOVERY_INTERVAL_MS`, default 1000: how often unfinished orders are looked for. Looking costs two small queries.
    pub interval: Duration,
    /// `RECOVERY_MAX_ATTEMPTS`, default 10: an order that is not brought on so often, for a reason that waiting does not
    /// cure, is parked.
    pub max_attempts: i32,
    /// `RECOVERY_GIVE_UP_AFTER_MS`, default 300000: an order that is not paid by then is not charged any more. Who
    /// placed it may have gone elsewhere.
    pub give_up_after: Duration,
}

impl RecoverySettings {
    fn read(env: &mut Env, slowest_peer: Duration) -> Self {
        let lease = u64::try_from(slowest_peer.as_millis()).unwrap_or(60_000) + 10_000;
        let mut milliseconds = |name, default, least, most| {
            Duration::from_millis(number_within(env, name, default, least..=most, "milliseconds"))
        };
        let lease = milliseconds("ORDER_LEASE_MS", lease, 100, 600_000);
        let interval = milliseconds("RECOVERY_INTERVAL_MS", 1_000, 10, 60_000);
        let give_up_after = milliseconds("RECOVERY_GIVE_UP_AFTER_MS", 300_000, 1, 86_400_000);
        let max_attempts = number_within(env, "RECOVERY_MAX_ATTEMPTS", 10, 1..=1000, "attempts");
        Self { lease, interval, max_attempts, give_up_after }
    }

    /// The interval, to reckon with.
    pub(crate) fn interval_delta(&self) -> TimeDelta {
        TimeDelta::from_std(self.interval).unwrap_or(TimeDelta::seconds(60))
    }
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
    /// `EVENTS_POLL_MS`, default 2000: how often an order is looked at without being told that it changed. On PostgreSQL
    /// that is for changes at other replicas whose notification was lost.
    pub poll: Duration,
}

impl EventLimits {
    fn read(env: &mut Env) -> Self {
        // Bounded, so that no sum of times overflows.
        let mut milliseconds = |name, default, most| {
            Duration::from_millis(number_within(env, name, default, 100..=most, "milliseconds"))
        };
        let idle = milliseconds("EVENTS_IDLE_TIMEOUT_MS", 45_000, 3_600_000);
        let lifetime = milliseconds("EVENTS_MAX_LIFETIME_MS", 1_800_000, 86_400_000);
        let poll = milliseconds("EVENTS_POLL_MS", 2_000, 3_600_000);
        let connections = number_within(env, "EVENTS_MAX_CONNECTIONS", 512, 1..=65_536, "connections");
        Self { connections, idle, lifetime, poll }
    }
}

impl Settings {
    pub(crate) fn read(env: &mut Env) -> Self {
        let user = user::config(env);
        let mut peer = |name, prefix, port: u16, timeout| {
            PeerConfig::read(
                env,
                name,
                prefix,
                &format!("http://127.0.0.1:{port}"),
                Duration::from_secs(timeout),
            )
        };
        let inventory = peer("inventory-service", "INVENTORY", 8082, 2);
        let payment = peer("payment-service", "PAYMENT", 8083, 8);
        let slowest = inventory.timeout.max(payment.timeout);
        let (events, recovery) = (EventLimits::read(env), RecoverySettings::read(env, slowest));
        let idempotency = IdempotencySettings::read(env);
        Self { user, inventory, payment, events, recovery, idempotency }
    }
}
