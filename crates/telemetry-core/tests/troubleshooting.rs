//! The symptoms of docs/troubleshooting.md, each beside its remedy: first the mistake is made, then it is mended.

#[expect(dead_code, reason = "nothing here has to be waited for")]
mod support;

use std::future::ready;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::{Next, from_fn};
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::{App, HttpResponse, web};
use diesel::prelude::*;
use diesel::r2d2::{self, ConnectionManager};
use diesel::sql_query;
use opentelemetry::trace::{TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue, Value};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use reqwest_retry::RetryTransientMiddleware;
use reqwest_retry::policies::ExponentialBackoff;
use telemetry_core::db::{Database, PoolOptions, instrument};
use telemetry_core::testing::TestTelemetry;
use telemetry_core::{context, opentelemetry, span};

use support::TestServer;

/// Refuses everybody, as the check of an access token might, and leaves a log line.
async fn refuse(
    request: ServiceRequest,
    _: Next<impl MessageBody + 'static>,
) -> actix_web::Result<ServiceResponse> {
    tracing::warn!("refused");
    Ok(request.into_response(HttpResponse::Unauthorized()))
}

#[actix_web::test]
async fn what_a_middleware_outside_of_ours_answers_is_seen_once_ours_is_wrapped_last() {
    let request = || TestRequest::get().uri("/").to_request();

    let telemetry = TestTelemetry::new();
    let tracing = telemetry.collect_tracing();
    let app = init_service(App::new().wrap(telemetry.server()).wrap(from_fn(refuse))).await;
    assert_eq!(call_service(&app, request()).await.status(), 401);
    assert_eq!(telemetry.trees(), []);
    assert_eq!(telemetry.log("refused").trace_id, None);
    drop(tracing);

    let telemetry = TestTelemetry::new();
    let _tracing = telemetry.collect_tracing();
    let app = init_service(App::new().wrap(from_fn(refuse)).wrap(telemetry.server())).await;
    assert_eq!(call_service(&app, request()).await.status(), 401);
    let trees = telemetry.trees();
    assert_eq!(trees[0].attributes["http.response.status_code"], Value::from(401));
    assert_eq!(telemetry.log("refused").span.as_deref(), Some("GET"));
}

#[actix_web::test]
async fn a_second_middleware_makes_a_second_server_span_of_each_request() {
    let telemetry = TestTelemetry::new();
    let app = App::new().wrap(telemetry.server()).wrap(telemetry.server());
    let app = init_service(app.route("/", web::get().to(HttpResponse::Ok))).await;
    call_service(&app, TestRequest::get().uri("/").to_request()).await;
    // Each goes by the caller's header, so that without one they are two traces.
    let names: Vec<String> = telemetry.trees().into_iter().map(|tree| tree.name).collect();
    assert_eq!(names, ["GET /", "GET /"]);
}

