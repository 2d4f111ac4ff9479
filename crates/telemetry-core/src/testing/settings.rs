//! What telemetry in memory is set to.

use opentelemetry_sdk::trace::Sampler;

use crate::config::{self, Http, Propagator};
use crate::names::BAGGAGE_ATTRIBUTES;
use crate::paths::PathPatterns;
use crate::propagation::Propagation;

/// What differs from test to test.
pub(super) struct Settings {
    pub(super) sampler: Sampler,
    pub(super) propagation: Propagation,
    pub(super) database: config::Database,
    pub(super) http: Http,
    pub(super) baggage_attributes: Vec<String>,
    pub(super) baggage_trusted_paths: PathPatterns,
    pub(super) excluded_paths: PathPatterns,
    #[cfg(feature = "actix")]
    pub(super) server_hooks: crate::server::ServerHooks,
    #[cfg(feature = "reqwest")]
    pub(super) client_hooks: crate::client::ClientHooks,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sampler: Sampler::AlwaysOn,
            propagation: Propagation::new(&[Propagator::TraceContext, Propagator::Baggage]),
            database: config::Database::default(),
            http: Http::default(),
            baggage_attributes: BAGGAGE_ATTRIBUTES.map(str::to_owned).to_vec(),
            baggage_trusted_paths: PathPatterns::new(["/internal/*"]),
            excluded_paths: PathPatterns::new(config::EXCLUDED_URLS),
            #[cfg(feature = "actix")]
            server_hooks: crate::server::ServerHooks::default(),
            #[cfg(feature = "reqwest")]
            client_hooks: crate::client::ClientHooks::default(),
        }
    }
}
