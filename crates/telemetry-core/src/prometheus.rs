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
//! A service serves it on its own port. Where `OTEL_METRICS_EXPORTER` names `prometheus` and
//! `OTEL_EXPORTER_PROMETHEUS_HOST` or `…_PORT` is set, it is served on that port too, under `/metrics`.
//!
//! What would surprise:
//!
//! - An attribute without text is no label: Prometheus knows no difference. An attribute that would take the
//!   name of a label made here (`le` of a histogram, the scope's) is called `exported_…`.
//! - An exponential histogram has one bucket, `+Inf`: this format cannot tell its buckets.
//! - Prometheus refuses a text with contradictions. What contradicts the rest (a name with two types, a second
//!   series with the same labels), and metrics beyond 16 MiB of text, are left out; comments at the end say
//!   what and why, and so does one warning in the log.
//!
//! # OpenMetrics
//!
//! [`Telemetry::scrape`](crate::Telemetry::scrape) gives the same metrics as OpenMetrics 1.0 to those who ask for it:
//!
//! ```
//! use actix_web::{HttpRequest, HttpResponse, web};
//! use telemetry_core::prometheus::Format;
//! use telemetry_core::{Telemetry, context};
//!
//! async fn metrics(request: HttpRequest, telemetry: web::Data<Telemetry>) -> HttpResponse {
//!     let format = Format::accepted_by(&request);
//!     match context::blocking(move || telemetry.scrape(format)).await {
//!         Some(text) => HttpResponse::Ok()
//!             .content_type(format.content_type())
//!             .insert_header(("vary", "accept"))
//!             .body(text),
//!         None => HttpResponse::NotFound().finish(),
//!     }
//! }
//! # let _ = metrics;
//! ```
//!
//! Names of samples are the same. What differs is what the format asks for: a counter's family has no `_total`, the
//! resource is the family `target` of type `info`, units have lines of their own, whole bounds end in `.0`, a histogram
//! of negative values has neither sum nor count, and the text ends with `# EOF`. It has no place for comments, so that
//! only the log tells what is left out; that includes one of two metrics where the type of one reserves the name of the
//! other (a counter `orders` and a gauge `orders.created`). The optional `_created` series are not written: they would double the
//! series of most who scrape.
//!
//! Exemplars stand on the buckets of `http.server.request.duration`, `http.client.request.duration` and
//! `db.client.operation.duration`, and nowhere else: the SDK takes none, and these three are recorded by this library.
//! Each bucket of an instrument has up to two, over all of its series: the first measurement since the last scrape of
//! what went well, and of what failed; one that no newer has replaced is told again, as Prometheus expects. A
//! measurement is an exemplar where its span is sampled (`OTEL_METRICS_EXEMPLAR_FILTER=trace_based`, the default); with
//! `always_on` also others, and those outside of any span have no ids. Series beyond the cardinality limit, which are
//! summed up, have none. Several servers that scrape one process share them, as whoever comes first makes room for new
//! ones; exports by OTLP have their own.

mod family;
mod format;
mod label;
mod name;
mod reader;
#[cfg(feature = "actix")]
mod server;
#[cfg(not(feature = "actix"))]
#[path = "prometheus/absent.rs"]
mod server;
mod text;

pub use format::Format;
pub(crate) use reader::PullReader;
pub(crate) use server::Server;

/// The media type of [`Format::Text`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

#[cfg(test)]
mod tests;
