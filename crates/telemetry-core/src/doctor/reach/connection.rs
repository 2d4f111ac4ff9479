//! From a name to a connection.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use url::{Host, Url};

use crate::doctor::report::Finding;
use crate::doctor::time;

/// A name may have hundreds of addresses.
const MOST_ADDRESSES: usize = 8;

/// An address that has accepted a connection.
pub(super) struct Connected {
    address: SocketAddr,
}

impl Connected {
    /// A connection for the next question. Servers end theirs after a wrong one.
    pub(super) async fn again(&self, deadline: Duration) -> Option<TcpStream> {
        timeout(deadline, TcpStream::connect(self.address)).await.ok()?.ok()
    }
}

/// The stages `resolve` and `connect`; `None` where one of them failed.
pub(super) async fn connect(url: &Url, deadline: Duration, stages: &mut Vec<Finding>) -> Option<Connected> {
    let port = url.port_or_known_default()?;
    let addresses = match url.host()? {
        Host::Ipv4(address) => vec![SocketAddr::from((address, port))],
        Host::Ipv6(address) => vec![SocketAddr::from((address, port))],
        Host::Domain(name) => resolve(name, port, deadline, stages).await?,
    };
    let mut refused = Vec::new();
    let end = Instant::now() + deadline;
    for (tried, address) in addresses.iter().enumerate() {
        // Each of those that are left gets its part of the time that is left.
        let left = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        let part = end.saturating_duration_since(Instant::now()) / left;
        let start = Instant::now();
        match timeout(part, TcpStream::connect(address)).await {
            Ok(Ok(_)) => {
                let mut detail = format!("{address} in {} ms", start.elapsed().as_millis());
                if !refused.is_empty() {
                    detail = format!("{detail}; not {}", refused.join(", not "));
                }
                stages.push(Finding::ok("connect", detail));
                return Some(Connected { address: *address });
            }
            Ok(Err(error)) => refused.push(format!("{address}: {error}")),
            Err(_) => refused.push(format!("{address}: no answer after {}", time(part))),
        }
    }
    let is_refused = refused.iter().any(|reason| reason.contains("refused"));
    let advice = if is_refused {
        "nobody listens there: start the collector, or correct host and port"
    } else {
        "the right host and port, and a firewall or network policy that lets this through"
    };
    stages.push(Finding::failed("no_connection", "connect", refused.join("; ")).advise(advice));
    None
}

async fn resolve(
    name: &str,
    port: u16,
    deadline: Duration,
    stages: &mut Vec<Finding>,
) -> Option<Vec<SocketAddr>> {
    let failed = |detail: String| {
        Finding::failed("no_address", "resolve", detail).advise(
            "a name that this machine knows; in Docker the name of the service, on Kubernetes name.namespace",
        )
    };
    match timeout(deadline, lookup_host((name, port))).await {
        Ok(Ok(addresses)) => {
            let addresses: Vec<SocketAddr> = addresses.take(MOST_ADDRESSES).collect();
            if addresses.is_empty() {
                stages.push(failed(format!("{name} has no address")));
                return None;
            }
            let shown: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
            stages.push(Finding::ok("resolve", format!("{name} is {}", shown.join(", "))));
            Some(addresses)
        }
        Ok(Err(error)) => {
            stages.push(failed(format!("{name}: {error}")));
            None
        }
        Err(_) => {
            stages.push(failed(format!("{name}: no answer after {}", time(deadline))));
            None
        }
    }
}
