use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{charge_request, spawn_house};

const CARD_NUMBER: &str = "4111111111111111";

#[actix_web::test]
async fn each_field_that_breaks_a_rule_is_named_and_not_repeated() {
    let house = spawn_house().await;
    let order_id = Uuid::now_v7();
    for (member, wrong) in [
        ("order_id", json!("")),
        ("order_id", json!(CARD_NUMBER)),
        ("amount_minor", json!(0)),
        ("amount_minor", json!(-1999)),
        ("currency", json!("eur")),
        ("currency", json!(CARD_NUMBER)),
        ("payment_method", json!("cash")),
        ("payment_method", json!(CARD_NUMBER)),
    ] {
        let mut request = charge_request(order_id, "card_ok");
        request[member] = wrong;
        let answer = house.app.post("/internal/payments", &request).from_service().send().await;
        let problem = answer.assert_problem(422, "validation_failed");
        let fields: Vec<&Value> =
            problem["errors"].as_array().unwrap().iter().map(|error| &error["field"]).collect();
        assert_eq!(fields, [member], "{answer:?}");
        assert!(!answer.text.contains(CARD_NUMBER), "{answer:?}");
    }
    assert_eq!(house.gateway.status_of(order_id).await, "unknown");
}

#[actix_web::test]
async fn every_field_that_breaks_a_rule_is_told_at_once() {
    let house = spawn_house().await;
    let request = json!({ "order_id": "", "amount_minor": 0, "currency": "", "payment_method": "" });
    let answer = house.app.post("/internal/payments", &request).from_service().send().await;
    let problem = answer.assert_problem(422, "validation_failed");
    assert_eq!(
        problem["errors"],
        json!([
            { "field": "order_id", "detail": "an order id is a UUID" },
            { "field": "currency", "detail": "a currency is three capital letters, such as EUR" },
            { "field": "amount_minor", "detail": "an amount is 1 or more" },
            {
                "field": "payment_method",
                "detail": "a payment method is card_ok, card_declined, card_slow or gateway_error",
            },
        ])
    );
}

#[actix_web::test]
async fn a_body_that_is_not_what_is_taken_is_refused() {
    let house = spawn_house().await;
    for wrong in [
        json!({}),
        json!([]),
        json!({ "order_id": Uuid::now_v7(), "amount_minor": 19.99, "currency": "EUR", "payment_method": "card_ok" }),
        json!({ "order_id": 1, "amount_minor": 1999, "currency": "EUR", "payment_method": "card_ok" }),
    ] {
        let answer = house.app.post("/internal/payments", &wrong).from_service().send().await;
        answer.assert_problem(400, "invalid_json");
    }
    let answer = house.app.get("/internal/payments/not-an-id").from_service().send().await;
    answer.assert_problem(400, "invalid_path");
}

#[actix_web::test]
async fn a_card_number_is_in_no_signal_wherever_it_was_sent() {
    let house = spawn_house().await;
    let mut sent = 0;
    for member in ["order_id", "amount_minor", "currency", "payment_method", "card_number"] {
        let mut request = charge_request(Uuid::now_v7(), "card_ok");
        request[member] = json!(CARD_NUMBER);
        house.app.post("/internal/payments", &request).from_service().send().await;
        sent += 1;
    }
    house.app.traces(sent).await;
    house.app.telemetry.assert_absent(CARD_NUMBER);
}
