//! One try of a request: its span, its outcome, its duration.

use std::time::Instant;

use http::Version;
use opentelemetry::trace::{SpanBuilder, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_semantic_conventions::attribute;
use reqwest::{Request, Response};

use super::{ClientTelemetry, UrlTemplate};
use crate::exemplars::TracedHistogram;
use crate::names::{OTHER_METHOD, http_span_name, known_method};
use crate::span::Exception;
use crate::untraced::is_untraced;
use crate::{propagation, redact};

/// Ends its span and records the duration when dropped, also when the caller gave up waiting.
pub(super) struct Exchange {
    context: Context,
    duration: TracedHistogram,
    start: Instant,
    attributes: Vec<KeyValue>,
    is_done: bool,
}

impl Exchange {
    pub(super) fn start(
        client: &ClientTelemetry,
        request: &Request,
        template: Option<UrlTemplate>,
        resends: i64,
    ) -> Self {
        let url = request.url();
        let method = known_method(request.method().as_str());
        // What spans and metrics share; all of it bounded by the application's own peers.
        let mut attributes = Vec::with_capacity(8);
        attributes.push(KeyValue::new(attribute::HTTP_REQUEST_METHOD, method));
        attributes.push(KeyValue::new(attribute::URL_SCHEME, scheme(url.scheme())));
        if let Some(host) = url.host_str() {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            attributes.push(KeyValue::new(attribute::SERVER_ADDRESS, host.to_owned()));
        }
        if let Some(port) = url.port_or_known_default() {
            attributes.push(KeyValue::new(attribute::SERVER_PORT, i64::from(port)));
        }
        let mut of_span = attributes.clone();
        of_span.push(KeyValue::new(attribute::URL_FULL, redact::full(url)));
        if method == OTHER_METHOD {
            let original = request.method().as_str().to_owned();
            of_span.push(KeyValue::new(attribute::HTTP_REQUEST_METHOD_ORIGINAL, original));
        }
        if let Some(UrlTemplate(template)) = template {
            of_span.push(KeyValue::new(attribute::URL_TEMPLATE, template));
        }
        if let Some(peer) = client.peer_name {
            of_span.push(KeyValue::new(attribute::SERVICE_PEER_NAME, peer));
        }
        if resends > 0 {
            of_span.push(KeyValue::new(attribute::HTTP_REQUEST_RESEND_COUNT, resends));
        }
        let name = http_span_name(method, template.map(|UrlTemplate(template)| template));
        let builder = SpanBuilder::from_name(name).with_kind(SpanKind::Client).with_attributes(of_span);
        let context = Context::map_current(|parent| {
            let parent = propagation::begun_here(parent);
            parent.with_span(client.telemetry.tracer().build_with_context(builder, &parent))
        });
        Self { context, duration: client.duration.clone(), start: Instant::now(), attributes, is_done: false }
    }

    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    pub(super) fn responded(&mut self, response: &Response) {
        self.is_done = true;
        let status = response.status();
        self.both(KeyValue::new(attribute::HTTP_RESPONSE_STATUS_CODE, i64::from(status.as_u16())));
        if let Some(version) = protocol_version(response.version()) {
            self.both(KeyValue::new(attribute::NETWORK_PROTOCOL_VERSION, version));
        }
        let span = self.context.span();
        if let Some(peer) = response.remote_addr() {
            span.set_attribute(KeyValue::new(attribute::NETWORK_PEER_ADDRESS, peer.ip().to_string()));
            span.set_attribute(KeyValue::new(attribute::NETWORK_PEER_PORT, i64::from(peer.port())));
        }
        if status.is_client_error() || status.is_server_error() {
            let message = format!("HTTP {}", status.as_u16());
            if status.is_server_error() {
                let exception = Exception::from_text("HttpStatusError", message.clone());
                span.add_event("exception", exception.attributes());
            }
            span.set_status(Status::error(message));
            self.both(KeyValue::new(attribute::ERROR_TYPE, status.as_str().to_owned()));
        }
    }

    pub(super) fn failed(&mut self, error: &reqwest_middleware::Error) {
        self.is_done = true;
        let (error_type, message) = classify(error);
        let span = self.context.span();
        span.add_event("exception", Exception::new(error_type, error).attributes());
        span.set_status(Status::error(message));
        self.both(KeyValue::new(attribute::ERROR_TYPE, error_type));
    }

    fn both(&mut self, attribute: KeyValue) {
        self.context.span().set_attribute(attribute.clone());
        self.attributes.push(attribute);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.is_done {
            self.context.span().set_status(Status::error("Request cancelled"));
            self.both(KeyValue::new(attribute::ERROR_TYPE, "cancelled"));
        }
        if is_untraced(&self.context) {
            return;
        }
        let _current = self.context.clone().attach();
        self.duration.record(self.start.elapsed().as_secs_f64(), &self.attributes);
        self.context.span().end();
    }
}

/// `error.type` and the status description of a request that got no answer.
fn classify(error: &reqwest_middleware::Error) -> (&'static str, &'static str) {
    match error {
        reqwest_middleware::Error::Reqwest(error) => classify_reqwest(error),
        reqwest_middleware::Error::Middleware(_) => ("middleware", "Request refused by a middleware"),
    }
}

fn classify_reqwest(error: &reqwest::Error) -> (&'static str, &'static str) {
    match error {
        error if error.is_timeout() => ("timeout", "Request timeout"),
        error if error.is_connect() => ("connect", "Connection failed"),
        error if error.is_redirect() => ("redirect", "Too many redirects"),
        error if error.is_builder() => ("request", "Invalid request"),
        error if error.is_decode() => ("decode", "Unreadable response"),
        error if error.is_status() => ("status", "Refused by status"),
        _ => ("transport", "Connection lost"),
    }
}

/// What went wrong, without the URL that reqwest's own text holds.
pub(crate) fn failure_text(error: &reqwest::Error) -> &'static str {
    classify_reqwest(error).1
}

fn scheme(scheme: &str) -> &'static str {
    if scheme == "https" { "https" } else { "http" }
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
