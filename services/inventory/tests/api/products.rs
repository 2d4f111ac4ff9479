use serde_json::json;
use uuid::Uuid;

use crate::harness::{available, import, lamp, reserved, spawn_app, stock_lamp};

#[actix_web::test]
async fn a_product_is_shown_as_it_was_imported() {
    let app = spawn_app().await;
    let id = stock_lamp(&app, 25).await;
    let mut product = app.get(&format!("/api/products/{id}")).send().await.json(200);
    let created_at = product["created_at"].take();
    assert!(created_at.as_str().is_some_and(|time| time.ends_with('Z')), "{created_at}");
    assert_eq!(
        product,
        json!({
            "id": id,
            "sku": "LAMP-01",
            "name": "Desk lamp",
            "category": "lighting",
            "price_minor": 4900,
            "currency": "EUR",
            "available": 25,
            "created_at": null,
            "version": 1,
        })
    );
}

#[actix_web::test]
async fn what_is_reserved_is_not_available() {
    let app = spawn_app().await;
    let id = stock_lamp(&app, 25).await;
    reserved(&app, &id, 7).await;
    assert_eq!(available(&app, &id).await, 18);
    let list = app.get("/api/products").send().await.json(200);
    assert_eq!(list["products"][0]["available"], 18);
}

#[actix_web::test]
async fn an_unknown_id_and_what_cannot_be_an_id_get_the_same_answer() {
    let app = spawn_app().await;
    stock_lamp(&app, 1).await;
    let mut answers = Vec::new();
    for id in [&Uuid::now_v7().to_string(), "canary", "1", "%00", "%FF", "'; DROP TABLE products; --"] {
        let answer = app.get(&format!("/api/products/{id}")).send().await;
        assert!(!answer.text.contains("canary"), "{answer:?}");
        let mut problem = answer.assert_problem(404, "product_not_found");
        problem["trace_id"].take();
        answers.push(problem);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[actix_web::test]
async fn products_are_listed_in_the_order_in_which_they_came() {
    let app = spawn_app().await;
    let skus = ["Z-1", "A-2", "M-3", "B-4"];
    import(&app, &skus.map(|sku| lamp(sku, 1))).await.json(201);

    let all = app.get("/api/products").send().await.json(200);
    let listed: Vec<_> = all["products"].as_array().unwrap().iter().map(|product| &product["sku"]).collect();
    assert_eq!(listed, skus);
    assert_eq!((&all["limit"], &all["offset"]), (&json!(20), &json!(0)));

    let part = app.get("/api/products?limit=2&offset=1").send().await.json(200);
    assert_eq!(part["products"].as_array().unwrap()[..], all["products"].as_array().unwrap()[1..3]);
    assert_eq!((&part["limit"], &part["offset"]), (&json!(2), &json!(1)));

    let beyond = app.get("/api/products?offset=4").send().await.json(200);
    assert_eq!(beyond["products"], json!([]));
}

#[actix_web::test]
async fn a_list_is_never_longer_than_its_limit() {
    let app = spawn_app().await;
    let rows: Vec<_> = (0..101).map(|number| lamp(&format!("LAMP-{number}"), 1)).collect();
    import(&app, &rows).await.json(201);
    for (query, length) in [("", 20), ("?limit=1", 1), ("?limit=100", 100), ("?limit=100&offset=100", 1)] {
        let list = app.get(&format!("/api/products{query}")).send().await.json(200);
        assert_eq!(list["products"].as_array().unwrap().len(), length, "{query}");
    }
}
