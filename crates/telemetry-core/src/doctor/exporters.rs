//! What each exporter of each signal will do.

use super::report::Finding;
use crate::Config;
use crate::config::{Exporter, LogFormat, Otlp, Signal};

/// One finding for each exporter.
pub(super) fn findings(config: &Config) -> Vec<Finding> {
    if config.disabled {
        return Vec::new();
    }
    let signals = [
        (Signal::Traces, &config.traces.exporters, &config.traces.otlp),
        (Signal::Metrics, &config.metrics.exporters, &config.metrics.otlp),
        (Signal::Logs, &config.logs.exporters, &config.logs.otlp),
    ];
    signals
        .into_iter()
        .flat_map(|(signal, exporters, otlp)| {
            exporters
                .iter()
                .map(move |exporter| Finding::note(signal.name(), what(*exporter, signal, otlp, config)))
        })
        .collect()
}

fn what(exporter: Exporter, signal: Signal, otlp: &Otlp, config: &Config) -> String {
    match (exporter, signal) {
        (Exporter::Otlp, _) => format!("otlp: to {} over {}", otlp.endpoint, otlp.protocol),
        (Exporter::Console, Signal::Traces) => "console: each span on standard output as it ends".to_owned(),
        (Exporter::Console, Signal::Metrics) => {
            format!(
                "console: what has changed, on standard output, every {}",
                super::time(config.metrics.interval)
            )
        }
        (Exporter::Console, Signal::Logs) => {
            let format = match config.logs.format {
                LogFormat::Text => "text",
                LogFormat::Json => "JSON",
            };
            format!("console: lines of {format} on standard output, nothing besides")
        }
        (Exporter::Prometheus, _) => match &config.metrics.prometheus {
            Some(server) => {
                format!("prometheus: fetched from http://{}:{}/metrics", server.host, server.port)
            }
            None => {
                "prometheus: fetched from where the program serves it, /metrics in these services".to_owned()
            }
        },
    }
}
