//! What was emitted against a registry.

use std::collections::BTreeSet;

use trace_viewer::model::{
    Attributes, LogRecord, Metric, MetricData, Number, Resource, Span, SpanKind, SpanStatus, Value,
};

use super::conditions::{self, Owner};
use super::older;
use super::registry::{Kind, Member, MemberValue, Registry, Requirement, Resolved};

/// Stands alone on the series that sums up those beyond a metric's limit (SDK specification, "Overflow attribute").
const OVERFLOW: &str = "otel.metric.overflow";

/// Collects what breaks the contract, each finding once, and what was seen at all.
pub(crate) struct Check<'a> {
    registry: &'a Registry,
    /// Whether the system was asked for the names from before the conventions were stable.
    has_older_names: bool,
    pub(crate) violations: BTreeSet<String>,
    /// The names of spans, events, metrics and attributes.
    pub(crate) seen: BTreeSet<String>,
}

impl<'a> Check<'a> {
    pub(crate) fn new(registry: &'a Registry) -> Self {
        Self { registry, has_older_names: false, violations: BTreeSet::new(), seen: BTreeSet::new() }
    }

    pub(crate) fn with_older_names(registry: &'a Registry) -> Self {
        Self { has_older_names: true, ..Self::new(registry) }
    }

    pub(crate) fn resource(&mut self, resource: &Resource) {
        let place = format!("the resource of {}", resource.service());
        let group = self.registry.group("attributes.resource");
        self.attributes(&place, group, &resource.attributes, Owner::Other, false);
    }

    pub(crate) fn span(&mut self, span: &Span) {
        let has = |name| span.attributes.contains_key(name);
        // Ours extend the conventions' groups by what we add.
        let system = span.attribute("db.system.name").and_then(Value::as_str);
        let (owner, group, name) = match (span.kind, system) {
            (SpanKind::Server, _) => {
                (Owner::HttpServer, "http.server.request", http_name(span, "http.route"))
            }
            (SpanKind::Client, Some("postgresql")) => (Owner::Database, "db.postgresql.query", db_name(span)),
            (SpanKind::Client, Some("sqlite")) => (Owner::Database, "db.sqlite.query", db_name(span)),
            (SpanKind::Client, _) => {
                (Owner::HttpClient, "http.client.request", http_name(span, "url.template"))
            }
            (SpanKind::Consumer, _) if span.name.ends_with(" message") => {
                (Owner::Ours, "websocket.message", span.name.clone())
            }
            _ => (Owner::Ours, span.name.as_str(), span.name.clone()),
        };
        let place = format!("the {:?} span {group} of {}", span.kind, span.service);
        self.seen.insert(group.to_owned());
        if span.name != name {
            self.violation(&place, format!("is named {:?}, not {name:?}", span.name));
        }
        let resolved = self.registry.span(group);
        let kind = format!("{:?}", span.kind).to_lowercase();
        if let Some(expected) = resolved.as_ref().and_then(|group| group.span_kind.clone())
            && expected != kind
        {
            self.violation(&place, format!("is of kind {kind}, not {expected}"));
        }
        // What stands on spans of any kind.
        let anywhere = self.registry.group("attributes.any_span").unwrap_or_default();
        let resolved = resolved.map(|mut group| {
            group.attributes.extend(anywhere.attributes);
            group
        });
        let is_error = matches!(span.status, SpanStatus::Error { .. });
        self.attributes(&place, resolved, &span.attributes, owner, is_error);

        let must_tell = matches!(span.kind, SpanKind::Server | SpanKind::Client);
        if has("error.type") && !is_error {
            self.violation(&place, "has an error.type and no error status".to_owned());
        }
        if must_tell && is_error && !has("error.type") {
            self.violation(&place, "has an error status and no error.type".to_owned());
        }
        for event in &span.events {
            let place = format!("the event {:?} of {place}", event.name);
            self.seen.insert(event.name.clone());
            let group = self.registry.event(&event.name);
            let group = group.or_else(|| self.standard());
            self.attributes(&place, group, &event.attributes, Owner::Event, false);
        }
        for link in &span.links {
            let place = format!("a link of {place}");
            self.attributes(&place, Some(Resolved::default()), &link.attributes, Owner::Other, false);
        }
    }

