//! `serve`: start, run, and stop in an order in which nothing is lost.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use telemetry_core::TelemetryGuard;
use telemetry_core::config::Env;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use super::configuration::Configuration;
use super::{CUT_OFF, failed, misconfigured};
use crate::Service;
use crate::app::{App, drain_timeout};
use crate::config::Settings;

/// Kept of the time for shutting down, so that telemetry is flushed even when all else is late.
const FLUSH_RESERVE: Duration = Duration::from_millis(1500);

pub(super) fn serve<S: Service>() -> ExitCode {
    let (configuration, env) = Configuration::<S>::read(Env::process());
    if let Err(error) = env.finish() {
        return misconfigured::<S>(&error);
    }
    let Configuration { telemetry, settings, summary } = configuration;
    actix_web::rt::System::new().block_on(async {
        let telemetry = match telemetry_core::init(telemetry).context("setting up telemetry") {
            Ok(guard) => guard,
            Err(error) => return failed::<S>(&error),
        };
        for setting in summary {
            tracing::debug!("{setting}");
        }
        match start_and_run(settings, &telemetry).await {
            Ok(stopped) => flush::<S>(telemetry, stopped),
            Err(error) => {
                tracing::error!(error = &*error as &(dyn Error + 'static), "{} ends", S::NAME);
                telemetry.shutdown(FLUSH_RESERVE);
                failed::<S>(&error)
            }
        }
    })
}

/// How the serving ended, once it was asked to.
struct Stopped {
    deadline: Instant,
    in_time: bool,
}

async fn start_and_run<S: Service>(
    settings: Settings<S>,
    telemetry: &TelemetryGuard,
) -> anyhow::Result<Stopped> {
    let total = settings.server.shutdown_timeout;
    // From here on a signal waits for us instead of ending the process.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let app = App::build(settings, telemetry).await?;
    tracing::info!("listening on http://{}", app.address());
    let stopper = app.stopper();
    let mut running = std::pin::pin!(app.run());
    let name = tokio::select! {
        result = &mut running => {
            result.context("serving")?;
            anyhow::bail!("the server ended without being asked to");
        }
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    let asked = Instant::now();
    let deadline = asked + total;
    tracing::info!("{name}: finishing the requests in flight");
    let ((), result) = tokio::join!(stopper.stop(), running);
    result.context("stopping")?;
    let drained = asked.elapsed() < drain_timeout(total);
    if !drained {
        tracing::warn!("requests were still in flight when their time was up");
    }
    let rest = deadline.saturating_duration_since(Instant::now()).saturating_sub(FLUSH_RESERVE);
    let background_done = telemetry.background_done(rest).await;
    if !background_done {
        tracing::warn!("background tasks were still running when their time was up");
    }
    Ok(Stopped { deadline, in_time: drained && background_done })
}

fn flush<S: Service>(telemetry: TelemetryGuard, stopped: Stopped) -> ExitCode {
    tracing::info!("stopped");
    let rest = stopped.deadline.saturating_duration_since(Instant::now());
    let report = telemetry.shutdown(rest.max(FLUSH_RESERVE));
    if !report.is_complete() {
        eprintln!("{}: {report}", S::NAME);
    }
    if stopped.in_time && report.is_complete() { ExitCode::SUCCESS } else { ExitCode::from(CUT_OFF) }
}
