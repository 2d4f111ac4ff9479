use std::time::Duration;

use actix_web::error::ErrorInternalServerError;
use actix_web::{App, HttpServer, Responder, get, web};
use diesel::{RunQueryDsl, SqliteConnection, r2d2::ConnectionManager, sql_query};
use telemetry_core::Config;
use telemetry_core::db::{Database, Pool, PoolOptions};

type Db = Pool<ConnectionManager<SqliteConnection>>;

#[get("/hello/{name}")]
async fn hello(name: web::Path<String>, db: web::Data<Db>) -> actix_web::Result<impl Responder> {
    tracing::info!("somebody is greeted");
    let greeted = db.run(|connection| sql_query("SELECT 'hello'").execute(connection)).await;
    greeted.map_err(ErrorInternalServerError)?.map_err(ErrorInternalServerError)?;
    Ok(format!("Hello, {name}!\n"))
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let telemetry = telemetry_core::init(Config::from_env("hello", env!("CARGO_PKG_VERSION"))?)?;
    let manager = ConnectionManager::new("hello.db");
    let db: Db = telemetry.pool(manager, Database::from_url("sqlite://hello.db")?, PoolOptions::default())?;
    let middleware = telemetry.server();
    HttpServer::new(move || {
        App::new().app_data(web::Data::new(db.clone())).service(hello).wrap(middleware.clone())
    })
    .bind(("127.0.0.1", 8000))?
    .run()
    .await?;
    println!("{}", telemetry.shutdown(Duration::from_secs(3)));
    Ok(())
}
