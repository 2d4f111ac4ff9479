//! Systems that are asked for all they do, and what they emitted meanwhile.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use demo::parts::Part;
use demo::shop::{Inside, Shop};
use futures_util::future::join_all;
use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use service_kit::token::ServiceTokens;
use tokio::sync::OnceCell;
use tokio_tungstenite::tungstenite::Message;
use trace_viewer::model::{Logs, Metrics, Trace};

use crate::harness::{Backend, GATEWAY_TIMEOUT, TestSystem, eventually, watch};
use crate::proxy::{Fate, Proxy};

/// What a system emitted from its start to its end.
#[derive(Clone)]
pub(super) struct Emitted {
    pub(super) traces: Vec<Trace>,
    pub(super) logs: Logs,
    pub(super) metrics: Metrics,
}

/// What an orchestrator would say of the place where the processes run.
const PLACE: [(&str, &str); 8] = [
    ("HOST_TYPE", "m7g.large"),
    ("CONTAINER_NAME", "shop"),
    ("CONTAINER_IMAGE", "shop/services:1.2@sha256:afcc7f1ac1b49db317a7196c902e61c6"),
    ("K8S_CLUSTER_NAME", "eu"),
    ("K8S_NAMESPACE_NAME", "shop"),
    ("K8S_POD_NAME", "shop-5d69f8c8cd-x7k2p"),
    ("K8S_POD_UID", "c0eb0d9f-2a3b-4c5d-8e7f-0123456789ab"),
    ("K8S_NODE_NAME", "node-7"),
];

/// Whether telemetry may be missing at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Losses {
    Forbidden,
    Meant,
}

/// The telemetry of a system of this backend that was asked for all it does.
pub(super) async fn emitted(backend: Backend) -> &'static Emitted {
    static SQLITE: OnceCell<Emitted> = OnceCell::const_new();
    static POSTGRES: OnceCell<Emitted> = OnceCell::const_new();
    let cell = match backend {
        Backend::Sqlite => &SQLITE,
        Backend::Postgres => &POSTGRES,
    };
    cell.get_or_init(|| async {
        let mut test = TestSystem::start_with(backend, GATEWAY_TIMEOUT, &PLACE).await;
        drive(&test).await;
        recover_a_charge(&mut test).await;
        collect(test, Losses::Forbidden).await
    })
    .await
}

/// The telemetry of a system under `http/dup`.
pub(super) async fn emitted_with_older_names() -> Emitted {
    let opt_in = [("OTEL_SEMCONV_STABILITY_OPT_IN", "http/dup")];
    let test = TestSystem::start_with(Backend::Sqlite, GATEWAY_TIMEOUT, &opt_in).await;
    for payment_method in ["card_ok", "card_declined"] {
        test.shop.order(test.shop.in_stock(), payment_method).await.unwrap();
    }
    let request = test.system.client().get(format!("{}/nowhere?page=2", test.system.url(Part::Order)));
    request.header("user-agent", "contract").send().await.unwrap();
    collect(test, Losses::Forbidden).await
}

/// The telemetry of a system under strain: its limits are low, the inventory is cut off in the middle of orders, and
/// the receiver of its traces for a while. What it tells of that is what a calm system never tells.
pub(super) async fn emitted_under_strain() -> &'static Emitted {
    static STRAINED: OnceCell<Emitted> = OnceCell::const_new();
    let make = || async {
        let (inventory, receiver) = (Proxy::start().await, Proxy::start().await);
        let variables = [
            ("INVENTORY_URL", inventory.url()),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &format!("{}/v1/traces", receiver.url())),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "64"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "64"),
            ("OTEL_INSTRUMENTATION_DB_REPEATED_QUERY_THRESHOLD", "2"),
            ("LOG_RATE_LIMIT", "3"),
            ("METRICS_CARDINALITY_LIMIT", "3"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "500"),
        ];
        let test = TestSystem::start_with(Backend::Sqlite, GATEWAY_TIMEOUT, &variables).await;
        inventory.lead_to(&test.system.url(Part::Inventory));
        receiver.lead_to(&test.system.url(Part::Viewer));
        watch_an_order_that_is_finished_later(&test, &inventory).await;
        assert_eq!(import(&test, "strain").await, 201);
        compensate_later(&test, &inventory).await;
        overload(&test, &inventory).await;
        fail_to_export(&test, &receiver).await;
        collect(test, Losses::Meant).await
    };
    STRAINED.get_or_init(make).await
}

