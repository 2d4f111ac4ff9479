//! The reqwest middleware, against real peers: one that is instrumented, and ones that misbehave.

mod support;

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue, Value};
use reqwest_middleware::ClientBuilder;
use reqwest_retry::RetryTransientMiddleware;
use reqwest_retry::policies::ExponentialBackoff;
use telemetry_core::client::UrlTemplate;
use telemetry_core::testing::{SpanTree, TestTelemetry, span};
use telemetry_core::{context, opentelemetry};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use support::TestServer;

fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/orders/{id}", web::get().to(async || "an order"))
        .route("/unavailable", web::get().to(async || HttpResponse::ServiceUnavailable().finish()))
        .route(
            "/headers",
            web::get().to(async |request: HttpRequest| {
                let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
                format!("{:?} {:?}", header("traceparent"), header("baggage"))
            }),
        );
}

/// The client spans: the server under the same telemetry has its own.
fn client_trees(telemetry: &TestTelemetry) -> Vec<SpanTree> {
    telemetry
        .trees()
        .into_iter()
        .filter(|tree| tree.kind == SpanKind::Client)
        .map(|tree| {
            let mut tree = tree.without(&["server.port", "network.peer.port"]);
            tree.children.clear();
            tree
        })
        .collect()
}

fn request_span(name: &str, url: String) -> SpanTree {
    span(name, SpanKind::Client)
        .attribute("http.request.method", "GET")
        .attribute("url.scheme", "http")
        .attribute("url.full", url)
        .attribute("server.address", "127.0.0.1")
}

fn exception(kind: &'static str, message: &'static str) -> [KeyValue; 3] {
    [
        KeyValue::new("exception.type", kind),
        KeyValue::new("exception.message", message),
        KeyValue::new("exception.stacktrace", message),
    ]
}

#[tokio::test]
async fn a_request_is_one_client_span_and_the_servers_is_its_child() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    let url = server.url("/orders/7?token=x&page=1");
    let with_credentials = url.replace("127.0.0.1", "joe:pw@127.0.0.1");
    let request = telemetry.client().get(with_credentials).with_extension(UrlTemplate("/orders/{id}"));
    assert_eq!(request.send().await.unwrap().text().await.unwrap(), "an order");
    support::eventually("both spans", || telemetry.spans().len() == 2).await;

    let [tree] = telemetry.trees().try_into().unwrap();
    assert_eq!(tree.children[0].name, "GET /orders/{id}");
    assert_eq!(tree.children[0].kind, SpanKind::Server);
    // reqwest has moved the credentials into a header by now.
    let redacted = server.url("/orders/7?token=REDACTED&page=1");
    assert_eq!(
        client_trees(&telemetry),
        [request_span("GET /orders/{id}", redacted)
            .attribute("url.template", "/orders/{id}")
            .attribute("network.peer.address", "127.0.0.1")
            .attribute("network.protocol.version", "1.1")
            .attribute("http.response.status_code", 200)]
    );
    telemetry.assert_absent("joe:pw");
}

#[tokio::test]
async fn trace_and_baggage_are_sent_along() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    let entries = [KeyValue::new("tenant.id", "t 1")];
    let request = telemetry.client().get(server.url("/headers")).send();
    let text = context::with_baggage(entries, request).await.unwrap().text().await.unwrap();
    let client_span = telemetry.spans().into_iter().find(|s| s.span_kind == SpanKind::Client).unwrap();
    let ids = &client_span.span_context;
    let traceparent = format!("00-{}-{}-03", ids.trace_id(), ids.span_id());
    assert_eq!(text, format!("Some({traceparent:?}) Some(\"tenant.id=t%201\")"));
    assert_eq!(client_trees(&telemetry)[0].attributes["tenant.id"], Value::from("t 1"));
}

