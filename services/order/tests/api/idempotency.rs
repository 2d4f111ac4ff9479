//! Orders that are sent again under the same `Idempotency-Key`.

use diesel::{RunQueryDsl as _, sql_query};
use futures_util::future::join_all;
use serde_json::{Value, json};
use service_kit::db::Connection;
use service_kit::testing::{Answer, TestApp};

use crate::harness::{House, nobody, spawn_house, spawn_order, spawn_order_with, url, wait_until};

async fn place(app: &TestApp, house: &House, token: &str, key: &str, quantity: i64, method: &str) -> Answer {
    let order = json!({
        "product_id": house.product_id, "quantity": quantity, "payment_method": method,
    });
    let request = app.post("/api/orders", &order).from_user(token);
    request.with(|request| request.header("idempotency-key", key)).send().await
}

async fn count_orders(app: &TestApp, token: &str) -> usize {
    app.get("/api/orders").from_user(token).send().await.json(200).as_array().unwrap().len()
}

fn execute(app: &TestApp, sql: &str) -> usize {
    let mut connection = Connection::open(&app.database.url().parse().unwrap()).unwrap();
    sql_query(sql).execute(&mut connection).expect("it can be run")
}

#[actix_web::test]
async fn the_same_request_gets_the_same_answer_and_orders_once() {
    let house = spawn_house(10).await;
    let first = place(&house.order, &house, &house.token, "\"a-key\"", 1, "card_ok").await;
    assert_eq!(first.header("idempotency-replayed"), "");
    // The quotes are the header's, not the key's.
    for key in ["\"a-key\"", "a-key"] {
        let again = place(&house.order, &house, &house.token, key, 1, "card_ok").await;
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!((again.status, &again.text), (201, &first.text));
    }
    assert_eq!(count_orders(&house.order, &house.token).await, 1);
    let traces = house.order.traces(3).await;
    let replayed = traces[1].attributes.get("idempotency.replayed");
    assert_eq!(replayed, Some(&true.into()));
    assert_eq!(traces[0].attributes.get("idempotency.replayed"), None);
    for (outcome, times) in [("first", 1.0), ("replayed", 2.0)] {
        let counted =
            house.order.telemetry.metric("idempotency.requests").with("idempotency.outcome", outcome);
        assert_eq!(counted.value(), times, "{outcome}");
    }
}

#[actix_web::test]
async fn a_failure_is_told_again_as_it_was() {
    let house = spawn_house(10).await;
    let first = place(&house.order, &house, &house.token, "k", 1, "card_declined").await;
    let problem = first.assert_problem(402, "payment_declined");
    let again = place(&house.order, &house, &house.token, "k", 1, "card_declined").await;
    assert_eq!(again.assert_problem(402, "payment_declined"), problem);
    assert_eq!(count_orders(&house.order, &house.token).await, 1);
}

#[actix_web::test]
async fn another_request_under_the_same_key_is_refused_and_another_callers_key_is_another() {
    let house = spawn_house(10).await;
    place(&house.order, &house, &house.token, "k", 1, "card_ok").await.json(201);
    let refused = place(&house.order, &house, &house.token, "k", 2, "card_ok").await;
    refused.assert_problem(422, "idempotency_key_reused");
    let other = house.another_user().await;
    place(&house.order, &house, &other, "k", 2, "card_ok").await.json(201);
    assert_eq!(count_orders(&house.order, &house.token).await, 1);
    assert_eq!(count_orders(&house.order, &other).await, 1);
}

#[actix_web::test]
async fn of_many_at_once_one_is_worked_on_and_the_others_are_told_so_or_get_its_answer() {
    let house = spawn_house(10).await;
    let requests = (0..8).map(|_| place(&house.order, &house, &house.token, "k", 1, "card_ok"));
    let answers = join_all(requests).await;
    let mut orders: Vec<Value> = Vec::new();
    for answer in answers {
        match answer.status {
            201 => orders.push(answer.json(201)["order_id"].clone()),
            _ => drop(answer.assert_problem(409, "idempotency_key_in_use")),
        }
    }
    orders.dedup();
    assert_eq!(orders.len(), 1);
    assert_eq!(count_orders(&house.order, &house.token).await, 1);
}

