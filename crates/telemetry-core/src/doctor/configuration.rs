//! What the configuration alone tells: mistakes, warnings, and values that are rarely what was meant.

use std::time::Duration;

use opentelemetry_sdk::trace::Sampler;

use super::report::Finding;
use super::{is_grpc, own, surroundings, time};
use crate::Config;
use crate::config::{Batch, Endpoint, Env, Exporter, Otlp, Signal, Source};

/// Everything, the gravest first. It reads the last of `env`.
pub(super) fn findings(config: &Config, env: Env) -> Vec<Finding> {
    let mut doubts = Vec::new();
    for (signal, otlp) in exported(config) {
        endpoint(signal, otlp, &env, &mut doubts);
        headers(signal, otlp, &env, &mut doubts);
    }
    unused_endpoint(config, &env, &mut doubts);
    doubts.extend(switched_off(config));
    if own::provider(config, Signal::Traces).is_none() {
        doubts.extend(sampler(&config.traces.sampler));
    }
    queue("OTEL_BSP", &config.traces.batch, &mut doubts);
    queue("OTEL_BLRP", &config.logs.batch, &mut doubts);
    doubts.extend(surroundings::proxies(&env));

    let mut findings: Vec<Finding> = mistakes(env);
    let told: Vec<String> = findings.iter().map(|finding| finding.subject.clone()).collect();
    // Nothing is doubtful about what is wrong already, nor twice: three signals share most variables.
    for doubt in doubts {
        let is_repeated =
            findings.iter().any(|finding| (finding.code, &finding.subject) == (doubt.code, &doubt.subject));
        if !told.contains(&doubt.subject) && !is_repeated {
            findings.push(doubt);
        }
    }
    findings
}

/// The signals that go to a collector, and which; those that go to several are there for each.
pub(super) fn exported(config: &Config) -> Vec<(Signal, &Otlp)> {
    let (traces, metrics, logs) = (&config.traces, &config.metrics, &config.logs);
    let further: [Vec<&Otlp>; 3] = [
        traces.further.iter().map(|one| &one.otlp).collect(),
        metrics.further.iter().map(|one| &one.otlp).collect(),
        logs.further.iter().map(|one| &one.otlp).collect(),
    ];
    let signals = [
        (Signal::Traces, &traces.exporters, &traces.otlp),
        (Signal::Metrics, &metrics.exporters, &metrics.otlp),
        (Signal::Logs, &logs.exporters, &logs.otlp),
    ];
    let is_exported = |exporters: &[Exporter]| !config.disabled && exporters.contains(&Exporter::Otlp);
    signals
        .into_iter()
        .zip(further)
        .filter(|((signal, exporters, _), _)| {
            is_exported(exporters) && own::provider(config, *signal).is_none()
        })
        .flat_map(|((signal, _, otlp), further)| {
            std::iter::once(otlp).chain(further).map(move |otlp| (signal, otlp))
        })
        .collect()
}

/// Exports that may outlast the end of the process.
pub(super) fn timeouts(config: &Config, shutdown: Duration) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for (signal, otlp) in exported(config) {
        let limit = match signal {
            Signal::Traces => config.traces.batch.export_timeout,
            Signal::Metrics => config.metrics.export_timeout,
            Signal::Logs => config.logs.batch.export_timeout,
        };
        let longest = otlp.timeout.min(limit);
        if longest <= shutdown {
            continue;
        }
        let longest = if longest == Duration::MAX { "for ever".to_owned() } else { time(longest) };
        let finding = Finding::warning(
            "timeout_beyond_shutdown",
            "OTEL_EXPORTER_OTLP_TIMEOUT",
            format!(
                "an export may take {longest}, the whole shutdown {}: its end is cut off",
                time(shutdown)
            ),
        )
        .advise(format!("a timeout below {} ms, or a longer shutdown", shutdown.as_millis()));
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
    findings
}

fn mistakes(env: Env) -> Vec<Finding> {
    let warnings: Vec<Finding> = env
        .warnings()
        .iter()
        .map(|warning| Finding::warning("variable", &warning.variable, &warning.message))
        .collect();
    let Err(error) = env.finish() else { return warnings };
    let mistakes = error.mistakes().iter().map(|mistake| {
        let detail = match mistake.value.as_str() {
            "" => "it is missing or wrong".to_owned(),
            value => format!("“{value}” is wrong"),
        };
        Finding::mistake(&mistake.variable, detail).advise(format!("expected {}", mistake.expected))
    });
    mistakes.chain(warnings).collect()
}

/// The variable that decides the signal's endpoint, and whether it is the signal's own.
fn endpoint_variable(signal: Signal, env: &Env) -> (String, bool) {
    decisive(signal, "ENDPOINT", env)
}

