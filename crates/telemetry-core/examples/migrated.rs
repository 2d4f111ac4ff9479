//! The service that docs/migrating.md moves, after the move.

use std::time::Duration;

use actix_web::error::ErrorInternalServerError;
use actix_web::{App, HttpServer, Responder, get, web};
use diesel::{RunQueryDsl, SqliteConnection, r2d2::ConnectionManager, sql_query};
use reqwest_middleware::ClientWithMiddleware;
use telemetry_core::client::UrlTemplate;
use telemetry_core::db::{Database, Pool, PoolOptions};
use telemetry_core::opentelemetry::{KeyValue, metrics::Counter};
use telemetry_core::{Config, Telemetry};

type Db = Pool<ConnectionManager<SqliteConnection>>;

#[get("/orders/{id}")]
#[tracing::instrument(skip_all)]
async fn order(
    id: web::Path<u32>,
    db: web::Data<Db>,
    client: web::Data<ClientWithMiddleware>,
    orders: web::Data<Counter<u64>>,
    telemetry: web::Data<Telemetry>,
) -> actix_web::Result<impl Responder> {
    tracing::info!(order.id = *id, "an order is looked up");
    let request = client.get(format!("http://127.0.0.1:8000/stock/{id}?token=abc"));
    let answer = request.with_extension(UrlTemplate("/stock/{id}")).send().await;
    let answer = answer.map_err(ErrorInternalServerError)?.text().await.map_err(ErrorInternalServerError)?;
    let rows = db.run(|connection| sql_query("SELECT 42").execute(connection)).await;
    rows.map_err(ErrorInternalServerError)?.map_err(ErrorInternalServerError)?;
    orders.add(1, &[KeyValue::new("order.type", "standard")]);
    telemetry.background("send_email", async { tracing::info!("a mail is sent") });
    Ok(answer)
}

#[get("/stock/{id}")]
async fn stock(id: web::Path<u32>) -> actix_web::Result<String> {
    match *id {
        0 => Err(ErrorInternalServerError("the shelf fell over")),
        id => Ok(format!("{id} in stock\n")),
    }
}

#[get("/health")]
async fn health() -> impl Responder {
    "ok"
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let telemetry = telemetry_core::init(Config::from_env("shop", env!("CARGO_PKG_VERSION"))?)?;
    let manager = ConnectionManager::new("shop.db");
    let db: Db = telemetry.pool(manager, Database::from_url("sqlite://shop.db")?, PoolOptions::default())?;
    let client = telemetry.client();
    let orders = telemetry.meter().u64_counter("orders.created").build();
    let middleware = telemetry.server();
    let shared = web::Data::new(Telemetry::clone(&telemetry));
    HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(db.clone()))
            .app_data(web::Data::new(client.clone()))
            .app_data(web::Data::new(orders.clone()))
            .app_data(shared.clone())
            .service(order)
            .service(stock)
            .service(health)
            .wrap(middleware.clone())
    })
    .workers(1)
    .bind(("127.0.0.1", 8000))?
    .run()
    .await?;
    telemetry.background_done(Duration::from_secs(3)).await;
    println!("{}", telemetry.shutdown(Duration::from_secs(3)));
    Ok(())
}
