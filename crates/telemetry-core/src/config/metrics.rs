//! Metrics: how often, and in which form.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use opentelemetry_sdk::metrics::Temporality;

use super::otlp::GeneralOtlp;
use super::{Env, Exporter, Otlp, Signal, Source, View};

/// What is done with metrics.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Metrics {
    /// `OTEL_METRICS_EXPORTER`: `otlp`, `console`, `prometheus`, several of them, or `none`; by default `console` in
    /// development, `otlp` elsewhere. With `none` no metrics are made, so there are none to fetch either.
    pub exporters: Vec<Exporter>,
    /// `OTEL_METRIC_EXPORT_INTERVAL`, default 5000 ms (the specification's minute is long to wait for the first number).
    pub interval: Duration,
    /// `OTEL_METRIC_EXPORT_TIMEOUT`, default 30000 ms: the longest an export takes, retries included.
    pub export_timeout: Duration,
    /// `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`: `cumulative` (default), `delta` or `lowmemory`.
    pub temporality: Temporality,
    /// `OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION`: `explicit_bucket_histogram` (default) or
    /// `base2_exponential_bucket_histogram`, whose buckets follow the measurements. It is that of every histogram and,
    /// since the SDK aggregates once for all, of every exporter; Prometheus' text has no place for such buckets and
    /// tells their count and sum alone.
    pub histograms: HistogramAggregation,
    /// `OTEL_METRICS_EXEMPLAR_FILTER`: `trace_based` (default), `always_on` or `always_off`. Exemplars go with OTLP, of
    /// `http.server.request.duration`, `http.client.request.duration` and `db.client.operation.duration`: for each
    /// export, instrument and bucket one of what went well and one of what did not.
    pub exemplars: ExemplarFilter,
    /// `METRICS_CARDINALITY_LIMIT`, default 2000: how many series an instrument may have. Measurements of further
    /// ones are summed up in one series with the attribute `otel.metric.overflow` (specification, "Cardinality
    /// limits"), which is told once per instrument, in the log and in
    /// [`ExportHealth`](crate::export::ExportHealth).
    pub cardinality_limit: usize,
    /// `OTEL_INSTRUMENTATION_RUNTIME_METRICS_ENABLED`, default `true`: whether there are metrics of the process (`process.*`, on Linux) and of the
    /// asynchronous runtimes (`tokio.*`). The console does not show them: they never rest.
    pub runtime: bool,
    /// Where metrics are served to a Prometheus server, beside the application's own port; nowhere by default.
    pub prometheus: Option<PrometheusServer>,
    /// `OTEL_EXPORTER_OTLP_*` and `OTEL_EXPORTER_OTLP_METRICS_*`.
    pub otlp: Otlp,
    /// Collectors beside that one, which a file names.
    pub further: Vec<MetricPipeline>,
    /// Which streams instruments become, where a file says it.
    pub views: Vec<View>,
}

/// A further collector of metrics. A file names them; no variable can.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MetricPipeline {
    /// How often it gets them.
    pub interval: Duration,
    /// The longest an export takes, retries included.
    pub export_timeout: Duration,
    /// Whether sums are those since the start or since the last export.
    pub temporality: Temporality,
    /// The collector.
    pub otlp: Otlp,
}

impl Metrics {
    pub(super) fn read(development: bool, general: &GeneralOtlp, env: &mut Env) -> Self {
        let exporters = Exporter::read(Signal::Metrics, development, env);
        let prometheus = PrometheusServer::read(&exporters, cfg!(feature = "actix"), env);
        let views = env.file().map(|file| file.views.clone()).unwrap_or_default();
        if !views.is_empty() {
            env.record("meter_provider.views", views.len().to_string(), Source::File);
        }
        Self {
            exporters,
            interval: read_interval(env),
            export_timeout: read_export_timeout(env),
            temporality: read_temporality(env),
            histograms: env.setting(
                "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
                HistogramAggregation::ExplicitBuckets,
                "explicit_bucket_histogram or base2_exponential_bucket_histogram",
            ),
            exemplars: env.setting(
                "OTEL_METRICS_EXEMPLAR_FILTER",
                ExemplarFilter::TraceBased,
                "trace_based, always_on or always_off",
            ),
            cardinality_limit: read_cardinality_limit(env),
            runtime: env.recorded(
                "OTEL_INSTRUMENTATION_RUNTIME_METRICS_ENABLED",
                true,
                "true or false",
                |text| text.to_ascii_lowercase().parse().ok(),
                bool::to_string,
            ),
            prometheus,
            otlp: general.for_signal(Signal::Metrics, env),
            further: env.each_further(Signal::Metrics, |env| {
                let one = MetricPipeline {
                    interval: read_interval(env),
                    export_timeout: read_export_timeout(env),
                    temporality: read_temporality(env),
                    otlp: general.for_signal(Signal::Metrics, env),
                };
                let shown = format!("{} over {}", one.otlp.endpoint, one.otlp.protocol);
                (one, shown)
            }),
            views,
        }
    }
}

/// How histograms are aggregated by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistogramAggregation {
    /// In buckets that the instrument names.
    ExplicitBuckets,
    /// In at most 160 buckets whose bounds are powers of a base that follows the measurements.
    Exponential,
}

impl FromStr for HistogramAggregation {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.to_ascii_lowercase().as_str() {
            "explicit_bucket_histogram" => Ok(Self::ExplicitBuckets),
            "base2_exponential_bucket_histogram" => Ok(Self::Exponential),
            _ => Err(()),
        }
    }
}