/// A paid order whose goods the inventory does not answer for. Whoever watches it is told when it is confirmed.
async fn watch_an_order_that_is_finished_later(test: &TestSystem, inventory: &Proxy) {
    inventory.on("/commit HTTP/1.1", Fate::Cut);
    let placed = test.shop.order(test.shop.in_stock(), "card_ok").await.unwrap();
    assert_eq!((placed.status.as_u16(), &placed.body["status"]), (202, &json!("paid")), "{}", placed.body);
    let order_id = placed.body["order_id"].as_str().unwrap();
    let authorization = ("authorization", format!("Bearer {}", test.shop.access_token()));
    let mut socket = watch(test, order_id, authorization).await.expect("an upgrade");
    socket.send(Message::text("status")).await.unwrap();
    let mut told = Vec::new();
    let watching = async {
        while let Some(Ok(message)) = socket.next().await {
            if let Message::Text(text) = message {
                let order: Value = serde_json::from_str(&text).unwrap();
                told.push(order["status"].as_str().unwrap().to_owned());
                // The second is the answer to the question.
                if told.len() == 2 {
                    inventory.on("", Fate::Pass);
                }
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), watching).await.expect("the order is confirmed in time");
    assert_eq!(told, ["paid", "paid", "confirmed"]);
}

/// A gateway that fails so often that it is left alone, and an inventory that uses up its retries.
async fn overload(test: &TestSystem, inventory: &Proxy) {
    let tokens = ServiceTokens::new("demo", test.system.service_secret());
    let token = tokens.issue("payment-service", None);
    let charge = async || {
        let body = json!({
            "order_id": uuid::Uuid::now_v7(), "amount_minor": 100, "currency": "EUR", "payment_method": "gateway_error",
        });
        let request =
            test.system.client().post(format!("{}/internal/payments", test.system.url(Part::Payment)));
        let answer = request.bearer_auth(token.expose_secret()).json(&body).send().await.expect("an answer");
        answer.status().as_u16()
    };
    let mut statuses = Vec::new();
    while !statuses.contains(&503) {
        assert!(statuses.len() < 500, "the gateway is asked on and on: {statuses:?}");
        statuses.extend(join_all((0..10).map(|_| charge())).await);
    }
    inventory.on("", Fate::Cut);
    let orders = join_all((0..30).map(|_| test.shop.order(test.shop.in_stock(), "card_ok"))).await;
    assert!(orders.iter().all(|order| order.as_ref().is_ok_and(|order| order.status == 503)));
    inventory.on("", Fate::Pass);
}

/// A failed order whose goods the inventory does not take back at once.
async fn compensate_later(test: &TestSystem, inventory: &Proxy) {
    inventory.on("/release HTTP/1.1", Fate::Cut);
    let placed = test.shop.order(test.shop.in_stock(), "card_declined").await.unwrap();
    assert_eq!(placed.status, 402, "{}", placed.body);
    inventory.on("", Fate::Pass);
    // Its span has arrived before those that come next are dropped.
    let order_id = placed.body["order_id"].as_str().unwrap();
    eventually("the goods are given back", async || {
        let order = test.shop.find_order(order_id).await.unwrap();
        let last = order["history"].as_array().unwrap().last().unwrap().clone();
        if last["status"] != "failed" {
            return false;
        }
        let trace_id = last["trace_id"].as_str().unwrap().parse().unwrap();
        let trace = test.traces.find(trace_id).await.unwrap();
        trace.is_some_and(|trace| trace.spans_named("recover_order").count() == 1)
    })
    .await;
}

/// Traces wait until the queue is full, are refused, and find their way again.
async fn fail_to_export(test: &TestSystem, receiver: &Proxy) {
    let logs = format!("{}/api/logs?limit=10000", test.system.url(Part::Viewer));
    let has_record_with = async |names: [&str; 2]| {
        let logs = test.system.client().get(&logs).send().await.unwrap();
        let logs: Logs = logs.json().await.unwrap();
        logs.records.iter().any(|record| names.iter().all(|name| record.attributes.contains_key(*name)))
    };
    const TRACES: &str = "POST /v1/traces";
    receiver.on(TRACES, Fate::Hold);
    burst(&test.shop).await;
    receiver.on(TRACES, Fate::Cut);
    for (what, name) in [("the queue was full", "export.queue_size"), ("exports fail", "exception.message")] {
        eventually(what, async || has_record_with(["export.signal", name]).await).await;
    }
    receiver.on(TRACES, Fate::Pass);
    eventually("exports succeed again", async || {
        // There is something to export.
        test.shop.order(test.shop.in_stock(), "card_ok").await.unwrap();
        has_record_with(["export.signal", "export.failed"]).await
    })
    .await;
}

async fn import(test: &TestSystem, prefix: &str) -> u16 {
    let rows: Vec<_> = (0..250)
        .map(|row| {
            json!({
                "sku": format!("{prefix}-{row}"),
                "name": "Cup",
                "category": "kitchen",
                "price_minor": 500,
                "currency": "EUR",
                "stock": 10,
            })
        })
        .collect();
    let url = format!("{}/internal/products/import", test.system.url(Part::Inventory));
    let tokens = ServiceTokens::new("demo", test.system.service_secret());
    let request = test.system.client().post(url).json(&rows);
    let request = request.bearer_auth(tokens.issue("inventory-service", None).expose_secret());
    request.send().await.expect("an answer").status().as_u16()
}

/// One order, asked for twice under one key, which is then used for another.
async fn order_with_a_key(test: &TestSystem) {
    for (quantity, status) in [(1, 201), (1, 201), (2, 422)] {
        let order = json!({
            "product_id": test.shop.in_stock().id, "quantity": quantity, "payment_method": "card_ok",
        });
        let url = format!("{}/api/orders", test.system.url(Part::Order));
        let request = test.system.client().post(url).bearer_auth(test.shop.access_token()).json(&order);
        let answer = request.header("idempotency-key", "\"contract-1\"").send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status);
    }
}

