use serde_json::json;

use crate::harness::spawn_app;

#[actix_web::test]
async fn a_running_service_is_operational_healthy_and_ready() {
    let app = spawn_app().await;
    let greeting = app.get("/").send().await.json(200);
    assert_eq!(greeting["status"], "operational");
    assert_eq!(greeting["message"], format!("user-service {}", env!("CARGO_PKG_VERSION")));

    let health = app.get("/health").send().await.json(200);
    assert_eq!(health["status"], "healthy");
    assert_eq!(health["tracing"], "enabled");
    assert!(health.get("exporters").is_some());

    assert_eq!(app.get("/ready").send().await.json(200)["status"], "ready");
}

#[actix_web::test]
async fn a_service_without_its_database_is_healthy_and_not_ready() {
    let app = spawn_app().await;
    app.database.take_away();
    let answer = app.get("/ready").send().await;
    answer.assert_problem(503, "database_unavailable");
    assert_eq!(answer.header("retry-after"), "1");
    app.get("/health").send().await.json(200);
}

#[actix_web::test]
async fn every_operation_is_in_the_document_with_its_problems() {
    let app = spawn_app().await;
    let document = app.get("/api-docs/openapi.json").send().await.json(200);
    assert_eq!(document["info"]["title"], "user-service");
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
            let expected = match path.as_str() {
                path if path.starts_with("/internal") => Some("service_token"),
                "/api/users/me" => Some("user_token"),
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
            "get /api/users/me",
            "get /health",
            "get /metrics",
            "get /ready",
            "patch /internal/users/{id}",
            "post /api/users/login",
            "post /api/users/register",
            "post /internal/tenants",
            "post /internal/tokens/validate",
            "post /internal/users",
        ]
    );
    for scheme in ["user_token", "service_token"] {
        assert_eq!(document["components"]["securitySchemes"][scheme]["scheme"], "bearer");
    }
}

#[actix_web::test]
async fn the_documentation_page_is_there() {
    let app = spawn_app().await;
    let page = app.get("/docs/").send().await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("swagger-ui"), "{page:?}");
}
