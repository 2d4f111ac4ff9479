//! What the stand-in gateway can be told to do worse than its cards say.

use std::time::{Duration, Instant};

use payment_service::gateway::{Gateway, GatewayConfig, NAME};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use service_kit::token::ServiceTokens;
use telemetry_core::config::Env;
use telemetry_core::testing::TestTelemetry;
use uuid::Uuid;

/// Started with this value of `FAULTS`; answers its URL.
fn start(faults: &str) -> String {
    let config = GatewayConfig::read(&mut Env::of([("FAULTS", faults), ("PORT", "0")]));
    let gateway = Gateway::bind(config).expect("the gateway binds its port");
    let url = format!("http://{}", gateway.address());
    telemetry_core::context::spawn_local(gateway.run());
    url
}

async fn switch(url: &str, audience: &str, faults: &Value) -> u16 {
    let tokens = ServiceTokens::read(&mut Env::of::<&str, &str>([]), "demo");
    let request = TestTelemetry::new().client().put(format!("{url}/internal/faults"));
    let request = request.bearer_auth(tokens.issue(audience, None).expose_secret()).json(faults);
    request.send().await.unwrap().status().as_u16()
}

async fn charge(url: &str) -> u16 {
    let body = json!({ "reference": Uuid::now_v7(), "amount_minor": 1999, "currency": "EUR", "payment_method": "card_ok" });
    let request = TestTelemetry::new().client().post(format!("{url}/charges")).json(&body);
    request.send().await.unwrap().status().as_u16()
}

#[actix_web::test]
async fn one_charge_in_ten_is_declined_until_that_is_switched_off() {
    let url = start("on");
    assert_eq!(switch(&url, NAME, &json!({ "decline_one_in": 10 })).await, 200);
    let mut declined = 0;
    for _ in 0..30 {
        declined += usize::from(charge(&url).await == 402);
    }
    assert_eq!(declined, 3);
    assert_eq!(switch(&url, NAME, &json!({})).await, 200);
    for _ in 0..10 {
        assert_eq!(charge(&url).await, 201);
    }
}

#[actix_web::test]
async fn a_slow_gateway_is_late_with_every_charge() {
    let url = start("on");
    assert_eq!(switch(&url, NAME, &json!({ "delay_ms": 200 })).await, 200);
    let start = Instant::now();
    assert_eq!(charge(&url).await, 201);
    assert!(start.elapsed() >= Duration::from_millis(200));
}

#[actix_web::test]
async fn only_a_service_switches_and_only_where_the_process_was_started_for_it() {
    let faults = json!({ "decline_one_in": 1 });
    let (with, without) = (start("on"), start("off"));
    assert_eq!(switch(&with, "payment-service", &faults).await, 401);
    let anonymous = TestTelemetry::new().client().put(format!("{with}/internal/faults")).json(&faults);
    assert_eq!(anonymous.send().await.unwrap().status(), 401);
    assert_eq!(switch(&without, NAME, &faults).await, 404);
    for url in [with, without] {
        assert_eq!(charge(&url).await, 201);
    }
}
