use serde_json::{Value, json};

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

fn assert_references_lead_somewhere(part: &Value, document: &Value) {
    match part {
        Value::Object(fields) => {
            if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
            }
            fields.values().for_each(|field| assert_references_lead_somewhere(field, document));
        }
        Value::Array(items) => items.iter().for_each(|item| assert_references_lead_somewhere(item, document)),
        _ => {}
    }
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
            for (status, response) in operation["responses"].as_object().unwrap() {
                // `default` would hide an answer that nobody thought of.
                let status: u16 = status.parse().expect("every answer is documented by its status");
                let problem = &response["content"]["application/problem+json"]["schema"]["$ref"];
                let expected = if status < 400 { json!(null) } else { json!("#/components/schemas/Problem") };
                assert_eq!(*problem, expected, "{method} {path} {status}");
            }
            let security = operation["security"][0].as_object();
            let scheme = security.and_then(|scheme| scheme.keys().next().map(String::as_str));
            let expected = match (method.as_str(), path.as_str()) {
                (_, path) if path.starts_with("/internal") => Some("service_token"),
                ("post" | "patch", path) if path.starts_with("/api") => Some("user_token"),
                _ => None,
            };
            assert_eq!(scheme, expected, "{method} {path}");
        }
    }
    assert_references_lead_somewhere(&document, &document);
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
            "patch /api/products/{id}",
            "post /api/products",
            "post /api/products/import",
            "post /api/products/{id}/stock",
            "post /internal/products/import",
            "post /internal/reservations",
            "post /internal/reservations/{order_id}/commit",
            "post /internal/reservations/{order_id}/release",
        ]
    );
}