#[tokio::test]
async fn only_the_named_hosts_learn_of_trace_and_baggage() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    let _ = rustls::crypto::ring::default_provider().install_default();
    let plain = reqwest::Client::builder().resolve("inside.test", server.address).build().unwrap();
    let middleware = telemetry.client_middleware().propagate_to(["Inside.test", "[::1]"]);
    let client = ClientBuilder::new(plain).with(middleware).build();
    let get = async |host: &str| {
        let request = client.get(server.url("/headers").replace("127.0.0.1", host)).send();
        let request = context::with_baggage([KeyValue::new("tenant.id", "t-1")], request);
        request.await.unwrap().text().await.unwrap()
    };
    assert_eq!(get("127.0.0.1").await, "None None");
    let told = get("inside.test").await;
    assert!(told.starts_with("Some(\"00-") && told.ends_with("Some(\"tenant.id=t-1\")"), "{told}");
    assert_eq!(client_trees(&telemetry).len(), 2, "both requests have their span");
}

#[tokio::test]
async fn a_client_without_baggage_still_sends_the_trace() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    let client = telemetry.client_middleware().without_baggage().peer_name("gateway").into_client();
    let request = client.get(server.url("/headers")).send();
    let text = context::with_baggage([KeyValue::new("tenant.id", "t-1")], request).await;
    let text = text.unwrap().text().await.unwrap();
    assert!(text.starts_with("Some(\"00-") && text.ends_with(" None"), "{text}");
    let [tree] = &client_trees(&telemetry)[..] else { panic!("one client span") };
    assert_eq!(tree.attributes["service.peer.name"], Value::from("gateway"));
    assert_eq!(tree.attributes["tenant.id"], Value::from("t-1"), "the baggage stays inside");
}

#[tokio::test]
async fn a_server_error_reads_http_503_and_the_answer_is_not_lost() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    let response = telemetry.client().get(server.url("/unavailable")).send().await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(
        client_trees(&telemetry),
        [request_span("GET", server.url("/unavailable"))
            .status(Status::error("HTTP 503"))
            .attribute("network.peer.address", "127.0.0.1")
            .attribute("network.protocol.version", "1.1")
            .attribute("http.response.status_code", 503)
            .attribute("error.type", "503")
            .event("exception", exception("HttpStatusError", "HTTP 503"))]
    );
}

#[tokio::test]
async fn each_try_is_a_span_that_knows_its_number() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    let backoff = ExponentialBackoff::builder()
        .retry_bounds(Duration::from_millis(1), Duration::from_millis(2))
        .build_with_max_retries(2);
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = ClientBuilder::new(reqwest::Client::new())
        .with(RetryTransientMiddleware::new_with_policy(backoff))
        .with(telemetry.client_middleware())
        .build();
    client.get(server.url("/unavailable")).send().await.unwrap();
    let resends: Vec<_> = client_trees(&telemetry)
        .into_iter()
        .map(|tree| tree.attributes.get("http.request.resend_count").cloned())
        .collect();
    assert_eq!(resends, [None, Some(Value::from(1)), Some(Value::from(2))]);
}

#[tokio::test]
async fn a_peer_that_does_not_answer_reads_request_timeout() {
    let telemetry = TestTelemetry::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let request = telemetry.client().get(&url).timeout(Duration::from_millis(50)).send();
    assert!(request.await.unwrap_err().is_timeout());
    assert_eq!(
        client_trees(&telemetry),
        [request_span("GET", url)
            .status(Status::error("Request timeout"))
            .attribute("error.type", "timeout")
            .event(
                "exception",
                [
                    KeyValue::new("exception.type", "timeout"),
                    KeyValue::new("exception.message", "Request timeout"),
                    KeyValue::new("exception.stacktrace", "Request timeout\ncaused by: operation timed out"),
                ]
            )]
    );
}

