//! The server middleware, seen from outside: a real actix app behind a real socket.

mod support;

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::stream;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{SpanKind, Status, Tracer as _};
use opentelemetry::{Context, KeyValue, Value};
use telemetry_core::config::Propagator;
use telemetry_core::propagation::Propagation;
use telemetry_core::server::ErrorType;
use telemetry_core::testing::{Series, SpanTree, TestTelemetry, span};
use telemetry_core::{context, opentelemetry};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use support::{TestServer, eventually};

fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/health", web::get().to(async || HttpResponse::Ok().body("fine")))
        .route("/orders/{id}", web::get().to(async |id: web::Path<String>| format!("order {id}")))
        .route("/orders", web::post().to(async |body: web::Bytes| HttpResponse::Created().body(body)))
        .route("/head", web::head().to(async || "a body that is not sent"))
        .route("/missing", web::get().to(async || HttpResponse::NotFound().finish()))
        .route("/error", web::get().to(fail))
        .route("/coded", web::get().to(fail_with_code))
        .route("/panic", web::get().to(panic_now))
        .route("/endless", web::get().to(endless))
        .route(
            "/slow",
            web::get().to(async || {
                tokio::time::sleep(Duration::from_secs(60)).await;
                HttpResponse::Ok().finish()
            }),
        )
        .route(
            "/blocking",
            web::get().to(async || {
                context::blocking(|| telemetry_core::span::set_attribute("from.blocking", true)).await;
                HttpResponse::Ok().finish()
            }),
        );
}

async fn fail() -> Result<HttpResponse, actix_web::Error> {
    Err(actix_web::error::ErrorInternalServerError("the disk is full"))
}

async fn fail_with_code() -> HttpResponse {
    let error = std::io::Error::other("connection refused by inventory");
    let mut response = HttpResponse::ServiceUnavailable().finish();
    response.extensions_mut().insert(ErrorType::new("inventory_unavailable").caused_by(&error));
    response
}

async fn panic_now() -> HttpResponse {
    panic!("invariant broken")
}

async fn endless() -> HttpResponse {
    let chunks = stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        Some((Ok::<_, actix_web::Error>(web::Bytes::from_static(b"chunk")), ()))
    });
    HttpResponse::Ok().streaming(Box::pin(chunks))
}

/// Attributes that differ from run to run.
const VOLATILE: [&str; 2] = ["server.port", "network.peer.port"];

/// What every request from this test has.
fn request_span(method: &str, route: Option<&str>, path: &str, status: Option<i64>) -> SpanTree {
    let name = route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}"));
    let mut expected = span(name, SpanKind::Server)
        .attribute("http.request.method", method.to_owned())
        .attribute("url.scheme", "http")
        .attribute("url.path", path.to_owned())
        .attribute("server.address", "127.0.0.1")
        .attribute("client.address", "127.0.0.1")
        .attribute("network.peer.address", "127.0.0.1")
        .attribute("network.protocol.version", "1.1");
    if let Some(route) = route {
        expected = expected.attribute("http.route", route.to_owned());
    }
    match status {
        Some(status) => expected.attribute("http.response.status_code", status),
        None => expected,
    }
}

async fn one_tree(telemetry: &TestTelemetry) -> SpanTree {
    eventually("one span", || !telemetry.spans().is_empty()).await;
    let [tree] = telemetry.trees().try_into().expect("one tree");
    SpanTree::without(tree, &VOLATILE)
}

fn series(telemetry: &TestTelemetry, name: &str) -> Vec<Series> {
    telemetry.metrics().into_iter().filter(|series| series.name == name).collect()
}

#[tokio::test]
async fn a_request_is_one_server_span_with_the_conventions_attributes() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    let response = reqwest_get(&server.url("/orders/7?page=2&token=secret")).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.text().await.unwrap(), "order 7");
    assert_eq!(
        one_tree(&telemetry).await,
        request_span("GET", Some("/orders/{id}"), "/orders/7", Some(200))
            .attribute("url.query", "page=2&token=REDACTED")
    );
}

#[tokio::test]
async fn an_unmatched_path_has_no_route_and_makes_no_series_of_its_own() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    for path in ["/a", "/b", "/c"] {
        assert_eq!(reqwest_get(&server.url(path)).await.status(), 404);
    }
    eventually("three spans", || telemetry.spans().len() == 3).await;
    let trees = telemetry.trees();
    assert_eq!(trees[0].clone().without(&VOLATILE), request_span("GET", None, "/a", Some(404)));
    let durations = series(&telemetry, "http.server.request.duration");
    assert_eq!(durations.len(), 1, "{durations:?}");
    assert_eq!(durations[0].count, 3);
}

