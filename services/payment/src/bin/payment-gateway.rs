//! The process of the stand-in card gateway: `HOST`, `PORT` (8084), `GATEWAY_SLOW_MS` (10000).

use payment_service::gateway::{Gateway, GatewayConfig};
use telemetry_core::config::Env;
use tokio::signal::unix::{SignalKind, signal};

#[actix_web::main]
async fn main() -> anyhow::Result<()> {
    let mut env = Env::process();
    let config = GatewayConfig::read(&mut env);
    env.finish()?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let gateway = Gateway::bind(config)?;
    println!("payment-gateway: listening on http://{}", gateway.address());
    let handle = gateway.handle();
    let mut running = std::pin::pin!(gateway.run());
    tokio::select! {
        result = &mut running => return Ok(result?),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    let ((), result) = tokio::join!(handle.stop(true), running);
    Ok(result?)
}
