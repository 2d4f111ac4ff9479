//! Log records: exported, and printed.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use super::otlp::GeneralOtlp;
use super::{AttributeLimits, Batch, Env, Exporter, Otlp, Pipeline, Signal};

/// What is done with log records.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Logs {
    /// `OTEL_LOGS_EXPORTER`: `otlp`, `console`, both, or `none`; by default `console` in development, `otlp` elsewhere.
    pub exporters: Vec<Exporter>,
    /// `RUST_LOG`, default `info`: directives such as `info,order_service=debug`. Filters logs, never traces.
    pub filter: String,
    /// `OTEL_LOG_LEVEL`, by default whatever `RUST_LOG` says: how much telemetry-core tells of itself, and the
    /// OpenTelemetry SDK, which is silent by default. A directive of `RUST_LOG` for `telemetry_core` or
    /// `opentelemetry` is stronger.
    pub own_level: Option<LogLevel>,
    /// `LOG_FORMAT`: how records are printed; by default `text` in development and `json` elsewhere.
    pub format: LogFormat,
    /// `LOG_RATE_LIMIT`, default 1000: how many lines a second one place in the code may log, printed and exported
    /// alike; 0 for no limit. What is beyond is counted, and told once a second. A thousand is half of the queue for
    /// exports, so that a loop that logs cannot drive everybody else's lines out of it.
    pub rate_limit: u32,
    /// `OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT` and `OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT`, else those of
    /// `OTEL_ATTRIBUTE_*`: the limits of exported records. Printed lines are whole.
    pub limits: AttributeLimits,
    /// `OTEL_BLRP_*`.
    pub batch: Batch,
    /// `OTEL_EXPORTER_OTLP_*` and `OTEL_EXPORTER_OTLP_LOGS_*`.
    pub otlp: Otlp,
    /// Collectors beside that one, which a file names.
    pub further: Vec<Pipeline>,
}

impl Logs {
    pub(super) fn read(
        development: bool,
        general: &GeneralOtlp,
        limits: AttributeLimits,
        env: &mut Env,
    ) -> Self {
        let delay = Duration::from_secs(1);
        let format = if development { LogFormat::Text } else { LogFormat::Json };
        Self {
            exporters: Exporter::read(Signal::Logs, development, env),
            filter: read_filter(env),
            own_level: env.optional("OTEL_LOG_LEVEL", "none, error, warn, info, debug or trace"),
            format: env.setting("LOG_FORMAT", format, "text or json"),
            rate_limit: env.setting(
                "LOG_RATE_LIMIT",
                1000,
                "lines a second, a whole number (0 for no limit)",
            ),
            limits: limits.read("OTEL_LOGRECORD", env),
            batch: Batch::read("OTEL_BLRP", delay, env),
            otlp: general.for_signal(Signal::Logs, env),
            further: Pipeline::read_further(Signal::Logs, "OTEL_BLRP", delay, general, env),
        }
    }
}

fn read_filter(env: &mut Env) -> String {
    let parse = |text: &str| {
        // tracing-subscriber 0.3.23 refuses directives with white space before them, and panics at some.
        let text = text.split(',').map(str::trim).collect::<Vec<_>>().join(",");
        EnvFilter::try_new(&text).ok().map(|_| text)
    };
    let expected = "directives such as info or warn,order_service=debug";
    env.recorded("RUST_LOG", "info".to_owned(), expected, parse, String::clone)
}

/// How much is told, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Nothing.
    None,
    /// Errors.
    Error,
    /// Warnings too.
    Warn,
    /// News too.
    Info,
    /// Details too.
    Debug,
    /// Everything.
    Trace,
}

impl FromStr for LogLevel {
    type Err = ();

    /// The specification names no values; these are what its SDKs take.
    fn from_str(text: &str) -> Result<Self, ()> {
        match text.to_ascii_lowercase().as_str() {
            "none" | "off" => Ok(Self::None),
            "error" | "fatal" => Ok(Self::Error),
            "warn" | "warning" => Ok(Self::Warn),
            "info" => Ok(Self::Info),
            "debug" => Ok(Self::Debug),
            "trace" | "verbose" | "all" => Ok(Self::Trace),
            _ => Err(()),
        }
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        })
    }
}

/// How log records are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// An object a line, for machines.
    Json,
}

impl FromStr for LogFormat {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.to_ascii_lowercase().as_str() {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(()),
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}