#[tokio::test]
async fn an_unknown_method_is_other_and_keeps_its_name_only_on_the_span() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    let method = reqwest::Method::from_bytes(b"BREW").unwrap();
    client().request(method, server.url("/orders/7")).send().await.unwrap();
    let tree = one_tree(&telemetry).await;
    assert_eq!(tree.name, "HTTP /orders/{id}");
    assert_eq!(tree.attributes["http.request.method"], Value::from("_OTHER"));
    assert_eq!(tree.attributes["http.request.method_original"], Value::from("BREW"));
    assert!(!format!("{:?}", telemetry.metrics()).contains("BREW"));
}

#[tokio::test]
async fn a_client_error_leaves_the_status_unset() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    reqwest_get(&server.url("/missing")).await;
    assert_eq!(one_tree(&telemetry).await, request_span("GET", Some("/missing"), "/missing", Some(404)));
}

#[tokio::test]
async fn a_handlers_error_is_recorded_as_an_exception() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    reqwest_get(&server.url("/error")).await;
    assert_eq!(
        one_tree(&telemetry).await,
        request_span("GET", Some("/error"), "/error", Some(500))
            .status(Status::error(""))
            .attribute("error.type", "500")
            .event("exception", exception("500", "the disk is full"))
    );
}

#[tokio::test]
async fn the_services_own_code_is_the_error_type_of_span_and_metric() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    reqwest_get(&server.url("/coded")).await;
    assert_eq!(
        one_tree(&telemetry).await,
        request_span("GET", Some("/coded"), "/coded", Some(503))
            .status(Status::error("inventory_unavailable"))
            .attribute("error.type", "inventory_unavailable")
            .event("exception", exception("inventory_unavailable", "connection refused by inventory"))
    );
    let durations = series(&telemetry, "http.server.request.duration");
    assert_eq!(durations[0].attributes["error.type"], Value::from("inventory_unavailable"));
}

#[tokio::test]
async fn a_panic_is_recorded_and_the_gauge_falls() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    client().get(server.url("/panic")).send().await.unwrap_err();
    assert_eq!(
        one_tree(&telemetry).await,
        request_span("GET", Some("/panic"), "/panic", None)
            .status(Status::error("the handler panicked"))
            .attribute("error.type", "panic")
            .event("exception", exception("panic", "invariant broken"))
    );
    assert_eq!(series(&telemetry, "http.server.active_requests")[0].value, 0.0);
}

#[tokio::test]
async fn a_client_that_hangs_up_while_the_body_streams_ends_the_span_once() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    let mut connection = send_raw(&server, "GET /endless HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await;
    let mut seen = [0; 64];
    assert!(connection.read(&mut seen).await.unwrap() > 0);
    assert_eq!(series(&telemetry, "http.server.active_requests")[0].value, 1.0);
    assert!(telemetry.spans().is_empty(), "the span lasts as long as the body");
    drop(connection);
    let tree = one_tree(&telemetry).await;
    assert_eq!(
        tree,
        request_span("GET", Some("/endless"), "/endless", Some(200))
            .status(Status::error("the client went away before the response was sent"))
            .attribute("error.type", "client_disconnected")
    );
    assert_eq!(series(&telemetry, "http.server.active_requests")[0].value, 0.0);
    assert_eq!(series(&telemetry, "http.server.request.duration")[0].count, 1);
}

#[tokio::test]
async fn an_excluded_path_makes_neither_spans_nor_metrics() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    reqwest_get(&server.url("/health")).await;
    reqwest_get(&server.url("/missing")).await;
    assert_eq!(one_tree(&telemetry).await.name, "GET /missing");
    assert_eq!(series(&telemetry, "http.server.request.duration").len(), 1);
}

