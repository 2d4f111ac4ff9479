//! What is compared.

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Variant {
    pub(crate) name: &'static str,
    /// The row that it is a multiple of.
    pub(crate) base: &'static str,
    /// A program of this workspace and its mode, or what Python runs.
    pub(crate) command: &'static str,
    pub(crate) variables: &'static [(&'static str, &'static str)],
    pub(crate) work: Work,
    /// Spans for each request.
    pub(crate) spans: u64,
}

/// What it is given to do.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Work {
    /// Requests for this path, so many a second, and then as many as it can serve.
    Requests { path: &'static str, rate: u32 },
    /// Its own loop, so many turns.
    Loop { turns: u32 },
}

impl Variant {
    pub(crate) fn is_python(&self) -> bool {
        self.command.ends_with(".py")
    }

    /// The package that the program is of.
    pub(crate) fn program(&self) -> &'static str {
        self.command.split(' ').next().unwrap_or_default()
    }

    /// Workers, each on a core of its own.
    pub(crate) fn cores(&self) -> usize {
        if self.variables.contains(&TWO_WORKERS[0]) { 2 } else { 1 }
    }

    const fn with(self, variables: &'static [(&'static str, &'static str)], spans: u64) -> Self {
        Self { variables, spans, ..self }
    }
}

/// `{id}` is another number each time.
const ITEM: Work = Work::Requests { path: "/items/{id}", rate: 4_000 };
const HOP: Work = Work::Requests { path: "/hop", rate: 1_000 };
/// Python has more to do; a tenth of what one core serves bare leaves room for the rest.
const PYTHON: Work = Work::Requests { path: "/items/{id}", rate: 150 };
const QUERIES: Work = Work::Loop { turns: 300_000 };

const UNSAMPLED: &[(&str, &str)] = &[("OTEL_TRACES_SAMPLER", "always_off")];
const NO_TRACES: &[(&str, &str)] = &[("OTEL_TRACES_EXPORTER", "none")];
const NO_METRICS: &[(&str, &str)] = &[("OTEL_METRICS_EXPORTER", "none")];
const A_TENTH: &[(&str, &str)] =
    &[("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.1")];
const DISABLED: &[(&str, &str)] = &[("OTEL_SDK_DISABLED", "true")];
const GZIP: &[(&str, &str)] = &[("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")];
const TWO_WORKERS: &[(&str, &str)] = &[("WORKERS", "2")];
/// The loop is faster than any service: all spans are to be kept, so that all are paid for.
const LONG_QUEUE: &[(&str, &str)] = &[("OTEL_BSP_MAX_QUEUE_SIZE", "100000")];

pub(crate) const ALL: [Variant; 25] = [
    bare("bare", "subject bare", ITEM),
    under("telemetry-core", "bare", "subject telemetry", ITEM),
    under("telemetry-core gzip", "bare", "subject telemetry", ITEM).with(GZIP, 1),
    under("telemetry-core traces only", "bare", "subject telemetry", ITEM).with(NO_METRICS, 1),
    // How many spans that makes is chance.
    under("telemetry-core a tenth sampled", "bare", "subject telemetry", ITEM).with(A_TENTH, 0),
    under("telemetry-core unsampled", "bare", "subject telemetry", ITEM).with(UNSAMPLED, 0),
    under("telemetry-core metrics only", "bare", "subject telemetry", ITEM).with(NO_TRACES, 0),
    under("telemetry-core disabled", "bare", "subject telemetry", ITEM).with(DISABLED, 0),
    bare("two workers bare", "subject bare", ITEM).with(TWO_WORKERS, 0),
    under("two workers telemetry-core", "two workers bare", "subject telemetry", ITEM).with(TWO_WORKERS, 1),
    under("contrib", "bare", "peer-contrib", ITEM),
    under("contrib unsampled", "bare", "peer-contrib", ITEM).with(UNSAMPLED, 0),
    under("tracing-actix-web", "bare", "peer-tracing", ITEM),
    under("tracing-actix-web unsampled", "bare", "peer-tracing", ITEM).with(UNSAMPLED, 0),
    bare("axum bare", "peer-axum bare", ITEM),
    under("axum-tracing-opentelemetry", "axum bare", "peer-axum", ITEM),
    under("axum-tracing-opentelemetry unsampled", "axum bare", "peer-axum", ITEM).with(UNSAMPLED, 0),
    bare("hops bare", "subject hops", HOP),
    under("hops telemetry-core", "hops bare", "subject telemetry-hops", HOP).with(&[], 3),
    under("hops tracing-actix-web, reqwest-tracing", "hops bare", "peer-tracing", HOP).with(&[], 3),
    bare("query bare", "subject query", QUERIES),
    under("query telemetry-core", "query bare", "subject telemetry-query", QUERIES).with(LONG_QUEUE, 1),
    under("query telemetry-core, TracedConnection", "query bare", "subject telemetry-query-traced", QUERIES)
        .with(LONG_QUEUE, 1),
    bare("fastapi bare", "python app.py", PYTHON),
    under("fastapi opentelemetry", "fastapi bare", "opentelemetry-instrument python app.py", PYTHON)
        // One for the request, and one for each of the two messages of the answer.
        .with(&[], 3),
];

const fn bare(name: &'static str, command: &'static str, work: Work) -> Variant {
    Variant { name, base: name, command, variables: &[], work, spans: 0 }
}

const fn under(name: &'static str, base: &'static str, command: &'static str, work: Work) -> Variant {
    Variant { name, base, command, variables: &[], work, spans: 1 }
}
