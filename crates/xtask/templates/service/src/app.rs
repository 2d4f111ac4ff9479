//! Wires the service.

use actix_web::web;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use service_kit::{Parts, Service};
use telemetry_core::config::Env;
use telemetry_core::opentelemetry::metrics::Counter;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::routes;
use crate::store::Items;

/// The service.
#[derive(Clone)]
pub struct SampleService {
    items: Items,
    made: Counter<u64>,
}

impl Service for SampleService {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const PORT: u16 = 8099;
    const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

    /// Variables that only this service reads come here.
    type Settings = ();

    fn settings(_: &mut Env) {}

    fn build((): (), parts: Parts) -> anyhow::Result<Self> {
        let made = parts.telemetry.meter().u64_counter("items.made").with_unit("{item}").build();
        Ok(Self { items: Items::new(parts.database), made })
    }

    fn routes(&self, config: &mut ServiceConfig) {
        config.app_data(web::Data::new(self.items.clone()));
        config.app_data(web::Data::new(self.made.clone()));
        routes::configure(config);
    }
}
