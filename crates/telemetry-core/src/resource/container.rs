//! The container ("Container" of the resource conventions).

use opentelemetry::{Array, StringValue, Value};
use opentelemetry_semantic_conventions::resource as name;

use super::Found;
use super::files::Files;
use super::mounts::Mounts;
use crate::config::Orchestrator;

/// `is_in_pod` says that Kubernetes runs the process.
pub(super) fn detect(files: &Files, told: &Orchestrator, is_in_pod: bool) -> Found {
    let mut found = Found::new();
    found.extend(id(files, is_in_pod).map(|id| (name::CONTAINER_ID, Value::from(id))));
    found.extend(told.container_name.clone().map(|container| (name::CONTAINER_NAME, Value::from(container))));
    if let Some(image) = &told.container_image {
        found.extend(image_of(image));
    }
    found
}

/// Whether runtimes left their marks for whoever asks.
pub(super) fn is_marked(files: &Files) -> bool {
    files.has("/.dockerenv") || files.has("/run/.containerenv")
}

/// The runtime's id. Control groups name it, in both their versions, where they are those of the host; where they are
/// the container's own (the rule with version 2), only what the runtime mounted for it does.
fn id(files: &Files, is_in_pod: bool) -> Option<String> {
    let groups = files.text("/proc/self/cgroup").unwrap_or_default();
    let from_groups = groups.lines().find_map(|line| line.splitn(3, ':').nth(2).and_then(id_of_group));
    if let Some(id) = from_groups {
        return Some(id.to_owned());
    }
    // In a pod these files are its sandbox's, which is another container.
    if is_in_pod { None } else { id_of_mounts(&Mounts::read(files)).map(str::to_owned) }
}

/// The innermost one in the path of a control group: alone, or as in `docker-ID.scope`,
/// `cri-containerd-ID.scope`, `kubepods-podUID.slice:cri-containerd:ID`.
fn id_of_group(path: &str) -> Option<&str> {
    path.rsplit('/').find_map(|group| {
        let group = group.strip_suffix(".scope").unwrap_or(group);
        if is_of_fargate(group) {
            return Some(group);
        }
        group.rsplit(['-', ':']).next().filter(|id| is_id(id))
    })
}

/// Docker, containerd's nerdctl and Podman mount a file from the container's own folder, `…/containers/ID/hostname`
/// or `…/overlay-containers/ID/userdata/hostname`. (Its neighbours `hosts` and `resolv.conf` may be another
/// container's, whose network it shares.)
fn id_of_mounts(mounts: &Mounts) -> Option<&str> {
    let mut folders = mounts.source("/etc/hostname")?.split('/');
    folders.find(|folder| folder.ends_with("containers"))?;
    folders.find(|folder| is_id(folder))
}

fn is_id(text: &str) -> bool {
    text.len() == 64 && is_hexadecimal(text)
}

