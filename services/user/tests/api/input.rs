//! Whatever is sent, the answer is a problem document.

use reqwest::Method;
use service_kit::testing::{Answer, TestApp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{register, spawn_app};

async fn post(app: &TestApp, content_type: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = app.request(Method::POST, "/api/users/register");
    request.with(|request| request.header("content-type", content_type).body(body)).send().await
}

#[actix_web::test]
async fn a_body_that_is_not_what_is_taken_is_answered_with_the_place() {
    let app = spawn_app().await;
    for (body, detail) in [
        ("", "At line 1, column 0 of the body: the JSON ends too early."),
        ("canary", "At line 1, column 1 of the body: this is not JSON."),
        ("{\"email\": \"a@b.example\"", "At line 1, column 23 of the body: the JSON ends too early."),
        ("{\"email\": \"a@b.example\"}", "At line 1, column 24 of the body: missing field `password`."),
        ("{\"email\":\n 17}", "At line 2, column 3 of the body: expected a string."),
        ("[\"canary\", 1]", "At line 1, column 12 of the body: expected a string."),
    ] {
        let answer = post(&app, "application/json", body).await;
        assert_eq!(answer.assert_problem(400, "invalid_json")["detail"], detail, "{body}");
        assert!(!answer.text.contains("canary"), "{answer:?}");
    }
}

#[actix_web::test]
async fn a_body_over_the_limit_is_refused_whether_or_not_its_length_is_told() {
    let app = spawn_app().await;
    let body = format!("{{\"email\": \"{}\"}}", "a".repeat(64 * 1024));
    post(&app, "application/json", body.clone()).await.assert_problem(413, "body_too_large");
    let chunked = "POST /api/users/register HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
        Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let answer = exchange(&app, &format!("{chunked}{chunk}")).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains(r#""code":"body_too_large""#), "{answer}");
}

/// Sends these bytes and reads until the service closes the connection.
async fn exchange(app: &TestApp, request: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(app.address()).await.unwrap();
    // The service may answer, and close, before it has read all of it.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

#[actix_web::test]
async fn a_body_of_another_media_type_is_refused() {
    let app = spawn_app().await;
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "nonsense"] {
        post(&app, content_type, "{}").await.assert_problem(415, "unsupported_media_type");
    }
    let none = app.request(Method::POST, "/api/users/register").send().await;
    none.assert_problem(415, "unsupported_media_type");
}

#[actix_web::test]
async fn unknown_paths_are_not_found() {
    let app = spawn_app().await;
    for path in ["/nowhere", "/api", "/api/users", "/api/users/me/", "/internal", "/docs", "/api/users/%00"] {
        app.get(path).send().await.assert_problem(404, "unknown_path");
    }
}

#[actix_web::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let app = spawn_app().await;
    for (method, path, allow) in [
        (Method::GET, "/api/users/register", "POST"),
        (Method::DELETE, "/api/users/me", "GET"),
        (Method::PUT, "/internal/users/019a0000-0000-7000-8000-000000000001", "PATCH"),
        (Method::OPTIONS, "/api/users/me", "GET"),
        (Method::POST, "/health", "GET"),
        (Method::from_bytes(b"BREW").unwrap(), "/", "GET"),
    ] {
        let answer = app.request(method.clone(), path).send().await;
        answer.assert_problem(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
}

#[actix_web::test]
async fn an_id_of_the_wrong_form_is_refused() {
    let app = spawn_app().await;
    let request = app.request(Method::PATCH, "/internal/users/canary").from_service();
    let answer = request.with(|request| request.json(&serde_json::json!({ "active": true }))).send().await;
    answer.assert_problem(400, "invalid_path");
    assert!(!answer.text.contains("canary"), "{answer:?}");
}

#[actix_web::test]
async fn only_named_origins_may_read_from_a_browser() {
    let origins = "https://shop.example,https://admin.example";
    let app = TestApp::spawn::<user_service::UserService>([("CORS_ALLOWED_ORIGINS", origins)]).await;
    register(&app).await;
    let ask = |origin: &'static str| app.get("/").with(|request| request.header("origin", origin)).send();
    assert_eq!(
        ask("https://shop.example").await.header("access-control-allow-origin"),
        "https://shop.example"
    );
    assert_eq!(ask("https://evil.example").await.header("access-control-allow-origin"), "");

    let preflight = |origin: &'static str| {
        let request = app.request(Method::OPTIONS, "/api/users/login");
        request.with(|request| {
            request
                .header("origin", origin)
                .header("access-control-request-method", "POST")
                .header("access-control-request-headers", "content-type,authorization,traceparent")
        })
    };
    let allowed = preflight("https://admin.example").send().await;
    assert_eq!(
        (allowed.status, allowed.header("access-control-allow-origin")),
        (200, "https://admin.example")
    );
    let refused = preflight("https://evil.example").send().await;
    refused.assert_problem(400, "invalid_request");
    assert_eq!(refused.header("access-control-allow-origin"), "");
}
