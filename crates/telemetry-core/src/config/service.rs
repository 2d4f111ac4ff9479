//! Who is telling: the names that the resource is made from.

use std::cmp::Reverse;

use opentelemetry::Value;

use super::list::pairs;
use super::{Env, Orchestrator, Source, entities};
use crate::paths;

/// The identity of the process.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Service {
    /// `OTEL_SERVICE_NAME`, else `service.name` of `OTEL_RESOURCE_ATTRIBUTES`, else what the program says.
    pub name: String,
    /// `service.version` of `OTEL_RESOURCE_ATTRIBUTES`, else `APP_VERSION`, else what the program says.
    pub version: String,
    /// `service.namespace` of `OTEL_RESOURCE_ATTRIBUTES`, else `SERVICE_NAMESPACE`.
    pub namespace: Option<String>,
    /// `cloud.region` of `OTEL_RESOURCE_ATTRIBUTES`, else `AWS_REGION`.
    pub region: Option<String>,
    /// `OTEL_RESOURCE_ATTRIBUTES`: `key=value` pairs, percent-encoded. They win over whatever is detected, but
    /// not over `OTEL_SERVICE_NAME`. Before them, and weaker, the attributes of `OTEL_ENTITIES`, such as
    /// `k8s.pod{k8s.pod.uid=…}[k8s.pod.name=…]`: identifying and describing ones alike, since the SDK has no
    /// entities.
    pub resource_attributes: Vec<(String, Value)>,
    /// What is found out of the place where the process runs; everything, but where a file chooses
    /// (`resource.detection/development`).
    pub detection: Detection,
    /// What those who run the process tell it of the place where it runs.
    pub orchestrator: Orchestrator,
}

impl Service {
    pub(super) fn read(name: &str, version: &str, env: &mut Env) -> Self {
        let (entities, entities_source) = entities::read(env);
        let (attributes, source) = read_resource_attributes(env);
        // In a map the last one counts.
        let texts = [entities, attributes].concat().into_iter();
        let mut resource_attributes: Vec<(String, Value)> =
            texts.map(|(key, value)| (key, value.into())).collect();
        let mut source = source.max(entities_source);
        let mut detection = Detection::default();
        if let Some(file) = env.file() {
            let attributes = file.attributes.clone();
            detection = file.detection.clone();
            source = Source::File;
            if !attributes.is_empty() {
                let shown: Vec<String> =
                    attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
                env.record("resource.attributes", shown.join(","), Source::File);
            }
            resource_attributes.extend(attributes);
        }
        let attribute = |key: &str| {
            // The last one counts, as it does in a map.
            let found = resource_attributes
                .iter()
                .rev()
                .find(|(name, value)| name == key && !value.as_str().is_empty());
            found.map(|(_, value)| (value.as_str().into_owned(), source))
        };
        let said = |text: &str| Some((text.to_owned(), Source::Code));

        let name = strongest([env.find("OTEL_SERVICE_NAME"), attribute("service.name"), said(name)]);
        let version = strongest([attribute("service.version"), env.find("APP_VERSION"), said(version)]);
        let namespace = strongest([attribute("service.namespace"), env.find("SERVICE_NAMESPACE")]);
        let region = strongest([attribute("cloud.region"), env.find("AWS_REGION")]);

        let mut record = |variable: &str, found: Option<(String, Source)>| {
            found.map(|(value, source)| {
                env.record(variable, &value, source);
                value
            })
        };
        Self {
            name: record("OTEL_SERVICE_NAME", name).unwrap_or_default(),
            version: record("APP_VERSION", version).unwrap_or_default(),
            namespace: record("SERVICE_NAMESPACE", namespace),
            region: record("AWS_REGION", region),
            resource_attributes,
            detection,
            orchestrator: Orchestrator::read(env),
        }
    }
}

/// Which attributes of the place where the process runs are told.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Detection {
    /// Who looks.
    pub detectors: Vec<Detector>,
    /// Names of attributes, in which `*` stands for any characters: none but these.
    pub included: Vec<String>,
    /// And of these none.
    pub excluded: Vec<String>,
}

impl Default for Detection {
    /// Everything.
    fn default() -> Self {
        Self { detectors: Detector::ALL.to_vec(), included: vec!["*".to_owned()], excluded: Vec::new() }
    }
}

impl Detection {
    /// Nothing, as a file has it that says nothing of it.
    pub(super) fn none() -> Self {
        Self { detectors: Vec::new(), ..Self::default() }
    }

    /// Whether a detected attribute is told. What describes the library itself always is.
    pub(crate) fn keeps(&self, attribute: &str) -> bool {
        let is_any = |patterns: &[String]| patterns.iter().any(|pattern| paths::matches(pattern, attribute));
        let detector = Detector::ALL.into_iter().find(|one| one.finds(attribute));
        detector.is_none_or(|detector| {
            self.detectors.contains(&detector) && is_any(&self.included) && !is_any(&self.excluded)
        })
    }
}

/// Who finds out something of the place where the process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detector {
    /// `container.*`
    Container,
    /// `host.*` and `os.*`
    Host,
    /// `k8s.*`
    Kubernetes,
    /// `process.*`
    Process,
    /// `service.instance.id`
    Service,
}

impl Detector {
    const ALL: [Self; 5] = [Self::Container, Self::Host, Self::Kubernetes, Self::Process, Self::Service];

    /// By its name in the schema.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "container" => Some(Self::Container),
            "host" => Some(Self::Host),
            "kubernetes" => Some(Self::Kubernetes),
            "process" => Some(Self::Process),
            "service" => Some(Self::Service),
            _ => None,
        }
    }

    fn finds(self, attribute: &str) -> bool {
        let beginnings: &[&str] = match self {
            Self::Container => &["container."],
            Self::Host => &["host.", "os."],
            Self::Kubernetes => &["k8s."],
            Self::Process => &["process."],
            Self::Service => &["service.instance.id"],
        };
        beginnings.iter().any(|beginning| attribute.starts_with(beginning))
    }
}

/// The first of those that the environment gave, else the first of those that code gave.
fn strongest<const N: usize>(found: [Option<(String, Source)>; N]) -> Option<(String, Source)> {
    found.into_iter().flatten().min_by_key(|(_, source)| Reverse(*source))
}

fn read_resource_attributes(env: &mut Env) -> (Vec<(String, String)>, Source) {
    const NAME: &str = "OTEL_RESOURCE_ATTRIBUTES";
    let Some((text, source)) = env.find(NAME) else { return (Vec::new(), Source::Default) };
    env.record(NAME, &text, source);
    let attributes = env.parse_with(NAME, "key=value pairs separated by commas, percent-encoded", pairs);
    (attributes.unwrap_or_default(), source)
}