#[tokio::test]
async fn below_an_excluded_path_nothing_is_recorded_but_logs_and_the_callers_trace_is_passed_on() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    let seen_below = Arc::new(Mutex::new(String::new()));
    let note = seen_below.clone();
    let below = TestServer::start(TestTelemetry::new().clone(), move |config| {
        let note = note.clone();
        let echo = move |request: HttpRequest| {
            let header = request.headers().get("traceparent").unwrap().to_str().unwrap().to_owned();
            *note.lock().unwrap() = header;
            ready(HttpResponse::Ok())
        };
        config.route("/", web::get().to(echo));
    });

    // Even where every span is sampled, whatever its parent says.
    let telemetry = Arc::new(TestTelemetry::new());
    let (url, inside) = (below.url("/"), telemetry.clone());
    let server = TestServer::start((**telemetry).clone(), move |config| {
        let (url, telemetry) = (url.clone(), inside.clone());
        let call = move || {
            let (url, telemetry) = (url.clone(), telemetry.clone());
            async move {
                let _tracing = telemetry.collect_tracing();
                telemetry.tracer().in_span("own", |_| ());
                tracing::info_span!("instrumented").in_scope(|| tracing::info!("alive"));
                telemetry.client().get(url).send().await.unwrap();
                telemetry_core::span::ids().unwrap().0
            }
        };
        config.route("/health", web::get().to(call));
    });
    let request =
        client().get(server.url("/health")).header("traceparent", format!("00-{TRACE}-b7ad6b7169203331-01"));
    let response = request.send().await.unwrap();
    let told = response.headers()["traceresponse"].to_str().unwrap().to_owned();
    assert_eq!(response.text().await.unwrap(), TRACE);
    assert!(told.starts_with(&format!("00-{TRACE}-")) && told.ends_with("-00"), "{told}");

    let passed_on = seen_below.lock().unwrap().clone();
    assert!(passed_on.starts_with(&format!("00-{TRACE}-")) && passed_on.ends_with("-00"), "{passed_on}");
    assert_eq!(telemetry.trees(), []);
    assert_eq!(telemetry.metrics(), []);
    let logs = telemetry.logs();
    let of_trace = logs.iter().filter_map(|log| log.trace_id).map(|trace| trace.to_string());
    assert_eq!(of_trace.collect::<Vec<_>>(), [TRACE]);
}

#[tokio::test]
async fn a_caller_names_its_tenant_only_where_callers_are_trusted() {
    let w3c = Propagation::new(&[Propagator::TraceContext, Propagator::Baggage]);
    let telemetry = TestTelemetry::with_propagation(w3c.reserving(["tenant.id"]));
    let server = TestServer::start(telemetry.clone(), |config| {
        let carried = async || {
            Context::map_current(|cx| {
                let entry = |name| cx.baggage().get(name).map(ToString::to_string).unwrap_or_default();
                format!("{} {}", entry("tenant.id"), entry("other"))
            })
        };
        config.route("/orders", web::get().to(carried)).route("/internal/orders", web::get().to(carried));
    });
    for (path, carried, tenant) in
        [("/orders", " 1", None), ("/internal/orders", "forged 1", Some(Value::from("forged")))]
    {
        let request = client().get(server.url(path)).header("baggage", "tenant.id=forged");
        let answer = request.header("baggage", "other=1").send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), carried, "{path}");
        eventually("the span", || telemetry.trees().iter().any(|tree| tree.name == format!("GET {path}")))
            .await;
        let tree = telemetry.trees().into_iter().find(|tree| tree.name == format!("GET {path}")).unwrap();
        assert_eq!(tree.attributes.get("tenant.id"), tenant.as_ref(), "{path}");
    }
}

#[tokio::test]
async fn the_callers_trace_goes_on_and_the_caller_is_told() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    let response = client()
        .get(server.url("/orders/7"))
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .header("tracestate", "vendor=1")
        .header("baggage", "tenant.id=t-1,secret=no")
        .send()
        .await
        .unwrap();
    let tree = one_tree(&telemetry).await;
    let [span] = telemetry.spans().try_into().unwrap();
    assert_eq!(span.span_context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(span.parent_span_id.to_string(), "b7ad6b7169203331");
    assert_eq!(span.span_context.trace_state().header(), "vendor=1");
    assert_eq!(tree.attributes["tenant.id"], Value::from("t-1"));
    assert!(!tree.attributes.contains_key("secret"));
    let told = format!("00-0af7651916cd43dd8448eb211c80319c-{}-01", span.span_context.span_id());
    assert_eq!(response.headers()["traceresponse"], told.as_str());
}

#[tokio::test]
async fn metrics_have_the_conventions_names_units_and_attributes() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    client().post(server.url("/orders")).body("12345").send().await.unwrap();
    eventually("the span", || telemetry.spans().len() == 1).await;
    let found: Vec<_> = telemetry
        .metrics()
        .into_iter()
        .map(|series| (series.name, series.unit, series.count, series.attributes))
        .collect();
    let base = [("http.request.method", Value::from("POST")), ("url.scheme", Value::from("http"))];
    let full = base.clone().into_iter().chain([
        ("http.route", Value::from("/orders")),
        ("http.response.status_code", Value::from(201)),
        ("network.protocol.version", Value::from("1.1")),
    ]);
    let map = |pairs: &[(&str, Value)]| -> BTreeMap<String, Value> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    };
    let (base, full) = (map(&base), map(&full.collect::<Vec<_>>()));
    let expected = |name: &str, unit: &str, attributes: &BTreeMap<String, Value>| {
        (name.to_owned(), unit.to_owned(), 1, attributes.clone())
    };
    assert_eq!(
        found,
        [
            expected("http.server.request.duration", "s", &full),
            expected("http.server.active_requests", "{request}", &base),
            expected("http.server.request.body.size", "By", &full),
            expected("http.server.response.body.size", "By", &full),
        ]
    );
    assert_eq!(series(&telemetry, "http.server.response.body.size")[0].value, 5.0);
}

