//! Who the client is behind proxies: `Forwarded` (RFC 7239) and `X-Forwarded-*`, believed from configured proxies.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::header::HeaderMap;
use ipnet::IpNet;

/// How many hops are looked at, from the server's end: each is a word of the one before it.
const MAX_HOPS: usize = 32;

/// The proxies whose word is taken.
#[derive(Clone)]
pub(super) struct Proxies(pub(super) Vec<IpNet>);

/// What they tell of the client's request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Forwarded<'a> {
    /// The client's address, and its port where it is told.
    pub(super) client: Option<(IpAddr, Option<u16>)>,
    /// `http` or `https`.
    pub(super) scheme: Option<&'static str>,
    /// The authority that the client asked for.
    pub(super) host: Option<&'a str>,
}

/// One proxy's word: whom it got the request from, and how.
#[derive(Clone, Copy, Default)]
struct Hop<'a> {
    address: Option<(IpAddr, Option<u16>)>,
    scheme: Option<&'a str>,
    host: Option<&'a str>,
}

impl Proxies {
    /// What the headers tell, where the peer is one of the proxies.
    pub(super) fn forwarded<'a>(
        &self,
        peer: Option<SocketAddr>,
        headers: &'a HeaderMap,
    ) -> Option<Forwarded<'a>> {
        told_by(&self.0, peer, headers)
    }
}

/// What the headers tell, where the peer is one of these proxies.
pub(super) fn told_by<'a>(
    proxies: &[IpNet],
    peer: Option<SocketAddr>,
    headers: &'a HeaderMap,
) -> Option<Forwarded<'a>> {
    if proxies.is_empty() || !trust(proxies, peer?.ip()) {
        return None;
    }
    let mut hops = standard_hops(headers);
    if hops.is_empty() {
        hops = customary_hops(headers);
    }
    Some(client_of(proxies, &hops))
}

/// The last hop, from the server's end, that no trusted proxy is: what stands left of it is its own word.
fn client_of<'a>(proxies: &[IpNet], hops: &[Hop<'a>]) -> Forwarded<'a> {
    let mut client = None;
    for hop in hops.iter().rev().take(MAX_HOPS) {
        let Some((address, _)) = hop.address else { break };
        client = Some(hop);
        if !trust(proxies, address) {
            break;
        }
    }
    let Some(told) = client.or(hops.last()) else { return Forwarded::default() };
    let scheme = match told.scheme {
        Some(scheme) if scheme.eq_ignore_ascii_case("https") => Some("https"),
        Some(scheme) if scheme.eq_ignore_ascii_case("http") => Some("http"),
        _ => None,
    };
    Forwarded { client: told.address, scheme, host: told.host }
}

fn trust(proxies: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    proxies.iter().any(|network| network.contains(&address))
}

/// `Forwarded: for=192.0.2.43;proto=https;host=a.example, for="[2001:db8::1]:4711"`.
fn standard_hops(headers: &HeaderMap) -> Vec<Hop<'_>> {
    let lines = headers.get_all("forwarded").filter_map(|line| line.to_str().ok());
    let elements = lines.flat_map(|line| split(line, ','));
    let hop = |element| {
        let mut hop = Hop::default();
        for (name, value) in split(element, ';').filter_map(|pair| pair.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match name.trim() {
                name if name.eq_ignore_ascii_case("for") => hop.address = address(value),
                name if name.eq_ignore_ascii_case("proto") => hop.scheme = Some(value),
                name if name.eq_ignore_ascii_case("host") => hop.host = Some(value),
                _ => {}
            }
        }
        hop
    };
    elements.map(hop).collect()
}

/// `X-Forwarded-For`, `-Proto` and `-Host`. A proxy that appends to all of them makes lists of one length; of other
/// lists the last value counts, which is the nearest proxy's.
fn customary_hops(headers: &HeaderMap) -> Vec<Hop<'_>> {
    let addresses = list(headers, "x-forwarded-for");
    let schemes = list(headers, "x-forwarded-proto");
    let hosts = list(headers, "x-forwarded-host");
    let length = addresses.len().max(usize::from(!schemes.is_empty() || !hosts.is_empty()));
    let at = |values: &[&'_ str], index: usize| -> Option<usize> {
        if values.len() == length { Some(index) } else { values.len().checked_sub(1) }
    };
    (0..length)
        .map(|index| Hop {
            address: addresses.get(index).and_then(|text| address(text)),
            scheme: at(&schemes, index).map(|index| schemes[index]),
            host: at(&hosts, index).map(|index| hosts[index]),
        })
        .collect()
}

