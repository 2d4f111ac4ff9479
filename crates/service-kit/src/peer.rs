//! Calling another service: address, deadline, retries, service token, and what its refusals mean.
//!
//! A client of a peer is a struct around a [`Peer`] with one method for each call:
//!
//! ```no_run
//! # use service_kit::peer::{Peer, PeerError};
//! # #[derive(serde::Deserialize)] struct Payment;
//! async fn find_payment(payments: &Peer, id: &str) -> Result<Payment, PeerError> {
//!     payments.get("/internal/payments/{id}").parameter(id).send().await
//! }
//! ```

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

use crate::config::number_within;
use crate::token::ServiceTokens;

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
        let url = env.parse_with(&format!("{prefix}_URL"), "a URL such as http://localhost:8081", base_url);
        let timeout =
            number_within(env, &format!("{prefix}_TIMEOUT_MS"), 1..=60_000, "milliseconds, 1 to 60000");
        Self {
            name,
            url: url.unwrap_or_else(|| base_url(default_url).expect("the default is a URL")),
            timeout: timeout.map_or(default_timeout, Duration::from_millis),
        }
    }
}

fn base_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let plain = url.has_host() && url.query().is_none() && url.fragment().is_none();
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
}

impl Peer {
    /// One of our services: each call carries a service token.
    pub fn new(config: PeerConfig, telemetry: &Telemetry, tokens: ServiceTokens) -> Self {
        Self { inner: Arc::new(Inner { config, client: telemetry.client(), tokens: Some(tokens) }) }
    }

    /// A service of somebody else's: it gets no token of ours.
    pub fn outside(config: PeerConfig, telemetry: &Telemetry) -> Self {
        Self { inner: Arc::new(Inner { config, client: telemetry.client(), tokens: None }) }
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