impl fmt::Display for HistogramAggregation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ExplicitBuckets => "explicit_bucket_histogram",
            Self::Exponential => "base2_exponential_bucket_histogram",
        })
    }
}

/// A port of its own at which a Prometheus server finds the metrics, under `/metrics`.
///
/// It is opened where `OTEL_METRICS_EXPORTER` names `prometheus` and one of its variables is set. A service serves
/// [`Telemetry::prometheus`](crate::Telemetry::prometheus) on its own port, and with the specification's port by
/// default two services of one machine would be in each other's way.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PrometheusServer {
    /// `OTEL_EXPORTER_PROMETHEUS_HOST`, default `localhost`: a name or an address.
    pub host: String,
    /// `OTEL_EXPORTER_PROMETHEUS_PORT`, default 9464; 0 takes a free one.
    pub port: u16,
}

impl PrometheusServer {
    /// `is_served` is whether there is a server to serve it by.
    fn read(exporters: &[Exporter], is_served: bool, env: &mut Env) -> Option<Self> {
        const HOST: &str = "OTEL_EXPORTER_PROMETHEUS_HOST";
        const PORT: &str = "OTEL_EXPORTER_PROMETHEUS_PORT";
        let set = [HOST, PORT].into_iter().filter(|name| env.find(name).is_some()).collect::<Vec<_>>();
        if set.is_empty() {
            return None;
        }
        let is_host = |text: &str| {
            !text.contains(['/', ' ']) && (!text.contains(':') || text.parse::<IpAddr>().is_ok())
        };
        let server = Self {
            host: env.recorded(
                HOST,
                "localhost".to_owned(),
                "a host name or an IP address",
                |text| is_host(text).then(|| text.to_owned()),
                String::clone,
            ),
            port: env.setting(PORT, 9464, "a port, 0 to 65535"),
        };
        if exporters.contains(&Exporter::Prometheus) {
            for name in set.iter().filter(|_| !is_served) {
                let expected =
                    "to be unset: telemetry-core is compiled without its feature actix, which serves it";
                let value = env.text(name).unwrap_or_default();
                env.reject(name, &value, expected);
            }
            return Some(server);
        }
        for name in set {
            env.warn(name, "no effect: OTEL_METRICS_EXPORTER does not name prometheus");
        }
        None
    }
}

/// Which measurements may become exemplars (specification, "ExemplarFilter").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExemplarFilter {
    /// Those inside a sampled span.
    TraceBased,
    /// All.
    AlwaysOn,
    /// None.
    AlwaysOff,
}

impl FromStr for ExemplarFilter {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.to_ascii_lowercase().as_str() {
            "trace_based" => Ok(Self::TraceBased),
            "always_on" => Ok(Self::AlwaysOn),
            "always_off" => Ok(Self::AlwaysOff),
            _ => Err(()),
        }
    }
}

impl fmt::Display for ExemplarFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TraceBased => "trace_based",
            Self::AlwaysOn => "always_on",
            Self::AlwaysOff => "always_off",
        })
    }
}

/// The SDK makes room for all series of an instrument at once, so the limit has one too.
const HIGHEST_CARDINALITY_LIMIT: usize = 1_000_000;

fn read_cardinality_limit(env: &mut Env) -> usize {
    let parse =
        |text: &str| text.parse().ok().filter(|limit| (1..=HIGHEST_CARDINALITY_LIMIT).contains(limit));
    let expected = "series of an instrument, 1 to 1000000";
    env.recorded("METRICS_CARDINALITY_LIMIT", 2000, expected, parse, usize::to_string)
}

fn read_interval(env: &mut Env) -> Duration {
    env.milliseconds("OTEL_METRIC_EXPORT_INTERVAL", Duration::from_secs(5))
}

fn read_export_timeout(env: &mut Env) -> Duration {
    env.timeout("OTEL_METRIC_EXPORT_TIMEOUT", Duration::from_secs(30))
}

fn read_temporality(env: &mut Env) -> Temporality {
    let parse = |text: &str| match text.to_ascii_lowercase().as_str() {
        "cumulative" => Some(Temporality::Cumulative),
        "delta" => Some(Temporality::Delta),
        "lowmemory" => Some(Temporality::LowMemory),
        _ => None,
    };
    env.recorded(
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        Temporality::Cumulative,
        "cumulative, delta or lowmemory",
        parse,
        |temporality| format!("{temporality:?}").to_ascii_lowercase(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_nothing_can_serve_is_refused_by_name() {
        let port = ("OTEL_EXPORTER_PROMETHEUS_PORT", "9464");
        for (is_served, exporter, told) in [
            (true, Exporter::Prometheus, None),
            (false, Exporter::Otlp, None),
            (
                false,
                Exporter::Prometheus,
                Some(
                    "OTEL_EXPORTER_PROMETHEUS_PORT=9464: expected to be unset: telemetry-core is compiled without",
                ),
            ),
        ] {
            let mut env = Env::of([port]);
            PrometheusServer::read(&[exporter], is_served, &mut env);
            let mistakes = env.finish().map_err(|error| error.mistakes()[0].to_string());
            match told {
                None => assert_eq!(mistakes, Ok(())),
                Some(told) => {
                    assert!(mistakes.as_ref().is_err_and(|one| one.starts_with(told)), "{mistakes:?}")
                }
            }
        }
    }
}