/// Orders at the same time.
async fn burst(shop: &Shop) {
    let orders = (0..40).map(async |n| {
        let payment_method = if n % 4 == 0 { "card_declined" } else { "card_ok" };
        shop.order(shop.in_stock(), payment_method).await.unwrap()
    });
    join_all(orders).await;
}

/// An order whose customer does not wait for its payment.
async fn cancel_an_order(test: &TestSystem) {
    let cancelling = async {
        eventually("an order waits for its payment", async || {
            test.shop.list_orders().await.unwrap()[0]["status"] == "reserved"
        })
        .await;
        let latest = test.shop.list_orders().await.unwrap()[0]["order_id"].as_str().unwrap().to_owned();
        let url = format!("{}/api/orders/{latest}/cancel", test.system.url(Part::Order));
        let request = test.system.client().post(url).bearer_auth(test.shop.access_token());
        request.send().await.expect("an answer")
    };
    let placing = test.shop.order(test.shop.in_stock(), "card_slow");
    let (placed, cancelled) = futures_util::future::join(placing, cancelling).await;
    let placed = placed.unwrap();
    assert_eq!((placed.status.as_u16(), cancelled.status().as_u16()), (409, 200));
    let trace = cancelled.headers()["traceresponse"].to_str().unwrap().split('-').nth(1).unwrap().to_owned();
    eventually("the cancellation links to the trace in which the order was placed", async || {
        let trace = test.traces.find(trace.parse().unwrap()).await.unwrap();
        trace.is_some_and(|trace| {
            trace
                .spans_named("cancel_order")
                .any(|span| matches!(&span.links[..], [link] if link.trace_id == placed.trace_id))
        })
    })
    .await;
}

