//! What the page is served with, and what it asks for.

use reqwest::{Method, StatusCode};
use trace_viewer::model::{Graph, Instruments, Logs, SeriesList, Services, Trace, TraceList};
use trace_viewer::{Limits, Problem};

use super::{JSON, PROTOBUF, Peer, protobuf, root, trace_id};

#[actix_web::test]
async fn the_page_and_its_files_come_with_a_policy_that_lets_nothing_else_run() {
    let peer = Peer::start(Limits::default());
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
        ("/main.js", "text/javascript; charset=utf-8"),
        ("/vendor/uplot/uPlot.esm.js", "text/javascript; charset=utf-8"),
    ] {
        let response = peer.get(path).await;
        let headers = response.headers();
        assert_eq!(
            (response.status(), &headers["content-type"]),
            (StatusCode::OK, &kind.parse().unwrap()),
            "{path}"
        );
        assert_eq!(headers["x-content-type-options"], "nosniff");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains('*') && !policy.contains("http"), "{policy}");
        let tag = headers["etag"].to_str().unwrap().to_owned();
        let again = peer.client.get(format!("{}{path}", peer.viewer.url())).header("if-none-match", tag);
        assert_eq!(again.send().await.unwrap().status(), StatusCode::NOT_MODIFIED, "{path}");
    }
}

#[actix_web::test]
async fn a_trace_s_address_without_the_number_sign_leads_to_the_page() {
    let peer = Peer::start(Limits::default());
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    let request = client.build().unwrap().get(format!("{}/traces/ab12%0d%0aevil", peer.viewer.url()));
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(response.headers()["location"], "/#/traces/ab12e");
}

#[actix_web::test]
async fn a_trace_that_did_not_change_is_not_sent_again() {
    let peer = Peer::start(Limits::default());
    peer.post("/v1/traces", PROTOBUF, protobuf(vec![root(1)])).await;
    let path = format!("{}/api/traces/{}", peer.viewer.url(), trace_id(1));
    let first = peer.client.get(&path).send().await.unwrap();
    let tag = first.headers()["etag"].clone();
    assert_eq!(first.json::<Trace>().await.unwrap().spans.len(), 1);
    let again = || peer.client.get(&path).header("if-none-match", &tag).send();
    assert_eq!(again().await.unwrap().status(), StatusCode::NOT_MODIFIED);
    let log = format!(
        r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"traceId":"{}"}}]}}]}}]}}"#,
        trace_id(1)
    );
    assert_eq!(peer.post("/v1/logs", JSON, log).await.status(), StatusCode::OK);
    assert_eq!(again().await.unwrap().json::<Trace>().await.unwrap().logs.len(), 1);
}

#[actix_web::test]
async fn a_follower_hears_the_status_at_once_and_after_arrivals_and_lets_the_viewer_stop() {
    let peer = Peer::start(Limits::default());
    let mut events = peer.get("/api/live").await;
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    let mut next = async || String::from_utf8(events.chunk().await.unwrap()?.to_vec()).ok();
    assert!(next().await.unwrap().contains(r#""traces":0"#));
    for n in 1..=3 {
        peer.post("/v1/traces", PROTOBUF, protobuf(vec![root(n)])).await;
    }
    // However many requests came meanwhile, the last event tells of all.
    while !next().await.unwrap().contains(r#""held":{"traces":3"#) {}
    peer.viewer.stop().unwrap();
    assert_eq!(next().await, None);
}

#[actix_web::test]
async fn followers_beyond_the_limit_are_refused_and_those_who_left_make_room() {
    let peer = Peer::start(Limits::default());
    let mut followers = Vec::new();
    for _ in 0..64 {
        followers.push(peer.get("/api/live").await);
    }
    assert_eq!(peer.get("/api/live").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    followers.clear();
    // A connection that is gone is noticed when it is written to.
    loop {
        peer.post("/v1/traces", PROTOBUF, protobuf(vec![root(1)])).await;
        if peer.get("/api/live").await.status() == StatusCode::OK {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[actix_web::test]
async fn filters_pages_series_and_graph_are_asked_for_by_address() {
    let peer = Peer::start(Limits::default());
    peer.post("/v1/traces", PROTOBUF, protobuf(vec![root(1), root(2), root(3)])).await;
    let list: TraceList =
        peer.read("/api/traces?limit=2&service=order-service&status=ok&attribute=order.amount%3D50").await;
    assert_eq!(list.traces.len(), 2);
    let rest: TraceList = peer.read(&format!("/api/traces?limit=2&before={}", list.before.unwrap())).await;
    assert_eq!((rest.traces.len(), rest.before), (1, None));
    assert_eq!(peer.read::<TraceList>("/api/traces?min_ms=1").await.traces, []);
    assert_eq!(peer.read::<TraceList>("/api/traces?text=NOWHERE&service=").await.traces, []);
    assert_eq!(peer.read::<Services>("/api/services").await.services, ["order-service"]);
    assert_eq!(peer.read::<Logs>("/api/logs?severity=17&text=x").await.records, []);
    assert_eq!(peer.read::<Instruments>("/api/metrics/instruments").await.instruments, []);
    let series: SeriesList = peer.read("/api/metrics/series?name=none&by=&seconds=60").await;
    assert_eq!((series.times.len(), series.kind), (12, None));
    // The traces of these tests began in 1970.
    assert_eq!(peer.read::<Graph>("/api/graph").await.nodes, []);
    for path in [
        "/api/traces?before=x",
        "/api/traces?status=bad",
        "/api/metrics/series",
        "/api/metrics/series?name=a&only=b",
    ] {
        assert_eq!(peer.get(path).await.status(), StatusCode::BAD_REQUEST, "{path}");
    }
}

#[actix_web::test]
async fn a_name_that_was_rebound_to_this_machine_reads_nothing_and_sends_nothing() {
    let peer = Peer::start(Limits::default());
    peer.post("/v1/traces", PROTOBUF, protobuf(vec![root(1)])).await;
    let ask = |method: Method, path: &str, host: &str| {
        let request = peer.client.request(method, format!("{}{path}", peer.viewer.url()));
        request.header("host", host).header("content-type", JSON).send()
    };
    for path in ["/", "/main.js", "/api/traces", "/api/live", "/nowhere"] {
        let refused = ask(Method::GET, path, "rebound.example:8090").await.unwrap();
        assert_eq!(refused.status(), StatusCode::MISDIRECTED_REQUEST, "{path}");
        assert_eq!(refused.json::<Problem>().await.unwrap().code, "unknown_host");
    }
    let sent = ask(Method::POST, "/v1/traces", "rebound.example").await.unwrap();
    assert_eq!(sent.status(), StatusCode::MISDIRECTED_REQUEST);
    for host in ["localhost:8090", "127.0.0.1", "[::1]:1"] {
        assert_eq!(ask(Method::GET, "/api/traces", host).await.unwrap().status(), StatusCode::OK, "{host}");
    }
    assert_eq!(peer.status().await.received.requests, 1);
}
