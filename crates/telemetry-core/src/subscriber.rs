//! The `tracing` side: spans join the trace, events become log lines and log records.
//!
//! `RUST_LOG` filters events and nothing else. Spans have a filter of their own, so that no log
//! setting can cut a trace.

mod rate;
mod records;

use opentelemetry_sdk::trace::SdkTracer;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterExt, LevelFilter, filter_fn};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

use crate::config::{LogLevel, Logs};

pub(crate) use rate::RateLimit;
pub(crate) use records::{LogRecords, is_place};

/// Whoever carries the exported data. Their spans and events must not be exported, or each export
/// would make the next one necessary.
const EXPORT_PATH: [&str; 10] = [
    "h2",
    "hyper",
    "hyper_rustls",
    "hyper_util",
    "mio",
    "reqwest",
    "rustls",
    "rustls_platform_verifier",
    "tower",
    "want",
];

/// Left out of the log unless `RUST_LOG` names it: what the SDK says about itself, which the export
/// health tells once and not once per batch; and actix-server's news of its own threads.
const QUIET: &str = "actix_server=warn,opentelemetry=off";

/// `#[tracing::instrument]` spans as OpenTelemetry spans, with context activation: what they
/// enclose has them as parents, whoever makes it.
pub(crate) fn spans<S>(tracer: SdkTracer) -> impl Layer<S>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_level(false)
        .with_tracked_inactivity(false)
        .with_filter(filter_fn(is_span_of_ours).with_max_level_hint(LevelFilter::INFO))
}

/// Spans from INFO up; of the events only what `#[instrument(err)]` records, since events are logs.
fn is_span_of_ours(metadata: &Metadata<'_>) -> bool {
    if *metadata.level() > Level::INFO || is_export_path(metadata.target()) {
        return false;
    }
    metadata.is_span()
        || (*metadata.level() == Level::ERROR
            && metadata.fields().field("error").is_some()
            && metadata.fields().field("message").is_none())
}

/// Events as what `layers` makes of them, lines or records: those that the directives let through, and of one place
/// no more than the limit. One filter for all, so that printed lines and exported records are the same.
pub(crate) fn logs<S, L>(layers: L, directives: &str, limit: RateLimit) -> impl Layer<S>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    L: Layer<S>,
{
    layers.with_filter(env_filter(directives).and(limit))
}

/// `RUST_LOG`, and under it `OTEL_LOG_LEVEL` for what telemetry says of itself.
pub(crate) fn directives(logs: &Logs) -> String {
    let Some(level) = logs.own_level else { return logs.filter.clone() };
    let level = if level == LogLevel::None { "off".to_owned() } else { level.to_string() };
    // Targets are beginnings: these cover all parts of the SDK, `opentelemetry_sdk` and `opentelemetry-otlp` alike.
    format!("telemetry_core={level},opentelemetry={level},{}", logs.filter)
}

/// A filter for log output. No directives that let lines through hide that some were suppressed.
fn env_filter(directives: &str) -> EnvFilter {
    EnvFilter::builder().parse_lossy(format!("{QUIET},{}=warn,{directives}", rate::TARGET))
}

/// Whether it is the export that says so.
fn is_export_path(target: &str) -> bool {
    let root = target.split("::").next().unwrap_or_default();
    // The SDK's targets are the names of its packages, such as `opentelemetry-otlp`.
    EXPORT_PATH.contains(&root) || root.starts_with("opentelemetry")
}
