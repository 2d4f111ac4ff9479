//! What the application adds to the default: hooks, headers, proxies, methods, older names.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::dev::Service as _;
use actix_web::error::ErrorServiceUnavailable;
use actix_web::{HttpResponse, web};
use opentelemetry::{Array, KeyValue, StringValue, Value};
use telemetry_core::config::Http;
use telemetry_core::opentelemetry;
use telemetry_core::testing::TestTelemetry;

use crate::harness::{VOLATILE, client, one_tree, request_span, reqwest_get, routes, series};
use crate::support::TestServer;

fn http(set: impl FnOnce(&mut Http)) -> TestTelemetry {
    let mut http = Http::default();
    set(&mut http);
    TestTelemetry::with_http(http)
}

fn strings(values: &[&str]) -> Value {
    let values: Vec<StringValue> =
        values.iter().map(|value| StringValue::from((*value).to_owned())).collect();
    Value::Array(Array::String(values))
}

#[tokio::test]
async fn hooks_add_attributes_of_request_and_response() {
    let telemetry = TestTelemetry::new();
    let middleware = telemetry
        .server()
        .on_request(|request, span| {
            let tier = request.headers().get("x-user-tier").unwrap().to_str().unwrap().to_owned();
            span.set_attribute(KeyValue::new("app.user_tier", tier));
        })
        .on_request(|_, span| span.set_attribute(KeyValue::new("app.request_id", "r-1")))
        .on_response(|response, span| {
            span.set_attribute(KeyValue::new("app.status", i64::from(response.status.as_u16())));
        });
    let server = TestServer::wrapped(middleware, routes);
    client().get(server.url("/missing")).header("x-user-tier", "free").send().await.unwrap();
    assert_eq!(
        one_tree(&telemetry).await,
        request_span("GET", Some("/missing"), "/missing", Some(404))
            .attribute("app.user_tier", "free")
            .attribute("app.request_id", "r-1")
            .attribute("app.status", 404)
    );
}

#[tokio::test]
async fn a_name_that_a_hook_gives_lasts_however_the_answer_came_about() {
    let telemetry = TestTelemetry::new();
    let middleware = telemetry.server().on_response(|_, span| span.update_name("given"));
    let server = TestServer::wrapped(middleware, |config: &mut web::ServiceConfig| {
        let refuse = web::scope("/guarded").wrap_fn(|request, service| {
            drop(service.call(request));
            async { Err::<actix_web::dev::ServiceResponse, _>(ErrorServiceUnavailable("full")) }
        });
        config.route("/open", web::get().to(HttpResponse::Ok));
        config.service(refuse.route("/orders", web::get().to(HttpResponse::Ok)));
    });
    for path in ["/open", "/guarded/orders"] {
        reqwest_get(&server.url(path)).await;
    }
    crate::support::eventually("two spans", || telemetry.spans().len() == 2).await;
    for tree in telemetry.trees() {
        assert_eq!(tree.name, "given", "{tree:?}");
        assert_eq!(tree.attributes["http.route"], tree.attributes["url.path"]);
    }
}

#[tokio::test]
async fn a_hook_that_panics_costs_no_request_and_is_logged_once() {
    let telemetry = Arc::new(TestTelemetry::new());
    let middleware = telemetry
        .server()
        .on_request(|_, _| panic!("a bad hook"))
        .on_request(|_, span| span.set_attribute(KeyValue::new("app.second", true)))
        .on_response(|_, _| panic!("another"));
    let logs = telemetry.clone();
    let server = TestServer::wrapped(middleware, move |config: &mut web::ServiceConfig| {
        // Runs on the worker's thread, which is where hooks run.
        std::mem::forget(logs.collect_tracing());
        config.route("/", web::get().to(HttpResponse::Ok));
    });
    for _ in 0..3 {
        assert_eq!(reqwest_get(&server.url("/")).await.status(), 200);
    }
    crate::support::eventually("three spans", || telemetry.spans().len() == 3).await;
    let mut wanted = request_span("GET", Some("/"), "/", Some(200)).attribute("app.second", true);
    wanted.events.clear();
    assert_eq!(telemetry.trees()[2].clone().without(&VOLATILE), wanted);
    let logs = telemetry.logs();
    let told = logs.iter().filter(|log| log.body.contains("hook"));
    let told: Vec<_> = told.collect();
    assert_eq!(told.len(), 2, "one for the requests' hooks, one for the responses': {told:?}");
    assert!(told.iter().all(|log| log.body.contains("a telemetry hook panicked")), "{told:?}");
}

