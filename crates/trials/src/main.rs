//! The service under trial: instrumented as the README says, in a process of its own, so that collectors can fail it and
//! signals can end it. The trials are in `tests`.
//!
//! | argument | it |
//! |---|---|
//! | `serve` | serves until SIGTERM or SIGINT, flushes, and prints the report of the flush |
//! | `fail` | makes a hundred spans and returns an error from `main` |
//! | `panic` | makes a hundred spans and panics in `main` |
//!
//! Besides the variables of telemetry-core it heeds `WORKERS` (default 1) and `FLUSH_MS` (default 5000), how long the
//! flush may take. It listens on a free port of 127.0.0.1 and prints `listening on ADDRESS`.

use std::error::Error;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::{App, HttpServer, Responder, get, web};
use serde::Serialize;
use telemetry_core::config::Env;
use telemetry_core::export::ExportHealth;
use telemetry_core::opentelemetry::trace::Tracer;
use telemetry_core::{Config, Telemetry, TelemetryGuard};
use tokio::signal::unix::{SignalKind, signal};

/// A server's span, a span below it, a log record.
#[get("/work")]
async fn work() -> impl Responder {
    do_the_work();
    "done\n"
}

#[tracing::instrument]
fn do_the_work() {
    tracing::info!("worked");
}

/// A request that is in flight when the process is asked to end.
#[get("/wait")]
async fn wait(waiting: web::Data<Waiting>) -> actix_web::Result<impl Responder> {
    let mut terminate = signal(SignalKind::terminate())?;
    waiting.0.fetch_add(1, Ordering::SeqCst);
    terminate.recv().await;
    Ok("the end\n")
}

#[derive(Default)]
struct Waiting(AtomicUsize);

#[derive(Serialize)]
struct Health {
    waiting: usize,
    exporters: ExportHealth,
}

#[get("/health")]
async fn health(telemetry: web::Data<Telemetry>, waiting: web::Data<Waiting>) -> impl Responder {
    web::Json(Health { waiting: waiting.0.load(Ordering::SeqCst), exporters: telemetry.export_health() })
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut env = Env::process();
    let config = Config::read("trial", env!("CARGO_PKG_VERSION"), &mut env);
    let workers = env.positive("WORKERS", 1);
    let flush = env.milliseconds("FLUSH_MS", Duration::from_secs(5));
    env.finish()?;
    let telemetry = telemetry_core::init(config)?;
    match std::env::args().nth(1).as_deref() {
        Some("fail") => {
            make_spans(&telemetry);
            Err("failed as asked".into())
        }
        Some("panic") => {
            make_spans(&telemetry);
            panic!("panicked as asked");
        }
        _ => serve(telemetry, workers, flush).await,
    }
}

fn make_spans(telemetry: &Telemetry) {
    for _ in 0..100 {
        drop(telemetry.tracer().start("span"));
    }
}

async fn serve(telemetry: TelemetryGuard, workers: usize, flush: Duration) -> Result<(), Box<dyn Error>> {
    let middleware = telemetry.server();
    let waiting = web::Data::new(Waiting::default());
    let shared = web::Data::new(Telemetry::clone(&telemetry));
    let app = move || {
        App::new()
            .app_data(waiting.clone())
            .app_data(shared.clone())
            .service(work)
            .service(wait)
            .service(health)
            .wrap(middleware.clone())
    };
    let server = HttpServer::new(app).workers(workers).shutdown_timeout(5).bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("listening on {}", server.addrs()[0]);
    server.run().await?;
    println!("{}", telemetry.shutdown(flush));
    Ok(())
}
