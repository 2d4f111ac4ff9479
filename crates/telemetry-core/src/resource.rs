//! Who is telling: the attributes that every span, metric and log record of this process shares.
//!
//! They come from the configuration and from files, and from what the kernel tells a process of itself. No program is
//! run for them, nothing is waited for, and what cannot be read is left out.

mod container;
mod files;
mod host;
mod kubernetes;
mod mounts;
mod os;
mod process;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use opentelemetry::{Key, KeyValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_semantic_conventions::SCHEMA_URL;
use opentelemetry_semantic_conventions::resource as name;
use uuid::Uuid;

use crate::Config;
use crate::config::Orchestrator;
use files::Files;

/// Attributes as a detector finds them.
type Found = Vec<(&'static str, Value)>;

/// The resource of this process: what is detected, over it `OTEL_RESOURCE_ATTRIBUTES`, over it the service's own
/// names ([`crate::config::Service`] says which of their sources wins).
///
/// Empty values are left out, so `OTEL_RESOURCE_ATTRIBUTES=host.name=` hides the host.
pub(crate) fn resource(config: &Config) -> Resource {
    resource_below(Path::new("/"), config)
}

/// The same of a machine whose files are below this folder.
fn resource_below(root: &Path, config: &Config) -> Resource {
    let service = &config.service;
    let mut attributes: BTreeMap<Key, Value> = detected(&Files::below(root), &service.orchestrator)
        .into_iter()
        .filter(|(key, _)| service.detection.keeps(key))
        .map(|(key, value)| (Key::from_static_str(key), value))
        .collect();
    attributes.insert(name::DEPLOYMENT_ENVIRONMENT_NAME.into(), config.environment.clone().into());
    for (key, value) in &service.resource_attributes {
        attributes.insert(key.clone().into(), value.clone());
    }
    let own = [
        (name::SERVICE_NAME, Some(&service.name)),
        (name::SERVICE_VERSION, Some(&service.version)),
        (name::SERVICE_NAMESPACE, service.namespace.as_ref()),
        (name::CLOUD_REGION, service.region.as_ref()),
    ];
    for (key, value) in own {
        if let Some(value) = value {
            attributes.insert(key.into(), value.clone().into());
        }
    }
    attributes.retain(|_, value| !value.as_str().is_empty());

    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_schema_url(
            attributes.into_iter().map(|(key, value)| KeyValue::new(key, value)).collect::<Vec<_>>(),
            SCHEMA_URL,
        )
        .build()
}

/// Everything that can be found out.
fn detected(files: &Files, told: &Orchestrator) -> Found {
    let kubernetes = kubernetes::detect(files, &told.kubernetes);
    let container = container::detect(files, told, !kubernetes.is_empty());
    let has_id = container.iter().any(|(key, _)| *key == name::CONTAINER_ID);
    let is_contained = has_id || !kubernetes.is_empty() || container::is_marked(files);
    let mut found: Found = vec![
        (name::SERVICE_INSTANCE_ID, INSTANCE_ID.to_string().into()),
        (name::TELEMETRY_DISTRO_NAME, env!("CARGO_PKG_NAME").into()),
        (name::TELEMETRY_DISTRO_VERSION, env!("CARGO_PKG_VERSION").into()),
    ];
    found.extend(host::detect(files, told, is_contained));
    found.extend(os::detect(files));
    found.extend(process::detect(files));
    found.extend(container);
    found.extend(kubernetes);
    found
}

/// One process, one instance, however many configurations it reads.
static INSTANCE_ID: LazyLock<Uuid> = LazyLock::new(Uuid::new_v4);

#[cfg(test)]
mod tests;
