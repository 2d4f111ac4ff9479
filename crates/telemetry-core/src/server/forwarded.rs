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
///
/// A proxy that knows one of the two forms passes the other on as the client wrote it. So where both are there
/// and name different clients, nobody is believed.
pub(super) fn told_by<'a>(
    proxies: &[IpNet],
    peer: Option<SocketAddr>,
    headers: &'a HeaderMap,
) -> Option<Forwarded<'a>> {
    if proxies.is_empty() || !trust(proxies, peer?.ip()) {
        return None;
    }
    let is_there = |name| headers.contains_key(name);
    let told = match (is_there("forwarded"), is_there("x-forwarded-for")) {
        (true, false) => client_of(proxies, &standard_hops(headers)),
        (false, _) => client_of(proxies, &customary_hops(headers)),
        (true, true) => {
            let told = client_of(proxies, &standard_hops(headers));
            let address = |told: &Forwarded<'_>| told.client.map(|(address, _)| address.to_canonical());
            if address(&told) != address(&client_of(proxies, &customary_hops(headers))) {
                return None;
            }
            told
        }
    };
    Some(told)
}

/// The last hop, from the server's end, that no trusted proxy is: what stands left of it is its own word.
fn client_of<'a>(proxies: &[IpNet], nearest_first: &[Hop<'a>]) -> Forwarded<'a> {
    let mut client = None;
    for hop in nearest_first {
        let Some((address, _)) = hop.address else { break };
        client = Some(hop);
        if !trust(proxies, address) {
            break;
        }
    }
    let Some(told) = client.or(nearest_first.first()) else { return Forwarded::default() };
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
    let elements = nearest_first(headers, "forwarded", |line| rsplit(line, b',').collect());
    let hop = |element| {
        let mut hop = Hop::default();
        let pairs = rsplit(element, b';').filter_map(|pair| std::str::from_utf8(pair).ok()?.split_once('='));
        for (name, value) in pairs {
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
    elements.into_iter().take(MAX_HOPS).map(hop).collect()
}

/// `X-Forwarded-For`, `-Proto` and `-Host`. A proxy that appends to all of them makes lists of one length; of other
/// lists the last value counts, which is the nearest proxy's.
fn customary_hops(headers: &HeaderMap) -> Vec<Hop<'_>> {
    let list = |name| nearest_first(headers, name, |line| line.rsplit(|byte| *byte == b',').collect());
    let addresses = list("x-forwarded-for");
    let schemes = list("x-forwarded-proto");
    let hosts = list("x-forwarded-host");
    let length = addresses.len().max(usize::from(!schemes.is_empty() || !hosts.is_empty()));
    let at = |values: &[&'_ [u8]], index: usize| if values.len() == length { index } else { 0 };
    (0..length.min(MAX_HOPS))
        .map(|index| Hop {
            address: addresses.get(index).and_then(|bytes| address(text(bytes)?)),
            scheme: schemes.get(at(&schemes, index)).and_then(|bytes| text(bytes)),
            host: hosts.get(at(&hosts, index)).and_then(|bytes| text(bytes)),
        })
        .collect()
}

/// The values of a header, the nearest proxy's first. They are bytes until each is looked at alone: what a caller
/// wrote must not spoil what a proxy appended to it.
fn nearest_first<'a>(
    headers: &'a HeaderMap,
    name: &str,
    rsplit: impl Fn(&'a [u8]) -> Vec<&'a [u8]>,
) -> Vec<&'a [u8]> {
    let lines: Vec<_> = headers.get_all(name).collect();
    lines.into_iter().rev().flat_map(|line| rsplit(line.as_bytes())).collect()
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().map(str::trim)
}

/// Splits outside of quotes, from the end: a quote that a caller left open would swallow what follows it.
fn rsplit(line: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut is_quoted = false;
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest?;
        for (at, byte) in line.iter().enumerate().rev() {
            is_quoted ^= *byte == b'"' && !is_escaped(&line[..at]);
            if *byte == separator && !is_quoted {
                rest = Some(&line[..at]);
                return Some(&line[at + 1..]);
            }
        }
        rest = None;
        Some(line)
    })
}

/// Whether what follows is a quoted pair's second half (RFC 9110, 5.6.4).
fn is_escaped(before: &[u8]) -> bool {
    before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
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
mod properties;

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
        let table: [(&[(&'static str, &'static str)], &str); 20] = [
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
            (&[("forwarded", "for=6.6.6.6;x=\", for=192.0.2.1;proto=http")], "192.0.2.1 http -"),
            (&[("forwarded", "for=6.6.6.6;x=\"\\\", for=7.7.7.7\", for=192.0.2.1")], "192.0.2.1 - -"),
            (&[("forwarded", "for=192.0.2.1;host=\"a\\\", for=6.6.6.6\"")], "192.0.2.1 - a\\\", for=6.6.6.6"),
            (
                &[("forwarded", "for=192.0.2.1;proto=https"), ("x-forwarded-for", "192.0.2.1")],
                "192.0.2.1 https -",
            ),
            (&[("forwarded", "for=192.0.2.1"), ("x-forwarded-proto", "https")], "192.0.2.1 - -"),
        ];
        for (lines, wanted) in table {
            assert_eq!(told(lines), wanted, "{lines:?}");
        }
    }

    #[test]
    fn of_two_forms_that_name_different_clients_none_is_believed() {
        let told = |lines| {
            let proxies = Proxies(vec!["10.0.0.0/8".parse().unwrap()]);
            proxies.forwarded(Some("10.0.0.1:1".parse().unwrap()), &headers(lines)).is_some()
        };
        assert!(told(&[("forwarded", "for=192.0.2.1"), ("x-forwarded-for", "192.0.2.1")]));
        assert!(!told(&[("forwarded", "for=192.0.2.1"), ("x-forwarded-for", "6.6.6.6")]));
        assert!(!told(&[("forwarded", "for=_hidden"), ("x-forwarded-for", "6.6.6.6")]));
        assert!(!told(&[("forwarded", ""), ("x-forwarded-for", "6.6.6.6")]));
    }

    #[test]
    fn bytes_that_are_no_text_spoil_their_own_value_only() {
        let proxies = Proxies(vec!["10.0.0.0/8".parse().unwrap()]);
        for name in ["forwarded", "x-forwarded-for"] {
            let line: &[u8] =
                if name == "forwarded" { b"for=\xff, for=192.0.2.1" } else { b"\xff, 192.0.2.1" };
            let mut headers = HeaderMap::new();
            headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(line).unwrap());
            let told = proxies.forwarded(Some("10.0.0.1:1".parse().unwrap()), &headers).unwrap();
            assert_eq!(told.client, Some(("192.0.2.1".parse().unwrap(), None)), "{name}");
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
