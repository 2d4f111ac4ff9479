//! Who is telling: the attributes that every span, metric and log record of this process shares.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use opentelemetry::{Key, KeyValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_semantic_conventions::SCHEMA_URL;
use opentelemetry_semantic_conventions::resource as name;
use uuid::Uuid;

use crate::Config;

/// The resource of this process: what is detected, over it `OTEL_RESOURCE_ATTRIBUTES`, over it the service's own
/// names ([`crate::config::Service`] says which of their sources wins).
///
/// Empty values are left out, so `OTEL_RESOURCE_ATTRIBUTES=host.name=` hides the host. The command line is never
/// part of it: it may hold secrets.
pub(crate) fn resource(config: &Config) -> Resource {
    let service = &config.service;
    let mut attributes = detected();
    attributes.insert(name::DEPLOYMENT_ENVIRONMENT_NAME.into(), config.environment.clone().into());
    for (key, value) in &service.resource_attributes {
        attributes.insert(key.clone().into(), value.clone().into());
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

/// What the process can tell of itself and its host without starting another program.
fn detected() -> BTreeMap<Key, Value> {
    let host_name = gethostname::gethostname().to_string_lossy().into_owned();
    let executable = std::env::current_exe().ok();
    let executable = executable.as_deref().and_then(|path| path.file_name());
    let executable = executable.map(|file| file.to_string_lossy().into_owned()).unwrap_or_default();
    let attributes: [(&'static str, Value); 9] = [
        (name::SERVICE_INSTANCE_ID, INSTANCE_ID.to_string().into()),
        (name::HOST_NAME, host_name.into()),
        (name::HOST_ARCH, host_arch(std::env::consts::ARCH).into()),
        (name::OS_TYPE, os_type(std::env::consts::OS).into()),
        (name::PROCESS_PID, i64::from(std::process::id()).into()),
        (name::PROCESS_EXECUTABLE_NAME, executable.into()),
        // Rust has no runtime whose version could be asked; the conventions name the compiler.
        (name::PROCESS_RUNTIME_NAME, "rustc".into()),
        (name::TELEMETRY_DISTRO_NAME, env!("CARGO_PKG_NAME").into()),
        (name::TELEMETRY_DISTRO_VERSION, env!("CARGO_PKG_VERSION").into()),
    ];
    attributes.into_iter().map(|(key, value)| (Key::from_static_str(key), value)).collect()
}

/// One process, one instance, however many configurations it reads.
static INSTANCE_ID: LazyLock<Uuid> = LazyLock::new(Uuid::new_v4);

/// The conventions' names for what Rust calls otherwise.
fn host_arch(arch: &'static str) -> &'static str {
    match arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "arm" => "arm32",
        "powerpc" => "ppc32",
        "powerpc64" => "ppc64",
        other => other,
    }
}

/// The conventions' names for what Rust calls otherwise.
fn os_type(os: &'static str) -> &'static str {
    match os {
        "macos" => "darwin",
        "dragonfly" => "dragonflybsd",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Env;

    fn read(variables: &[(&str, &str)]) -> Resource {
        let mut env = Env::of(variables.iter().copied());
        let config = Config::read("order-service", "1.2.3", &mut env);
        env.finish().expect("the variables are right");
        resource(&config)
    }

    fn text(resource: &Resource, key: &'static str) -> Option<String> {
        resource.get(&Key::from_static_str(key)).map(|value| value.to_string())
    }

    #[test]
    fn a_service_is_named_without_any_variable() {
        let resource = read(&[]);
        for (key, expected) in [
            ("service.name", "order-service"),
            ("service.version", "1.2.3"),
            ("deployment.environment.name", "development"),
            ("telemetry.sdk.name", "opentelemetry"),
            ("telemetry.sdk.language", "rust"),
            ("telemetry.distro.name", "telemetry-core"),
            ("process.runtime.name", "rustc"),
        ] {
            assert_eq!(text(&resource, key).as_deref(), Some(expected), "{key}");
        }
        assert_eq!(resource.schema_url(), Some(SCHEMA_URL));
    }

    #[test]
    fn the_process_and_its_host_are_detected() {
        let resource = read(&[]);
        let pid = resource.get(&Key::from_static_str("process.pid"));
        assert_eq!(pid, Some(Value::I64(i64::from(std::process::id()))));
        assert_eq!(text(&resource, "host.name"), gethostname::gethostname().to_str().map(str::to_owned));
        let executable = text(&resource, "process.executable.name").expect("the executable has a name");
        assert!(executable.starts_with("telemetry_core"), "{executable}");
        assert!(text(&resource, "host.arch").is_some());
        assert!(text(&resource, "os.type").is_some());
    }

    #[test]
    fn names_of_hosts_follow_the_conventions() {
        for (rust, conventions) in
            [("x86_64", "amd64"), ("aarch64", "arm64"), ("arm", "arm32"), ("s390x", "s390x")]
        {
            assert_eq!(host_arch(rust), conventions);
        }
        for (rust, conventions) in [("linux", "linux"), ("macos", "darwin"), ("windows", "windows")] {
            assert_eq!(os_type(rust), conventions);
        }
    }

    #[test]
    fn the_instance_id_is_a_random_uuid_that_stays_the_same_in_a_process() {
        let first = text(&read(&[]), "service.instance.id").expect("the instance has an id");
        assert_eq!(Uuid::parse_str(&first).map(|id| id.get_version_num()), Ok(4));
        assert_eq!(text(&read(&[]), "service.instance.id"), Some(first));
    }

    #[test]
    fn attributes_of_the_operator_win_over_detected_ones() {
        let resource = read(&[
            ("ENVIRONMENT", "production"),
            ("SERVICE_NAMESPACE", "shop"),
            ("AWS_REGION", "eu-west-1"),
            (
                "OTEL_RESOURCE_ATTRIBUTES",
                "deployment.environment.name=canary,host.name=node-7,team=a%2Cb,service.name=lost,\
                 service.instance.id=i-1",
            ),
            ("OTEL_SERVICE_NAME", "checkout"),
        ]);
        for (key, expected) in [
            ("deployment.environment.name", "canary"),
            ("host.name", "node-7"),
            ("team", "a,b"),
            ("service.name", "checkout"),
            ("service.namespace", "shop"),
            ("service.instance.id", "i-1"),
            ("cloud.region", "eu-west-1"),
        ] {
            assert_eq!(text(&resource, key).as_deref(), Some(expected), "{key}");
        }
    }

    #[test]
    fn empty_values_are_left_out() {
        let resource = read(&[("OTEL_RESOURCE_ATTRIBUTES", "host.name=,team=")]);
        for key in ["host.name", "team", "service.namespace", "cloud.region"] {
            assert_eq!(text(&resource, key), None, "{key}");
        }
    }

    #[test]
    fn the_command_line_is_not_part_of_it() {
        let resource = read(&[]);
        assert!(resource.iter().all(|(key, _)| !key.as_str().starts_with("process.command")));
    }
}
