//! Wires the service.

use actix_web::web;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use service_kit::{Parts, Service};
use telemetry_core::config::Env;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::access_tokens::AccessTokens;
use crate::accounts::Accounts;
use crate::attempts::Attempts;
use crate::config::UserSettings;
use crate::metrics::Metrics;
use crate::passwords::Passwords;
use crate::routes;
use crate::store::{Tenants, Users};

/// The user service.
#[derive(Clone)]
pub struct UserService {
    accounts: Accounts,
    tenants: Tenants,
}

impl Service for UserService {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const PORT: u16 = 8081;
    const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

    type Settings = UserSettings;

    fn settings(env: &mut Env) -> UserSettings {
        UserSettings::read(env)
    }

    fn build(settings: UserSettings, parts: Parts) -> anyhow::Result<Self> {
        let tokens = AccessTokens::new(&settings.access_token_secret, settings.access_token_lifetime);
        let attempts = Attempts::new(&settings, Metrics::new(parts.telemetry.meter()));
        let users = Users::new(parts.database.clone());
        Ok(Self {
            accounts: Accounts::new(users, Passwords::new()?, tokens, attempts),
            tenants: Tenants::new(parts.database),
        })
    }

    fn routes(&self, config: &mut ServiceConfig) {
        config.app_data(web::Data::new(self.accounts.clone()));
        config.app_data(web::Data::new(self.tenants.clone()));
        routes::configure(config);
    }
}
