//! Orders that their customer calls off.

use std::time::Duration;

use diesel::{RunQueryDsl as _, sql_query};
use futures_util::StreamExt as _;
use futures_util::future::{join, join_all};
use serde_json::{Value, json};
use service_kit::db::Connection;
use service_kit::testing::{Answer, TestApp};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest as _};

use crate::harness::{
    AfterTheFirst, House, inventory_behind, nobody, spawn_house, spawn_house_with, spawn_order,
    spawn_order_with, url, wait_until,
};

/// Longer than any test waits.
const NEVER: Duration = Duration::from_secs(600);

async fn cancel_at(app: &TestApp, token: &str, order_id: &Value) -> Answer {
    let path = format!("/api/orders/{}/cancel", order_id.as_str().expect("an id"));
    app.post(&path, &()).from_user(token).send().await
}

async fn cancel(house: &House, order_id: &Value) -> Answer {
    cancel_at(&house.order, &house.token, order_id).await
}

fn statuses(order: &Value) -> Vec<&str> {
    let history = order["history"].as_array().expect("an order has a history");
    history.iter().map(|event| event["status"].as_str().unwrap()).collect()
}

/// The latest order, once it is another than `before` and has come so far.
async fn latest(house: &House, app: &TestApp, before: &Value, status: &str) -> Value {
    let list = async || app.get("/api/orders?limit=1").from_user(&house.token).send().await.json(200);
    let has_come = |listed: &Value| {
        let order = &listed[0];
        !order.is_null() && order["order_id"] != *before && (status.is_empty() || order["status"] == status)
    };
    wait_until("the order", async || has_come(&list().await)).await;
    list().await[0]["order_id"].clone()
}

fn execute(app: &TestApp, sql: &str) -> usize {
    let mut connection = Connection::open(&app.database.url().parse().unwrap()).unwrap();
    sql_query(sql).execute(&mut connection).expect("it can be run")
}

/// Works while an order waits for its payment, whose answer never comes; answers what the order's caller is told.
async fn while_its_payment_is_made(house: &House, work: impl AsyncFnOnce(&Value)) -> Answer {
    let working = async {
        let id = latest(house, &house.order, &Value::Null, "reserved").await;
        wait_until("the charge", async || {
            let path = format!("/internal/payments/{}", id.as_str().unwrap());
            house.payment.get(&path).from_service().send().await.status == 200
        })
        .await;
        work(&id).await;
        id
    };
    let (answer, id) = join(house.place(1, "card_slow"), working).await;
    let problem = answer.assert_problem(409, "order_cancelled");
    assert_eq!(problem["order_id"], id);
    answer
}

#[actix_web::test]
async fn an_order_that_is_not_paid_is_cancelled_and_all_it_took_is_given_back() {
    let house = spawn_house_with(3, NEVER, "60000").await;
    while_its_payment_is_made(&house, async |id| {
        assert_eq!(house.available().await, 2);
        let answer = cancel(&house, id).await;
        let trace_id = answer.header("traceresponse").split('-').nth(1).unwrap().to_owned();
        let cancelled = answer.json(200);
        assert_eq!((&cancelled["status"], &cancelled["failure_code"]), (&json!("cancelled"), &Value::Null));
        assert_eq!(house.available().await, 3, "the goods are there again");
        assert_eq!(house.payment_of(id).await["status"], "voided", "nothing is or will be charged");

        let found = house.find(id).await;
        assert_eq!(statuses(&found), ["pending", "reserved", "cancelling", "cancelled"]);
        let history = found["history"].as_array().unwrap();
        assert_eq!(history[2]["trace_id"], json!(trace_id));
        assert_eq!(history[3]["trace_id"], json!(trace_id));
        // Again and again, it is what it is.
        for _ in 0..2 {
            assert_eq!(cancel(&house, id).await.json(200), cancelled);
        }
        assert_eq!(statuses(&house.find(id).await).len(), 4);
    })
    .await;
    let counted = house.order.telemetry.metric("order.orders").with("order.status", "cancelled");
    assert_eq!(counted.value(), 1.0);
    let listed = house.order.get("/api/orders?status=cancelled").from_user(&house.token).send().await;
    assert_eq!(listed.json(200).as_array().unwrap().len(), 1);
    assert_eq!(house.place(3, "card_ok").await.json(201)["status"], "confirmed");
}