fn list<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    let lines = headers.get_all(name).filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).collect()
}

/// Splits outside of quotes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    text.split(move |c| {
        is_quoted ^= c == '"';
        c == separator && !is_quoted
    })
}

/// An address with or without a port; `unknown` and hidden names (`_gazonk`) are none.
fn address(text: &str) -> Option<(IpAddr, Option<u16>)> {
    if let Ok(socket) = text.parse::<SocketAddr>() {
        return Some((socket.ip(), Some(socket.port())));
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().map(|address| (address, None))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    fn told(lines: &[(&'static str, &'static str)]) -> String {
        let proxies = Proxies(vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        let headers = headers(lines);
        let forwarded = proxies.forwarded(Some("10.0.0.1:1".parse().unwrap()), &headers).unwrap();
        let client = match forwarded.client {
            Some((address, Some(port))) => format!("{address} {port}"),
            Some((address, None)) => address.to_string(),
            None => "-".to_owned(),
        };
        format!("{client} {} {}", forwarded.scheme.unwrap_or("-"), forwarded.host.unwrap_or("-"))
    }

    #[test]
    fn the_client_is_the_last_hop_that_is_no_trusted_proxy() {
        let table: [(&[(&'static str, &'static str)], &str); 16] = [
            (&[], "- - -"),
            (&[("x-forwarded-for", "192.0.2.1")], "192.0.2.1 - -"),
            (&[("x-forwarded-for", "6.6.6.6, 192.0.2.1, 10.0.0.2")], "192.0.2.1 - -"),
            (&[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "192.0.2.1")], "192.0.2.1 - -"),
            (&[("x-forwarded-for", "10.0.0.3, 10.0.0.2")], "10.0.0.3 - -"),
            (&[("x-forwarded-for", "6.6.6.6, unknown, 10.0.0.2")], "10.0.0.2 - -"),
            (&[("x-forwarded-for", "6.6.6.6, junk")], "- - -"),
            (&[("x-forwarded-for", "192.0.2.1:4711")], "192.0.2.1 4711 - -"),
            (&[("x-forwarded-for", "[2001:db8::1]:4711")], "2001:db8::1 4711 - -"),
            (&[("x-forwarded-for", "2001:db8::1"), ("x-forwarded-proto", "HTTPS")], "2001:db8::1 https -"),
            (
                &[
                    ("x-forwarded-for", "6.6.6.6, 192.0.2.1"),
                    ("x-forwarded-proto", "https, http"),
                    ("x-forwarded-host", "evil.example, shop.example"),
                ],
                "192.0.2.1 http shop.example",
            ),
            (&[("x-forwarded-proto", "ftp"), ("x-forwarded-host", "shop.example")], "- - shop.example"),
            (&[("forwarded", "for=192.0.2.1;proto=https;host=shop.example")], "192.0.2.1 https shop.example"),
            (&[("forwarded", "For=\"[2001:db8::1]:4711\", for=fd00::1")], "2001:db8::1 4711 - -"),
            (&[("forwarded", "for=\"6.6.6.6, x\", for=_hidden;proto=https")], "- https -"),
            (&[("forwarded", "for=192.0.2.1"), ("x-forwarded-for", "6.6.6.6")], "192.0.2.1 - -"),
        ];
        for (lines, wanted) in table {
            assert_eq!(told(lines), wanted, "{lines:?}");
        }
    }

    #[test]
    fn a_peer_that_is_no_trusted_proxy_is_not_believed() {
        let headers = headers(&[("x-forwarded-for", "192.0.2.1")]);
        let peer = Some("192.0.2.9:1".parse().unwrap());
        assert_eq!(Proxies(vec!["10.0.0.0/8".parse().unwrap()]).forwarded(peer, &headers), None);
        assert_eq!(Proxies(Vec::new()).forwarded(peer, &headers), None);
        let mapped = Some("[::ffff:10.0.0.1]:1".parse().unwrap());
        assert!(Proxies(vec!["10.0.0.0/8".parse().unwrap()]).forwarded(mapped, &headers).is_some());
    }
}
