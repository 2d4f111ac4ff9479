//! What the service emits, and what it sends outside.

use std::time::Duration;

use service_kit::testing::TestApp;
use telemetry_core::opentelemetry::trace::{SpanKind, Status};
use telemetry_core::testing::{SpanTree, span};
use uuid::Uuid;

use crate::harness::{charge, refund, spawn_app, spawn_house, spawn_house_with, wait_for_status, wait_until};
use crate::scripted::{ScriptedGateway, json_answer};

/// The tree without what the server's, the client's and the database's own tests look at.
fn outline(tree: &SpanTree) -> SpanTree {
    let ours = |name: &str| {
        name.starts_with("payment.") || ["service.peer.name", "error.type", "url.template"].contains(&name)
    };
    let children = tree.children.iter().filter(|child| child.name != "wait_for_connection");
    SpanTree {
        attributes: tree.attributes.clone().into_iter().filter(|(name, _)| ours(name)).collect(),
        events: Vec::new(),
        children: children.map(outline).collect(),
        ..tree.clone()
    }
}

/// The first request's trace.
async fn first_trace(app: &TestApp) -> SpanTree {
    outline(&app.traces(1).await[0])
}

fn server(method: &str, status: &str) -> SpanTree {
    span("POST /internal/payments", SpanKind::Server)
        .attribute("payment.method", method.to_owned())
        .attribute("payment.status", status.to_owned())
}

fn gateway_call(template: &'static str) -> SpanTree {
    span(format!("POST {template}"), SpanKind::Client)
        .attribute("url.template", template)
        .attribute("service.peer.name", "payment-gateway")
}

fn query(summary: &str) -> SpanTree {
    span(summary, SpanKind::Client)
}

fn failed(span: SpanTree, error_type: &'static str, description: &'static str) -> SpanTree {
    span.attribute("error.type", error_type).status(Status::error(description))
}

fn void_charge(status: &str, method: &str) -> SpanTree {
    span("void_charge", SpanKind::Internal)
        .attribute("payment.method", method.to_owned())
        .attribute("payment.status", status.to_owned())
        .child(gateway_call("/charges/{reference}/void"))
        .child(query("UPDATE payments"))
}

#[actix_web::test]
async fn a_captured_charge_is_two_statements_around_one_call() {
    let house = spawn_house().await;
    let captured = charge(&house.app, Uuid::now_v7(), "card_ok").await.json(201);
    assert_eq!(
        first_trace(&house.app).await,
        server("card_ok", "captured")
            .attribute("payment.transaction_id", captured["transaction_id"].as_str().unwrap().to_owned())
            .child(query("INSERT payments"))
            .child(gateway_call("/charges"))
            .child(query("UPDATE payments"))
    );
}

#[actix_web::test]
async fn a_decline_is_an_error_of_the_call_and_none_of_the_service() {
    let house = spawn_house().await;
    charge(&house.app, Uuid::now_v7(), "card_declined").await;
    assert_eq!(
        first_trace(&house.app).await,
        server("card_declined", "declined")
            .child(query("INSERT payments"))
            .child(failed(gateway_call("/charges"), "402", "HTTP 402"))
            .child(query("UPDATE payments"))
    );
}

#[actix_web::test]
async fn a_timeout_is_voided_in_the_same_trace() {
    let house = spawn_house_with(Duration::from_secs(600), "300").await;
    let order_id = Uuid::now_v7();
    charge(&house.app, order_id, "card_slow").await;
    wait_for_status(&house.app, order_id, "voided").await;
    // The update that the status was read from has ended; its task is about to.
    house.app.telemetry.background_done(Duration::from_secs(10)).await;
    assert_eq!(
        first_trace(&house.app).await,
        failed(server("card_slow", "failed"), "gateway_timeout", "gateway_timeout")
            .child(query("INSERT payments"))
            .child(failed(gateway_call("/charges"), "timeout", "Request timeout"))
            .child(query("UPDATE payments"))
            .child(void_charge("voided", "card_slow"))
    );
}