    pub(crate) fn log_record(&mut self, record: &LogRecord) {
        let place = format!("the record {} of {}", record.scope.name, record.service);
        let group = match record.event_name.as_str() {
            "" => self.registry.group("attributes.log_record"),
            event => self.registry.event(event),
        };
        self.attributes(&place, group, &record.attributes, Owner::Event, false);
    }

    pub(crate) fn metric(&mut self, metric: &Metric) {
        let place = format!("the metric {} of {}", metric.name, metric.service);
        self.seen.insert(metric.name.clone());
        let instrument = match &metric.data {
            MetricData::Gauge { .. } => "gauge",
            MetricData::Sum { monotonic: true, .. } => "counter",
            MetricData::Sum { monotonic: false, .. } => "updowncounter",
            MetricData::Histogram { .. } | MetricData::ExponentialHistogram { .. } => "histogram",
            MetricData::Summary { .. } => "summary",
        };
        if let Some(older) = older::metric(&metric.name) {
            if !self.has_older_names {
                self.violation(&place, "is an older name, which nobody asked for".to_owned());
            }
            if (older.instrument, older.unit) != (instrument, &metric.unit) {
                self.violation(&place, format!("is a {instrument} in {:?}", metric.unit));
            }
            for name in metric.attributes.keys().filter(|name| !older::ON_METRICS.contains(&name.as_str())) {
                self.violation(&place, format!("has {name}, which older metrics have not"));
            }
            return;
        }
        let Some((group, resolved)) = self.registry.metric(&metric.name) else {
            if self.registry.should_know(&metric.name) {
                self.violation(&place, "is not in the registry".to_owned());
            }
            return;
        };
        if group.instrument.as_deref() != Some(instrument) {
            self.violation(&place, format!("is a {instrument}, not a {:?}", group.instrument));
        }
        if group.unit.as_deref() != Some(&metric.unit) {
            self.violation(&place, format!("has the unit {:?}, not {:?}", metric.unit, group.unit));
        }
        if group.brief.as_deref().map(str::trim) != Some(&metric.description) {
            self.violation(
                &place,
                format!("is described as {:?}, not {:?}", metric.description, group.brief),
            );
        }
        if let Some(kind) = group.value_type().filter(|kind| !has_values_of(kind, &metric.data)) {
            self.violation(&place, format!("has values that are no {kind}: {:?}", metric.data));
        }
        for exemplar in &metric.exemplars {
            let place = format!("an exemplar of {place}");
            self.attributes(&place, Some(Resolved::default()), &exemplar.attributes, Owner::Other, false);
        }
        if metric.attributes.len() == 1 && metric.attributes.get(OVERFLOW) == Some(&Value::Bool(true)) {
            return;
        }
        self.attributes(&place, Some(resolved), &metric.attributes, Owner::Metric, false);
    }

    /// The group for what the conventions alone know, where their model is not at hand.
    fn standard(&self) -> Option<Resolved> {
        (!self.registry.has_model()).then(|| Resolved { is_open: true, ..Resolved::default() })
    }

    fn attributes(
        &mut self,
        place: &str,
        group: Option<Resolved>,
        attributes: &Attributes,
        owner: Owner,
        has_failed: bool,
    ) {
        let Some(group) = group else {
            return self.violation(place, "is not in the registry".to_owned());
        };
        for (name, value) in attributes {
            self.seen.insert(name.clone());
            match older::attribute(name) {
                Some(kind) => self.older_attribute(place, owner, name, kind, value),
                None => self.attribute(place, &group, name, value),
            }
        }
        for (name, requirement) in &group.attributes {
            let is_there = attributes.contains_key(name);
            let wanted = match requirement {
                Requirement::Required => Some(true),
                Requirement::Conditional => conditions::holds(name, owner, attributes, has_failed),
                Requirement::Optional => None,
            };
            match wanted {
                Some(true) if !is_there => self.violation(place, format!("lacks {name}")),
                Some(false) if is_there => {
                    self.violation(place, format!("has {name}, for which there is no reason"));
                }
                _ => {}
            }
        }
    }

