//! What is broken on purpose: that it shows, and that it ends.

use demo::scenarios::Scenario;
use demo::shop::{Placed, Shop};
use demo::stage::Stage;
use demo::storefront::{Facts, Storefront};
use demo::traces::Traces;
use reqwest::{Method, StatusCode};
use serde_json::json;
use trace_viewer::model::TraceList;

use crate::harness::{Backend, TestSystem, eventually, run};

/// Switches a scenario on, waits until `shows` says that it does, and sees that all is well once it is off.
fn play(scenario: Scenario, shows: impl AsyncFn(&Shop, &Traces) -> bool) {
    run(async {
        let mut test = TestSystem::start_with(Backend::Sqlite, std::time::Duration::from_secs(5), &[]).await;
        let (shop, traces) = (test.shop.clone(), test.traces.clone());
        let mut stage = Stage::new(&mut test.system, shop.clone());
        stage.switch(scenario, true).await.unwrap();
        eventually(scenario.name(), async || shows(&shop, &traces).await).await;
        stage.switch(scenario, false).await.unwrap();
        let placed = order(&shop).await;
        assert_eq!(placed.status, 201, "{}", placed.body);
        test.system.stop().await.unwrap();
    });
}

async fn order(shop: &Shop) -> Placed {
    shop.order(shop.in_stock(), "card_ok").await.unwrap()
}

#[test]
fn some_payments_are_declined() {
    play(Scenario::PaymentDeclines, async |shop, _| {
        let placed = order(shop).await;
        assert!(placed.status == 201 || placed.body["code"] == "payment_declined", "{}", placed.body);
        placed.status == 402
    });
}

#[test]
fn a_slow_gateway_makes_orders_slow_and_no_more_than_that() {
    play(Scenario::SlowGateway, async |shop, traces| {
        let placed = order(shop).await;
        assert_eq!(placed.status, 201, "{}", placed.body);
        let trace = traces.settled(placed.trace_id, std::time::Duration::from_secs(15)).await.unwrap();
        let charge = trace.spans_named("POST /charges").next().unwrap();
        charge.end_unix_nano - charge.start_unix_nano >= 3_000_000_000
    });
}

#[test]
fn an_unreachable_gateway_fails_payments_without_a_connection() {
    play(Scenario::GatewayUnreachable, async |shop, _| {
        order(shop).await.body["code"] == json!("payment_unavailable")
    });
}

#[test]
fn a_stopped_inventory_fails_orders() {
    play(Scenario::InventoryDown, async |shop, _| {
        order(shop).await.body["code"] == json!("inventory_unavailable")
    });
}

#[test]
fn a_hot_product_is_sold_out() {
    play(Scenario::HotProduct, async |_, traces| {
        let sold_out = "status=error&service=inventory-service&attribute=http.response.status_code%3D409";
        !search(traces, sold_out).await.traces.is_empty()
    });
}

#[test]
fn a_leak_of_queries_is_told_of_by_the_request_s_span() {
    play(Scenario::NPlusOne, async |_, traces| {
        !search(traces, "service=inventory-service&attribute=db.query.repeated").await.traces.is_empty()
    });
}

#[test]
fn without_the_viewer_orders_go_on() {
    run(async {
        let mut test = TestSystem::start(Backend::Sqlite).await;
        let (shop, traces) = (test.shop.clone(), test.traces.clone());
        let mut stage = Stage::new(&mut test.system, shop.clone());
        stage.switch(Scenario::TelemetryDown, true).await.unwrap();
        let placed = order(&shop).await;
        assert_eq!(placed.status, 201, "{}", placed.body);
        stage.switch(Scenario::TelemetryDown, false).await.unwrap();
        eventually("what waited arrives", async || {
            traces
                .find(placed.trace_id)
                .await
                .is_ok_and(|trace| trace.is_some_and(|trace| trace.is_complete()))
        })
        .await;
        test.system.stop().await.unwrap();
    });
}

#[test]
fn an_overloaded_inventory_is_asked_again_and_again() {
    play(Scenario::RetryStorm, async |_, traces| {
        !search(traces, "service=order-service&attribute=http.request.resend_count").await.traces.is_empty()
    });
}

async fn search(traces: &Traces, query: &str) -> TraceList {
    traces.search(query).await.unwrap()
}

#[test]
fn the_page_s_switches_are_for_the_page_alone() {
    run(async {
        let mut test = TestSystem::start(Backend::Sqlite).await;
        let storefront = Storefront::bind(false).unwrap();
        let url = storefront.url();
        let (facts, client) = (Facts::new(&test.system, &test.shop), test.system.client().clone());
        let mut stage = Stage::new(&mut test.system, test.shop.clone());
        let desk = stage.desk();
        let ask = async |method: Method, path: &str, kind: &str, host: &str, body: &'static str| {
            let request = client.request(method, format!("{url}{path}")).header("content-type", kind);
            let request = if host.is_empty() { request } else { request.header("host", host) };
            request.body(body).send().await.unwrap().status()
        };
        let asking = async {
            let (switch, json, on) = ("/scenarios/slow-gateway", "application/json", r#"{"on":true}"#);
            // What another page may send without asking first.
            assert!(ask(Method::PUT, switch, "text/plain", "", on).await.is_client_error());
            assert!(ask(Method::POST, switch, json, "", on).await.is_client_error());
            assert_eq!(
                ask(Method::POST, "/v1/traces", "text/plain", "", "{}").await,
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            );
            // What it may ask first is not answered, and a name that leads here is no way in.
            let preflight = client.request(Method::OPTIONS, format!("{url}{switch}"));
            let preflight = preflight.header("origin", "http://rebound.example");
            let answer = preflight.header("access-control-request-method", "PUT").send().await.unwrap();
            assert!(answer.headers().get("access-control-allow-origin").is_none());
            assert_eq!(ask(Method::PUT, switch, json, "rebound.example", on).await, 421);
            assert!(desk.on().is_empty());
            assert_eq!(ask(Method::PUT, "/scenarios/none", json, "", on).await, StatusCode::NOT_FOUND);
            assert_eq!(ask(Method::PUT, switch, json, "", on).await, StatusCode::OK);
            assert_eq!(desk.on().len(), 1);
            assert_eq!(ask(Method::POST, "/v1/traces", json, "", "{").await, StatusCode::BAD_REQUEST);
            assert_eq!(ask(Method::POST, "/v1/traces", json, "", "{}").await, StatusCode::OK);
        };
        tokio::select! {
            ended = stage.run() => panic!("{ended:?}"),
            served = storefront.serve(facts, desk.clone(), client.clone()) => panic!("{served:?}"),
            () = asking => {}
        }
        test.system.stop().await.unwrap();
    });
}
