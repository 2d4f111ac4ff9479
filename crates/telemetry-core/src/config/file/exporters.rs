//! Processors and readers of the file, and the exporters behind them.

use std::collections::BTreeMap;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::field::{Field, Map};
use super::{Further, Given, Settings, Source};
use crate::config::Signal;

/// Whose exporters, and what stands before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Traces,
    Metrics,
    Logs,
}

impl Kind {
    fn signal(self) -> Signal {
        match self {
            Self::Traces => Signal::Traces,
            Self::Metrics => Signal::Metrics,
            Self::Logs => Signal::Logs,
        }
    }

    /// A variable of this signal's own connection.
    fn otlp(self, after: &str) -> String {
        self.signal().variable("OTEL_EXPORTER_OTLP_", after)
    }
}

/// Reads `processors` or `readers` of a provider, and with them which exporters it has.
pub(super) fn read_exporters(
    settings: &mut Settings,
    kind: Kind,
    provider: &Field<'_>,
    list: Option<Field<'_>>,
) {
    let Some(list) = list else {
        let expected = if kind == Kind::Metrics { "readers" } else { "processors" };
        return settings.refuse(provider, expected);
    };
    let mut exporters = Exporters { settings, kind, names: Vec::new() };
    for item in exporters.settings.list(&list) {
        exporters.read(&item);
    }
    let names = if exporters.names.is_empty() { "none".to_owned() } else { exporters.names.join(",") };
    settings.give(&kind.signal().variable("OTEL_", "_EXPORTER"), names, &list);
}

struct Exporters<'s> {
    settings: &'s mut Settings,
    kind: Kind,
    names: Vec<&'static str>,
}

const HISTOGRAMS: &str = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION";
const AT_ONCE: &str = "to be absent: the console is written to at once";

