//! What those who run the process tell it, by variables, of the place where it runs.

use super::Env;

/// Of the host and the container.
///
/// No orchestrator sets these variables by itself; a manifest does. One that is unset leaves its attribute to what the
/// machine's files tell, or out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Orchestrator {
    /// `HOST_TYPE`: `host.type`, the machine's type in a cloud.
    pub host_type: Option<String>,
    /// `CONTAINER_NAME`: `container.name`, and inside of a pod `k8s.container.name` too.
    pub container_name: Option<String>,
    /// `CONTAINER_IMAGE`: the image as a manifest names it, with its tag, its digest or both.
    pub container_image: Option<String>,
    /// Of the pod.
    pub kubernetes: Kubernetes,
}

/// Of the pod, by Kubernetes' downward API.
///
/// The API gives values; the manifest chooses the names of the variables. So each is looked for under the names that are
/// in use, and the first that is set wins: the attribute's own (`K8S_POD_NAME`), that of OpenTelemetry's charts
/// (`OTEL_K8S_POD_NAME`), then those of Kubernetes' documentation (`POD_NAME`, `MY_POD_NAME`). The latter count only
/// inside of a pod, where Kubernetes sets `KUBERNETES_SERVICE_HOST`: elsewhere they mean other things.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Kubernetes {
    /// `K8S_CLUSTER_NAME`: `k8s.cluster.name`.
    pub cluster_name: Option<String>,
    /// `K8S_NAMESPACE_NAME`, `K8S_NAMESPACE`, `OTEL_K8S_NAMESPACE`, `POD_NAMESPACE`, `MY_POD_NAMESPACE`:
    /// `k8s.namespace.name`, which else the files of the pod's service account tell.
    pub namespace_name: Option<String>,
    /// `K8S_POD_NAME`, `OTEL_K8S_POD_NAME`, `POD_NAME`, `MY_POD_NAME`: `k8s.pod.name`.
    pub pod_name: Option<String>,
    /// `K8S_POD_UID`, `OTEL_K8S_POD_UID`, `POD_UID`, `MY_POD_UID`: `k8s.pod.uid`, which else the control groups and
    /// mounts of the process tell.
    pub pod_uid: Option<String>,
    /// `K8S_NODE_NAME`, `OTEL_K8S_NODE_NAME`, `NODE_NAME`, `MY_NODE_NAME`: `k8s.node.name`.
    pub node_name: Option<String>,
    /// `K8S_CONTAINER_NAME`, `OTEL_K8S_CONTAINER_NAME`, `CONTAINER_NAME`: `k8s.container.name`, which else the mounts of
    /// the process tell.
    pub container_name: Option<String>,
    /// `K8S_DEPLOYMENT_NAME`, `OTEL_K8S_DEPLOYMENT_NAME`: `k8s.deployment.name`, which else the pod's name tells where a
    /// Deployment made it.
    pub deployment_name: Option<String>,
}

impl Orchestrator {
    pub(super) fn read(env: &mut Env) -> Self {
        let is_in_pod = env.text("KUBERNETES_SERVICE_HOST").is_some();
        let mut first = |names: &[&'static str], general: &[&'static str]| {
            let general = general.iter().filter(|_| is_in_pod);
            let mut found = names.iter().chain(general).filter_map(|name| Some((name, env.find(name)?)));
            let (name, (value, source)) = found.next()?;
            env.record(name, &value, source);
            Some(value)
        };
        let host_type = first(&["HOST_TYPE"], &[]);
        let container_name = first(&["CONTAINER_NAME"], &[]);
        let container_image = first(&["CONTAINER_IMAGE"], &[]);
        let kubernetes = Kubernetes {
            cluster_name: first(&["K8S_CLUSTER_NAME"], &[]),
            namespace_name: first(
                &["K8S_NAMESPACE_NAME", "K8S_NAMESPACE", "OTEL_K8S_NAMESPACE"],
                &["POD_NAMESPACE", "MY_POD_NAMESPACE"],
            ),
            pod_name: first(&["K8S_POD_NAME", "OTEL_K8S_POD_NAME"], &["POD_NAME", "MY_POD_NAME"]),
            pod_uid: first(&["K8S_POD_UID", "OTEL_K8S_POD_UID"], &["POD_UID", "MY_POD_UID"]),
            node_name: first(&["K8S_NODE_NAME", "OTEL_K8S_NODE_NAME"], &["NODE_NAME", "MY_NODE_NAME"]),
            container_name: first(&["K8S_CONTAINER_NAME", "OTEL_K8S_CONTAINER_NAME"], &[])
                .or_else(|| container_name.clone().filter(|_| is_in_pod)),
            deployment_name: first(&["K8S_DEPLOYMENT_NAME", "OTEL_K8S_DEPLOYMENT_NAME"], &[]),
        };
        Self { host_type, container_name, container_image, kubernetes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Setting;

    fn read(variables: &[(&str, &str)]) -> (Orchestrator, Vec<String>) {
        let mut env = Env::of(variables.iter().copied());
        let orchestrator = Orchestrator::read(&mut env);
        let settings = env.settings().iter().map(Setting::to_string).collect();
        env.finish().expect("nothing is wrong");
        (orchestrator, settings)
    }

    #[test]
    fn nothing_is_told_without_variables() {
        assert_eq!(read(&[]), (Orchestrator::default(), Vec::new()));
    }

    #[test]
    fn the_name_nearest_to_the_attribute_wins_and_is_told_as_its_source() {
        let (orchestrator, settings) = read(&[
            ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
            ("POD_NAME", "c"),
            ("OTEL_K8S_POD_NAME", "b"),
            ("K8S_POD_NAME", "a"),
            ("MY_NODE_NAME", "node"),
            ("K8S_POD_UID", " "),
        ]);
        let kubernetes = orchestrator.kubernetes;
        assert_eq!(kubernetes.pod_name.as_deref(), Some("a"));
        assert_eq!(kubernetes.node_name.as_deref(), Some("node"));
        assert_eq!(kubernetes.pod_uid, None);
        assert_eq!(settings, ["K8S_POD_NAME = a (environment)", "MY_NODE_NAME = node (environment)"]);
    }

    #[test]
    fn general_names_count_inside_of_a_pod_alone() {
        let variables = [
            ("POD_NAME", "pod"),
            ("NODE_NAME", "built-in"),
            ("POD_UID", "uid"),
            ("POD_NAMESPACE", "shop"),
            ("CONTAINER_NAME", "app"),
        ];
        let (outside, settings) = read(&variables);
        assert_eq!(outside.kubernetes, Kubernetes::default());
        assert_eq!(outside.container_name.as_deref(), Some("app"));
        assert_eq!(settings, ["CONTAINER_NAME = app (environment)"]);

        let in_pod: Vec<_> = variables.into_iter().chain([("KUBERNETES_SERVICE_HOST", "10.0.0.1")]).collect();
        let kubernetes = read(&in_pod).0.kubernetes;
        assert_eq!(kubernetes.pod_name.as_deref(), Some("pod"));
        assert_eq!(kubernetes.node_name.as_deref(), Some("built-in"));
        assert_eq!(kubernetes.pod_uid.as_deref(), Some("uid"));
        assert_eq!(kubernetes.namespace_name.as_deref(), Some("shop"));
        assert_eq!(kubernetes.container_name.as_deref(), Some("app"));
    }
}