#[actix_web::test]
async fn whoever_watches_an_order_is_told_that_it_is_cancelled() {
    let house = spawn_house_with(1, NEVER, "60000").await;
    while_its_payment_is_made(&house, async |id| {
        let id = id.as_str().unwrap();
        let mut request = format!("ws://{}/api/orders/{id}/events", house.order.address())
            .into_client_request()
            .expect("a request");
        let token = format!("Bearer {}", house.token);
        request.headers_mut().insert("authorization", token.try_into().expect("a header"));
        let (mut socket, _) = tokio_tungstenite::connect_async(request).await.expect("an upgrade");
        let mut told = Vec::new();
        let code = loop {
            match socket.next().await.expect("a close frame comes first").expect("a message") {
                Message::Text(text) => {
                    let order: Value = serde_json::from_str(&text).expect("JSON");
                    told.push(order["status"].as_str().expect("a status").to_owned());
                    if told.len() == 1 {
                        cancel(&house, &json!(id)).await.json(200);
                    }
                }
                Message::Close(frame) => break u16::from(frame.expect("a code").code),
                _ => {}
            }
        };
        assert_eq!((told, code), (["reserved", "cancelling", "cancelled"].map(str::to_owned).to_vec(), 1000));
    })
    .await;
}

#[actix_web::test]
async fn of_many_that_cancel_at_once_one_does_and_all_are_told_so() {
    let house = spawn_house_with(1, NEVER, "60000").await;
    while_its_payment_is_made(&house, async |id| {
        let answers = join_all((0..8).map(|_| cancel(&house, id))).await;
        assert!(answers.iter().all(|answer| [200, 202].contains(&answer.status)), "{answers:?}");
        let found = house.find(id).await;
        assert_eq!(statuses(&found), ["pending", "reserved", "cancelling", "cancelled"]);
    })
    .await;
    assert_eq!(house.available().await, 1);
}

#[actix_web::test]
async fn what_is_paid_or_has_failed_is_not_cancelled() {
    let house = spawn_house(3).await;
    let refused = async |app: &TestApp, id: &Value, status: &str| {
        let problem = cancel_at(app, &house.token, id).await.assert_problem(409, "order_not_cancellable");
        assert_eq!(problem["order_status"], status);
    };
    let confirmed = house.place(1, "card_ok").await.json(201);
    refused(&house.order, &confirmed["order_id"], "confirmed").await;
    let failed = house.place(1, "card_declined").await.json(402);
    refused(&house.order, &failed["order_id"], "failed").await;
    let inventory = inventory_behind(&house, AfterTheFirst::CutAll).await;
    let order = spawn_order(&house.user_url(), &inventory, &url(&house.payment)).await;
    let paid = house.place_at(&order, 1, "card_ok").await.json(202);
    refused(&order, &paid["order_id"], "paid").await;
    assert_eq!(house.payment_of(&paid["order_id"]).await["status"], "captured");
}

#[actix_web::test]
async fn what_is_not_the_callers_is_as_unknown_to_cancel_as_to_read() {
    let house = spawn_house_with(1, NEVER, "60000").await;
    let other = house.another_user().await;
    while_its_payment_is_made(&house, async |id| {
        for unknown in [id.clone(), json!("019a0000-0000-7000-8000-000000000000"), json!("none")] {
            cancel_at(&house.order, &other, &unknown).await.assert_problem(404, "order_not_found");
        }
        assert_eq!(house.find(id).await["status"], "reserved");
        // The same user's name at another tenant.
        let id = id.as_str().unwrap();
        let moved = format!("UPDATE orders SET tenant_id = 'another' WHERE id = '{id}'");
        assert_eq!(execute(&house.order, &moved), 1);
        cancel(&house, &json!(id)).await.assert_problem(404, "order_not_found");
        let back = format!("UPDATE orders SET tenant_id = '{}' WHERE id = '{id}'", public_tenant());
        assert_eq!(execute(&house.order, &back), 1);
        cancel(&house, &json!(id)).await.json(200);
    })
    .await;
}

/// Where people are who name no tenant.
fn public_tenant() -> &'static str {
    "019a0000-0000-7000-8000-000000000001"
}

