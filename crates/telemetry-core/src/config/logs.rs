//! Log records: exported, and printed.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use super::{Batch, Env, Exporter, Otlp, Signal};

/// What is done with log records.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Logs {
    /// `OTEL_LOGS_EXPORTER`: `otlp`, `console`, both, or `none`; by default `console` in development, `otlp` elsewhere.
    pub exporters: Vec<Exporter>,
    /// `RUST_LOG`, default `info`: directives such as `info,order_service=debug`. Filters logs, never traces.
    pub filter: String,
    /// `LOG_FORMAT`: how records are printed; by default `text` in development and `json` elsewhere.
    pub format: LogFormat,
    /// `OTEL_BLRP_*`.
    pub batch: Batch,
    /// `OTEL_EXPORTER_OTLP_*` and `OTEL_EXPORTER_OTLP_LOGS_*`.
    pub otlp: Otlp,
}

impl Logs {
    pub(super) fn read(development: bool, general: &Otlp, env: &mut Env) -> Self {
        let format = if development { LogFormat::Text } else { LogFormat::Json };
        Self {
            exporters: Exporter::read(Signal::Logs, development, env),
            filter: read_filter(env),
            format: env.setting("LOG_FORMAT", format, "text or json"),
            batch: Batch::read("OTEL_BLRP", Duration::from_secs(1), env),
            otlp: general.for_signal(Signal::Logs, env),
        }
    }
}

fn read_filter(env: &mut Env) -> String {
    let parse = |text: &str| EnvFilter::try_new(text).ok().map(|_| text.to_owned());
    let expected = "directives such as info or warn,order_service=debug";
    env.recorded("RUST_LOG", "info".to_owned(), expected, parse, String::clone)
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
