//! What a span says of a try.

use std::time::Duration;

use opentelemetry::trace::{SpanKind, Status};
use opentelemetry::{KeyValue, Value};
use reqwest_middleware::ClientBuilder;
use reqwest_retry::RetryTransientMiddleware;
use reqwest_retry::policies::ExponentialBackoff;
use telemetry_core::client::UrlTemplate;
use telemetry_core::testing::TestTelemetry;
use telemetry_core::{context, opentelemetry};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::harness::{client_trees, exception, request_span, routes};
use crate::support::{self, TestServer};

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
                    KeyValue::new("exception.type", "reqwest::error::Error"),
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
async fn an_unknown_method_is_other_and_makes_no_series_of_its_own() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(TestTelemetry::new().clone(), routes);
    let method = reqwest::Method::from_bytes(b"BREW").unwrap();
    telemetry.client().request(method, server.url("/orders/7")).send().await.unwrap();
    let [tree] = client_trees(&telemetry).try_into().unwrap();
    assert_eq!(tree.name, "HTTP");
    assert_eq!(tree.attributes["http.request.method_original"], Value::from("BREW"));
    assert!(!format!("{:?}", telemetry.metrics()).contains("BREW"));
}

/// A middleware below ours that refuses, as a circuit breaker does.
struct Refusing;

#[async_trait::async_trait]
impl reqwest_middleware::Middleware for Refusing {
    async fn handle(
        &self,
        _: reqwest::Request,
        _: &mut http::Extensions,
        _: reqwest_middleware::Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        Err(reqwest_middleware::Error::middleware(std::io::Error::other("the circuit is open")))
    }
}

#[tokio::test]
async fn a_middleware_that_refuses_is_told_as_such() {
    let telemetry = TestTelemetry::new();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client =
        ClientBuilder::new(reqwest::Client::new()).with(telemetry.client_middleware()).with(Refusing).build();
    client.get("http://127.0.0.1:1/").send().await.unwrap_err();
    let [tree] = client_trees(&telemetry).try_into().unwrap();
    assert_eq!(tree.attributes["error.type"], Value::from("middleware"));
    assert_eq!(tree.status, Status::error("Request refused by a middleware"));
    assert_eq!(tree.events[0].1["exception.type"], Value::from("middleware"));
}

#[tokio::test]
async fn a_refusal_is_an_error_of_the_try_and_no_exception() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(TestTelemetry::new().clone(), routes);
    let response = telemetry.client().get(server.url("/nowhere")).send().await.unwrap();
    assert_eq!(response.status(), 404);
    assert_eq!(
        client_trees(&telemetry),
        [request_span("GET", server.url("/nowhere"))
            .status(Status::error("HTTP 404"))
            .attribute("network.peer.address", "127.0.0.1")
            .attribute("network.protocol.version", "1.1")
            .attribute("http.response.status_code", 404)
            .attribute("error.type", "404")]
    );
}

#[tokio::test]
async fn ports_and_status_codes_are_numbers() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    telemetry.client().get(server.url("/orders/7")).send().await.unwrap();
    support::eventually("both spans", || telemetry.spans().len() == 2).await;
    let port = Value::from(i64::from(server.address.port()));
    for span in telemetry.spans() {
        let value = |name: &str| {
            let found = span.attributes.iter().find(|attribute| attribute.key.as_str() == name);
            found
                .map(|attribute| attribute.value.clone())
                .unwrap_or_else(|| panic!("{name} of {}", span.name))
        };
        assert_eq!(value("server.port"), port);
        assert_eq!(value("http.response.status_code"), Value::from(200));
        assert!(matches!(value("network.peer.port"), Value::I64(1..=65_535)));
    }
    let [duration] = crate::harness::series(&telemetry, "http.client.request.duration").try_into().unwrap();
    assert_eq!(duration.attributes["server.port"], port);
}

#[tokio::test]
async fn redirects_without_end_and_addresses_that_are_none_are_told_apart() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(TestTelemetry::new().clone(), |config| {
        let again = async || actix_web::HttpResponse::Found().insert_header(("location", "/again")).finish();
        config.route("/again", actix_web::web::get().to(again));
    });
    telemetry.client().get(server.url("/again")).send().await.unwrap_err();
    let request = telemetry.client().get(server.url("/orders/7")).header("x-tag", "a\nb").send();
    request.await.unwrap_err();
    let types: Vec<_> = client_trees(&telemetry)
        .into_iter()
        .map(|tree| (tree.attributes["error.type"].clone(), tree.status))
        .collect();
    assert_eq!(types, [(Value::from("redirect"), Status::error("Too many redirects"))]);
}
