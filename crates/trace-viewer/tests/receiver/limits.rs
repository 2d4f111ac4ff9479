//! Nothing that is sent makes the viewer larger than its limits, or ends it.

use std::io::Write;
use std::net::TcpStream;

use opentelemetry_proto::tonic::trace::v1::Span;
use reqwest::StatusCode;
use trace_viewer::Limits;
use trace_viewer::model::TraceList;

use super::{JSON, PROTOBUF, Peer, gzip, protobuf, root};

#[actix_web::test]
async fn bodies_over_the_limit_are_refused_before_and_after_inflating() {
    let peer = Peer::start(Limits { body_bytes: 10_000, ..Limits::default() });
    let large = protobuf(vec![Span { name: "x".repeat(20_000), ..root(1) }]);
    assert!(gzip(&large).len() < 1_000);
    assert_eq!(
        peer.post("/v1/traces", PROTOBUF, large.clone()).await.status(),
        StatusCode::PAYLOAD_TOO_LARGE
    );
    assert_eq!(peer.post_gzip("/v1/traces", PROTOBUF, &large).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(peer.post("/v1/traces", PROTOBUF, protobuf(vec![root(1)])).await.status(), StatusCode::OK);
    assert_eq!(peer.status().await.dropped.refused_requests, 2);
}

#[actix_web::test]
async fn a_small_body_that_decodes_to_much_is_refused() {
    let peer = Peer::start(Limits { decoded_bytes: 1 << 20, ..Limits::default() });
    let spans = protobuf(vec![Span::default(); 50_000]);
    assert_eq!(peer.post("/v1/traces", PROTOBUF, spans).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let json = format!(r#"{{"resourceSpans":[{}{{}}]}}"#, "{},".repeat(50_000));
    assert_eq!(peer.post("/v1/traces", JSON, json).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[actix_web::test]
async fn senders_in_excess_of_the_inflow_are_asked_to_come_again() {
    let peer = Peer::start(Limits { bodies_bytes: 1_000, ..Limits::default() });
    let response =
        peer.post("/v1/traces", PROTOBUF, protobuf(vec![Span { name: "x".repeat(2_000), ..root(1) }])).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(peer.post("/v1/traces", PROTOBUF, protobuf(vec![root(1)])).await.status(), StatusCode::OK);
}

#[actix_web::test]
async fn the_oldest_traces_leave_and_the_status_says_so() {
    let peer = Peer::start(Limits { traces: 10, ..Limits::default() });
    for n in 1..=30 {
        assert_eq!(peer.post("/v1/traces", PROTOBUF, protobuf(vec![root(n)])).await.status(), StatusCode::OK);
    }
    let status = peer.status().await;
    assert_eq!((status.held.traces, status.dropped.evicted_traces), (10, 20));
    assert_eq!(status.limits.traces, 10);
    let list: TraceList = peer.read("/api/traces").await;
    assert_eq!(list.traces.len(), 10);
    assert!(list.traces.iter().all(|trace| trace.trace_id >= super::trace_id(21)));
}

#[actix_web::test]
async fn broken_connections_leave_the_viewer_serving() {
    let peer = Peer::start(Limits::default());
    for request in [
        "POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{",
        "POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        "POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999999999999999999\r\n\r\n",
        "\0\0\0\0\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(peer.viewer.address()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        drop(stream);
        assert_eq!(peer.post("/v1/traces", PROTOBUF, protobuf(vec![root(1)])).await.status(), StatusCode::OK);
    }
}
