//! The HTTP application around a service's routes. Building it and running it are two calls, and
//! port 0 is a port, so that a test starts what a process starts.
//!
//! ```no_run
//! # async fn example<S: service_kit::Service>(telemetry: telemetry_core::Telemetry) -> anyhow::Result<()> {
//! use service_kit::app::App;
//! use service_kit::config::Settings;
//! use telemetry_core::config::Env;
//!
//! let mut env = Env::of([("PORT", "0"), ("DATABASE_URL", "sqlite:///tmp/test.db")]);
//! let settings = Settings::<S>::read(&mut env);
//! env.finish()?;
//! let app = App::build(settings, &telemetry).await?;
//! println!("http://127.0.0.1:{}", app.port());
//! app.run().await?;
//! # Ok(())
//! # }
//! ```

mod admission;
mod fallback;
mod hardening;
mod input;
mod listener;
mod openapi;
mod status;
mod stopping;

use std::error::Error;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_cors::Cors;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{
    ResponseHead, Server, ServerHandle, Service as _, ServiceFactory, ServiceRequest, ServiceResponse,
};
use actix_web::http::{ConnectionType, header};
use actix_web::middleware::from_fn;
use actix_web::{HttpRequest, HttpResponse, HttpServer, web};
use anyhow::Context as _;
use diesel_migrations::EmbeddedMigrations;
use telemetry_core::Telemetry;
use telemetry_core::config::Env;
use telemetry_core::server::ServerBody;
use utoipa_actix_web::AppExt as _;
use utoipa_actix_web::service_config::ServiceConfig;
use utoipa_swagger_ui::SwaggerUi;

use self::admission::Admission;
use self::fallback::KnownPaths;
use self::listener::LastCalls;
use self::status::Identity;
use crate::config::{ServerConfig, Settings};
use crate::db::Database;
use crate::peer::PeerConfig;
use crate::token::{self, ServiceTokens};
use crate::{MetricsAccess, deadline};

pub use self::input::{BODY_LIMIT_BYTES, body_too_slow, json_config};
pub use self::stopping::Stopping;

/// A service: what [`crate::process`] runs. Each worker thread gets a clone, so it holds handles only.
pub trait Service: Clone + Send + 'static {
    /// The name in traces, tokens and file names, such as `user-service`.
    const NAME: &'static str;
    /// The version in traces and the OpenAPI document: `env!("CARGO_PKG_VERSION")`.
    const VERSION: &'static str;
    /// The port where `PORT` is not set.
    const PORT: u16;
    /// Its tables: `embed_migrations!()`.
    const MIGRATIONS: EmbeddedMigrations;

    /// What it reads from variables that no other service has.
    type Settings;

    /// Reads them. Mistakes are noted in `env`, where they join everyone else's.
    fn settings(env: &mut Env) -> Self::Settings;

    /// The services it calls, for `doctor` to look whether they are there: each answers `GET /health`.
    fn peers(_: &Self::Settings) -> Vec<&PeerConfig> {
        Vec::new()
    }

    /// Wires it. Runs on the main runtime, after the migrations and before the port is bound, so a task
    /// that lives as long as the process may be spawned here (see [`Stopping`]).
    ///
    /// # Errors
    /// Whatever keeps it from starting.
    fn build(settings: Self::Settings, parts: Parts) -> anyhow::Result<Self>;

    /// Adds its routes, and itself as `web::Data` for their handlers.
    fn routes(&self, config: &mut ServiceConfig);
}

/// What a service is built from.
pub struct Parts {
    /// Makes instrumented clients, and background tasks that shutting down waits for.
    pub telemetry: Telemetry,
    /// Where its tables are.
    pub database: Database,
    /// Makes the tokens its peers ask for.
    pub tokens: ServiceTokens,
    /// Tells when the process goes down.
    pub stopping: Stopping,
}

/// A service that is bound to its port.
pub struct App {
    server: Server,
    address: SocketAddr,
    stopper: Stopper,
}

