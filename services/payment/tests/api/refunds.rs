use std::time::Duration;

use uuid::Uuid;

use crate::harness::{
    charge, find, refund, spawn_app, spawn_house, spawn_house_with, wait_for_status, wait_until,
};
use crate::scripted::{ScriptedGateway, json_answer};

#[actix_web::test]
async fn a_captured_payment_goes_back_once() {
    let house = spawn_house().await;
    let order_id = Uuid::now_v7();
    let captured = charge(&house.app, order_id, "card_ok").await.json(201);
    let payment_id = captured["payment_id"].as_str().unwrap();
    let first = refund(&house.app, payment_id).await.json(200);
    assert_eq!(first, serde_json::json!({ "payment_id": payment_id, "status": "refunded" }));
    assert_eq!(house.gateway.status_of(order_id).await, "refunded");

    house.gateway.stop().await;
    assert_eq!(refund(&house.app, payment_id).await.json(200), first);
    let payment = find(&house.app, payment_id).await;
    assert_eq!(payment["status"], "refunded");
    assert_eq!(payment["transaction_id"], captured["transaction_id"]);
    charge(&house.app, order_id, "card_ok").await.assert_problem(409, "payment_refunded");
}

#[actix_web::test]
async fn who_knows_only_the_order_can_have_its_payment_refunded() {
    let house = spawn_house().await;
    let order_id = Uuid::now_v7();
    let captured = charge(&house.app, order_id, "card_ok").await.json(201);
    assert_eq!(refund(&house.app, order_id).await.json(200)["payment_id"], captured["payment_id"]);
}

#[actix_web::test]
async fn what_was_not_captured_does_not_go_back() {
    let house = spawn_house().await;
    refund(&house.app, Uuid::now_v7()).await.assert_problem(404, "payment_not_found");
    for (method, status) in [("card_declined", "declined"), ("gateway_error", "voided")] {
        let order_id = Uuid::now_v7();
        charge(&house.app, order_id, method).await;
        wait_for_status(&house.app, order_id, status).await;
        refund(&house.app, order_id).await.assert_problem(409, "payment_not_captured");
    }
}

#[actix_web::test]
async fn a_payment_in_progress_cannot_go_back_yet() {
    let house = spawn_house_with(Duration::from_secs(600), "60000").await;
    let order_id = Uuid::now_v7();
    tokio::select! {
        answer = charge(&house.app, order_id, "card_slow") => panic!("the gateway was not to answer: {answer:?}"),
        () = wait_until("the charge", async || house.gateway.status_of(order_id).await == "pending") => {}
    }
    refund(&house.app, order_id).await.assert_problem(409, "payment_in_progress");
}

#[actix_web::test]
async fn a_refund_that_the_gateway_does_not_confirm_is_not_written_down() {
    let house = spawn_house().await;
    let order_id = Uuid::now_v7();
    charge(&house.app, order_id, "card_ok").await.json(201);
    house.gateway.stop().await;
    refund(&house.app, order_id).await.assert_problem(503, "gateway_unavailable");
    assert_eq!(find(&house.app, order_id).await["status"], "captured");

    // This one captures, and takes a refund for another capture.
    let body = r#"{"transaction_id":"txn_1","status":"captured"}"#;
    let gateway = ScriptedGateway::start(json_answer("201 Created", body)).await;
    let app = spawn_app(&gateway.url(), "5000").await;
    charge(&app, order_id, "card_ok").await.json(201);
    refund(&app, order_id).await.assert_problem(502, "gateway_error");
    assert_eq!(find(&app, order_id).await["status"], "captured");
}
