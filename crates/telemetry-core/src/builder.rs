//! Setting up in code: settings of one's own, and parts of one's own.

use std::any::{type_name, type_name_of_val};
use std::collections::BTreeMap;
use std::fmt::Display;

use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::logs::{LogExporter, LogProcessor, SdkLoggerProvider};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{Instrument, SdkMeterProvider, Stream};
use opentelemetry_sdk::trace::{SdkTracerProvider, ShouldSample, SpanExporter, SpanProcessor};

use crate::config::{Env, Signal, Source, variables};
use crate::export::AnySampler;
use crate::init::{self, InitError, Own, TelemetryGuard};
use crate::{Config, Telemetry};

impl Telemetry {
    /// Begins to set up telemetry in code.
    ///
    /// Two rules hold. *Code is weaker than the environment*: whatever has a variable is a default here, and who runs the
    /// process can change it without a new build. *What code brings comes beside what is configured*: an exporter of
    /// one's own gets everything, and so do those of `OTEL_TRACES_EXPORTER` and its like.
    ///
    /// ```no_run
    /// use telemetry_core::Telemetry;
    /// use telemetry_core::opentelemetry::KeyValue;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let telemetry = Telemetry::builder(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
    ///     .resource_attributes([KeyValue::new("team.name", "checkout")])
    ///     .excluded_paths(["/health", "/internal/*"])
    ///     .capture_server_request_headers(["x-app-*"])
    ///     .setting("OTEL_METRIC_EXPORT_INTERVAL", 15_000)
    ///     .init()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// `service_name` and `service_version` are what the program says of itself; `OTEL_SERVICE_NAME` and `APP_VERSION`
    /// win over them.
    pub fn builder(service_name: impl Into<String>, service_version: impl Into<String>) -> TelemetryBuilder {
        TelemetryBuilder {
            service_name: service_name.into(),
            service_version: service_version.into(),
            settings: BTreeMap::new(),
            mistakes: Vec::new(),
            attributes: Vec::new(),
            sampler: None,
            notes: Vec::new(),
            own: Own::default(),
        }
    }
}

