//! One order, one trace: the good one and each failure, the whole tree by value.

use std::time::Duration;

use demo::parts::Part;
use demo::shop::{Inside, Placed};
use serde_json::json;
use trace_viewer::model::{Span, Trace, Value};

use crate::harness::{
    Backend, TestSystem, assert_outline, eventually, on_both_databases, outline, run, shared, span_named,
};

on_both_databases! {
    a_good_order_is_one_trace_over_all_services
    an_order_out_of_stock_fails_at_the_inventory
    a_declined_payment_gives_the_goods_back
    a_gateway_that_does_not_answer_times_out_and_the_charge_is_voided
    a_gateway_that_fails_gives_the_goods_back
    an_unknown_user_gets_no_further_than_the_user_service
    an_inactive_user_gets_no_further_than_the_user_service
    an_inventory_that_is_down_fails_the_order_and_nothing_else
    goods_are_given_back_when_the_inventory_is_there_again
}

async fn a_good_order_is_one_trace_over_all_services(backend: Backend) {
    let test = shared(backend).await;
    let placed = test.shop.order(test.shop.in_stock(), "card_ok").await.unwrap();
    assert_eq!(placed.status, 201, "{}", placed.body);
    assert_eq!(placed.body["status"], "confirmed");
    let trace = test.trace(&placed).await;
    assert_outline(&trace, "good");
    assert_is_whole(&trace);

    let create_order = span_named(&trace, "create_order");
    assert_attributes(
        create_order,
        [
            ("order.id", Value::String(placed.body["order_id"].as_str().unwrap().to_owned())),
            ("order.type", Value::String("standard".to_owned())),
            ("order.quantity", Value::Int(1)),
            ("order.amount", Value::Int(24_900)),
            ("order.currency", Value::String("EUR".to_owned())),
        ],
    );
    let [event] = &create_order.events[..] else { panic!("one event: {:?}", create_order.events) };
    assert_eq!(event.name, "Order created successfully");
    assert_attributes(
        span_named(&trace, "check_inventory"),
        [
            ("product.id", Value::String(test.shop.in_stock().id.clone())),
            ("inventory.available", Value::Bool(true)),
        ],
    );
    let process_payment = span_named(&trace, "process_payment");
    assert_attributes(process_payment, [("payment.method", Value::String("card_ok".to_owned()))]);
    let transaction = process_payment.attribute("payment.transaction_id").and_then(Value::as_str);
    assert!(transaction.is_some_and(|id| !id.is_empty()), "{process_payment:?}");
    let length = span_named(&trace, "send_email").attribute("email.message_length").and_then(Value::as_int);
    assert!(length.is_some_and(|length| length > 0));
    assert_tenant_is_known_below(&trace, "create_order");
    assert_root_is_conventional(&trace, 201);
}

async fn an_order_out_of_stock_fails_at_the_inventory(backend: Backend) {
    let test = shared(backend).await;
    let placed = test.shop.order(test.shop.sold_out(), "card_ok").await.unwrap();
    assert_problem(&placed, 409, "out_of_stock");
    let trace = test.trace(&placed).await;
    assert_outline(&trace, "out_of_stock");
    assert_is_whole(&trace);
    assert_attributes(span_named(&trace, "check_inventory"), [("inventory.available", Value::Bool(false))]);
    assert_root_is_conventional(&trace, 409);
}

async fn a_declined_payment_gives_the_goods_back(backend: Backend) {
    let test = shared(backend).await;
    let placed = test.shop.order(test.shop.in_stock(), "card_declined").await.unwrap();
    assert_problem(&placed, 402, "payment_declined");
    let trace = test.trace(&placed).await;
    assert_outline(&trace, "declined");
    assert_is_whole(&trace);
}

async fn a_gateway_that_does_not_answer_times_out_and_the_charge_is_voided(backend: Backend) {
    let test = shared(backend).await;
    let placed = test.shop.order(test.shop.in_stock(), "card_slow").await.unwrap();
    assert_problem(&placed, 504, "payment_timeout");
    let trace = test.trace(&placed).await;
    assert_outline(&trace, "gateway_timeout");
    assert_is_whole(&trace);
    assert_attributes(
        span_named(&trace, "POST /charges"),
        [("error.type", Value::String("timeout".to_owned()))],
    );
}

async fn a_gateway_that_fails_gives_the_goods_back(backend: Backend) {
    let test = shared(backend).await;
    let placed = test.shop.order(test.shop.in_stock(), "gateway_error").await.unwrap();
    assert_problem(&placed, 503, "payment_unavailable");
    let trace = test.trace(&placed).await;
    assert_outline(&trace, "gateway_error");
    assert_is_whole(&trace);
}

async fn an_unknown_user_gets_no_further_than_the_user_service(backend: Backend) {
    let test = shared(backend).await;
    let shop = test.shop.with_access_token("not.a.token");
    let placed = shop.order(shop.in_stock(), "card_ok").await.unwrap();
    assert_problem(&placed, 401, "invalid_token");
    let trace = test.trace(&placed).await;
    assert_outline(&trace, "unknown_user");
    assert!(trace.is_complete());
}

