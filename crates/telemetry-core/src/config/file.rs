//! Declarative configuration: the file that `OTEL_CONFIG_FILE` names, in the schema 1.0 of the OpenTelemetry
//! specification ("Declarative configuration").
//!
//! What the file says is put into the words of the variables, so that one reader checks both: a setting of the file is
//! a variable whose source is the file. What no variable can say goes beside them ([`Settings`]). Anything of the
//! schema that is not honoured is refused with its path and line.

mod exporters;
mod field;
mod samplers;
mod substitute;
mod views;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry::{Array, Value};

use super::service::{Detection, Detector};
use super::{Mistake, ParentSamplers, Propagator, Signal, Source, View};
use exporters::{Kind, read_exporters};
use field::{Field, Map};
use samplers::read_sampler;
use views::read_views;

/// What a file decides.
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// The name of the file, for messages.
    name: String,
    pub(super) given: BTreeMap<String, Given>,
    /// OTLP exporters beside the first of their signal.
    pub(super) further: Vec<Further>,
    /// What becomes of spans below a parent, where that is not simply what the parent decided.
    pub(super) parents: Option<ParentSamplers>,
    pub(super) views: Vec<View>,
    /// Variables that the file refers to.
    pub(super) references: BTreeSet<String>,
    /// Attributes of the resource with their types.
    pub(super) attributes: Vec<(String, Value)>,
    /// What is detected of the place where the process runs.
    pub(super) detection: Detection,
    pub(super) mistakes: Vec<Mistake>,
    pub(super) warnings: Vec<String>,
}

/// A further exporter: what it says in the words of the variables of the first.
#[derive(Debug, Clone)]
pub(super) struct Further {
    pub(super) signal: Signal,
    /// Where in the file it is.
    pub(super) path: String,
    pub(super) given: BTreeMap<String, Given>,
}

/// A setting in the words of its variable.
#[derive(Debug, Clone)]
pub(super) struct Given {
    text: String,
    source: Source,
    /// Path and line in the file.
    place: String,
}

impl Settings {
    /// Reads the text of the file of this name; `look_up` gives the variables that it refers to.
    pub(super) fn read(name: &str, text: &str, look_up: impl Fn(&str) -> Option<String>) -> Self {
        let mut settings = Self { name: name.to_owned(), detection: Detection::none(), ..Self::default() };
        let mut references = BTreeSet::new();
        let tree = yaml::parse(text, |variable| {
            references.insert(variable.to_owned());
            look_up(variable)
        });
        settings.references = references;
        match tree {
            Ok(root) => settings.read_root(&Field::root(&root)),
            Err(wrong) => settings.refuse_at(wrong.line, "", &wrong.expected),
        }
        settings
    }

    /// A variable in the words of the file.
    pub(super) fn find(&self, variable: &str) -> Option<(String, Source)> {
        self.given.get(variable).map(|given| (given.text.clone(), given.source))
    }

    /// Where in the file a variable is decided.
    pub(super) fn place(&self, variable: &str) -> Option<&str> {
        self.given.get(variable).map(|given| given.place.as_str())
    }

    fn give(&mut self, variable: &str, text: impl Into<String>, field: &Field<'_>) {
        let place = format!("{}:{} {}", self.name, field.line(), field.path());
        self.given.insert(variable.to_owned(), Given { text: text.into(), source: Source::File, place });
    }

    /// What holds where the file leaves something out: often another thing than without a file.
    fn give_default(&mut self, variable: &str, text: &str, source: Source) {
        let place = format!("{} (left out)", self.name);
        let given = Given { text: text.to_owned(), source, place };
        self.given.entry(variable.to_owned()).or_insert(given);
    }

    fn refuse(&mut self, field: &Field<'_>, expected: &str) {
        self.refuse_at(field.line(), field.path(), expected);
    }

    fn refuse_at(&mut self, line: usize, path: &str, expected: &str) {
        let variable = format!("{}:{line} {path}", self.name).trim_end().to_owned();
        self.mistakes.push(Mistake { variable, value: String::new(), expected: expected.to_owned() });
    }