#[tokio::test]
async fn retries_are_one_span_until_the_clients_middleware_is_added_last() {
    let retries = || {
        let bounds = (Duration::from_millis(1), Duration::from_millis(2));
        let policy = ExponentialBackoff::builder().retry_bounds(bounds.0, bounds.1);
        RetryTransientMiddleware::new_with_policy(policy.build_with_max_retries(2))
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let server = TestServer::start(TestTelemetry::new().clone(), |config| {
        config.route("/", web::get().to(|| ready(HttpResponse::ServiceUnavailable())));
    });
    let spans = async |telemetry: TestTelemetry, client: ClientWithMiddleware| {
        client.get(server.url("/")).send().await.unwrap();
        telemetry.trees().len()
    };

    let telemetry = TestTelemetry::new();
    let client = ClientBuilder::new(reqwest::Client::new()).with(telemetry.client_middleware());
    assert_eq!(spans(telemetry, client.with(retries()).build()).await, 1);

    let telemetry = TestTelemetry::new();
    let client = ClientBuilder::new(reqwest::Client::new()).with(retries());
    let client = client.with(telemetry.client_middleware()).build();
    assert_eq!(spans(telemetry, client).await, 3);
}

#[actix_web::test]
async fn a_pool_of_diesels_own_is_untraced_until_telemetry_makes_it() {
    type Manager = ConnectionManager<SqliteConnection>;
    let manager = || Manager::new(":memory:");
    let database = || Database::from_url("sqlite://:memory:").unwrap();
    let telemetry = TestTelemetry::new();

    let pool = r2d2::Pool::builder().max_size(1).build(manager()).unwrap();
    sql_query("SELECT 1").execute(&mut pool.get().unwrap()).unwrap();
    assert_eq!(telemetry.trees(), []);

    // A connection that one has to make oneself.
    let mut connection = SqliteConnection::establish(":memory:").unwrap();
    instrument(&mut connection, &telemetry, &database());
    sql_query("SELECT 1").execute(&mut connection).unwrap();
    assert_eq!(telemetry.trees()[0].name, "SELECT");

    let telemetry = TestTelemetry::new();
    let pool = telemetry.pool(manager(), database(), PoolOptions::default()).unwrap();
    pool.run(|connection| sql_query("SELECT 1").execute(connection)).await.unwrap().unwrap();
    assert_eq!(telemetry.trees()[0].name, "SELECT");
}

#[actix_web::test]
#[expect(clippy::disallowed_methods, reason = "that it loses the trace is what is shown")]
async fn queries_on_a_blocking_thread_are_traces_of_their_own_until_the_pool_runs_them() {
    let request = async |telemetry: &TestTelemetry, is_mended: bool| {
        let url = "sqlite://:memory:";
        let manager = ConnectionManager::<SqliteConnection>::new(":memory:");
        let database = Database::from_url(url).unwrap();
        let pool = telemetry.pool(manager, database, PoolOptions::default()).unwrap();
        let root = Context::new().with_span(telemetry.tracer().start("request"));
        let query = async {
            if is_mended {
                pool.run(|connection| sql_query("SELECT 1").execute(connection)).await.unwrap().unwrap();
            } else {
                let pool = pool.clone();
                web::block(move || sql_query("SELECT 1").execute(&mut *pool.get().unwrap()).unwrap())
                    .await
                    .unwrap();
            }
        };
        opentelemetry::context::FutureExt::with_context(query, root.clone()).await;
        root.span().end();
        let mut names: Vec<String> = telemetry.trees().into_iter().map(|tree| tree.name).collect();
        names.sort();
        names
    };
    assert_eq!(request(&TestTelemetry::new(), false).await, ["SELECT", "request"]);
    assert_eq!(request(&TestTelemetry::new(), true).await, ["request"]);
}

#[tokio::test]
async fn a_tenant_that_a_handler_names_is_on_what_follows_and_on_the_requests_span_where_it_is_set() {
    let handler = async |telemetry: &TestTelemetry, is_mended: bool| {
        if is_mended {
            span::set_attribute("tenant.id", "t-1");
        }
        let work = async { telemetry.tracer().in_span("work", |_| ()) };
        context::with_baggage([KeyValue::new("tenant.id", "t-1")], work).await;
    };
    for is_mended in [false, true] {
        let telemetry = TestTelemetry::new();
        let root = Context::new().with_span(telemetry.tracer().start("request"));
        let handled = handler(&telemetry, is_mended);
        opentelemetry::context::FutureExt::with_context(handled, root.clone()).await;
        root.span().end();
        let request = &telemetry.trees()[0];
        assert_eq!(
            request.attributes.contains_key("tenant.id"),
            is_mended,
            "it began before the tenant was known"
        );
        assert_eq!(request.children[0].attributes["tenant.id"], Value::from("t-1"));
    }
}

#[test]
fn a_threads_log_lines_have_no_trace_until_the_context_is_attached_there() {
    let telemetry = TestTelemetry::new();
    telemetry.tracer().in_span("request", |context| {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _tracing = telemetry.collect_tracing();
                tracing::info!("lost");
                let _current = context.clone().attach();
                tracing::info!("kept");
            });
        });
    });
    assert_eq!(telemetry.log("lost").trace_id, None);
    assert_eq!(telemetry.log("kept").span.as_deref(), Some("request"));
}
