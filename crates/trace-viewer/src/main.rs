//! `trace-viewer`: shows the telemetry that is sent to it.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use clap::Parser;
use trace_viewer::site::Hosts;
use trace_viewer::{Limits, Options, Viewer};

const MIB: usize = 1024 * 1024;

/// Receives OTLP, keeps the latest in memory, and shows traces, logs and metrics on a web page.
///
/// Services send to it as they are: 4318 is where OTLP/HTTP goes by default, 4317 where OTLP/gRPC goes.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// Where to listen. Who can connect can read everything, and send
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// The page's port, which takes OTLP/HTTP too; 0 takes a free one
    #[arg(long, default_value_t = 8090)]
    port: u16,
    /// A further port for OTLP/HTTP [default: 4318 unless it is taken]
    #[arg(long, value_name = "PORT")]
    http_port: Option<u16>,
    /// The port for OTLP/gRPC [default: 4317 unless it is taken]
    #[arg(long, value_name = "PORT")]
    grpc_port: Option<u16>,
    /// A further name under which a listener on loopback may be asked for, such as host.docker.internal; may be
    /// repeated
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,
    /// Traces to keep; the oldest make room
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000, value_parser = positive)]
    max_traces: usize,
    /// Memory to keep telemetry in, in MiB: half of it for traces
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = positive)]
    max_memory: usize,
}

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("must be a whole number above 0".to_owned()),
        Ok(number) => Ok(number),
    }
}

impl Cli {
    fn limits(&self) -> Limits {
        let bytes = self.max_memory.saturating_mul(MIB);
        Limits {
            traces: self.max_traces,
            trace_bytes: bytes / 2,
            log_bytes: bytes / 8,
            metric_bytes: bytes / 8,
            history_bytes: bytes / 4,
            log_records: self.max_traces.saturating_mul(5),
            ..Limits::default()
        }
    }

    /// A port that was asked for must be free; a default one is used where it is.
    fn listener(&self, asked: Option<u16>, default: u16) -> Option<SocketAddr> {
        let address = SocketAddr::new(self.host, asked.unwrap_or(default));
        let is_free = asked.is_some() || std::net::TcpListener::bind(address).is_ok();
        if !is_free {
            eprintln!("port {default} is taken, so nothing listens there for this viewer");
        }
        is_free.then_some(address)
    }
}

#[actix_web::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let viewer = Viewer::bind(Options {
        address: SocketAddr::new(cli.host, cli.port),
        http: cli.listener(cli.http_port, 4318),
        grpc: cli.listener(cli.grpc_port, 4317),
        hosts: Hosts::new(cli.allow_host.clone()),
        limits: cli.limits(),
    })?;
    // Whoever started it may have stopped reading what it prints.
    let _ = std::io::stdout().write_all(addresses(&viewer).as_bytes());
    viewer.run_until(stopped()).await?;
    Ok(())
}

fn addresses(viewer: &Viewer) -> String {
    let mut text = format!("page       {0}\nOTLP/HTTP  {0}\n", viewer.url());
    if let Some(address) = viewer.http_address() {
        text += &format!("           http://{address}\n");
    }
    if let Some(address) = viewer.grpc_address() {
        text += &format!("OTLP/gRPC  http://{address}\n");
    }
    text
}

/// Ctrl-C, or what an orchestrator sends.
async fn stopped() {
    #[cfg(unix)]
    if let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! {
            _ = terminate.recv() => (),
            _ = tokio::signal::ctrl_c() => (),
        }
        return;
    }
    // An error says that it cannot be waited for; then the signal ends the process by itself.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound_and_refuses_nothing_to_keep() {
        Cli::command().debug_assert();
        assert!(Cli::try_parse_from(["trace-viewer", "--max-memory", "0"]).is_err());
        assert!(Cli::try_parse_from(["trace-viewer", "--max-traces", "many"]).is_err());
    }

    #[test]
    fn the_parts_of_the_memory_are_the_whole() {
        let limits = Cli::try_parse_from(["trace-viewer", "--max-memory", "64"]).unwrap().limits();
        let parts = limits.trace_bytes + limits.log_bytes + limits.metric_bytes + limits.history_bytes;
        assert_eq!(parts, 64 * MIB);
    }
}
