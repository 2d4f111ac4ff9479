//! Wires the service.

use actix_web::web;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use service_kit::peer::{Peer, PeerConfig};
use service_kit::user::Users;
use service_kit::{Parts, Service};
use telemetry_core::config::Env;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::catalogue::Catalogue;
use crate::config::Settings;
use crate::faults::Switch;
use crate::metrics::Metrics;
use crate::routes;
use crate::store::{Products, Reservations};
use crate::warehouse::Warehouse;

/// The inventory service.
#[derive(Clone)]
pub struct InventoryService {
    users: Users,
    products: Products,
    catalogue: Catalogue,
    warehouse: Warehouse,
    switch: Switch,
}

impl Service for InventoryService {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const PORT: u16 = 8082;
    const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

    type Settings = Settings;

    fn settings(env: &mut Env) -> Settings {
        Settings::read(env)
    }

    fn peers(settings: &Settings) -> Vec<&PeerConfig> {
        vec![&settings.user]
    }

    fn build(settings: Settings, parts: Parts) -> anyhow::Result<Self> {
        let users = Users::new(Peer::new(settings.user, &parts.telemetry, parts.tokens.clone()));
        let metrics = Metrics::new(parts.telemetry.meter());
        let products = Products::new(parts.database.clone());
        let reservations = Reservations::new(parts.database);
        let warehouse = Warehouse::new(reservations, metrics.clone(), parts.telemetry);
        warehouse.start_timeouts(settings.timeouts, parts.stopping);
        Ok(Self {
            users,
            products: products.clone(),
            catalogue: Catalogue::new(products, metrics),
            warehouse,
            switch: Switch::new(settings.faults),
        })
    }

    fn routes(&self, config: &mut ServiceConfig) {
        config.app_data(web::Data::new(self.users.clone()));
        config.app_data(web::Data::new(self.products.clone()));
        config.app_data(web::Data::new(self.catalogue.clone()));
        config.app_data(web::Data::new(self.warehouse.clone()));
        config.app_data(web::Data::new(self.switch.clone()));
        config.map(|config| {
            self.switch.faults.routes(config);
            config
        });
        routes::configure(config);
    }
}
