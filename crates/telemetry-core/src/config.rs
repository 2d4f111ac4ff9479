//! What is exported, where to, how much of it, and under which name.
//!
//! [`Config::from_env`] reads the variables of the OpenTelemetry specification and a few of our own. Every
//! setting has a default, so no variable at all is a valid configuration. A wrong value is a mistake that stops
//! the start, told together with all others; so is a variable of the specification that is not honoured here,
//! because settings that are silently ignored are found out in production. [`variables`] lists all that are known;
//! an unknown one is warned about. `OTEL_CONFIG_FILE` names a file that decides in their place.

mod database;
mod entities;
mod env;
mod file;
mod http;
mod limits;
mod list;
mod logs;
mod metrics;
mod orchestrator;
mod otlp;
mod parents;
mod pipeline;
mod service;
mod traces;
pub mod variables;
mod view;

use std::fmt::Write as _;

pub use database::Database;
pub use env::{ConfigError, Env, Mistake, Setting, Source, Warning};
pub use http::{CapturedHeaders, Http};
pub use limits::AttributeLimits;
pub use logs::{LogFormat, LogLevel, Logs};
pub use metrics::{ExemplarFilter, HistogramAggregation, MetricPipeline, Metrics, PrometheusServer};
pub use orchestrator::{Kubernetes, Orchestrator};
pub use otlp::{Compression, Endpoint, Headers, Otlp, Protocol, Tls};
pub use parents::ParentSamplers;
pub use pipeline::{Batch, Exporter, Pipeline, Signal};
pub use service::{Detection, Detector, Service};
#[cfg(any(test, feature = "testing"))]
pub(crate) use traces::is_plain;
pub use traces::{Propagator, Traces};
pub use view::View;

use otlp::GeneralOtlp;
pub(crate) use parents::ByParent;

use crate::names::BAGGAGE_ATTRIBUTES;

/// Everything that can be set, checked and typed.
///
/// ```
/// use telemetry_core::Config;
/// use telemetry_core::config::{Env, Exporter};
///
/// let mut env = Env::of([("ENVIRONMENT", "production"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318")]);
/// let config = Config::read("order-service", "1.2.0", &mut env);
/// env.finish()?;
///
/// assert_eq!(config.traces.exporters, [Exporter::Otlp]);
/// assert_eq!(config.traces.otlp.endpoint.to_string(), "http://collector:4318/v1/traces");
/// assert!(config.summary().contains("OTEL_EXPORTER_OTLP_TIMEOUT = 10000 (default)"));
/// # Ok::<(), telemetry_core::config::ConfigError>(())
/// ```
///
/// To change a setting in code, give it to [`Env::with_defaults`] before reading: then the environment can
/// still override it, and [`Config::summary`] tells where it came from.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// `ENVIRONMENT`, default `development`. In development exporters default to the console and logs to text.
    pub environment: String,
    /// `OTEL_SDK_DISABLED`, default `false`: no signal is recorded or exported.
    pub disabled: bool,
    /// Who is telling.
    pub service: Service,
    /// Spans.
    pub traces: Traces,
    /// Metrics.
    pub metrics: Metrics,
    /// Log records, exported and printed.
    pub logs: Logs,
    /// `OTEL_PROPAGATORS`, default `tracecontext,baggage`, of `b3`, `b3multi`, `jaeger`, `xray` besides: which headers
    /// carry the context ([`propagation`](crate::propagation)). Empty for `none`.
    pub propagators: Vec<Propagator>,
    /// `BAGGAGE_ATTRIBUTES`, default `tenant.id,tenant.name`: baggage entries that become attributes of every
    /// span below them, up to 256 bytes of each. Empty for `none`.
    pub baggage_attributes: Vec<String>,
    /// `BAGGAGE_TRUSTED_URLS`, default `none`: paths, or globs with `*`, that only services of one's own call.
    /// What other callers send under the names of `BAGGAGE_ATTRIBUTES` is dropped, since anyone may claim to be
    /// any tenant; entries of other names are carried on from everyone. A path proves nothing to one who can reach
    /// it: [`ServerTelemetry::trust_baggage_of`](crate::server::ServerTelemetry::trust_baggage_of) asks for more.
    pub baggage_trusted_urls: Vec<String>,
    /// `OTEL_INSTRUMENTATION_HTTP_SERVER_EXCLUDED_URLS`, default `/health,/ready,/metrics,/favicon.ico`: paths,
    /// or globs with `*`, whose requests are not recorded. Empty for `none`.
    pub excluded_urls: Vec<String>,
    /// Queries.
    pub database: Database,
    /// What is told of HTTP requests beyond the default.
    pub http: Http,
    settings: Vec<Setting>,
    warnings: Vec<Warning>,
}

