//! The names from before the HTTP conventions were stable, which `http/dup` adds and nothing else shows.

/// An older metric as the opt-in shows it.
pub(super) struct OlderMetric {
    pub(super) name: &'static str,
    pub(super) instrument: &'static str,
    pub(super) unit: &'static str,
}

/// Older attributes, and their types. `http.route` has kept its name.
const ATTRIBUTES: [(&str, &str); 11] = [
    ("http.method", "string"),
    ("http.scheme", "string"),
    ("http.target", "string"),
    ("http.url", "string"),
    ("http.host", "string"),
    ("http.flavor", "string"),
    ("http.user_agent", "string"),
    ("http.status_code", "int"),
    ("net.host.name", "string"),
    ("net.host.port", "int"),
    ("net.peer.ip", "string"),
];

/// The conventions' model does not have them any more.
const METRICS: [OlderMetric; 4] = [
    OlderMetric { name: "http.server.requests", instrument: "counter", unit: "1" },
    OlderMetric { name: "http.server.duration", instrument: "histogram", unit: "ms" },
    OlderMetric { name: "http.server.response.size", instrument: "histogram", unit: "By" },
    OlderMetric { name: "http.client.duration", instrument: "histogram", unit: "ms" },
];

/// What stands on each of these metrics.
pub(super) const ON_METRICS: [&str; 3] = ["http.method", "http.route", "http.status_code"];

pub(super) fn attributes() -> impl Iterator<Item = &'static str> {
    ATTRIBUTES.into_iter().map(|(name, _)| name)
}

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    attributes().chain(METRICS.iter().map(|metric| metric.name))
}

/// The type of this older attribute.
pub(super) fn attribute(name: &str) -> Option<&'static str> {
    ATTRIBUTES.into_iter().find(|(older, _)| *older == name).map(|(_, kind)| kind)
}

pub(super) fn metric(name: &str) -> Option<&'static OlderMetric> {
    METRICS.iter().find(|metric| metric.name == name)
}
