use std::net::TcpListener;
use std::time::Duration;

use payment_service::PaymentService;
use secrecy::ExposeSecret;
use serde_json::json;
use service_kit::Service;
use service_kit::testing::Answer;
use service_kit::token::ServiceTokens;
use telemetry_core::config::Env;
use uuid::Uuid;

use crate::harness::{
    RunningGateway, charge, charge_request, charge_too_late, find, spawn_app, spawn_house, spawn_house_with,
    wait_for_status, wait_until,
};

#[actix_web::test]
async fn a_good_card_is_captured() {
    let house = spawn_house().await;
    let order_id = Uuid::now_v7();
    let captured = charge(&house.app, order_id, "card_ok").await.json(201);
    assert_eq!(captured["status"], "captured");
    assert_eq!(house.gateway.status_of(order_id).await, "captured");

    let payment = find(&house.app, order_id).await;
    assert_eq!(payment["transaction_id"], captured["transaction_id"]);
    let expected = json!({
        "payment_id": captured["payment_id"],
        "order_id": order_id,
        "user_id": null,
        "amount_minor": 1999,
        "currency": "EUR",
        "payment_method": "card_ok",
        "status": "captured",
        "transaction_id": captured["transaction_id"],
        "failure_code": null,
        "created_at": payment["created_at"],
        "updated_at": payment["updated_at"],
    });
    assert_eq!(payment, expected);
    assert!(payment["created_at"].as_str() < payment["updated_at"].as_str(), "{payment}");
}

#[actix_web::test]
async fn a_payment_that_nobody_asked_for_is_not_found() {
    let house = spawn_house().await;
    let path = format!("/internal/payments/{}", Uuid::now_v7());
    let answer = house.app.get(&path).from_service().send().await;
    answer.assert_problem(404, "payment_not_found");
}

#[actix_web::test]
async fn a_declined_card_is_told_with_the_gateways_reason() {
    let house = spawn_house().await;
    let order_id = Uuid::now_v7();
    let problem = charge(&house.app, order_id, "card_declined").await.assert_problem(402, "payment_declined");
    assert_eq!(problem["reason"], "insufficient_funds");
    let payment = find(&house.app, order_id).await;
    assert_eq!(payment["status"], "declined");
    assert_eq!(payment["failure_code"], "insufficient_funds");
}

#[actix_web::test]
async fn asking_again_gives_the_same_answer_and_charges_nothing() {
    let house = spawn_house().await;
    let (paid, declined) = (Uuid::now_v7(), Uuid::now_v7());
    let first = charge(&house.app, paid, "card_ok").await.json(201);
    let reason = charge(&house.app, declined, "card_declined").await.json(402)["reason"].clone();
    house.gateway.stop().await;
    assert_eq!(charge(&house.app, paid, "card_ok").await.json(201), first);
    let problem = charge(&house.app, declined, "card_declined").await.assert_problem(402, "payment_declined");
    assert_eq!(problem["reason"], reason);
}

#[actix_web::test]
async fn an_order_is_not_paid_twice_with_other_content() {
    let house = spawn_house().await;
    let order_id = Uuid::now_v7();
    charge(&house.app, order_id, "card_ok").await.json(201);
    for (member, other) in [
        ("amount_minor", json!(2000)),
        ("currency", json!("USD")),
        ("payment_method", json!("card_declined")),
    ] {
        let mut request = charge_request(order_id, "card_ok");
        request[member] = other;
        let answer = house.app.post("/internal/payments", &request).from_service().send().await;
        answer.assert_problem(409, "payment_conflict");
    }
}

#[actix_web::test]
async fn of_two_that_ask_at_once_one_charges() {
    let house = spawn_house_with(Duration::from_secs(600), "60000").await;
    let order_id = Uuid::now_v7();
    let ask = async || charge(&house.app, order_id, "card_slow").await;
    // The first to answer is the one that was not first to ask: the gateway answers nobody.
    let refused: Answer = tokio::select! {
        answer = ask() => answer,
        answer = ask() => answer,
    };
    refused.assert_problem(409, "payment_in_progress");
    assert_eq!(refused.header("retry-after"), "1");
    wait_until("the charge", async || house.gateway.status_of(order_id).await == "pending").await;
    assert_eq!(find(&house.app, order_id).await["status"], "pending");
}

#[actix_web::test]
async fn a_gateway_that_is_away_charges_nothing_and_the_same_may_be_asked_again() {
    // A port where nobody listens, until the gateway comes.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let app = spawn_app(&format!("http://127.0.0.1:{port}"), "5000").await;
    let order_id = Uuid::now_v7();
    for _ in 0..2 {
        let answer = charge(&app, order_id, "card_ok").await;
        answer.assert_problem(503, "gateway_unavailable");
        assert_eq!(answer.header("retry-after"), "1");
    }
    let failed = find(&app, order_id).await;
    assert_eq!(
        (failed["status"].as_str(), failed["failure_code"].as_str()),
        (Some("failed"), Some("gateway_unavailable"))
    );

    let gateway = RunningGateway::start(port, Duration::ZERO);
    charge(&app, order_id, "card_declined").await.assert_problem(409, "payment_conflict");
    assert_eq!(gateway.status_of(order_id).await, "unknown");
    let captured = charge(&app, order_id, "card_ok").await.json(201);
    assert_eq!(captured["payment_id"], failed["payment_id"]);
    assert_eq!(gateway.status_of(order_id).await, "captured");
}

#[actix_web::test]
async fn a_payment_belongs_to_the_user_for_whom_it_was_asked() {
    let house = spawn_house().await;
    let tokens = ServiceTokens::read(&mut Env::of::<&str, &str>([]), "order-service");
    let token = tokens.issue(PaymentService::NAME, Some("a user"));
    let order_id = Uuid::now_v7();
    let request = house.app.post("/internal/payments", &charge_request(order_id, "card_ok"));
    request.from_user(token.expose_secret()).send().await.json(201);
    assert_eq!(find(&house.app, order_id).await["user_id"], "a user");
}

/// Writing it down takes longer than its caller waits.
#[actix_web::test]
async fn a_charge_whose_deadline_ended_before_the_gateway_was_asked_is_not_made() {
    let house = spawn_house().await;
    let order_id = Uuid::now_v7();
    charge_too_late(&house.app, order_id).await;
    wait_until("the record", async || {
        let path = format!("/internal/payments/{order_id}");
        house.app.get(&path).from_service().send().await.status == 200
    })
    .await;
    let payment = wait_for_status(&house.app, order_id, "failed").await;
    assert_eq!(payment["failure_code"], "gateway_unavailable");
    assert_eq!(house.gateway.status_of(order_id).await, "unknown", "nobody asked it");
    // Who waits may ask for the same again.
    charge(&house.app, order_id, "card_ok").await.json(201);
    let counted = house.app.telemetry.metrics().into_iter().filter(|series| series.name == "payment.charges");
    assert_eq!(counted.map(|series| series.value).sum::<f64>(), 1.0, "only the charge that was made");
}
