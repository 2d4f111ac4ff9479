//! The one call that sets everything up, and the guard that ends it.

use std::fmt;
use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use opentelemetry::global;
use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::TracerProvider;
use tracing_log::AsLog;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry};

use crate::config::{ConfigError, Exporter, LogFormat, Source};
use crate::export::{ExportError, Parts, Providers, ShutdownReport, install_crypto_provider};
use crate::log_format::NoSpanFields;
use crate::names::SCOPE;
use crate::paths::PathPatterns;
use crate::propagation::Propagation;
use crate::runtime::Runtimes;
use crate::span::error_chain;
use crate::subscriber::{LogRecords, RateLimit};
use crate::telemetry::{Background, Inner, Telemetry};
use crate::{Config, log_format, panics, prometheus, resource, runtime, subscriber};

/// How long dropping the guard may take, where [`TelemetryGuard::shutdown`] was not called.
const DROP_DEADLINE: Duration = Duration::from_secs(3);

/// Set once, by the first [`init`] that works: providers and subscriber are the process's own.
static INITIALIZED: AtomicBool = AtomicBool::new(false);

/// Sets up traces, metrics and logs for this process: providers and exporters, the propagators, and the
/// `tracing` subscriber that prints and exports events.
///
/// Call it once, at the start of `main`, inside the runtime if there is one: background tasks
/// ([`Telemetry::background`]) then run there. Where the process has no rustls provider yet, it makes ring that, so
/// that `reqwest` clients of one's own can be built after it. It reads nothing but `config`, and for the resource what the
/// machine's files tell, and waits for nothing: a collector that is not there yet is no error.
///
/// # Errors
/// On a second call, where another subscriber or logger is installed, or where an exporter cannot be built.
///
/// [`Telemetry::builder`] does the same with whatever code wants different.
pub fn init(config: Config) -> Result<TelemetryGuard, InitError> {
    start(&config, Own::default())
}

/// What code adds to the configuration.
#[derive(Default)]
pub(crate) struct Own {
    pub(crate) parts: Parts,
    #[cfg(feature = "actix")]
    pub(crate) server_hooks: crate::server::ServerHooks,
    #[cfg(feature = "reqwest")]
    pub(crate) client_hooks: crate::client::ClientHooks,
}

pub(crate) fn start(config: &Config, own: Own) -> Result<TelemetryGuard, InitError> {
    if INITIALIZED.swap(true, Ordering::SeqCst) {
        return Err(InitError::AlreadyInitialized);
    }
    install_crypto_provider();
    let guard = set_up(config, own).inspect_err(|_| INITIALIZED.store(false, Ordering::SeqCst))?;
    tell(config, guard.prometheus_addresses());
    Ok(guard)
}

/// The effective configuration: what somebody decided as one line of news, all of it as details.
fn tell(config: &Config, addresses: &[SocketAddr]) {
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    let decided = config.settings().iter().filter(|setting| setting.source != Source::Default);
    let decided: Vec<String> = decided.map(ToString::to_string).collect();
    tracing::info!("telemetry is set up, all else by default: {}", decided.join("; "));
    for address in addresses {
        tracing::info!("metrics are served on http://{address}/metrics");
    }
    for setting in config.settings() {
        tracing::debug!("{setting}");
    }
}

fn set_up(config: &Config, own: Own) -> Result<TelemetryGuard, InitError> {
    let resource = resource::resource(config);
    let takes_logs = own.parts.takes_logs();
    let providers = Providers::start(config, &resource, own.parts)?;
    let tracer = providers.tracer.tracer(SCOPE);
    let prometheus = serve_metrics(config, &providers)?;
    let log_rate = RateLimit::new(config.logs.rate_limit, providers.suppressed_lines());
    install_subscriber(config, &providers, &tracer, log_rate.clone(), takes_logs)?;

    panics::note_places();
    global::set_meter_provider(providers.meter.clone());
    global::set_tracer_provider(providers.tracer.clone());
    let propagation =
        Propagation::new(&config.propagators).reserving(config.baggage_attributes.iter().cloned());
    global::set_text_map_propagator(propagation.clone());

    let meter = providers.meter.meter(SCOPE);
    providers.observe(&meter);
    let runtimes = config.metrics.runtime.then(|| runtime::observe(&meter));
    let telemetry = Telemetry::from_parts(Inner {
        tracer,
        meter,
        propagation,
        baggage_trusted_paths: PathPatterns::new(config.baggage_trusted_urls.iter().cloned()),
        excluded_paths: PathPatterns::new(config.excluded_urls.iter().cloned()),
        http: config.http.clone(),
        #[cfg(feature = "reqwest")]
        hosts: crate::client::Hosts::default(),
        #[cfg(feature = "diesel")]
        statements: Default::default(),
        metrics: providers.pull.clone(),
        exemplars: providers.exemplars.clone(),
        #[cfg(feature = "actix")]
        server_hooks: own.server_hooks,
        #[cfg(feature = "reqwest")]
        client_hooks: own.client_hooks,
        exports: Some(providers.clone()),
        is_enabled: !config.disabled,
        keeps_spans: providers.keeps_spans,
        samples_roots: config.traces.samples_roots(),
        shows_starts: providers.shows_starts,
        database: config.database,
        has_database: AtomicBool::new(false),
        background: Background::on_current_runtime(),
        _own_runtime: runtimes.as_ref().and_then(Runtimes::watch_current),
        runtimes,
    });
    Ok(TelemetryGuard { telemetry, providers: Some(providers), prometheus, log_rate })
}

