use serde_json::json;
use uuid::Uuid;

use crate::harness::{available, new_order, reserve, reserved, settle, spawn_app, stock_lamp};

#[actix_web::test]
async fn a_reservation_tells_what_is_held_and_at_which_price() {
    let app = spawn_app().await;
    let (product, order) = (stock_lamp(&app, 5).await, new_order());
    let mut reservation = reserve(&app, &order, &product, 2).await.json(201);
    let id = reservation["reservation_id"].take();
    assert!(id.as_str().is_some_and(|id| Uuid::try_parse(id).is_ok()), "{id}");
    assert_eq!(
        reservation,
        json!({
            "reservation_id": null,
            "order_id": order,
            "product_id": product,
            "quantity": 2,
            "unit_price_minor": 4900,
            "currency": "EUR",
        })
    );
    assert_eq!(available(&app, &product).await, 3);
}

#[actix_web::test]
async fn the_same_reservation_asked_for_again_is_the_same() {
    let app = spawn_app().await;
    let (product, order) = (stock_lamp(&app, 5).await, new_order());
    // All that is there, so that the second one would find nothing left.
    let first = reserve(&app, &order, &product, 5).await.json(201);
    assert_eq!(reserve(&app, &order, &product, 5).await.json(201), first);
    assert_eq!(available(&app, &product).await, 0);

    settle(&app, first["reservation_id"].as_str().unwrap(), "commit").await.json(200);
    assert_eq!(reserve(&app, &order, &product, 5).await.json(201), first);
    assert_eq!(available(&app, &product).await, 0);
}

#[actix_web::test]
async fn an_order_cannot_reserve_something_else_as_well() {
    let app = spawn_app().await;
    let (product, order) = (stock_lamp(&app, 5).await, new_order());
    reserve(&app, &order, &product, 2).await.json(201);
    reserve(&app, &order, &product, 1).await.assert_problem(409, "reservation_conflict");
    let other = Uuid::now_v7().to_string();
    reserve(&app, &order, &other, 2).await.assert_problem(409, "reservation_conflict");
    assert_eq!(available(&app, &product).await, 3);
}

#[actix_web::test]
async fn more_than_is_left_cannot_be_reserved() {
    let app = spawn_app().await;
    let product = stock_lamp(&app, 3).await;
    reserve(&app, &new_order(), &product, 4).await.assert_problem(409, "out_of_stock");
    reserved(&app, &product, 2).await;
    let order = new_order();
    reserve(&app, &order, &product, 2).await.assert_problem(409, "out_of_stock");
    assert_eq!(available(&app, &product).await, 1);

    // Being refused is not remembered: the order may have what is left.
    reserve(&app, &order, &product, 1).await.json(201);
    assert_eq!(available(&app, &product).await, 0);
}

#[actix_web::test]
async fn an_unknown_product_cannot_be_reserved() {
    let app = spawn_app().await;
    let unknown = Uuid::now_v7().to_string();
    reserve(&app, &new_order(), &unknown, 1).await.assert_problem(404, "product_not_found");
}

#[actix_web::test]
async fn a_committed_reservation_is_sold() {
    let app = spawn_app().await;
    let product = stock_lamp(&app, 5).await;
    let reservation = reserved(&app, &product, 2).await;
    for _ in 0..2 {
        let settled = settle(&app, &reservation, "commit").await.json(200);
        assert_eq!(settled, json!({ "reservation_id": reservation, "state": "committed" }));
        assert_eq!(available(&app, &product).await, 3);
    }
    let problem = settle(&app, &reservation, "release").await.assert_problem(409, "reservation_state");
    assert_eq!(problem["state"], "committed");
    assert_eq!(available(&app, &product).await, 3);
}

#[actix_web::test]
async fn a_released_reservation_is_free_again() {
    let app = spawn_app().await;
    let product = stock_lamp(&app, 5).await;
    let reservation = reserved(&app, &product, 2).await;
    for _ in 0..2 {
        let settled = settle(&app, &reservation, "release").await.json(200);
        assert_eq!(settled, json!({ "reservation_id": reservation, "state": "released" }));
        assert_eq!(available(&app, &product).await, 5);
    }
    let problem = settle(&app, &reservation, "commit").await.assert_problem(409, "reservation_state");
    assert_eq!(problem["state"], "released");
    assert_eq!(available(&app, &product).await, 5);
}

#[actix_web::test]
async fn an_unknown_reservation_and_what_cannot_be_one_get_the_same_answer() {
    let app = spawn_app().await;
    for step in ["commit", "release"] {
        for id in [&Uuid::now_v7().to_string(), "canary", "%00"] {
            let answer = settle(&app, id, step).await;
            answer.assert_problem(404, "reservation_not_found");
            assert!(!answer.text.contains("canary"), "{answer:?}");
        }
    }
}