    fn older_attribute(&mut self, place: &str, owner: Owner, name: &str, kind: &str, value: &Value) {
        if !self.has_older_names || !matches!(owner, Owner::HttpServer | Owner::HttpClient) {
            self.violation(place, format!("has {name}, an older name, which nobody asked for"));
        }
        if !is_of(kind, value) {
            self.violation(place, format!("has {name} = {value:?}, which is no {kind}"));
        }
    }

    fn attribute(&mut self, place: &str, group: &Resolved, name: &str, value: &Value) {
        let found = self.registry.attribute(name);
        let listed = |name: &str| group.attributes.contains_key(name);
        let mut prefixes = name.match_indices('.').map(|(dot, _)| &name[..dot]);
        let is_listed =
            listed(name) || found.is_some_and(|found| found.is_template()) && prefixes.any(listed);
        let may_be_theirs = group.is_open && !self.registry.should_know(name);
        if !is_listed && !may_be_theirs {
            self.violation(place, format!("has {name}, which its group does not list"));
        }
        let Some(found) = found else {
            if self.registry.should_know(name) {
                self.violation(place, format!("has {name}, which no registry knows"));
            }
            return;
        };
        if found.is_deprecated {
            self.violation(place, format!("has {name}, which is deprecated"));
        }
        if !fits(name, &found.kind, value) {
            self.violation(place, format!("has {name} = {value:?}, which does not fit {:?}", found.kind));
        }
    }

    fn violation(&mut self, place: &str, what: String) {
        self.violations.insert(format!("{place} {what}"));
    }
}

/// `{method} {target}`, or the method alone; `HTTP` where the method is unknown.
fn http_name(span: &Span, target: &str) -> String {
    let text = |name| span.attribute(name).and_then(Value::as_str);
    let method = match text("http.request.method") {
        Some("_OTHER") => "HTTP",
        method => method.unwrap_or_default(),
    };
    text(target).map_or(method.to_owned(), |target| format!("{method} {target}"))
}

fn db_name(span: &Span) -> String {
    let text = |name| span.attribute(name).and_then(Value::as_str);
    text("db.query.summary").unwrap_or_default().to_owned()
}

/// Whether the points are of the type, as far as they show it: the sum of a histogram is a double on the wire, whose
/// fraction gives away that its measurements were none of whole numbers.
fn has_values_of(kind: &str, data: &MetricData) -> bool {
    match data {
        MetricData::Gauge { value } | MetricData::Sum { value, .. } => match value {
            Number::Int(_) => kind == "int",
            Number::Double(_) => kind == "double",
        },
        MetricData::Histogram { sum, .. } | MetricData::ExponentialHistogram { sum, .. } => {
            kind == "double" || sum.is_none_or(|sum| sum.fract() == 0.0)
        }
        MetricData::Summary { .. } => false,
    }
}

/// Whether the value is of the type. The listed values of an enum are all there are, but for
/// `error.type`, whose list the conventions leave to each instrumentation; our messaging system is none of those they list.
fn fits(name: &str, kind: &Kind, value: &Value) -> bool {
    match kind {
        Kind::Enum { .. } if name == "error.type" => matches!(value, Value::String(_)),
        Kind::Enum { .. } if name == "messaging.system" => *value == Value::String("outbox".to_owned()),
        Kind::Enum { members } => {
            let is_it = |member: &&Member| match &member.value {
                MemberValue::Int(number) => value == number,
                MemberValue::String(text) => value == text.as_str(),
            };
            members.iter().find(is_it).is_some_and(|member| member.deprecated.is_none())
        }
        Kind::Plain(kind) => {
            let kind = kind.strip_prefix("template[").and_then(|kind| kind.strip_suffix(']')).unwrap_or(kind);
            match (kind.strip_suffix("[]"), value) {
                (Some(kind), Value::Array(items)) => items.iter().all(|item| is_of(kind, item)),
                (Some(_), _) => false,
                (None, value) => is_of(kind, value),
            }
        }
    }
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "string" => matches!(value, Value::String(_)),
        "int" => matches!(value, Value::Int(_)),
        "double" => matches!(value, Value::Double(_)),
        "boolean" => matches!(value, Value::Bool(_)),
        _ => kind == "any",
    }
}