    /// The map of a field, whose keys must be among these.
    fn map<'n>(&mut self, field: &Field<'n>, known: &[&str]) -> Map<'n> {
        let map = self.any_map(field);
        for unknown in map.fields().filter(|one| !known.contains(&one.key())) {
            let near = known.iter().min_by_key(|name| strsim::osa_distance(name, unknown.key()));
            let near = near.filter(|name| strsim::osa_distance(name, unknown.key()) * 3 <= name.len());
            let hint = near.map(|name| format!("; did you mean {name}?")).unwrap_or_default();
            self.refuse(
                &unknown,
                &format!("to be absent: the schema does not know it, or it is not supported{hint}"),
            );
        }
        map
    }

    fn any_map<'n>(&mut self, field: &Field<'n>) -> Map<'n> {
        field.map().unwrap_or_else(|| {
            self.refuse(field, "a map");
            Map::default()
        })
    }

    fn list<'n>(&mut self, field: &Field<'n>) -> Vec<Field<'n>> {
        field.list().unwrap_or_else(|| {
            self.refuse(field, "a list");
            Vec::new()
        })
    }

    /// The only entry of a map that chooses one of several.
    fn choice<'n>(&mut self, field: &Field<'n>, among: &str) -> Option<Field<'n>> {
        let map = self.any_map(field);
        let mut fields = map.fields();
        match (fields.next(), fields.next()) {
            (Some(choice), None) => Some(choice),
            _ => {
                self.refuse(field, &format!("one of {among}"));
                None
            }
        }
    }

    fn text(&mut self, field: Option<Field<'_>>, variable: &str) {
        let Some(field) = field else { return };
        match field.text() {
            Some(text) => self.give(variable, text, &field),
            None => self.refuse(&field, "a text"),
        }
    }

    fn integer(&mut self, field: Option<Field<'_>>, variable: &str) {
        let Some(field) = field else { return };
        match field.integer() {
            Some(number) => self.give(variable, number.to_string(), &field),
            None => self.refuse(&field, "a whole number, without quotes"),
        }
    }

    fn boolean(&mut self, field: Option<Field<'_>>, variable: &str) {
        let Some(field) = field else { return };
        match field.boolean() {
            Some(value) => self.give(variable, value.to_string(), &field),
            None => self.refuse(&field, "true or false, without quotes"),
        }
    }

    /// A list of texts, as the variable's list.
    fn texts(&mut self, field: Option<Field<'_>>, variable: &str) {
        let Some(field) = field else { return };
        let items = self.list(&field);
        let texts: Vec<&str> = items.iter().filter_map(Field::text).collect();
        if texts.len() < items.len() || texts.iter().any(|text| text.contains(',')) {
            self.refuse(&field, "a list of texts without commas");
        }
        let text = if texts.is_empty() { "none".to_owned() } else { texts.join(",") };
        self.give(variable, text, &field);
    }

    /// Something that the schema knows and that has no place here.
    fn unsupported(&mut self, field: Option<Field<'_>>, why: &str) {
        if let Some(field) = field {
            self.refuse(&field, &format!("to be absent: {why}"));
        }
    }

    fn read_root(&mut self, root: &Field<'_>) {
        const KNOWN: [&str; 11] = [
            "file_format",
            "disabled",
            "log_level",
            "attribute_limits",
            "propagator",
            "tracer_provider",
            "meter_provider",
            "logger_provider",
            "resource",
            "instrumentation/development",
            "distribution",
        ];
        let map = self.any_map(root);
        for unknown in map.fields().filter(|field| !KNOWN.contains(&field.key())) {
            // The schema leaves the root open, and files keep their anchors there.
            self.warnings.push(format!("{}:{} {} has no effect", self.name, unknown.line(), unknown.path()));
        }
        self.read_format(root, map.get("file_format"));
        self.boolean(map.get("disabled"), "OTEL_SDK_DISABLED");
        self.read_log_level(map.get("log_level"));
        if let Some(field) = map.get("attribute_limits") {
            let limits = self.map(&field, &["attribute_value_length_limit", "attribute_count_limit"]);
            self.integer(limits.get("attribute_value_length_limit"), "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT");
            self.integer(limits.get("attribute_count_limit"), "OTEL_ATTRIBUTE_COUNT_LIMIT");
        }
        self.read_propagator(map.get("propagator"));
        self.read_tracer_provider(map.get("tracer_provider"));
        self.read_meter_provider(map.get("meter_provider"));
        self.read_logger_provider(map.get("logger_provider"));
        self.read_resource(map.get("resource"));
        self.read_instrumentation(map.get("instrumentation/development"));
        self.unsupported(map.get("distribution"), "there are no settings of a distribution");
    }

    fn read_format(&mut self, root: &Field<'_>, field: Option<Field<'_>>) {
        const EXPECTED: &str = "file_format: \"1.0\", in quotes";
        let format = field.as_ref().and_then(Field::quoted);
        let minor = format.and_then(|format| format.strip_prefix("1."));
        // A later minor version adds to the schema; what it adds is refused where it stands.
        if !minor.is_some_and(|minor| minor.starts_with(|first: char| first.is_ascii_digit())) {
            self.refuse(field.as_ref().unwrap_or(root), EXPECTED);
        }
    }

    fn read_log_level(&mut self, field: Option<Field<'_>>) {
        let Some(field) = field else { return };
        let text = field.text().unwrap_or_default().to_ascii_lowercase();
        // Each level has four degrees, `info` to `info4`; there is one of each here.
        let level = text.strip_suffix(['2', '3', '4']).unwrap_or(&text);
        if ["trace", "debug", "info", "warn", "error", "fatal"].contains(&level) {
            self.give("OTEL_LOG_LEVEL", level, &field);
        } else {
            self.refuse(&field, "trace, debug, info, warn, error or fatal");
        }
    }

    fn read_propagator(&mut self, field: Option<Field<'_>>) {
        const VARIABLE: &str = "OTEL_PROPAGATORS";
        const EXPECTED: &str =
            "tracecontext, baggage, b3, b3multi, jaeger or xray (ottrace and others are not supported)";
        self.give_default(VARIABLE, "none", Source::File);
        let Some(field) = field else { return };
        let map = self.map(&field, &["composite", "composite_list"]);
        let mut names: Vec<String> = Vec::new();
        for item in map.get("composite").map(|list| self.list(&list)).unwrap_or_default() {
            let Some(choice) = self.choice(&item, EXPECTED) else { continue };
            if choice.key().parse::<Propagator>().is_err() {
                self.refuse(&choice, EXPECTED);
                continue;
            }
            self.map(&choice, &[]);
            names.push(choice.key().to_owned());
        }
        let list = map.get("composite_list");
        if let Some(text) = list.as_ref().and_then(Field::text) {
            names.extend(text.split(',').map(|name| name.trim().to_owned()).filter(|name| name != "none"));
        }
        if !names.is_empty() {
            self.give(VARIABLE, names.join(","), list.as_ref().unwrap_or(&field));
        }
    }

    fn read_tracer_provider(&mut self, field: Option<Field<'_>>) {
        let Some(field) = field else {
            return self.give_default("OTEL_TRACES_EXPORTER", "none", Source::File);
        };
        let map = self.map(&field, &["processors", "limits", "sampler", "tracer_configurator/development"]);
        read_exporters(self, Kind::Traces, &field, map.get("processors"));
        if let Some(field) = map.get("limits") {
            const LIMITS: [(&str, &str); 6] = [
                ("attribute_value_length_limit", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT"),
                ("attribute_count_limit", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"),
                ("event_count_limit", "OTEL_SPAN_EVENT_COUNT_LIMIT"),
                ("link_count_limit", "OTEL_SPAN_LINK_COUNT_LIMIT"),
                ("event_attribute_count_limit", "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT"),
                ("link_attribute_count_limit", "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT"),
            ];
            self.read_limits(&field, &LIMITS);
        }
        if let Some(sampler) = map.get("sampler") {
            read_sampler(self, &sampler);
        }
        self.unsupported(map.get("tracer_configurator/development"), "tracers have no settings of their own");
    }

    fn read_limits(&mut self, field: &Field<'_>, limits: &[(&str, &str)]) {
        let known: Vec<&str> = limits.iter().map(|(key, _)| *key).collect();
        let map = self.map(field, &known);
        for (key, variable) in limits {
            self.integer(map.get(key), variable);
        }
    }

    fn read_meter_provider(&mut self, field: Option<Field<'_>>) {
        let Some(field) = field else {
            return self.give_default("OTEL_METRICS_EXPORTER", "none", Source::File);
        };
        let known = ["readers", "views", "exemplar_filter", "meter_configurator/development"];
        let map = self.map(&field, &known);
        read_exporters(self, Kind::Metrics, &field, map.get("readers"));
        self.text(map.get("exemplar_filter"), "OTEL_METRICS_EXEMPLAR_FILTER");
        if let Some(views) = map.get("views") {
            read_views(self, &views);
        }
        self.unsupported(map.get("meter_configurator/development"), "meters have no settings of their own");
    }

    fn read_logger_provider(&mut self, field: Option<Field<'_>>) {
        let Some(field) = field else {
            return self.give_default("OTEL_LOGS_EXPORTER", "none", Source::File);
        };
        let map = self.map(&field, &["processors", "limits", "logger_configurator/development"]);
        read_exporters(self, Kind::Logs, &field, map.get("processors"));
        if let Some(field) = map.get("limits") {
            const LIMITS: [(&str, &str); 2] = [
                ("attribute_value_length_limit", "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT"),
                ("attribute_count_limit", "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT"),
            ];
            self.read_limits(&field, &LIMITS);
        }
        self.unsupported(
            map.get("logger_configurator/development"),
            "loggers have no settings of their own, RUST_LOG decides what is logged",
        );
    }

    fn read_resource(&mut self, field: Option<Field<'_>>) {
        let Some(field) = field else { return };
        let map = self.map(&field, &["attributes", "attributes_list", "detection/development", "schema_url"]);
        self.text(map.get("attributes_list"), "OTEL_RESOURCE_ATTRIBUTES");
        for item in map.get("attributes").map(|list| self.list(&list)).unwrap_or_default() {
            self.read_attribute(&item);
        }
        self.unsupported(map.get("schema_url"), "the resource has the schema of what is detected");
        if let Some(detection) = map.get("detection/development") {
            self.read_detection(&detection);
        }
    }

    fn read_attribute(&mut self, item: &Field<'_>) {
        let map = self.map(item, &["name", "value", "type"]);
        let (Some(name), true) =
            (map.get("name").and_then(|name| name.text().map(str::to_owned)), map.has("value"))
        else {
            return self.refuse(item, "a name and a value");
        };
        // What a variable left empty is no attribute.
        let Some(value) = map.get("value") else { return };
        let kind = map.get("type").and_then(|kind| kind.text().map(str::to_owned));
        let kind = kind.unwrap_or_else(|| "string".to_owned());
        let items = || value.list().unwrap_or_default();
        fn all<'n, T>(items: Vec<Field<'n>>, read: impl Fn(&Field<'n>) -> Option<T>) -> Option<Vec<T>> {
            items.iter().map(read).collect::<Option<Vec<T>>>().filter(|items| !items.is_empty())
        }
        let read = match kind.as_str() {
            "string" => value.text().map(|text| Value::from(text.to_owned())),
            "bool" => value.boolean().map(Value::from),
            "int" => value.integer().map(Value::from),
            "double" => value.number().map(Value::from),
            "string_array" => all(items(), |item| Some(item.text()?.to_owned().into()))
                .map(|texts| Value::Array(Array::String(texts))),
            "bool_array" => all(items(), Field::boolean).map(|items| Value::Array(Array::Bool(items))),
            "int_array" => all(items(), Field::integer).map(|items| Value::Array(Array::I64(items))),
            "double_array" => all(items(), Field::number).map(|items| Value::Array(Array::F64(items))),
            _ => {
                let types = "string, bool, int, double, string_array, bool_array, int_array or double_array";
                return self.refuse(item, &format!("as its type {types}"));
            }
        };
        match read {
            // The variable is the stronger one, as it is in the environment.
            Some(text) if name == "service.name" => {
                self.give("OTEL_SERVICE_NAME", text.as_str(), &value);
            }
            Some(value) => self.attributes.push((name, value)),
            None => self.refuse(&value, &format!("a value of the type {kind}")),
        }
    }

    fn read_detection(&mut self, field: &Field<'_>) {
        let map = self.map(field, &["attributes", "detectors"]);
        for item in map.get("detectors").map(|list| self.list(&list)).unwrap_or_default() {
            const EXPECTED: &str = "container, host, kubernetes, process or service";
            let Some(choice) = self.choice(&item, EXPECTED) else { continue };
            match Detector::named(choice.key()) {
                Some(detector) => {
                    self.map(&choice, &[]);
                    self.detection.detectors.push(detector);
                }
                None => self.refuse(&choice, EXPECTED),
            }
        }
        let Some(attributes) = map.get("attributes") else { return };
        let attributes = self.map(&attributes, &["included", "excluded"]);
        let mut patterns = |key| {
            let field = attributes.get(key)?;
            let items = self.list(&field);
            let texts: Vec<String> = items.iter().filter_map(Field::text).map(str::to_owned).collect();
            if texts.len() < items.len() || texts.iter().any(|text| text.contains('?')) {
                self.refuse(
                    &field,
                    "a list of names, in which * stands for any characters (? is not supported)",
                );
            }
            Some(texts)
        };
        let (included, excluded) = (patterns("included"), patterns("excluded"));
        self.detection.included = included.unwrap_or_else(|| vec!["*".to_owned()]);
        self.detection.excluded = excluded.unwrap_or_default();
    }

    fn read_instrumentation(&mut self, field: Option<Field<'_>>) {
        let Some(field) = field else { return };
        // Other languages' settings are for others who share the file.
        let map = self.any_map(&field);
        if let Some(general) = map.get("general") {
            self.read_general_instrumentation(&general);
        }
        let Some(rust) = map.get("rust") else { return };
        let Some(own) = self.any_map(&rust).get("telemetry_core") else { return };
        let known = ["excluded_urls", "runtime_metrics", "sqlcommenter", "repeated_query_threshold"];
        let own = self.map(&own, &known);
        self.texts(own.get("excluded_urls"), "OTEL_INSTRUMENTATION_HTTP_SERVER_EXCLUDED_URLS");
        self.boolean(own.get("runtime_metrics"), "OTEL_INSTRUMENTATION_RUNTIME_METRICS_ENABLED");
        let sqlcommenter = "OTEL_INSTRUMENTATION_COMMON_DB_EXPERIMENTAL_SQLCOMMENTER_ENABLED";
        self.boolean(own.get("sqlcommenter"), sqlcommenter);
        self.integer(own.get("repeated_query_threshold"), "OTEL_INSTRUMENTATION_DB_REPEATED_QUERY_THRESHOLD");
    }

    fn read_general_instrumentation(&mut self, general: &Field<'_>) {
        let map = self.map(general, &["http", "stability_opt_in_list"]);
        self.text(map.get("stability_opt_in_list"), "OTEL_SEMCONV_STABILITY_OPT_IN");
        let Some(http) = map.get("http") else { return };
        let http = self.map(&http, &["client", "server"]);
        for side in ["client", "server"] {
            let Some(field) = http.get(side) else { continue };
            let map =
                self.map(&field, &["request_captured_headers", "response_captured_headers", "known_methods"]);
            for direction in ["request", "response"] {
                let (upper_side, upper) = (side.to_ascii_uppercase(), direction.to_ascii_uppercase());
                self.texts(
                    map.get(&format!("{direction}_captured_headers")),
                    &format!("OTEL_INSTRUMENTATION_HTTP_{upper_side}_CAPTURE_{upper}_HEADERS"),
                );
            }
            // Server and client share one list.
            const METHODS: &str = "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS";
            let before = self.find(METHODS);
            self.texts(map.get("known_methods"), METHODS);
            if let (Some(methods), Some(before)) = (map.get("known_methods"), before)
                && self.find(METHODS) != Some(before)
            {
                self.refuse(&methods, "the same as of the client: there is one list for both");
            }
        }
    }
}