fn decisive(signal: Signal, last: &str, env: &Env) -> (String, bool) {
    let general = format!("OTEL_EXPORTER_OTLP_{last}");
    let own = format!("OTEL_EXPORTER_OTLP_{}_{last}", signal.name().to_ascii_uppercase());
    let source = env.source(&own);
    if source > Source::Default && source >= env.source(&general) { (own, true) } else { (general, false) }
}

/// The ports that OTLP has by convention (specification, "OTLP/gRPC Default Port", "OTLP/HTTP Default Port").
const GRPC_PORT: u16 = 4317;
const HTTP_PORT: u16 = 4318;

fn endpoint(signal: Signal, otlp: &Otlp, env: &Env, findings: &mut Vec<Finding>) {
    let (variable, is_own) = endpoint_variable(signal, env);
    let url = otlp.endpoint.url();
    let is_grpc = is_grpc(otlp);
    let warn = |code, detail: String| Finding::warning(code, &variable, detail);

    match url.port() {
        Some(GRPC_PORT) if !is_grpc => findings.push(
            warn(
                "grpc_port",
                format!("port 4317 takes gRPC by convention, and the protocol is {}", otlp.protocol),
            )
            .advise("port 4318, or OTEL_EXPORTER_OTLP_PROTOCOL=grpc"),
        ),
        Some(HTTP_PORT) if is_grpc => findings.push(
            warn("http_port", "port 4318 takes HTTP by convention, and the protocol is grpc".to_owned())
                .advise("port 4317, or OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"),
        ),
        None => {
            let (port, usual) =
                (url.port_or_known_default().unwrap_or(80), if is_grpc { GRPC_PORT } else { HTTP_PORT });
            // Backends of many customers do listen on 443; nobody's collector does on 80.
            if !otlp.endpoint.is_https() {
                findings.push(
                    warn("port_missing", format!("without a port it is {port}"))
                        .advise(format!("port {usual}, where collectors listen")),
                );
            }
        }
        Some(_) => {}
    }
    if let Some(text) = env.text(&variable).filter(|text| !text.contains("://")) {
        findings.push(
            warn(
                "scheme_missing",
                format!("{text} has no scheme, and is taken as {}://{text}", url.scheme()),
            )
            .advise(format!("{}://{text}", url.scheme())),
        );
    }
    if !is_grpc {
        path(signal, &otlp.endpoint, is_own, &warn, findings);
    }
}

fn path(
    signal: Signal,
    endpoint: &Endpoint,
    is_own: bool,
    warn: &dyn Fn(&'static str, String) -> Finding,
    findings: &mut Vec<Finding>,
) {
    const SIGNALS: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];
    let path = endpoint.url().path();
    let rest = path.trim_end_matches('/').strip_suffix(&format!("/v1/{signal}"));
    let doubled = rest
        .map(|rest| rest.trim_end_matches('/'))
        .and_then(|rest| SIGNALS.iter().find_map(|other| rest.strip_suffix(&format!("/v1/{other}"))));
    if let Some(base) = doubled {
        let advice = if is_own {
            format!("the path {base}/v1/{signal}")
        } else {
            format!(
                "the base alone, to which /v1/{signal} is added; OTEL_EXPORTER_OTLP_{}_ENDPOINT takes a whole path",
                signal.name().to_ascii_uppercase()
            )
        };
        findings.push(warn("path_doubled", format!("{signal} would go to {path}")).advise(advice));
    } else if is_own && path == "/" {
        findings.push(
            warn("path_missing", format!("it is taken as it is, so {signal} would go to /"))
                .advise(format!("the whole path, {}v1/{signal}", endpoint.url())),
        );
    } else if is_own
        && let Some(other) =
            SIGNALS.iter().find(|other| **other != signal && path.ends_with(&format!("/v1/{other}")))
    {
        findings.push(
            warn("path_of_another_signal", format!("{signal} would go to {path}, where {other} go"))
                .advise(format!("a path that ends in /v1/{signal}")),
        );
    }
}

