//! One try of a request: its span, its outcome, its numbers.

use std::time::Instant;

use http::Version;
use http::header::CONTENT_LENGTH;
use opentelemetry::trace::{SpanBuilder, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_semantic_conventions::attribute;
use reqwest::{Request, Response};

use super::{ClientTelemetry, UrlTemplate};
use crate::names::{OTHER_METHOD, http_span_name};
use crate::propagation;
use crate::redact::{self, cut};
use crate::reqwest_error;
use crate::span::Exception;
use crate::status;
use crate::untraced::is_untraced;

/// `server.address` of metrics of the peers that are too many to have a series each.
const OTHER_HOST: &str = "_OTHER";

/// A body that claims to be larger than 64 GiB is not measured: the size may be the peer's word, and the sum of
/// a histogram must not overflow by it.
const MAX_BODY_SIZE: u64 = 1 << 36;

/// Ends its span and records its metrics when dropped, also when the caller gave up waiting.
pub(super) struct Exchange<'a> {
    client: &'a ClientTelemetry,
    context: Context,
    start: Instant,
    method: &'static str,
    /// What the metrics tell: method and peer, then the outcome. All of it is bounded.
    of_metrics: Vec<KeyValue>,
    /// How many of these are known at the start.
    of_request: usize,
    /// As metrics have it.
    status: Option<i64>,
    request_size: Option<u64>,
    response_size: Option<u64>,
    is_untraced: bool,
    is_done: bool,
}

impl<'a> Exchange<'a> {
    pub(super) fn start(
        client: &'a ClientTelemetry,
        request: &Request,
        template: Option<UrlTemplate>,
        resends: i64,
    ) -> Self {
        let url = request.url();
        let method = client.methods.known(request.method().as_str());
        let host = url.host_str().unwrap_or_default();
        let host = cut(host.trim_start_matches('[').trim_end_matches(']'));
        let port = url.port_or_known_default();
        let method_attribute = KeyValue::new(attribute::HTTP_REQUEST_METHOD, method);
        let port_attribute = port.map(|port| KeyValue::new(attribute::SERVER_PORT, i64::from(port)));
        let template_attribute =
            template.map(|UrlTemplate(template)| KeyValue::new(attribute::URL_TEMPLATE, template));

        let mut of_metrics = Vec::with_capacity(8);
        of_metrics.push(method_attribute.clone());
        match client.telemetry.hosts().known(host, port.unwrap_or_default()) {
            Some(host) => {
                of_metrics.push(KeyValue::new(attribute::SERVER_ADDRESS, host));
                of_metrics.extend(port_attribute.clone());
            }
            None => of_metrics.push(KeyValue::new(attribute::SERVER_ADDRESS, OTHER_HOST)),
        }
        of_metrics.extend(template_attribute.clone());

        let mut of_span = Vec::with_capacity(12);
        of_span.push(method_attribute);
        if method == OTHER_METHOD {
            let original = cut(request.method().as_str()).to_owned();
            of_span.push(KeyValue::new(attribute::HTTP_REQUEST_METHOD_ORIGINAL, original));
        }
        of_span.push(KeyValue::new(attribute::SERVER_ADDRESS, host.to_owned()));
        of_span.extend(port_attribute);
        let full = redact::full(url);
        if client.metrics.old_duration.is_some() {
            of_span.push(KeyValue::new("http.method", method));
            of_span.push(KeyValue::new("http.url", full.clone()));
        }
        if let Some(peer) = client.peer_name {
            of_span.push(KeyValue::new(attribute::SERVICE_PEER_NAME, peer));
        }
        of_span.push(KeyValue::new(attribute::URL_FULL, full));
        of_span.extend(template_attribute);
        if resends > 0 {
            of_span.push(KeyValue::new(attribute::HTTP_REQUEST_RESEND_COUNT, resends));
        }
        if !client.request_headers.is_empty() {
            let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
            of_span.extend(client.request_headers.attributes(headers));
        }
        let name = http_span_name(method, template.map(|UrlTemplate(template)| template));
        let builder = SpanBuilder::from_name(name).with_kind(SpanKind::Client).with_attributes(of_span);
        let context = Context::map_current(|parent| {
            let parent = propagation::begun_here(parent);
            parent.with_span(client.telemetry.tracer().build_with_context(builder, &parent))
        });
        {
            let span = context.span();
            if span.is_recording() {
                client.on_request.run(|hook| hook(request, &span));
            }
        }
        let is_untraced = is_untraced(&context);
        if !is_untraced {
            client.metrics.active.add(1, &of_metrics);
        }
        Self {
            client,
            context,
            start: Instant::now(),
            method,
            of_request: of_metrics.len(),
            of_metrics,
            status: None,
            request_size: request_size(request),
            response_size: None,
            is_untraced,
            is_done: false,
        }
    }

    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    pub(super) fn responded(&mut self, response: &Response) {
        self.is_done = true;
        let status = response.status();
        self.status = Some(status::of_metrics(status.as_u16()));
        self.response_size = response.content_length();
        let (of_span, of_metrics) = (i64::from(status.as_u16()), status::of_metrics(status.as_u16()));
        self.context.span().set_attribute(KeyValue::new(attribute::HTTP_RESPONSE_STATUS_CODE, of_span));
        self.of_metrics.push(KeyValue::new(attribute::HTTP_RESPONSE_STATUS_CODE, of_metrics));
        if let Some(version) = protocol_version(response.version()) {
            self.both(KeyValue::new(attribute::NETWORK_PROTOCOL_VERSION, version));
        }
        self.describe(response);
        // Codes above 599 are of no class, and such an answer is taken for a 5xx (RFC 9110, 15).
        if status.as_u16() >= 400 {
            let span = self.context.span();
            let message = format!("HTTP {}", status.as_u16());
            if status.as_u16() >= 500 {
                let exception = Exception::from_text("HttpStatusError", message.clone());
                span.add_event("exception", exception.attributes());
            }
            span.set_status(Status::error(message));
            span.set_attribute(KeyValue::new(attribute::ERROR_TYPE, status.as_str().to_owned()));
            let error_type =
                status::error_of_metrics(status.as_str().to_owned().into(), Some(status.as_u16()));
            self.of_metrics.push(KeyValue::new(attribute::ERROR_TYPE, error_type));
        }
    }