/// Whether the cancellation or the confirmation comes first is decided once, whenever it comes: the callers, the
/// history, the payment and the stock all tell the same.
#[actix_web::test]
async fn an_order_is_never_both_confirmed_and_cancelled() {
    const TRIES: u32 = 40;
    /// The last ones come when the order is told to be confirmed.
    const TOO_LATE: u32 = 4;
    let slow = Duration::from_millis(25);
    let house = spawn_house_with(i64::from(TRIES), slow, "60000").await;
    let (mut confirmed, mut cancelled) = (Vec::new(), Vec::new());
    let mut before = Value::Null;
    for number in 0..TRIES {
        let cancelling = async {
            let until = if number < TRIES - TOO_LATE { "" } else { "confirmed" };
            let id = latest(&house, &house.order, &before, until).await;
            // From the beginning until after the end.
            tokio::time::sleep(slow * 3 * number / TRIES).await;
            (cancel(&house, &id).await, id)
        };
        let (placed, (answer, id)) = join(house.place(1, "card_slow"), cancelling).await;
        match (placed.status, answer.status) {
            (201, 409) => confirmed.push(id.clone()),
            (409, 200 | 202) => {
                placed.assert_problem(409, "order_cancelled");
                cancelled.push(id.clone());
            }
            other => panic!("{other:?}: {placed:?}, {answer:?}"),
        }
        before = id;
    }
    let late = house.place(1, "card_ok").await;
    assert!(!cancelled.is_empty(), "none was cancelled in time");
    assert!(!confirmed.is_empty(), "none was confirmed in time");
    for id in &confirmed {
        assert_eq!(statuses(&house.find(id).await), ["pending", "reserved", "paid", "confirmed"]);
        assert_eq!(house.payment_of(id).await["status"], "captured");
    }
    for id in &cancelled {
        wait_until("the end", async || house.find(id).await["status"] == "cancelled").await;
        assert!(!statuses(&house.find(id).await).iter().any(|status| ["paid", "confirmed"].contains(status)));
        let payment = house.payment_of(id).await["status"].as_str().unwrap().to_owned();
        assert!(["voided", "refunded", "cancelled"].contains(&payment.as_str()), "{payment}");
    }
    let sold = confirmed.len() as i64 + i64::from(late.status == 201);
    assert_eq!(house.available().await, i64::from(TRIES) - sold, "sold and left are what there was");
}

#[actix_web::test]
async fn a_cancelled_order_gives_back_what_it_took_when_the_peers_answer_again() {
    let house = spawn_house(1).await;
    let deaf = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let deaf_url = format!("http://{}", deaf.local_addr().expect("its address"));
    let variables = [("INVENTORY_TIMEOUT_MS", "60000"), ("RECOVERY_INTERVAL_MS", "60000")];
    let order = spawn_order_with(&house.user_url(), &deaf_url, &nobody(), &variables).await;
    let cancelling = async {
        let id = latest(&house, &order, &Value::Null, "pending").await;
        let path = format!("/api/orders/{}", id.as_str().unwrap());
        // Nobody has cancelled what people are to look at.
        assert_eq!(execute(&order, "UPDATE orders SET parked_reason = 'looked at'"), 1);
        assert_eq!(cancel_at(&order, &house.token, &id).await.json(202)["status"], "cancelling");
        assert_eq!(cancel_at(&order, &house.token, &id).await.json(202)["status"], "cancelling");
        // Until now the reservation waits.
        drop(deaf);
        (id, path)
    };
    let (placed, (id, path)) = join(house.place_at(&order, 1, "card_ok"), cancelling).await;
    placed.assert_problem(409, "order_cancelled");
    assert_eq!(execute(&order, "UPDATE orders SET due_at = '2026-01-01 00:00:00'"), 1);
    // Another process finds it, which reaches everybody.
    let variables = [("RECOVERY_INTERVAL_MS", "20"), ("DATABASE_URL", order.database.url())];
    let other =
        spawn_order_with(&house.user_url(), &url(&house.inventory), &url(&house.payment), &variables).await;
    let find = async || other.get(&path).from_user(&house.token).send().await.json(200);
    wait_until("the end", async || find().await["status"] == "cancelled").await;
    let found = find().await;
    assert_eq!(statuses(&found), ["pending", "cancelling", "cancelled"]);
    assert_ne!(found["history"][1]["trace_id"], found["history"][2]["trace_id"]);
    assert_eq!(house.payment_of(&id).await["status"], "cancelled", "a late charge would be refused");
    assert_eq!(house.available().await, 1);
    wait_until("the count", async || other.telemetry.spans().iter().any(|span| span.name == "recover_order"))
        .await;
    let counted = other.telemetry.metric("order.recoveries").with("order.recovery.outcome", "cancelled");
    assert_eq!(counted.value(), 1.0);
}
