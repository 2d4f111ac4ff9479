//! Wires the service.

use actix_web::web;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use service_kit::peer::PeerConfig;
use service_kit::{Parts, Service};
use telemetry_core::config::Env;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::billing::Billing;
use crate::clients::gateway::GatewayClient;
use crate::config::PaymentSettings;
use crate::routes;
use crate::store::Payments;

/// The payment service.
#[derive(Clone)]
pub struct PaymentService {
    billing: Billing,
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
        vec![&settings.gateway]
    }

    fn build(settings: PaymentSettings, parts: Parts) -> anyhow::Result<Self> {
        let gateway = GatewayClient::new(settings.gateway, &parts.telemetry);
        let payments = Payments::new(parts.database);
        Ok(Self { billing: Billing::new(payments, gateway, parts.telemetry, parts.stopping) })
    }

    fn routes(&self, config: &mut ServiceConfig) {
        config.app_data(web::Data::new(self.billing.clone()));
        routes::configure(config);
    }
}