    fn describe(&self, response: &Response) {
        let span = self.context.span();
        if !span.is_recording() {
            return;
        }
        if let Some(peer) = response.remote_addr() {
            span.set_attribute(KeyValue::new(attribute::NETWORK_PEER_ADDRESS, peer.ip().to_string()));
            span.set_attribute(KeyValue::new(attribute::NETWORK_PEER_PORT, i64::from(peer.port())));
        }
        if self.client.metrics.old_duration.is_some() {
            span.set_attribute(KeyValue::new("http.status_code", i64::from(response.status().as_u16())));
        }
        if !self.client.response_headers.is_empty() {
            let headers = response.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
            for attribute in self.client.response_headers.attributes(headers) {
                span.set_attribute(attribute);
            }
        }
        self.client.on_response.run(|hook| hook(response, &span));
    }

    pub(super) fn failed(&mut self, error: &reqwest_middleware::Error) {
        self.is_done = true;
        let (error_type, message) = classify(error);
        let kind = match error {
            reqwest_middleware::Error::Reqwest(_) => std::any::type_name::<reqwest::Error>(),
            reqwest_middleware::Error::Middleware(_) => error_type,
        };
        let span = self.context.span();
        span.add_event("exception", Exception::new(kind, error).attributes());
        span.set_status(Status::error(message));
        self.both(KeyValue::new(attribute::ERROR_TYPE, error_type));
    }

    fn both(&mut self, attribute: KeyValue) {
        self.context.span().set_attribute(attribute.clone());
        self.of_metrics.push(attribute);
    }

    fn record(&self) {
        let metrics = &self.client.metrics;
        let duration = self.start.elapsed().as_secs_f64();
        metrics.active.add(-1, &self.of_metrics[..self.of_request]);
        metrics.duration.record(duration, &self.of_metrics);
        if let Some(size) = self.request_size.filter(|size| *size <= MAX_BODY_SIZE) {
            metrics.request_size.record(size, &self.of_metrics);
        }
        if let Some(size) = self.response_size.filter(|size| *size <= MAX_BODY_SIZE) {
            metrics.response_size.record(size, &self.of_metrics);
        }
        if let Some(old_duration) = &metrics.old_duration {
            let mut attributes = vec![KeyValue::new("http.method", self.method)];
            attributes.extend(self.status.map(|status| KeyValue::new("http.status_code", status)));
            old_duration.record(duration * 1000.0, &attributes);
        }
    }
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            self.context.span().set_status(Status::error("Request cancelled"));
            self.both(KeyValue::new(attribute::ERROR_TYPE, "cancelled"));
        }
        if self.is_untraced {
            return;
        }
        // Recorded inside the request's context, so that the measurements can point to its trace.
        let _current = self.context.clone().attach();
        self.record();
        self.context.span().end();
    }
}

/// The body's size, where there is a body and its size is known before it is sent.
fn request_size(request: &Request) -> Option<u64> {
    let body = request.body()?;
    match body.as_bytes() {
        Some(bytes) => Some(bytes.len() as u64),
        None => request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok(),
    }
}

/// `error.type` and the status description of a request that got no answer.
fn classify(error: &reqwest_middleware::Error) -> (&'static str, &'static str) {
    match error {
        reqwest_middleware::Error::Reqwest(error) => reqwest_error::classify(error),
        reqwest_middleware::Error::Middleware(_) => ("middleware", "Request refused by a middleware"),
    }
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