#[actix_web::test]
async fn a_request_that_changed_nothing_leaves_its_key_free() {
    let house = spawn_house(10).await;
    place(&house.order, &house, &house.token, "k", 0, "card_ok")
        .await
        .assert_problem(422, "validation_failed");
    place(&house.order, &house, &house.token, "k", 1, "card_ok").await.json(201);
    for key in ["", "\"", "two words", &"x".repeat(256)] {
        let answer = place(&house.order, &house, &house.token, key, 1, "card_ok").await;
        answer.assert_problem(400, "invalid_idempotency_key");
    }
}

/// A process that died between making the order and keeping the answer leaves the order, and its key locked.
#[actix_web::test]
async fn an_attempt_after_a_crash_finds_the_order_that_was_made() {
    let house = spawn_house(10).await;
    let first = place(&house.order, &house, &house.token, "k", 1, "card_ok").await.json(201);
    let forget =
        "UPDATE idempotency_keys SET status = NULL, body = NULL, locked_until = '2126-01-01 00:00:00'";
    assert_eq!(execute(&house.order, forget), 1);
    let locked = place(&house.order, &house, &house.token, "k", 1, "card_ok").await;
    locked.assert_problem(409, "idempotency_key_in_use");
    assert_eq!(execute(&house.order, "UPDATE idempotency_keys SET locked_until = '2026-01-01 00:00:00'"), 1);
    let again = place(&house.order, &house, &house.token, "k", 1, "card_ok").await.json(201);
    assert_eq!(again, first);
    assert_eq!(count_orders(&house.order, &house.token).await, 1);
}

#[actix_web::test]
async fn an_order_that_goes_on_in_the_background_is_told_as_it_is_when_it_is_asked_for_again() {
    let house = spawn_house(1).await;
    let inventory = crate::harness::inventory_behind(&house, crate::harness::AfterTheFirst::CutThree).await;
    let order = spawn_order(&house.user_url(), &inventory, &url(&house.payment)).await;
    let first = place(&order, &house, &house.token, "k", 1, "card_ok").await.json(202);
    wait_until("the confirmation", async || {
        let again = place(&order, &house, &house.token, "k", 1, "card_ok").await;
        assert!([201, 202].contains(&again.status), "{again:?}");
        again.status == 201
    })
    .await;
    let again = place(&order, &house, &house.token, "k", 1, "card_ok").await.json(201);
    assert_eq!(again["order_id"], first["order_id"]);
    assert_eq!(count_orders(&order, &house.token).await, 1);
}

#[actix_web::test]
async fn keys_are_purged_when_their_time_has_come_and_hold_nothing_readable() {
    let house = spawn_house(10).await;
    place(&house.order, &house, &house.token, "a-readable-key", 1, "card_ok").await.json(201);
    let readable =
        "UPDATE idempotency_keys SET expires_at = '2026-01-01 00:00:00' WHERE id NOT LIKE '%readable%'";
    assert_eq!(execute(&house.order, readable), 1);
    // A key that is too old is new, also before it is purged.
    place(&house.order, &house, &house.token, "a-readable-key", 2, "card_ok").await.json(201);
    assert_eq!(execute(&house.order, "UPDATE idempotency_keys SET expires_at = '2026-01-01 00:00:00'"), 1);
    // Every process purges when it starts.
    let shared = [("DATABASE_URL", house.order.database.url())];
    let _other = spawn_order_with(&nobody(), &nobody(), &nobody(), &shared).await;
    wait_until("the purge", async || execute(&house.order, "UPDATE idempotency_keys SET status = 201") == 0)
        .await;
}
