use reqwest::Method;
use secrecy::ExposeSecret;
use service_kit::token::ServiceTokens;
use telemetry_core::config::Env;
use uuid::Uuid;

use crate::harness::{charge_request, spawn_house};

#[actix_web::test]
async fn internal_endpoints_refuse_callers_without_a_service_token() {
    let house = spawn_house().await;
    let order_id = Uuid::now_v7();
    let stranger = ServiceTokens::new("order-service", &"a secret of somebody else's".into());
    let for_another = ServiceTokens::read(&mut Env::of::<&str, &str>([]), "order-service");
    let bad = [stranger.issue("payment-service", None), for_another.issue("inventory-service", None)];
    for (method, path) in [
        (Method::POST, "/internal/payments".to_owned()),
        (Method::GET, format!("/internal/payments/{order_id}")),
        (Method::POST, format!("/internal/payments/{order_id}/refund")),
    ] {
        let body = charge_request(order_id, "card_ok");
        let request = || house.app.request(method.clone(), &path).with(|request| request.json(&body));
        request().send().await.assert_problem(401, "missing_service_token");
        for token in &bad {
            let answer = request().from_user(token.expose_secret()).send().await;
            answer.assert_problem(401, "invalid_service_token");
        }
    }
    assert_eq!(house.gateway.status_of(order_id).await, "unknown");
}

#[actix_web::test]
async fn a_caller_without_a_service_token_names_no_tenant_on_the_span_of_its_refusal() {
    let house = spawn_house().await;
    let stranger = ServiceTokens::new("order-service", &"a secret of somebody else's".into());
    let path = format!("/internal/payments/{}", Uuid::now_v7());
    let request = || house.app.get(&path).with(|request| request.header("baggage", "tenant.id=t-1"));
    request().send().await.assert_problem(401, "missing_service_token");
    let forged = stranger.issue("payment-service", None);
    request().from_user(forged.expose_secret()).send().await.assert_problem(401, "invalid_service_token");
    request().from_service().send().await.assert_problem(404, "payment_not_found");
    let traces = house.app.traces(3).await;
    let tenants: Vec<_> = traces.iter().map(|span| span.attributes.get("tenant.id").cloned()).collect();
    assert_eq!(tenants, [None, None, Some("t-1".into())]);
}
