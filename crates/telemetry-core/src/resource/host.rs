//! The host: its name, kind and identity ("Host" of the resource conventions).

use opentelemetry::Value;
use opentelemetry_semantic_conventions::resource as name;

use super::Found;
use super::files::Files;
use crate::config::Orchestrator;

/// `is_contained` says that the files are a container's, not the host's.
pub(super) fn detect(files: &Files, told: &Orchestrator, is_contained: bool) -> Found {
    let cloud = Ec2::detect(files);
    let host_type = told.host_type.clone().or(cloud.instance_type);
    let id = cloud.instance_id.or_else(|| if is_contained { None } else { machine_id(files) });
    let mut found: Found = vec![(name::HOST_ARCH, arch(std::env::consts::ARCH).into())];
    found.extend(host_name(files).map(|host| (name::HOST_NAME, host.into())));
    found.extend(host_type.map(|kind| (name::HOST_TYPE, Value::from(kind))));
    found.extend(id.map(|id| (name::HOST_ID, Value::from(id))));
    found
}

/// The kernel's, where it tells it by a file, else by its call.
fn host_name(files: &Files) -> Option<String> {
    let called = || gethostname::gethostname().into_string().ok();
    files.value("/proc/sys/kernel/hostname").or_else(called)
}

/// The sources that the conventions name ("Non-privileged Machine ID Lookup"), in their order.
fn machine_id(files: &Files) -> Option<String> {
    ["/etc/machine-id", "/var/lib/dbus/machine-id"].into_iter().find_map(|path| {
        // Before the first boot ends it reads `uninitialized`.
        let is_id = |id: &String| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        files.value(path).filter(is_id)
    })
}

/// What the firmware of Amazon's machines tells everyone; of other clouds only their metadata service knows it.
#[derive(Default)]
struct Ec2 {
    instance_type: Option<String>,
    instance_id: Option<String>,
}

impl Ec2 {
    fn detect(files: &Files) -> Self {
        let dmi = |file: &str| files.value(&format!("/sys/class/dmi/id/{file}"));
        if dmi("sys_vendor").as_deref() != Some("Amazon EC2") {
            return Self::default();
        }
        Self {
            instance_type: dmi("product_name"),
            instance_id: dmi("board_asset_tag").filter(|tag| tag.starts_with("i-")),
        }
    }
}

/// The conventions' names for what Rust calls otherwise.
fn arch(arch: &'static str) -> &'static str {
    match arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "arm" => "arm32",
        "powerpc" => "ppc32",
        "powerpc64" => "ppc64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::files::tests::{Machine, text};

    const ID: &str = "3d1219c7c4c5404aaa1f6d2a48adfda4";

    fn of(files: &[(&str, &str)]) -> Found {
        detect(&Machine::with(files).files(), &Orchestrator::default(), false)
    }

    #[test]
    fn the_name_is_the_kernels() {
        let found = of(&[("/proc/sys/kernel/hostname", "node-7\n")]);
        assert_eq!(text(&found, "host.name").as_deref(), Some("node-7"));
        // And where there is no such file, that of this machine.
        assert_eq!(text(&of(&[]), "host.name"), gethostname::gethostname().to_str().map(str::to_owned));
    }

    #[test]
    fn the_id_is_the_machine_id_or_the_one_of_d_bus() {
        let other = "b08dfa6083e7567a1921a715000001fb";
        for (files, expected) in [
            (&[("/etc/machine-id", ID), ("/var/lib/dbus/machine-id", other)][..], Some(ID)),
            (&[("/etc/machine-id", "uninitialized\n"), ("/var/lib/dbus/machine-id", other)], Some(other)),
            (&[("/etc/machine-id", "")], None),
            (&[], None),
        ] {
            assert_eq!(text(&of(files), "host.id").as_deref(), expected, "{files:?}");
        }
    }

    #[test]
    fn a_containers_machine_id_is_not_the_hosts() {
        let machine = Machine::with(&[("/etc/machine-id", ID)]);
        let found = detect(&machine.files(), &Orchestrator::default(), true);
        assert_eq!(text(&found, "host.id"), None);
    }

    #[test]
    fn amazons_machines_tell_their_type_and_id_also_to_containers() {
        let dmi = [
            ("/sys/class/dmi/id/sys_vendor", "Amazon EC2\n"),
            ("/sys/class/dmi/id/product_name", "m7g.large\n"),
            ("/sys/class/dmi/id/board_asset_tag", "i-0abcdef0123456789\n"),
            ("/etc/machine-id", ID),
        ];
        let machine = Machine::with(&dmi);
        for is_contained in [true, false] {
            let found = detect(&machine.files(), &Orchestrator::default(), is_contained);
            assert_eq!(text(&found, "host.type").as_deref(), Some("m7g.large"));
            assert_eq!(text(&found, "host.id").as_deref(), Some("i-0abcdef0123456789"));
        }
        let mut elsewhere = dmi;
        elsewhere[0].1 = "QEMU";
        let found = of(&elsewhere);
        assert_eq!(text(&found, "host.type"), None);
        assert_eq!(text(&found, "host.id").as_deref(), Some(ID));
    }

    #[test]
    fn a_type_that_is_told_wins() {
        let told = Orchestrator { host_type: Some("large".to_owned()), ..Orchestrator::default() };
        let found = detect(&Machine::with(&[]).files(), &told, false);
        assert_eq!(text(&found, "host.type").as_deref(), Some("large"));
    }

    #[test]
    fn architectures_follow_the_conventions() {
        for (rust, conventions) in
            [("x86_64", "amd64"), ("aarch64", "arm64"), ("arm", "arm32"), ("s390x", "s390x")]
        {
            assert_eq!(arch(rust), conventions);
        }
    }
}
