//! What is told of requests that failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::dev::Service as _;
use actix_web::http::StatusCode;
use actix_web::{FromRequest, HttpRequest, HttpResponse, ResponseError, web};
use futures_util::stream;
use opentelemetry::Value;
use opentelemetry::trace::Status;
use telemetry_core::opentelemetry;
use telemetry_core::server::ErrorType;
use telemetry_core::testing::TestTelemetry;

use crate::harness::{client, exception, one_tree, request_span, reqwest_get, routes, series};
use crate::support::TestServer;

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
            .event("exception", exception("std::io::error::Error", "connection refused by inventory"))
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

/// An error that counts how often it is answered.
#[derive(Debug, Clone, Default)]
struct GivenUp(Arc<AtomicUsize>);

impl std::fmt::Display for GivenUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no place in the queue")
    }
}

impl ResponseError for GivenUp {
    fn status_code(&self) -> StatusCode {
        StatusCode::SERVICE_UNAVAILABLE
    }

    fn error_response(&self) -> HttpResponse {
        self.0.fetch_add(1, Ordering::Relaxed);
        let (trace_id, _) = telemetry_core::span::ids().expect("the answer belongs to the trace");
        let mut response = HttpResponse::build(self.status_code()).body(trace_id);
        response.extensions_mut().insert(ErrorType::new("queue_full"));
        response
    }
}

#[tokio::test]
async fn a_middleware_that_gives_up_is_answered_and_told_once() {
    let telemetry = TestTelemetry::new();
    let error = GivenUp::default();
    let given_up = error.clone();
    let server = TestServer::start(telemetry.clone(), move |config: &mut web::ServiceConfig| {
        let given_up = given_up.clone();
        let refuse = web::scope("/guarded").wrap_fn(move |request, service| {
            let (_, given_up) = (service.call(request), given_up.clone());
            async move { Err::<actix_web::dev::ServiceResponse, _>(given_up.into()) }
        });
        config.service(refuse.route("/orders", web::get().to(HttpResponse::Ok)));
    });
    let response = reqwest_get(&server.url("/guarded/orders")).await;
    assert_eq!(response.status(), 503);
    let told = response.headers()["traceresponse"].to_str().unwrap().to_owned();
    let body = response.text().await.unwrap();
    assert!(told.starts_with(&format!("00-{body}-")), "{told} {body}");
    assert_eq!(
        one_tree(&telemetry).await,
        request_span("GET", Some("/guarded/orders"), "/guarded/orders", Some(503))
            .status(Status::error("queue_full"))
            .attribute("error.type", "queue_full")
            .event("exception", exception("queue_full", "no place in the queue"))
    );
    assert_eq!(error.0.load(Ordering::Relaxed), 1);
    assert_eq!(series(&telemetry, "http.server.response.body.size")[0].value, 32.0);
    assert_eq!(series(&telemetry, "http.server.active_requests")[0].value, 0.0);
}

struct Panicking;

impl FromRequest for Panicking {
    type Error = actix_web::Error;
    type Future = std::future::Ready<Result<Self, Self::Error>>;

    fn from_request(_: &HttpRequest, _: &mut actix_web::dev::Payload) -> Self::Future {
        panic!("no such extractor")
    }
}

#[tokio::test]
async fn panics_of_extractor_and_body_are_recorded_and_the_gauge_falls() {
    for (path, status, message) in
        [("/extractor", None, "no such extractor"), ("/body", Some(200), "no such chunk")]
    {
        let telemetry = TestTelemetry::new();
        let server = TestServer::start(telemetry.clone(), |config: &mut web::ServiceConfig| {
            let body = async || {
                let chunks = stream::poll_fn(|_| -> std::task::Poll<Option<std::io::Result<web::Bytes>>> {
                    panic!("no such chunk")
                });
                HttpResponse::Ok().streaming(chunks)
            };
            config
                .route("/extractor", web::get().to(async |_: Panicking| HttpResponse::Ok()))
                .route("/body", web::get().to(body));
        });
        let answer = client().get(server.url(path)).send().await;
        if let Ok(answer) = answer {
            answer.bytes().await.unwrap_err();
        }
        assert_eq!(
            one_tree(&telemetry).await,
            request_span("GET", Some(path), path, status)
                .status(Status::error("the handler panicked"))
                .attribute("error.type", "panic")
                .event("exception", exception("panic", message))
        );
        assert_eq!(series(&telemetry, "http.server.active_requests")[0].value, 0.0);
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_told_with_its_error() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), |config: &mut web::ServiceConfig| {
        let broken = async || {
            let chunks =
                [Ok(web::Bytes::from_static(b"one")), Err(std::io::Error::other("the disk is gone"))];
            HttpResponse::Ok().streaming(stream::iter(chunks))
        };
        config.route("/broken", web::get().to(broken));
    });
    // The client has the head or not, as the error comes after or before it is sent.
    if let Ok(answer) = client().get(server.url("/broken")).send().await {
        answer.bytes().await.unwrap_err();
    }
    assert_eq!(
        one_tree(&telemetry).await,
        request_span("GET", Some("/broken"), "/broken", Some(200))
            .status(Status::error("the response body broke off"))
            .attribute("error.type", "response_body")
            .event("exception", exception("response_body", "the disk is gone"))
    );
    assert_eq!(series(&telemetry, "http.server.response.body.size")[0].value, 3.0);
}

