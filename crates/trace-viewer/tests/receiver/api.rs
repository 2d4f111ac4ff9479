//! The JSON API and the life of the process.

use opentelemetry_proto::tonic::trace::v1::{Span, Status as WireStatus};
use reqwest::StatusCode;
use trace_viewer::model::{Health, Logs, Metrics, Trace, TraceList};
use trace_viewer::{Limits, Options, Problem, RenderOptions, Viewer, render_trace};

use super::{PROTOBUF, Peer, client, protobuf, root, trace_id};

fn child(n: u8, id: u8, name: &str) -> Span {
    let status = Some(WireStatus { code: 2, message: "Out of stock".to_owned() });
    Span {
        span_id: vec![id; 8],
        parent_span_id: vec![id - 1; 8],
        start_time_unix_nano: 2_000,
        end_time_unix_nano: 9_000,
        name: name.to_owned(),
        status,
        ..root(n)
    }
}

#[actix_web::test]
async fn summaries_tell_a_trace_in_a_line() {
    let peer = Peer::start(Limits::default());
    peer.post("/v1/traces", PROTOBUF, protobuf(vec![child(1, 2, "create_order"), root(1)])).await;
    let list: TraceList = peer.read("/api/traces").await;
    let [summary] = list.traces.as_slice() else { panic!("{list:?}") };
    assert_eq!(summary.trace_id, trace_id(1));
    assert_eq!(
        (summary.root_service.as_str(), summary.root_name.as_str()),
        ("order-service", "POST /api/orders")
    );
    assert_eq!((summary.start_unix_nano, summary.duration_nano), (1_000, 8_000));
    assert_eq!((summary.span_count, summary.error_count, summary.complete), (2, 1, true));
    assert_eq!(summary.services, ["order-service"]);
}

#[actix_web::test]
async fn a_follower_polls_for_what_changed() {
    let peer = Peer::start(Limits::default());
    let start: TraceList = peer.read("/api/traces?limit=1").await;
    peer.post("/v1/traces", PROTOBUF, protobuf(vec![root(1), root(2)])).await;
    let first: TraceList = peer.read(&format!("/api/traces?since={}", start.cursor)).await;
    assert_eq!(first.traces.len(), 2);
    let nothing: TraceList = peer.read(&format!("/api/traces?since={}", first.cursor)).await;
    assert_eq!((nothing.traces.len(), &nothing.cursor), (0, &first.cursor));
    peer.post("/v1/traces", PROTOBUF, protobuf(vec![child(1, 2, "late")])).await;
    let changed: TraceList = peer.read(&format!("/api/traces?limit=7&since={}", first.cursor)).await;
    assert_eq!(changed.traces.iter().map(|trace| trace.trace_id).collect::<Vec<_>>(), [trace_id(1)]);
}

#[actix_web::test]
async fn a_trace_that_was_fetched_can_be_drawn() {
    let peer = Peer::start(Limits::default());
    peer.post("/v1/traces", PROTOBUF, protobuf(vec![child(1, 2, "create_order"), root(1)])).await;
    let trace: Trace = peer.read(&format!("/api/traces/{}", trace_id(1))).await;
    let text = render_trace(&trace, &RenderOptions { width: 100, colour: false });
    assert!(text.contains("order-service POST /api/orders 201"), "{text}");
    assert!(text.contains("└─ create_order"), "{text}");
    assert!(text.contains("ERROR Out of stock"), "{text}");
    // What a consumer read and writes again is the same.
    let json = serde_json::to_string(&trace).unwrap();
    assert_eq!(serde_json::from_str::<Trace>(&json).unwrap(), trace);
}

#[actix_web::test]
async fn errors_are_problem_documents_with_a_code() {
    let peer = Peer::start(Limits::default());
    for (path, status, code) in [
        (format!("/api/traces/{}", trace_id(9)), 404, "trace_not_found"),
        ("/api/traces/nonsense".to_owned(), 404, "trace_not_found"),
        ("/api/traces?limit=many".to_owned(), 400, "invalid_query"),
        ("/api/traces?since=yesterday".to_owned(), 400, "invalid_query"),
        ("/api/traces?unknown=1".to_owned(), 400, "invalid_query"),
        ("/api/logs?trace_id=1".to_owned(), 400, "invalid_query"),
        ("/nothing/here".to_owned(), 404, "not_found"),
    ] {
        let response = peer.get(&path).await;
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{path}");
        assert_eq!(response.status().as_u16(), status, "{path}");
        let problem: Problem = response.json().await.unwrap();
        assert_eq!((problem.status, problem.code.as_str()), (status, code), "{path}");
    }
    let posted = peer.post("/api/traces", PROTOBUF, "").await;
    assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(posted.json::<Problem>().await.unwrap().code, "method_not_allowed");
}

#[actix_web::test]
async fn an_empty_viewer_answers_everywhere() {
    let peer = Peer::start(Limits::default());
    assert_eq!(peer.read::<Health>("/health").await.status, "ok");
    assert_eq!(peer.read::<TraceList>("/api/traces").await.traces, []);
    assert_eq!(peer.read::<Logs>("/api/logs").await.records, []);
    assert_eq!(peer.read::<Metrics>("/api/metrics").await.metrics, []);
    assert_eq!(peer.status().await.limits, Limits::default());
    let index = peer.get("/").await;
    assert_eq!(index.headers()["content-type"], "text/html; charset=utf-8");
    assert!(index.text().await.unwrap().contains("/api/traces"));
}

#[actix_web::test]
async fn a_stopped_viewer_gives_its_port_back() {
    let peer = Peer::start(Limits::default());
    let address = peer.viewer.address();
    peer.viewer.stop().unwrap();
    let again = Viewer::bind(Options { address, ..Options::default() }).unwrap();
    assert_eq!(again.address(), address);
}

#[tokio::test]
async fn a_viewer_runs_on_a_plain_runtime_until_it_is_told_to_stop() {
    let viewer =
        Viewer::bind(Options { address: "127.0.0.1:0".parse().unwrap(), ..Options::default() }).unwrap();
    let url = viewer.url();
    viewer
        .run_until(async move {
            let health = client().get(format!("{url}/health"));
            assert_eq!(health.send().await.unwrap().status(), StatusCode::OK);
        })
        .await
        .unwrap();
}
