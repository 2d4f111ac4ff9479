//! The card gateway: a stand-in for somebody else's, so that the house runs without one.
//!
//! It is outside: it keeps its own books, takes no token of ours and is not instrumented. What it does
//! is decided by the payment method, which is a name and never a card's number:
//!
//! | method | answer to `POST /charges` |
//! |---|---|
//! | `card_ok` | 201, captured |
//! | `card_declined` | 402, `insufficient_funds` |
//! | `card_slow` | 201 after `GATEWAY_SLOW_MS`; captured then, whether or not anyone still waits |
//! | `gateway_error` | 500, nothing captured |
//!
//! Where it is started with `FAULTS=on`, it can be told to do worse: see [`GatewayFaults`].
//!
//! A charge is known by the caller's `reference` and made once, however often it is asked for. A
//! reference that was voided is never charged, also when the void came first.

mod faults;
mod ledger;
mod routes;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::{App, HttpServer, web};
use service_kit::config::number_within;
use service_kit::faults::Faults;
use service_kit::token::ServiceTokens;
use telemetry_core::config::Env;

use self::faults::Switch;
use self::ledger::Ledger;

pub use self::faults::GatewayFaults;

/// The gateway's name, which a service token for it is made out to.
pub const NAME: &str = "payment-gateway";

/// Where the gateway listens, and how slow `card_slow` is.
#[derive(Clone)]
pub struct GatewayConfig {
    /// `HOST`, an IP address. Default 127.0.0.1.
    pub host: IpAddr,
    /// `PORT`. Default 8084; 0 takes a free one.
    pub port: u16,
    /// `GATEWAY_SLOW_MS`, milliseconds, 0 to 600000. Default 10000, twice of what its caller waits.
    pub slow: Duration,
    /// `FAULTS`, `on` or `off`. Default off.
    pub faults: Faults<GatewayFaults>,
    /// `SERVICE_TOKEN_SECRET`, read only where faults can be switched on: who may do that.
    pub tokens: Option<ServiceTokens>,
}

impl GatewayConfig {
    /// Reads the variables.
    pub fn read(env: &mut Env) -> Self {
        let default = Self::default();
        let faults = Faults::read(env);
        let tokens = faults.are_allowed().then(|| ServiceTokens::read(env, NAME));
        let slow = number_within(env, "GATEWAY_SLOW_MS", 10_000, 0..=600_000, "milliseconds");
        Self {
            host: env.parse_or("HOST", default.host, "an IP address, such as 127.0.0.1 or 0.0.0.0"),
            port: env.parse_or("PORT", default.port, "a port, 0 to 65535"),
            slow: Duration::from_millis(slow),
            faults,
            tokens,
        }
    }
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 8084,
            slow: Duration::from_secs(10),
            faults: Faults::default(),
            tokens: None,
        }
    }
}

/// Runs a gateway until `stop` is ready. Says on standard output where it listens.
///
/// # Errors
/// Where the port cannot be had, or the listener or the worker cannot go on.
pub async fn serve(config: GatewayConfig, stop: impl Future<Output = ()>) -> std::io::Result<()> {
    let gateway = Gateway::bind(config)?;
    println!("payment-gateway: listening on http://{}", gateway.address());
    let handle = gateway.handle();
    let mut running = std::pin::pin!(gateway.run());
    tokio::select! {
        result = &mut running => return result,
        () = stop => {}
    }
    let ((), result) = tokio::join!(handle.stop(true), running);
    result
}

/// A gateway that is bound to its port.
pub struct Gateway {
    server: Server,
    address: SocketAddr,
}

impl Gateway {
    /// Binds the port; requests wait until [`Gateway::run`].
    ///
    /// # Errors
    /// Where the port cannot be had.
    pub fn bind(config: GatewayConfig) -> std::io::Result<Self> {
        let ledger = Arc::new(Ledger::new(config.slow));
        let switch = Switch::new(config.faults);
        let tokens = config.tokens;
        let server = HttpServer::new(move || {
            App::new()
                .app_data(web::Data::from(ledger.clone()))
                .app_data(web::Data::new(switch.clone()))
                .app_data(routes::json_config())
                .configure(|config| {
                    if let Some(tokens) = &tokens {
                        config.app_data(web::Data::new(tokens.clone()));
                        switch.faults.routes(config);
                    }
                })
                .configure(routes::routes)
        })
        .workers(1)
        .disable_signals()
        // Whoever stops it does not wait for slow cards.
        .shutdown_timeout(1)
        .bind((config.host, config.port))?;
        let address = server.addrs()[0];
        Ok(Self { server: server.run(), address })
    }

    /// Where it listens; the real port where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Stops it from elsewhere: `handle.stop(true).await`.
    pub fn handle(&self) -> ServerHandle {
        self.server.handle()
    }

    /// Serves until it is stopped.
    ///
    /// # Errors
    /// Where the listener or the worker cannot go on.
    pub async fn run(self) -> std::io::Result<()> {
        self.server.await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_set_gives_the_defaults() {
        let mut env = Env::of::<&str, &str>([]);
        let (read, default) = (GatewayConfig::read(&mut env), GatewayConfig::default());
        assert_eq!((read.host, read.port, read.slow), (default.host, default.port, default.slow));
        assert!(!read.faults.are_allowed() && read.tokens.is_none());
        env.finish().unwrap();
    }

    #[test]
    fn every_mistake_is_told() {
        let mut env = Env::of([("HOST", "outside"), ("PORT", "-1"), ("GATEWAY_SLOW_MS", "10s")]);
        GatewayConfig::read(&mut env);
        let error = env.finish().unwrap_err();
        let mut variables: Vec<_> =
            error.mistakes().iter().map(|mistake| mistake.variable.as_str()).collect();
        variables.sort_unstable();
        assert_eq!(variables, ["GATEWAY_SLOW_MS", "HOST", "PORT"]);
    }
}
