//! What every signal has: exporters, and a queue in front of them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::otlp::GeneralOtlp;
use super::{Env, Otlp};

/// What OpenTelemetry tells apart: spans, metrics, log records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Metrics.
    Metrics,
    /// Log records.
    Logs,
}

impl Signal {
    /// `traces`, `metrics` or `logs`, as in OTLP's paths.
    pub fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }

    /// A variable of this signal alone: `variable("OTEL_", "_EXPORTER")` is `OTEL_TRACES_EXPORTER` for spans.
    pub(super) fn variable(self, before: &str, after: &str) -> String {
        format!("{before}{}{after}", self.name().to_ascii_uppercase())
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a signal goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exporter {
    /// To a collector, by OTLP over HTTP.
    Otlp,
    /// To standard output, for people.
    Console,
    /// Metrics only: to nowhere, but fetched by [`Telemetry::prometheus`](crate::Telemetry::prometheus), as they
    /// are beside any other exporter.
    Prometheus,
}

impl Exporter {
    /// `OTEL_{TRACES,METRICS,LOGS}_EXPORTER`; by default the console in development and OTLP elsewhere.
    pub(super) fn read(signal: Signal, development: bool, env: &mut Env) -> Vec<Self> {
        let default = if development { Self::Console } else { Self::Otlp };
        let (expected, takes_prometheus) = match signal {
            Signal::Metrics => ("otlp, console, prometheus, several of them, or none", true),
            Signal::Traces | Signal::Logs => ("otlp, console, several of them, or none", false),
        };
        let variable = signal.variable("OTEL_", "_EXPORTER");
        let exporters: Vec<Self> = env.list_with(&variable, vec![default], |item| {
            item.parse().map_err(|()| format!("{expected}{}", what_became_of(item)))
        });
        if !takes_prometheus && exporters.contains(&Self::Prometheus) {
            env.reject(&variable, "prometheus", expected);
        }
        exporters
    }
}

/// What to say of exporters that the specification knows and that are not here.
fn what_became_of(exporter: &str) -> &'static str {
    match exporter.to_ascii_lowercase().as_str() {
        "zipkin" => " (Zipkin is not supported, OTLP is)",
        "jaeger" => " (Jaeger takes OTLP)",
        "logging" => " (logging is called console now)",
        "otlp/stdout" => " (OTLP on standard output is not supported)",
        _ => "",
    }
}

impl FromStr for Exporter {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.to_ascii_lowercase().as_str() {
            "otlp" => Ok(Self::Otlp),
            "console" => Ok(Self::Console),
            "prometheus" => Ok(Self::Prometheus),
            _ => Err(()),
        }
    }
}

impl fmt::Display for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Otlp => "otlp",
            Self::Console => "console",
            Self::Prometheus => "prometheus",
        })
    }
}

/// The queue between the application and the OTLP exporter. A full queue drops what comes, and counts it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Batch {
    /// `OTEL_{BSP,BLRP}_MAX_QUEUE_SIZE`, default 2048: how many wait at most.
    pub queue_size: usize,
    /// `OTEL_{BSP,BLRP}_SCHEDULE_DELAY`, default 5000 ms for spans and 1000 ms for logs: the longest wait.
    pub delay: Duration,
    /// `OTEL_{BSP,BLRP}_MAX_EXPORT_BATCH_SIZE`, default 512, or the queue's size where that is smaller.
    pub batch_size: usize,
    /// `OTEL_{BSP,BLRP}_EXPORT_TIMEOUT`, default 30000 ms: the longest an export takes, retries included.
    pub export_timeout: Duration,
}

/// A further collector of spans or log records, and the queue in front of it. A file names them; no variable can.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Pipeline {
    /// The queue.
    pub batch: Batch,
    /// The collector.
    pub otlp: Otlp,
}

impl Pipeline {
    /// Those of a file beside the first collector of the signal.
    pub(super) fn read_further(
        signal: Signal,
        prefix: &str,
        delay: Duration,
        general: &GeneralOtlp,
        env: &mut Env,
    ) -> Vec<Self> {
        env.each_further(signal, |env| {
            let one = Self { batch: Batch::read(prefix, delay, env), otlp: general.for_signal(signal, env) };
            let shown = format!("{} over {}", one.otlp.endpoint, one.otlp.protocol);
            (one, shown)
        })
    }
}

impl Batch {
    /// Reads `{prefix}_MAX_QUEUE_SIZE` and its neighbours; `prefix` is `OTEL_BSP` or `OTEL_BLRP`.
    pub(super) fn read(prefix: &str, delay: Duration, env: &mut Env) -> Self {
        let delay = env.milliseconds(&format!("{prefix}_SCHEDULE_DELAY"), delay);
        let queue_size = env.positive(&format!("{prefix}_MAX_QUEUE_SIZE"), 2048);
        let batch_variable = format!("{prefix}_MAX_EXPORT_BATCH_SIZE");
        let batch_size = env.positive(&batch_variable, 512.min(queue_size));
        if batch_size > queue_size {
            let expected = format!("at most {prefix}_MAX_QUEUE_SIZE, which is {queue_size}");
            env.reject(&batch_variable, &batch_size.to_string(), &expected);
        }
        let export_timeout = env.timeout(&format!("{prefix}_EXPORT_TIMEOUT"), Duration::from_secs(30));
        Self { queue_size, delay, batch_size, export_timeout }
    }
}