/// Settings and parts that code wants; made by [`Telemetry::builder`].
#[must_use = "nothing is set up before `init`"]
pub struct TelemetryBuilder {
    service_name: String,
    service_version: String,
    /// By the variable that is stronger.
    settings: BTreeMap<String, String>,
    /// Name and what would have been right.
    mistakes: Vec<(String, &'static str)>,
    attributes: Vec<KeyValue>,
    sampler: Option<(AnySampler, &'static str)>,
    /// Parts of the application's own, for the log.
    notes: Vec<(&'static str, &'static str)>,
    own: Own,
}

/// Settings: each has a variable, which wins.
impl TelemetryBuilder {
    /// A default for any variable that telemetry-core reads (`docs/configuration.md` of the repository lists them), in
    /// the form that the variable has. What is wrong with it is told by [`init`](Self::init), as a wrong variable is; so
    /// is a name that telemetry-core does not know.
    pub fn setting(mut self, variable: &str, value: impl Display) -> Self {
        self.settings.insert(variable.to_owned(), value.to_string());
        self
    }

    /// Paths, or globs with `*`, whose requests leave no spans and no metrics, in place of the default `/health`,
    /// `/ready`, `/metrics` and `/favicon.ico`. None at all is none excluded.
    /// `OTEL_INSTRUMENTATION_HTTP_SERVER_EXCLUDED_URLS` wins.
    pub fn excluded_paths<P: Into<String>>(self, paths: impl IntoIterator<Item = P>) -> Self {
        self.list("OTEL_INSTRUMENTATION_HTTP_SERVER_EXCLUDED_URLS", paths)
    }

    /// Names of request headers, or globs with `*`, that become attributes of SERVER spans; never those that may hold
    /// a secret. `OTEL_INSTRUMENTATION_HTTP_SERVER_CAPTURE_REQUEST_HEADERS` wins.
    pub fn capture_server_request_headers<N: Into<String>>(self, names: impl IntoIterator<Item = N>) -> Self {
        self.list("OTEL_INSTRUMENTATION_HTTP_SERVER_CAPTURE_REQUEST_HEADERS", names)
    }

    /// The same of the server's answers. `OTEL_INSTRUMENTATION_HTTP_SERVER_CAPTURE_RESPONSE_HEADERS` wins.
    pub fn capture_server_response_headers<N: Into<String>>(
        self,
        names: impl IntoIterator<Item = N>,
    ) -> Self {
        self.list("OTEL_INSTRUMENTATION_HTTP_SERVER_CAPTURE_RESPONSE_HEADERS", names)
    }

    /// The same of requests that the client sends. `OTEL_INSTRUMENTATION_HTTP_CLIENT_CAPTURE_REQUEST_HEADERS` wins.
    pub fn capture_client_request_headers<N: Into<String>>(self, names: impl IntoIterator<Item = N>) -> Self {
        self.list("OTEL_INSTRUMENTATION_HTTP_CLIENT_CAPTURE_REQUEST_HEADERS", names)
    }

    /// The same of answers that the client gets. `OTEL_INSTRUMENTATION_HTTP_CLIENT_CAPTURE_RESPONSE_HEADERS` wins.
    pub fn capture_client_response_headers<N: Into<String>>(
        self,
        names: impl IntoIterator<Item = N>,
    ) -> Self {
        self.list("OTEL_INSTRUMENTATION_HTTP_CLIENT_CAPTURE_RESPONSE_HEADERS", names)
    }

    /// Attributes of the resource, with their types: stronger than what is detected of the machine, weaker than
    /// `OTEL_RESOURCE_ATTRIBUTES` and the variables for one of them, such as `SERVICE_NAMESPACE` or `ENVIRONMENT`.
    /// The service's name and version are the builder's arguments.
    pub fn resource_attributes(mut self, attributes: impl IntoIterator<Item = KeyValue>) -> Self {
        self.attributes.extend(attributes);
        self
    }

    /// A sampler of one's own, asked where no variable names one: `OTEL_TRACES_SAMPLER` wins. It is not asked below
    /// excluded paths. One that panics leaves the span out.
    ///
    /// ```no_run
    /// use telemetry_core::Telemetry;
    /// use telemetry_core::opentelemetry_sdk::trace::Sampler;
    ///
    /// # fn main() -> Result<(), telemetry_core::InitError> {
    /// let tenth = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(0.1)));
    /// let telemetry = Telemetry::builder("order-service", "1.2.0").sampler(tenth).init()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn sampler<S: ShouldSample + Clone + 'static>(mut self, sampler: S) -> Self {
        self.sampler = Some((AnySampler::own(sampler), type_name::<S>()));
        self
    }

    fn list<T: Into<String>>(mut self, variable: &str, items: impl IntoIterator<Item = T>) -> Self {
        let items: Vec<String> = items.into_iter().map(Into::into).collect();
        if items.iter().any(|item| item.contains(',') || item.trim().is_empty()) {
            self.mistakes.push((variable.to_owned(), "items that are not empty and have no commas"));
        }
        let text = if items.is_empty() { "none".to_owned() } else { items.join(",") };
        self.setting(variable, text)
    }
}

/// Parts: they come beside the configured ones. `OTEL_SDK_DISABLED=true` leaves them out too.
impl TelemetryBuilder {
    /// Gives all sampled spans to this exporter too, through a queue of its own (`OTEL_BSP_*`), on a thread of its own
    /// without an asynchronous runtime. What becomes of them is counted in
    /// [`ExportHealth::further`](crate::export::ExportHealth::further) and in the `otel.sdk.*` metrics.
    ///
    /// ```no_run
    /// use telemetry_core::Telemetry;
    /// use telemetry_core::opentelemetry_sdk::error::OTelSdkResult;
    /// use telemetry_core::opentelemetry_sdk::trace::{SpanData, SpanExporter};
    ///
    /// #[derive(Debug)]
    /// struct Names;
    ///
    /// impl SpanExporter for Names {
    ///     async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
    ///         batch.iter().for_each(|span| println!("{}", span.name));
    ///         Ok(())
    ///     }
    /// }
    ///
    /// # fn main() -> Result<(), telemetry_core::InitError> {
    /// let telemetry = Telemetry::builder("order-service", "1.2.0").span_exporter(Names).init()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn span_exporter<E: SpanExporter + 'static>(mut self, exporter: E) -> Self {
        self.own.parts.span_exporter(exporter);
        self.noted("span_exporter", type_name::<E>())
    }

