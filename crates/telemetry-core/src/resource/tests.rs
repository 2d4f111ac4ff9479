//! The resource as a whole; what each detector finds is tested beside it.

use proptest::prelude::*;

use super::files::tests::Machine;
use super::*;
use crate::config::Env;

fn config(variables: &[(&str, &str)]) -> Config {
    let mut env = Env::of(variables.iter().copied());
    let config = Config::read("order-service", "1.2.3", &mut env);
    env.finish().expect("the variables are right");
    config
}

fn read(variables: &[(&str, &str)]) -> Resource {
    resource(&config(variables))
}

fn on(machine: &Machine, variables: &[(&str, &str)]) -> Resource {
    resource_below(machine.root(), &config(variables))
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
    for key in ["process.executable.name", "host.arch", "os.type"] {
        assert!(text(&resource, key).is_some(), "{key}");
    }
}

const ID: &str = "7be92808767a667f35c8505cbf40d14e931ef6db5b0210329cf193b15ba9d605";
const UID: &str = "c0eb0d9f-2a3b-4c5d-8e7f-0123456789ab";
const MACHINE_ID: (&str, &str) = ("/etc/machine-id", "3d1219c7c4c5404aaa1f6d2a48adfda4");

#[test]
fn a_pod_is_told_whole() {
    let mounts = format!("3 1 8:1 /var/lib/kubelet/pods/{UID}/etc-hosts /etc/hosts rw - ext4 /dev/sda1 rw\n");
    let group = format!("0::/kubepods.slice/kubepods-besteffort.slice/cri-containerd-{ID}.scope\n");
    let machine = Machine::with(&[
        ("/var/run/secrets/kubernetes.io/serviceaccount/namespace", "shop"),
        ("/proc/self/mountinfo", &mounts),
        ("/proc/self/cgroup", &group),
        ("/proc/sys/kernel/hostname", "order-5d69f8c8cd-x7k2p\n"),
        MACHINE_ID,
    ]);
    let resource = on(
        &machine,
        &[
            ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
            ("POD_NAME", "order-5d69f8c8cd-x7k2p"),
            ("K8S_NODE_NAME", "node-7"),
            ("CONTAINER_NAME", "order"),
            ("CONTAINER_IMAGE", "shop/order:1.2"),
            ("OTEL_RESOURCE_ATTRIBUTES", "k8s.node.name=told,k8s.pod.uid="),
        ],
    );
    for (key, expected) in [
        ("k8s.namespace.name", Some("shop")),
        ("k8s.pod.name", Some("order-5d69f8c8cd-x7k2p")),
        ("k8s.deployment.name", Some("order")),
        ("k8s.container.name", Some("order")),
        ("k8s.node.name", Some("told")),
        ("k8s.pod.uid", None),
        ("container.id", Some(ID)),
        ("container.name", Some("order")),
        ("container.image.name", Some("shop/order")),
        ("container.image.tags", Some("[\"1.2\"]")),
        ("host.name", Some("order-5d69f8c8cd-x7k2p")),
        ("host.id", None),
    ] {
        assert_eq!(text(&resource, key).as_deref(), expected, "{key}");
    }
}

#[test]
fn the_machine_id_is_the_hosts_only_outside_of_containers() {
    let group = format!("0::/system.slice/docker-{ID}.scope\n");
    for (mark, is_contained) in [
        (("/etc/hostname", "x"), false),
        (("/.dockerenv", ""), true),
        (("/proc/self/cgroup", group.as_str()), true),
        (("/var/run/secrets/kubernetes.io/serviceaccount/namespace", "shop"), true),
    ] {
        let found = text(&on(&Machine::with(&[MACHINE_ID, mark]), &[]), "host.id");
        assert_eq!(found.is_none(), is_contained, "{mark:?}");
    }
}

#[test]
fn a_machine_that_tells_nothing_hides_no_name_of_the_service() {
    let resource = on(&Machine::with(&[]), &[]);
    assert_eq!(text(&resource, "service.name").as_deref(), Some("order-service"));
    for key in ["host.id", "os.name", "container.id", "k8s.namespace.name", "process.creation.time"] {
        assert_eq!(text(&resource, key), None, "{key}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_content_of_the_files_stops_a_start(text in "(\\PC|[\n\0 /:=\"'@-]|pod|containers){0,200}") {
        let paths = [
            "/proc/self/cgroup",
            "/proc/self/mountinfo",
            "/proc/self/stat",
            "/proc/stat",
            "/proc/sys/kernel/hostname",
            "/proc/sys/kernel/osrelease",
            "/etc/os-release",
            "/etc/machine-id",
            "/var/run/secrets/kubernetes.io/serviceaccount/namespace",
        ];
        let machine = Machine::with(&paths.map(|path| (path, text.as_str())));
        let orchestrator = Orchestrator {
            container_image: Some(text.clone()),
            kubernetes: crate::config::Kubernetes { pod_name: Some(text.clone()), ..Default::default() },
            ..Orchestrator::default()
        };
        let mut config = config(&[]);
        config.service.orchestrator = orchestrator;
        let resource = resource_below(machine.root(), &config);
        prop_assert_eq!(resource.get(&Key::from_static_str("service.name")), Some("order-service".into()));
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
fn neither_the_command_line_nor_a_person_is_part_of_it() {
    const NEVER: [&str; 5] = [
        "process.command",
        "process.executable.path",
        "process.owner",
        "process.working_directory",
        "process.user",
    ];
    for (key, _) in read(&[]).iter() {
        assert!(!NEVER.iter().any(|never| key.as_str().starts_with(never)), "{key}");
    }
}