/// Orders of each outcome, and requests of each kind that goes wrong.
async fn drive(test: &TestSystem) {
    let shop = &test.shop;
    let order =
        async |payment_method: &str| shop.order(shop.in_stock(), payment_method).await.unwrap().status;
    let placed = shop.order(shop.in_stock(), "card_ok").await.unwrap();
    assert_eq!(placed.status, 201);
    assert_eq!(order("card_declined").await, 402);
    assert_eq!(order("card_slow").await, 504);
    assert_eq!(order("gateway_error").await, 503);
    assert_eq!(shop.order(shop.sold_out(), "card_ok").await.unwrap().status, 409);
    order_with_a_key(test).await;
    cancel_an_order(test).await;
    let unknown = json!({
        "product_id": "00000000-0000-7000-8000-000000000000",
        "quantity": 1,
        "payment_method": "card_ok",
    });
    let unknown_product = shop.send(&unknown).await.unwrap();
    assert_eq!(unknown_product.status, 404);
    assert_eq!(shop.send(&json!({ "quantity": 0 })).await.unwrap().status, 400);
    let broken_rules =
        json!({ "product_id": "x", "quantity": 0, "payment_method": "x", "order_type": "fast" });
    assert_eq!(shop.send(&broken_rules).await.unwrap().status, 422);
    assert_eq!(shop.with_access_token("x").order(shop.in_stock(), "card_ok").await.unwrap().status, 401);
    shop.list_orders().await.unwrap();
    shop.find_order(unknown_product.body["order_id"].as_str().unwrap()).await.unwrap();

    let send = async |method: Method, part: Part, path: &str, body: Value, token: &str| {
        let request = test.system.client().request(method, format!("{}{path}", test.system.url(part)));
        let request = request.header(CONTENT_TYPE, "application/json").header("user-agent", "contract");
        request.bearer_auth(token).body(body.to_string()).send().await.expect("an answer").status().as_u16()
    };
    let brew = Method::from_bytes(b"BREW").unwrap();
    for part in [Part::User, Part::Inventory, Part::Payment, Part::Order] {
        assert_eq!(send(Method::GET, part, "/nowhere?token=secret&page=2", Value::Null, "x").await, 404);
        assert_eq!(send(Method::PUT, part, "/health", Value::Null, "x").await, 405);
        assert_eq!(send(brew.clone(), part, "/nowhere", Value::Null, "x").await, 404);
    }
    let late = test.system.client().get(format!("{}/api/products", test.system.url(Part::Inventory)));
    assert_eq!(late.header("x-request-timeout-ms", "0").send().await.unwrap().status(), 503);
    let who =
        json!({ "email": "grace@example.org", "password": "a password of some length", "name": "Grace" });
    assert_eq!(send(Method::POST, Part::User, "/api/users/register", who.clone(), "x").await, 201);
    assert_eq!(send(Method::POST, Part::User, "/api/users/register", who, "x").await, 409);
    let wrong = json!({ "email": "grace@example.org", "password": "another password" });
    assert_eq!(send(Method::POST, Part::User, "/api/users/login", wrong.clone(), "x").await, 401);
    // Until it is too often.
    let mut tries = 1;
    while send(Method::POST, Part::User, "/api/users/login", wrong.clone(), "x").await == 401 {
        tries += 1;
        assert!(tries < 100, "nobody minds how often someone guesses");
    }
    assert_eq!(send(Method::GET, Part::User, "/api/users/me", Value::Null, shop.access_token()).await, 200);

    let product = &shop.in_stock().id;
    for (path, status) in [("".to_owned(), 200), (format!("/{product}"), 200), ("/none".to_owned(), 404)] {
        let path = format!("/api/products{path}");
        assert_eq!(send(Method::GET, Part::Inventory, &path, Value::Null, "x").await, status);
    }
    let tokens = ServiceTokens::new("demo", test.system.service_secret());
    let token_for = |service: &str| tokens.issue(service, None).expose_secret().to_owned();
    let token = token_for("inventory-service");
    // A second time the SKUs are taken.
    for status in [201, 409] {
        assert_eq!(import(test, "bulk").await, status);
    }
    let reservation = "/internal/reservations/00000000-0000-7000-8000-000000000000/commit";
    assert_eq!(send(Method::POST, Part::Inventory, reservation, json!({}), &token).await, 404);
    let refund = format!("/internal/payments/{}/refund", placed.body["order_id"].as_str().unwrap());
    assert_eq!(
        send(Method::POST, Part::Payment, &refund, json!({}), &token_for("payment-service")).await,
        200
    );
    let inside = Inside::new(&test.system);
    let user = inside.make_user("alan@example.org", "a password of some length").await.unwrap();
    inside.deactivate_user(&user).await.unwrap();

    burst(shop).await;
}