impl App {
    /// Opens the database, brings its tables up to date, builds the service and binds the port.
    ///
    /// # Errors
    /// Where one of these fails; the chain tells which, and why.
    pub async fn build<S: Service>(settings: Settings<S>, telemetry: &Telemetry) -> anyhow::Result<Self> {
        let Settings { server: config, database, tokens, metrics, service } = settings;
        let applied = database.migrate(S::MIGRATIONS).await.context("migrating the database")?;
        if !applied.is_empty() {
            tracing::info!(db.migrations = applied.join(","), "migrated the database");
        }
        let open = {
            let telemetry = telemetry.clone();
            move || Database::open(&database, &telemetry)
        };
        let database = telemetry_core::context::blocking(open).await.context("opening the database")?;
        let stopping = Stopping::new();
        let parts = Parts {
            telemetry: telemetry.clone(),
            database: database.clone(),
            tokens: tokens.clone(),
            stopping: stopping.clone(),
        };
        let service = S::build(service, parts).with_context(|| format!("building {}", S::NAME))?;
        let surroundings = Surroundings {
            telemetry: telemetry.clone(),
            database,
            tokens,
            stopping: stopping.clone(),
            metrics,
            admission: Admission::new(config.admission, telemetry.meter()),
            cors_allowed_origins: config.cors_allowed_origins.clone().into(),
        };
        bind(&config, stopping, move || assemble(&service, &surroundings))
    }

    /// Where it listens; the real port where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Stops it from elsewhere.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Serves until it is stopped.
    ///
    /// # Errors
    /// Where the listener or a worker cannot go on.
    pub async fn run(self) -> std::io::Result<()> {
        self.server.await
    }
}

/// Stops a running [`App`].
#[derive(Clone)]
pub struct Stopper {
    handle: ServerHandle,
    stopping: Stopping,
    last_calls: Arc<Mutex<Option<LastCalls>>>,
}

