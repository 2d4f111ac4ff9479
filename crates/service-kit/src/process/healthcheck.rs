//! Asking a process how it is, the way a container runtime does: often, and with little to spare. So it is a socket
//! and a status line, without a runtime, a client or its certificates.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Context;

/// Docker gives a check of ours 3 s; the answer must be there before.
const TIMEOUT: Duration = Duration::from_millis(2500);

/// Succeeds where what listens at this address answers `path` with 200. An address that stands for all of the host's
/// is asked on loopback. Blocks, 2.5 s at most for each step.
///
/// # Errors
/// Where it cannot be reached, is silent, or answers anything else.
pub fn ask(address: SocketAddr, path: &str) -> anyhow::Result<()> {
    let address = SocketAddr::new(reachable(address.ip()), address.port());
    let mut stream =
        TcpStream::connect_timeout(&address, TIMEOUT).with_context(|| format!("connecting to {address}"))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")
        .with_context(|| format!("asking {path}"))?;
    let mut start = [0; "HTTP/1.1 200".len()];
    stream.read_exact(&mut start).with_context(|| format!("reading the answer of {path}"))?;
    anyhow::ensure!(start == *b"HTTP/1.1 200", "not ready: {}", String::from_utf8_lossy(&start));
    Ok(())
}

/// Whoever listens on every address is asked on the loopback one.
fn reachable(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        address => address,
    }
}
