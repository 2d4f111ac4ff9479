use secrecy::ExposeSecret;
use serde_json::json;
use service_kit::token::ServiceTokens;
use uuid::Uuid;

use crate::harness::{available, lamp, new_order, reserved, spawn_app, stock_lamp};

#[actix_web::test]
async fn internal_endpoints_refuse_callers_without_a_service_token() {
    let app = spawn_app().await;
    let product = stock_lamp(&app, 5).await;
    let reservation = reserved(&app, &product, 1).await;
    let somebody = ServiceTokens::new("order-service", &"a secret of somebody else's".into());
    let foreign = somebody.issue("inventory-service", None);
    for (path, body) in [
        ("/internal/products/import".to_owned(), json!([lamp("LAMP-02", 1)])),
        (
            "/internal/reservations".to_owned(),
            json!({ "order_id": new_order(), "product_id": product, "quantity": 1 }),
        ),
        (format!("/internal/reservations/{reservation}/commit"), json!({})),
        (format!("/internal/reservations/{reservation}/release"), json!({})),
        (format!("/internal/reservations/{}/release", Uuid::now_v7()), json!({})),
    ] {
        let request = || app.post(&path, &body);
        request().send().await.assert_problem(401, "missing_service_token");
        let forged = request().from_user(foreign.expose_secret()).send().await;
        forged.assert_problem(401, "invalid_service_token");
    }
    assert_eq!(available(&app, &product).await, 4);
    let listed = app.get("/api/products").send().await.json(200);
    assert_eq!(listed["products"].as_array().unwrap().len(), 1);
}