/// Amazon's Fargate counts the containers of a task: `TASK-NUMBER`.
fn is_of_fargate(text: &str) -> bool {
    text.split_once('-').is_some_and(|(task, number)| {
        let is_number = (5..=20).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
        task.len() == 32 && is_hexadecimal(task) && is_number
    })
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// `NAME[:TAG][@DIGEST]`, where the name may begin with a registry's `HOST:PORT`.
fn image_of(reference: &str) -> Found {
    let (tagged, digest) = match reference.split_once('@') {
        Some((tagged, digest)) => (tagged, Some(digest)),
        None => (reference, None),
    };
    let (image, tag) = match tagged.rsplit_once(':') {
        Some((image, tag)) if !tag.contains('/') => (image, Some(tag)),
        _ => (tagged, None),
    };
    let one = |text: String| Value::Array(Array::String(vec![StringValue::from(text)]));
    let mut found: Found = vec![(name::CONTAINER_IMAGE_NAME, image.to_owned().into())];
    found.extend(tag.map(|tag| (name::CONTAINER_IMAGE_TAGS, one(tag.to_owned()))));
    found.extend(digest.map(|digest| (name::CONTAINER_IMAGE_REPO_DIGESTS, one(format!("{image}@{digest}")))));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::files::tests::{Machine, text};

    const ID: &str = "7be92808767a667f35c8505cbf40d14e931ef6db5b0210329cf193b15ba9d605";
    const OTHER: &str = "dc64b5743252dbaef6e30521c34d6bbd1620c8ce65bdb7bf9e7143b61bb5b183";
    const POD: &str = "podc0eb0d9f-2a3b-4c5d-8e7f-0123456789ab";

    fn id_of(files: &[(&str, &str)], is_in_pod: bool) -> Option<String> {
        text(&detect(&Machine::with(files).files(), &Orchestrator::default(), is_in_pod), "container.id")
    }

    #[test]
    fn control_groups_of_both_versions_tell_the_id() {
        for group in [
            format!("13:name=systemd:/docker/{ID}\n12:pids:/docker/{ID}\n"),
            format!("2:cpu:/\n1:name=systemd:/kubepods/besteffort/{POD}/{ID}\n"),
            format!("0::/system.slice/docker-{ID}.scope\n"),
            format!("0::/system.slice/docker-{ID}.scope/init\n"),
            format!("0::/machine.slice/libpod-{ID}.scope/container\n"),
            format!("0::/kubepods.slice/kubepods-{}.slice/cri-containerd-{ID}.scope", POD.replace('-', "_")),
            format!("0::/kubepods.slice/kubepods-burstable.slice/crio-{ID}.scope\n"),
            format!("1:cpuset:/system.slice/containerd.service/kubepods-{POD}.slice:cri-containerd:{ID}\n"),
            format!("9:perf_event:/ecs/55091c13-b8cf-4801-b527-f4601742204d/{ID}\n"),
            // A container in a container is the inner one.
            format!("1:cpu:/docker/{OTHER}/docker/{ID}\n"),
        ] {
            for is_in_pod in [true, false] {
                assert_eq!(
                    id_of(&[("/proc/self/cgroup", &group)], is_in_pod).as_deref(),
                    Some(ID),
                    "{group}"
                );
            }
        }
        let fargate =
            "10:pids:/ecs/34dc0b5e626f2c5c4c5170e34b10e765/34dc0b5e626f2c5c4c5170e34b10e765-1234567890\n";
        let id = id_of(&[("/proc/self/cgroup", fargate)], false);
        assert_eq!(id.as_deref(), Some("34dc0b5e626f2c5c4c5170e34b10e765-1234567890"));
    }

    #[test]
    fn what_is_no_id_is_not_taken_for_one() {
        for group in [
            "0::/".to_owned(),
            "0::/user.slice/user-1000.slice/session-3.scope".to_owned(),
            // An id is 64 digits, all lower case.
            format!("0::/docker/{}", &ID[1..]),
            format!("0::/docker/{ID}0"),
            format!("0::/docker/{}", ID.to_uppercase()),
            format!("0::/x{ID}"),
            "1:cpu:/lxc/34dc0b5e626f2c5c4c5170e34b10e765".to_owned(),
            "no colons".to_owned(),
            String::new(),
        ] {
            assert_eq!(id_of(&[("/proc/self/cgroup", &group)], false), None, "{group}");
        }
    }

    #[test]
    fn mounts_tell_the_id_where_the_control_groups_are_the_containers_own() {
        for source in [
            format!("/var/lib/docker/containers/{ID}/hostname"),
            format!("/docker/containers/{ID}/hostname"),
            format!("/var/lib/nerdctl/1935db59/containers/default/{ID}/hostname"),
            format!("/containers/overlay-containers/{ID}/userdata/hostname"),
        ] {
            let mounts = format!(
                "1 2 0:9 / / rw - overlay overlay rw,upperdir=/var/lib/docker/overlay2/{OTHER}/diff\n\
                 1740 1715 254:1 /var/lib/docker/containers/{OTHER}/hosts /etc/hosts rw - ext4 /dev/vda1 rw\n\
                 1741 1715 254:1 {source} /etc/hostname rw,relatime - ext4 /dev/vda1 rw\n"
            );
            let files = [("/proc/self/cgroup", "0::/\n"), ("/proc/self/mountinfo", &mounts)];
            assert_eq!(id_of(&files, false).as_deref(), Some(ID), "{source}");
            assert_eq!(id_of(&files, true), None, "in a pod it is the sandbox's");
        }
    }

    #[test]
    fn mounts_of_other_things_tell_no_id() {
        for source in [
            "/etc/hostname".to_owned(),
            // containerd's sandbox.
            format!("/var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/{ID}/hostname"),
            format!("/{ID}/containers/hostname"),
            "/var/lib/docker/containers/short/hostname".to_owned(),
        ] {
            let mounts = format!("1741 1715 254:1 {source} /etc/hostname rw - ext4 /dev/vda1 rw\nbroken\n\n");
            assert_eq!(id_of(&[("/proc/self/mountinfo", &mounts)], false), None, "{source}");
        }
    }

    #[test]
    fn an_image_is_told_by_its_parts() {
        let digest = "sha256:afcc7f1ac1b49db317a7196c902e61c6c3c4607d63599ee1a82d702d249a0ccb";
        let with_digest = format!("registry.example.com:5000/shop/order@{digest}");
        let with_both = format!("shop/order:1.2@{digest}");
        for (image, expected_name, tags, digests) in [
            ("order", "order", None, None),
            ("registry.example.com:5000/shop/order", "registry.example.com:5000/shop/order", None, None),
            (
                "registry.example.com:5000/shop/order:1.2",
                "registry.example.com:5000/shop/order",
                Some("1.2"),
                None,
            ),
            (&with_digest, "registry.example.com:5000/shop/order", None, Some(with_digest.clone())),
            (&with_both, "shop/order", Some("1.2"), Some(format!("shop/order@{digest}"))),
        ] {
            let told = Orchestrator { container_image: Some(image.to_owned()), ..Orchestrator::default() };
            let found = detect(&Machine::with(&[]).files(), &told, false);
            let listed = |value: &str| format!("[\"{value}\"]");
            assert_eq!(text(&found, "container.image.name").as_deref(), Some(expected_name));
            assert_eq!(text(&found, "container.image.tags"), tags.map(listed), "{image}");
            let digests = digests.as_deref().map(listed);
            assert_eq!(text(&found, "container.image.repo_digests"), digests, "{image}");
        }
    }

    #[test]
    fn runtimes_mark_their_containers() {
        assert!(is_marked(&Machine::with(&[("/.dockerenv", "")]).files()));
        assert!(is_marked(&Machine::with(&[("/run/.containerenv", "")]).files()));
        assert!(!is_marked(&Machine::with(&[("/etc/hostname", "x")]).files()));
    }
}
