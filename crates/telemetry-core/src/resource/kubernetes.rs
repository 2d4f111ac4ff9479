//! The pod ("Kubernetes" of the resource conventions): by the variables of the downward API, else by what every pod's
//! files tell.

use opentelemetry::Value;
use opentelemetry_semantic_conventions::resource as name;
use uuid::Uuid;

use super::Found;
use super::files::Files;
use super::mounts::Mounts;
use crate::config::Kubernetes;

/// Nothing outside of a pod.
pub(super) fn detect(files: &Files, told: &Kubernetes) -> Found {
    let mounts = Mounts::read(files);
    let deployment = told.deployment_name.clone();
    let deployment =
        deployment.or_else(|| told.pod_name.as_deref().and_then(deployment_of).map(str::to_owned));
    let namespace = || files.value("/var/run/secrets/kubernetes.io/serviceaccount/namespace");
    let found = [
        (name::K8S_CLUSTER_NAME, told.cluster_name.clone()),
        (name::K8S_NAMESPACE_NAME, told.namespace_name.clone().or_else(namespace)),
        (name::K8S_POD_NAME, told.pod_name.clone()),
        (name::K8S_POD_UID, told.pod_uid.clone().or_else(|| pod_uid(files, &mounts))),
        (name::K8S_NODE_NAME, told.node_name.clone()),
        (name::K8S_CONTAINER_NAME, told.container_name.clone().or_else(|| container_name(&mounts))),
        (name::K8S_DEPLOYMENT_NAME, deployment),
    ];
    found.into_iter().filter_map(|(name, value)| value.map(|value| (name, Value::from(value)))).collect()
}

/// The kubelet mounts `…/pods/UID/etc-hosts`; the control groups of the host name it `podUID`.
fn pod_uid(files: &Files, mounts: &Mounts) -> Option<String> {
    let pod =
        mounts.source("/etc/hosts").and_then(|source| uid_of_folder(source.strip_suffix("/etc-hosts")?));
    if let Some(uid) = pod {
        return Some(uid.to_owned());
    }
    let groups = files.text("/proc/self/cgroup")?;
    groups.split(['/', ':', '.', '\n']).find_map(|part| {
        let (_, uid) = part.rsplit_once("pod")?;
        // In the names of systemd's slices a dash is a level.
        let uid = uid.replace('_', "-");
        is_uid(&uid).then_some(uid)
    })
}

/// The kubelet mounts `…/pods/UID/containers/NAME/RUN` for the container's last words.
fn container_name(mounts: &Mounts) -> Option<String> {
    let source = mounts.source("/dev/termination-log")?;
    let (source, _) = source.rsplit_once('/')?;
    let (source, container) = source.rsplit_once('/')?;
    uid_of_folder(source.strip_suffix("/containers")?)?;
    Some(container.to_owned())
}

/// The kubelet's folder of a pod is `…/pods/UID`.
fn uid_of_folder(path: &str) -> Option<&str> {
    let (folder, uid) = path.rsplit_once('/')?;
    (folder.ends_with("/pods") && is_uid(uid)).then_some(uid)
}

fn is_uid(text: &str) -> bool {
    text.len() == 36 && Uuid::parse_str(text).is_ok()
}

