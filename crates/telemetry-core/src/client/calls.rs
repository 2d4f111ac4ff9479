//! What is known of the calls that are made again and again: their peer's attributes and the series of their metrics.
//!
//! Each thread knows its own, so that no two wait for each other. It is bounded: by the peers that have series of their
//! own, and by what the application's code writes (methods, URL templates); metrics tell few status codes apart.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use opentelemetry::metrics::{BoundHistogram, BoundUpDownCounter};
use opentelemetry::{KeyValue, Value};
use opentelemetry_semantic_conventions::attribute;
use thread_local::ThreadLocal;

use super::hosts::Hosts;
use super::metrics::Metrics;
use crate::exemplars::BoundTracedHistogram;
use crate::names::{are_same, is_same};

/// `server.address` of metrics of the peers that are too many to have a series each.
const OTHER_HOST: &str = "_OTHER";

#[derive(Default)]
pub(super) struct Calls(ThreadLocal<RefCell<ByHost>>);

type ByHost = HashMap<Box<str>, Vec<Arc<Call>>>;

/// Requests of one method to one peer, by one template if they have one.
pub(super) struct Call {
    method: &'static str,
    port: Option<u16>,
    template: Option<&'static str>,
    /// What metrics tell at the start of such a request.
    pub(super) attributes: Vec<KeyValue>,
    /// The peer's name; `None` of those that have no series of their own.
    pub(super) host: Option<Value>,
    pub(super) active: BoundUpDownCounter<i64>,
    known: Mutex<Known>,
}

/// It is a thread's own; another waits for it only where a request has moved there meanwhile.
#[derive(Default)]
struct Known {
    outcomes: Vec<Arc<Outcome>>,
    address: Option<(IpAddr, Arc<str>)>,
}

/// How such a request went well, as metrics tell it.
pub(super) struct Outcome {
    status: i64,
    version: Option<&'static str>,
    pub(super) duration: BoundTracedHistogram,
    request_size: OnceLock<BoundHistogram<u64>>,
    response_size: OnceLock<BoundHistogram<u64>>,
}

impl Calls {
    pub(super) fn of(
        &self,
        method: &'static str,
        host: &str,
        port: Option<u16>,
        template: Option<&'static str>,
        (metrics, hosts): (&Metrics, &Hosts),
    ) -> Arc<Call> {
        let mut calls = self.0.get_or_default().borrow_mut();
        let find = |calls: &ByHost, host: &str, port| {
            let is_its = |call: &&Arc<Call>| {
                is_same(call.method, method) && call.port == port && are_same(call.template, template)
            };
            calls.get(host)?.iter().find(is_its).cloned()
        };
        if let Some(call) = find(&calls, host, port) {
            return call;
        }
        let known = hosts.known(host, port.unwrap_or_default());
        // The others are one peer, whatever their ports.
        let (host, port) = match &known {
            Some(_) => (host, port),
            None => (OTHER_HOST, None),
        };
        find(&calls, host, port).unwrap_or_else(|| {
            let call = Arc::new(Call::new(method, known, port, template, metrics));
            calls.entry(host.into()).or_default().push(call.clone());
            call
        })
    }
}

impl Call {
    fn new(
        method: &'static str,
        host: Option<Arc<str>>,
        port: Option<u16>,
        template: Option<&'static str>,
        metrics: &Metrics,
    ) -> Self {
        let host = host.map(Value::from);
        let address = host.clone().unwrap_or_else(|| OTHER_HOST.into());
        let mut attributes = vec![
            KeyValue::new(attribute::HTTP_REQUEST_METHOD, method),
            KeyValue::new(attribute::SERVER_ADDRESS, address),
        ];
        attributes.extend(port.map(|port| KeyValue::new(attribute::SERVER_PORT, i64::from(port))));
        attributes.extend(template.map(|template| KeyValue::new(attribute::URL_TEMPLATE, template)));
        Self {
            method,
            port,
            template,
            active: metrics.active.bind(&attributes),
            attributes,
            host,
            known: Mutex::default(),
        }
    }

    pub(super) fn outcome(
        &self,
        status: i64,
        version: Option<&'static str>,
        metrics: &Metrics,
    ) -> Arc<Outcome> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |outcome: &&Arc<Outcome>| outcome.status == status && are_same(outcome.version, version);
        if let Some(outcome) = known.outcomes.iter().find(is_it) {
            return outcome.clone();
        }
        let attributes = self.attributes_of(Some(status), version);
        let outcome = Arc::new(Outcome {
            status,
            version,
            duration: metrics.duration.bind(attributes),
            request_size: OnceLock::new(),
            response_size: OnceLock::new(),
        });
        known.outcomes.push(outcome.clone());
        outcome
    }

    /// What metrics tell of an outcome, but for `error.type`.
    pub(super) fn attributes_of(&self, status: Option<i64>, version: Option<&'static str>) -> Vec<KeyValue> {
        let mut attributes = self.attributes.clone();
        attributes.extend(status.map(|status| KeyValue::new(attribute::HTTP_RESPONSE_STATUS_CODE, status)));
        attributes.extend(version.map(|version| KeyValue::new(attribute::NETWORK_PROTOCOL_VERSION, version)));
        attributes
    }

    /// The address as text; it is the same one most times.
    pub(super) fn address(&self, address: IpAddr) -> Value {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match &known.address {
            Some((last, text)) if *last == address => text.clone().into(),
            _ => known.address.insert((address, address.to_string().into())).1.clone().into(),
        }
    }
}

impl Outcome {
    pub(super) fn request_size(&self, metrics: &Metrics) -> &BoundHistogram<u64> {
        self.request_size.get_or_init(|| metrics.request_size.bind(self.duration.attributes()))
    }

    pub(super) fn response_size(&self, metrics: &Metrics) -> &BoundHistogram<u64> {
        self.response_size.get_or_init(|| metrics.response_size.bind(self.duration.attributes()))
    }
}
