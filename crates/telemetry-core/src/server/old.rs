//! The names from before the HTTP conventions were stable, beside the stable ones
//! (`OTEL_SEMCONV_STABILITY_OPT_IN=http/dup`).

use std::time::Duration;

use actix_web::dev::ServiceRequest;
use actix_web::http::StatusCode;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};

use super::span::{self, Facts};
use super::worker::Authority;
use crate::names::{BODY_SIZE_BUCKETS, OLD_DURATION_BUCKETS};
use crate::redact::{self, cut};
use crate::status;

/// What the older names say of a request.
pub(super) fn describe(
    request: &ServiceRequest,
    facts: &Facts,
    server: Option<&Authority>,
    mut add: impl FnMut(KeyValue),
) {
    let uri = request.uri();
    let mut target = redact::path(uri.path()).into_owned();
    if let Some(query) = uri.query() {
        target.extend(["?", &redact::query(query)]);
    }
    add(KeyValue::new("http.method", facts.method));
    add(KeyValue::new("http.scheme", facts.scheme));
    add(KeyValue::new("http.target", cut(&target).to_owned()));
    if let Some(Authority { host, port }) = server {
        add(KeyValue::new("net.host.name", host.clone()));
        if let Some(port) = *port {
            add(KeyValue::new("http.host", format!("{host}:{port}")));
            add(KeyValue::new("net.host.port", i64::from(port)));
        } else {
            add(KeyValue::new("http.host", host.clone()));
        }
    }
    if let Some(peer) = request.peer_addr() {
        add(KeyValue::new("net.peer.ip", peer.ip().to_string()));
    }
    if let Some(version) = facts.version {
        add(KeyValue::new("http.flavor", version));
    }
    if let Some(agent) = span::user_agent(request) {
        add(KeyValue::new("http.user_agent", cut(agent).to_owned()));
    }
}

/// The older name of the status code.
pub(super) const STATUS_CODE: &str = "http.status_code";

#[derive(Clone)]
pub(super) struct OldMetrics {
    requests: Counter<u64>,
    duration: Histogram<f64>,
    response_size: Histogram<u64>,
}

impl OldMetrics {
    pub(super) fn new(meter: &Meter) -> Self {
        Self {
            requests: meter
                .u64_counter("http.server.requests")
                .with_unit("1")
                .with_description("Number of HTTP requests that were answered or broke off.")
                .build(),
            duration: meter
                .f64_histogram("http.server.duration")
                .with_unit("ms")
                .with_description("Duration of HTTP requests.")
                .with_boundaries(OLD_DURATION_BUCKETS.to_vec())
                .build(),
            response_size: meter
                .u64_histogram("http.server.response.size")
                .with_unit("By")
                .with_description("Size of HTTP response bodies.")
                .with_boundaries(BODY_SIZE_BUCKETS.to_vec())
                .build(),
        }
    }

    pub(super) fn record(
        &self,
        facts: &Facts,
        route: Option<&'static str>,
        status: Option<StatusCode>,
        duration: Duration,
        response_size: u64,
    ) {
        let mut attributes = Vec::with_capacity(3);
        attributes.push(KeyValue::new("http.method", facts.method));
        attributes.extend(route.map(|route| KeyValue::new("http.route", route)));
        let code = status.map(|status| status::of_metrics(status.as_u16()));
        attributes.extend(code.map(|code| KeyValue::new(STATUS_CODE, code)));
        self.requests.add(1, &attributes);
        self.duration.record(duration.as_secs_f64() * 1000.0, &attributes);
        self.response_size.record(response_size, &attributes);
    }
}
