//! What a span says of a request that went well.

use actix_web::web;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::{Context, Value};
use telemetry_core::config::Propagator;
use telemetry_core::opentelemetry;
use telemetry_core::propagation::Propagation;
use telemetry_core::testing::TestTelemetry;
use tokio::io::AsyncReadExt;

use crate::harness::{VOLATILE, client, one_tree, request_span, reqwest_get, routes, send_raw, series};
use crate::support::{TestServer, eventually};

#[tokio::test]
async fn a_request_is_one_server_span_with_the_conventions_attributes() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    let response = reqwest_get(&server.url("/orders/7?page=2&token=secret")).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.text().await.unwrap(), "order 7");
    assert_eq!(
        one_tree(&telemetry).await,
        request_span("GET", Some("/orders/{id}"), "/orders/7", Some(200))
            .attribute("url.query", "page=2&token=REDACTED")
    );
}

#[tokio::test]
async fn an_unmatched_path_has_no_route_and_makes_no_series_of_its_own() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    for path in ["/a", "/b", "/c"] {
        assert_eq!(reqwest_get(&server.url(path)).await.status(), 404);
    }
    eventually("three spans", || telemetry.spans().len() == 3).await;
    let trees = telemetry.trees();
    assert_eq!(trees[0].clone().without(&VOLATILE), request_span("GET", None, "/a", Some(404)));
    let durations = series(&telemetry, "http.server.request.duration");
    assert_eq!(durations.len(), 1, "{durations:?}");
    assert_eq!(durations[0].count, 3);
}

#[tokio::test]
async fn an_unknown_method_is_other_and_keeps_its_name_only_on_the_span() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    let method = reqwest::Method::from_bytes(b"BREW").unwrap();
    client().request(method, server.url("/orders/7")).send().await.unwrap();
    let tree = one_tree(&telemetry).await;
    assert_eq!(tree.name, "HTTP /orders/{id}");
    assert_eq!(tree.attributes["http.request.method"], Value::from("_OTHER"));
    assert_eq!(tree.attributes["http.request.method_original"], Value::from("BREW"));
    assert!(!format!("{:?}", telemetry.metrics()).contains("BREW"));
}

#[tokio::test]
async fn the_answer_to_head_has_no_body_and_is_complete() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    client().head(server.url("/head")).send().await.unwrap();
    let tree = one_tree(&telemetry).await;
    assert_eq!(tree, request_span("HEAD", Some("/head"), "/head", Some(200)));
    assert_eq!(series(&telemetry, "http.server.response.body.size")[0].value, 0.0);
}

#[tokio::test]
async fn credentials_in_the_target_are_no_address() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    let request = "GET http://joe:pw@shop.example:8443/missing HTTP/1.1\r\nHost: joe:pw@shop.example\r\n\r\n";
    let _connection = send_raw(&server, request).await;
    eventually("the span", || telemetry.spans().len() == 1).await;
    let [tree] = telemetry.trees().try_into().unwrap();
    assert_eq!(tree.attributes["server.address"], Value::from("shop.example"));
    assert_eq!(tree.attributes["server.port"], Value::from(8443));
    telemetry.assert_absent("joe");
}

#[tokio::test]
async fn an_old_or_nameless_request_is_taken_as_it_is() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    let mut connection = send_raw(&server, "GET /missing HTTP/1.0\r\n\r\n").await;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.0 404"), "{answer}");
    let tree = one_tree(&telemetry).await;
    assert_eq!(tree.attributes["network.protocol.version"], Value::from("1.0"));
    assert!(!tree.attributes.contains_key("server.address"));
}

#[tokio::test]
async fn the_callers_trace_goes_on_and_the_caller_is_told() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    let response = client()
        .get(server.url("/orders/7"))
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .header("tracestate", "vendor=1")
        .header("baggage", "tenant.id=t-1,secret=no")
        .send()
        .await
        .unwrap();
    let tree = one_tree(&telemetry).await;
    let [span] = telemetry.spans().try_into().unwrap();
    assert_eq!(span.span_context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(span.parent_span_id.to_string(), "b7ad6b7169203331");
    assert_eq!(span.span_context.trace_state().header(), "vendor=1");
    assert_eq!(tree.attributes["tenant.id"], Value::from("t-1"));
    assert!(!tree.attributes.contains_key("secret"));
    let told = format!("00-0af7651916cd43dd8448eb211c80319c-{}-01", span.span_context.span_id());
    assert_eq!(response.headers()["traceresponse"], told.as_str());
}

#[tokio::test]
async fn a_request_that_is_sampled_against_its_callers_decision_is_described_like_any_other() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    for traceparent in [None, Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")] {
        let mut request = client().get(server.url("/orders/7?page=2")).header("user-agent", "test/1");
        if let Some(traceparent) = traceparent {
            request = request.header("traceparent", traceparent);
        }
        request.send().await.unwrap();
    }
    eventually("two spans", || telemetry.spans().len() == 2).await;
    let [like_any_other, against] = telemetry.trees().try_into().unwrap();
    assert_eq!(against.attributes["url.query"], Value::from("page=2"));
    assert_eq!(against.without(&VOLATILE), like_any_other.without(&VOLATILE));
}