#[tokio::test]
async fn a_request_that_is_not_recorded_runs_no_hook() {
    let telemetry = TestTelemetry::with_sampler(opentelemetry_sdk::trace::Sampler::AlwaysOff);
    let runs = Arc::new(AtomicUsize::new(0));
    let counter = runs.clone();
    let middleware = telemetry.server().on_request(move |_, _| {
        counter.fetch_add(1, Ordering::Relaxed);
    });
    let server = TestServer::wrapped(middleware, routes);
    reqwest_get(&server.url("/missing")).await;
    assert_eq!(runs.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn allowed_headers_are_captured_and_secrets_never() {
    let telemetry = http(|http| {
        http.server_headers.request =
            ["Accept", "x-*", "authorization", "cookie"].map(str::to_owned).to_vec();
        http.server_headers.response = ["x-answer", "set-cookie"].map(str::to_owned).to_vec();
    });
    let server = TestServer::start(telemetry.clone(), |config: &mut web::ServiceConfig| {
        let answer = async || {
            HttpResponse::Ok()
                .append_header(("x-answer", "1"))
                .append_header(("x-answer", "2"))
                .append_header(("set-cookie", "id=canary"))
                .finish()
        };
        config.route("/", web::get().to(answer));
    });
    let request = client()
        .get(server.url("/"))
        .header("accept", "text/html")
        .header("authorization", "Bearer canary")
        .header("cookie", "id=canary")
        .header("x-api-key", "canary")
        .header("x-csrf-token", "canary")
        .header("x-tag", "a")
        .header("x-tag", "b");
    request.send().await.unwrap();
    assert_eq!(
        one_tree(&telemetry).await,
        request_span("GET", Some("/"), "/", Some(200))
            .attribute("http.request.header.accept", strings(&["text/html"]))
            .attribute("http.request.header.x-tag", strings(&["a", "b"]))
            .attribute("http.response.header.x-answer", strings(&["1", "2"]))
    );
    telemetry.assert_absent("canary");
}

#[tokio::test]
async fn forwarded_for_is_believed_from_trusted_proxies_alone() {
    let ask = async |telemetry: &TestTelemetry| {
        let server = TestServer::start((**telemetry).clone(), routes);
        let request = client()
            .get(server.url("/missing"))
            .header("x-forwarded-for", "6.6.6.6, 192.0.2.7:99")
            .header("x-forwarded-proto", "https")
            .header("x-forwarded-host", "shop.example:8443");
        request.send().await.unwrap();
        crate::support::eventually("the span", || telemetry.spans().len() == 1).await;
        let [tree] = telemetry.trees().try_into().unwrap();
        tree.without(&["network.peer.port"])
    };
    let untrusting = TestTelemetry::new();
    assert_eq!(
        ask(&untrusting).await.without(&["server.port"]),
        request_span("GET", Some("/missing"), "/missing", Some(404))
    );
    let trusting = http(|http| http.trusted_proxies = vec![IpAddr::from(Ipv4Addr::LOCALHOST).into()]);
    assert_eq!(
        ask(&trusting).await,
        request_span("GET", Some("/missing"), "/missing", Some(404))
            .attribute("client.address", "192.0.2.7")
            .attribute("client.port", 99)
            .attribute("url.scheme", "https")
            .attribute("server.address", "shop.example")
            .attribute("server.port", 8443)
    );
    let durations = series(&trusting, "http.server.request.duration");
    assert_eq!(durations[0].attributes["url.scheme"], Value::from("https"));
    assert!(!format!("{:?}", trusting.metrics()).contains("shop.example"));
}

#[tokio::test]
async fn a_list_of_known_methods_replaces_the_default() {
    let telemetry = http(|http| http.known_methods = vec!["PURGE".to_owned()]);
    let server = TestServer::start(telemetry.clone(), routes);
    let purge = reqwest::Method::from_bytes(b"PURGE").unwrap();
    client().request(purge, server.url("/orders/7")).send().await.unwrap();
    client().get(server.url("/orders/7")).send().await.unwrap();
    crate::support::eventually("both spans", || telemetry.spans().len() == 2).await;
    let methods: Vec<_> = telemetry
        .trees()
        .into_iter()
        .map(|tree| (tree.name, tree.attributes["http.request.method"].clone()))
        .collect();
    assert_eq!(
        methods,
        [
            ("PURGE /orders/{id}".to_owned(), Value::from("PURGE")),
            ("HTTP /orders/{id}".to_owned(), Value::from("_OTHER"))
        ]
    );
}

#[tokio::test]
async fn under_http_dup_the_older_names_stand_beside_the_stable_ones() {
    let telemetry = http(|http| http.old_names_too = true);
    let server = TestServer::start(telemetry.clone(), routes);
    let request = client().get(server.url("/orders/7?token=canary&page=2")).header("user-agent", "test/1");
    request.send().await.unwrap().text().await.unwrap();
    let address = server.address.to_string();
    assert_eq!(
        one_tree(&telemetry).await.without(&["net.host.port"]),
        request_span("GET", Some("/orders/{id}"), "/orders/7", Some(200))
            .attribute("url.query", "token=REDACTED&page=2")
            .attribute("user_agent.original", "test/1")
            .attribute("http.method", "GET")
            .attribute("http.scheme", "http")
            .attribute("http.target", "/orders/7?token=REDACTED&page=2")
            .attribute("http.host", address)
            .attribute("net.host.name", "127.0.0.1")
            .attribute("net.peer.ip", "127.0.0.1")
            .attribute("http.flavor", "1.1")
            .attribute("http.user_agent", "test/1")
            .attribute("http.status_code", 200)
    );
    client().get(server.url("/nowhere")).send().await.unwrap();
    crate::support::eventually("both spans", || telemetry.spans().len() == 2).await;
    for (name, unit) in
        [("http.server.requests", "1"), ("http.server.duration", "ms"), ("http.server.response.size", "By")]
    {
        let found = series(&telemetry, name);
        assert_eq!(found.len(), 2, "{found:?}");
        let matched = found.iter().find(|series| series.attributes.contains_key("http.route")).unwrap();
        assert_eq!(matched.unit, unit);
        let attributes: Vec<_> =
            matched.attributes.iter().map(|(name, value)| (&**name, value.clone())).collect();
        assert_eq!(
            attributes,
            [
                ("http.method", Value::from("GET")),
                ("http.route", Value::from("/orders/{id}")),
                ("http.status_code", Value::from(200))
            ]
        );
    }
    assert_eq!(series(&telemetry, "http.server.response.size").iter().map(|s| s.value).sum::<f64>(), 7.0);
    let (old, stable) = (
        series(&telemetry, "http.server.duration").iter().map(|s| s.value).sum::<f64>(),
        series(&telemetry, "http.server.request.duration").iter().map(|s| s.value).sum::<f64>(),
    );
    assert!((old - stable * 1000.0).abs() < 1e-6, "{old} ms, {stable} s");
}

#[tokio::test]
async fn without_http_dup_no_older_name_is_told() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    reqwest_get(&server.url("/orders/7")).await;
    crate::support::eventually("the span", || telemetry.spans().len() == 1).await;
    let tree = &telemetry.trees()[0];
    for name in ["http.method", "http.target", "http.status_code", "net.peer.ip"] {
        assert!(!tree.attributes.contains_key(name), "{name}");
    }
    assert!(series(&telemetry, "http.server.duration").is_empty());
}
