//! Placing and reading orders.

use serde_json::json;

use crate::harness::spawn_house;

#[actix_web::test]
async fn an_order_is_confirmed_and_can_be_read_again() {
    let house = spawn_house(10).await;
    let placed = house.place(2, "card_ok").await.json(201);
    assert_eq!(
        (&placed["status"], &placed["amount_minor"], &placed["currency"], &placed["order_type"]),
        (&json!("confirmed"), &json!(49_800), &json!("EUR"), &json!("standard"))
    );
    assert_eq!(house.find(&placed["order_id"]).await["status"], "confirmed");
    let listed = house.order.get("/api/orders?limit=1").from_user(&house.token).send().await.json(200);
    assert_eq!(listed[0]["order_id"], placed["order_id"]);
}

#[actix_web::test]
async fn another_users_order_is_as_unknown_as_none() {
    let house = spawn_house(10).await;
    let placed = house.place(1, "card_ok").await.json(201);
    let other = house.another_user().await;
    let path = format!("/api/orders/{}", placed["order_id"].as_str().unwrap());
    house.order.get(&path).from_user(&other).send().await.assert_problem(404, "order_not_found");
    let listed = house.order.get("/api/orders").from_user(&other).send().await.json(200);
    assert_eq!(listed, json!([]));
}

#[actix_web::test]
async fn orders_that_race_for_the_last_pieces_never_get_more_than_there_are() {
    let house = spawn_house(3).await;
    let orders = (0..8).map(|_| house.place(1, "card_ok"));
    let answers = futures_util::future::join_all(orders).await;
    let confirmed = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(confirmed, 3);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        answer.assert_problem(409, "out_of_stock");
    }
}

#[actix_web::test]
async fn every_mistake_of_an_order_is_named_and_no_value_repeated() {
    let house = spawn_house(1).await;
    let request = json!({
        "product_id": "4111", "quantity": 0, "payment_method": "4111111111111111", "order_type": "now",
    });
    let answer = house.order.post("/api/orders", &request).from_user(&house.token).send().await;
    let problem = answer.assert_problem(422, "validation_failed");
    let fields: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["product_id", "quantity", "payment_method", "order_type"]);
    assert!(!problem.to_string().contains("4111"), "{problem}");
}
