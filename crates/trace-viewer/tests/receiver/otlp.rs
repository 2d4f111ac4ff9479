//! What OTLP/HTTP asks of a receiver.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use reqwest::{Response, StatusCode};
use trace_viewer::model::{LogRecord, Logs, MetricData, Metrics, Number, SpanKind, SpanStatus, Trace, Value};
use trace_viewer::{Limits, Problem};

use super::{JSON, PROTOBUF, Peer, export, protobuf, root, trace_id};

fn content_type(response: &Response) -> String {
    response.headers()["content-type"].to_str().unwrap().to_owned()
}

async fn stored(peer: &Peer, n: u8) -> Trace {
    peer.read(&format!("/api/traces/{}", trace_id(n))).await
}

/// Asserts that the root came through whole, types and all.
fn assert_root(trace: &Trace) {
    let span = &trace.spans[0];
    assert_eq!(
        (span.name.as_str(), span.kind, span.parent_span_id),
        ("POST /api/orders", SpanKind::Server, None)
    );
    assert_eq!((span.start_unix_nano, span.end_unix_nano, &span.status), (1_000, 5_000, &SpanStatus::Unset));
    assert_eq!(span.attributes["http.request.method"], "POST");
    assert_eq!(span.attributes["http.response.status_code"], 201);
    assert_eq!(span.attributes["order.amount"], 50.0);
    assert_eq!(span.attributes["auth.success"], true);
    assert_eq!(span.attributes["http.request.header.x-id"], Value::Array(vec!["a".into(), "b".into()]));
    assert_eq!(span.attributes.len(), 5);
    assert_eq!(trace.resource_of(span).unwrap().service(), "order-service");
}

#[actix_web::test]
async fn protobuf_is_taken_plain_and_gzipped_and_answered_in_protobuf() {
    let peer = Peer::start(Limits::default());
    let plain = peer.post("/v1/traces", PROTOBUF, protobuf(vec![root(1)])).await;
    let zipped = peer.post_gzip("/v1/traces", PROTOBUF, &protobuf(vec![root(2)])).await;
    for response in [plain, zipped] {
        assert_eq!((response.status(), content_type(&response)), (StatusCode::OK, PROTOBUF.to_owned()));
        let answer = ExportTraceServiceResponse::decode(response.bytes().await.unwrap()).unwrap();
        assert_eq!(answer.partial_success, None);
    }
    assert_root(&stored(&peer, 1).await);
    assert_root(&stored(&peer, 2).await);
}

#[actix_web::test]
async fn json_is_taken_plain_and_gzipped_and_answered_in_json() {
    let peer = Peer::start(Limits::default());
    let body = |n| serde_json::to_vec(&export(vec![root(n)])).unwrap();
    let plain = peer.post("/v1/traces", "application/json; charset=utf-8", body(1)).await;
    let zipped = peer.post_gzip("/v1/traces", JSON, &body(2)).await;
    for response in [plain, zipped] {
        assert_eq!((response.status(), content_type(&response)), (StatusCode::OK, JSON.to_owned()));
        assert_eq!(response.text().await.unwrap(), "{}");
    }
    assert_root(&stored(&peer, 1).await);
    assert_root(&stored(&peer, 2).await);
}

#[actix_web::test]
async fn json_as_the_specification_writes_it_is_understood() {
    let peer = Peer::start(Limits::default());
    let body = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"my.service"}}]},
        "unknownField":1,"scopeSpans":[{"scope":{"name":"my.library","version":"1.0.0"},"spans":[{
        "traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174","parentSpanId":"EEE19B7EC3C1B173",
        "name":"I'm a server span","startTimeUnixNano":"1544712660000000000","endTimeUnixNano":"1544712661000000000",
        "kind":2,"flags":768,"status":{"code":2,"message":"Out of stock"},
        "attributes":[{"key":"my.span.attr","value":{"intValue":"9007199254740993"}}],
        "events":[{"timeUnixNano":"1544712660500000000","name":"exception","attributes":[]}],
        "links":[{"traceId":"5b8efff798038103d269b633813fc60d","spanId":"eee19b7ec3c1b175"}]}]}]}]}"#;
    assert_eq!(peer.post("/v1/traces", JSON, body).await.status(), StatusCode::OK);
    let trace: Trace = peer.read("/api/traces/5b8efff798038103d269b633813fc60c").await;
    let span = &trace.spans[0];
    assert_eq!(span.span_id.to_string(), "eee19b7ec3c1b174");
    assert_eq!(span.parent_span_id.unwrap().to_string(), "eee19b7ec3c1b173");
    assert_eq!(span.parent_is_remote, Some(true));
    assert_eq!(span.status, SpanStatus::Error { description: "Out of stock".to_owned() });
    assert_eq!(span.attributes["my.span.attr"], 9_007_199_254_740_993);
    assert_eq!((span.scope.name.as_str(), span.scope.version.as_str()), ("my.library", "1.0.0"));
    assert_eq!(span.events_named("exception").next().unwrap().time_unix_nano, 1_544_712_660_500_000_000);
    assert_eq!(span.links[0].span_id.to_string(), "eee19b7ec3c1b175");
    assert_eq!(span.service, "my.service");
}

