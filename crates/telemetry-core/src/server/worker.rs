//! What a worker has by heart, so that a request does not pay for it again: the names of its routes, the series of
//! their metrics, texts that come again and again.
//!
//! Nothing in it is shared with another worker, so nothing is locked. Nothing in it grows by what callers send: the
//! routes are the application's, methods and status codes are those that metrics tell apart, and texts have a fixed
//! number of places.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::dev::{ResourceMap, ServiceRequest};
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderValue;
use actix_web::web::BytesMut;
use foldhash::fast::FixedState;
use opentelemetry::metrics::{BoundHistogram, BoundUpDownCounter};
use opentelemetry::{KeyValue, Value};
use opentelemetry_semantic_conventions::attribute;

use super::Shared;
use super::metrics::Metrics;
use super::span::{Facts, split_authority};
use super::texts::Texts;
use crate::exemplars::BoundTracedHistogram;
use crate::names::{are_same, http_span_name, interned, is_same};
use crate::redact::cut;
use crate::status;

/// A name has 253 characters at most (RFC 1035).
const MAX_AUTHORITY_LENGTH: usize = 260;

/// As many bytes of headers' values are allocated at once.
const VALUES: usize = 4096;

pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) texts: Texts,
    /// The application's, for the route of a request that is never answered.
    resources: OnceCell<ResourceMap>,
    routes: RefCell<Routes>,
    active: RefCell<Vec<Active>>,
    /// Where values of headers are written, many in one allocation.
    values: RefCell<BytesMut>,
    /// The one that was asked for last.
    authority: RefCell<Option<(Box<str>, Authority)>>,
}

/// Host and port that a request was sent to.
#[derive(Clone)]
pub(super) struct Authority {
    pub(super) host: Value,
    pub(super) port: Option<u16>,
}

/// Of one method and scheme.
struct Active {
    method: &'static str,
    scheme: &'static str,
    requests: BoundUpDownCounter<i64>,
}

#[derive(Default)]
struct Routes {
    /// By their patterns, which no caller chooses.
    matched: HashMap<&'static str, Vec<Rc<Route>>, FixedState>,
    unmatched: Vec<Rc<Route>>,
}

/// A method and the pattern of the path, if one matched.
pub(super) struct Route {
    method: &'static str,
    pub(super) pattern: Option<&'static str>,
    /// Of its spans.
    pub(super) name: &'static str,
    series: RefCell<Vec<Rc<Series>>>,
}

/// The instruments of requests that no attribute tells apart.
pub(super) struct Series {
    scheme: &'static str,
    version: Option<&'static str>,
    status: Option<i64>,
    pub(super) duration: BoundTracedHistogram,
    pub(super) response_size: BoundHistogram<u64>,
    /// Most requests have no body.
    request_size: OnceCell<BoundHistogram<u64>>,
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            texts: Texts::default(),
            resources: OnceCell::new(),
            routes: RefCell::default(),
            active: RefCell::default(),
            values: RefCell::default(),
            authority: RefCell::default(),
        }
    }

    /// The value of a header.
    pub(super) fn header_value(&self, value: &[u8]) -> Option<HeaderValue> {
        let mut values = self.values.borrow_mut();
        if values.capacity() < value.len() {
            values.reserve(VALUES);
        }
        values.extend_from_slice(value);
        HeaderValue::from_maybe_shared(values.split().freeze()).ok()
    }

    /// Host and port of an authority; it is the same one most times.
    pub(super) fn authority(&self, authority: &str) -> Option<Authority> {
        let mut last = self.authority.borrow_mut();
        if let Some((_, known)) = last.as_ref().filter(|(text, _)| **text == *authority) {
            return Some(known.clone());
        }
        let (host, port) = split_authority(authority)?;
        let found = Authority { host: self.texts.of(cut(host)), port };
        // What is longer comes once.
        if authority.len() <= MAX_AUTHORITY_LENGTH {
            *last = Some((authority.into(), found.clone()));
        }
        Some(found)
    }

    /// Keeps what tells the routes of requests, once.
    pub(super) fn learn(&self, request: &ServiceRequest) {
        self.resources.get_or_init(|| request.resource_map().clone());
    }

    /// The route of a path, whoever answers it.
    pub(super) fn route_to(&self, method: &'static str, path: &str) -> Rc<Route> {
        let pattern = self.resources.get().and_then(|resources| resources.match_pattern(path));
        self.route(method, pattern.as_deref())
    }

    pub(super) fn route(&self, method: &'static str, pattern: Option<&str>) -> Rc<Route> {
        let mut routes = self.routes.borrow_mut();
        let known = match pattern {
            Some(pattern) => routes.matched.get(pattern),
            None => Some(&routes.unmatched),
        };
        if let Some(route) = known.and_then(|known| known.iter().find(|route| is_same(route.method, method)))
        {
            return route.clone();
        }
        let pattern = pattern.map(interned);
        let route = Rc::new(Route {
            method,
            pattern,
            name: interned(&http_span_name(method, pattern)),
            series: RefCell::default(),
        });
        let others = match pattern {
            Some(pattern) => routes.matched.entry(pattern).or_default(),
            None => &mut routes.unmatched,
        };
        others.push(route.clone());
        route
    }

    /// One more request, or one less.
    pub(super) fn count_active(&self, facts: &Facts, change: i64) {
        let mut active = self.active.borrow_mut();
        let is_its = |one: &&Active| is_same(one.method, facts.method) && is_same(one.scheme, facts.scheme);
        if let Some(one) = active.iter().find(is_its) {
            one.requests.add(change);
            return;
        }
        let requests = self.shared.metrics.active.bind(&facts.attributes());
        requests.add(change);
        active.push(Active { method: facts.method, scheme: facts.scheme, requests });
    }
}

impl Route {
    /// The instruments of those requests to it that went well.
    pub(super) fn series(&self, metrics: &Metrics, facts: &Facts, status: Option<StatusCode>) -> Rc<Series> {
        let code = status.map(|status| status::of_metrics(status.as_u16()));
        let mut series = self.series.borrow_mut();
        let is_its = |one: &&Rc<Series>| {
            one.status == code && is_same(one.scheme, facts.scheme) && are_same(one.version, facts.version)
        };
        if let Some(one) = series.iter().find(is_its) {
            return one.clone();
        }
        let attributes = self.attributes(facts, status);
        let new = Rc::new(Series {
            scheme: facts.scheme,
            version: facts.version,
            status: code,
            response_size: metrics.response_size.bind(&attributes),
            request_size: OnceCell::new(),
            duration: metrics.duration.bind(attributes),
        });
        series.push(new.clone());
        new
    }

    /// Those of its metrics but `error.type`.
    pub(super) fn attributes(&self, facts: &Facts, status: Option<StatusCode>) -> Vec<KeyValue> {
        let mut attributes = Vec::with_capacity(6);
        attributes.extend(facts.attributes());
        attributes.extend(self.pattern.map(|pattern| KeyValue::new(attribute::HTTP_ROUTE, pattern)));
        attributes.extend(status.map(|status| {
            KeyValue::new(attribute::HTTP_RESPONSE_STATUS_CODE, status::of_metrics(status.as_u16()))
        }));
        attributes
            .extend(facts.version.map(|version| KeyValue::new(attribute::NETWORK_PROTOCOL_VERSION, version)));
        attributes
    }
}

impl Series {
    pub(super) fn request_size(&self, metrics: &Metrics) -> &BoundHistogram<u64> {
        self.request_size.get_or_init(|| metrics.request_size.bind(self.duration.attributes()))
    }
}