fn headers(signal: Signal, otlp: &Otlp, env: &Env, findings: &mut Vec<Finding>) {
    let (variable, _) = decisive(signal, "HEADERS", env);
    let text = env.text(&variable).unwrap_or_default();
    let suspicious = text.split(',').filter_map(|member| {
        let (name, value) = member.split_once('=')?;
        // What baggage must encode (W3C Baggage, `baggage-octet`).
        let unusual = |character: char| {
            character.is_whitespace() || !character.is_ascii() || matches!(character, '"' | ';' | '\\')
        };
        let found = value.trim().chars().find(|character| unusual(*character))?;
        Some((name.trim().to_owned(), if found == ' ' { "a space".to_owned() } else { format!("{found:?}") }))
    });
    for (name, character) in suspicious {
        findings.push(
            Finding::warning(
                "header_not_encoded",
                &variable,
                format!("the value of {name} has {character} in it"),
            )
            .advise("values percent-encoded, a space as %20"),
        );
    }
    let credentials: Vec<&str> =
        otlp.headers.expose().keys().map(http::HeaderName::as_str).filter(is_credential).collect();
    if !credentials.is_empty() && !otlp.endpoint.is_https() && !surroundings::is_loopback(otlp.endpoint.url())
    {
        findings.push(
            Finding::warning(
                "credentials_in_clear",
                &variable,
                format!("{} goes to {} without encryption", credentials.join(", "), otlp.endpoint),
            )
            .advise("an https:// endpoint"),
        );
    }
}

fn is_credential(name: &&str) -> bool {
    ["authorization", "key", "token", "secret"].iter().any(|word| name.contains(word))
}

/// The commonest way to see nothing: an endpoint is set, and the exporters are still those of development.
fn unused_endpoint(config: &Config, env: &Env, findings: &mut Vec<Finding>) {
    let used = exported(config);
    let variables =
        ["", "TRACES_", "METRICS_", "LOGS_"].map(|signal| format!("OTEL_EXPORTER_OTLP_{signal}ENDPOINT"));
    for (variable, signal) in
        variables.iter().zip([None, Some(Signal::Traces), Some(Signal::Metrics), Some(Signal::Logs)])
    {
        let is_used = used.iter().any(|(used, _)| signal.is_none_or(|signal| signal == *used));
        if env.source(variable) >= Source::Environment && !is_used && !config.disabled {
            let exporter = signal.map_or(
                "OTEL_TRACES_EXPORTER=otlp, OTEL_METRICS_EXPORTER=otlp and OTEL_LOGS_EXPORTER=otlp"
                    .to_owned(),
                |signal| format!("OTEL_{}_EXPORTER=otlp", signal.name().to_ascii_uppercase()),
            );
            findings.push(
                Finding::warning("endpoint_unused", variable, "it is set, and nothing is exported there")
                    .advise(exporter),
            );
        }
    }
}

fn switched_off(config: &Config) -> Vec<Finding> {
    if config.disabled {
        let detail = "true: no signal is recorded or exported";
        return vec![Finding::warning("disabled", "OTEL_SDK_DISABLED", detail).advise("false, or unset")];
    }
    let signals = [
        (Signal::Traces, &config.traces.exporters, "spans go nowhere"),
        (Signal::Metrics, &config.metrics.exporters, "no metrics are made, and /metrics has none"),
        (Signal::Logs, &config.logs.exporters, "log records are printed and go nowhere else"),
    ];
    signals
        .into_iter()
        .filter(|(_, exporters, _)| exporters.is_empty())
        .filter(|(signal, ..)| {
            own::provider(config, *signal).or(own::takers(config, *signal).next()).is_none()
        })
        .map(|(signal, _, what)| {
            let variable = format!("OTEL_{}_EXPORTER", signal.name().to_ascii_uppercase());
            Finding::warning("exporter_none", variable, format!("none: {what}"))
                .advise("otlp, unless this is meant")
        })
        .collect()
}

fn sampler(sampler: &Sampler) -> Option<Finding> {
    // The sampler under `ParentBased` can be seen in no other way.
    let detail = match format!("{sampler:?}").as_str() {
        "AlwaysOff" | "TraceIdRatioBased(0.0)" => "no span is kept",
        "ParentBased(AlwaysOff)" | "ParentBased(TraceIdRatioBased(0.0))" => {
            "only what a caller has sampled is kept: no trace begins here"
        }
        _ => return None,
    };
    let finding = Finding::warning("sampler_keeps_nothing", "OTEL_TRACES_SAMPLER", detail);
    Some(finding.advise("parentbased_always_on, or a ratio above 0 in OTEL_TRACES_SAMPLER_ARG"))
}

fn queue(prefix: &str, batch: &Batch, findings: &mut Vec<Finding>) {
    if batch.batch_size > batch.queue_size {
        findings.push(
            Finding::warning(
                "batch_beyond_queue",
                format!("{prefix}_MAX_EXPORT_BATCH_SIZE"),
                format!("a batch of {} from a queue of {} is never full", batch.batch_size, batch.queue_size),
            )
            .advise(format!("at most {prefix}_MAX_QUEUE_SIZE")),
        );
    }
}
