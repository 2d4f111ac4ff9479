//! The variables that only this service reads.

use std::time::Duration;

use secrecy::SecretString;
use service_kit::config::{number_within, secret};
use telemetry_core::config::Env;

const DEVELOPMENT_SECRET: &str = "development only: the secret of access tokens";

/// How access tokens are made.
pub struct UserSettings {
    /// `JWT_SECRET` or `JWT_SECRET_FILE`, 32 bytes or more outside development.
    pub access_token_secret: SecretString,
    /// `JWT_EXPIRE_MINUTES`, 1 to 1440. Default 30: a token cannot be called back, so a stolen one should
    /// not last.
    pub access_token_lifetime: Duration,
}

impl UserSettings {
    /// Reads the variables; mistakes stay in `env`.
    pub fn read(env: &mut Env) -> Self {
        let minutes: u64 = number_within(env, "JWT_EXPIRE_MINUTES", 30, 1..=1440, "minutes");
        Self {
            access_token_secret: secret(env, "JWT_SECRET", DEVELOPMENT_SECRET),
            access_token_lifetime: Duration::from_secs(60 * minutes),
        }
    }
}
