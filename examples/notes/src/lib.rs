//! A small service of one's own, to show how its telemetry is tested: it keeps notes, and asks another service what
//! language each is in. `tests/telemetry.rs` is the point of it.

use std::net::SocketAddr;

use actix_web::error::{ErrorBadGateway, ErrorInternalServerError};
use actix_web::{App, HttpResponse, HttpServer, post, web};
use diesel::r2d2::ConnectionManager;
use diesel::sql_types::Text;
use diesel::{RunQueryDsl, SqliteConnection, sql_query};
use reqwest_middleware::ClientWithMiddleware;
use serde::{Deserialize, Serialize};
use telemetry_core::Telemetry;
use telemetry_core::db::{Database, Pool, PoolOptions};
use telemetry_core::opentelemetry::KeyValue;
use telemetry_core::opentelemetry::metrics::Counter;

type Db = Pool<ConnectionManager<SqliteConnection>>;

/// What the handlers share.
#[derive(Clone)]
pub struct Notes {
    db: Db,
    client: ClientWithMiddleware,
    languages_url: String,
    taken: Counter<u64>,
}

/// A note, as it is sent.
#[derive(Serialize, Deserialize)]
pub struct Note {
    /// Whom to tell. Nobody else is to know, telemetry included.
    pub email: String,
    /// The note itself.
    pub text: String,
}

impl Notes {
    /// With an empty database in memory, and the service at this URL to ask for languages.
    ///
    /// # Errors
    /// Where the database cannot be made.
    pub fn new(telemetry: &Telemetry, languages_url: String) -> Result<Self, Box<dyn std::error::Error>> {
        let url = "sqlite://:memory:";
        let manager = ConnectionManager::new(":memory:");
        // One connection: each would have a database in memory of its own.
        let options = PoolOptions { max_size: 1, ..PoolOptions::default() };
        let db: Db = telemetry.pool(manager, Database::from_url(url)?, options)?;
        sql_query("CREATE TABLE notes (email TEXT, body TEXT)").execute(&mut *db.get()?)?;
        let taken = telemetry.meter().u64_counter("notes.taken").with_unit("{note}").build();
        Ok(Self { db, client: telemetry.client(), languages_url, taken })
    }
}

#[post("/notes")]
async fn take_note(notes: web::Data<Notes>, note: web::Json<Note>) -> actix_web::Result<HttpResponse> {
    let answer = notes.client.get(&notes.languages_url).send().await.map_err(ErrorBadGateway)?;
    let language = match answer.error_for_status() {
        Ok(answer) => answer.text().await.map_err(ErrorBadGateway)?,
        Err(error) => return Err(ErrorBadGateway(error)),
    };
    let Note { email, text } = note.into_inner();
    let insert = sql_query("INSERT INTO notes (email, body) VALUES (?, ?)");
    let insert = insert.bind::<Text, _>(email).bind::<Text, _>(text);
    let stored = notes.db.run(move |connection| insert.execute(connection)).await;
    stored.map_err(ErrorInternalServerError)?.map_err(ErrorInternalServerError)?;
    notes.taken.add(1, &[KeyValue::new("language", language.clone())]);
    tracing::info!(note.language = language, "note taken");
    Ok(HttpResponse::Created().finish())
}

/// Its paths. They want a [`Notes`] in the application's data.
pub fn configure(config: &mut web::ServiceConfig) {
    config.service(take_note);
}

/// Starts the service on a free port of this machine, and tells which.
///
/// # Errors
/// Where it cannot listen.
pub fn start(telemetry: &Telemetry, notes: Notes) -> std::io::Result<SocketAddr> {
    let middleware = telemetry.server();
    let server = HttpServer::new(move || {
        App::new().app_data(web::Data::new(notes.clone())).configure(configure).wrap(middleware.clone())
    });
    let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0))?;
    let address = server.addrs()[0];
    telemetry_core::context::spawn_local(server.run());
    Ok(address)
}
