//! The events of an order, over a WebSocket.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use service_kit::testing::TestApp;
use telemetry_core::opentelemetry::trace::SpanKind;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue, Response};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::harness::{
    AfterTheFirst, House, PATIENCE, inventory_behind, spawn_house, spawn_order, spawn_order_with, url,
    wait_until,
};

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

/// Asks for an order's events with this header.
async fn watch(
    order: &TestApp,
    id: &Value,
    header: (&'static str, String),
) -> Result<(Socket, Response<Option<Vec<u8>>>), Box<Error>> {
    let id = id.as_str().expect("an id");
    let url = format!("ws://{}/api/orders/{id}/events", order.address());
    let mut request = url.into_client_request().expect("a URL");
    let value = HeaderValue::from_str(&header.1).expect("a header's value");
    request.headers_mut().insert(HeaderName::from_static(header.0), value);
    tokio_tungstenite::connect_async(request).await.map_err(Box::new)
}

fn bearer(token: &str) -> (&'static str, String) {
    ("authorization", format!("Bearer {token}"))
}

/// The statuses told until the service closes, and its code.
async fn statuses(socket: &mut Socket) -> (Vec<String>, u16) {
    let mut told = Vec::new();
    let reading = async {
        loop {
            match socket.next().await.expect("a close frame comes first").expect("a message") {
                Message::Text(text) => {
                    let order: Value = serde_json::from_str(&text).expect("JSON");
                    told.push(order["status"].as_str().expect("a status").to_owned());
                }
                Message::Close(frame) => break frame.expect("a code").code.into(),
                // The service pings for as long as it has nothing to tell.
                _ => {}
            }
        }
    };
    let code = tokio::time::timeout(PATIENCE, reading).await.expect("the service closes in time");
    (told, code)
}

/// An order that is paid and will be confirmed a second later.
async fn paid_order(house: &House) -> (TestApp, Value) {
    let inventory = inventory_behind(house, AfterTheFirst::CutThree).await;
    let order = spawn_order(&house.user_url(), &inventory, &url(&house.payment)).await;
    let placed = house.place_at(&order, 1, "card_ok").await.json(202);
    (order, placed["order_id"].clone())
}

#[actix_web::test]
async fn an_orders_status_is_told_until_it_is_final() {
    let house = spawn_house(1).await;
    let (order, id) = paid_order(&house).await;
    let (mut socket, _) = watch(&order, &id, bearer(&house.token)).await.expect("an upgrade");
    assert_eq!(statuses(&mut socket).await, (vec!["paid".to_owned(), "confirmed".to_owned()], 1000));

    let is_connection = |name: &str| name == "GET /api/orders/{id}/events";
    wait_until("the connection's span", async || {
        order.telemetry.spans().iter().any(|span| is_connection(&span.name))
    })
    .await;
    let trees = order.telemetry.trees();
    let connection = trees.iter().find(|tree| is_connection(&tree.name)).unwrap();
    assert_eq!(connection.kind, SpanKind::Server);
    assert_eq!(connection.attributes["http.response.status_code"], 101.into());
    assert_eq!(connection.attributes["websocket.messages.sent"], 2.into());
    assert_eq!(connection.attributes["websocket.messages.received"], 0.into());
    assert_eq!(connection.attributes["websocket.close_code"], 1000.into());
    assert!(!connection.attributes.contains_key("error.type"));
    let below: Vec<_> = connection.children.iter().map(|child| child.name.as_str()).collect();
    assert_eq!(below[0], "validate_user_token");
    assert!(
        below[1..].iter().all(|name| name.starts_with("SELECT orders") || *name == "wait_for_connection")
    );
}

#[actix_web::test]
async fn a_question_is_answered_by_work_that_links_to_the_connection() {
    let house = spawn_house(1).await;
    let (order, id) = paid_order(&house).await;
    let (mut socket, _) = watch(&order, &id, bearer(&house.token)).await.expect("an upgrade");
    socket.send(Message::text("status")).await.expect("it is open");
    let (told, code) = statuses(&mut socket).await;
    assert_eq!((told, code), (["paid", "paid", "confirmed"].map(str::to_owned).to_vec(), 1000));
    wait_until("both spans", async || {
        let spans = order.telemetry.spans();
        spans.iter().any(|span| span.name == "GET /api/orders/{id}/events")
            && spans.iter().any(|span| span.span_kind == SpanKind::Consumer)
    })
    .await;
    let spans = order.telemetry.spans();
    let connection = spans.iter().find(|span| span.name == "GET /api/orders/{id}/events").unwrap();
    let work = spans.iter().find(|span| span.span_kind == SpanKind::Consumer).unwrap();
    assert_eq!(work.name, "/api/orders/{id}/events message");
    assert_ne!(work.span_context.trace_id(), connection.span_context.trace_id());
    assert_eq!(work.links.iter().next().unwrap().span_context, connection.span_context);
    let reads = spans.iter().any(|span| {
        span.parent_span_id == work.span_context.span_id() && span.name.starts_with("SELECT orders")
    });
    assert!(reads, "the order is read below the message's span");
}

#[actix_web::test]
async fn only_its_owner_may_watch_an_order_and_a_browser_offers_its_token_as_a_protocol() {
    let house = spawn_house(1).await;
    let id = house.place(1, "card_ok").await.json(201)["order_id"].clone();
    let other = house.another_user().await;
    for (header, status) in [
        (bearer(&other), 404),
        (bearer("forged"), 401),
        (("sec-websocket-protocol", "order-events".into()), 401),
    ] {
        match *watch(&house.order, &id, header).await.expect_err("a refusal") {
            Error::Http(answer) => assert_eq!(answer.status().as_u16(), status),
            other => panic!("an answer, not {other}"),
        }
    }
    let protocols = format!("order-events, bearer.{}", house.token);
    let (mut socket, answer) =
        watch(&house.order, &id, ("sec-websocket-protocol", protocols)).await.expect("an upgrade");
    assert_eq!(answer.headers()["sec-websocket-protocol"], "order-events");
    assert_eq!(statuses(&mut socket).await, (vec!["confirmed".to_owned()], 1000));
    house.order.telemetry.assert_absent(&house.token);
}

#[actix_web::test]
async fn watching_ends_when_the_service_stops_or_is_not_understood() {
    let house = spawn_house(1).await;
    let (order, id) = paid_order(&house).await;
    let (mut unclear, _) = watch(&order, &id, bearer(&house.token)).await.expect("an upgrade");
    unclear.send(Message::text("what?")).await.expect("it is open");
    assert_eq!(statuses(&mut unclear).await, (vec!["paid".to_owned()], 1003));
    let (mut socket, _) = watch(&order, &id, bearer(&house.token)).await.expect("an upgrade");
    let ((told, code), ()) = futures_util::future::join(statuses(&mut socket), order.stop()).await;
    assert_eq!((told, code), (vec!["paid".to_owned()], 1001));
}

/// An order that is paid and stays so, at a service with these limits.
async fn unfinished_order(house: &House, limits: &[(&str, &str)]) -> (TestApp, Value) {
    let inventory = inventory_behind(house, AfterTheFirst::CutAll).await;
    let order = spawn_order_with(&house.user_url(), &inventory, &url(&house.payment), limits).await;
    let placed = house.place_at(&order, 1, "card_ok").await.json(202);
    (order, placed["order_id"].clone())
}

#[actix_web::test]
async fn no_more_connections_are_held_open_than_the_limit() {
    let house = spawn_house(1).await;
    let (order, id) = unfinished_order(&house, &[("EVENTS_MAX_CONNECTIONS", "2")]).await;
    let (first, _) = watch(&order, &id, bearer(&house.token)).await.expect("an upgrade");
    let (_second, _) = watch(&order, &id, bearer(&house.token)).await.expect("an upgrade");
    match *watch(&order, &id, bearer(&house.token)).await.expect_err("no place is left") {
        Error::Http(answer) => {
            assert_eq!(answer.status().as_u16(), 503);
            let problem: Value = serde_json::from_slice(answer.body().as_ref().unwrap()).unwrap();
            assert_eq!(problem["code"], "too_many_streams");
        }
        other => panic!("an answer, not {other}"),
    }
    drop(first);
    wait_until("the place of one that has gone", async || {
        watch(&order, &id, bearer(&house.token)).await.is_ok()
    })
    .await;
}

#[actix_web::test]
async fn a_client_that_answers_no_ping_is_let_go_and_one_that_does_stays() {
    let house = spawn_house(1).await;
    let limits = [("EVENTS_IDLE_TIMEOUT_MS", "300"), ("EVENTS_MAX_CONNECTIONS", "2")];
    let (order, id) = unfinished_order(&house, &limits).await;
    let (mut alive, _) = watch(&order, &id, bearer(&house.token)).await.expect("an upgrade");
    // Reading is what answers pings.
    let (_silent, _) = watch(&order, &id, bearer(&house.token)).await.expect("an upgrade");
    let ended = || {
        let spans = order.telemetry.trees();
        spans.into_iter().filter(|span| span.name == "GET /api/orders/{id}/events").collect::<Vec<_>>()
    };
    let silence = wait_until("the silent client's end", async || !ended().is_empty());
    let mut pings = 0;
    let answering = async {
        while let Some(message) = alive.next().await {
            pings += usize::from(message.expect("it is open").is_ping());
        }
        panic!("the client that answers was let go");
    };
    tokio::select! {
        () = silence => {}
        () = answering => {}
    }
    assert!(pings > 0, "nobody was asked");
    let ended = ended();
    let [gone] = &ended[..] else { panic!("one connection has ended: {ended:?}") };
    assert_eq!(gone.attributes["error.type"], "client_disconnected".into());
    assert_eq!(gone.attributes["websocket.messages.sent"], 1.into());
}

#[actix_web::test]
async fn a_connection_ends_with_its_life_time_and_may_be_made_again() {
    let house = spawn_house(1).await;
    let (order, id) = unfinished_order(&house, &[("EVENTS_MAX_LIFETIME_MS", "200")]).await;
    for _ in 0..2 {
        let (mut socket, _) = watch(&order, &id, bearer(&house.token)).await.expect("an upgrade");
        assert_eq!(statuses(&mut socket).await, (vec!["paid".to_owned()], 1001));
    }
}
