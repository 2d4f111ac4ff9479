//! The SERVER span at its start: name and attributes (semantic conventions, "HTTP server span").

use actix_web::dev::ServiceRequest;
use actix_web::http::{Version, header};
use opentelemetry::trace::{SpanBuilder, SpanKind, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::Span;
use opentelemetry_semantic_conventions::attribute;

use super::{Shared, old};
use crate::names::{OTHER_METHOD, http_span_name};
use crate::redact::{self, cut};

/// What span and metrics share.
pub(super) struct Facts {
    pub(super) method: &'static str,
    pub(super) scheme: &'static str,
    pub(super) version: Option<&'static str>,
    pub(super) route: Option<String>,
}

pub(super) fn start(shared: &Shared, request: &ServiceRequest, parent: &Context) -> (Span, Facts) {
    let peer = request.peer_addr();
    let forwarded = shared.proxies.forwarded(peer, request.headers()).unwrap_or_default();
    let scheme = forwarded.scheme.unwrap_or(if request.app_config().secure() { "https" } else { "http" });
    let server = match forwarded.host {
        Some(host) => split_authority(host),
        None => requested_authority(request).and_then(split_authority),
    };
    let facts = Facts {
        method: shared.methods.known(request.method().as_str()),
        scheme,
        version: protocol_version(request.version()),
        route: request.match_pattern(),
    };

    let mut attributes = Vec::with_capacity(16);
    attributes.push(KeyValue::new(attribute::HTTP_REQUEST_METHOD, facts.method));
    if facts.method == OTHER_METHOD {
        let original = cut(request.method().as_str()).to_owned();
        attributes.push(KeyValue::new(attribute::HTTP_REQUEST_METHOD_ORIGINAL, original));
    }
    attributes.push(KeyValue::new(attribute::URL_SCHEME, scheme));
    attributes.push(KeyValue::new(attribute::URL_PATH, cut(&redact::path(request.uri().path())).to_owned()));
    if let Some(query) = request.uri().query().filter(|query| !query.is_empty()) {
        attributes.push(KeyValue::new(attribute::URL_QUERY, cut(&redact::query(query)).to_owned()));
    }
    if let Some((host, port)) = server {
        attributes.push(KeyValue::new(attribute::SERVER_ADDRESS, cut(host).to_owned()));
        if let Some(port) = port {
            attributes.push(KeyValue::new(attribute::SERVER_PORT, i64::from(port)));
        }
    }
    if let Some(peer) = peer {
        let address = peer.ip().to_string();
        match forwarded.client {
            Some((client, port)) => {
                attributes.push(KeyValue::new(attribute::CLIENT_ADDRESS, client.to_string()));
                if let Some(port) = port {
                    attributes.push(KeyValue::new(attribute::CLIENT_PORT, i64::from(port)));
                }
            }
            None => attributes.push(KeyValue::new(attribute::CLIENT_ADDRESS, address.clone())),
        }
        attributes.push(KeyValue::new(attribute::NETWORK_PEER_ADDRESS, address));
        attributes.push(KeyValue::new(attribute::NETWORK_PEER_PORT, i64::from(peer.port())));
    }
    if let Some(version) = facts.version {
        attributes.push(KeyValue::new(attribute::NETWORK_PROTOCOL_VERSION, version));
    }
    if let Some(agent) = user_agent(request) {
        attributes.push(KeyValue::new(attribute::USER_AGENT_ORIGINAL, cut(agent).to_owned()));
    }
    if let Some(route) = &facts.route {
        attributes.push(KeyValue::new(attribute::HTTP_ROUTE, route.clone()));
    }
    if !shared.request_headers.is_empty() {
        let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        attributes.extend(shared.request_headers.attributes(headers));
    }
    if shared.metrics.old.is_some() {
        old::describe(request, &facts, server, &mut attributes);
    }
    let name = http_span_name(facts.method, facts.route.as_deref());
    let builder = SpanBuilder::from_name(name).with_kind(SpanKind::Server).with_attributes(attributes);
    (shared.telemetry.tracer().build_with_context(builder, parent), facts)
}

pub(super) fn user_agent(request: &ServiceRequest) -> Option<&str> {
    request.headers().get(header::USER_AGENT)?.to_str().ok()
}

fn protocol_version(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_10 => Some("1.0"),
        Version::HTTP_11 => Some("1.1"),
        Version::HTTP_2 => Some("2"),
        Version::HTTP_3 => Some("3"),
        _ => None,
    }
}

/// Where the request was sent to: the target's authority, else the Host header.
fn requested_authority(request: &ServiceRequest) -> Option<&str> {
    match request.uri().authority() {
        Some(authority) => Some(authority.as_str()),
        None => request.headers().get(header::HOST)?.to_str().ok(),
    }
}

fn split_authority(authority: &str) -> Option<(&str, Option<u16>)> {
    // What stands before an `@` is a name and a password.
    let authority = authority.rsplit_once('@').map_or(authority, |(_, address)| address);
    let (host, port) = match authority.rsplit_once(':') {
        // The colons of a bare IPv6 address are no port's.
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port.parse().ok()),
        _ => (authority, None),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty()).then_some((host, port))
}
