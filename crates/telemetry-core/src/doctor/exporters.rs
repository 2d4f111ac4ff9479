//! What each exporter of each signal will do.

use super::configuration::exported;
use super::own;
use super::report::Finding;
use crate::Config;
use crate::config::{Exporter, LogFormat, Otlp, Signal};

/// One finding for each exporter.
pub(super) fn findings(config: &Config) -> Vec<Finding> {
    if config.disabled {
        return Vec::new();
    }
    let signals = [
        (Signal::Traces, &config.traces.exporters),
        (Signal::Metrics, &config.metrics.exporters),
        (Signal::Logs, &config.logs.exporters),
    ];
    let mut findings = Vec::new();
    for (signal, exporters) in signals {
        if let Some(provider) = own::provider(config, signal) {
            let told =
                format!("{}: the program's own, in place of all exporters; not looked at", provider.value);
            findings.push(Finding::note(signal.name(), told));
            continue;
        }
        for exporter in exporters {
            // A signal may go to several collectors.
            let collectors = exported(config).into_iter().filter(|(of, _)| *of == signal);
            let collectors: Vec<Option<&Otlp>> = match exporter {
                Exporter::Otlp => collectors.map(|(_, otlp)| Some(otlp)).collect(),
                _ => vec![None],
            };
            let told = collectors.into_iter().map(|otlp| what(*exporter, signal, otlp, config));
            findings.extend(told.map(|told| Finding::note(signal.name(), told)));
        }
        let told = own::takers(config, signal)
            .map(|taker| format!("{}: {}, the program's own", taker.name, taker.value));
        findings.extend(told.map(|told| Finding::note(signal.name(), told)));
    }
    findings
}

fn what(exporter: Exporter, signal: Signal, otlp: Option<&Otlp>, config: &Config) -> String {
    if let Some(otlp) = otlp {
        return format!("otlp: to {} over {}", otlp.endpoint, otlp.protocol);
    }
    match (exporter, signal) {
        (Exporter::Otlp, _) => "otlp".to_owned(),
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
