//! The viewer through its own socket: what senders get, what readers get, and what nobody gets it to do.

mod api;
mod grpc;
mod limits;
mod otlp;
mod page;

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use reqwest::{Client, Response, StatusCode};
use serde::de::DeserializeOwned;
use trace_viewer::model::{Status, TraceId};
use trace_viewer::{Limits, Options, Running, Viewer};

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// A viewer on a port of its own, and a client of it.
struct Peer {
    viewer: Running,
    client: Client,
}

impl Peer {
    fn start(limits: Limits) -> Self {
        let options = Options { address: "127.0.0.1:0".parse().unwrap(), limits, ..Options::default() };
        let viewer = Viewer::bind(options).unwrap().start().unwrap();
        Self { viewer, client: client() }
    }

    async fn post(&self, path: &str, content_type: &str, body: impl Into<reqwest::Body>) -> Response {
        let request = self.client.post(format!("{}{path}", self.viewer.url()));
        request.header("content-type", content_type).body(body).send().await.unwrap()
    }

    async fn post_gzip(&self, path: &str, content_type: &str, body: &[u8]) -> Response {
        let request = self.client.post(format!("{}{path}", self.viewer.url()));
        let request = request.header("content-type", content_type).header("content-encoding", "gzip");
        request.body(gzip(body)).send().await.unwrap()
    }

    async fn get(&self, path: &str) -> Response {
        self.client.get(format!("{}{path}", self.viewer.url())).send().await.unwrap()
    }

    async fn read<T: DeserializeOwned>(&self, path: &str) -> T {
        let response = self.get(path).await;
        assert_eq!(response.status(), StatusCode::OK);
        response.json().await.unwrap()
    }

    async fn status(&self) -> Status {
        self.read("/api/status").await
    }
}

fn client() -> Client {
    // No test speaks TLS, but a client is not built without it. Only the first call can succeed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().build().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn trace_id(n: u8) -> TraceId {
    TraceId::from_bytes(&[n; 16]).unwrap()
}

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), key_strindex: 0 }
}

fn strings(texts: &[&str]) -> any_value::Value {
    let values =
        texts.iter().map(|text| AnyValue { value: Some(any_value::Value::StringValue((*text).to_owned())) });
    any_value::Value::ArrayValue(ArrayValue { values: values.collect() })
}

/// The root of trace `n`, with one attribute of each type.
fn root(n: u8) -> Span {
    Span {
        trace_id: vec![n; 16],
        span_id: vec![1; 8],
        name: "POST /api/orders".to_owned(),
        kind: 2,
        start_time_unix_nano: 1_000,
        end_time_unix_nano: 5_000,
        attributes: vec![
            attribute("http.request.method", any_value::Value::StringValue("POST".to_owned())),
            attribute("http.response.status_code", any_value::Value::IntValue(201)),
            attribute("order.amount", any_value::Value::DoubleValue(50.0)),
            attribute("auth.success", any_value::Value::BoolValue(true)),
            attribute("http.request.header.x-id", strings(&["a", "b"])),
        ],
        ..Span::default()
    }
}

fn export(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let name = attribute("service.name", any_value::Value::StringValue("order-service".to_owned()));
    let resource_spans = vec![ResourceSpans {
        resource: Some(Resource { attributes: vec![name], ..Resource::default() }),
        scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    }];
    ExportTraceServiceRequest { resource_spans }
}

fn protobuf(spans: Vec<Span>) -> Vec<u8> {
    export(spans).encode_to_vec()
}
