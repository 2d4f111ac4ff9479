//! A service with something in stock.

use inventory_service::InventoryService;
use serde_json::{Value, json};
use service_kit::testing::{Answer, TestApp};
use uuid::Uuid;

pub(crate) async fn spawn_app() -> TestApp {
    TestApp::spawn::<InventoryService>([]).await
}

/// A row of an import: a lamp for 49.00 EUR.
pub(crate) fn lamp(sku: &str, stock: i64) -> Value {
    json!({
        "sku": sku,
        "name": "Desk lamp",
        "category": "lighting",
        "price_minor": 4900,
        "currency": "EUR",
        "stock": stock,
    })
}

pub(crate) async fn import(app: &TestApp, rows: &[Value]) -> Answer {
    app.post("/internal/products/import", &rows).from_service().send().await
}

/// Imports one lamp with so many pieces and gives its id.
pub(crate) async fn stock_lamp(app: &TestApp, stock: i64) -> String {
    let imported = import(app, &[lamp("LAMP-01", stock)]).await.json(201);
    imported["product_ids"][0].as_str().expect("an import gives ids").to_owned()
}

/// An order that nobody has seen yet.
pub(crate) fn new_order() -> String {
    Uuid::now_v7().to_string()
}

pub(crate) async fn reserve(app: &TestApp, order: &str, product: &str, quantity: i64) -> Answer {
    let body = json!({ "order_id": order, "product_id": product, "quantity": quantity });
    app.post("/internal/reservations", &body).from_service().send().await
}

/// Reserves for a new order and gives the reservation's id.
pub(crate) async fn reserved(app: &TestApp, product: &str, quantity: i64) -> String {
    let reservation = reserve(app, &new_order(), product, quantity).await.json(201);
    reservation["reservation_id"].as_str().expect("a reservation has an id").to_owned()
}

/// Sends `commit` or `release`.
pub(crate) async fn settle(app: &TestApp, reservation: &str, step: &str) -> Answer {
    let path = format!("/internal/reservations/{reservation}/{step}");
    app.post(&path, &json!({})).from_service().send().await
}

/// The pieces that customers see.
pub(crate) async fn available(app: &TestApp, product: &str) -> i64 {
    let product = app.get(&format!("/api/products/{product}")).send().await.json(200);
    product["available"].as_i64().expect("a product tells what is available")
}
