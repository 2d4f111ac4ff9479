//! The SERVER span at its start: name and attributes (semantic conventions, "HTTP server span").

use std::rc::Rc;
use std::time::SystemTime;

use actix_web::dev::ServiceRequest;
use actix_web::http::{Version, header};
use opentelemetry::trace::{Span as _, SpanBuilder, SpanKind, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::Span;
use opentelemetry_semantic_conventions::attribute;

use super::forwarded::Forwarded;
use super::old;
use super::worker::{Authority, Route, Worker};
use crate::names::{OTHER_METHOD, http_span_name};
use crate::redact::{self, cut};

/// As many attributes as a span has room for without growing; most have fewer.
const ATTRIBUTES: usize = 16;

/// What span and metrics share.
pub(super) struct Facts {
    pub(super) method: &'static str,
    pub(super) scheme: &'static str,
    pub(super) version: Option<&'static str>,
}

impl Facts {
    fn new(worker: &Worker, request: &ServiceRequest, forwarded: &Forwarded<'_>) -> Self {
        let scheme = if request.app_config().secure() { "https" } else { "http" };
        Self {
            method: worker.shared.methods.known(request.method().as_str()),
            scheme: forwarded.scheme.unwrap_or(scheme),
            version: protocol_version(request.version()),
        }
    }

    /// Those that all metrics of a request have.
    pub(super) fn attributes(&self) -> [KeyValue; 2] {
        [
            KeyValue::new(attribute::HTTP_REQUEST_METHOD, self.method),
            KeyValue::new(attribute::URL_SCHEME, self.scheme),
        ]
    }
}

/// Starts the span. Its route is known when the application has answered: looking for it before would cost more the more
/// routes there are. Where code of the application's own sees spans start, it is looked for, and everything
/// is there for a sampler to decide by.
pub(super) fn start(
    worker: &Worker,
    request: &ServiceRequest,
    parent: &Context,
    started: SystemTime,
) -> (Span, Facts, Option<Rc<Route>>) {
    let telemetry = &worker.shared.telemetry;
    let forwarded =
        worker.shared.proxies.forwarded(request.peer_addr(), request.headers()).unwrap_or_default();
    let facts = Facts::new(worker, request, &forwarded);
    let build = |name, attributes| {
        let builder = SpanBuilder::from_name(name)
            .with_kind(SpanKind::Server)
            .with_start_time(started)
            .with_attributes(attributes);
        telemetry.tracer().build_with_context(builder, parent)
    };
    let is_shown = telemetry.shows_starts();
    if !is_shown && !telemetry.will_keep(parent) {
        // It may be wrong, and is right most times: a span that nobody gets costs no attributes.
        let mut span = build(http_span_name(facts.method, None), Vec::new());
        if span.is_recording() && telemetry.keeps_spans() {
            describe(worker, request, &facts, &forwarded, |attribute| span.set_attribute(attribute));
        }
        return (span, facts, None);
    }
    let mut attributes = Vec::with_capacity(ATTRIBUTES);
    describe(worker, request, &facts, &forwarded, |attribute| attributes.push(attribute));
    if !is_shown {
        return (build(http_span_name(facts.method, None), attributes), facts, None);
    }
    let route = worker.route_to(facts.method, request.path());
    attributes.extend(route.pattern.map(|pattern| KeyValue::new(attribute::HTTP_ROUTE, pattern)));
    (build(route.name.into(), attributes), facts, Some(route))
}

fn describe(
    worker: &Worker,
    request: &ServiceRequest,
    facts: &Facts,
    forwarded: &Forwarded<'_>,
    mut add: impl FnMut(KeyValue),
) {
    let Worker { shared, texts, .. } = worker;
    let server = forwarded.host.or_else(|| requested_authority(request));
    let server = server.and_then(|authority| worker.authority(authority));
    add(KeyValue::new(attribute::HTTP_REQUEST_METHOD, facts.method));
    if facts.method == OTHER_METHOD {
        add(KeyValue::new(
            attribute::HTTP_REQUEST_METHOD_ORIGINAL,
            cut(request.method().as_str()).to_owned(),
        ));
    }
    add(KeyValue::new(attribute::URL_SCHEME, facts.scheme));
    add(KeyValue::new(attribute::URL_PATH, cut(&redact::path(request.uri().path())).to_owned()));
    if let Some(query) = request.uri().query().filter(|query| !query.is_empty()) {
        add(KeyValue::new(attribute::URL_QUERY, cut(&redact::query(query)).to_owned()));
    }
    if let Some(Authority { host, port }) = &server {
        add(KeyValue::new(attribute::SERVER_ADDRESS, host.clone()));
        if let Some(port) = *port {
            add(KeyValue::new(attribute::SERVER_PORT, i64::from(port)));
        }
    }
    if let Some(peer) = request.peer_addr() {
        let address = texts.of_address(peer.ip());
        let client = match forwarded.client {
            Some((client, port)) => {
                if let Some(port) = port {
                    add(KeyValue::new(attribute::CLIENT_PORT, i64::from(port)));
                }
                texts.of_address(client)
            }
            None => address.clone(),
        };
        add(KeyValue::new(attribute::CLIENT_ADDRESS, client));
        add(KeyValue::new(attribute::NETWORK_PEER_ADDRESS, address));
        add(KeyValue::new(attribute::NETWORK_PEER_PORT, i64::from(peer.port())));
    }
    if let Some(version) = facts.version {
        add(KeyValue::new(attribute::NETWORK_PROTOCOL_VERSION, version));
    }
    if let Some(agent) = user_agent(request) {
        add(KeyValue::new(attribute::USER_AGENT_ORIGINAL, texts.of(cut(agent))));
    }
    if !shared.request_headers.is_empty() {
        let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        shared.request_headers.attributes(headers).into_iter().for_each(&mut add);
    }
    if shared.metrics.old.is_some() {
        old::describe(request, facts, server.as_ref(), &mut add);
    }
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

pub(super) fn split_authority(authority: &str) -> Option<(&str, Option<u16>)> {
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