async fn an_inactive_user_gets_no_further_than_the_user_service(backend: Backend) {
    let test = shared(backend).await;
    let inside = Inside::new(&test.system);
    let email = format!("{}@example.org", uuid::Uuid::now_v7().simple());
    let user = inside.make_user(&email, "a password of some length").await.unwrap();
    let token = test.shop.sign_in(&email, "a password of some length").await.unwrap();
    inside.deactivate_user(&user).await.unwrap();
    let shop = test.shop.with_access_token(&token);
    let placed = shop.order(shop.in_stock(), "card_ok").await.unwrap();
    assert_problem(&placed, 403, "user_inactive");
    let trace = test.trace(&placed).await;
    assert_outline(&trace, "inactive_user");
    assert!(trace.is_complete());
}

async fn an_inventory_that_is_down_fails_the_order_and_nothing_else(backend: Backend) {
    let mut test = TestSystem::start(backend).await;
    test.system.stop_one(Part::Inventory).await.unwrap();
    let placed = test.shop.order(test.shop.in_stock(), "card_ok").await.unwrap();
    assert_problem(&placed, 503, "inventory_unavailable");
    let trace = test.trace(&placed).await;
    assert_outline(&trace, "inventory_down");
    assert!(trace.is_complete());
    let order = test.shop.find_order(placed.body["order_id"].as_str().unwrap()).await.unwrap();
    assert_eq!(order["status"], json!("failed"));
    assert_eq!(order["failure_code"], json!("inventory_unavailable"));
    test.system.stop().await.unwrap();
}

async fn goods_are_given_back_when_the_inventory_is_there_again(backend: Backend) {
    // The inventory takes a moment to go down, and is gone before the gateway is given up.
    let mut test = TestSystem::start_with(backend, Duration::from_secs(4), &[]).await;
    let shop = test.shop.clone();
    let product = shop.last_piece().clone();
    // The order gets its goods and then waits for the slow gateway; meanwhile the inventory goes down.
    let ordering = telemetry_core::context::spawn({
        let (shop, product) = (shop.clone(), product.clone());
        async move { shop.order(&product, "card_slow").await }
    });
    eventually("the order waits for the gateway", async || {
        let orders = shop.list_orders().await.unwrap();
        orders.iter().any(|order| order["status"] == json!("reserved"))
    })
    .await;
    test.system.stop_one(Part::Inventory).await.unwrap();
    let placed = ordering.await.unwrap().unwrap();
    assert_problem(&placed, 504, "payment_timeout");
    let order_id = placed.body["order_id"].as_str().unwrap();
    let order = shop.find_order(order_id).await.unwrap();
    assert_eq!(order["status"], json!("failing"), "it still holds the goods");
    assert_eq!(order["failure_code"], json!("payment_timeout"));

    test.system.start_one(Part::Inventory).await.unwrap();
    eventually("the order has failed", async || {
        shop.find_order(order_id).await.unwrap()["status"] == json!("failed")
    })
    .await;
    let placed = shop.order(&product, "card_ok").await.unwrap();
    assert_eq!(placed.status, 201, "the last piece can be ordered again: {}", placed.body);
    test.system.stop().await.unwrap();
}

fn assert_problem(placed: &Placed, status: u16, code: &str) {
    assert_eq!((placed.status.as_u16(), &placed.body["code"]), (status, &json!(code)), "{}", placed.body);
    assert_eq!(placed.body["trace_id"], json!(placed.trace_id.to_string()));
    assert_eq!(placed.body["status"], json!(status));
}

fn assert_attributes<const N: usize>(span: &Span, expected: [(&str, Value); N]) {
    for (name, value) in expected {
        assert_eq!(span.attribute(name), Some(&value), "{name} of {}", span.name);
    }
}

/// One root, no span without its parent, and SQL in every service.
fn assert_is_whole(trace: &Trace) {
    assert!(trace.is_complete(), "{}", outline(trace));
    for service in trace.services() {
        let has_sql = trace
            .spans
            .iter()
            .any(|span| span.service == service && span.attribute("db.query.text").is_some());
        assert!(has_sql, "no SQL span of {service}:\n{}", outline(trace));
    }
}

/// Baggage carries the tenant to every span below, in every service.
fn assert_tenant_is_known_below(trace: &Trace, name: &str) {
    let mut spans = vec![span_named(trace, name)];
    let tenant = spans[0].attribute("tenant.id").expect("the tenant is known");
    while let Some(span) = spans.pop() {
        assert_eq!(span.attribute("tenant.id"), Some(tenant), "{} of {}", span.name, span.service);
        let name = Value::String("Corner café".to_owned());
        assert_eq!(span.attribute("tenant.name"), Some(&name), "{} of {}", span.name, span.service);
        spans.extend(trace.children_of(span.span_id));
    }
}

fn assert_root_is_conventional(trace: &Trace, status: i64) {
    let root = &trace.spans[0];
    assert_attributes(
        root,
        [
            ("http.request.method", Value::String("POST".to_owned())),
            ("http.route", Value::String("/api/orders".to_owned())),
            ("url.path", Value::String("/api/orders".to_owned())),
            ("url.scheme", Value::String("http".to_owned())),
            ("server.address", Value::String("127.0.0.1".to_owned())),
            ("network.protocol.version", Value::String("1.1".to_owned())),
            ("http.response.status_code", Value::Int(status)),
        ],
    );
    assert!(root.attribute("server.port").and_then(Value::as_int).is_some());
    let resource = trace.resource_of(root).expect("the root's resource is known");
    for name in ["service.name", "service.version", "service.instance.id", "host.name", "os.type"] {
        let value = resource.attributes.get(name).and_then(Value::as_str);
        assert!(value.is_some_and(|value| !value.is_empty()), "{name} in {resource:?}");
    }
    assert!(resource.attributes.get("process.pid").and_then(Value::as_int).is_some());
}