#[actix_web::test]
async fn logs_and_metrics_are_kept_with_their_types_and_traces() {
    let peer = Peer::start(Limits::default());
    let logs = format!(
        r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"timeUnixNano":"7","severityNumber":13,"severityText":"WARN",
        "traceId":"{}","spanId":"0101010101010101","body":{{"stringValue":"low stock"}},
        "attributes":[{{"key":"stock.left","value":{{"intValue":"2"}}}}]}}]}}]}}]}}"#,
        trace_id(1)
    );
    assert_eq!(peer.post("/v1/logs", JSON, logs).await.status(), StatusCode::OK);
    assert_eq!(peer.post("/v1/traces", PROTOBUF, protobuf(vec![root(1)])).await.status(), StatusCode::OK);
    let trace = stored(&peer, 1).await;
    assert_eq!(trace.logs.len(), 1);
    assert_eq!(trace.logs[0].body, Some("low stock".into()));
    assert_eq!(trace.logs[0].attributes["stock.left"], 2);
    assert_eq!(trace.logs[0].span_id, Some(trace.spans[0].span_id));
    assert_eq!(trace.resources[trace.logs[0].resource].service(), "unknown_service");
    let listed: Logs = peer.read("/api/logs?limit=5").await;
    assert_eq!(listed.records, [LogRecord { resource: 0, ..trace.logs[0].clone() }]);

    let metrics = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[
        {"name":"orders","unit":"{order}","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[
            {"asInt":"3","timeUnixNano":"9","attributes":[{"key":"order.type","value":{"stringValue":"standard"}}]}]}},
        {"name":"http.server.request.duration","unit":"s","histogram":{"aggregationTemporality":2,"dataPoints":[
            {"count":"2","sum":0.5,"bucketCounts":["1","1"],"explicitBounds":[0.1],"timeUnixNano":"9",
             "exemplars":[{"asDouble":0.4,"timeUnixNano":"8","traceId":"5b8efff798038103d269b633813fc60d","spanId":"eee19b7ec3c1b175"}]}]}},
        {"name":"nothing"}]}]}]}"#;
    let response = peer.post("/v1/metrics", JSON, metrics).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.text().await.unwrap().contains("metrics or points without a value"));
    let orders: Metrics = peer.read("/api/metrics?name=orders").await;
    assert_eq!(orders.metrics[0].data.value(), Some(Number::Int(3)));
    assert_eq!(orders.metrics[0].attributes["order.type"], "standard");
    let all: Metrics = peer.read("/api/metrics").await;
    assert_eq!(all.metrics.len(), 2);
    let MetricData::Histogram { count, ref bounds, ref bucket_counts, .. } = all.metrics[0].data else {
        panic!()
    };
    assert_eq!((count, bounds.as_slice(), bucket_counts.as_slice()), (2, &[0.1][..], &[1, 1][..]));
    assert_eq!(all.metrics[0].exemplars[0].trace_id.unwrap().to_string(), "5b8efff798038103d269b633813fc60d");
    assert_eq!(peer.status().await.dropped.invalid_metric_points, 1);
}

