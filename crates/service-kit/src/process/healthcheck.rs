//! Asking `/ready` the way a container runtime does: often, and with little to spare. So it is a socket
//! and a status line, without a runtime, a client or its certificates.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Context;

/// Docker gives a check of ours 3 s; the answer must be there before.
const TIMEOUT: Duration = Duration::from_millis(2500);

/// Succeeds where the service at this address answers that it is ready.
pub(super) fn ask(address: SocketAddr) -> anyhow::Result<()> {
    let address = SocketAddr::new(reachable(address.ip()), address.port());
    let mut stream =
        TcpStream::connect_timeout(&address, TIMEOUT).with_context(|| format!("connecting to {address}"))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(stream, "GET /ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")
        .context("asking /ready")?;
    let mut start = [0; "HTTP/1.1 200".len()];
    stream.read_exact(&mut start).context("reading the answer of /ready")?;
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
