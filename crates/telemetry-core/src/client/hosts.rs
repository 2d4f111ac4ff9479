//! Which peers have metric series of their own.

use std::sync::{Arc, PoisonError, RwLock};

/// How many peers have. An application calls fewer; one that lets callers choose addresses (webhooks) calls any number.
const MAX_HOSTS: usize = 100;

/// The first peers that were called, up to a hundred; all others share the series of `server.address` `_OTHER`.
#[derive(Debug, Default)]
pub(crate) struct Hosts(RwLock<Vec<(Arc<str>, u16)>>);

impl Hosts {
    /// The peer's name for `server.address` of metrics; `None` where it is one too many.
    pub(super) fn known(&self, host: &str, port: u16) -> Option<Arc<str>> {
        let find = |hosts: &[(Arc<str>, u16)]| {
            hosts.iter().find(|known| known.1 == port && *known.0 == *host).map(|known| known.0.clone())
        };
        {
            let hosts = self.0.read().unwrap_or_else(PoisonError::into_inner);
            let found = find(&hosts);
            if found.is_some() || hosts.len() >= MAX_HOSTS {
                return found;
            }
        }
        let mut hosts = self.0.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have been here meanwhile.
        if let Some(found) = find(&hosts) {
            return Some(found);
        }
        (hosts.len() < MAX_HOSTS).then(|| {
            let name: Arc<str> = host.into();
            hosts.push((name.clone(), port));
            name
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_hundred_have_a_name() {
        let hosts = Hosts::default();
        for port in 0..100 {
            assert_eq!(hosts.known("a", port).as_deref(), Some("a"));
        }
        assert_eq!(hosts.known("b", 80), None);
        assert_eq!(hosts.known("a", 7).as_deref(), Some("a"));
        assert_eq!(hosts.known("a", 100), None);
    }
}
