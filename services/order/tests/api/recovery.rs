//! Orders that a process left unfinished are brought to their end.

use diesel::{RunQueryDsl as _, sql_query};
use serde_json::{Value, json};
use service_kit::db::Connection;
use service_kit::testing::TestApp;
use telemetry_core::opentelemetry::trace::SpanKind;

use crate::harness::{House, nobody, spawn_house, spawn_order_with, url, wait_until};

const SOON: [(&str, &str); 2] = [("RECOVERY_INTERVAL_MS", "20"), ("RECOVERY_MAX_ATTEMPTS", "2")];

/// An order service of this house that looks often.
async fn spawn_watchful(house: &House) -> TestApp {
    spawn_order_with(&house.user_url(), &url(&house.inventory), &url(&house.payment), &SOON).await
}

fn execute(app: &TestApp, sql: String) {
    let mut connection = Connection::open(&app.database.url().parse().unwrap()).unwrap();
    let rows = sql_query(sql).execute(&mut connection).expect("it can be run");
    assert_eq!(rows, 1);
}

/// Makes the order look as a process left it that died then: nobody works on it any more.
fn leave(app: &TestApp, order_id: &Value, status: &str, more: &str) {
    let id = order_id.as_str().unwrap();
    execute(
        app,
        format!(
            "UPDATE orders SET status = '{status}', version = version + 1, due_at = '2026-01-01 00:00:00'{more} \
             WHERE id = '{id}'"
        ),
    );
}

async fn find(app: &TestApp, house: &House, order_id: &Value) -> Value {
    let path = format!("/api/orders/{}", order_id.as_str().unwrap());
    app.get(&path).from_user(&house.token).send().await.json(200)
}

async fn wait_for(app: &TestApp, house: &House, order_id: &Value, status: &str) -> Value {
    wait_until(status, async || find(app, house, order_id).await["status"] == status).await;
    find(app, house, order_id).await
}

/// The peers know all that the order did before; each step is taken again, and nothing twice.
async fn is_brought_on_from(status: &str) {
    let house = spawn_house(1).await;
    let order = spawn_watchful(&house).await;
    let placed = house.place_at(&order, 1, "card_ok").await.json(201);
    let id = &placed["order_id"];
    let first = find(&order, &house, id).await["history"][0]["trace_id"].clone();
    leave(&order, id, status, "");
    let found = wait_for(&order, &house, id, "confirmed").await;
    assert_eq!(house.payment_of(id).await["status"], "captured");

    let history = found["history"].as_array().unwrap();
    let last = &history.last().unwrap()["trace_id"];
    assert_ne!(*last, first, "it went on in a trace of its own");
    wait_until("the end of the trace", async || {
        order.telemetry.spans().iter().any(|span| span.name == "recover_order")
    })
    .await;
    let spans = order.telemetry.spans();
    let recovery = spans.iter().find(|span| span.name == "recover_order").unwrap();
    assert_eq!(recovery.span_context.trace_id().to_string(), last.as_str().unwrap());
    let links: Vec<_> = recovery.links.iter().map(|link| link.span_context.trace_id().to_string()).collect();
    assert_eq!(links, [first.as_str().unwrap()]);
    assert_eq!(house.place_at(&order, 1, "card_ok").await.json(409)["code"], "out_of_stock", "sold once");
}

#[actix_web::test]
async fn an_order_left_pending_is_confirmed() {
    is_brought_on_from("pending").await;
}

#[actix_web::test]
async fn an_order_left_reserved_is_confirmed_and_charged_once() {
    is_brought_on_from("reserved").await;
}

#[actix_web::test]
async fn an_order_left_paid_is_confirmed() {
    is_brought_on_from("paid").await;
}

#[actix_web::test]
async fn an_order_left_failing_gives_back_what_it_took() {
    let house = spawn_house(1).await;
    // The payment service is away, so the order keeps what it has.
    let order = spawn_order_with(&house.user_url(), &url(&house.inventory), &nobody(), &SOON).await;
    let problem = house.place_at(&order, 1, "card_ok").await.assert_problem(503, "payment_unavailable");
    let id = &problem["order_id"];
    leave(&order, id, "failing", "");
    let failed = wait_for(&order, &house, id, "failing").await;
    assert_eq!(failed["failure_code"], "payment_unavailable");
    // Another process finds it, which reaches everybody.
    let variables = SOON.into_iter().chain([("DATABASE_URL", order.database.url())]).collect::<Vec<_>>();
    let other =
        spawn_order_with(&house.user_url(), &url(&house.inventory), &url(&house.payment), &variables).await;
    wait_for(&other, &house, id, "failed").await;
    assert_eq!(house.payment_of(id).await["status"], "cancelled", "a late charge would be refused");
    assert_eq!(house.place(1, "card_ok").await.json(201)["status"], "confirmed", "the goods are there again");
}

#[actix_web::test]
async fn an_unpaid_order_that_was_left_for_long_is_not_charged_any_more() {
    let house = spawn_house(1).await;
    let order = spawn_order_with(
        &house.user_url(),
        &url(&house.inventory),
        &nobody(),
        &[("RECOVERY_INTERVAL_MS", "20"), ("RECOVERY_GIVE_UP_AFTER_MS", "1")],
    )
    .await;
    let problem = house.place_at(&order, 1, "card_ok").await.assert_problem(503, "payment_unavailable");
    let id = &problem["order_id"];
    let other = spawn_order_with(
        &house.user_url(),
        &url(&house.inventory),
        &url(&house.payment),
        &[
            ("RECOVERY_INTERVAL_MS", "20"),
            ("RECOVERY_GIVE_UP_AFTER_MS", "1"),
            ("DATABASE_URL", order.database.url()),
        ],
    )
    .await;
    leave(&order, id, "reserved", ", failure_code = NULL");
    let found = wait_for(&other, &house, id, "failed").await;
    assert_eq!(found["failure_code"], "order_expired");
    assert_eq!(house.payment_of(id).await["status"], "cancelled");
}

