//! The process of the stand-in card gateway: `HOST`, `PORT` (8084), `GATEWAY_SLOW_MS` (10000), `FAULTS`
//! (off).
//!
//! Exit code 0: it ended when it was asked to; 1: it could not start, or could not go on; 2: the
//! configuration is wrong, and standard error names every mistake.

use std::process::ExitCode;

use payment_service::gateway::{self, GatewayConfig};
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
    match actix_web::rt::System::new().block_on(run(config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{NAME}: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: GatewayConfig) -> std::io::Result<()> {
    // Before it says that it listens: from here on a signal waits for us instead of ending the process.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let asked_to_end = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    gateway::serve(config, asked_to_end).await
}
