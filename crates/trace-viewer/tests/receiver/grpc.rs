//! OTLP/gRPC, by the bytes on the wire.

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use trace_viewer::{Limits, Options, Running, Viewer};

use super::{gzip, protobuf, root, trace_id};

const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

struct GrpcPeer {
    viewer: Running,
    connection: hyper::client::conn::http2::SendRequest<Full<Bytes>>,
    _driver: tokio::task::JoinSet<()>,
}

impl GrpcPeer {
    async fn start(limits: Limits) -> Self {
        let free = "127.0.0.1:0".parse().unwrap();
        let options = Options { address: free, grpc: Some(free), limits, ..Options::default() };
        let viewer = Viewer::bind(options).unwrap();
        let address = viewer.grpc_address().unwrap();
        let viewer = viewer.start().unwrap();
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let (connection, driving) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        let mut driver = tokio::task::JoinSet::new();
        driver.spawn(async move { drop(driving.await) });
        Self { viewer, connection, _driver: driver }
    }

    /// The gRPC status and the message of the answer.
    async fn call(&mut self, path: &str, message: &[u8], gzipped: bool) -> (i32, Vec<u8>) {
        let message = if gzipped { gzip(message) } else { message.to_vec() };
        let mut body = vec![u8::from(gzipped)];
        body.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
        body.extend(message);
        let mut request =
            Request::post(format!("http://viewer{path}")).header("content-type", "application/grpc");
        if gzipped {
            request = request.header("grpc-encoding", "gzip");
        }
        let response = self.connection.send_request(request.body(Full::from(body)).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap();
        let status = head.headers.get("grpc-status").or_else(|| body.trailers()?.get("grpc-status")).cloned();
        let status = status.unwrap().to_str().unwrap().parse().unwrap();
        (status, body.to_bytes().get(5..).unwrap_or_default().to_vec())
    }
}

#[actix_web::test]
async fn traces_metrics_and_logs_are_taken_plain_and_gzipped() {
    let mut peer = GrpcPeer::start(Limits::default()).await;
    for (n, gzipped) in [(1, false), (2, true)] {
        let (status, answer) = peer.call(TRACES, &protobuf(vec![root(n)]), gzipped).await;
        assert_eq!(status, 0);
        assert_eq!(ExportTraceServiceResponse::decode(&*answer).unwrap().partial_success, None);
        assert_eq!(peer.viewer.store().trace(trace_id(n)).unwrap().spans[0].attributes.len(), 5);
    }
    for (path, message) in [
        ("metrics.v1.MetricsService", ExportMetricsServiceRequest::default().encode_to_vec()),
        ("logs.v1.LogsService", ExportLogsServiceRequest::default().encode_to_vec()),
    ] {
        let path = format!("/opentelemetry.proto.collector.{path}/Export");
        assert_eq!(peer.call(&path, &message, false).await.0, 0, "{path}");
    }
    assert_eq!(peer.viewer.store().status().received.requests, 4);
}

#[actix_web::test]
async fn spans_without_valid_ids_are_told_as_a_partial_success() {
    let mut peer = GrpcPeer::start(Limits::default()).await;
    let invalid = Span { trace_id: vec![0; 16], ..root(1) };
    let (status, answer) = peer.call(TRACES, &protobuf(vec![invalid, root(1)]), false).await;
    let answer = ExportTraceServiceResponse::decode(&*answer).unwrap();
    assert_eq!((status, answer.partial_success.unwrap().rejected_spans), (0, 1));
}

#[actix_web::test]
async fn garbage_bombs_and_unknown_methods_are_refused_and_counted() {
    let limits = Limits { body_bytes: 100_000, decoded_bytes: 1 << 20, ..Limits::default() };
    let mut peer = GrpcPeer::start(limits).await;
    let named = |bytes: usize| protobuf(vec![Span { name: "x".repeat(bytes), ..root(1) }]);
    // Invalid argument, out of range, resource exhausted, unimplemented: each in gRPC's number for it.
    assert_eq!(peer.call(TRACES, b"not protobuf", false).await.0, 3);
    assert_eq!(peer.call(TRACES, &named(200_000), false).await.0, 11);
    assert!(gzip(&named(50_000_000)).len() < 100_000 * 3);
    assert_ne!(peer.call(TRACES, &named(10_000_000), true).await.0, 0);
    assert_eq!(peer.call(TRACES, &protobuf(vec![Span::default(); 40_000]), false).await.0, 8);
    assert_eq!(peer.call("/some.other.Service/Export", b"", false).await.0, 12);
    assert_eq!(peer.call(TRACES, &protobuf(vec![root(1)]), false).await.0, 0);
    let status = peer.viewer.store().status();
    assert_eq!((status.held.spans, status.dropped.refused_requests), (1, 4));
}

#[actix_web::test]
async fn a_viewer_stops_while_senders_are_connected() {
    let peer = GrpcPeer::start(Limits::default()).await;
    peer.viewer.stop().unwrap();
}
