//! One item of a signal, sent as exports are sent: the same providers, queue, encoding and connection.

use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::logs::{LogRecord as _, Logger as _, LoggerProvider as _, Severity};
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};
use opentelemetry_sdk::trace::Sampler;

use crate::config::{Exporter, Otlp, Signal};
use crate::export::{Parts, Providers};
use crate::names::{DOCTOR_PROBE, SCOPE};
use crate::{Config, resource};

/// A probe to be sent.
pub(super) struct Probe {
    config: Config,
    signal: Signal,
    deadline: Duration,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// Whether the server has taken it.
    pub(super) is_accepted: bool,
    /// What the server said, or what kept the probe from it.
    pub(super) message: Option<String>,
}

impl Probe {
    /// Of this signal, by these settings; everything else as the process would have it.
    pub(super) fn new(config: &Config, signal: Signal, otlp: &Otlp, deadline: Duration) -> Self {
        let mut config = config.clone();
        let exporters = |own: Signal| if own == signal { vec![Exporter::Otlp] } else { Vec::new() };
        let mut otlp = otlp.clone();
        otlp.timeout = deadline;
        config.disabled = false;
        config.traces.exporters = exporters(Signal::Traces);
        config.metrics.exporters = exporters(Signal::Metrics);
        config.logs.exporters = exporters(Signal::Logs);
        config.traces.sampler = Sampler::AlwaysOn;
        config.traces.further.clear();
        config.metrics.further.clear();
        config.logs.further.clear();
        match signal {
            Signal::Traces => config.traces.otlp = otlp,
            Signal::Metrics => config.metrics.otlp = otlp,
            Signal::Logs => config.logs.otlp = otlp,
        }
        // Nothing leaves before the flush at the end.
        config.metrics.interval = LONG;
        config.traces.batch.delay = LONG;
        config.logs.batch.delay = LONG;
        Self { config, signal, deadline }
    }

    /// Sends it and waits for the answer, on a thread that may block.
    pub(super) fn send(self) -> Answer {
        // Whatever this thread suppresses: the probe is to be recorded.
        let _recorded = Context::new().attach();
        let Self { config, signal, deadline } = self;
        let providers = match Providers::start(&config, &resource::resource(&config), Parts::default()) {
            Ok(providers) => providers,
            Err(error) => return Answer { is_accepted: false, message: Some(chain(&error)) },
        };
        match signal {
            Signal::Traces => providers.tracer.tracer(SCOPE).start(DOCTOR_PROBE).end(),
            Signal::Metrics => {
                let counter =
                    providers.meter.meter(SCOPE).u64_counter(DOCTOR_PROBE).with_unit("{probe}").build();
                counter.add(1, &[]);
            }
            Signal::Logs => {
                let logger = providers.logger.logger(SCOPE);
                let mut record = logger.create_log_record();
                record.set_event_name(DOCTOR_PROBE);
                record.set_severity_number(Severity::Info);
                record.set_severity_text("INFO");
                record.set_body("telemetry-core's doctor looks whether log records arrive".into());
                logger.emit(record);
            }
        }
        providers.shutdown(deadline);
        let health = providers.health();
        let health = match signal {
            Signal::Traces => health.traces,
            Signal::Metrics => health.metrics,
            Signal::Logs => health.logs,
        };
        match health {
            Some(health) => Answer {
                is_accepted: health.exported > 0 && health.failed == 0 && health.dropped == 0,
                message: health.last_error.map(|error| error.message),
            },
            None => Answer { is_accepted: false, message: None },
        }
    }
}

/// Longer than any probe lives.
const LONG: Duration = Duration::from_secs(3600);

/// Whether exports may go through a proxy, which reaches other places than this process.
pub(super) fn goes_through_proxy() -> bool {
    ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
