//! The SERVER span at its start: name and attributes (semantic conventions, "HTTP server span").

use actix_web::dev::ServiceRequest;
use actix_web::http::{Version, header};
use opentelemetry::trace::{SpanBuilder, SpanKind, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::Span;
use opentelemetry_semantic_conventions::attribute;

use crate::names::{OTHER_METHOD, http_span_name, known_method};
use crate::{Telemetry, redact};

/// Values of the caller's are cut here, so that no request can make a span large.
const MAX_VALUE_LENGTH: usize = 2048;

pub(super) fn start(telemetry: &Telemetry, request: &ServiceRequest, parent: &Context) -> Span {
    let method = known_method(request.method().as_str());
    let route = request.match_pattern();
    let mut attributes = Vec::with_capacity(16);
    attributes.push(KeyValue::new(attribute::HTTP_REQUEST_METHOD, method));
    if method == OTHER_METHOD {
        let original = cut(request.method().as_str());
        attributes.push(KeyValue::new(attribute::HTTP_REQUEST_METHOD_ORIGINAL, original));
    }
    attributes.push(KeyValue::new(attribute::URL_SCHEME, scheme(request)));
    attributes.push(KeyValue::new(attribute::URL_PATH, cut(request.uri().path())));
    if let Some(query) = request.uri().query().filter(|query| !query.is_empty()) {
        attributes.push(KeyValue::new(attribute::URL_QUERY, cut(&redact::query(query))));
    }
    if let Some((host, port)) = server_address(request) {
        attributes.push(KeyValue::new(attribute::SERVER_ADDRESS, cut(host)));
        if let Some(port) = port {
            attributes.push(KeyValue::new(attribute::SERVER_PORT, i64::from(port)));
        }
    }
    if let Some(peer) = request.peer_addr() {
        let address = peer.ip().to_string();
        attributes.push(KeyValue::new(attribute::CLIENT_ADDRESS, address.clone()));
        attributes.push(KeyValue::new(attribute::NETWORK_PEER_ADDRESS, address));
        attributes.push(KeyValue::new(attribute::NETWORK_PEER_PORT, i64::from(peer.port())));
    }
    if let Some(version) = protocol_version(request.version()) {
        attributes.push(KeyValue::new(attribute::NETWORK_PROTOCOL_VERSION, version));
    }
    if let Some(agent) = request.headers().get(header::USER_AGENT).and_then(|value| value.to_str().ok()) {
        attributes.push(KeyValue::new(attribute::USER_AGENT_ORIGINAL, cut(agent)));
    }
    let name = http_span_name(method, route.as_deref());
    if let Some(route) = route {
        attributes.push(KeyValue::new(attribute::HTTP_ROUTE, route));
    }
    let builder = SpanBuilder::from_name(name).with_kind(SpanKind::Server).with_attributes(attributes);
    telemetry.tracer().build_with_context(builder, parent)
}

pub(super) fn scheme(request: &ServiceRequest) -> &'static str {
    if request.app_config().secure() { "https" } else { "http" }
}

pub(super) fn protocol_version(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_10 => Some("1.0"),
        Version::HTTP_11 => Some("1.1"),
        Version::HTTP_2 => Some("2"),
        Version::HTTP_3 => Some("3"),
        _ => None,
    }
}

/// Where the request was sent to: the target's authority, else the Host header. Forwarding headers
/// are not read, since anyone can send them.
fn server_address(request: &ServiceRequest) -> Option<(&str, Option<u16>)> {
    let authority = match request.uri().authority() {
        Some(authority) => authority.as_str(),
        None => request.headers().get(header::HOST)?.to_str().ok()?,
    };
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

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_VALUE_LENGTH)].to_owned()
}
