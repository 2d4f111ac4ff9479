use crate::harness::spawn_app;

#[actix_web::test]
async fn a_running_service_is_operational_healthy_and_ready() {
    let app = spawn_app().await;
    let greeting = app.get("/").send().await.json(200);
    assert_eq!(greeting["status"], "operational");
    assert_eq!(greeting["message"], format!("inventory-service {}", env!("CARGO_PKG_VERSION")));
    assert_eq!(app.get("/health").send().await.json(200)["tracing"], "enabled");
    assert_eq!(app.get("/ready").send().await.json(200)["status"], "ready");
}

#[actix_web::test]
async fn every_operation_is_in_the_document_with_its_problems() {
    let app = spawn_app().await;
    let document = app.get("/api-docs/openapi.json").send().await.json(200);
    assert_eq!(document["info"]["title"], "inventory-service");
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            operations.push(format!("{method} {path}"));
            let problem = &operation["responses"]["default"]["content"]["application/problem+json"];
            assert_eq!(problem["schema"]["$ref"], "#/components/schemas/Problem", "{method} {path}");
            let security = operation["security"][0].as_object();
            let scheme = security.and_then(|scheme| scheme.keys().next().map(String::as_str));
            let expected = path.starts_with("/internal").then_some("service_token");
            assert_eq!(scheme, expected, "{method} {path}");
        }
    }
    operations.sort();
    assert_eq!(
        operations,
        [
            "get /",
            "get /api/products",
            "get /api/products/{id}",
            "get /health",
            "get /metrics",
            "get /ready",
            "post /internal/products/import",
            "post /internal/reservations",
            "post /internal/reservations/{order_id}/commit",
            "post /internal/reservations/{order_id}/release",
        ]
    );
}
