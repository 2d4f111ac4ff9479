//! WebSocket connections, with a real client.

use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::{SinkExt as _, StreamExt as _};
use opentelemetry::trace::{SpanKind, Status, TraceId};
use opentelemetry::{KeyValue, Value};
use telemetry_core::server::websocket::{MessageKind, WebSocketTelemetry};
use telemetry_core::testing::{TestTelemetry, span};
use telemetry_core::{context, opentelemetry};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::harness::{VOLATILE, request_span, series};
use crate::support::{TestServer, eventually};

/// Echoes text, in work of its own; `fail` fails the connection.
async fn echo(
    request: HttpRequest,
    payload: web::Payload,
    sockets: web::Data<WebSocketTelemetry>,
) -> Result<HttpResponse, actix_web::Error> {
    let (mut response, session, mut messages) = actix_ws::handle(&request, payload)?;
    let socket = sockets.observe(&request, &mut response);
    context::spawn_local(async move {
        while let Some(Ok(message)) = messages.next().await {
            match message {
                actix_ws::Message::Text(text) if text == "fail" => {
                    socket.failed("echo_failed", &std::io::Error::other("no echo here"));
                    socket.closed(1011);
                    return drop(session.close(Some(actix_ws::CloseCode::Error.into())).await);
                }
                actix_ws::Message::Text(text) => {
                    let mut session = session.clone();
                    let answer = text.to_string();
                    let work = async {
                        telemetry_core::span::set_attribute("echo.works", true);
                        session.text(answer).await.unwrap();
                    };
                    socket.received(MessageKind::Text, text.len(), work).await;
                    socket.sent(MessageKind::Text, text.len());
                }
                actix_ws::Message::Close(reason) => {
                    socket.closed(reason.as_ref().map_or(1005, |reason| reason.code.into()));
                    return drop(session.close(reason).await);
                }
                _ => {}
            }
        }
    });
    Ok(response)
}

fn serve(telemetry: &TestTelemetry) -> TestServer {
    let sockets = telemetry.websockets();
    TestServer::start((**telemetry).clone(), move |config: &mut web::ServiceConfig| {
        config.app_data(web::Data::new(sockets.clone())).route("/echo/{room}", web::get().to(echo));
    })
}

async fn connect(
    server: &TestServer,
) -> tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>> {
    let url = server.url("/echo/7").replace("http:", "ws:");
    tokio_tungstenite::connect_async(url).await.expect("the server upgrades").0
}

fn message(direction: &'static str, size: i64) -> Vec<KeyValue> {
    let mut attributes =
        vec![KeyValue::new("websocket.message.type", "text"), KeyValue::new("websocket.message.size", size)];
    attributes.push(KeyValue::new("network.io.direction", direction));
    attributes
}

#[tokio::test]
async fn a_connection_is_one_span_and_each_inbound_messages_work_links_to_it() {
    let telemetry = TestTelemetry::new();
    let server = serve(&telemetry);
    let mut socket = connect(&server).await;
    for text in ["one", "three"] {
        socket.send(Message::text(text)).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text(text));
    }
    assert!(
        telemetry.spans().iter().all(|span| span.span_kind == SpanKind::Consumer),
        "the connection is open"
    );
    assert_eq!(series(&telemetry, "http.server.active_requests")[0].value, 1.0);
    socket.close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() })).await.unwrap();
    while socket.next().await.is_some() {}
    eventually("the connection's span", || telemetry.spans().len() == 3).await;

    let work = |size: i64| {
        span("/echo/{room} message", SpanKind::Consumer)
            .attribute("websocket.message.type", "text")
            .attribute("websocket.message.size", size)
            .attribute("echo.works", true)
            .link("GET /echo/{room}", [])
    };
    let connection = request_span("GET", Some("/echo/{room}"), "/echo/7", Some(101))
        .attribute("websocket.messages.received", 2)
        .attribute("websocket.messages.sent", 2)
        .attribute("websocket.close_code", 1000)
        .event("websocket.message", message("receive", 3))
        .event("websocket.message", message("transmit", 3))
        .event("websocket.message", message("receive", 5))
        .event("websocket.message", message("transmit", 5));
    let trees: Vec<_> = telemetry.trees().into_iter().map(|tree| tree.without(&VOLATILE)).collect();
    assert_eq!(trees, [connection, work(3), work(5)]);

    let spans = telemetry.spans();
    let server_span = spans.iter().find(|span| span.span_kind == SpanKind::Server).unwrap();
    let mut traces: Vec<TraceId> = spans.iter().map(|span| span.span_context.trace_id()).collect();
    traces.dedup();
    assert_eq!(traces.len(), 3, "each message has a trace of its own");
    for work in spans.iter().filter(|span| span.span_kind == SpanKind::Consumer) {
        let links: Vec<_> = work.links.iter().map(|link| &link.span_context).collect();
        assert_eq!(links, [&server_span.span_context]);
    }
    let messages = series(&telemetry, "websocket.messages");
    let mut told: Vec<_> = messages
        .iter()
        .map(|series| {
            (series.attributes["network.io.direction"].to_string(), series.value, series.unit.clone())
        })
        .collect();
    told.sort_by(|a, b| a.0.cmp(&b.0));
    let unit = "{message}".to_owned();
    assert_eq!(told, [("receive".to_owned(), 2.0, unit.clone()), ("transmit".to_owned(), 2.0, unit)]);
    assert_eq!(messages[0].attributes["http.route"], Value::from("/echo/{room}"));
    assert_eq!(series(&telemetry, "websocket.message.size").iter().map(|s| s.value).sum::<f64>(), 16.0);
    assert_eq!(series(&telemetry, "http.server.active_requests")[0].value, 0.0);
}

#[tokio::test]
async fn a_client_that_hangs_up_and_a_connection_that_failed_are_told_apart() {
    let telemetry = TestTelemetry::new();
    let server = serve(&telemetry);
    let mut socket = connect(&server).await;
    socket.send(Message::text("fail")).await.unwrap();
    while socket.next().await.is_some_and(|message| message.is_ok()) {}
    eventually("the first span", || telemetry.spans().len() == 1).await;
    drop(connect(&server).await);
    eventually("both spans", || telemetry.spans().len() == 2).await;
    let trees = telemetry.trees();
    assert_eq!(trees[0].status, Status::error("echo_failed"));
    assert_eq!(trees[0].attributes["error.type"], Value::from("echo_failed"));
    assert_eq!(trees[0].attributes["websocket.close_code"], Value::from(1011));
    assert_eq!(trees[0].events[0].1["exception.message"], Value::from("no echo here"));
    assert_eq!(trees[1].attributes["error.type"], Value::from("client_disconnected"));
    assert!(!trees[1].attributes.contains_key("websocket.close_code"));
}

#[tokio::test]
async fn events_of_a_connection_are_bounded_and_its_counts_are_not() {
    let telemetry = TestTelemetry::new();
    let server = serve(&telemetry);
    let mut socket = connect(&server).await;
    for _ in 0..50 {
        socket.send(Message::text("x")).await.unwrap();
        socket.next().await.unwrap().unwrap();
    }
    socket.close(None).await.unwrap();
    while socket.next().await.is_some() {}
    eventually("all spans", || telemetry.spans().len() == 51).await;
    let trees = telemetry.trees();
    let connection = trees.iter().find(|tree| tree.kind == SpanKind::Server).unwrap();
    assert_eq!(connection.events.len(), 64);
    assert_eq!(connection.attributes["websocket.messages.received"], Value::from(50));
    assert_eq!(connection.attributes["websocket.close_code"], Value::from(1005));
}
