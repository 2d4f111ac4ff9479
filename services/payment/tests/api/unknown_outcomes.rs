//! Where nobody knows whether the gateway has charged, nothing stays charged.

use std::time::Duration;

use secrecy::ExposeSecret;
use service_kit::testing::CALLER;
use service_kit::token::ServiceTokens;
use telemetry_core::config::Env;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::harness::{
    charge, charge_request, find, spawn_app, spawn_house, spawn_house_with, wait_for_status, wait_until,
};
use crate::scripted::{ScriptedGateway, json_answer};

#[actix_web::test]
async fn a_slow_card_is_a_timeout_and_is_never_captured() {
    let slow = Duration::from_secs(2);
    let house = spawn_house_with(slow, "300").await;
    let order_id = Uuid::now_v7();
    charge(&house.app, order_id, "card_slow").await.assert_problem(504, "gateway_timeout");
    let payment = wait_for_status(&house.app, order_id, "voided").await;
    assert_eq!(payment["failure_code"], "gateway_timeout");
    assert_eq!(payment["transaction_id"], serde_json::Value::Null);

    // Asked again under the same reference, the gateway answers when the slow capture would have happened.
    let mut direct = charge_request(order_id, "card_slow");
    direct["reference"] = direct["order_id"].clone();
    let (status, answer) = house.gateway.post("/charges", &direct).await;
    assert_eq!((status, answer["reason"].as_str()), (409, Some("voided")));
    assert_eq!(house.gateway.status_of(order_id).await, "voided");
    charge(&house.app, order_id, "card_slow").await.assert_problem(504, "gateway_timeout");
}

#[actix_web::test]
async fn a_gateway_that_fails_is_told_apart_and_the_charge_is_voided() {
    let house = spawn_house().await;
    let order_id = Uuid::now_v7();
    charge(&house.app, order_id, "gateway_error").await.assert_problem(502, "gateway_error");
    let payment = wait_for_status(&house.app, order_id, "voided").await;
    assert_eq!(payment["failure_code"], "gateway_error");
    assert_eq!(house.gateway.status_of(order_id).await, "voided");
}

#[actix_web::test]
async fn an_answer_that_makes_no_sense_is_an_error_and_the_charge_is_voided() {
    let endless = format!("HTTP/1.1 201 Created\r\n\r\n{}", "{".repeat(1024 * 1024));
    for garbage in [
        "",
        "SSH-2.0-OpenSSH_9.6\r\n",
        "HTTP/1.1 201 Created\r\nContent-Length: 50\r\n\r\n{\"transaction_id\":",
        &endless,
        &json_answer("201 Created", "<html>Created</html>"),
        &json_answer("201 Created", r#"{"transaction_id":"txn_1"}"#),
        &json_answer("201 Created", r#"{"transaction_id":"txn_1","status":"perhaps"}"#),
        &json_answer("201 Created", r#"{"transaction_id":"","status":"captured"}"#),
        &json_answer("201 Created", r#"{"transaction_id":"a\nb","status":"captured"}"#),
        &json_answer("200 OK", r#"{"transaction_id":"txn_1","status":"captured"}"#),
        &json_answer("503 Service Unavailable", "{}"),
        &json_answer("409 Conflict", r#"{"reason":"in_progress"}"#),
    ] {
        let gateway = ScriptedGateway::start(garbage).await;
        let app = spawn_app(&gateway.url(), "5000").await;
        let order_id = Uuid::now_v7();
        charge(&app, order_id, "card_ok").await.assert_problem(502, "gateway_error");
        wait_for_status(&app, order_id, "voided").await;
        let requests = gateway.requests();
        let lines: Vec<_> = requests.iter().map(|request| request.lines().next().unwrap()).collect();
        let void = format!("POST /charges/{order_id}/void HTTP/1.1");
        assert_eq!(lines, ["POST /charges HTTP/1.1", &void], "{garbage:?}");
    }
}

#[actix_web::test]
async fn a_decline_needs_no_reason() {
    for body in ["", "<html>", r#"{"reason":"4111 1111 1111 1111"}"#] {
        let gateway = ScriptedGateway::start(json_answer("402 Payment Required", body)).await;
        let app = spawn_app(&gateway.url(), "5000").await;
        let order_id = Uuid::now_v7();
        let problem = charge(&app, order_id, "card_ok").await.assert_problem(402, "payment_declined");
        assert_eq!(problem["reason"], "unspecified", "{body}");
        assert_eq!(find(&app, order_id).await["status"], "declined");
        app.telemetry.assert_absent("4111 1111 1111 1111");
    }
}

#[actix_web::test]
async fn a_void_is_tried_until_the_gateway_confirms_it() {
    let house = spawn_house_with(Duration::from_secs(600), "300").await;
    let order_id = Uuid::now_v7();
    let port = house.gateway.url().rsplit_once(':').unwrap().1.parse().unwrap();
    let charging = charge(&house.app, order_id, "card_slow");
    let stopping = async {
        wait_until("the charge", async || house.gateway.status_of(order_id).await == "pending").await;
        house.gateway.stop().await;
    };
    let (answer, ()) = tokio::join!(charging, stopping);
    // Cut off or not answered: it depends on which came first.
    assert!([502, 504].contains(&answer.status), "{answer:?}");
    wait_until("a void that fails", async || {
        let is_void = |name: &str| name == "POST /charges/{reference}/void";
        house.app.telemetry.spans().iter().any(|span| is_void(&span.name))
    })
    .await;
    assert_eq!(find(&house.app, order_id).await["status"], "failed");

    let gateway = crate::harness::RunningGateway::start(port, Duration::ZERO);
    wait_for_status(&house.app, order_id, "voided").await;
    assert_eq!(gateway.status_of(order_id).await, "voided");
}

#[actix_web::test]
async fn a_caller_whose_connection_breaks_leaves_no_charge_behind() {
    let house = spawn_house_with(Duration::from_secs(600), "1000").await;
    let order_id = Uuid::now_v7();
    let mut connection = TcpStream::connect(house.app.address()).await.unwrap();
    connection.write_all(charge_on_the_wire(order_id).as_bytes()).await.unwrap();
    wait_until("the charge", async || house.gateway.status_of(order_id).await == "pending").await;
    // Closed so, it is reset: the server learns that nobody waits any more, and drops the handler.
    connection.set_zero_linger().unwrap();
    drop(connection);
    let trace = &house.app.traces(1).await[0];
    assert_eq!(trace.attributes["error.type"], "client_disconnected".into());
    wait_for_status(&house.app, order_id, "voided").await;
    assert_eq!(house.gateway.status_of(order_id).await, "voided");
}

fn charge_on_the_wire(order_id: Uuid) -> String {
    let tokens = ServiceTokens::read(&mut Env::of::<&str, &str>([]), CALLER);
    let token = tokens.issue("payment-service", None);
    let body = charge_request(order_id, "card_slow").to_string();
    format!(
        "POST /internal/payments HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        token.expose_secret(),
        body.len()
    )
}