    /// Runs this processor on every sampled span, before the exporters get it and in the order of the calls: it runs
    /// where spans start and end, so it must be quick. A panic in it costs no request, and is logged once.
    pub fn span_processor<P: SpanProcessor + 'static>(mut self, processor: P) -> Self {
        self.own.parts.span_processor(processor);
        self.noted("span_processor", type_name::<P>())
    }

    /// [`span_exporter`](Self::span_exporter) for log records (`OTEL_BLRP_*`).
    pub fn log_exporter<E: LogExporter + 'static>(mut self, exporter: E) -> Self {
        self.own.parts.log_exporter(exporter);
        self.noted("log_exporter", type_name::<E>())
    }

    /// [`span_processor`](Self::span_processor) for log records; what it changes in one, later ones and the exporters
    /// see.
    pub fn log_processor<P: LogProcessor + 'static>(mut self, processor: P) -> Self {
        self.own.parts.log_processor(processor);
        self.noted("log_processor", type_name::<P>())
    }

    /// Gives all metrics to this exporter too, once in `OTEL_METRIC_EXPORT_INTERVAL`.
    pub fn metric_exporter<E: PushMetricExporter>(mut self, exporter: E) -> Self {
        self.own.parts.metric_exporter(exporter);
        self.noted("metric_exporter", type_name::<E>())
    }

    /// Lets this reader collect the metrics too. What it loses is its own to count.
    pub fn metric_reader<R: MetricReader>(mut self, reader: R) -> Self {
        self.own.parts.metric_reader(reader);
        self.noted("metric_reader", type_name::<R>())
    }

    /// A view of the SDK: the streams that an instrument becomes, in place of the default one. Of several that answer
    /// each is a stream. `METRICS_CARDINALITY_LIMIT` holds for none of them: give the stream its own. One that panics
    /// leaves the instrument as it is.
    ///
    /// ```no_run
    /// use telemetry_core::Telemetry;
    /// use telemetry_core::opentelemetry_sdk::metrics::{Instrument, Stream};
    ///
    /// # fn main() -> Result<(), telemetry_core::InitError> {
    /// let telemetry = Telemetry::builder("order-service", "1.2.0")
    ///     .view(|instrument: &Instrument| {
    ///         let is_it = instrument.name() == "orders.created";
    ///         is_it.then(|| Stream::builder().with_name("orders").with_cardinality_limit(50).build().ok())?
    ///     })
    ///     .init()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn view(mut self, view: impl Fn(&Instrument) -> Option<Stream> + Send + Sync + 'static) -> Self {
        let name = type_name_of_val(&view);
        self.own.parts.view(view);
        self.noted("view", name)
    }

    /// A tracer provider of the application's own, in place of the one that the variables describe: none of those for
    /// spans holds (`OTEL_TRACES_*`, `OTEL_BSP_*`, `BAGGAGE_ATTRIBUTES`, limits), and what it exports is its own to
    /// count. It is flushed and shut down with the rest. So that what runs below excluded paths stays untraced, make its
    /// sampler by [`unless_untraced`](crate::unless_untraced), or let it follow the parent (`Sampler::ParentBased`).
    pub fn tracer_provider(mut self, provider: SdkTracerProvider) -> Self {
        self.own.parts.tracer_provider(provider);
        self.noted("tracer_provider", type_name::<SdkTracerProvider>())
    }

    /// The same for metrics. There are none to fetch by [`Telemetry::prometheus`], no exemplars, and no limits but its
    /// own.
    pub fn meter_provider(mut self, provider: SdkMeterProvider) -> Self {
        self.own.parts.meter_provider(provider);
        self.noted("meter_provider", type_name::<SdkMeterProvider>())
    }

    /// The same for log records. `RUST_LOG` and `LOG_RATE_LIMIT` still decide which there are.
    pub fn logger_provider(mut self, provider: SdkLoggerProvider) -> Self {
        self.own.parts.logger_provider(provider);
        self.noted("logger_provider", type_name::<SdkLoggerProvider>())
    }

    fn noted(mut self, what: &'static str, name: &'static str) -> Self {
        self.notes.push((what, name));
        self
    }
}

