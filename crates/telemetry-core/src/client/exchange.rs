//! One try of a request: its span, its outcome, its numbers.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::Version;
use http::header::CONTENT_LENGTH;
use opentelemetry::trace::{Span as _, SpanBuilder, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_semantic_conventions::attribute;
use reqwest::{Request, Response, Url};

use super::calls::Call;
use super::{ClientTelemetry, UrlTemplate};
use crate::names::{OTHER_METHOD, http_span_name};
use crate::propagation;
use crate::redact::{self, cut};
use crate::reqwest_error;
use crate::span::Exception;
use crate::status;
use crate::untraced::is_untraced;

/// As many attributes as a span has room for without growing; most have fewer.
const ATTRIBUTES: usize = 12;

/// A body that claims to be larger than 64 GiB is not measured: the size may be the peer's word, and the sum of
/// a histogram must not overflow by it.
const MAX_BODY_SIZE: u64 = 1 << 36;

/// Ends its span and records its metrics when dropped, also when the caller gave up waiting.
pub(super) struct Exchange<'a> {
    client: &'a ClientTelemetry,
    context: Context,
    start: Instant,
    /// The same moment on the clock of the span.
    started: SystemTime,
    method: &'static str,
    /// `None` where no metrics are made.
    call: Option<Arc<Call>>,
    is_recorded: bool,
    /// As metrics have it.
    status: Option<i64>,
    version: Option<&'static str>,
    /// As metrics have it.
    error: Option<Cow<'static, str>>,
    request_size: Option<u64>,
    response_size: Option<u64>,
    is_done: bool,
}

impl<'a> Exchange<'a> {
    pub(super) fn start(
        client: &'a ClientTelemetry,
        request: &Request,
        template: Option<UrlTemplate>,
        resends: i64,
    ) -> Self {
        let (telemetry, url) = (&client.telemetry, request.url());
        let (start, started) = (Instant::now(), SystemTime::now());
        let method = client.methods.known(request.method().as_str());
        let template = template.map(|UrlTemplate(template)| template);
        let call = (!Context::map_current(is_untraced)).then(|| {
            let host = cut(bare_host(url));
            let port = url.port_or_known_default();
            client.calls.of(method, host, port, template, (&client.metrics, telemetry.hosts()))
        });
        let build = |attributes| {
            let builder = SpanBuilder::from_name(http_span_name(method, template))
                .with_kind(SpanKind::Client)
                .with_start_time(started)
                .with_attributes(attributes);
            Context::map_current(|parent| {
                let parent = propagation::begun_here(parent);
                (telemetry.tracer().build_with_context(builder, &parent), parent.into_owned())
            })
        };
        let describe = |add: &mut dyn FnMut(KeyValue)| {
            describe(client, request, method, template, resends, call.as_deref(), add);
        };
        let is_described =
            telemetry.shows_starts() || Context::map_current(|parent| telemetry.will_keep(parent));
        let mut attributes = Vec::new();
        if is_described {
            attributes.reserve(ATTRIBUTES);
            describe(&mut |attribute| attributes.push(attribute));
        }
        let (mut span, parent) = build(attributes);
        if !is_described && span.is_recording() && telemetry.keeps_spans() {
            describe(&mut |attribute| span.set_attribute(attribute));
        }
        let is_recorded = span.is_recording() && telemetry.keeps_spans();
        let context = if is_recorded {
            parent.with_span(span)
        } else {
            // Nobody gets the span: only its ids are of use.
            parent.with_remote_span_context(span.span_context().clone())
        };
        if is_recorded {
            let span = context.span();
            client.on_request.run(|hook| hook(request, &span));
        }
        // From here on it is taken back, whatever happens.
        if let Some(call) = &call {
            call.active.add(1);
        }
        Self {
            client,
            context,
            start,
            started,
            method,
            call,
            is_recorded,
            status: None,
            version: None,
            error: None,
            request_size: request_size(request),
            response_size: None,
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
        self.version = protocol_version(response.version());
        self.response_size = response.content_length();
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
            let error_type = status.as_str().to_owned().into();
            self.error = Some(status::error_of_metrics(error_type, Some(status.as_u16())));
        }
    }

