//! The service whose requests are counted: `subject MODE`.
//!
//! It listens on a free port of 127.0.0.1, prints the port, serves until standard input ends, and flushes. One
//! worker, or `WORKERS`.
//!
//! | mode | what it is |
//! |---|---|
//! | `bare` | actix-web alone |
//! | `telemetry` | with telemetry-core; what it does is said by its variables |
//! | `hops` | two hops, `/hop` calls `/items/{id}` by reqwest, without telemetry |
//! | `telemetry-hops` | the same with telemetry-core in server and client |
//! | `routes N` | N routes, `/{0..}/{0..100}`, without telemetry |
//! | `telemetry-routes N` | the same with telemetry-core |
//! | `telemetry-growth` | routes whose requests have as many spans or attributes as they are asked for |
//! | `query N` | no server: N point queries on SQLite by diesel |
//! | `telemetry-query N` | the same with telemetry-core |
//! | `telemetry-query-traced N` | the same on a `TracedConnection` |

mod growth;
mod queries;

use std::time::Duration;

use actix_web::dev::{ServiceFactory, ServiceRequest};
use actix_web::error::ErrorBadGateway;
use actix_web::{App, Error, HttpRequest, HttpResponse, HttpServer, web};
use reqwest_middleware::ClientWithMiddleware;
use serde::Serialize;
use telemetry_core::{Config, Telemetry, TelemetryGuard};
use tokio::io::AsyncReadExt;

#[derive(Serialize)]
struct Item {
    id: u64,
    name: &'static str,
    price: u64,
}

async fn item(id: web::Path<u64>) -> HttpResponse {
    HttpResponse::Ok().json(Item { id: *id, name: "a small thing", price: 1999 })
}

struct Downstream {
    client: ClientWithMiddleware,
}

async fn hop(request: HttpRequest, downstream: web::Data<Downstream>) -> Result<HttpResponse, Error> {
    let url = format!("http://{}/items/7", request.app_config().local_addr());
    let answer = downstream.client.get(url).send().await.map_err(ErrorBadGateway)?;
    let body = answer.bytes().await.map_err(ErrorBadGateway)?;
    Ok(HttpResponse::Ok().content_type("application/json").body(body))
}

fn routes(client: Option<ClientWithMiddleware>) -> impl FnOnce(&mut web::ServiceConfig) {
    move |config| {
        config.route("/items/{id}", web::get().to(item));
        if let Some(client) = client {
            config.app_data(web::Data::new(Downstream { client })).route("/hop", web::get().to(hop));
        }
    }
}

async fn serve<F, T, B>(app: F) -> std::io::Result<()>
where
    F: Fn() -> App<T> + Send + Clone + 'static,
    T: ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = actix_web::dev::ServiceResponse<B>,
            Error = Error,
            InitError = (),
        > + 'static,
    B: actix_web::body::MessageBody + 'static,
{
    let workers = std::env::var("WORKERS").ok().and_then(|number| number.parse().ok()).unwrap_or(1);
    let server = HttpServer::new(app).workers(workers).disable_signals().bind(("127.0.0.1", 0))?;
    println!("{}", server.addrs()[0].port());
    let server = server.run();
    let handle = server.handle();
    #[expect(clippy::disallowed_methods, reason = "it belongs to no request")]
    actix_web::rt::spawn(async move {
        let _ = tokio::io::stdin().read_to_end(&mut Vec::new()).await;
        handle.stop(true).await;
    });
    server.await
}

fn telemetry() -> Result<TelemetryGuard, Box<dyn std::error::Error>> {
    Ok(telemetry_core::init(Config::from_env("subject", "1.0.0")?)?)
}

fn end(telemetry: TelemetryGuard) {
    let report = telemetry.shutdown(Duration::from_secs(60));
    if !report.is_complete() {
        eprintln!("{report}");
    }
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mode = arguments.next().unwrap_or_default();
    let number = arguments.next().map(|number| number.parse::<u32>()).transpose()?.unwrap_or(1);
    match &*mode {
        "bare" => serve(|| App::new().configure(routes(None))).await?,
        "telemetry" => {
            let telemetry = telemetry()?;
            let middleware = telemetry.server();
            serve(move || App::new().configure(routes(None)).wrap(middleware.clone())).await?;
            end(telemetry);
        }
        "hops" => {
            rustls::crypto::ring::default_provider().install_default().expect("the first one");
            let client: ClientWithMiddleware = reqwest::Client::builder()
                .tls_certs_only([])
                // Those of telemetry-core's client: waiting with a limit costs, telemetry or not.
                .connect_timeout(Duration::from_secs(5))
                .timeout(Duration::from_secs(30))
                .build()?
                .into();
            serve(move || App::new().configure(routes(Some(client.clone())))).await?;
        }
        "telemetry-hops" => {
            let telemetry = telemetry()?;
            let (middleware, client) = (telemetry.server(), telemetry.client());
            serve(move || App::new().configure(routes(Some(client.clone()))).wrap(middleware.clone()))
                .await?;
            end(telemetry);
        }
        "routes" => serve(move || App::new().configure(growth::routes(number))).await?,
        "telemetry-routes" => {
            let telemetry = telemetry()?;
            let middleware = telemetry.server();
            serve(move || App::new().configure(growth::routes(number)).wrap(middleware.clone())).await?;
            end(telemetry);
        }
        "telemetry-growth" => {
            let telemetry = telemetry()?;
            let (middleware, handle) = (telemetry.server(), Telemetry::clone(&telemetry));
            serve(move || App::new().configure(growth::spans(handle.clone())).wrap(middleware.clone()))
                .await?;
            end(telemetry);
        }
        "query" => queries::run(None, number)?,
        "telemetry-query" => {
            let telemetry = telemetry()?;
            queries::run(Some(&telemetry), number)?;
            end(telemetry);
        }
        "telemetry-query-traced" => {
            let telemetry = telemetry()?;
            queries::run_traced(&telemetry, number)?;
            end(telemetry);
        }
        other => return Err(format!("no such mode: {other}").into()),
    }
    Ok(())
}