#[tokio::test]
async fn a_length_that_nobody_sends_breaks_no_histogram() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    for count in 1..=2 {
        let head =
            format!("GET /missing HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n\r\n", u64::MAX);
        drop(send_raw(&server, &head).await);
        eventually("the span", || telemetry.spans().len() == count).await;
    }
    assert!(series(&telemetry, "http.server.request.body.size").is_empty());
    assert_eq!(series(&telemetry, "http.server.request.duration")[0].count, 2);
}

#[tokio::test]
async fn the_answer_to_head_has_no_body_and_is_complete() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    client().head(server.url("/head")).send().await.unwrap();
    let tree = one_tree(&telemetry).await;
    assert_eq!(tree, request_span("HEAD", Some("/head"), "/head", Some(200)));
    assert_eq!(series(&telemetry, "http.server.response.body.size")[0].value, 0.0);
}

#[tokio::test]
async fn credentials_in_the_target_are_no_address() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    let request = "GET http://joe:pw@shop.example:8443/missing HTTP/1.1\r\nHost: joe:pw@shop.example\r\n\r\n";
    let _connection = send_raw(&server, request).await;
    eventually("the span", || telemetry.spans().len() == 1).await;
    let [tree] = telemetry.trees().try_into().unwrap();
    assert_eq!(tree.attributes["server.address"], Value::from("shop.example"));
    assert_eq!(tree.attributes["server.port"], Value::from(8443));
    telemetry.assert_absent("joe");
}

#[tokio::test]
async fn an_error_of_a_peer_keeps_its_url_to_itself() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), |config: &mut web::ServiceConfig| {
        let fail = async || {
            let error = client().get("http://127.0.0.1:1/x?token=canary").send().await.unwrap_err();
            let mut response = HttpResponse::BadGateway().finish();
            response.extensions_mut().insert(ErrorType::new("peer_failed").caused_by(&error));
            response
        };
        config.route("/peer", web::get().to(fail));
    });
    reqwest_get(&server.url("/peer")).await;
    let tree = one_tree(&telemetry).await;
    assert_eq!(tree.events[0].1["exception.message"], Value::from("Connection failed"));
    telemetry.assert_absent("canary");
}

#[tokio::test]
async fn an_old_or_nameless_request_is_taken_as_it_is() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    let mut connection = send_raw(&server, "GET /missing HTTP/1.0\r\n\r\n").await;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.0 404"), "{answer}");
    let tree = one_tree(&telemetry).await;
    assert_eq!(tree.attributes["network.protocol.version"], Value::from("1.0"));
    assert!(!tree.attributes.contains_key("server.address"));
}

#[tokio::test]
async fn a_dropped_request_future_is_told_as_a_disconnect() {
    let telemetry = TestTelemetry::new();
    {
        let server = TestServer::start(telemetry.clone(), routes);
        let _connection = send_raw(&server, "GET /slow HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await;
        eventually("the request in flight", || {
            series(&telemetry, "http.server.active_requests").first().is_some_and(|s| s.value == 1.0)
        })
        .await;
    }
    let tree = one_tree(&telemetry).await;
    assert_eq!(tree.attributes["error.type"], Value::from("client_disconnected"));
    assert_eq!(series(&telemetry, "http.server.active_requests")[0].value, 0.0);
}

#[tokio::test]
async fn the_trace_reaches_blocking_threads() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    reqwest_get(&server.url("/blocking")).await;
    assert_eq!(one_tree(&telemetry).await.attributes["from.blocking"], Value::from(true));
}

fn exception(kind: &'static str, message: &'static str) -> [KeyValue; 3] {
    [
        KeyValue::new("exception.type", kind),
        KeyValue::new("exception.message", message),
        KeyValue::new("exception.stacktrace", message),
    ]
}

/// A client of another make, so that only the server under test is instrumented.
fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

async fn reqwest_get(url: &str) -> reqwest::Response {
    client().get(url).send().await.expect("an answer")
}

async fn send_raw(server: &TestServer, request: &str) -> TcpStream {
    let mut connection = TcpStream::connect(server.address).await.unwrap();
    connection.write_all(request.as_bytes()).await.unwrap();
    connection
}
