//! The `tracing` side: spans join the trace, events become log lines and log records.
//!
//! `RUST_LOG` filters events and nothing else. Spans have a filter of their own, so that no log
//! setting can cut a trace.

use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::trace::SdkTracer;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterExt, FilterFn, LevelFilter, filter_fn};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

/// Whoever carries the exported data. Their spans and events must not be exported, or each export
/// would make the next one necessary.
const EXPORT_PATH: [&str; 12] = [
    "h2",
    "hyper",
    "hyper_util",
    "mio",
    "opentelemetry",
    "opentelemetry_http",
    "opentelemetry_otlp",
    "opentelemetry_sdk",
    "reqwest",
    "rustls",
    "tonic",
    "want",
];

/// Left out of the log unless `RUST_LOG` names it: what the SDK says about itself, which the export
/// health tells once and not once per batch; and actix-server's news of its own threads.
const QUIET: &str =
    "actix_server=warn,opentelemetry=off,opentelemetry_sdk=off,opentelemetry_otlp=off,opentelemetry_http=off";

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
    if *metadata.level() > Level::INFO || is_export_path(metadata) {
        return false;
    }
    metadata.is_span()
        || (*metadata.level() == Level::ERROR
            && metadata.fields().field("error").is_some()
            && metadata.fields().field("message").is_none())
}

/// Events as OpenTelemetry log records. They belong to OpenTelemetry's current span.
pub(crate) fn logs<S>(provider: &SdkLoggerProvider, directives: &str) -> impl Layer<S>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    let not_the_export_path: FilterFn = filter_fn(|metadata| !is_export_path(metadata));
    OpenTelemetryTracingBridge::new(provider).with_filter(not_the_export_path.and(env_filter(directives)))
}

/// `RUST_LOG`'s filter for log output.
pub(crate) fn env_filter(directives: &str) -> EnvFilter {
    EnvFilter::builder().parse_lossy(format!("{QUIET},{directives}"))
}

fn is_export_path(metadata: &Metadata<'_>) -> bool {
    let root = metadata.target().split("::").next().unwrap_or_default();
    EXPORT_PATH.contains(&root)
}
