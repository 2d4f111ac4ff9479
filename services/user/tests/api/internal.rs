use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::json;
use service_kit::token::ServiceTokens;
use uuid::Uuid;

use crate::harness::{EMAIL, NAME, PASSWORD, log_in, register, spawn_app};

#[actix_web::test]
async fn internal_endpoints_refuse_callers_without_a_service_token() {
    let app = spawn_app().await;
    register(&app).await;
    let user_token = log_in(&app).await;
    let for_another_service = ServiceTokens::new("order-service", &"a secret of somebody else's".into());
    let foreign = for_another_service.issue("user-service", None);
    for (method, path, body) in [
        (Method::POST, "/internal/tokens/validate", json!({ "token": user_token })),
        (Method::POST, "/internal/tenants", json!({ "name": "Analytical Engines" })),
        (Method::POST, "/internal/users", json!({})),
        (Method::PATCH, "/internal/users/019a0000-0000-7000-8000-000000000001", json!({ "active": false })),
    ] {
        let request = || app.request(method.clone(), path).with(|request| request.json(&body));
        request().send().await.assert_problem(401, "missing_service_token");
        request().from_user(&user_token).send().await.assert_problem(401, "invalid_service_token");
        request()
            .from_user(foreign.expose_secret())
            .send()
            .await
            .assert_problem(401, "invalid_service_token");
    }
}

#[actix_web::test]
async fn a_validated_token_tells_user_tenant_and_tier() {
    let app = spawn_app().await;
    let tenant = json!({ "name": "Analytical Engines" });
    let tenant = app.post("/internal/tenants", &tenant).from_service().send().await.json(201);
    let user = json!({
        "email": EMAIL, "password": PASSWORD, "name": NAME, "tenant_id": tenant["id"], "tier": "premium",
    });
    let user = app.post("/internal/users", &user).from_service().send().await.json(201);
    assert_eq!(user["active"], true);

    let token = json!({ "token": log_in(&app).await });
    let validated = app.post("/internal/tokens/validate", &token).from_service().send().await.json(200);
    assert_eq!(
        validated,
        json!({
            "user_id": user["id"],
            "tenant_id": tenant["id"],
            "tenant_name": "Analytical Engines",
            "tier": "premium",
            "role": "customer",
        })
    );
}

#[actix_web::test]
async fn a_token_of_an_inactive_user_is_told_apart_from_an_invalid_one() {
    let app = spawn_app().await;
    let id = register(&app).await["id"].as_str().unwrap().to_owned();
    let token = json!({ "token": log_in(&app).await });
    let validate = || app.post("/internal/tokens/validate", &token).from_service().send();
    let set_active = async |active: bool| {
        let request = app.request(Method::PATCH, &format!("/internal/users/{id}"));
        request
            .with(|request| request.json(&json!({ "active": active })))
            .from_service()
            .send()
            .await
            .json(200)
    };
    set_active(false).await;
    validate().await.assert_problem(403, "user_inactive");
    set_active(true).await;
    assert_eq!(validate().await.json(200)["user_id"], id.as_str());

    let forged = json!({ "token": "forged" });
    let answer = app.post("/internal/tokens/validate", &forged).from_service().send().await;
    answer.assert_problem(401, "invalid_token");
}

#[actix_web::test]
async fn a_user_of_no_tenant_and_an_unknown_tier_are_refused() {
    let app = spawn_app().await;
    let create = |tenant_id: Uuid, tier: &str| {
        let user = json!({
            "email": EMAIL, "password": PASSWORD, "name": NAME, "tenant_id": tenant_id, "tier": tier,
        });
        app.post("/internal/users", &user).from_service().send()
    };
    create(Uuid::now_v7(), "free").await.assert_problem(404, "tenant_not_found");
    let problem = create(Uuid::now_v7(), "gold").await.assert_problem(422, "validation_failed");
    assert_eq!(problem["errors"][0]["field"], "tier");
}

#[actix_web::test]
async fn changing_nobody_is_not_found() {
    let app = spawn_app().await;
    let request = app.request(Method::PATCH, &format!("/internal/users/{}", Uuid::now_v7()));
    let request = request.with(|request| request.json(&json!({ "active": false })));
    request.from_service().send().await.assert_problem(404, "user_not_found");
}

#[actix_web::test]
async fn a_role_is_given_by_the_house_alone_and_told_with_the_token() {
    let app = spawn_app().await;
    let mut account = json!({ "email": EMAIL, "password": PASSWORD, "name": NAME, "role": "admin" });
    // Whoever registers may say what they like.
    let user = app.post("/api/users/register", &account).send().await.json(201);
    assert_eq!(user["role"], "customer");
    let path = format!("/internal/users/{}", user["id"].as_str().unwrap());
    let change = async |body| {
        app.request(Method::PATCH, &path).with(|request| request.json(&body)).from_service().send().await
    };
    change(json!({ "role": "owner" })).await.assert_problem(422, "validation_failed");
    change(json!({})).await.assert_problem(422, "validation_failed");
    let changed = change(json!({ "role": "admin" })).await.json(200);
    assert_eq!((&changed["role"], &changed["active"]), (&json!("admin"), &json!(true)));
    let token = json!({ "token": log_in(&app).await });
    let validated = app.post("/internal/tokens/validate", &token).from_service().send().await.json(200);
    assert_eq!(validated["role"], "admin");

    account["email"] = json!("grace@example.com");
    account["tenant_id"] = user["tenant_id"].clone();
    let made = app.post("/internal/users", &account).from_service().send().await.json(201);
    assert_eq!(made["role"], "admin");
}
