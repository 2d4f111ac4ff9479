//! The receiving side of OTLP/gRPC, within the same limits as over HTTP.
//!
//! tonic reads messages and answers; its generated services are left out, since they decode before
//! anyone could ask how large a message becomes.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use prost::bytes::Buf;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc, UnaryService};
use tonic::{Status, body::Body};

use super::body::PATIENCE;
use super::decode::{self, DecodeError};
use super::signal::Signal;
use crate::Store;

/// A service keeps one connection; each may hold messages that are arriving.
const CONNECTIONS: usize = 64;

/// Exporters send one message at a time for each signal.
const STREAMS: u32 = 16;

/// A peer that is gone without a word is noticed after this.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

struct Receiver {
    store: Arc<Store>,
    /// As many messages at a time as whole ones fit into the limit of all bodies.
    messages: Semaphore,
}

/// Takes connections until `stop` is done, and then drops them.
pub(crate) async fn serve(
    listener: TcpListener,
    store: Arc<Store>,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let limits = store.limits();
    let messages = Semaphore::new((limits.bodies_bytes / limits.body_bytes.max(1)).clamp(1, 1_000));
    let receiver = Arc::new(Receiver { store, messages });
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let place = Arc::clone(&places).acquire_owned();
        let accepted = async {
            let place = place.await.map_err(io::Error::other)?;
            Ok::<_, io::Error>((place, listener.accept().await?.0))
        };
        tokio::select! {
            () = &mut stop => return Ok(()),
            accepted = accepted => {
                // A peer that left before it was accepted is no reason to stop.
                let Ok((place, stream)) = accepted else { continue };
                let receiver = Arc::clone(&receiver);
                connections.spawn(async move {
                    let answer = service_fn(move |request| {
                        let receiver = Arc::clone(&receiver);
                        async move { Ok::<_, Infallible>(receiver.answer(request).await) }
                    });
                    // Broken connections are the peer's to tell of.
                    let _ = http2::Builder::new(TokioExecutor::new())
                        .timer(TokioTimer::new())
                        .keep_alive_interval(KEEP_ALIVE)
                        .max_concurrent_streams(STREAMS)
                        .serve_connection(TokioIo::new(stream), answer)
                        .await;
                    drop(place);
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

impl Receiver {
    async fn answer(&self, request: http::Request<Incoming>) -> http::Response<Body> {
        match request.uri().path() {
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => {
                self.export::<ExportTraceServiceRequest>(request).await
            }
            "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => {
                self.export::<ExportMetricsServiceRequest>(request).await
            }
            "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => {
                self.export::<ExportLogsServiceRequest>(request).await
            }
            path => Status::unimplemented(format!("there is nothing at {path}")).into_http(),
        }
    }

    async fn export<S: Signal>(&self, request: http::Request<Incoming>) -> http::Response<Body> {
        let Ok(_message) = self.messages.acquire().await else {
            return Status::unavailable("the viewer stops").into_http();
        };
        let (body_bytes, decoded_bytes) = (self.store.limits().body_bytes, self.store.limits().decoded_bytes);
        let mut grpc = Grpc::new(Weighing::<S>(decoded_bytes, PhantomData))
            .accept_compressed(CompressionEncoding::Gzip)
            .max_decoding_message_size(body_bytes);
        let keeping = grpc.unary(Keep(Arc::clone(&self.store)), request);
        let response = match tokio::time::timeout(PATIENCE, keeping).await {
            Ok(response) => response,
            Err(_) => Status::deadline_exceeded("the message did not arrive in time").into_http(),
        };
        if Status::from_header_map(response.headers()).is_some_and(|status| status.code() != tonic::Code::Ok)
        {
            self.store.count_dropped(|dropped| dropped.refused_requests += 1);
        }
        response
    }
}

/// Hands what was decoded to the store.
struct Keep(Arc<Store>);

impl<S: Signal> UnaryService<S> for Keep {
    type Response = S::Answer;
    type Future = Ready<Result<tonic::Response<S::Answer>, Status>>;

    fn call(&mut self, request: tonic::Request<S>) -> Self::Future {
        let rejected = request.into_inner().keep(&self.0);
        self.0.count_request();
        ready(Ok(tonic::Response::new(S::answer(rejected))))
    }
}

/// protobuf, once its decoded size is known to stay below so many bytes.
struct Weighing<S>(usize, PhantomData<fn() -> S>);

impl<S: Signal> Codec for Weighing<S> {
    type Encode = S::Answer;
    type Decode = S;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self(self.0, PhantomData)
    }

    fn decoder(&mut self) -> Self {
        Self(self.0, PhantomData)
    }
}

impl<S: Signal> Encoder for Weighing<S> {
    type Item = S::Answer;
    type Error = Status;

    fn encode(&mut self, answer: S::Answer, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        answer.encode(buffer).map_err(|error| Status::internal(error.to_string()))
    }
}

impl<S: Signal> Decoder for Weighing<S> {
    type Item = S;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<S>, Status> {
        let body = buffer.copy_to_bytes(buffer.remaining());
        decode::protobuf(&body, self.0).map(Some).map_err(|error| match error {
            DecodeError::Malformed(_) => Status::invalid_argument(error.to_string()),
            DecodeError::TooLarge { .. } => Status::resource_exhausted(error.to_string()),
        })
    }
}
