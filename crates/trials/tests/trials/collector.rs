//! A collector that counts what it accepts, by HTTP and gRPC on one port, and fails as it is told.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;
use telemetry_core::context;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::service::eventually;

/// What it does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Accepts it.
    Accept,
    /// Says that it is overloaded: 503, or gRPC's UNAVAILABLE.
    Refuse,
    /// Never answers.
    Hang,
    /// Reads it and cuts the connection.
    Cut,
}

/// What was accepted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) spans: u64,
    /// Those of kind SERVER among them.
    pub(crate) server_spans: u64,
    pub(crate) log_records: u64,
}

/// Listens on loopback until it is stopped or dropped.
pub(crate) struct Collector {
    address: SocketAddr,
    shared: Arc<Shared>,
    state: State,
}

enum State {
    /// Cancelling stops it, and every connection.
    Listening(CancellationToken),
    /// The address is kept for the restart; who connects is refused.
    Stopped(TcpSocket),
    /// Between the two.
    Changing,
}

struct Shared {
    manner: watch::Sender<Manner>,
    accepted: Mutex<Accepted>,
    /// Requests that came, whatever became of them.
    requests: Mutex<u64>,
}

impl Collector {
    pub(crate) fn start() -> Self {
        let socket = bind((Ipv4Addr::LOCALHOST, 0).into()).expect("loopback has a free port");
        let address = socket.local_addr().expect("the socket is bound");
        let shared = Arc::new(Shared {
            manner: watch::Sender::new(Manner::Accept),
            accepted: Mutex::default(),
            requests: Mutex::default(),
        });
        let mut collector = Self { address, shared, state: State::Stopped(socket) };
        collector.restart();
        collector
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn accepted(&self) -> Accepted {
        *self.shared.accepted()
    }

    /// How many requests came, whatever became of them.
    pub(crate) fn requests(&self) -> u64 {
        *self.shared.requests.lock().expect("no panic")
    }

    /// From now on; requests that hang are cut.
    pub(crate) fn behave(&self, manner: Manner) {
        self.shared.manner.send_replace(manner);
    }

    /// Cuts all connections; nobody listens any more.
    pub(crate) async fn stop(&mut self) {
        let State::Listening(running) = std::mem::replace(&mut self.state, State::Changing) else {
            panic!("it does not listen");
        };
        running.cancel();
        // The listener closes when its task sees it.
        let mut socket = None;
        eventually("the address is free again", async || {
            socket = bind(self.address).ok();
            socket.is_some()
        })
        .await;
        let socket = socket.expect("the address is free");
        self.state = State::Stopped(socket);
    }

    /// Listens again, at the same address.
    pub(crate) fn restart(&mut self) {
        let State::Stopped(socket) = std::mem::replace(&mut self.state, State::Changing) else {
            panic!("it listens already");
        };
        let listener = socket.listen(64).expect("the socket is bound");
        let running = CancellationToken::new();
        context::spawn(serve(listener, self.shared.clone(), running.clone()));
        self.state = State::Listening(running);
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if let State::Listening(running) = &self.state {
            running.cancel();
        }
    }
}

fn bind(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // Connections of before may still be closing.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

async fn serve(listener: TcpListener, shared: Arc<Shared>, running: CancellationToken) {
    let accept = async {
        while let Ok((stream, _)) = listener.accept().await {
            context::spawn(converse(stream, shared.clone(), running.child_token()));
        }
    };
    running.run_until_cancelled(accept).await;
}

async fn converse(stream: TcpStream, shared: Arc<Shared>, connection: CancellationToken) {
    let service = service_fn(|request| answer(request, shared.clone(), connection.clone()));
    let server = auto::Builder::new(TokioExecutor::new());
    let conversation = server.serve_connection(TokioIo::new(stream), service);
    connection.run_until_cancelled(conversation).await;
}

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
    connection: CancellationToken,
) -> Result<Answer, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let is_grpc =
        head.headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    *shared.requests.lock().expect("no panic") += 1;
    let mut manner = shared.manner.subscribe();
    let now = *manner.borrow_and_update();
    match now {
        Manner::Accept => {
            // gRPC's frame: a flag, the length in four bytes.
            let message = if is_grpc { &body[5..] } else { &body[..] };
            shared.accepted().count(head.uri.path(), message);
            Ok(if is_grpc { grpc("0") } else { http(StatusCode::OK) })
        }
        Manner::Refuse => Ok(if is_grpc { grpc("14") } else { http(StatusCode::SERVICE_UNAVAILABLE) }),
        Manner::Hang | Manner::Cut => {
            if now == Manner::Hang {
                let _ = manner.changed().await;
            }
            connection.cancel();
            std::future::pending().await
        }
    }
}

fn http(status: StatusCode) -> Answer {
    let mut response = Response::new(Full::default().boxed_unsync());
    *response.status_mut() = status;
    response
}

fn grpc(status: &'static str) -> Answer {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(status));
    // An empty message; a refusal has none.
    let frame = if status == "0" { Bytes::from_static(&[0; 5]) } else { Bytes::new() };
    let body = Full::new(frame).with_trailers(async { Some(Ok(trailers)) });
    let mut response = Response::new(body.boxed_unsync());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

impl Shared {
    fn accepted(&self) -> MutexGuard<'_, Accepted> {
        self.accepted.lock().expect("no panic")
    }
}

impl Accepted {
    fn count(&mut self, path: &str, message: &[u8]) {
        if path == "/v1/traces" || path.ends_with("TraceService/Export") {
            let request = ExportTraceServiceRequest::decode(message).expect("a trace export");
            let spans = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
            for span in spans.flat_map(|scope| &scope.spans) {
                self.spans += 1;
                self.server_spans += u64::from(span.kind == SpanKind::Server as i32);
            }
        } else if path == "/v1/logs" || path.ends_with("LogsService/Export") {
            let request = ExportLogsServiceRequest::decode(message).expect("a log export");
            let logs = request.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
            self.log_records += logs.map(|scope| scope.log_records.len() as u64).sum::<u64>();
        } else if path == "/v1/metrics" || path.ends_with("MetricsService/Export") {
            ExportMetricsServiceRequest::decode(message).expect("a metric export");
        } else {
            panic!("{path} is no path of OTLP");
        }
    }
}
