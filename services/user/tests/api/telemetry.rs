//! What the service emits, and what it never does.

use serde_json::json;
use service_kit::testing::TestApp;
use telemetry_core::opentelemetry::trace::{SpanKind, Status};
use telemetry_core::testing::{SpanTree, span};
use uuid::Uuid;

use crate::harness::{EMAIL, NAME, PASSWORD, log_in, register, spawn_app};

/// The request's span below which everything else is, once it and its like have ended.
async fn last_trace(app: &TestApp, requests: usize) -> SpanTree {
    app.traces(requests).await.remove(requests - 1)
}

/// The tree without what the server's and the database's own tests look at.
fn outline(tree: &SpanTree) -> SpanTree {
    let attributes = tree.attributes.clone().into_iter();
    let ours =
        |(name, _): &(String, _)| ["user.", "tenant.", "auth."].iter().any(|part| name.starts_with(part));
    SpanTree {
        attributes: attributes.filter(ours).collect(),
        events: Vec::new(),
        children: tree.children.iter().map(outline).collect(),
        ..tree.clone()
    }
}

#[actix_web::test]
async fn a_login_is_one_trace_down_to_its_query() {
    let app = spawn_app().await;
    let user = register(&app).await;
    log_in(&app).await;
    let trace = last_trace(&app, 2).await;
    assert_eq!(
        outline(&trace),
        span("POST /api/users/login", SpanKind::Server).child(
            span("user.login", SpanKind::Internal)
                .attribute("auth.success", true)
                .attribute("user.id", user["id"].as_str().unwrap().to_owned())
                .child(span("SELECT users", SpanKind::Client)),
        )
    );
}

#[actix_web::test]
async fn a_failed_login_says_so_on_its_span_and_not_who_it_was() {
    let app = spawn_app().await;
    register(&app).await;
    let body = json!({ "email": EMAIL, "password": "not the password" });
    app.post("/api/users/login", &body).send().await.assert_problem(401, "invalid_credentials");
    let trace = last_trace(&app, 2).await;
    assert_eq!(
        outline(&trace),
        span("POST /api/users/login", SpanKind::Server).child(
            span("user.login", SpanKind::Internal)
                .status(Status::error("Authentication failed"))
                .attribute("auth.success", false)
                .child(span("SELECT users", SpanKind::Client)),
        )
    );
    assert_eq!(trace.attributes["http.response.status_code"], 401_i64.into());
    assert!(!trace.attributes.contains_key("error.type"), "{trace:?}");
}

#[actix_web::test]
async fn a_registration_names_the_user_and_the_tenant_by_their_ids() {
    let app = spawn_app().await;
    let user = register(&app).await;
    let id = |name: &str| user[name].as_str().unwrap().to_owned();
    assert_eq!(
        outline(&last_trace(&app, 1).await),
        span("POST /api/users/register", SpanKind::Server).child(
            span("user.register", SpanKind::Internal)
                .attribute("user.id", id("id"))
                .attribute("tenant.id", id("tenant_id"))
                .child(span("INSERT users", SpanKind::Client)),
        )
    );
}

#[actix_web::test]
async fn a_refused_token_is_a_failed_validation() {
    let app = spawn_app().await;
    let body = json!({ "token": "forged" });
    app.post("/internal/tokens/validate", &body).from_service().send().await;
    assert_eq!(
        outline(&last_trace(&app, 1).await),
        span("POST /internal/tokens/validate", SpanKind::Server)
            .child(span("validate_user_token", SpanKind::Internal).status(Status::error("Invalid token")))
    );
}

#[actix_web::test]
async fn no_address_name_password_or_token_is_in_any_signal() {
    let app = spawn_app().await;
    let user = register(&app).await;
    let token = log_in(&app).await;
    let post = async |path: &str, body: serde_json::Value| {
        let request = app.post(path, &body);
        let request = if path.starts_with("/internal") { request.from_service() } else { request };
        request.send().await
    };
    // Each of them also where it goes wrong: twice, malformed, of nobody, in the wrong place.
    post("/api/users/register", json!({ "email": EMAIL, "password": PASSWORD, "name": NAME })).await;
    post("/api/users/register", json!({ "email": NAME, "password": "canary", "name": "" })).await;
    post("/api/users/register", json!({ "email": [EMAIL], "password": PASSWORD, "name": NAME })).await;
    post("/api/users/login", json!({ "email": EMAIL, "password": "canary canary" })).await;
    post("/api/users/login", json!({ "email": "canary@example.com", "password": PASSWORD })).await;
    post("/internal/tokens/validate", json!({ "token": token })).await;
    post("/internal/tokens/validate", json!({ "token": "canary" })).await;
    post("/internal/tenants", json!({ "name": NAME })).await;
    let invited = json!({
        "email": "canary@example.com", "password": PASSWORD, "name": NAME, "tenant_id": user["tenant_id"],
    });
    post("/internal/users", invited.clone()).await;
    post("/internal/users", invited).await;
    let orphan = json!({
        "email": "canary2@example.com", "password": PASSWORD, "name": NAME, "tenant_id": Uuid::now_v7(),
    });
    post("/internal/users", orphan).await;
    app.get("/api/users/me").from_user(&token).send().await;
    app.get("/api/users/me").from_user("canary").send().await;

    app.traces(15).await;
    let [_, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("not a JWT") };
    for canary in [EMAIL, &EMAIL.to_lowercase(), NAME, PASSWORD, "canary", "argon2id", claims, signature] {
        app.telemetry.assert_absent(canary);
    }
}
