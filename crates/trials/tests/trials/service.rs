//! A process of the service under trial.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use reqwest::Client;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// The ways to the collector (`OTEL_EXPORTER_OTLP_PROTOCOL`).
pub(crate) const PROTOCOLS: [&str; 2] = ["http/protobuf", "grpc"];

/// Killed when dropped.
pub(crate) struct Service {
    child: Child,
    folder: TempDir,
    url: String,
    client: Client,
}

impl Service {
    /// A process that serves, once it listens.
    pub(crate) async fn serve(variables: &[(&str, &str)]) -> Self {
        let mut service = Self::start("serve", variables);
        eventually("the service listens", async || {
            let ended = service.child.try_wait().expect("the process is ours");
            assert!(ended.is_none(), "it ended at its start:\n{}", service.printed());
            let printed = service.printed();
            let address = printed.lines().find_map(|line| line.strip_prefix("listening on "));
            service.url = address.map(|address| format!("http://{address}")).unwrap_or_default();
            !service.url.is_empty()
        })
        .await;
        service
    }

    /// A process with this argument and these variables alone.
    pub(crate) fn start(argument: &str, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str| File::create(folder.path().join(name)).expect("a file");
        let child = Command::new(env!("CARGO_BIN_EXE_trials"))
            .arg(argument)
            .env_clear()
            .env("ENVIRONMENT", "production")
            .env("LOG_FORMAT", "text")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .spawn()
            .expect("the service starts");
        Self { child, folder, url: String::new(), client: client() }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// What `/health` tells of this signal, or of the service itself.
    pub(crate) async fn health(&self) -> Value {
        let answer = self.client.get(self.url("/health")).send().await.expect("the service answers");
        serde_json::from_slice(&answer.bytes().await.expect("whole")).expect("JSON")
    }

    /// Everything it printed.
    pub(crate) fn printed(&self) -> String {
        let read = |name: &str| read(&self.folder.path().join(name));
        read("stdout") + &read("stderr")
    }

    /// Resident memory, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let status = read(Path::new(&format!("/proc/{}/status", self.child.id())));
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process has memory");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("the process is there");
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the process ends", async || {
            status = self.child.try_wait().expect("the process is ours");
            status.is_some()
        })
        .await;
        status.expect("it ended")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("the file is there")
}

/// A client for loopback alone.
pub(crate) fn client() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().tls_certs_only([]).timeout(PATIENCE).build().expect("a client")
}

/// How long anything may take before a trial fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `condition` holds; fails after a minute.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "waited a minute for: {what}");
}