#[tokio::test]
async fn the_trace_reaches_blocking_threads() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    reqwest_get(&server.url("/blocking")).await;
    assert_eq!(one_tree(&telemetry).await.attributes["from.blocking"], Value::from(true));
}

#[tokio::test]
async fn targets_of_every_form_are_taken_as_they_are() {
    let table = [
        (
            "GET http://shop.example:81/orders/7 HTTP/1.1",
            "GET /orders/{id}",
            "/orders/7",
            "shop.example",
            Some(81),
        ),
        ("OPTIONS * HTTP/1.1", "OPTIONS", "*", "shop.test", None),
        ("CONNECT shop.example:443 HTTP/1.1", "CONNECT", "", "shop.example", Some(443)),
        ("GET //orders//7 HTTP/1.1", "GET", "//orders//7", "shop.test", None),
        ("GET /%2e%2e/x;session=canary HTTP/1.1", "GET", "/%2e%2e/x;session=REDACTED", "shop.test", None),
    ];
    for (line, name, path, address, port) in table {
        let telemetry = TestTelemetry::new();
        let server = TestServer::start(telemetry.clone(), routes);
        let _connection = send_raw(&server, &format!("{line}\r\nHost: shop.test\r\n\r\n")).await;
        eventually(line, || telemetry.spans().len() == 1).await;
        let [tree] = telemetry.trees().try_into().unwrap();
        assert_eq!(tree.name, name, "{line}");
        assert_eq!(tree.attributes["url.path"], Value::from(path), "{line}");
        assert_eq!(tree.attributes["server.address"], Value::from(address), "{line}");
        assert_eq!(tree.attributes.get("server.port"), port.map(Value::from).as_ref(), "{line}");
    }
}

/// What a handler sees of the baggage.
fn carried(config: &mut web::ServiceConfig) {
    let carried = async || {
        Context::map_current(|cx| {
            let entry = |name| cx.baggage().get(name).map(ToString::to_string).unwrap_or_default();
            format!("{} {}", entry("tenant.id"), entry("other"))
        })
    };
    config.route("/orders", web::get().to(carried)).route("/internal/orders", web::get().to(carried));
}

fn reserving_tenants() -> TestTelemetry {
    let w3c = Propagation::new(&[Propagator::TraceContext, Propagator::Baggage]);
    TestTelemetry::with_propagation(w3c.reserving(["tenant.id"]))
}

#[tokio::test]
async fn a_caller_names_its_tenant_only_where_callers_are_trusted() {
    let telemetry = reserving_tenants();
    let server = TestServer::start(telemetry.clone(), carried);
    for (path, carried, tenant) in
        [("/orders", " 1", None), ("/internal/orders", "forged 1", Some(Value::from("forged")))]
    {
        let request = client().get(server.url(path)).header("baggage", "tenant.id=forged");
        let answer = request.header("baggage", "other=1").send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), carried, "{path}");
        eventually("the span", || telemetry.trees().iter().any(|tree| tree.name == format!("GET {path}")))
            .await;
        let tree = telemetry.trees().into_iter().find(|tree| tree.name == format!("GET {path}")).unwrap();
        assert_eq!(tree.attributes.get("tenant.id"), tenant.as_ref(), "{path}");
    }
}

#[tokio::test]
async fn a_caller_that_proves_nothing_names_no_tenant_where_proof_is_asked_for() {
    let telemetry = reserving_tenants();
    let middleware = telemetry
        .server()
        .trust_baggage_of(|request| match request.headers().get("x-proof") {
            Some(proof) => proof == "good",
            None => panic!("a bad hook"),
        })
        .trust_baggage_of(|request| request.method() == "GET");
    let server = TestServer::wrapped(middleware, carried);
    let table = [
        ("/internal/orders", Some("good"), Some("t-1")),
        ("/internal/orders", Some("bad"), None),
        ("/internal/orders", None, None),
        ("/orders", Some("good"), None),
    ];
    for (path, proof, tenant) in table {
        let mut request = client().get(server.url(path)).header("baggage", "tenant.id=t-1,other=1");
        if let Some(proof) = proof {
            request = request.header("x-proof", proof);
        }
        let answer = request.send().await.unwrap().text().await.unwrap();
        assert_eq!(answer, format!("{} 1", tenant.unwrap_or_default()), "{path} {proof:?}");
    }
    eventually("the spans", || telemetry.trees().len() == table.len()).await;
    let spans = telemetry.trees();
    let told: Vec<_> = spans.iter().map(|span| span.attributes.get("tenant.id").cloned()).collect();
    assert_eq!(told, [Some(Value::from("t-1")), None, None, None]);
}