impl Config {
    /// Reads the variables of this process.
    ///
    /// `service_name` and `service_version` are what the program says of itself; variables win over them.
    ///
    /// # Errors
    /// Every mistake found, together.
    pub fn from_env(service_name: &str, service_version: &str) -> Result<Self, ConfigError> {
        let mut env = Env::process();
        let config = Self::read(service_name, service_version, &mut env);
        env.finish()?;
        Ok(config)
    }

    /// Reads from `env`, and from the file that `OTEL_CONFIG_FILE` names, and notes every mistake there; the answer is only to be used when
    /// [`Env::finish`] finds none.
    pub fn read(service_name: &str, service_version: &str, env: &mut Env) -> Self {
        let first = env.settings().len();
        let first_warning = env.warnings().len();
        env.read_config_file();
        let environment = env.setting("ENVIRONMENT", "development".to_owned(), "a name");
        let development = environment == DEVELOPMENT;
        let disabled = env.flag("OTEL_SDK_DISABLED");
        let service = Service::read(service_name, service_version, env);
        let general = GeneralOtlp::read(env);
        let limits = AttributeLimits::read_general(env);
        let traces = Traces::read(development, &general, limits, env);
        let metrics = Metrics::read(development, &general, env);
        let logs = Logs::read(development, &general, limits, env);
        let propagators = traces::read_propagators(env);
        let baggage_attributes = read_baggage_attributes(env);
        let baggage_trusted_urls = read_paths("BAGGAGE_TRUSTED_URLS", &[], env);
        let excluded_urls = read_paths("OTEL_INSTRUMENTATION_HTTP_SERVER_EXCLUDED_URLS", &EXCLUDED_URLS, env);
        let database = Database::read(env);
        let http = Http::read(env);
        refuse_what_is_not_honoured(env);
        env.warn_of_unknown();
        let settings = env.settings()[first..].to_vec();
        let warnings = env.warnings()[first_warning..].to_vec();
        Self {
            environment,
            disabled,
            service,
            traces,
            metrics,
            logs,
            propagators,
            baggage_attributes,
            baggage_trusted_urls,
            excluded_urls,
            database,
            http,
            settings,
            warnings,
        }
    }

    /// Notes what code decided beside the variables, in place of what was noted under this name before: here, and in
    /// what it was read from, which the doctor shows.
    pub(crate) fn note(&mut self, env: &mut Env, name: &str, value: String) {
        let setting = Setting { name: name.to_owned(), value, source: Source::Code };
        env.replace(setting.clone());
        self.settings.retain(|other| other.name != name);
        self.settings.push(setting);
    }

    /// Whether `ENVIRONMENT` is `development`.
    pub fn is_development(&self) -> bool {
        self.environment == DEVELOPMENT
    }

    /// Every setting that was read, with its source; secrets are masked. Variables that only one signal has
    /// (such as `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`) are listed where they are set.
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// What does not stop the start, but is most likely not what was meant: `OTEL_*` variables that are unknown, and
    /// settings without effect. [`init`](crate::init()) logs them.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// [`Config::settings`] as lines `name = value (source)`, for the log at start.
    pub fn summary(&self) -> String {
        self.settings.iter().fold(String::new(), |mut lines, setting| {
            if !lines.is_empty() {
                lines.push('\n');
            }
            // Writing to a String cannot fail.
            let _ = write!(lines, "{setting}");
            lines
        })
    }
}

const DEVELOPMENT: &str = "development";

/// What is asked so often that its telemetry would hide the rest.
pub(crate) const EXCLUDED_URLS: [&str; 4] = ["/health", "/ready", "/metrics", "/favicon.ico"];

fn read_baggage_attributes(env: &mut Env) -> Vec<String> {
    const EXPECTED: &str = "names of baggage entries, separated by commas, or none";
    env.list("BAGGAGE_ATTRIBUTES", BAGGAGE_ATTRIBUTES.map(str::to_owned).to_vec(), EXPECTED)
}

fn read_paths(name: &str, default: &[&str], env: &mut Env) -> Vec<String> {
    const EXPECTED: &str =
        "paths that begin with `/`, or globs that begin with `*`, separated by commas, or none";
    let default = default.iter().map(|&path| path.to_owned()).collect();
    let urls = env.list(name, default, EXPECTED);
    for url in urls.iter().filter(|url| !url.starts_with(['/', '*'])) {
        env.reject(name, url, EXPECTED);
    }
    urls
}

fn refuse_what_is_not_honoured(env: &mut Env) {
    for variable in variables::VARIABLES {
        if let Some(instead) = variable.refused
            && let Some(text) = env.text(variable.name)
        {
            // Credentials of an address must not be shown.
            let shown = if text.contains(['@', '?']) { "" } else { &text };
            env.reject(variable.name, shown, instead);
        }
    }
}

#[cfg(test)]
mod tests;
