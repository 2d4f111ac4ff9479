//! Metrics to be fetched: the text that a Prometheus server scrapes
//! ([`Telemetry::prometheus`](crate::Telemetry::prometheus)).
//!
//! It is the text exposition format 0.0.4, named as the OpenTelemetry specification has it ("Prometheus and
//! OpenMetrics Compatibility"):
//!
//! | OpenTelemetry | Prometheus |
//! |---|---|
//! | histogram `http.server.request.duration`, `s` | `http_server_request_duration_seconds_bucket`, `_sum`, `_count` |
//! | counter `orders.created`, `{order}` | `orders_created_total` |
//! | up-down counter `http.server.active_requests`, `{request}` | gauge `http_server_active_requests` |
//! | gauge `cache.utilization`, `1` | gauge `cache_utilization_ratio` |
//! | attribute `http.route` | label `http_route` |
//! | instrumentation scope | labels `otel_scope_name`, `otel_scope_version`, … |
//! | resource | labels of `target_info`, and of no other metric |
//!
//! What would surprise:
//!
//! - An attribute without text is no label: Prometheus knows no difference. An attribute that would take the
//!   name of a label made here (`le` of a histogram, the scope's) is called `exported_…`.
//! - An exponential histogram has one bucket, `+Inf`: this format cannot tell its buckets.
//! - Prometheus refuses a text with contradictions. What contradicts the rest (a name with two types, a second
//!   series with the same labels), and metrics beyond 16 MiB of text, are left out; comments at the end say
//!   what and why, and so does one warning in the log.

mod family;
mod label;
mod name;
mod reader;
mod text;

pub(crate) use reader::PullReader;

/// The media type of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

#[cfg(test)]
mod tests;
