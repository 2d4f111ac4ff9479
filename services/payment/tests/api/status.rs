use uuid::Uuid;

use crate::harness::{charge, spawn_house};

#[actix_web::test]
async fn a_running_service_is_operational_healthy_and_ready() {
    let house = spawn_house().await;
    let greeting = house.app.get("/").send().await.json(200);
    assert_eq!(greeting["status"], "operational");
    assert_eq!(greeting["message"], format!("payment-service {}", env!("CARGO_PKG_VERSION")));
    assert_eq!(house.app.get("/health").send().await.json(200)["status"], "healthy");
    assert_eq!(house.app.get("/ready").send().await.json(200)["status"], "ready");
}

#[actix_web::test]
async fn without_its_database_it_asks_nobody_for_money() {
    let house = spawn_house().await;
    house.app.database.take_away();
    let order_id = Uuid::now_v7();
    charge(&house.app, order_id, "card_ok").await.assert_problem(503, "database_unavailable");
    assert_eq!(house.gateway.status_of(order_id).await, "unknown");
    house.app.get("/ready").send().await.assert_problem(503, "database_unavailable");
    house.app.get("/health").send().await.json(200);
}

#[actix_web::test]
async fn every_operation_is_in_the_document() {
    let house = spawn_house().await;
    let document = house.app.get("/api-docs/openapi.json").send().await.json(200);
    assert_eq!(document["info"]["title"], "payment-service");
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            operations.push(format!("{method} {path}"));
            let security = operation["security"][0].as_object();
            let scheme = security.and_then(|scheme| scheme.keys().next().map(String::as_str));
            let expected = match path.split('/').nth(1) {
                Some("internal") => Some("service_token"),
                Some("api") => Some("user_token"),
                _ => None,
            };
            assert_eq!(scheme, expected, "{method} {path}");
        }
    }
    operations.sort();
    assert_eq!(
        operations,
        [
            "get /",
            "get /api/payments",
            "get /api/payments/{order_id}",
            "get /health",
            "get /internal/payments/{order_id}",
            "get /metrics",
            "get /ready",
            "post /api/payments/{order_id}/refund",
            "post /internal/payments",
            "post /internal/payments/{order_id}/refund",
        ]
    );
}
