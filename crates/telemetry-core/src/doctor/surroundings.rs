//! What is around the process: a container, proxies, the time of day.

use std::fs;

use chrono::{DateTime, TimeDelta, Utc};
use url::{Host, Url};

use super::report::Finding;
use crate::config::Env;

/// What tells that this is a container; `None` where nothing does.
pub(super) fn container() -> Option<&'static str> {
    let exists = |path: &&str| fs::exists(path).unwrap_or(false);
    if let Some(file) = ["/.dockerenv", "/run/.containerenv"].into_iter().find(|path| exists(path)) {
        return Some(file);
    }
    let groups = fs::read_to_string("/proc/1/cgroup").unwrap_or_default();
    is_container(&groups).then_some("/proc/1/cgroup")
}

fn is_container(groups: &str) -> bool {
    ["docker", "kubepods", "containerd", "libpod", "/lxc/"].iter().any(|word| groups.contains(word))
}

/// Whether the host is this machine itself.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.trim_end_matches('.') == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Proxies that the environment names, by scheme, host and port: a URL of one may hold a password.
pub(super) fn proxies(env: &Env) -> Vec<Finding> {
    const NAMES: [&str; 6] =
        ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    NAMES
        .into_iter()
        .filter_map(|name| env.text(name).map(|text| (name, text)))
        .map(|(name, text)| {
            let shown = Url::parse(&text).ok().filter(Url::has_host).map(|url| {
                let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
                format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
            });
            Finding::note(
                name,
                format!(
                    "{}: HTTP clients go through this proxy, except to the hosts in NO_PROXY; the stages below are \
                     direct, the probes go the exporters' way",
                    shown.as_deref().unwrap_or("set")
                ),
            )
        })
        .collect()
}

/// A difference to the server's clock that puts spans where nobody looks for them.
pub(super) fn clock(server: DateTime<Utc>, now: DateTime<Utc>) -> Option<Finding> {
    let ahead = now - server;
    (ahead.abs() > LARGEST_SKEW).then(|| {
        let direction = if ahead > TimeDelta::zero() { "ahead of" } else { "behind" };
        Finding::warning(
            "clock_skew",
            "clock",
            format!("this clock is {} s {direction} the server's", ahead.num_seconds().abs()),
        )
        .advise("both machines in step with a time server (NTP); spans carry this machine's time")
    })
}

/// The header has whole seconds, and an answer may take some.
const LARGEST_SKEW: TimeDelta = TimeDelta::seconds(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_told_by_its_control_groups() {
        assert!(is_container("0::/system.slice/docker-1f2e.scope\n"));
        assert!(is_container("11:cpu:/kubepods/besteffort/pod1\n"));
        assert!(!is_container("0::/init.scope\n"));
        assert!(!is_container(""));
    }

    #[test]
    fn the_own_machine_is_told_by_name_and_address() {
        for (url, expected) in [
            ("http://localhost:1", true),
            ("http://LOCALHOST.:1", true),
            ("http://127.9.9.9", true),
            ("http://[::1]:1", true),
            ("http://localhost.example", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(is_loopback(&url.parse().unwrap()), expected, "{url}");
        }
    }

    #[test]
    fn a_clock_is_wrong_beyond_half_a_minute_either_way() {
        let server = DateTime::from_timestamp(1_000_000, 0).unwrap();
        let told =
            |seconds| clock(server, server + TimeDelta::seconds(seconds)).map(|finding| finding.detail);
        assert_eq!(told(30), None);
        assert_eq!(told(-30), None);
        assert_eq!(told(31).as_deref(), Some("this clock is 31 s ahead of the server's"));
        assert_eq!(told(-3600).as_deref(), Some("this clock is 3600 s behind the server's"));
    }

    #[test]
    fn a_proxy_is_shown_without_its_password() {
        let env =
            Env::of([("HTTPS_PROXY", "http://ada:hunter2@proxy.example:3128/"), ("all_proxy", "hunter2@x")]);
        let told: Vec<String> = proxies(&env).into_iter().map(|finding| finding.detail).collect();
        assert_eq!(told.len(), 2);
        assert!(told[0].starts_with("http://proxy.example:3128: "), "{told:?}");
        assert!(told[1].starts_with("set: "), "{told:?}");
        assert!(!told.concat().contains("hunter2"));
    }
}