#[tokio::test]
async fn refused_and_lost_connections_are_told_apart() {
    let telemetry = TestTelemetry::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let peer = async {
        let (mut connection, _) = listener.accept().await.unwrap();
        let _ = connection.read(&mut [0; 16]).await;
        drop(connection);
    };
    let (result, ()) = futures_util::future::join(telemetry.client().get(&url).send(), peer).await;
    result.unwrap_err();
    drop(listener);
    telemetry.client().get(&url).send().await.unwrap_err();
    let types: Vec<_> =
        client_trees(&telemetry).into_iter().map(|tree| tree.attributes["error.type"].clone()).collect();
    assert_eq!(types, [Value::from("transport"), Value::from("connect")]);
}

#[tokio::test]
async fn a_caller_that_gives_up_ends_the_span() {
    let telemetry = TestTelemetry::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let request = telemetry.client().get(&url).send();
    tokio::time::timeout(Duration::from_millis(50), request).await.unwrap_err();
    assert_eq!(
        client_trees(&telemetry),
        [request_span("GET", url)
            .status(Status::error("Request cancelled"))
            .attribute("error.type", "cancelled")]
    );
}

#[tokio::test]
async fn the_duration_metric_has_no_url() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    telemetry.client().get(server.url("/orders/7")).send().await.unwrap();
    let durations: Vec<_> = telemetry
        .metrics()
        .into_iter()
        .filter(|series| series.name == "http.client.request.duration")
        .collect();
    let [duration] = &durations[..] else { panic!("one series: {durations:?}") };
    assert_eq!((duration.unit.as_str(), duration.count), ("s", 1));
    let names: Vec<_> = duration.attributes.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "http.request.method",
            "http.response.status_code",
            "network.protocol.version",
            "server.address",
            "server.port",
            "url.scheme"
        ]
    );
}

#[tokio::test]
async fn the_trace_survives_spawns_blocking_threads_and_background_tasks() {
    let telemetry = TestTelemetry::new();
    let tracer = telemetry.tracer().clone();
    let root =
        Context::new().with_span(tracer.start("root")).with_baggage([KeyValue::new("tenant.id", "t-1")]);
    {
        let _current = root.clone().attach();
        let here = tracer.clone();
        let spawned = context::spawn(async move {
            tokio::task::yield_now().await;
            here.in_span("spawned", |_| ());
        });
        let here = tracer.clone();
        let blocking = context::in_current(context::blocking(move || here.in_span("blocking", |_| ())));
        telemetry.background("send_email", async {
            tokio::task::yield_now().await;
            telemetry_core::span::set_attribute("email.message_length", 12_i64);
        });
        drop(tracer);
        futures_util::future::join(spawned, blocking).await.0.unwrap();
    }
    assert!(telemetry.background_done(Duration::from_secs(5)).await);
    root.span().end();
    let [tree] = telemetry.trees().try_into().unwrap();
    let mut names: Vec<_> = tree.children.iter().map(|child| child.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["blocking", "send_email", "spawned"]);
    assert!(tree.children.iter().all(|child| child.attributes["tenant.id"] == Value::from("t-1")));
}

#[tokio::test]
async fn a_background_task_that_panics_or_is_dropped_has_failed() {
    let telemetry = TestTelemetry::new();
    telemetry.background("panicking", async { panic!("invariant broken") });
    assert!(telemetry.background_done(Duration::from_secs(5)).await);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    {
        let _entered = runtime.enter();
        let dropped = TestTelemetry::new();
        dropped.background("dropped", std::future::pending());
        let telemetry = dropped;
        std::thread::spawn(move || drop(runtime)).join().unwrap();
        let [tree] = telemetry.trees().try_into().unwrap();
        assert_eq!(tree.attributes["error.type"], Value::from("cancelled"));
    }
    let [tree] = telemetry.trees().try_into().unwrap();
    assert_eq!(tree.status, Status::error("the task panicked"));
    assert_eq!(tree.events[0].1["exception.message"], Value::from("invariant broken"));
}