/// The port of its own for Prometheus, where one was asked for and there are metrics.
fn serve_metrics(config: &Config, providers: &Providers) -> Result<Option<prometheus::Server>, InitError> {
    let (Some(settings), Some(metrics)) = (&config.metrics.prometheus, &providers.pull) else {
        return Ok(None);
    };
    let address = format!("{}:{}", settings.host, settings.port);
    let server = prometheus::Server::start(settings, metrics.clone(), providers.exemplars.clone())
        .map_err(|source| InitError::Prometheus { address, source })?;
    Ok(Some(server))
}

fn install_subscriber(
    config: &Config,
    providers: &Providers,
    tracer: &opentelemetry_sdk::trace::SdkTracer,
    log_rate: RateLimit,
    takes_logs: bool,
) -> Result<(), InitError> {
    let spans = (!config.disabled).then(|| subscriber::spans(tracer.clone()));
    let is_exported = !config.disabled && (takes_logs || config.logs.exporters.contains(&Exporter::Otlp));
    let records = is_exported.then(|| LogRecords::new(&providers.logger));
    let subscriber = tracing_subscriber::registry()
        .with(subscriber::logs(
            printer(config).and_then(records),
            &subscriber::directives(&config.logs),
            log_rate,
        ))
        .with(spans);
    // As `try_init` does both, but with the two failures told apart. The level is the subscriber's, which is current now.
    tracing::subscriber::set_global_default(subscriber).map_err(|_| InitError::SubscriberInstalled)?;
    tracing_log::LogTracer::builder()
        .with_max_level(LevelFilter::current().as_log())
        .init()
        .map_err(|_| InitError::LoggerInstalled)
}

/// Log lines on standard output: every process has them, whatever is exported besides.
fn printer(config: &Config) -> Box<dyn Layer<Registry> + Send + Sync> {
    let lines = tracing_subscriber::fmt::layer().fmt_fields(NoSpanFields);
    match config.logs.format {
        LogFormat::Text => {
            let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            lines.with_ansi(colours).event_format(log_format::Text).boxed()
        }
        LogFormat::Json => lines.with_ansi(false).event_format(log_format::Json).boxed(),
    }
}

/// Owns what [`init`] set up. Keep it until the process ends, and end with
/// [`TelemetryGuard::shutdown`]. Dropping it, on an error that `main` returns or a panic in it, flushes too, within 3 s,
/// and tells standard error what was lost.
///
/// It dereferences to [`Telemetry`], which makes the instrumented parts.
pub struct TelemetryGuard {
    telemetry: Telemetry,
    providers: Option<Providers>,
    prometheus: Option<prometheus::Server>,
    log_rate: RateLimit,
}

impl TelemetryGuard {
    /// Where metrics are served to a Prometheus server, under `/metrics`: a host may have several addresses. Empty
    /// unless `OTEL_EXPORTER_PROMETHEUS_*` asks for it.
    pub fn prometheus_addresses(&self) -> &[SocketAddr] {
        self.prometheus.as_ref().map(prometheus::Server::addresses).unwrap_or_default()
    }

    /// Exports what is still queued, all signals side by side, and says what became of it. It blocks for
    /// at most `deadline`, and may be called from inside a runtime: the work is done elsewhere.
    pub fn shutdown(mut self, deadline: Duration) -> ShutdownReport {
        self.log_rate.tell();
        let Some(providers) = self.providers.take() else { return ShutdownReport::default() };
        self.end(&providers, deadline)
    }

    /// A scrape that comes too late finds the port closed, or nothing; the exports come first.
    fn end(&self, providers: &Providers, deadline: Duration) -> ShutdownReport {
        let start = Instant::now();
        let report = providers.shutdown(deadline);
        if let Some(server) = &self.prometheus {
            server.stop(deadline.saturating_sub(start.elapsed()));
        }
        report
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
            self.log_rate.tell();
            let report = self.end(&providers, DROP_DEADLINE);
            // Nobody asked for the report; what was lost is told all the same.
            if !report.is_complete() {
                eprintln!("{report}");
            }
        }
    }
}

/// Why [`init`] set nothing up.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// The configuration is wrong ([`TelemetryBuilder::init`](crate::TelemetryBuilder::init) reads it); every mistake
    /// is told.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A process has one telemetry.
    #[error("telemetry is already initialized in this process")]
    AlreadyInitialized,
    /// `tracing` takes one global subscriber, and somebody else installed theirs.
    #[error(
        "another tracing subscriber is installed already; telemetry-core installs its own: remove the other one, such \
         as tracing_subscriber::fmt().init()"
    )]
    SubscriberInstalled,
    /// The `log` crate takes one logger, and somebody else installed theirs.
    #[error(
        "another logger of the log crate is installed already; telemetry-core installs its own: remove the other one, \
         such as env_logger::init()"
    )]
    LoggerInstalled,
    /// The port for Prometheus cannot be listened on (`OTEL_EXPORTER_PROMETHEUS_HOST`, `…_PORT`).
    #[error(
        "metrics cannot be served to Prometheus on {address}: OTEL_EXPORTER_PROMETHEUS_PORT names the port"
    )]
    Prometheus {
        /// Host and port.
        address: String,
        /// Why not.
        source: io::Error,
    },
    /// An exporter cannot be built.
    #[error("the exporters cannot be started")]
    Export(#[from] ExportError),
}

/// The sentence with its causes: `main` tells the error that it returns in this form.
impl fmt::Debug for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&error_chain(self))
    }
}
