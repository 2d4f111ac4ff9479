//! The process of the stand-in card gateway: `HOST`, `PORT` (8084), `GATEWAY_SLOW_MS` (10000), `FAULTS`
//! (off).
//!
//! Without an argument it serves; `healthcheck` asks the one that runs on this host whether it answers.
//!
//! Exit code 0: it ended when it was asked to, or answers; 1: it could not start, could not go on, or gives no answer;
//! 2: the configuration or the command line is wrong, and standard error names every mistake.

use std::net::SocketAddr;
use std::process::ExitCode;

use payment_service::gateway::{self, GatewayConfig};
use service_kit::process::healthcheck;
use telemetry_core::config::Env;
use tokio::signal::unix::{SignalKind, signal};

const NAME: &str = env!("CARGO_BIN_NAME");

fn main() -> ExitCode {
    let mut env = Env::process();
    let config = GatewayConfig::read(&mut env);
    if let Err(mistakes) = env.finish() {
        eprintln!("{NAME}: {mistakes}");
        return ExitCode::from(2);
    }
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        [] => actix_web::rt::System::new().block_on(run(config)),
        ["healthcheck"] => healthcheck::ask(SocketAddr::new(config.host, config.port), "/health"),
        _ => {
            eprintln!("{NAME}: expected no argument, or healthcheck");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{NAME}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: GatewayConfig) -> anyhow::Result<()> {
    // Before it says that it listens: from here on a signal waits for us instead of ending the process.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let asked_to_end = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    Ok(gateway::serve(config, asked_to_end).await?)
}
