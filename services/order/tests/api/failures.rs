//! Orders that fail give back what they took, also when a peer is away meanwhile.

use serde_json::json;

use crate::harness::{nobody, spawn_house, spawn_order, url, wait_until};

/// A failed payment leaves the only piece to the next order.
async fn gives_the_goods_back(payment_method: &str, status: u16, code: &str) {
    let house = spawn_house(1).await;
    let problem = house.place(1, payment_method).await.assert_problem(status, code);
    let order = house.find(&problem["order_id"]).await;
    assert_eq!((&order["status"], &order["failure_code"]), (&json!("failed"), &json!(code)));
    assert_eq!(house.place(1, "card_ok").await.json(201)["status"], "confirmed");
}

#[actix_web::test]
async fn a_declined_payment_gives_the_goods_back() {
    gives_the_goods_back("card_declined", 402, "payment_declined").await;
}

#[actix_web::test]
async fn a_gateway_that_does_not_answer_gives_the_goods_back() {
    gives_the_goods_back("card_slow", 504, "payment_timeout").await;
}

#[actix_web::test]
async fn a_gateway_that_fails_gives_the_goods_back() {
    gives_the_goods_back("gateway_error", 503, "payment_unavailable").await;
}

#[actix_web::test]
async fn an_unknown_payment_method_gives_the_goods_back() {
    gives_the_goods_back("shells", 422, "payment_method_unknown").await;
}

#[actix_web::test]
async fn a_payment_service_that_is_down_gives_the_goods_back() {
    let house = spawn_house(1).await;
    let inventory = url(&house.inventory);
    let order = spawn_order(&house.user_url(), &inventory, &nobody()).await;
    house.place_at(&order, 1, "card_ok").await.assert_problem(503, "payment_unavailable");
    assert_eq!(house.place(1, "card_ok").await.json(201)["status"], "confirmed");
}

#[actix_web::test]
async fn a_user_service_that_is_down_is_told_and_nothing_is_stored() {
    let house = spawn_house(1).await;
    let order = spawn_order(&nobody(), &url(&house.inventory), &url(&house.payment)).await;
    house.place_at(&order, 1, "card_ok").await.assert_problem(503, "user_unavailable");
    assert!(order.telemetry.spans().iter().all(|span| span.name != "INSERT orders"));
}

#[actix_web::test]
async fn a_payment_that_was_made_is_refunded_when_the_goods_cannot_be_committed() {
    let house = spawn_house(1).await;
    // The inventory answers the reservation and is gone for what comes next.
    let failing = crate::harness::inventory_that_forgets(&house).await;
    let order = spawn_order(&house.user_url(), &failing.url(), &url(&house.payment)).await;
    let problem = house.place_at(&order, 1, "card_ok").await.assert_problem(503, "inventory_unavailable");
    let order_id = problem["order_id"].as_str().unwrap().to_owned();
    wait_until("the refund", async || {
        let path = format!("/internal/payments/{order_id}");
        let payment = house.payment.get(&path).from_service().send().await.json(200);
        payment["status"] == "refunded"
    })
    .await;
}

#[actix_web::test]
async fn a_database_that_went_away_is_told_and_takes_nothing() {
    let house = spawn_house(1).await;
    house.order.database.take_away();
    let answer = house.place(1, "card_ok").await;
    assert!(answer.status.is_server_error(), "{}", answer.status);
    answer.assert_problem(503, "database_unavailable");
}
