//! When a request ends: with its body, its client, its connection or its server.

use std::future::ready;

use actix_web::{HttpResponse, web};
use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use opentelemetry::Value;
use opentelemetry::trace::Status;
use telemetry_core::opentelemetry;
use telemetry_core::testing::TestTelemetry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{one_tree, request_span, reqwest_get, routes, send_raw, series};
use crate::support::{TestServer, eventually};

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
async fn a_request_that_the_servers_stop_cut_off_is_no_disconnect_of_its_client() {
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
    assert_eq!(tree.attributes["error.type"], Value::from("server_stopped"));
    assert_eq!(tree.status, Status::error("the server stopped before the response was sent"));
    // Nobody answered, and its route is known all the same.
    assert_eq!((&*tree.name, &tree.attributes["http.route"]), ("GET /slow", &Value::from("/slow")));
    let duration = &series(&telemetry, "http.server.request.duration")[0];
    assert_eq!(duration.attributes["http.route"], Value::from("/slow"));
    assert_eq!(series(&telemetry, "http.server.active_requests")[0].value, 0.0);
}

#[tokio::test]
async fn a_body_that_the_servers_stop_cut_off_is_no_disconnect_of_its_client() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    let mut connection = send_raw(&server, "GET /endless HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await;
    assert!(connection.read(&mut [0; 64]).await.unwrap() > 0);
    drop(server);
    assert_eq!(one_tree(&telemetry).await.attributes["error.type"], Value::from("server_stopped"));
}

/// Hangs up in the middle of the request's head, of its body, of the response's body, and where the server
/// finds out by its own writing.
#[tokio::test]
async fn a_thousand_requests_hung_up_in_the_middle_leave_the_gauge_at_zero_and_each_its_span() {
    const REQUESTS: usize = 1000;
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    let hang_up = async |index: usize| {
        let head = "Host: 127.0.0.1\r\n";
        if index.is_multiple_of(2) {
            let request = format!("POST /orders HTTP/1.1\r\n{head}Content-Length: 100\r\n\r\nhalf");
            let mut connection = send_raw(&server, &request).await;
            // The handler waits for the rest by now, or will see at once that there is none.
            connection.flush().await.unwrap();
        } else {
            let mut connection = send_raw(&server, &format!("GET /endless HTTP/1.1\r\n{head}\r\n")).await;
            assert!(connection.read(&mut [0; 16]).await.unwrap() > 0);
        }
    };
    for batch in 0..REQUESTS / 50 {
        join_all((0..50).map(|index| hang_up(batch * 50 + index))).await;
    }
    eventually("a thousand spans", || telemetry.spans().len() >= REQUESTS).await;
    assert_eq!(telemetry.spans().len(), REQUESTS);
    let active = series(&telemetry, "http.server.active_requests");
    assert_eq!(active.len(), 2, "{active:?}");
    assert!(active.iter().all(|series| series.value == 0.0), "{active:?}");
    let ended: u64 =
        series(&telemetry, "http.server.request.duration").iter().map(|series| series.count).sum();
    assert_eq!(ended, REQUESTS as u64);
    let broken_off = telemetry.spans().into_iter().filter(|span| span.status != Status::Unset).count();
    assert!(broken_off >= REQUESTS / 2, "{broken_off}");
}

#[tokio::test]
async fn a_streamed_body_ends_its_span_once_and_is_measured() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), |config: &mut web::ServiceConfig| {
        let chunks = async || {
            let chunk = || Ok::<_, std::io::Error>(web::Bytes::from_static(b"12345"));
            HttpResponse::Ok().streaming(stream::iter([chunk(), chunk()]))
        };
        config.route("/chunks", web::get().to(chunks));
    });
    assert_eq!(reqwest_get(&server.url("/chunks")).await.text().await.unwrap(), "1234512345");
    assert_eq!(one_tree(&telemetry).await, request_span("GET", Some("/chunks"), "/chunks", Some(200)));
    assert_eq!(series(&telemetry, "http.server.response.body.size")[0].value, 10.0);
}

#[tokio::test]
async fn an_upgraded_connection_is_one_span_as_long_as_the_connection() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), |config: &mut web::ServiceConfig| {
        let upgrade = async |payload: web::Payload| {
            // A connection that its client closes ends what is sent over it.
            let echo = payload.take_while(|chunk| ready(chunk.is_ok()));
            HttpResponse::SwitchingProtocols().upgrade("websocket").streaming(echo)
        };
        config.route("/echo", web::get().to(upgrade));
    });
    let request =
        "GET /echo HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    let mut connection = send_raw(&server, request).await;
    let mut seen = String::new();
    while !seen.ends_with("\r\n\r\n") {
        seen.push(char::from(connection.read_u8().await.unwrap()));
    }
    assert!(seen.starts_with("HTTP/1.1 101"), "{seen}");
    for _ in 0..3 {
        connection.write_all(b"ping").await.unwrap();
        let mut echo = [0; 4];
        connection.read_exact(&mut echo).await.unwrap();
        assert_eq!(&echo, b"ping");
    }
    assert!(telemetry.spans().is_empty(), "the span lasts as long as the connection");
    assert_eq!(series(&telemetry, "http.server.active_requests")[0].value, 1.0);
    drop(connection);
    assert_eq!(one_tree(&telemetry).await, request_span("GET", Some("/echo"), "/echo", Some(101)));
    assert_eq!(series(&telemetry, "http.server.active_requests")[0].value, 0.0);
}