#[derive(Debug, thiserror::Error)]
#[error("the order is not stored")]
struct NotStored(#[source] std::io::Error);

#[tokio::test]
async fn an_exception_has_its_type_and_the_chain_of_its_causes() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), |config: &mut web::ServiceConfig| {
        let typed = async || {
            let error = NotStored(std::io::Error::other("the disk is full"));
            let mut response = HttpResponse::InternalServerError().finish();
            response.extensions_mut().insert(ErrorType::new("storage").caused_by(&error));
            response
        };
        let untyped = async || {
            let error: Box<dyn std::error::Error> = "something else".into();
            let mut response = HttpResponse::InternalServerError().finish();
            response.extensions_mut().insert(ErrorType::new("storage").caused_by(&*error));
            response
        };
        config.route("/typed", web::get().to(typed)).route("/untyped", web::get().to(untyped));
    });
    reqwest_get(&server.url("/typed")).await;
    reqwest_get(&server.url("/untyped")).await;
    let trees = telemetry.trees();
    let typed = &trees[0].events[0].1;
    assert_eq!(typed["exception.type"], Value::from("server::failures::NotStored"));
    assert_eq!(
        typed["exception.stacktrace"],
        Value::from("the order is not stored\ncaused by: the disk is full")
    );
    assert_eq!(trees[1].events[0].1["exception.type"], Value::from("storage"));
}

/// Its debug form holds what nobody may see.
#[derive(thiserror::Error)]
#[error("the order is refused")]
struct Refused;

impl std::fmt::Debug for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("canary")
    }
}

impl ResponseError for Refused {}

#[tokio::test]
async fn an_error_is_told_by_its_words_and_never_by_its_debug_form() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), |config: &mut web::ServiceConfig| {
        config.route("/", web::get().to(async || Err::<HttpResponse, _>(Refused)));
    });
    reqwest_get(&server.url("/")).await;
    assert_eq!(
        one_tree(&telemetry).await.events[0],
        crate::harness::event(exception("500", "the order is refused"))
    );
    telemetry.assert_absent("canary");
}

#[tokio::test]
async fn a_boxed_error_has_its_chain_and_what_quotes_a_request_or_a_value_is_told_by_its_kind() {
    use actix_web::error::ErrorInternalServerError;

    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), |config: &mut web::ServiceConfig| {
        let boxed = async || {
            let error: Box<dyn std::error::Error> =
                Box::new(NotStored(std::io::Error::other("the disk is full")));
            Err::<HttpResponse, _>(error)
        };
        let peer = async || {
            let request = client().get("http://127.0.0.1:1/canary?token=canary");
            request.send().await.map_err(ErrorInternalServerError).map(|_| HttpResponse::Ok())
        };
        let query = async || {
            let error = diesel::result::Error::QueryBuilderError("'canary' is no number".into());
            Err::<HttpResponse, _>(ErrorInternalServerError(error))
        };
        let text = async || {
            Err::<HttpResponse, _>(ErrorInternalServerError(
                "cannot read https://joe:canary@a.example/?token=canary",
            ))
        };
        config
            .route("/boxed", web::get().to(boxed))
            .route("/peer", web::get().to(peer))
            .route("/query", web::get().to(query))
            .route("/text", web::get().to(text));
    });
    for path in ["/boxed", "/peer", "/query", "/text"] {
        reqwest_get(&server.url(path)).await;
    }
    crate::support::eventually("four spans", || telemetry.spans().len() == 4).await;
    let told: Vec<String> = telemetry
        .trees()
        .iter()
        .map(|tree| tree.events[0].1["exception.stacktrace"].to_string().replace('\n', " / "))
        .collect();
    assert_eq!(
        told,
        [
            "the order is not stored / caused by: the disk is full",
            "a request to a peer failed",
            "a query failed",
            "cannot read https://REDACTED:REDACTED@a.example/?token=REDACTED",
        ]
    );
    telemetry.assert_absent("canary");
}

#[tokio::test]
async fn a_backtrace_stands_below_the_causes_and_is_bounded() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), |config: &mut web::ServiceConfig| {
        let fail = async || {
            fn deep(depth: usize) -> std::backtrace::Backtrace {
                if depth == 0 { std::backtrace::Backtrace::force_capture() } else { deep(depth - 1) }
            }
            let error = NotStored(std::io::Error::other("the disk is full"));
            let mut response = HttpResponse::InternalServerError().finish();
            let error_type = ErrorType::new("storage").caused_by(&error).with_backtrace(&deep(200));
            response.extensions_mut().insert(error_type);
            response
        };
        config.route("/", web::get().to(fail));
    });
    reqwest_get(&server.url("/")).await;
    let stacktrace = one_tree(&telemetry).await.events[0].1["exception.stacktrace"].to_string();
    assert!(stacktrace.starts_with("the order is not stored\ncaused by: the disk is full\n"), "{stacktrace}");
    assert!(stacktrace.contains("a_backtrace_stands_below_the_causes"), "{stacktrace}");
    assert!(stacktrace.len() < 20 * 1024, "{}", stacktrace.len());
}

#[tokio::test]
async fn a_client_error_is_no_error_type_of_the_metrics() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    reqwest_get(&server.url("/missing")).await;
    one_tree(&telemetry).await;
    let durations = series(&telemetry, "http.server.request.duration");
    assert_eq!(durations[0].attributes["http.response.status_code"], Value::from(404));
    assert!(!durations[0].attributes.contains_key("error.type"));
}