#[actix_web::test]
async fn an_order_that_cannot_be_brought_on_is_parked_with_the_reason_and_counted() {
    let house = spawn_house(1).await;
    let order = spawn_watchful(&house).await;
    let placed = house.place_at(&order, 1, "card_ok").await.json(201);
    // The inventory has sold the goods, and will never take them back.
    leave(&order, &placed["order_id"], "failing", ", failure_code = 'payment_timeout'");
    let parked = || {
        order.telemetry.spans().iter().any(|span| {
            span.name == "recover_order"
                && span.attributes.iter().any(|attribute| {
                    attribute.key.as_str() == "order.recovery.outcome" && attribute.value.as_str() == "parked"
                })
        })
    };
    wait_until("it is parked", async || parked()).await;
    let found = find(&order, &house, &placed["order_id"]).await;
    assert_eq!(found["status"], "failing");
    assert_eq!(house.payment_of(&placed["order_id"]).await["status"], "refunded");
    for outcome in ["postponed", "parked"] {
        let counted = order.telemetry.metric("order.recoveries").with("order.recovery.outcome", outcome);
        assert_eq!(counted.value(), 1.0, "{outcome}");
    }
    let id = placed["order_id"].as_str().unwrap();
    let reason = "parked_reason = 'reservation_state' AND due_at IS NULL";
    execute(&order, format!("UPDATE orders SET attempts = 0 WHERE id = '{id}' AND {reason}"));
}

#[actix_web::test]
async fn a_mail_that_a_crash_left_is_written_once_in_a_trace_that_links_to_the_message() {
    let house = spawn_house(1).await;
    let order = spawn_watchful(&house).await;
    let placed = house.place_at(&order, 1, "card_ok").await.json(201);
    let mails = || order.telemetry.spans().iter().filter(|span| span.name == "process order.mails").count();
    wait_until("the mail", async || mails() == 1).await;
    // The same message again, as if its consumer had died between acting on it and deleting it.
    let id = placed["order_id"].as_str().unwrap();
    execute(
        &order,
        format!(
            "INSERT INTO outbox (id, destination, order_id, created_at, due_at) \
             SELECT id, 'order.mails', order_id, created_at, created_at FROM mails WHERE order_id = '{id}'"
        ),
    );
    wait_until("the second delivery", async || mails() == 2).await;
    let spans = order.telemetry.spans();
    let sent = spans.iter().find(|span| span.name == "send order.mails").unwrap();
    assert_eq!(sent.span_kind, SpanKind::Producer);
    let first = spans.iter().find(|span| span.name == "process order.mails").unwrap();
    assert_eq!(first.span_kind, SpanKind::Consumer);
    assert_eq!(first.parent_span_id, sent.span_context.span_id());
    assert_eq!(first.links.iter().next().unwrap().span_context.span_id(), sent.span_context.span_id());
    let value = |name: &str| {
        first
            .attributes
            .iter()
            .find(|attribute| attribute.key.as_str() == name)
            .map(|found| found.value.to_string())
    };
    for (name, expected) in [
        ("messaging.system", "outbox"),
        ("messaging.operation.name", "process"),
        ("messaging.operation.type", "process"),
        ("messaging.destination.name", "order.mails"),
    ] {
        assert_eq!(value(name).as_deref(), Some(expected), "{name}");
    }
    assert!(value("messaging.message.id").is_some());
    // One mail for the order: this changes exactly one row.
    execute(&order, format!("UPDATE mails SET subject = 'seen' WHERE order_id = '{id}'"));
    assert_eq!(placed["status"], json!("confirmed"));
}

#[actix_web::test]
async fn replicas_that_share_a_database_bring_each_order_on_once() {
    let house = spawn_house(100).await;
    let order = spawn_order_with(&house.user_url(), &url(&house.inventory), &url(&house.payment), &[]).await;
    let mut ids = Vec::new();
    for _ in 0..20 {
        let placed = house.place_at(&order, 1, "card_ok").await.json(201);
        leave(&order, &placed["order_id"], "paid", "");
        ids.push(placed["order_id"].clone());
    }
    let shared = SOON.into_iter().chain([("DATABASE_URL", order.database.url())]).collect::<Vec<_>>();
    let (user, inventory, payment) = (house.user_url(), url(&house.inventory), url(&house.payment));
    let one = spawn_order_with(&user, &inventory, &payment, &shared).await;
    let other = spawn_order_with(&user, &inventory, &payment, &shared).await;
    for id in &ids {
        wait_for(&one, &house, id, "confirmed").await;
    }
    let taken = || {
        [&order, &one, &other]
            .map(|app| app.telemetry.spans().iter().filter(|span| span.name == "recover_order").count())
            .iter()
            .sum::<usize>()
    };
    wait_until("the ends of the traces", async || taken() >= ids.len()).await;
    assert_eq!(taken(), ids.len());
}
