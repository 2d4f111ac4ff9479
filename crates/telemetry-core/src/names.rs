//! Names and bucket lists that are ours or that the conventions state in prose only.
//!
//! Standard attribute and metric names come from `opentelemetry-semantic-conventions`.

use std::borrow::Cow;
use std::sync::Arc;

/// The instrumentation scope of every span and metric of this library.
pub const SCOPE: &str = env!("CARGO_PKG_NAME");

/// Baggage entries that become attributes of every span below them, where the configuration names no others.
pub const BAGGAGE_ATTRIBUTES: [&str; 2] = ["tenant.id", "tenant.name"];

/// Counter, `{message}`: messages of WebSocket connections. The conventions have none.
pub const WEBSOCKET_MESSAGES: &str = "websocket.messages";

/// Histogram, `By`: the size of a message; on spans and events the size of one.
pub const WEBSOCKET_MESSAGE_SIZE: &str = "websocket.message.size";

/// `text` or `binary`.
pub const WEBSOCKET_MESSAGE_TYPE: &str = "websocket.message.type";

/// The event of a message on its connection's span.
pub const WEBSOCKET_MESSAGE: &str = "websocket.message";

/// How many messages came in over a connection.
pub const WEBSOCKET_MESSAGES_RECEIVED: &str = "websocket.messages.received";

/// How many went out.
pub const WEBSOCKET_MESSAGES_SENT: &str = "websocket.messages.sent";

/// The code that a connection was closed with (RFC 6455, 7.4).
pub const WEBSOCKET_CLOSE_CODE: &str = "websocket.close_code";

/// What `doctor` sends to see whether it arrives: a span and a log record of this name, and a counter, `{probe}`.
pub const DOCTOR_PROBE: &str = "telemetry_core.doctor.probe";

/// `http.server.request.duration`, `http.client.request.duration`: seconds, from the conventions.
pub(crate) const DURATION_BUCKETS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// The same in milliseconds, for the durations from before the conventions were stable.
pub(crate) const OLD_DURATION_BUCKETS: [f64; 14] =
    [5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0, 2500.0, 5000.0, 7500.0, 10000.0];

/// Body sizes in bytes, in powers of eight: the conventions leave these to us, and the SDK's
/// default list ends at 10 kB.
pub(crate) const BODY_SIZE_BUCKETS: [f64; 9] =
    [0.0, 64.0, 512.0, 4_096.0, 32_768.0, 262_144.0, 2_097_152.0, 16_777_216.0, 134_217_728.0];

/// The value of `http.request.method` for a method that the HTTP conventions do not know.
pub(crate) const OTHER_METHOD: &str = "_OTHER";

/// The methods that the HTTP conventions know (`http.request.method`).
pub(crate) const KNOWN_METHODS: [&str; 10] =
    ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "CONNECT", "TRACE", "QUERY"];

/// Which methods are told by their names. Unknown ones become one value, so that no caller can make metric series.
#[derive(Debug, Clone)]
pub(crate) struct Methods(Arc<[&'static str]>);

impl Methods {
    pub(crate) fn new(known: &[String]) -> Self {
        let name = |method: &String| {
            let standard = KNOWN_METHODS.into_iter().find(|known| known == method);
            // A list of one's own is read once a process, and its names are on every span.
            standard.unwrap_or_else(|| Box::leak(method.clone().into_boxed_str()))
        };
        Self(known.iter().map(name).collect())
    }

    /// The method as the HTTP conventions have it.
    pub(crate) fn known(&self, method: &str) -> &'static str {
        self.0.iter().find(|known| **known == method).copied().unwrap_or(OTHER_METHOD)
    }
}

/// Whether both are the same text. Names of the code's own are one and the same most times, and their letters need no
/// look.
#[cfg(any(feature = "actix", feature = "reqwest"))]
pub(crate) fn is_same(one: &'static str, other: &'static str) -> bool {
    std::ptr::eq(one, other) || one == other
}

/// [`is_same`] of what may be missing.
#[cfg(any(feature = "actix", feature = "reqwest"))]
pub(crate) fn are_same(one: Option<&'static str>, other: Option<&'static str>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => is_same(one, other),
        (one, other) => one.is_none() && other.is_none(),
    }
}

/// The same text, kept for as long as the process lives, however often it is asked for: for names that the
/// application's code gives, such as its routes, and never for what a caller chose.
#[cfg(any(feature = "actix", feature = "diesel"))]
pub(crate) fn interned(name: &str) -> &'static str {
    use std::collections::HashSet;
    use std::sync::{LazyLock, Mutex, PoisonError};

    static NAMES: LazyLock<Mutex<HashSet<&'static str>>> = LazyLock::new(Mutex::default);
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name) {
        return known;
    }
    let name: &'static str = Box::leak(name.into());
    names.insert(name);
    name
}

/// A number that texts differ in, most times, by their lengths and both their ends: looking at all of a text would cost
/// as much as what this is to save. The upper bits are the best.
pub(crate) fn fingerprint(text: &str) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let bytes = text.as_bytes();
    let (first, last) = match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => (bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)), 0),
    };
    (first ^ last.rotate_left(29) ^ bytes.len() as u64).wrapping_mul(ODD)
}

/// `{method} {target}`, or `{method}` alone; `HTTP` stands for an unknown method
/// (semantic conventions, "HTTP spans", Name).
pub(crate) fn http_span_name(method: &'static str, target: Option<&str>) -> Cow<'static, str> {
    let method = if method == OTHER_METHOD { "HTTP" } else { method };
    match target {
        Some(target) => Cow::Owned(format!("{method} {target}")),
        None => Cow::Borrowed(method),
    }
}
