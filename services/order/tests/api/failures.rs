//! Orders that fail give back what they took, also when a peer is away meanwhile.

use serde_json::json;

use crate::harness::{AfterTheFirst, inventory_behind, nobody, spawn_house, spawn_order, url, wait_until};

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
async fn a_paid_order_whose_goods_are_gone_is_refunded() {
    let house = spawn_house(1).await;
    let inventory = inventory_behind(&house, AfterTheFirst::RefuseOnce).await;
    let order = spawn_order(&house.user_url(), &inventory, &url(&house.payment)).await;
    let problem = house.place_at(&order, 1, "card_ok").await.assert_problem(409, "reservation_lost");
    let payment = house.payment_of(&problem["order_id"]).await;
    assert_eq!(payment["status"], "refunded");
    assert_eq!(house.place(1, "card_ok").await.json(201)["status"], "confirmed", "the goods are there again");
}

#[actix_web::test]
async fn a_paid_order_is_confirmed_when_the_inventory_answers_again() {
    let house = spawn_house(1).await;
    let inventory = inventory_behind(&house, AfterTheFirst::CutThree).await;
    let order = spawn_order(&house.user_url(), &inventory, &url(&house.payment)).await;
    let placed = house.place_at(&order, 1, "card_ok").await.json(202);
    assert_eq!(placed["status"], "paid");
    let path = format!("/api/orders/{}", placed["order_id"].as_str().unwrap());
    wait_until("the confirmation", async || {
        order.get(&path).from_user(&house.token).send().await.json(200)["status"] == "confirmed"
    })
    .await;
    assert_eq!(house.payment_of(&placed["order_id"]).await["status"], "captured");
}

#[actix_web::test]
async fn an_order_whose_client_hangs_up_runs_to_its_end() {
    let house = spawn_house(1).await;
    // The commit is tried again and again, so there is time to hang up.
    let inventory = inventory_behind(&house, AfterTheFirst::CutThree).await;
    let order = spawn_order(&house.user_url(), &inventory, &url(&house.payment)).await;
    {
        let placing = house.place_at(&order, 1, "card_ok");
        tokio::select! {
            _ = placing => panic!("the order was placed before its client hung up"),
            () = wait_until("the order", async || {
                order.telemetry.spans().iter().any(|span| span.name == "INSERT orders")
            }) => {}
        }
    }
    wait_until("the confirmation", async || {
        let listed = order.get("/api/orders").from_user(&house.token).send().await.json(200);
        listed[0]["status"] == "confirmed"
    })
    .await;
}

#[actix_web::test]
async fn a_database_that_went_away_is_told_and_takes_nothing() {
    let house = spawn_house(1).await;
    house.order.database.take_away();
    house.place(1, "card_ok").await.assert_problem(503, "database_unavailable");
}
