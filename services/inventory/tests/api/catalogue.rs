//! Admins keep the catalogue and the stock; others look at it.

use reqwest::Method;
use serde_json::{Value, json};
use service_kit::testing::Answer;
use uuid::Uuid;

use crate::harness::{available, lamp, new_order, reserve};
use crate::people::{House, spawn_house};

async fn patch(house: &House, token: &str, id: &str, body: Value) -> Answer {
    let request = house.app.request(Method::PATCH, &format!("/api/products/{id}"));
    request.with(|request| request.json(&body)).from_user(token).send().await
}

async fn adjust(house: &House, token: &str, product: &str, id: Uuid, change: i64) -> Answer {
    let body = json!({ "id": id, "change": change, "reason": "count" });
    house.app.post(&format!("/api/products/{product}/stock"), &body).from_user(token).send().await
}

/// Adds a lamp of so many pieces, and gives its id.
async fn add(house: &House, token: &str, sku: &str, stock: i64) -> String {
    let added = house.app.post("/api/products", &lamp(sku, stock)).from_user(token).send().await.json(201);
    added["id"].as_str().unwrap().to_owned()
}

#[actix_web::test]
async fn only_an_admin_keeps_the_catalogue() {
    let house = spawn_house().await;
    let (admin, customer) = (house.token("admin").await, house.token("customer").await);
    let id = add(&house, &admin, "LAMP-01", 3).await;
    let refused = house.app.post("/api/products", &lamp("LAMP-02", 1)).from_user(&customer).send().await;
    refused.assert_problem(403, "not_an_admin");
    patch(&house, &customer, &id, json!({ "version": 1, "name": "Mine" }))
        .await
        .assert_problem(403, "not_an_admin");
    adjust(&house, &customer, &id, Uuid::now_v7(), 5).await.assert_problem(403, "not_an_admin");
    let upload = house.app.request(Method::POST, "/api/products/import");
    upload.from_user(&customer).send().await.assert_problem(403, "not_an_admin");
    assert_eq!(available(&house.app, &id).await, 3);
}

#[actix_web::test]
async fn a_change_of_what_has_changed_is_refused() {
    let house = spawn_house().await;
    let admin = house.token("admin").await;
    let id = add(&house, &admin, "LAMP-01", 3).await;
    let changed =
        patch(&house, &admin, &id, json!({ "version": 1, "price_minor": 5900, "currency": "EUR" })).await;
    let changed = changed.json(200);
    assert_eq!((&changed["version"], &changed["price_minor"]), (&json!(2), &json!(5900)));
    assert_eq!(changed["name"], "Desk lamp", "what is not named stays");
    let late = patch(&house, &admin, &id, json!({ "version": 1, "name": "Late" })).await;
    assert_eq!(late.assert_problem(409, "version_conflict")["version"], 2);
    let shown = house.app.get(&format!("/api/products/{id}")).send().await.json(200);
    assert_eq!((&shown["name"], &shown["version"]), (&json!("Desk lamp"), &json!(2)));
    let unknown = Uuid::now_v7().to_string();
    patch(&house, &admin, &unknown, json!({ "version": 1, "name": "x" }))
        .await
        .assert_problem(404, "product_not_found");
    for wrong in [
        json!({ "version": 0, "name": "x" }),
        json!({ "version": 2, "name": "" }),
        json!({ "version": 2, "price_minor": 5 }),
        json!({ "version": 2, "currency": "EUR" }),
        json!({ "version": 2, "category": "No Term" }),
    ] {
        patch(&house, &admin, &id, wrong).await.assert_problem(422, "validation_failed");
    }
}

#[actix_web::test]
async fn an_adjustment_is_made_once_and_leaves_what_is_reserved() {
    let house = spawn_house().await;
    let admin = house.token("admin").await;
    let id = add(&house, &admin, "LAMP-01", 3).await;
    reserve(&house.app, &new_order(), &id, 2).await.json(201);
    let delivery = Uuid::now_v7();
    for _ in 0..3 {
        let level = adjust(&house, &admin, &id, delivery, 10).await.json(200);
        assert_eq!(level, json!({ "product_id": id, "on_hand": 13, "reserved": 2, "available": 11 }));
    }
    adjust(&house, &admin, &id, delivery, 11).await.assert_problem(409, "adjustment_conflict");
    let too_much = adjust(&house, &admin, &id, Uuid::now_v7(), -12).await;
    let problem = too_much.assert_problem(409, "stock_out_of_bounds");
    assert_eq!((&problem["on_hand"], &problem["reserved"]), (&json!(13), &json!(2)));
    adjust(&house, &admin, &id, Uuid::now_v7(), 1_000_000_000)
        .await
        .assert_problem(409, "stock_out_of_bounds");
    assert_eq!(adjust(&house, &admin, &id, Uuid::now_v7(), -11).await.json(200)["available"], 0);
    adjust(&house, &admin, &id, Uuid::now_v7(), 0).await.assert_problem(422, "validation_failed");
    let unknown = Uuid::now_v7().to_string();
    adjust(&house, &admin, &unknown, Uuid::now_v7(), 1).await.assert_problem(404, "product_not_found");
}

#[actix_web::test]
async fn products_are_found_by_what_they_are() {
    let house = spawn_house().await;
    let admin = house.token("admin").await;
    add(&house, &admin, "LAMP-01", 0).await;
    add(&house, &admin, "LAMP-02", 1).await;
    let mut desk = lamp("DESK-01", 1);
    desk["category"] = json!("furniture");
    house.app.post("/api/products", &desk).from_user(&admin).send().await.json(201);
    for (query, skus) in [
        ("", &["LAMP-01", "LAMP-02", "DESK-01"][..]),
        ("?category=lighting", &["LAMP-01", "LAMP-02"]),
        ("?category=lighting&in_stock=true", &["LAMP-02"]),
        ("?in_stock=true&limit=1&offset=1", &["DESK-01"]),
        ("?sku=LAMP-01", &["LAMP-01"]),
        ("?category=none", &[]),
    ] {
        let found = house.app.get(&format!("/api/products{query}")).send().await.json(200);
        let found: Vec<_> =
            found["products"].as_array().unwrap().iter().map(|one| one["sku"].clone()).collect();
        assert_eq!(found, skus, "{query}");
    }
    for query in ["?category=No%20Term", "?sku=", "?limit=0"] {
        let answer = house.app.get(&format!("/api/products{query}")).send().await;
        answer.assert_problem(422, "validation_failed");
    }
}
