//! The application under test, and what is expected of every request to it.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use futures_util::stream;
use opentelemetry::KeyValue;
use opentelemetry::trace::SpanKind;
use telemetry_core::server::ErrorType;
use telemetry_core::testing::{Series, SpanTree, TestTelemetry, span};
use telemetry_core::{context, opentelemetry};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::{TestServer, eventually};

pub(crate) fn routes(config: &mut web::ServiceConfig) {
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
pub(crate) const VOLATILE: [&str; 2] = ["server.port", "network.peer.port"];

/// What every request from this test has.
pub(crate) fn request_span(method: &str, route: Option<&str>, path: &str, status: Option<i64>) -> SpanTree {
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

pub(crate) async fn one_tree(telemetry: &TestTelemetry) -> SpanTree {
    eventually("one span", || !telemetry.spans().is_empty()).await;
    let [tree] = telemetry.trees().try_into().expect("one tree");
    SpanTree::without(tree, &VOLATILE)
}

pub(crate) fn series(telemetry: &TestTelemetry, name: &str) -> Vec<Series> {
    telemetry.metrics().into_iter().filter(|series| series.name == name).collect()
}

pub(crate) fn exception(kind: &'static str, message: &'static str) -> [KeyValue; 3] {
    [
        KeyValue::new("exception.type", kind),
        KeyValue::new("exception.message", message),
        KeyValue::new("exception.stacktrace", message),
    ]
}

/// A client of another make, so that only the server under test is instrumented.
pub(crate) fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

pub(crate) async fn reqwest_get(url: &str) -> reqwest::Response {
    client().get(url).send().await.expect("an answer")
}

pub(crate) async fn send_raw(server: &TestServer, request: &str) -> TcpStream {
    let mut connection = TcpStream::connect(server.address).await.unwrap();
    connection.write_all(request.as_bytes()).await.unwrap();
    connection
}

/// An `exception` event as a tree has it.
pub(crate) fn event(
    attributes: [KeyValue; 3],
) -> (String, std::collections::BTreeMap<String, opentelemetry::Value>) {
    let tree = span("", SpanKind::Server).event("exception", attributes);
    tree.events.into_iter().next().expect("the event")
}
