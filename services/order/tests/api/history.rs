//! The statuses that an order had.

use serde_json::{Value, json};

use crate::harness::spawn_house;

fn statuses(order: &Value) -> Vec<&str> {
    let history = order["history"].as_array().expect("an order has a history");
    history.iter().map(|event| event["status"].as_str().unwrap()).collect()
}

#[actix_web::test]
async fn an_order_tells_its_history_with_the_trace_of_each_status() {
    let house = spawn_house(1).await;
    let answer = house.place(1, "card_ok").await;
    let trace_id = answer.header("traceresponse").split('-').nth(1).unwrap().to_owned();
    let placed = answer.json(201);
    assert!(placed.get("history").is_none(), "only where one order is asked for");
    let found = house.find(&placed["order_id"]).await;
    assert_eq!(statuses(&found), ["pending", "reserved", "paid", "confirmed"]);
    for event in found["history"].as_array().unwrap() {
        assert_eq!(event["trace_id"], json!(trace_id));
        assert_eq!(event["failure_code"], Value::Null);
    }
}

#[actix_web::test]
async fn that_an_order_fails_is_on_record_before_anything_is_given_back() {
    let house = spawn_house(1).await;
    let problem = house.place(1, "card_declined").await.assert_problem(402, "payment_declined");
    let found = house.find(&problem["order_id"]).await;
    assert_eq!(statuses(&found), ["pending", "reserved", "failing", "failed"]);
    assert_eq!(found["history"][2]["failure_code"], "payment_declined");
    // What took nothing has nothing to give back.
    house.place(1, "card_ok").await.json(201);
    let problem = house.place(1, "card_ok").await.assert_problem(409, "out_of_stock");
    let found = house.find(&problem["order_id"]).await;
    assert_eq!(statuses(&found), ["pending", "failed"]);
}
