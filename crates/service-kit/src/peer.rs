//! Calling another service: address, deadline, retries and their budget, service token, and what its refusals mean.
//!
//! A client of a peer is a struct around a [`Peer`] with one method for each call:
//!
//! ```no_run
//! # use service_kit::peer::{Peer, PeerError};
//! # #[derive(serde::Deserialize)] struct Payment;
//! async fn find_payment(payments: &Peer, id: &str) -> Result<Payment, PeerError> {
//!     payments.get("/internal/payments/{order_id}").parameter(id).send().await
//! }
//! ```

mod budget;
mod call;
mod error;

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use reqwest_middleware::ClientWithMiddleware;
use secrecy::SecretString;
use telemetry_core::Telemetry;
use telemetry_core::config::Env;
use url::Url;

use crate::config::{number_within, record};
use crate::token::ServiceTokens;

use self::budget::RetryBudget;
pub use self::call::Call;
pub use self::error::PeerError;

/// Where a peer is, and how long it may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerConfig {
    /// The service's name, such as `user-service`: whom a token is for.
    pub name: &'static str,
    /// `{PREFIX}_URL`.
    pub url: Url,
    /// `{PREFIX}_TIMEOUT_MS`, 1 to 60000, for a call with all of its tries.
    pub timeout: Duration,
}

impl PeerConfig {
    /// Reads `{prefix}_URL` and `{prefix}_TIMEOUT_MS`.
    ///
    /// # Panics
    /// Where `default_url` is none: it stands in the code.
    pub fn read(
        env: &mut Env,
        name: &'static str,
        prefix: &str,
        default_url: &str,
        default_timeout: Duration,
    ) -> Self {
        let variable = format!("{prefix}_URL");
        let url = env
            .parse_with(&variable, "a URL such as http://localhost:8081", base_url)
            .unwrap_or_else(|| base_url(default_url).expect("the default is a URL"));
        record(env, &variable, url.to_string());
        let default = u64::try_from(default_timeout.as_millis()).unwrap_or(u64::MAX);
        let timeout =
            number_within(env, &format!("{prefix}_TIMEOUT_MS"), default, 1..=60_000, "milliseconds");
        Self { name, url, timeout: Duration::from_millis(timeout) }
    }
}

fn base_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    // A password in it would be shown with the configuration; services know each other by tokens.
    let anonymous = url.username().is_empty() && url.password().is_none();
    let plain = anonymous && url.has_host() && url.query().is_none() && url.fragment().is_none();
    (plain && ["http", "https"].contains(&url.scheme())).then_some(url)
}

/// Another service. Cheap to clone.
#[derive(Clone)]
pub struct Peer {
    inner: Arc<Inner>,
}

struct Inner {
    config: PeerConfig,
    client: ClientWithMiddleware,
    tokens: Option<ServiceTokens>,
    budget: RetryBudget,
}

impl Peer {
    /// One of our services: each call carries a service token.
    pub fn new(config: PeerConfig, telemetry: &Telemetry, tokens: ServiceTokens) -> Self {
        Self::with(config, telemetry, Some(tokens))
    }

    /// A service of somebody else's: it gets no token of ours.
    pub fn outside(config: PeerConfig, telemetry: &Telemetry) -> Self {
        Self::with(config, telemetry, None)
    }

    fn with(config: PeerConfig, telemetry: &Telemetry, tokens: Option<ServiceTokens>) -> Self {
        let budget = RetryBudget::new(config.name, telemetry);
        Self { inner: Arc::new(Inner { config, client: telemetry.client(), tokens, budget }) }
    }

    /// A GET of this path, which may be repeated. `{name}` in `template` stands for a
    /// [parameter](Call::parameter); the template is what the span is named for.
    pub fn get(&self, template: &'static str) -> Call {
        Call::new(self.clone(), Method::GET, template, true)
    }

    /// A POST to this path, which is tried again only where it never arrived; see [`Call::idempotent`].
    pub fn post(&self, template: &'static str) -> Call {
        Call::new(self.clone(), Method::POST, template, false)
    }

    fn token(&self, user_id: Option<&str>) -> Option<SecretString> {
        self.inner.tokens.as_ref().map(|tokens| tokens.issue(self.inner.config.name, user_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&'static str, &'static str)]) -> Result<PeerConfig, String> {
        let mut env = Env::of(variables.iter().copied());
        let timeout = Duration::from_secs(5);
        let config =
            PeerConfig::read(&mut env, "user-service", "USER_SERVICE", "http://localhost:8081", timeout);
        env.finish().map(|()| config).map_err(|error| error.to_string())
    }

    #[test]
    fn a_peer_is_where_its_variables_say() {
        let default = read(&[]).unwrap();
        assert_eq!(
            (default.url.as_str(), default.timeout),
            ("http://localhost:8081/", Duration::from_secs(5))
        );
        let variables =
            [("USER_SERVICE_URL", "https://users.example/v1"), ("USER_SERVICE_TIMEOUT_MS", "250")];
        let set = read(&variables).unwrap();
        assert_eq!((set.url.as_str(), set.timeout), ("https://users.example/v1", Duration::from_millis(250)));
    }

    #[test]
    fn what_is_no_address_of_a_peer_is_a_mistake() {
        for url in [
            "localhost:8081",
            "ftp://users.example",
            "http://",
            "http://a:b@users.example",
            "http://users.example/?a",
        ] {
            assert!(read(&[("USER_SERVICE_URL", url)]).is_err(), "{url}");
        }
        let mistake = read(&[("USER_SERVICE_TIMEOUT_MS", "0")]).unwrap_err();
        assert!(
            mistake.ends_with("USER_SERVICE_TIMEOUT_MS=0: expected milliseconds, 1 to 60000"),
            "{mistake}"
        );
    }
}