    fn describe(&self, response: &Response) {
        if !self.is_recorded {
            return;
        }
        let span = self.context.span();
        let code = i64::from(response.status().as_u16());
        span.set_attribute(KeyValue::new(attribute::HTTP_RESPONSE_STATUS_CODE, code));
        if let Some(version) = self.version {
            span.set_attribute(KeyValue::new(attribute::NETWORK_PROTOCOL_VERSION, version));
        }
        if let Some(peer) = response.remote_addr() {
            let address = match &self.call {
                Some(call) => call.address(peer.ip()),
                None => peer.ip().to_string().into(),
            };
            span.set_attribute(KeyValue::new(attribute::NETWORK_PEER_ADDRESS, address));
            span.set_attribute(KeyValue::new(attribute::NETWORK_PEER_PORT, i64::from(peer.port())));
        }
        if self.client.metrics.old_duration.is_some() {
            span.set_attribute(KeyValue::new("http.status_code", code));
        }
        if !self.client.response_headers.is_empty() {
            let headers = response.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
            span.set_attributes(self.client.response_headers.attributes(headers));
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
        self.context.span().add_event("exception", Exception::new(kind, error).attributes());
        self.fail(error_type, message);
    }

    fn fail(&mut self, error_type: &'static str, message: &'static str) {
        let span = self.context.span();
        span.set_attribute(KeyValue::new(attribute::ERROR_TYPE, error_type));
        span.set_status(Status::error(message));
        self.error = Some(error_type.into());
    }

    /// Records what it took, with the measurement pointing to the span.
    fn record(&self, call: &Call, duration: Duration) {
        let metrics = &self.client.metrics;
        let span = self.context.span();
        let span = span.span_context();
        let seconds = duration.as_secs_f64();
        let request_size = self.request_size.filter(|size| *size <= MAX_BODY_SIZE);
        let response_size = self.response_size.filter(|size| *size <= MAX_BODY_SIZE);
        call.active.add(-1);
        match (self.status, &self.error) {
            (Some(status), None) => {
                let outcome = call.outcome(status, self.version, metrics);
                outcome.duration.record_of(span, seconds);
                if let Some(size) = request_size {
                    outcome.request_size(metrics).record(size);
                }
                if let Some(size) = response_size {
                    outcome.response_size(metrics).record(size);
                }
            }
            (status, error) => {
                let mut attributes = call.attributes_of(status, self.version);
                attributes.extend(error.clone().map(|error| KeyValue::new(attribute::ERROR_TYPE, error)));
                metrics.duration.record_of(span, seconds, &attributes);
                if let Some(size) = request_size {
                    metrics.request_size.record(size, &attributes);
                }
                if let Some(size) = response_size {
                    metrics.response_size.record(size, &attributes);
                }
            }
        }
        if let Some(old_duration) = &metrics.old_duration {
            let mut attributes = vec![KeyValue::new("http.method", self.method)];
            attributes.extend(self.status.map(|status| KeyValue::new("http.status_code", status)));
            old_duration.record(seconds * 1000.0, &attributes);
        }
    }
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            self.fail("cancelled", "Request cancelled");
        }
        let duration = self.start.elapsed();
        if let Some(call) = &self.call {
            self.record(call, duration);
        }
        self.context.span().end_with_timestamp(self.started + duration);
    }
}

/// What is known of a try before it is sent.
fn describe(
    client: &ClientTelemetry,
    request: &Request,
    method: &'static str,
    template: Option<&'static str>,
    resends: i64,
    call: Option<&Call>,
    add: &mut dyn FnMut(KeyValue),
) {
    let url = request.url();
    add(KeyValue::new(attribute::HTTP_REQUEST_METHOD, method));
    if method == OTHER_METHOD {
        let original = cut(request.method().as_str()).to_owned();
        add(KeyValue::new(attribute::HTTP_REQUEST_METHOD_ORIGINAL, original));
    }
    let host = call.and_then(|call| call.host.clone());
    let host = host.unwrap_or_else(|| cut(bare_host(url)).to_owned().into());
    add(KeyValue::new(attribute::SERVER_ADDRESS, host));
    if let Some(port) = url.port_or_known_default() {
        add(KeyValue::new(attribute::SERVER_PORT, i64::from(port)));
    }
    let full = redact::full(url);
    if client.metrics.old_duration.is_some() {
        add(KeyValue::new("http.method", method));
        add(KeyValue::new("http.url", full.clone()));
    }
    if let Some(peer) = client.peer_name {
        add(KeyValue::new(attribute::SERVICE_PEER_NAME, peer));
    }
    add(KeyValue::new(attribute::URL_FULL, full));
    if let Some(template) = template {
        add(KeyValue::new(attribute::URL_TEMPLATE, template));
    }
    if resends > 0 {
        add(KeyValue::new(attribute::HTTP_REQUEST_RESEND_COUNT, resends));
    }
    if !client.request_headers.is_empty() {
        let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        client.request_headers.attributes(headers).into_iter().for_each(add);
    }
}

fn bare_host(url: &Url) -> &str {
    url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
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
