//! What the service is made of.

use actix_web::web;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use service_kit::idempotency::Idempotency;
use service_kit::peer::{Peer, PeerConfig};
use service_kit::user::Users;
use service_kit::{Parts, Service};
use telemetry_core::config::Env;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::checkout::Checkout;
use crate::clients::{Inventory, Payments};
use crate::config::Settings;
use crate::outbox::{Changes, Outbox};
use crate::routes::{self, Streams};
use crate::store::Orders;

/// The order service.
#[derive(Clone)]
pub struct OrderService {
    users: Users,
    orders: Orders,
    checkout: Checkout,
    streams: Streams,
    keys: Idempotency,
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
        let outbox = Outbox::new(parts.telemetry.clone());
        let changes = Changes::new(&parts.database, &parts.telemetry);
        let orders = Orders::new(parts.database.clone(), outbox.clone(), changes, settings.recovery.lease);
        let checkout = Checkout::new(
            orders.clone(),
            outbox.clone(),
            inventory,
            payments,
            parts.telemetry.clone(),
            settings.recovery,
        );
        checkout.start_recovery(parts.stopping.clone());
        let keys = Idempotency::new(
            parts.database,
            settings.idempotency,
            settings.recovery.lease,
            &parts.telemetry,
            parts.stopping.clone(),
        );
        let streams = Streams::new(settings.events, outbox, &parts.telemetry, parts.stopping);
        Ok(Self { users, orders, checkout, streams, keys })
    }

    fn routes(&self, config: &mut ServiceConfig) {
        config
            .app_data(web::Data::new(self.users.clone()))
            .app_data(web::Data::new(self.orders.clone()))
            .app_data(web::Data::new(self.checkout.clone()))
            .app_data(web::Data::new(self.streams.clone()))
            .app_data(web::Data::new(self.keys.clone()))
            .configure(routes::configure);
    }
}
