//! A collector that others wrote: the agent of the `rotel` package, named by `ROTEL_AGENT`. `docs/export.md` tells how to
//! get one, and `.ci/run` does.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::load::get;
use crate::service::{Service, client, eventually};

const REQUESTS: usize = 20;

#[tokio::test]
#[ignore = "needs a collector: the agent of the package rotel, by ROTEL_AGENT; .ci/run has it"]
async fn a_collector_of_others_receives_all_signals_by_each_protocol() {
    for protocol in ["http/protobuf", "http/json", "grpc"] {
        let agent = Agent::start().await;
        let mut service = Service::serve(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &agent.endpoint(protocol)),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ])
        .await;
        for _ in 0..REQUESTS {
            assert!(get(&client(), &service.url("/work")).await, "a request failed");
        }
        service.terminate();
        assert!(service.ended().await.success(), "{}", service.printed());
        let report = service.printed();
        let report = report.lines().find(|line| line.starts_with("telemetry flush")).expect("it tells");
        assert!(report.starts_with("telemetry flush complete"), "{protocol}: {report}");
        assert!(report.contains("traces: 40 exported;"), "{protocol}: {report}");

        // It prints what it decoded; the last of it may come a moment later.
        eventually("the agent has printed every span", async || agent.count("Span #") >= 2 * REQUESTS).await;
        assert_eq!(agent.count("Name           : GET /work"), REQUESTS, "{protocol}");
        eventually("the agent has printed every log record", async || {
            agent.count("Body: Str(worked)") == REQUESTS
        })
        .await;
        assert!(agent.count("-> Name: http.server.request.duration") > 0, "{protocol}");
        assert!(agent.count("-> service.name: Str(trial)") > 0, "{protocol}");
    }
}

/// Killed when dropped.
struct Agent {
    process: Child,
    folder: TempDir,
    grpc: u16,
    http: u16,
}

impl Agent {
    /// Once it listens, on ports that were free a moment ago.
    async fn start() -> Self {
        let program = std::env::var("ROTEL_AGENT").expect("ROTEL_AGENT names the agent's program");
        let folder = tempfile::tempdir().expect("a folder");
        let [grpc, http] = free_ports();
        let file = |name: &str| folder.path().join(name);
        let output = File::create(file("output")).expect("a file");
        let process = Command::new(program)
            .args(["start", "--exporter", "blackhole", "--debug-log-verbosity", "detailed"])
            .args(["--debug-log", "traces", "--debug-log", "metrics", "--debug-log", "logs"])
            .args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc}")])
            .args(["--otlp-http-endpoint", &format!("127.0.0.1:{http}")])
            .arg("--pid-file")
            .arg(file("pid"))
            .arg("--log-file")
            .arg(file("log"))
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a file"))
            .stderr(output)
            .spawn()
            .expect("the agent starts");
        let mut agent = Self { process, folder, grpc, http };
        eventually("the agent listens", async || {
            let ended = agent.process.try_wait().expect("the process is ours");
            assert!(ended.is_none(), "it ended at its start:\n{}", agent.printed());
            [grpc, http].iter().all(|port| TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).is_ok())
        })
        .await;
        agent
    }

    fn endpoint(&self, protocol: &str) -> String {
        let port = if protocol == "grpc" { self.grpc } else { self.http };
        format!("http://127.0.0.1:{port}")
    }

    fn printed(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("output")).expect("the file is there")
    }

    /// How many of the lines it printed have this.
    fn count(&self, text: &str) -> usize {
        self.printed().lines().filter(|line| line.contains(text)).count()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Two different ones: both are held until both are known.
fn free_ports() -> [u16; 2] {
    let listeners =
        [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports"));
    listeners.map(|listener| listener.local_addr().expect("it is bound").port())
}
