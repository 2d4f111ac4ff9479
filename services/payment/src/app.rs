//! Wires the service.

use std::time::Duration;

use actix_web::web;
use chrono::TimeDelta;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use service_kit::idempotency::Idempotency;
use service_kit::peer::{Peer, PeerConfig};
use service_kit::user::Users;
use service_kit::{Parts, Service};
use telemetry_core::config::Env;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::billing::{Billing, Recovery};
use crate::clients::gateway::GatewayClient;
use crate::config::PaymentSettings;
use crate::routes;
use crate::store::Payments;

/// The payment service.
#[derive(Clone)]
pub struct PaymentService {
    users: Users,
    billing: Billing,
    keys: Idempotency,
}

/// Who asks the gateway has its answer written down so long after it came, or has died.
const FAREWELL: Duration = Duration::from_secs(5);

fn delta(time: Duration) -> TimeDelta {
    TimeDelta::from_std(time).unwrap_or(TimeDelta::MAX)
}

impl Service for PaymentService {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const PORT: u16 = 8083;
    const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

    type Settings = PaymentSettings;

    fn settings(env: &mut Env) -> PaymentSettings {
        PaymentSettings::read(env)
    }

    fn peers(settings: &PaymentSettings) -> Vec<&PeerConfig> {
        vec![&settings.user, &settings.gateway]
    }

    fn build(settings: PaymentSettings, parts: Parts) -> anyhow::Result<Self> {
        let users = Users::new(Peer::new(settings.user, &parts.telemetry, parts.tokens));
        let patience = settings.gateway.timeout + FAREWELL;
        let gateway = GatewayClient::new(settings.gateway, &parts.telemetry);
        let payments = Payments::new(parts.database.clone(), delta(patience));
        let recovery = Recovery {
            interval: settings.recovery_interval,
            abandoned_after: delta(settings.abandoned_after),
        };
        let keys = Idempotency::new(
            parts.database,
            settings.idempotency,
            patience,
            &parts.telemetry,
            parts.stopping.clone(),
        );
        let billing = Billing::new(payments, gateway, parts.telemetry, parts.stopping, recovery);
        Ok(Self { users, billing, keys })
    }

    fn routes(&self, config: &mut ServiceConfig) {
        config.app_data(web::Data::new(self.users.clone()));
        config.app_data(web::Data::new(self.billing.clone()));
        config.app_data(web::Data::new(self.keys.clone()));
        routes::configure(config);
    }
}
