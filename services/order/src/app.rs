//! What the service is made of.

use actix_web::web;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use service_kit::peer::{Peer, PeerConfig};
use service_kit::{Parts, Service};
use telemetry_core::config::Env;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::checkout::Checkout;
use crate::clients::{Inventory, Payments, Users};
use crate::config::Settings;
use crate::routes::{self, Streams};
use crate::store::Orders;

/// The order service.
#[derive(Clone)]
pub struct OrderService {
    users: Users,
    orders: Orders,
    checkout: Checkout,
    streams: Streams,
}

impl Service for OrderService {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const PORT: u16 = 8080;
    const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

    type Settings = Settings;

    fn settings(env: &mut Env) -> Settings {
        Settings::read(env)
    }

    fn peers(settings: &Settings) -> Vec<&PeerConfig> {
        vec![&settings.user, &settings.inventory, &settings.payment]
    }

    fn build(settings: Settings, parts: Parts) -> anyhow::Result<Self> {
        let peer = |config| Peer::new(config, &parts.telemetry, parts.tokens.clone());
        let users = Users::new(peer(settings.user));
        let inventory = Inventory::new(peer(settings.inventory));
        let payments = Payments::new(peer(settings.payment));
        let orders = Orders::new(parts.database.clone());
        let checkout = Checkout::new(orders.clone(), inventory, payments, parts.telemetry.clone());
        let streams = Streams::new(settings.events, &parts.telemetry, parts.stopping);
        Ok(Self { users, orders, checkout, streams })
    }

    fn routes(&self, config: &mut ServiceConfig) {
        config
            .app_data(web::Data::new(self.users.clone()))
            .app_data(web::Data::new(self.orders.clone()))
            .app_data(web::Data::new(self.checkout.clone()))
            .app_data(web::Data::new(self.streams.clone()))
            .configure(routes::configure);
    }
}
