//! How often someone may try a password: per account, whether or not there is such an account, and per address.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use service_kit::throttle::{Throttle, network_of};

use crate::config::UserSettings;
use crate::metrics::Metrics;

/// Counts the tries. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Attempts {
    inner: Arc<Inner>,
}

struct Inner {
    by_account: Throttle,
    by_address: Throttle,
    metrics: Metrics,
}

/// Too many tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many tries")]
pub(crate) struct Throttled {
    /// Whose tries were too many.
    pub(crate) scope: Scope,
    /// When the next one is taken.
    pub(crate) retry_after: Duration,
}

/// Whose tries are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Account,
    Address,
}

impl Scope {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Address => "address",
        }
    }
}

impl Attempts {
    pub(crate) fn new(settings: &UserSettings, metrics: Metrics) -> Self {
        let by_account = Throttle::per_minute(settings.attempts_per_account);
        let by_address = Throttle::per_minute(settings.attempts_per_address);
        Self { inner: Arc::new(Inner { by_account, by_address, metrics }) }
    }

    /// Takes a try that comes from this address. First of all: what an address has no tries left for, costs no
    /// account one.
    pub(crate) fn at_address(&self, address: Option<IpAddr>) -> Result<(), Throttled> {
        // Without an address (a Unix socket) there is one caller, who answers for all of them.
        let network = address.map(network_of);
        self.inner.by_address.take(network).map_err(|retry_after| self.too_many(Scope::Address, retry_after))
    }

    /// Takes a try at the account of this mailbox, in lower case; there need not be one.
    pub(crate) fn at_account(&self, mailbox: &str) -> Result<(), Throttled> {
        self.inner.by_account.take(mailbox).map_err(|retry_after| self.too_many(Scope::Account, retry_after))
    }

    fn too_many(&self, scope: Scope, retry_after: Duration) -> Throttled {
        self.inner.metrics.count_throttled(scope);
        Throttled { scope, retry_after }
    }
}
