//! Whatever is sent, the answer is a problem document.

use reqwest::Method;
use serde_json::json;
use service_kit::testing::{Answer, TestApp};

use crate::harness::{lamp, new_order, reserve, spawn_app, stock_lamp};

async fn post(app: &TestApp, path: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = app.request(Method::POST, path).from_service();
    request.with(|request| request.header("content-type", "application/json").body(body)).send().await
}

#[actix_web::test]
async fn a_reservation_that_is_not_what_is_taken_is_answered_with_the_place() {
    let app = spawn_app().await;
    let id = new_order();
    for (body, detail) in [
        ("canary".to_owned(), "At line 1, column 1 of the body: this is not JSON."),
        ("{}".to_owned(), "At line 1, column 2 of the body: missing field `order_id`."),
        (
            format!(r#"{{"order_id": "{id}", "product_id": "{id}", "quantity": "canary"}}"#),
            "At line 1, column 127 of the body: expected i64.",
        ),
        (
            format!(r#"{{"order_id": "{id}", "product_id": "{id}", "quantity": 1.5}}"#),
            "At line 1, column 122 of the body: expected i64.",
        ),
    ] {
        let answer = post(&app, "/internal/reservations", body.clone()).await;
        assert_eq!(answer.assert_problem(400, "invalid_json")["detail"], detail, "{body}");
        assert!(!answer.text.contains("canary"), "{answer:?}");
    }
    for (order, product) in [("canary", id.as_str()), (id.as_str(), "canary")] {
        let answer = reserve(&app, order, product, 1).await;
        answer.assert_problem(400, "invalid_json");
        assert!(!answer.text.contains("canary"), "{answer:?}");
    }
}

#[actix_web::test]
async fn a_quantity_out_of_bounds_is_refused() {
    let app = spawn_app().await;
    let product = stock_lamp(&app, 5).await;
    for quantity in [0, -1, 10_001, i64::MIN, i64::MAX] {
        let problem =
            reserve(&app, &new_order(), &product, quantity).await.assert_problem(422, "validation_failed");
        let expected = json!([{ "field": "quantity", "detail": "a quantity is 1 to 10000 pieces" }]);
        assert_eq!(problem["errors"], expected, "{quantity}");
    }
}

#[actix_web::test]
async fn a_list_out_of_bounds_is_refused() {
    let app = spawn_app().await;
    for (query, fields) in [
        ("limit=0", vec!["limit"]),
        ("limit=101", vec!["limit"]),
        ("limit=-1", vec!["limit"]),
        ("offset=-1", vec!["offset"]),
        ("limit=9223372036854775807&offset=-9223372036854775808", vec!["limit", "offset"]),
    ] {
        let answer = app.get(&format!("/api/products?{query}")).send().await;
        let problem = answer.assert_problem(422, "validation_failed");
        let named: Vec<_> =
            problem["errors"].as_array().unwrap().iter().map(|error| &error["field"]).collect();
        assert_eq!(named, fields, "{query}");
    }
    for query in ["limit=canary", "limit=", "offset=1.5", "offset=9223372036854775808", "limit=1&limit=2"] {
        let answer = app.get(&format!("/api/products?{query}")).send().await;
        answer.assert_problem(400, "invalid_query");
        assert!(!answer.text.contains("canary"), "{answer:?}");
    }
    // As far as an offset goes, there is nothing, and no error.
    let far = app.get("/api/products?offset=9223372036854775807").send().await.json(200);
    assert_eq!(far["products"], json!([]));
}

#[actix_web::test]
async fn only_an_import_may_have_a_large_body() {
    let app = spawn_app().await;
    let padding = " ".repeat(64 * 1024);
    let large = format!(
        r#"{{"order_id": "{}",{padding}"product_id": "{}", "quantity": 1}}"#,
        new_order(),
        new_order()
    );
    post(&app, "/internal/reservations", large).await.assert_problem(413, "body_too_large");
    let large = format!("[{padding}{}]", lamp("LAMP-01", 1));
    assert_eq!(post(&app, "/internal/products/import", large).await.json(201)["imported"], 1);
    post(&app, "/internal/products/import", " ".repeat(1024 * 1024 + 1))
        .await
        .assert_problem(413, "body_too_large");
}

#[actix_web::test]
async fn an_import_that_is_not_a_list_of_products_is_refused() {
    let app = spawn_app().await;
    for body in ["{}", "[canary]", "[{}]", r#"[{"sku": "canary"}]"#, "[[]]", "null"] {
        let answer = post(&app, "/internal/products/import", body).await;
        answer.assert_problem(400, "invalid_json");
        assert!(!answer.text.contains("canary"), "{answer:?}");
    }
    let text = app.request(Method::POST, "/internal/products/import").from_service();
    let text = text.with(|request| request.header("content-type", "text/csv").body("sku,name")).send().await;
    text.assert_problem(415, "unsupported_media_type");
}

#[actix_web::test]
async fn unknown_paths_and_wrong_methods_are_told_apart() {
    let app = spawn_app().await;
    for path in ["/api", "/api/products/", "/api/products/1/reviews", "/internal", "/internal/products"] {
        app.get(path).send().await.assert_problem(404, "unknown_path");
    }
    for (method, path, allow) in [
        (Method::PUT, "/api/products", "GET, POST"),
        (Method::DELETE, "/api/products/019a0000-0000-7000-8000-000000000001", "GET, PATCH"),
        (Method::GET, "/internal/products/import", "POST"),
        (Method::GET, "/internal/reservations", "POST"),
        (Method::GET, "/internal/reservations/019a0000-0000-7000-8000-000000000001/commit", "POST"),
    ] {
        let answer = app.request(method.clone(), path).send().await;
        answer.assert_problem(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
}

#[actix_web::test]
async fn a_database_that_is_away_is_told_as_such() {
    let app = spawn_app().await;
    app.database.take_away();
    let id = new_order();
    let listed = app.get("/api/products").send();
    let found = app.get(&format!("/api/products/{id}")).send();
    let (listed, found, reserved) = tokio::join!(listed, found, reserve(&app, &id, &id, 1));
    for answer in [listed, found, reserved] {
        answer.assert_problem(503, "database_unavailable");
        assert_eq!(answer.header("retry-after"), "1");
    }
}