/// Hooks of every middleware and client that is made from this telemetry, before those that they get themselves.
impl TelemetryBuilder {
    /// [`ServerTelemetry::on_request`](crate::server::ServerTelemetry::on_request) of every server.
    #[cfg(feature = "actix")]
    #[cfg_attr(docsrs, doc(cfg(feature = "actix")))]
    pub fn on_server_request(
        mut self,
        hook: impl Fn(&actix_web::HttpRequest, &opentelemetry::trace::SpanRef<'_>) + Send + Sync + 'static,
    ) -> Self {
        self.own.server_hooks.on_request.push(std::sync::Arc::new(hook));
        self
    }

    /// [`ServerTelemetry::on_response`](crate::server::ServerTelemetry::on_response) of every server.
    #[cfg(feature = "actix")]
    #[cfg_attr(docsrs, doc(cfg(feature = "actix")))]
    pub fn on_server_response(
        mut self,
        hook: impl Fn(&actix_web::dev::ResponseHead, &opentelemetry::trace::SpanRef<'_>) + Send + Sync + 'static,
    ) -> Self {
        self.own.server_hooks.on_response.push(std::sync::Arc::new(hook));
        self
    }

    /// [`ClientTelemetry::on_request`](crate::client::ClientTelemetry::on_request) of every client.
    #[cfg(feature = "reqwest")]
    #[cfg_attr(docsrs, doc(cfg(feature = "reqwest")))]
    pub fn on_client_request(
        mut self,
        hook: impl Fn(&reqwest::Request, &opentelemetry::trace::SpanRef<'_>) + Send + Sync + 'static,
    ) -> Self {
        self.own.client_hooks.on_request.push(std::sync::Arc::new(hook));
        self
    }

    /// [`ClientTelemetry::on_response`](crate::client::ClientTelemetry::on_response) of every client.
    #[cfg(feature = "reqwest")]
    #[cfg_attr(docsrs, doc(cfg(feature = "reqwest")))]
    pub fn on_client_response(
        mut self,
        hook: impl Fn(&reqwest::Response, &opentelemetry::trace::SpanRef<'_>) + Send + Sync + 'static,
    ) -> Self {
        self.own.client_hooks.on_response.push(std::sync::Arc::new(hook));
        self
    }
}

impl TelemetryBuilder {
    /// Reads the variables of this process and sets everything up, as [`init`](crate::init()) does.
    ///
    /// # Errors
    /// Every mistake of the configuration, together; and those of [`init`](crate::init()).
    pub fn init(self) -> Result<TelemetryGuard, InitError> {
        let mut env = Env::process();
        let configured = self.read(&mut env);
        env.finish()?;
        configured.init()
    }

    /// Reads the configuration from `env`, for an application that reads settings of its own there: so that all
    /// mistakes are told at once.
    ///
    /// ```no_run
    /// use telemetry_core::Telemetry;
    /// use telemetry_core::config::Env;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut env = Env::process();
    /// let telemetry = Telemetry::builder("order-service", "1.2.0").excluded_paths(["/health"]).read(&mut env);
    /// let port: u16 = env.setting("PORT", 8080, "a port, 0 to 65535");
    /// env.finish()?;
    /// let telemetry = telemetry.init()?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "the telemetry is set up by `init`, after `Env::finish`"]
    pub fn read(mut self, env: &mut Env) -> ConfiguredTelemetry {
        for (variable, expected) in std::mem::take(&mut self.mistakes) {
            env.reject(&variable, "", expected);
        }
        for variable in self.settings.keys().filter(|name| variables::find(name).is_none()) {
            let nearest = variables::nearest(variable);
            let hint = nearest.map(|name| format!("; did you mean {name}?")).unwrap_or_default();
            env.reject(variable, "", &format!("a setting that telemetry-core knows{hint}"));
        }
        self.refuse_what_a_provider_excludes(env);
        env.add_defaults(std::mem::take(&mut self.settings));
        let mut config = Config::read(&self.service_name, &self.service_version, env);
        self.add_attributes(&mut config, env);
        if let Some((sampler, name)) = self.sampler.take()
            && env.source(SAMPLER) <= Source::Code
        {
            config.note(env, SAMPLER, name.to_owned());
            self.own.parts.sampler(sampler);
        }
        for (what, _) in &self.notes {
            let all = self.notes.iter().filter(|(other, _)| other == what).map(|(_, name)| *name);
            config.note(env, what, all.collect::<Vec<_>>().join(", "));
        }
        ConfiguredTelemetry { config, own: self.own }
    }

    /// A provider is whole: what would go into one has no place beside it.
    fn refuse_what_a_provider_excludes(&self, env: &mut Env) {
        let has = |what: &str| self.notes.iter().any(|(note, _)| *note == what);
        let sampler = if self.sampler.is_some() { Some("sampler") } else { None };
        for (_, provider, parts) in PARTS {
            let sampler = sampler.filter(|_| provider == "tracer_provider");
            let parts = parts.iter().copied().filter(|part| has(part)).chain(sampler);
            for part in parts.filter(|_| has(provider)) {
                env.reject(part, "", &format!("no {provider} beside it, or to be part of that"));
            }
        }
    }

    /// Under those of the variables and the file.
    fn add_attributes(&mut self, config: &mut Config, env: &mut Env) {
        const ENVIRONMENT: &str = "deployment.environment.name";
        // `ENVIRONMENT` is stronger, where somebody set it.
        let is_environment_set = env.source("ENVIRONMENT") > Source::Code;
        let attributes = std::mem::take(&mut self.attributes).into_iter();
        let own = attributes
            .filter(|one| !(is_environment_set && one.key.as_str() == ENVIRONMENT))
            .map(|one| (one.key.to_string(), one.value));
        let own: Vec<(String, Value)> = own.collect();
        let service = &config.service;
        let is_in_force = |key: &str| match key {
            // These have sources of their own, the builder's arguments at the least.
            "service.name" | "service.version" => false,
            "service.namespace" => service.namespace.is_none(),
            "cloud.region" => service.region.is_none(),
            _ => service.resource_attributes.iter().all(|(other, _)| other != key),
        };
        let shown: Vec<String> = own
            .iter()
            .filter(|(key, _)| is_in_force(key))
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        if !shown.is_empty() {
            config.note(env, "resource_attributes", shown.join(","));
        }
        // The last one counts.
        config.service.resource_attributes.splice(0..0, own);
    }
}

/// By the names that settings tell: of each signal the provider in place of all, and what would go into one.
pub(crate) const PARTS: [(Signal, &str, &[&str]); 3] = [
    (Signal::Traces, "tracer_provider", &["span_exporter", "span_processor"]),
    (Signal::Metrics, "meter_provider", &["metric_exporter", "metric_reader", "view"]),
    (Signal::Logs, "logger_provider", &["log_exporter", "log_processor"]),
];

const SAMPLER: &str = "OTEL_TRACES_SAMPLER";

/// Telemetry whose configuration has been read; made by [`TelemetryBuilder::read`].
#[must_use = "nothing is set up before `init`"]
pub struct ConfiguredTelemetry {
    pub(crate) config: Config,
    pub(crate) own: Own,
}

impl ConfiguredTelemetry {
    /// The effective configuration, with the source of each setting.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Sets everything up, as [`init`](crate::init()) does. To be called when
    /// [`Env::finish`] found no mistake.
    ///
    /// # Errors
    /// Those of [`init`](crate::init()).
    pub fn init(self) -> Result<TelemetryGuard, InitError> {
        init::start(&self.config, self.own)
    }
}