impl Stopper {
    /// Lets clients go, stops accepting, lets the requests in flight finish, and returns when they have
    /// or their time is up.
    pub async fn stop(&self) {
        self.stopping.request();
        // From here on every answer closes its connection, so that clients which keep theirs busy leave
        // by themselves. The server would close it under the request that they are just sending.
        tokio::time::sleep(FAREWELL).await;
        self.handle.pause().await;
        let last_calls = self.last_calls.lock().unwrap_or_else(PoisonError::into_inner).take();
        let refuse = async {
            if let Some(last_calls) = last_calls
                && let Err(error) = last_calls.refuse(2 * HANDOVER).await
            {
                tracing::warn!(error = &error as &(dyn Error + 'static), "the last connections were reset");
            }
        };
        let stop = async {
            // `stop` drops a connection that was accepted and still waits for its worker.
            tokio::time::sleep(HANDOVER).await;
            self.handle.stop(true).await;
        };
        tokio::join!(stop, refuse);
    }
}

/// Long enough for a busy connection to be answered once more; most answers take a few milliseconds.
const FAREWELL: Duration = Duration::from_millis(250);

/// Long enough for an accepted connection to reach its worker, on a machine that is busy.
const HANDOVER: Duration = Duration::from_millis(100);

/// How long requests in flight may take to finish, of the `total` time for shutting down: the rest is
/// for background tasks and for telemetry. Whole seconds, since actix-web counts in them.
pub(crate) fn drain_timeout(total: Duration) -> Duration {
    Duration::from_secs((total.as_secs() * 6 / 10).max(1))
}

/// What is around the routes of every service.
#[derive(Clone)]
struct Surroundings {
    telemetry: Telemetry,
    database: Database,
    tokens: ServiceTokens,
    stopping: Stopping,
    metrics: MetricsAccess,
    admission: Admission,
    cors_allowed_origins: Arc<[String]>,
}

fn bind<F, I, B>(config: &ServerConfig, stopping: Stopping, application: F) -> anyhow::Result<App>
where
    F: Fn() -> actix_web::App<I> + Send + Clone + 'static,
    I: ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<B>,
            Error = actix_web::Error,
            InitError = (),
        > + 'static,
    B: MessageBody + 'static,
{
    let address = config.address();
    let (listener, last_calls) =
        listener::bind(address).with_context(|| format!("listening on {address}"))?;
    let address = listener.local_addr()?;
    let server = HttpServer::new(application)
        .workers(config.workers)
        .disable_signals()
        .shutdown_timeout(drain_timeout(config.shutdown_timeout).as_secs())
        .listen(listener)?
        .run();
    let last_calls = Arc::new(Mutex::new(Some(last_calls)));
    let stopper = Stopper { handle: server.handle(), stopping, last_calls };
    Ok(App { server, address, stopper })
}

/// The application of one worker.
fn assemble<S: Service>(
    service: &S,
    around: &Surroundings,
) -> actix_web::App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<ServerBody<BoxBody>>,
        Error = actix_web::Error,
        InitError = (),
    > + use<S>,
> {
    let (app, mut document) = actix_web::App::new()
        .into_utoipa_app()
        .openapi(openapi::base::<S>())
        .app_data(web::Data::new(Identity { name: S::NAME, version: S::VERSION }))
        .app_data(web::Data::new(around.telemetry.clone()))
        .app_data(web::Data::new(around.database.clone()))
        .app_data(web::Data::new(around.tokens.clone()))
        .app_data(web::Data::new(around.stopping.clone()))
        .app_data(web::Data::new(around.metrics.clone()))
        .app_data(input::json_config(BODY_LIMIT_BYTES))
        .app_data(input::payload_config())
        .app_data(input::query_config())
        .app_data(input::path_config())
        .configure(status::routes)
        .configure(|config| service.routes(config))
        .split_for_parts();
    openapi::complete(&mut document);
    let (stopping, admission) = (around.stopping.clone(), around.admission.clone());
    let known_paths = Rc::new(KnownPaths::of(&document));
    app.service(SwaggerUi::new("/docs/{_:.*}").url(openapi::PATH, document))
        .default_service(web::to(move |request: HttpRequest| {
            let problem = known_paths.refuse(&request);
            async move { Err::<HttpResponse, _>(problem) }
        }))
        .wrap(from_fn(move |request, next| admission.clone().pass(request, next)))
        .wrap(cors(&around.cors_allowed_origins))
        .wrap_fn(move |request, next| {
            let is_page = hardening::is_page(request.path());
            let (answer, stopping) = (next.call(request), stopping.clone());
            let finish = move |head: &mut ResponseHead| {
                hardening::harden(head.headers_mut(), is_page);
                if stopping.is_requested() {
                    head.set_connection_type(ConnectionType::Close);
                }
            };
            async move {
                match answer.await.map(fallback::with_document) {
                    Ok(mut answer) => {
                        finish(answer.response_mut().head_mut());
                        Ok(answer)
                    }
                    Err(mut error) => {
                        // A middleware further in has given up: its answer is made further out.
                        error.add_response_mapper(move |mut answer| {
                            finish(answer.head_mut());
                            answer
                        });
                        Err(error)
                    }
                }
            }
        })
        .wrap(around.telemetry.server().trust_baggage_of(token::is_from_service))
}

/// Named origins only: an answer to any origin would let every page on the web read it.
fn cors(allowed_origins: &[String]) -> Cors {
    let cors = Cors::default()
        .allowed_methods(["GET", "POST", "PUT", "PATCH", "DELETE"])
        .allowed_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
        .allowed_header("traceparent")
        .allowed_header("tracestate")
        .allowed_header("baggage")
        .allowed_header(deadline::HEADER)
        .allowed_header("idempotency-key")
        .expose_headers(["traceresponse", "retry-after", crate::idempotency::REPLAYED])
        .block_on_origin_mismatch(false)
        .max_age(3600);
    allowed_origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
}
