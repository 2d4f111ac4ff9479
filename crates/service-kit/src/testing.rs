//! A service on a port and a database of its own, for tests through its real socket (feature `testing`).
//!
//! ```no_run
//! # async fn example<S: service_kit::Service>() {
//! use service_kit::testing::TestApp;
//!
//! let app = TestApp::spawn::<S>([("JWT_EXPIRE_MINUTES", "5")]).await;
//! let answer = app.get("/nowhere").send().await;
//! answer.assert_problem(404, "unknown_path");
//! assert_eq!(app.telemetry.spans()[0].name, "GET");
//! # }
//! ```

mod answer;
mod database;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _};
use reqwest::Method;
use reqwest_middleware::{ClientWithMiddleware, RequestBuilder};
use secrecy::ExposeSecret;
use serde::Serialize;
use telemetry_core::Config;
use telemetry_core::config::Env;
use telemetry_core::opentelemetry::trace::SpanKind;
use telemetry_core::propagation::Propagation;
use telemetry_core::testing::{SpanTree, TestTelemetry};
use utoipa_actix_web::service_config::ServiceConfig;

use crate::app::{App, Parts, Service, Stopper};
use crate::config::Settings;
use crate::db::Connection;
use crate::token::ServiceTokens;

pub use self::answer::Answer;
pub use self::database::TestDatabase;

/// The name under which [`Request::from_service`] calls.
pub const CALLER: &str = "test-service";

/// A running service. It stops, and its database goes, when this is dropped at the end of the test.
pub struct TestApp {
    /// What the service emits, `tracing` spans and logs of its workers included.
    pub telemetry: Arc<TestTelemetry>,
    /// Its database.
    pub database: TestDatabase,
    service: &'static str,
    address: SocketAddr,
    stopper: Stopper,
    client: ClientWithMiddleware,
}

impl TestApp {
    /// Starts the service with these variables, on a database and a port of its own.
    ///
    /// # Panics
    /// Where it does not start; outside an actix runtime.
    pub async fn spawn<S: Service>(variables: impl IntoIterator<Item = (&str, &str)>) -> Self {
        let database = TestDatabase::new();
        let telemetry = Arc::new(TestTelemetry::with_propagation(propagation()));
        let own = [("PORT", "0"), ("WORKERS", "1"), ("DATABASE_URL", database.url())];
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let mut env = Env::of(own.into_iter().map(owned).chain(variables.into_iter().map(owned)));
        let Settings { server, database: config, tokens, metrics, service } = Settings::<S>::read(&mut env);
        env.finish().expect("the variables are right");
        let service = (service, telemetry.clone());
        let settings = Settings::<Observed<S>> { server, database: config, tokens, metrics, service };
        let app = App::build(settings, &telemetry).await.expect("the service starts");
        let (address, stopper) = (app.address(), app.stopper());
        telemetry_core::context::spawn_local(app.run());
        // The caller's own telemetry is apart, so that the service's is the service's alone.
        let client = TestTelemetry::new().client();
        Self { telemetry, database, service: S::NAME, address, stopper, client }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops it as SIGTERM would, and returns when it has.
    pub async fn stop(&self) {
        self.stopper.stop().await;
    }

    /// The traces of the first `requests` requests, once they have ended: their SERVER spans with all that
    /// is below, in the order they started. (A client can have an answer before its span has ended.)
    ///
    /// # Panics
    /// Where they have not ended after 10 s.
    pub async fn traces(&self, requests: usize) -> Vec<SpanTree> {
        let start = Instant::now();
        loop {
            let mut trees = self.telemetry.trees();
            trees.retain(|tree| tree.kind == SpanKind::Server);
            if trees.len() >= requests {
                trees.truncate(requests);
                return trees;
            }
            assert!(
                start.elapsed() < Duration::from_secs(10),
                "{} of {requests} requests ended",
                trees.len()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// A GET of this path.
    pub fn get(&self, path: &str) -> Request<'_> {
        self.request(Method::GET, path)
    }

    /// A POST of this JSON to this path.
    pub fn post(&self, path: &str, body: &impl Serialize) -> Request<'_> {
        self.request(Method::POST, path).with(|request| request.json(body))
    }

    /// Any request.
    pub fn request(&self, method: Method, path: &str) -> Request<'_> {
        Request { app: self, request: self.client.request(method, format!("http://{}{path}", self.address)) }
    }
}

/// That of a process: the tenant's names are believed of services only.
fn propagation() -> Propagation {
    let config = Config::read(CALLER, env!("CARGO_PKG_VERSION"), &mut Env::of::<&str, &str>([]));
    Propagation::new(&config.propagators).reserving(config.baggage_attributes)
}

/// Runs the service's migrations, undoes all of them, and runs them again.
///
/// # Panics
/// Where one of them fails.
pub fn assert_migrations_can_be_undone<S: Service>() {
    let database = TestDatabase::new();
    let url = database.url().parse().expect("a test's database has a URL");
    let mut connection = Connection::open(&url).expect("a test's database can be reached");
    let applied = connection.run_pending_migrations(S::MIGRATIONS).expect("the migrations run").len();
    let undone = connection.revert_all_migrations(S::MIGRATIONS).expect("the migrations can be undone").len();
    assert_eq!(undone, applied);
    connection.run_pending_migrations(S::MIGRATIONS).expect("the migrations run again");
}

/// A request in the making.
#[must_use = "a request is made by `send`"]
pub struct Request<'a> {
    app: &'a TestApp,
    request: RequestBuilder,
}

impl Request<'_> {
    /// Changes it in any way.
    pub fn with(self, change: impl FnOnce(RequestBuilder) -> RequestBuilder) -> Self {
        Self { request: change(self.request), ..self }
    }

    /// As a user with this access token.
    pub fn from_user(self, token: &str) -> Self {
        self.with(|request| request.bearer_auth(token))
    }

    /// As the service [`CALLER`], with the development secret.
    pub fn from_service(self) -> Self {
        self.from_service_for(None)
    }

    /// The same for this user.
    pub fn from_service_for(self, user_id: Option<&str>) -> Self {
        let tokens = ServiceTokens::read(&mut Env::of::<&str, &str>([]), CALLER);
        let token = tokens.issue(self.app.service, user_id);
        self.with(|request| request.bearer_auth(token.expose_secret()))
    }

    /// Sends it and reads the whole answer.
    ///
    /// # Panics
    /// Where there is none.
    pub async fn send(self) -> Answer {
        Answer::read(self.request.send().await.expect("the service answers")).await
    }
}

/// The service, with the `tracing` of its workers going into the test's telemetry.
#[derive(Clone)]
struct Observed<S> {
    service: S,
    telemetry: Arc<TestTelemetry>,
}

impl<S: Service> Service for Observed<S> {
    const NAME: &'static str = S::NAME;
    const VERSION: &'static str = S::VERSION;
    const PORT: u16 = S::PORT;
    const MIGRATIONS: EmbeddedMigrations = S::MIGRATIONS;

    type Settings = (S::Settings, Arc<TestTelemetry>);

    fn settings(_: &mut Env) -> Self::Settings {
        unreachable!("TestApp::spawn reads the settings of the service itself")
    }

    fn build((settings, telemetry): Self::Settings, parts: Parts) -> anyhow::Result<Self> {
        Ok(Self { service: S::build(settings, parts)?, telemetry })
    }

    fn routes(&self, config: &mut ServiceConfig) {
        // Runs once on each worker's thread, and is to last as long as the thread.
        std::mem::forget(self.telemetry.collect_tracing());
        self.service.routes(config);
    }
}
