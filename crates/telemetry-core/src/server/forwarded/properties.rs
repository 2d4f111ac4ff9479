//! Whatever callers write into `Forwarded` and `X-Forwarded-*`: nothing panics, no client is made up, and what trusted
//! proxies append is read all the same.
//!
//! 512 cases each time; more by `PROPTEST_CASES`. A million of each property, with optimisation, take some minutes:
//!
//! ```text
//! PROPTEST_CASES=1000000 cargo test --release -p telemetry-core --lib server::forwarded::properties
//! ```

use std::net::Ipv6Addr;

use actix_web::http::header::{HeaderName, HeaderValue};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

fn cases() -> ProptestConfig {
    let default = ProptestConfig::default();
    let is_asked = std::env::var_os("PROPTEST_CASES").is_some();
    ProptestConfig { cases: if is_asked { default.cases } else { 512 }, failure_persistence: None, ..default }
}

/// What a caller writes: pieces of what is right, quotes and bytes where they do harm.
fn written() -> impl Strategy<Value = Vec<u8>> {
    let pieces = [
        "for=",
        "proto=",
        "host=",
        "https",
        "\"",
        "\\",
        "\\\"",
        ";",
        ",",
        "=",
        "6.6.6.6",
        "10.0.0.7",
        "[2001:db8::6]",
        ":80",
        "_hidden",
        "unknown",
        "x",
        " ",
    ];
    let piece = prop_oneof![
        6 => select(pieces.to_vec()).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => "[ -~]{0,6}".prop_map(String::into_bytes),
        1 => vec(0x80_u8.., 1..4),
    ];
    vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

/// A proxy of ours, or a client.
fn hop(is_proxy: bool) -> impl Strategy<Value = (IpAddr, Option<u16>)> {
    let four =
        any::<[u8; 3]>().prop_map(move |[b, c, d]| IpAddr::from([if is_proxy { 10 } else { 192 }, b, c, d]));
    let six = any::<u64>().prop_map(move |low| {
        let network: u128 = if is_proxy { 0xfd00 << 112 } else { 0x2001_0db8 << 96 };
        IpAddr::from(Ipv6Addr::from(network | u128::from(low)))
    });
    (prop_oneof![four, six], any::<Option<u16>>())
}

/// The client, as a proxy names it, and proxies behind it.
fn chain() -> impl Strategy<Value = Vec<(IpAddr, Option<u16>)>> {
    (hop(false), vec(hop(true), 0..6))
        .prop_map(|(client, proxies)| std::iter::once(client).chain(proxies).collect())
}

fn node((address, port): (IpAddr, Option<u16>)) -> String {
    match (address, port) {
        (address, Some(port)) => SocketAddr::new(address, port).to_string(),
        (IpAddr::V6(address), None) => format!("[{address}]"),
        (IpAddr::V4(address), None) => address.to_string(),
    }
}

/// The caller's own line and what each proxy adds to it: on the same line, or on one of its own.
fn lines(name: &'static str, theirs: &[Vec<u8>], ours: &[String], joins: &[bool]) -> HeaderMap {
    let mut lines = theirs.to_vec();
    for (value, joins) in ours.iter().zip(joins.iter().chain(std::iter::repeat(&true))) {
        match lines.last_mut() {
            Some(line) if *joins => {
                line.extend(b", ");
                line.extend(value.as_bytes());
            }
            _ => lines.push(value.clone().into_bytes()),
        }
    }
    headers(lines.into_iter().map(|line| (name, line)))
}

fn headers(lines: impl IntoIterator<Item = (&'static str, Vec<u8>)>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, line) in lines {
        if let Ok(value) = HeaderValue::from_bytes(&line) {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    headers
}

fn proxies() -> Proxies {
    Proxies(vec!["10.0.0.0/8".parse().expect("a network"), "fd00::/8".parse().expect("a network")])
}

fn peer() -> Option<SocketAddr> {
    Some(SocketAddr::from(([10, 0, 0, 1], 1)))
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn whoever_calls_through_proxies_is_told_by_them_and_not_by_the_caller(
        theirs in vec(written(), 0..3),
        chain in chain(),
        joins in vec(any::<bool>(), 7),
        quotes in any::<bool>(),
    ) {
        let quoted = |hop| if quotes || node(hop).contains(':') { format!("\"{}\"", node(hop)) } else { node(hop) };
        let standard: Vec<_> = chain.iter().map(|hop| format!("for={};proto=https;host=shop", quoted(*hop))).collect();
        let customary: Vec<_> = chain.iter().map(|hop| node(*hop)).collect();
        let client = Some(chain[0]);

        let headers = lines("forwarded", &theirs, &standard, &joins);
        let told = proxies().forwarded(peer(), &headers).expect("the peer is believed");
        prop_assert_eq!((told.client, told.scheme, told.host), (client, Some("https"), Some("shop")));

        let headers = lines("x-forwarded-for", &theirs, &customary, &joins);
        let told = proxies().forwarded(peer(), &headers).expect("the peer is believed");
        prop_assert_eq!(told.client, client);
    }

    #[test]
    fn what_is_told_was_written_and_only_trusted_peers_are_asked(
        standard in vec(written(), 0..3),
        customary in vec(("x-forwarded-(for|proto|host)", written()), 0..5),
        other in any::<[u8; 4]>(),
    ) {
        let named = customary.into_iter().map(|(name, line)| {
            let names = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"];
            (names.into_iter().find(|known| *known == name).expect("one of them"), line)
        });
        let all: Vec<_> = standard.into_iter().map(|line| ("forwarded", line)).chain(named).collect();
        let text: Vec<u8> = all.iter().flat_map(|(_, line)| line.clone()).collect();
        let headers = headers(all);
        if let Some(told) = proxies().forwarded(peer(), &headers) {
            prop_assert!(told.host.unwrap_or_default().len() <= text.len());
            prop_assert!(told.client.is_none() || text.len() >= "::".len());
            if let Some(host) = told.host {
                prop_assert!(host.is_empty() || text.windows(host.len()).any(|part| part == host.as_bytes()));
            }
        }
        let stranger = SocketAddr::from((other, 1));
        if !super::trust(&proxies().0, stranger.ip()) {
            prop_assert_eq!(proxies().forwarded(Some(stranger), &headers), None);
        }
        prop_assert_eq!(proxies().forwarded(None, &headers), None);
        prop_assert_eq!(Proxies(Vec::new()).forwarded(peer(), &headers), None);
    }

    #[test]
    fn no_list_is_followed_beyond_its_limit(length in 0..200_usize, is_standard in any::<bool>()) {
        let (name, value) = if is_standard { ("forwarded", "for=10.0.0.2") } else { ("x-forwarded-for", "10.0.0.2") };
        let line = vec![value; length].join(",").into_bytes();
        let mut headers = headers([(name, line)]);
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        let hops = if is_standard { standard_hops(&headers) } else { customary_hops(&headers) };
        // A line of nothing is one value.
        prop_assert_eq!(hops.len(), (length.max(1) + 1).min(MAX_HOPS));
    }
}
