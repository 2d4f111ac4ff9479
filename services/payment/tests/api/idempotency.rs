//! Payments that are asked for again under the same `Idempotency-Key`, or after a crash.

use std::time::Duration;

use diesel::{RunQueryDsl as _, sql_query};
use service_kit::db::Connection;
use service_kit::testing::{Answer, TestApp};
use uuid::Uuid;

use crate::harness::{
    RunningGateway, charge, charge_request, charge_too_late, find, refund, spawn_app, spawn_house,
    spawn_house_with, wait_for_status,
};

async fn charge_with(app: &TestApp, key: &str, order_id: Uuid, method: &str) -> Answer {
    let request = app.post("/internal/payments", &charge_request(order_id, method)).from_service();
    request.with(|request| request.header("idempotency-key", key)).send().await
}

#[actix_web::test]
async fn the_answer_to_a_payment_is_kept_also_when_the_money_went_back_since() {
    let house = spawn_house().await;
    let order_id = Uuid::now_v7();
    let first = charge_with(&house.app, "\"k\"", order_id, "card_ok").await;
    refund(&house.app, order_id).await.json(200);
    let again = charge_with(&house.app, "\"k\"", order_id, "card_ok").await;
    assert_eq!((again.status, &again.text), (201, &first.text));
    assert_eq!(again.header("idempotency-replayed"), "true");
    // Without the key it is told as it is.
    charge(&house.app, order_id, "card_ok").await.assert_problem(409, "payment_refunded");
    let other = charge_with(&house.app, "\"k\"", Uuid::now_v7(), "card_ok").await;
    other.assert_problem(422, "idempotency_key_reused");
}

#[actix_web::test]
async fn a_payment_that_never_reached_the_gateway_is_made_when_it_is_asked_for_again() {
    let gateway = {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.local_addr().unwrap()
    };
    let app = spawn_app(&format!("http://{gateway}"), "500").await;
    let order_id = Uuid::now_v7();
    charge_with(&app, "k", order_id, "card_ok").await.assert_problem(503, "gateway_unavailable");
    let running = RunningGateway::start(gateway.port(), Duration::ZERO);
    charge_with(&app, "k", order_id, "card_ok").await.json(201);
    assert_eq!(running.status_of(order_id).await, "captured");
}

/// Makes the only payment one that a process has left pending at this time.
fn leave(app: &TestApp, since: &str) {
    let mut connection = Connection::open(&app.database.url().parse().unwrap()).unwrap();
    let sql = format!("UPDATE payments SET status = 'pending', transaction_id = NULL, updated_at = {since}");
    assert_eq!(sql_query(sql).execute(&mut connection).unwrap(), 1);
}

/// A payment that a killed process left pending is made when it is asked for again, and once.
#[actix_web::test]
async fn a_payment_that_was_left_pending_is_made_when_it_is_asked_for_again() {
    let house = spawn_house_with(Duration::from_secs(600), "500").await;
    let order_id = Uuid::now_v7();
    let captured = charge(&house.app, order_id, "card_ok").await.json(201);
    // Somebody may still be at it.
    leave(&house.app, "'2126-01-01 00:00:00'");
    charge(&house.app, order_id, "card_ok").await.assert_problem(409, "payment_in_progress");
    leave(&house.app, "'2026-01-01 00:00:00'");
    let again = charge(&house.app, order_id, "card_ok").await.json(201);
    assert_eq!(again, captured, "the gateway knows the order and charges once");
    assert_eq!(find(&house.app, order_id).await["status"], "captured");
}

/// Who left it may have charged, so it does not count as one that never reached the gateway.
#[actix_web::test]
async fn a_payment_that_was_left_pending_is_voided_when_the_gateway_is_away_now() {
    let house = spawn_house().await;
    let order_id = Uuid::now_v7();
    charge(&house.app, order_id, "card_ok").await.json(201);
    leave(&house.app, "'2026-01-01 00:00:00'");
    house.gateway.stop().await;
    charge(&house.app, order_id, "card_ok").await.assert_problem(500, "payment_interrupted");
    assert_eq!(find(&house.app, order_id).await["status"], "failed");
    refund(&house.app, order_id).await.assert_problem(503, "gateway_unavailable");
    let gateway = RunningGateway::start(house.gateway.port(), Duration::ZERO);
    wait_for_status(&house.app, order_id, "voided").await;
    assert_eq!(gateway.status_of(order_id).await, "voided");
}

/// As above, where nobody waits long enough for the gateway to be asked.
#[actix_web::test]
async fn a_payment_that_was_left_pending_is_voided_when_nobody_waits_for_it_any_more() {
    let house = spawn_house().await;
    let order_id = Uuid::now_v7();
    charge(&house.app, order_id, "card_ok").await.json(201);
    leave(&house.app, "'2026-01-01 00:00:00'");
    charge_too_late(&house.app, order_id).await;
    let payment = wait_for_status(&house.app, order_id, "voided").await;
    assert_eq!(payment["failure_code"], "payment_interrupted");
    assert_eq!(house.gateway.status_of(order_id).await, "voided", "the money went back");
}