/// The Deployment by whose ReplicaSet the pod was made, where its name says so beyond doubt:
/// `DEPLOYMENT-HASH-SUFFIX`.
///
/// Kubernetes writes both in letters that make no words. The hash is a 32-bit number of which each decimal digit has its
/// own of ten characters, and is seldom shorter than eight; so neither the pods of a StatefulSet (`NAME-0`), a DaemonSet
/// or a bare ReplicaSet (`NAME-SUFFIX`) nor those of a CronJob (`NAME-MINUTE-SUFFIX`, where minutes begin with a 2 or 3
/// until 2046) pass for one.
fn deployment_of(pod: &str) -> Option<&str> {
    const SUFFIX: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    const HASH: &[u8] = b"bcdf456789";
    let of = |letters: &[u8], text: &str| text.bytes().all(|letter| letters.contains(&letter));
    let (replica_set, suffix) = pod.rsplit_once('-')?;
    let (deployment, hash) = replica_set.rsplit_once('-')?;
    let is_made = suffix.len() == 5 && of(SUFFIX, suffix) && (8..=10).contains(&hash.len()) && of(HASH, hash);
    (is_made && !deployment.is_empty()).then_some(deployment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::files::tests::{Machine, text};

    const UID: &str = "c0eb0d9f-2a3b-4c5d-8e7f-0123456789ab";

    fn of(files: &[(&str, &str)]) -> Found {
        detect(&Machine::with(files).files(), &Kubernetes::default())
    }

    #[test]
    fn there_is_nothing_outside_of_a_pod() {
        assert_eq!(of(&[("/proc/self/cgroup", "0::/\n"), ("/etc/hosts", "")]), []);
    }

    #[test]
    fn files_of_the_pod_tell_namespace_uid_and_container() {
        let mounts = format!(
            "1 2 0:1 / / rw - overlay overlay rw\n\
             3 1 8:1 /var/lib/kubelet/pods/{UID}/etc-hosts /etc/hosts rw - ext4 /dev/sda1 rw\n\
             4 1 8:1 /var/lib/kubelet/pods/{UID}/containers/order/5d1f9c2a /dev/termination-log rw - ext4 /dev/sda1 rw\n"
        );
        let found = of(&[
            ("/var/run/secrets/kubernetes.io/serviceaccount/namespace", "shop"),
            ("/proc/self/mountinfo", &mounts),
        ]);
        assert_eq!(text(&found, "k8s.namespace.name").as_deref(), Some("shop"));
        assert_eq!(text(&found, "k8s.pod.uid").as_deref(), Some(UID));
        assert_eq!(text(&found, "k8s.container.name").as_deref(), Some("order"));
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn control_groups_tell_the_uid() {
        let in_slices = UID.replace('-', "_");
        for group in [
            format!("4:memory:/kubepods/burstable/pod{UID}/7be9\n"),
            format!("0::/kubepods.slice/kubepods-burstable-pod{in_slices}.slice/cri-containerd-7be9.scope\n"),
            format!(
                "1:cpuset:/system.slice/containerd.service/kubepods-pod{in_slices}.slice:cri-containerd:7be9\n"
            ),
        ] {
            let found = of(&[("/proc/self/cgroup", &group)]);
            assert_eq!(text(&found, "k8s.pod.uid").as_deref(), Some(UID), "{group}");
        }
    }

    #[test]
    fn mounts_that_are_not_the_kubelets_tell_nothing() {
        for mounts in [
            "3 1 8:1 /var/lib/docker/containers/7be9/hosts /etc/hosts rw - ext4 /dev/sda1 rw\n".to_owned(),
            "3 1 8:1 /srv/pods/web/etc-hosts /etc/hosts rw - ext4 /dev/sda1 rw\n".to_owned(),
            format!("3 1 8:1 /pods/{UID}/etc-hosts /mnt/hosts rw - ext4 /dev/sda1 rw\n"),
            "3 1 8:1 /log /dev/termination-log rw - ext4 /dev/sda1 rw\n".to_owned(),
            format!("3 1 8:1 /pods/{UID}/volumes/x/y /dev/termination-log rw - ext4 /dev/sda1 rw\n"),
        ] {
            assert_eq!(of(&[("/proc/self/mountinfo", &mounts)]), [], "{mounts}");
        }
    }

    #[test]
    fn what_the_downward_api_tells_wins() {
        let told = Kubernetes {
            cluster_name: Some("eu".to_owned()),
            namespace_name: Some("told".to_owned()),
            pod_name: Some("order-5d69f8c8cd-x7k2p".to_owned()),
            node_name: Some("node-7".to_owned()),
            deployment_name: Some("order-canary".to_owned()),
            ..Kubernetes::default()
        };
        let machine = Machine::with(&[("/var/run/secrets/kubernetes.io/serviceaccount/namespace", "shop")]);
        let found = detect(&machine.files(), &told);
        for (key, expected) in [
            ("k8s.cluster.name", "eu"),
            ("k8s.namespace.name", "told"),
            ("k8s.pod.name", "order-5d69f8c8cd-x7k2p"),
            ("k8s.node.name", "node-7"),
            ("k8s.deployment.name", "order-canary"),
        ] {
            assert_eq!(text(&found, key).as_deref(), Some(expected), "{key}");
        }
    }

    #[test]
    fn a_deployment_is_told_only_by_pods_that_a_deployment_made() {
        for (pod, deployment) in [
            ("order-5d69f8c8cd-x7k2p", Some("order")),
            ("order-service-7d4f8c9b5f-bcdfg", Some("order-service")),
            ("a-b-c-4999bbbb-22222", Some("a-b-c")),
            ("order-0", None),
            ("order-x7k2p", None),
            ("order-canary-x7k2p", None),
            ("report-29361234-x7k2p", None),
            ("report-29456789-x7k2p", None),
            ("order-5d69f8c8cd-x7k2", None),
            ("order-5d69f8c8cd-x7k1p", None),
            ("order-5d69f8a8cd-x7k2p", None),
            ("order-db-x7k2p", None),
            ("5d69f8c8cd-x7k2p", None),
            ("-5d69f8c8cd-x7k2p", None),
            ("", None),
        ] {
            assert_eq!(deployment_of(pod), deployment, "{pod}");
        }
    }
}