#[actix_web::test]
async fn a_failing_gateway_is_voided_in_the_same_trace() {
    let house = spawn_house().await;
    let order_id = Uuid::now_v7();
    charge(&house.app, order_id, "gateway_error").await;
    wait_for_status(&house.app, order_id, "voided").await;
    house.app.telemetry.background_done(Duration::from_secs(10)).await;
    assert_eq!(
        first_trace(&house.app).await,
        failed(server("gateway_error", "failed"), "gateway_error", "gateway_error")
            .child(query("INSERT payments"))
            .child(failed(gateway_call("/charges"), "500", "HTTP 500"))
            .child(query("UPDATE payments"))
            .child(void_charge("voided", "gateway_error"))
    );
}

#[actix_web::test]
async fn a_gateway_that_is_away_is_one_try_and_nothing_to_void() {
    let house = spawn_house().await;
    house.gateway.stop().await;
    charge(&house.app, Uuid::now_v7(), "card_ok").await;
    let trace = first_trace(&house.app).await;
    assert_eq!(
        trace,
        failed(server("card_ok", "failed"), "gateway_unavailable", "gateway_unavailable")
            .child(query("INSERT payments"))
            .child(failed(gateway_call("/charges"), "connect", "Connection failed"))
            .child(query("UPDATE payments"))
    );
}

#[actix_web::test]
async fn a_replayed_charge_asks_only_the_database() {
    let house = spawn_house().await;
    let order_id = Uuid::now_v7();
    let captured = charge(&house.app, order_id, "card_ok").await.json(201);
    charge(&house.app, order_id, "card_ok").await;
    assert_eq!(
        outline(&house.app.traces(2).await[1]),
        server("card_ok", "captured")
            .attribute("payment.transaction_id", captured["transaction_id"].as_str().unwrap().to_owned())
            .child(query("INSERT payments"))
            .child(query("SELECT payments"))
    );
}

fn refund_server(status: &str) -> SpanTree {
    span("POST /internal/payments/{order_id}/refund", SpanKind::Server)
        .attribute("payment.status", status.to_owned())
}

#[actix_web::test]
async fn a_refund_is_two_statements_around_one_call() {
    let house = spawn_house().await;
    let order_id = Uuid::now_v7();
    let captured = charge(&house.app, order_id, "card_ok").await.json(201);
    refund(&house.app, order_id).await.json(200);
    assert_eq!(
        outline(&house.app.traces(2).await[1]),
        refund_server("refunded")
            .attribute("payment.method", "card_ok")
            .attribute("payment.transaction_id", captured["transaction_id"].as_str().unwrap().to_owned())
            .child(query("SELECT payments"))
            .child(gateway_call("/refunds"))
            .child(query("UPDATE payments"))
    );
}

#[actix_web::test]
async fn a_refund_of_a_charge_that_is_being_made_takes_it_and_voids_it() {
    let house = spawn_house_with(Duration::from_secs(600), "60000").await;
    let order_id = Uuid::now_v7();
    let refunding = async {
        wait_until("the charge", async || house.gateway.status_of(order_id).await == "pending").await;
        refund(&house.app, order_id).await.json(200);
        // Cuts the charge off.
        house.gateway.stop().await;
    };
    tokio::join!(charge(&house.app, order_id, "card_slow"), refunding);
    let traces = house.app.traces(2).await;
    assert_eq!(
        outline(&traces[1]),
        refund_server("voided")
            .attribute("payment.method", "card_slow")
            .child(query("SELECT payments"))
            .child(query("UPDATE payments"))
            .child(gateway_call("/charges/{reference}/void"))
            .child(query("UPDATE payments"))
    );
    // The charge finds that it is no longer its own, and leaves the voiding to the refund.
    // (With the gateway away, a task of its own would try for long.)
    assert!(house.app.telemetry.background_done(Duration::from_secs(1)).await);
    assert_eq!(
        outline(&traces[0]),
        server("card_slow", "voided")
            .child(query("INSERT payments"))
            .child(failed(gateway_call("/charges"), "transport", "Connection lost"))
            .child(query("UPDATE payments"))
            .child(query("SELECT payments"))
    );
}

