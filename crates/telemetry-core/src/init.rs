//! The one call that sets everything up, and the guard that ends it.

use std::io::IsTerminal;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::global;
use opentelemetry::metrics::MeterProvider;
use opentelemetry::propagation::{TextMapCompositePropagator, TextMapPropagator};
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::propagation::BaggagePropagator;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

use crate::baggage::BaggageAttributes;
use crate::client::Hosts;
use crate::config::{Exporter, LogFormat, Propagator};
use crate::export::{ExportError, Providers, ShutdownReport};
use crate::names::SCOPE;
use crate::paths::PathPatterns;
use crate::propagation::{Propagation, TraceContext};
use crate::telemetry::{Background, Inner, Telemetry};
use crate::{Config, log_format, resource, subscriber};

/// How long dropping the guard may take, where [`TelemetryGuard::shutdown`] was not called.
const DROP_DEADLINE: Duration = Duration::from_secs(3);

/// Set once, by the first [`init`] that works: providers and subscriber are the process's own.
static INITIALIZED: AtomicBool = AtomicBool::new(false);

/// Sets up traces, metrics and logs for this process: providers and exporters, the propagators, and the
/// `tracing` subscriber that prints and exports events.
///
/// Call it once, at the start of `main`, inside the runtime if there is one: background tasks
/// ([`Telemetry::background`]) then run there. It reads nothing but `config` and waits for nothing: a
/// collector that is not there yet is no error.
///
/// # Errors
/// On a second call, where another subscriber is installed, or where an exporter cannot be built.
pub fn init(config: Config) -> Result<TelemetryGuard, InitError> {
    if INITIALIZED.swap(true, Ordering::SeqCst) {
        return Err(InitError::AlreadyInitialized);
    }
    let guard = set_up(&config).inspect_err(|_| INITIALIZED.store(false, Ordering::SeqCst))?;
    for line in config.summary().lines() {
        tracing::debug!("{line}");
    }
    Ok(guard)
}

fn set_up(config: &Config) -> Result<TelemetryGuard, InitError> {
    let resource = resource::resource(config);
    let providers =
        Providers::start(config, &resource, |tracers| tracers.with_span_processor(BaggageAttributes))?;
    let tracer = providers.tracer.tracer(SCOPE);
    install_subscriber(config, &providers, &tracer)?;

    global::set_meter_provider(providers.meter.clone());
    global::set_tracer_provider(providers.tracer.clone());
    global::set_text_map_propagator(TextMapCompositePropagator::new(propagators(config)));

    let telemetry = Telemetry::from_parts(Inner {
        tracer,
        meter: providers.meter.meter(SCOPE),
        propagation: Propagation::new(propagators(config)),
        excluded_paths: PathPatterns::new(config.excluded_urls.iter().cloned()),
        http: config.http.clone(),
        hosts: Hosts::default(),
        metrics: providers.pull.clone(),
        exports: Some(providers.clone()),
        is_enabled: !config.disabled,
        background: Background::on_current_runtime(),
    });
    Ok(TelemetryGuard { telemetry, providers: Some(providers) })
}

fn propagators(config: &Config) -> Vec<Box<dyn TextMapPropagator + Send + Sync>> {
    let propagator = |propagator: &Propagator| -> Box<dyn TextMapPropagator + Send + Sync> {
        match propagator {
            Propagator::TraceContext => Box::new(TraceContext::new()),
            Propagator::Baggage => Box::new(BaggagePropagator::new()),
        }
    };
    config.propagators.iter().map(propagator).collect()
}

fn install_subscriber(
    config: &Config,
    providers: &Providers,
    tracer: &opentelemetry_sdk::trace::SdkTracer,
) -> Result<(), InitError> {
    let spans = (!config.disabled).then(|| subscriber::spans(tracer.clone()));
    let is_exported = !config.disabled && config.logs.exporters.contains(&Exporter::Otlp);
    let logs = is_exported.then(|| subscriber::logs(&providers.logger, &config.logs.filter));
    tracing_subscriber::registry()
        .with(printer(config))
        .with(spans)
        .with(logs)
        .try_init()
        .map_err(|_| InitError::SubscriberInstalled)
}

/// Log lines on standard output: every process has them, whatever is exported besides.
fn printer(config: &Config) -> Box<dyn Layer<Registry> + Send + Sync> {
    let filter = subscriber::env_filter(&config.logs.filter);
    match config.logs.format {
        LogFormat::Text => {
            let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            fmt::layer().with_ansi(colours).event_format(log_format::Text).with_filter(filter).boxed()
        }
        LogFormat::Json => {
            fmt::layer().with_ansi(false).event_format(log_format::Json).with_filter(filter).boxed()
        }
    }
}

/// Owns what [`init`] set up. Keep it until the process ends, and end with
/// [`TelemetryGuard::shutdown`]; dropping it flushes too, within 3 s, but tells nobody what was lost.
///
/// It dereferences to [`Telemetry`], which makes the instrumented parts.
pub struct TelemetryGuard {
    telemetry: Telemetry,
    providers: Option<Providers>,
}

impl TelemetryGuard {
    /// Exports what is still queued, all signals side by side, and says what became of it. It blocks for
    /// at most `deadline`, and may be called from inside a runtime: the work is done elsewhere.
    pub fn shutdown(mut self, deadline: Duration) -> ShutdownReport {
        self.providers.take().map(|providers| providers.shutdown(deadline)).unwrap_or_default()
    }
}

impl Deref for TelemetryGuard {
    type Target = Telemetry;

    fn deref(&self) -> &Telemetry {
        &self.telemetry
    }
}

impl Drop for TelemetryGuard {
    fn drop(&mut self) {
        if let Some(providers) = self.providers.take() {
            providers.shutdown(DROP_DEADLINE);
        }
    }
}

/// Why [`init`] set nothing up.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// A process has one telemetry.
    #[error("telemetry is already initialized in this process")]
    AlreadyInitialized,
    /// `tracing` takes one global subscriber, and somebody else installed theirs.
    #[error("another tracing subscriber is installed already; telemetry-core installs its own")]
    SubscriberInstalled,
    /// An exporter cannot be built.
    #[error("the exporters cannot be started")]
    Export(#[from] ExportError),
}