/// A charge of which nobody wrote down that it was made: what a process leaves that is killed in between, ten minutes
/// later. Its successor finds it as soon as it starts.
async fn recover_a_charge(test: &mut TestSystem) {
    let placed = test.shop.order(test.shop.in_stock(), "card_ok").await.unwrap();
    let order_id = placed.body["order_id"].as_str().unwrap();
    test.system.stop_one(Part::Payment).await.unwrap();
    let long_ago = (Utc::now() - TimeDelta::minutes(10)).format("%Y-%m-%d %H:%M:%S");
    let changed = test.execute(
        Part::Payment,
        &format!(
            "UPDATE payments SET status = 'pending', transaction_id = NULL, updated_at = '{long_ago}' \
             WHERE order_id = '{order_id}'"
        ),
    );
    assert_eq!(changed, 1);
    test.system.start_one(Part::Payment).await.unwrap();
    eventually("the charge is voided", async || {
        let traces = test.traces.changed(None).await.unwrap().traces;
        traces.iter().any(|trace| trace.root_name == "recover_payment" && trace.complete)
    })
    .await;
}

/// Stops the services, which flushes what they still have, and asks the viewer for everything.
async fn collect(mut test: TestSystem, losses: Losses) -> Emitted {
    for part in [Part::Order, Part::Payment, Part::Inventory, Part::User] {
        let stopped = test.system.stop_one(part).await;
        // A service whose telemetry was not exported whole says so by its exit code.
        assert!(stopped.is_ok() || losses == Losses::Meant, "{stopped:?}");
    }
    let viewer = test.system.url(Part::Viewer);
    let client = test.system.client().clone();
    let read = async |path: &str| {
        let answer = client.get(format!("{viewer}{path}")).send().await.unwrap();
        answer.error_for_status().unwrap()
    };
    let list = test.traces.changed(None).await.unwrap().traces;
    let mut traces = Vec::new();
    for summary in &list {
        traces.push(test.traces.find(summary.trace_id).await.unwrap().expect("it is listed"));
    }
    let emitted = Emitted {
        traces,
        logs: read("/api/logs?limit=10000").await.json().await.unwrap(),
        metrics: read("/api/metrics").await.json().await.unwrap(),
    };
    let status: Value = read("/api/status").await.json().await.unwrap();
    for (what, count) in status["dropped"].as_object().unwrap() {
        assert!(count == 0 || what == "duplicate_spans", "the viewer has not kept everything: {status}");
    }
    test.system.stop().await.unwrap();
    emitted
}