#[actix_web::test]
async fn a_refund_of_what_is_not_charged_asks_only_the_database() {
    let house = spawn_house().await;
    let (declined, unreached, unknown) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    charge(&house.app, declined, "card_declined").await.json(402);
    house.gateway.stop().await;
    charge(&house.app, unreached, "card_ok").await.json(503);
    for order_id in [declined, unreached, unknown] {
        refund(&house.app, order_id).await.json(200);
    }
    charge(&house.app, unknown, "card_ok").await.json(409);
    let traces = house.app.traces(6).await;
    let outlines: Vec<SpanTree> = traces[2..].iter().map(outline).collect();
    assert_eq!(
        outlines,
        [
            refund_server("declined")
                .attribute("payment.method", "card_declined")
                .child(query("SELECT payments")),
            refund_server("voided")
                .attribute("payment.method", "card_ok")
                .child(query("SELECT payments"))
                .child(query("UPDATE payments")),
            refund_server("cancelled").child(query("SELECT payments")).child(query("INSERT payments")),
            server("card_ok", "cancelled").child(query("INSERT payments")).child(query("SELECT payments")),
        ]
    );
}

#[actix_web::test]
async fn each_charge_is_counted_once_by_method_and_outcome() {
    let house = spawn_house().await;
    let paid = Uuid::now_v7();
    for (order_id, method) in
        [(paid, "card_ok"), (paid, "card_ok"), (Uuid::now_v7(), "card_ok"), (Uuid::now_v7(), "card_declined")]
    {
        charge(&house.app, order_id, method).await;
    }
    let failing = Uuid::now_v7();
    charge(&house.app, failing, "gateway_error").await;
    house.app.telemetry.background_done(Duration::from_secs(10)).await;
    refund(&house.app, paid).await.json(200);
    let mut counted: Vec<(String, Vec<String>, f64)> = house
        .app
        .telemetry
        .metrics()
        .into_iter()
        .filter(|series| series.name.starts_with("payment."))
        .map(|series| {
            let attributes = series.attributes.iter().map(|(name, value)| format!("{name}={value}"));
            (series.name, attributes.collect(), series.value)
        })
        .collect();
    counted.sort_by(|one, other| (&one.0, &one.1).cmp(&(&other.0, &other.1)));
    let charges = |method: &str, outcome: &str, count: f64| {
        let attributes = vec![format!("payment.method={method}"), format!("payment.outcome={outcome}")];
        ("payment.charges".to_owned(), attributes, count)
    };
    assert_eq!(
        counted,
        [
            charges("card_declined", "declined", 1.0),
            charges("card_ok", "captured", 2.0),
            charges("gateway_error", "gateway_error", 1.0),
            ("payment.refunds".to_owned(), vec![], 1.0),
            ("payment.voids".to_owned(), vec!["payment.outcome=voided".to_owned()], 1.0),
        ]
    );
}

#[actix_web::test]
async fn outside_learns_the_trace_and_neither_tokens_nor_tenants() {
    let body = r#"{"transaction_id":"txn_1","status":"captured"}"#;
    let gateway = ScriptedGateway::start(json_answer("201 Created", body)).await;
    let app = spawn_app(&gateway.url(), "5000").await;
    let request = crate::harness::charge_request(Uuid::now_v7(), "card_ok");
    let request = app.post("/internal/payments", &request).from_service();
    let request = request.with(|request| request.header("baggage", "tenant.name=Analytical%20Engines"));
    request.send().await.json(201);
    let trace = &app.traces(1).await[0];
    let tenant = |span: &SpanTree| span.attributes.get("tenant.name").map(|name| name.as_str().into_owned());
    assert_eq!(tenant(trace).as_deref(), Some("Analytical Engines"));

    let [sent] = &gateway.requests()[..] else { panic!("one request: {:?}", gateway.requests()) };
    let head = sent.split("\r\n\r\n").next().unwrap().to_lowercase();
    let trace_id = app.telemetry.spans()[0].span_context.trace_id().to_string();
    assert!(head.contains(&format!("traceparent: 00-{trace_id}-")), "{head}");
    for secret in ["authorization", "bearer", "baggage", "analytical", "tenant"] {
        assert!(!head.contains(secret), "{secret} went outside: {head}");
    }
}
