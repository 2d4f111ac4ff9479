//! The client's metrics.

use std::time::Duration;

use opentelemetry::Value;
use telemetry_core::client::UrlTemplate;
use telemetry_core::opentelemetry;
use telemetry_core::testing::{Series, TestTelemetry};
use tokio::net::TcpListener;

use crate::harness::{client_trees, routes, series};
use crate::support::TestServer;

#[tokio::test]
async fn the_duration_metric_has_no_url() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    telemetry.client().get(server.url("/orders/7")).send().await.unwrap();
    let durations: Vec<_> = telemetry
        .metrics()
        .into_iter()
        .filter(|series| series.name == "http.client.request.duration")
        .collect();
    let [duration] = &durations[..] else { panic!("one series: {durations:?}") };
    assert_eq!((duration.unit.as_str(), duration.count), ("s", 1));
    let names: Vec<_> = duration.attributes.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "http.request.method",
            "http.response.status_code",
            "network.protocol.version",
            "server.address",
            "server.port"
        ]
    );
}

#[tokio::test]
async fn body_sizes_are_measured_where_they_are_known() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(TestTelemetry::new().clone(), routes);
    let request =
        telemetry.client().post(server.url("/orders/7")).with_extension(UrlTemplate("/orders/{id}"));
    request.body("12345").send().await.unwrap();
    let names = |series: &Series| series.attributes.keys().cloned().collect::<Vec<_>>();
    let [request] = series(&telemetry, "http.client.request.body.size").try_into().unwrap();
    assert_eq!((request.unit.as_str(), request.value), ("By", 5.0));
    let [response] = series(&telemetry, "http.client.response.body.size").try_into().unwrap();
    assert_eq!((response.unit.as_str(), response.count, response.value), ("By", 1, 0.0));
    assert!(names(&request).contains(&"url.template".to_owned()), "{request:?}");

    telemetry.client().get(server.url("/orders/7")).send().await.unwrap();
    let requests = series(&telemetry, "http.client.request.body.size");
    assert_eq!(requests.len(), 1, "a request without a body has no size: {requests:?}");
    let sizes: Vec<_> =
        series(&telemetry, "http.client.response.body.size").iter().map(|series| series.value).collect();
    assert!(sizes.contains(&8.0), "{sizes:?}");
}

#[tokio::test]
async fn requests_under_way_are_counted_until_they_end_or_are_given_up() {
    let telemetry = TestTelemetry::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let request = telemetry.client().get(&url).send();
    let mut request = Box::pin(request);
    tokio::time::timeout(Duration::from_millis(20), &mut request).await.unwrap_err();
    let [active] = series(&telemetry, "http.client.active_requests").try_into().unwrap();
    assert_eq!((active.unit.as_str(), active.value), ("{request}", 1.0));
    let names: Vec<_> = active.attributes.keys().map(String::as_str).collect();
    assert_eq!(names, ["http.request.method", "server.address", "server.port"]);
    drop(request);
    assert_eq!(series(&telemetry, "http.client.active_requests")[0].value, 0.0);
}

#[tokio::test]
async fn addresses_that_a_caller_chooses_make_a_bounded_number_of_series() {
    let telemetry = TestTelemetry::new();
    let client = telemetry.client();
    for number in 0..150 {
        let url = format!("http://127.0.0.1:1/{number}").replace("127.0.0.1", &format!("127.0.1.{number}"));
        client.get(url).send().await.unwrap_err();
    }
    let durations = series(&telemetry, "http.client.request.duration");
    assert_eq!(durations.len(), 101, "a hundred peers and the rest");
    let rest = durations.iter().find(|series| series.attributes["server.address"] == Value::from("_OTHER"));
    let rest = rest.expect("the rest has a series");
    assert_eq!(rest.count, 50);
    assert!(!rest.attributes.contains_key("server.port"));
    let last = client_trees(&telemetry).pop().unwrap();
    assert_eq!(last.attributes["server.address"], Value::from("127.0.1.149"), "the span knows");
}
