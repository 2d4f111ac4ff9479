use serde_json::json;
use service_kit::testing::TestApp;
use user_service::UserService;

use crate::harness::{EMAIL, NAME, PASSWORD, log_in, register, spawn_app};

#[actix_web::test]
async fn a_registered_user_logs_in_and_is_told_who_they_are() {
    let app = spawn_app().await;
    let registered = register(&app).await;
    assert_eq!(registered["email"], EMAIL);
    assert_eq!(registered["name"], NAME);
    assert_eq!(registered["tier"], "free");
    assert_eq!(registered["tenant_id"], "019a0000-0000-7000-8000-000000000001");

    let credentials = json!({ "email": EMAIL, "password": PASSWORD });
    let login = app.post("/api/users/login", &credentials).send().await.json(200);
    assert_eq!(login["token_type"], "Bearer");
    assert_eq!(login["expires_in"], 30 * 60);

    let token = login["access_token"].as_str().unwrap();
    let me = app.get("/api/users/me").from_user(token).send().await.json(200);
    assert_eq!(me, registered);
}

#[actix_web::test]
async fn an_email_address_is_taken_once_whatever_its_case() {
    let app = spawn_app().await;
    register(&app).await;
    let again = json!({ "email": EMAIL.to_uppercase(), "password": PASSWORD, "name": "Someone Else" });
    app.post("/api/users/register", &again).send().await.assert_problem(409, "email_taken");

    let login = json!({ "email": EMAIL.to_lowercase(), "password": PASSWORD });
    app.post("/api/users/login", &login).send().await.json(200);
}

#[actix_web::test]
async fn wrong_password_and_unknown_user_get_the_same_answer() {
    let app = spawn_app().await;
    register(&app).await;
    let mut answers = Vec::new();
    for (email, password) in
        [(EMAIL, "not the password"), ("nobody@example.com", PASSWORD), ("no address at all", PASSWORD)]
    {
        let body = json!({ "email": email, "password": password });
        let answer = app.post("/api/users/login", &body).send().await;
        let mut problem = answer.assert_problem(401, "invalid_credentials");
        problem["trace_id"].take();
        answers.push((problem, answer.header("www-authenticate").to_owned()));
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
}

#[actix_web::test]
async fn every_field_that_breaks_a_rule_is_named_and_none_is_repeated() {
    let app = spawn_app().await;
    let body = json!({ "email": "canary at example.com", "password": "canary", "name": "canary\u{7}" });
    let answer = app.post("/api/users/register", &body).send().await;
    let problem = answer.assert_problem(422, "validation_failed");
    let fields: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|error| &error["field"]).collect();
    assert_eq!(fields, ["email", "password", "name"]);
    assert!(!answer.text.contains("canary"), "{answer:?}");
}

#[actix_web::test]
async fn a_token_that_proves_nothing_is_refused() {
    let app = spawn_app().await;
    let missing = app.get("/api/users/me").send().await;
    missing.assert_problem(401, "missing_token");
    assert_eq!(missing.header("www-authenticate"), "Bearer");
    app.get("/api/users/me").from_user("forged").send().await.assert_problem(401, "invalid_token");
    // A service's token says nothing about a user.
    app.get("/api/users/me").from_service().send().await.assert_problem(401, "invalid_token");
}

#[actix_web::test]
async fn a_token_of_another_secret_is_refused() {
    let app = spawn_app().await;
    register(&app).await;
    let token = log_in(&app).await;
    let other = TestApp::spawn::<UserService>([("JWT_SECRET", "another secret")]).await;
    other.get("/api/users/me").from_user(&token).send().await.assert_problem(401, "invalid_token");
}

#[actix_web::test]
async fn inactive_user_is_refused() {
    let app = spawn_app().await;
    let user = register(&app).await;
    let token = log_in(&app).await;
    deactivate(&app, user["id"].as_str().unwrap()).await;

    app.get("/api/users/me").from_user(&token).send().await.assert_problem(403, "user_inactive");
    let right = json!({ "email": EMAIL, "password": PASSWORD });
    app.post("/api/users/login", &right).send().await.assert_problem(403, "user_inactive");
    // Only who knows the password learns that there is such a user.
    let wrong = json!({ "email": EMAIL, "password": "not the password" });
    app.post("/api/users/login", &wrong).send().await.assert_problem(401, "invalid_credentials");
}

async fn deactivate(app: &TestApp, id: &str) {
    let path = format!("/internal/users/{id}");
    let request = app.request(reqwest::Method::PATCH, &path);
    let answer =
        request.with(|request| request.json(&json!({ "active": false }))).from_service().send().await;
    assert_eq!(answer.json(200)["active"], false);
}
