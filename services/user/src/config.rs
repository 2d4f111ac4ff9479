//! The variables that only this service reads.

use std::num::NonZeroU32;
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
    /// `LOGIN_ATTEMPTS_PER_ACCOUNT`, a minute, 1 to 10000. Default 10: nobody mistypes more often, and a year of it
    /// tries five million passwords.
    pub attempts_per_account: NonZeroU32,
    /// `LOGIN_ATTEMPTS_PER_ADDRESS`, a minute, 1 to 100000, registrations included. Default 120: an office may share an
    /// address. Of IPv6 it is the /64.
    pub attempts_per_address: NonZeroU32,
}

impl UserSettings {
    /// Reads the variables; mistakes stay in `env`.
    pub fn read(env: &mut Env) -> Self {
        let minutes: u64 = number_within(env, "JWT_EXPIRE_MINUTES", 30, 1..=1440, "minutes");
        let mut attempts = |name, default: u32, most| {
            let attempts = number_within(env, name, default, 1..=most, "tries in a minute");
            NonZeroU32::new(attempts).expect("it is 1 at the least")
        };
        let attempts_per_account = attempts("LOGIN_ATTEMPTS_PER_ACCOUNT", 10, 10_000);
        let attempts_per_address = attempts("LOGIN_ATTEMPTS_PER_ADDRESS", 120, 100_000);
        Self {
            attempts_per_account,
            attempts_per_address,
            access_token_secret: secret(env, "JWT_SECRET", DEVELOPMENT_SECRET),
            access_token_lifetime: Duration::from_secs(60 * minutes),
        }
    }
}