#[actix_web::test]
async fn spans_without_valid_ids_are_rejected_and_the_others_kept() {
    let peer = Peer::start(Limits::default());
    let invalid = [
        Span { trace_id: vec![0; 16], ..root(1) },
        Span { trace_id: vec![1; 15], ..root(1) },
        Span { span_id: Vec::new(), ..root(1) },
        Span { parent_span_id: vec![1], ..root(1) },
    ];
    let spans = invalid.into_iter().chain([root(1)]).collect();
    let response = peer.post("/v1/traces", PROTOBUF, protobuf(spans)).await;
    assert_eq!(response.status(), StatusCode::OK);
    let answer = ExportTraceServiceResponse::decode(response.bytes().await.unwrap()).unwrap();
    let partial = answer.partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 4);
    assert_eq!(partial.error_message, "spans without a valid trace id and span id");
    assert_eq!(stored(&peer, 1).await.spans.len(), 1);
    assert_eq!(peer.status().await.dropped.invalid_spans, 4);
}

#[actix_web::test]
async fn an_empty_request_is_a_success() {
    let peer = Peer::start(Limits::default());
    for path in ["/v1/traces", "/v1/metrics", "/v1/logs"] {
        assert_eq!(peer.post(path, PROTOBUF, "").await.status(), StatusCode::OK);
        assert_eq!(peer.post(path, JSON, "{}").await.status(), StatusCode::OK);
    }
    assert_eq!(peer.status().await.received.requests, 6);
}

#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

#[actix_web::test]
async fn malformed_bodies_are_refused_with_a_status_in_their_own_encoding() {
    let peer = Peer::start(Limits::default());
    let truncated = {
        let mut body = protobuf(vec![root(1)]);
        body.pop();
        body
    };
    let not_utf8 =
        protobuf(vec![root(1)]).into_iter().map(|byte| if byte == b'P' { 0xff } else { byte }).collect();
    for path in ["/v1/traces", "/v1/metrics", "/v1/logs"] {
        let mut garbage = vec![b"not protobuf".to_vec(), vec![0xff; 1_000], truncated.clone()];
        garbage.extend((path == "/v1/traces").then(|| Vec::clone(&not_utf8)));
        for body in garbage {
            let response = peer.post(path, PROTOBUF, body).await;
            assert_eq!(
                (response.status(), content_type(&response)),
                (StatusCode::BAD_REQUEST, PROTOBUF.to_owned())
            );
            let status = RpcStatus::decode(response.bytes().await.unwrap()).unwrap();
            assert!(status.code == 3 && status.message.starts_with("the body is malformed"), "{status:?}");
        }
        for body in ["", "{", "[]", "null", "\u{feff}{}", &"[".repeat(100_000)] {
            let response = peer.post(path, JSON, body.to_owned()).await;
            assert_eq!(
                (response.status(), content_type(&response)),
                (StatusCode::BAD_REQUEST, JSON.to_owned()),
                "{body:.9}"
            );
            let status: serde_json::Value = response.json().await.unwrap();
            assert!(status["code"] == 3 && status["message"].is_string(), "{status}");
        }
    }
    let zipped = peer.client.post(format!("{}/v1/traces", peer.viewer.url()));
    let zipped =
        zipped.header("content-type", JSON).header("content-encoding", "gzip").body("{}").send().await;
    assert_eq!(zipped.unwrap().status(), StatusCode::BAD_REQUEST);
    assert_eq!(peer.status().await.dropped.refused_requests, 3 * (3 + 6) + 1 + 1);
    assert_eq!(peer.status().await.held.spans, 0);
}

#[actix_web::test]
async fn other_content_types_and_encodings_are_unsupported() {
    let peer = Peer::start(Limits::default());
    for content_type in ["text/plain", "application/protobuf", "application/xml"] {
        let response = peer.post("/v1/traces", content_type, "").await;
        assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert_eq!(response.json::<Problem>().await.unwrap().code, "unsupported_media_type");
    }
    let bare = peer.client.post(format!("{}/v1/traces", peer.viewer.url())).send().await.unwrap();
    assert_eq!(bare.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let brotli = peer.client.post(format!("{}/v1/traces", peer.viewer.url()));
    let brotli = brotli.header("content-type", JSON).header("content-encoding", "br").body("{}").send().await;
    assert_eq!(brotli.unwrap().status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let get = peer.get("/v1/traces").await;
    assert_eq!(get.status(), StatusCode::METHOD_NOT_ALLOWED);
}
