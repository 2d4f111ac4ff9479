//! Who is telling: the names that the resource is made from.

use std::cmp::Reverse;

use super::list::pairs;
use super::{Env, Orchestrator, Source, entities};

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
    pub resource_attributes: Vec<(String, String)>,
    /// What those who run the process tell it of the place where it runs.
    pub orchestrator: Orchestrator,
}

impl Service {
    pub(super) fn read(name: &str, version: &str, env: &mut Env) -> Self {
        let (entities, entities_source) = entities::read(env);
        let (attributes, source) = read_resource_attributes(env);
        // In a map the last one counts.
        let resource_attributes = [entities, attributes].concat();
        let source = source.max(entities_source);
        let attribute = |key: &str| {
            // The last one counts, as it does in a map.
            let found =
                resource_attributes.iter().rev().find(|(name, value)| name == key && !value.is_empty());
            found.map(|(_, value)| (value.clone(), source))
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
            orchestrator: Orchestrator::read(env),
        }
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