impl Exporters<'_> {
    fn read(&mut self, item: &Field<'_>) {
        let among = if self.kind == Kind::Metrics { "periodic or pull" } else { "batch or simple" };
        let Some(choice) = self.settings.choice(item, among) else { return };
        match (self.kind, choice.key()) {
            (Kind::Metrics, "periodic") => self.read_periodic(&choice),
            (Kind::Metrics, "pull") => self.read_pull(&choice),
            (Kind::Traces, "batch") => self.read_batch(&choice, "OTEL_BSP"),
            (Kind::Logs, "batch") => self.read_batch(&choice, "OTEL_BLRP"),
            (Kind::Traces | Kind::Logs, "simple") => self.read_simple(&choice),
            _ => self.settings.refuse(&choice, &format!("{among} (others are not supported)")),
        }
    }

    fn read_batch(&mut self, batch: &Field<'_>, prefix: &str) {
        const QUEUE: [(&str, &str); 4] = [
            ("schedule_delay", "SCHEDULE_DELAY"),
            ("export_timeout", "EXPORT_TIMEOUT"),
            ("max_queue_size", "MAX_QUEUE_SIZE"),
            ("max_export_batch_size", "MAX_EXPORT_BATCH_SIZE"),
        ];
        let keys = [QUEUE[0].0, QUEUE[1].0, QUEUE[2].0, QUEUE[3].0, "exporter"];
        let map = self.settings.map(batch, &keys);
        self.apart(&map, |this| this.read_queue(batch, &map, prefix, &QUEUE));
    }

    fn read_queue(&mut self, batch: &Field<'_>, map: &Map<'_>, prefix: &str, queue: &[(&str, &str)]) {
        let is_console = self.read_exporter(batch, map) == Some("console");
        for (key, after) in queue {
            match map.get(key) {
                Some(field) if is_console => self.settings.refuse(&field, AT_ONCE),
                field => self.settings.integer(field, &format!("{prefix}_{after}")),
            }
        }
    }

    fn read_simple(&mut self, simple: &Field<'_>) {
        let map = self.settings.map(simple, &["exporter"]);
        if self.read_exporter(simple, &map) == Some("otlp") {
            self.settings.refuse(simple, "batch: with simple, what is recorded would wait for the collector");
        }
    }

    fn read_periodic(&mut self, periodic: &Field<'_>) {
        let keys = ["interval", "timeout", "exporter", "producers", "cardinality_limits"];
        let map = self.settings.map(periodic, &keys);
        self.apart(&map, |this| {
            this.share(periodic, map.get("interval"), "OTEL_METRIC_EXPORT_INTERVAL", "60000");
            this.share(periodic, map.get("timeout"), "OTEL_METRIC_EXPORT_TIMEOUT", "30000");
            this.read_exporter(periodic, &map);
        });
        self.read_rest_of_reader(periodic, &map);
    }

    /// Reads what stands before an exporter. Of a second OTLP exporter it is kept apart from what the first said.
    fn apart(&mut self, map: &Map<'_>, read: impl FnOnce(&mut Self)) {
        let exporter = map.get("exporter");
        let choice = exporter.as_ref().and_then(|exporter| exporter.map()?.fields().next());
        let is_otlp = choice.as_ref().is_some_and(|choice| matches!(choice.key(), "otlp_http" | "otlp_grpc"));
        let (Some(choice), true) = (choice, is_otlp && self.names.contains(&"otlp")) else {
            return read(self);
        };
        let names = std::mem::take(&mut self.names);
        let first = std::mem::take(&mut self.settings.given);
        read(self);
        let given = std::mem::replace(&mut self.settings.given, first);
        self.names = names;
        // The SDK aggregates once for all exporters.
        let histograms = |given: &BTreeMap<String, Given>| {
            given
                .get(HISTOGRAMS)
                .map_or_else(|| "explicit_bucket_histogram".to_owned(), |one| one.text.clone())
        };
        let expected = histograms(&self.settings.given);
        if histograms(&given) != expected {
            let expected =
                format!("a default_histogram_aggregation of {expected} as before: all exporters share it");
            self.settings.refuse(&choice, &expected);
        }
        let further = Further { signal: self.kind.signal(), path: choice.path().to_owned(), given };
        self.settings.further.push(further);
    }

    fn read_pull(&mut self, pull: &Field<'_>) {
        const EXPECTED: &str = "prometheus/development (others are not supported)";
        let map = self.settings.map(pull, &["exporter", "producers", "cardinality_limits"]);
        self.read_rest_of_reader(pull, &map);
        let Some(exporter) = map.get("exporter") else { return self.settings.refuse(pull, "an exporter") };
        let Some(choice) = self.settings.choice(&exporter, EXPECTED) else { return };
        if choice.key() != "prometheus/development" {
            return self.settings.refuse(&choice, EXPECTED);
        }
        self.add(&choice, "prometheus");
        /// What the schema has of 1.0 and, renamed, of later ones: what it is here, and is not to be changed.
        const FIXED: [(&str, &str); 6] = [
            ("without_scope_info", "false"),
            ("scope_info_enabled", "true"),
            ("without_target_info", "false"),
            ("without_target_info/development", "false"),
            ("target_info_enabled/development", "true"),
            ("translation_strategy", "underscore_escaping_with_suffixes"),
        ];
        let mut keys: Vec<&str> = FIXED.iter().map(|(key, _)| *key).collect();
        let labels = ["with_resource_constant_labels", "resource_constant_labels"];
        keys.extend(labels.iter().chain(&["host", "port"]));
        let map = self.settings.map(&choice, &keys);
        self.settings.text(map.get("host"), "OTEL_EXPORTER_PROMETHEUS_HOST");
        self.settings.integer(map.get("port"), "OTEL_EXPORTER_PROMETHEUS_PORT");
        for (key, fixed) in FIXED {
            let Some(field) = map.get(key) else { continue };
            if field.text() != Some(fixed) {
                self.settings.refuse(&field, &format!("{fixed}: nothing else is supported"));
            }
        }
        for key in labels {
            self.settings.unsupported(map.get(key), "the resource is told by target_info");
        }
    }

    fn read_rest_of_reader(&mut self, reader: &Field<'_>, map: &Map<'_>) {
        const KINDS: [&str; 7] = [
            "counter",
            "gauge",
            "histogram",
            "observable_counter",
            "observable_gauge",
            "observable_up_down_counter",
            "up_down_counter",
        ];
        self.settings.unsupported(map.get("producers"), "there are no metrics but our own");
        let limits = map.get("cardinality_limits");
        let own = limits.map(|limits| self.settings.map(&limits, &[&KINDS[..], &["default"]].concat()));
        let own = own.unwrap_or_default();
        let default = own.get("default");
        let all = default.as_ref().and_then(Field::integer).unwrap_or(2000);
        for limit in KINDS.iter().filter_map(|kind| own.get(kind)) {
            if limit.integer() != Some(all) {
                self.settings
                    .refuse(&limit, &format!("{all}, the default: there is one limit for all kinds"));
            }
        }
        self.share(reader, default, "METRICS_CARDINALITY_LIMIT", "2000");
    }

    /// A number that all readers have in common.
    fn share(&mut self, reader: &Field<'_>, field: Option<Field<'_>>, variable: &str, default: &str) {
        let before = self.settings.find(variable);
        match &field {
            Some(_) => self.settings.integer(field.clone(), variable),
            None if before.is_none() => self.settings.give_default(variable, default, Source::Default),
            None => {}
        }
        let own = field.as_ref().map_or(Some(default.to_owned()), |field| Some(field.integer()?.to_string()));
        if let Some((before, _)) = before
            && own.is_some_and(|own| own != before)
        {
            let expected = format!("{before} as before, for {variable}: all readers share it");
            self.settings.refuse(field.as_ref().unwrap_or(reader), &expected);
        }
    }

    /// The exporter of a processor or a periodic reader: `otlp` or `console`.
    fn read_exporter(&mut self, before: &Field<'_>, map: &Map<'_>) -> Option<&'static str> {
        const EXPECTED: &str = "otlp_http, otlp_grpc or console";
        let Some(exporter) = map.get("exporter") else {
            self.settings.refuse(before, "an exporter");
            return None;
        };
        let choice = self.settings.choice(&exporter, EXPECTED)?;
        match choice.key() {
            "otlp_http" => self.read_otlp(&choice, false),
            "otlp_grpc" => self.read_otlp(&choice, true),
            "console" => {
                self.read_console(&choice);
                self.add(&choice, "console")
            }
            "zipkin" => {
                self.settings.refuse(&choice, &format!("{EXPECTED} (Zipkin is not supported, OTLP is)"));
                None
            }
            _ => {
                self.settings.refuse(&choice, &format!("{EXPECTED} (others are not supported)"));
                None
            }
        }
    }

    fn read_console(&mut self, console: &Field<'_>) {
        if self.kind != Kind::Metrics {
            self.settings.map(console, &[]);
            return;
        }
        let fixed = [
            ("temporality_preference", "cumulative"),
            ("default_histogram_aggregation", "explicit_bucket_histogram"),
        ];
        let map = self.settings.map(console, &fixed.map(|(key, _)| key));
        for (key, fixed) in fixed {
            let Some(field) = map.get(key) else { continue };
            if field.text() != Some(fixed) {
                self.settings.refuse(&field, &format!("{fixed}: nothing else is supported"));
            }
        }
    }

    fn add(&mut self, choice: &Field<'_>, name: &'static str) -> Option<&'static str> {
        if self.names.contains(&name) {
            self.settings.refuse(choice, &format!("one {name} exporter of {}", self.kind.signal()));
        } else {
            self.names.push(name);
        }
        Some(name)
    }

    fn read_otlp(&mut self, otlp: &Field<'_>, is_grpc: bool) -> Option<&'static str> {
        let mut keys = vec!["endpoint", "tls", "headers", "headers_list", "compression", "timeout"];
        if !is_grpc {
            keys.push("encoding");
        }
        if self.kind == Kind::Metrics {
            keys.extend(["temporality_preference", "default_histogram_aggregation"]);
        }
        self.add(otlp, "otlp");
        let kind = self.kind;
        let map = self.settings.map(otlp, &keys);
        self.settings.text(map.get("endpoint"), &kind.otlp("_ENDPOINT"));
        self.settings.text(map.get("compression"), &kind.otlp("_COMPRESSION"));
        self.settings.integer(map.get("timeout"), &kind.otlp("_TIMEOUT"));
        self.read_protocol(otlp, map.get("encoding"), is_grpc);
        self.read_headers(otlp, &map);
        if let Some(tls) = map.get("tls") {
            let keys = ["ca_file", "key_file", "cert_file", "insecure"];
            let tls = self.settings.map(&tls, if is_grpc { &keys } else { &keys[..3] });
            self.settings.text(tls.get("ca_file"), &kind.otlp("_CERTIFICATE"));
            self.settings.text(tls.get("key_file"), &kind.otlp("_CLIENT_KEY"));
            self.settings.text(tls.get("cert_file"), &kind.otlp("_CLIENT_CERTIFICATE"));
            self.settings.boolean(tls.get("insecure"), &kind.otlp("_INSECURE"));
        }
        if let Some(field) = map.get("temporality_preference") {
            const VARIABLE: &str = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
            match field.text() {
                Some("low_memory") => self.settings.give(VARIABLE, "lowmemory", &field),
                Some(text @ ("cumulative" | "delta")) => self.settings.give(VARIABLE, text, &field),
                _ => self.settings.refuse(&field, "cumulative, delta or low_memory"),
            }
        }
        self.settings.text(map.get("default_histogram_aggregation"), HISTOGRAMS);
        Some("otlp")
    }

    fn read_protocol(&mut self, otlp: &Field<'_>, encoding: Option<Field<'_>>, is_grpc: bool) {
        let variable = self.kind.otlp("_PROTOCOL");
        let protocol = match encoding.as_ref().map(|encoding| encoding.text()) {
            None if is_grpc => "grpc",
            None | Some(Some("protobuf")) => "http/protobuf",
            Some(Some("json")) => "http/json",
            Some(_) => return self.settings.refuse(encoding.as_ref().unwrap_or(otlp), "protobuf or json"),
        };
        self.settings.give(&variable, protocol, encoding.as_ref().unwrap_or(otlp));
    }

    /// `headers` after those of `headers_list`, so that they win.
    fn read_headers(&mut self, otlp: &Field<'_>, map: &Map<'_>) {
        let mut headers: Vec<String> = Vec::new();
        if let Some(list) = map.get("headers_list") {
            match list.text() {
                Some(text) => headers.push(text.to_owned()),
                None => self.settings.refuse(&list, "a text"),
            }
        }
        for item in map.get("headers").map(|list| self.settings.list(&list)).unwrap_or_default() {
            let pair = self.settings.map(&item, &["name", "value"]);
            let name = pair.get("name").and_then(|name| name.text().map(str::to_owned));
            match (name, pair.get("value")) {
                // What a variable left empty is no header.
                (Some(_), None) if pair.has("value") => {}
                (Some(name), Some(value)) if value.text().is_some() => {
                    let value = utf8_percent_encode(value.text().unwrap_or_default(), NON_ALPHANUMERIC);
                    headers.push(format!("{name}={value}"));
                }
                _ => self.settings.refuse(&item, "a name and a value"),
            }
        }
        if !headers.is_empty() {
            let field = map.get("headers").or_else(|| map.get("headers_list"));
            self.settings.give(
                &self.kind.otlp("_HEADERS"),
                headers.join(","),
                field.as_ref().unwrap_or(otlp),
            );
        }
    }
}
