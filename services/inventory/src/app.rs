//! Wires the service.

use actix_web::web;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use service_kit::faults::Faults;
use service_kit::{Parts, Service};
use telemetry_core::config::Env;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::catalogue::Catalogue;
use crate::faults::{InventoryFaults, Switch};
use crate::metrics::Metrics;
use crate::routes;
use crate::store::{Products, Reservations};
use crate::warehouse::Warehouse;

/// The inventory service.
#[derive(Clone)]
pub struct InventoryService {
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

    /// Whether it can be told to do something wrong.
    type Settings = Faults<InventoryFaults>;

    fn settings(env: &mut Env) -> Faults<InventoryFaults> {
        Faults::read(env)
    }

    fn build(faults: Faults<InventoryFaults>, parts: Parts) -> anyhow::Result<Self> {
        let metrics = Metrics::new(parts.telemetry.meter());
        let products = Products::new(parts.database.clone());
        Ok(Self {
            products: products.clone(),
            catalogue: Catalogue::new(products, metrics.clone()),
            warehouse: Warehouse::new(Reservations::new(parts.database), metrics),
            switch: Switch::new(faults),
        })
    }

    fn routes(&self, config: &mut ServiceConfig) {
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
