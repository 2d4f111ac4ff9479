//! WebSocket connections: what goes over one after its upgrade.
//!
//! The SERVER span of the upgrade stays open as long as the connection, and is counted in
//! `http.server.active_requests` as long; its duration is the connection's. It gets `websocket.messages.received`,
//! `websocket.messages.sent` and `websocket.close_code`, and an event for each of the first messages. The work on
//! an inbound message is a trace of its own that links to the connection's span: a connection may live for days,
//! and a trace that grows as long is of no use.
//!
//! It works with any WebSocket library whose answer is a 101 with a streamed body. A whole echo, with `actix-ws` 0.4:
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use actix_web::{App, HttpRequest, HttpResponse, HttpServer, get, web};
//! use actix_ws::{CloseCode, Message, ProtocolError};
//! use telemetry_core::server::websocket::{MessageKind, WebSocketTelemetry};
//!
//! #[get("/echo")]
//! async fn echo(
//!     request: HttpRequest,
//!     payload: web::Payload,
//!     sockets: web::Data<WebSocketTelemetry>,
//! ) -> actix_web::Result<HttpResponse> {
//!     let (mut upgrade, mut session, mut messages) = actix_ws::handle(&request, payload)?;
//!     // While the request's span is the current one, and before the answer is given.
//!     let socket = sockets.observe(&request, &mut upgrade);
//!     telemetry_core::context::spawn_local(async move {
//!         let code = loop {
//!             match messages.recv().await {
//!                 Some(Ok(Message::Text(text))) => {
//!                     let bytes = text.len();
//!                     // Spans, log records and calls of this work are one trace, whose root links to the connection.
//!                     let work = async {
//!                         tracing::info!("a message came in");
//!                         session.text(text.to_string()).await
//!                     };
//!                     match socket.received(MessageKind::Text, bytes, work).await {
//!                         Ok(()) => socket.sent(MessageKind::Text, bytes),
//!                         Err(actix_ws::Closed) => return, // `error.type` will be `client_disconnected`
//!                     }
//!                 }
//!                 Some(Ok(Message::Ping(bytes))) => {
//!                     if session.pong(&bytes).await.is_err() {
//!                         return;
//!                     }
//!                 }
//!                 Some(Ok(Message::Close(reason))) => {
//!                     // 1005 stands for a close without a code.
//!                     socket.closed(reason.as_ref().map_or(1005, |reason| reason.code.into()));
//!                     break CloseCode::Normal; // the first code counts
//!                 }
//!                 Some(Ok(Message::Binary(_) | Message::Continuation(_))) => break CloseCode::Unsupported,
//!                 Some(Ok(Message::Pong(_) | Message::Nop)) => {}
//!                 // The client went away without a word.
//!                 Some(Err(ProtocolError::Io(_))) | None => return,
//!                 Some(Err(error)) => {
//!                     socket.failed("websocket_protocol", &error);
//!                     break CloseCode::Protocol;
//!                 }
//!             }
//!         };
//!         socket.closed(code.into());
//!         let _ = session.close(Some(code.into())).await;
//!     });
//!     Ok(upgrade)
//! }
//!
//! #[actix_web::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let telemetry = telemetry_core::init(telemetry_core::Config::from_env("echo", "1.0.0")?)?;
//!     let sockets = telemetry.websockets();
//!     let middleware = telemetry.server();
//!     HttpServer::new(move || {
//!         App::new().app_data(web::Data::new(sockets.clone())).service(echo).wrap(middleware.clone())
//!     })
//!     .bind(("127.0.0.1", 8080))?
//!     .run()
//!     .await?;
//!     println!("{}", telemetry.shutdown(Duration::from_secs(3)));
//!     Ok(())
//! }
//! ```
//!
//! `error.type` is what [`WebSocket::failed`] says, else `client_disconnected` or `server_stopped` where the
//! connection ended without [`WebSocket::closed`].

use std::borrow::Cow;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use actix_web::{HttpRequest, HttpResponse};
use opentelemetry::baggage::{BaggageExt, KeyValueMetadata};
use opentelemetry::context::FutureExt;
use opentelemetry::metrics::{Counter, Histogram};
use opentelemetry::trace::{Link, SpanBuilder, SpanKind, SpanRef, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_semantic_conventions::attribute;

use crate::names::{
    BODY_SIZE_BUCKETS, WEBSOCKET_CLOSE_CODE, WEBSOCKET_MESSAGE, WEBSOCKET_MESSAGE_SIZE,
    WEBSOCKET_MESSAGE_TYPE, WEBSOCKET_MESSAGES, WEBSOCKET_MESSAGES_RECEIVED, WEBSOCKET_MESSAGES_SENT,
};
use crate::span::{Cause, Exception, PANIC};
use crate::untraced::is_untraced;
use crate::{Telemetry, db};

/// How many messages of a connection are events of its span; all are counted. A span holds 128 events.
const MAX_EVENTS: u64 = 64;

/// Observes WebSocket connections; made once by [`Telemetry::websockets`]. Cheap to clone.
#[derive(Clone)]
pub struct WebSocketTelemetry {
    telemetry: Telemetry,
    messages: Counter<u64>,
    size: Histogram<u64>,
}

/// What a message is made of. Control frames are no messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// UTF-8.
    Text,
    /// Bytes.
    Binary,
}

impl MessageKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Binary => "binary",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Receive,
    Transmit,
}

impl WebSocketTelemetry {
    pub(super) fn new(telemetry: Telemetry) -> Self {
        let messages = telemetry
            .meter()
            .u64_counter(WEBSOCKET_MESSAGES)
            .with_unit("{message}")
            .with_description("Number of WebSocket messages.")
            .build();
        let size = telemetry
            .meter()
            .u64_histogram(WEBSOCKET_MESSAGE_SIZE)
            .with_unit("By")
            .with_description("Size of WebSocket messages.")
            .with_boundaries(BODY_SIZE_BUCKETS.to_vec())
            .build();
        Self { telemetry, messages, size }
    }

    /// Ties the connection that `upgrade` opens to the request's span, which is to be the current one.
    pub fn observe(&self, request: &HttpRequest, upgrade: &mut HttpResponse) -> WebSocket {
        let connection = Arc::new(Connection::default());
        upgrade.extensions_mut().insert(connection.clone());
        WebSocket {
            telemetry: self.clone(),
            connection,
            context: Context::current(),
            route: request.match_pattern().map(Arc::from),
        }
    }
}

/// What is known of a connection, for the end of its span.
#[derive(Default)]
pub(super) struct Connection {
    received: AtomicU64,
    sent: AtomicU64,
    close_code: OnceLock<u16>,
    pub(super) error: OnceLock<&'static str>,
}

impl Connection {
    /// Whether one of the sides said good-bye.
    pub(super) fn is_closed(&self) -> bool {
        self.close_code.get().is_some()
    }

    pub(super) fn describe(&self, span: &SpanRef<'_>) {
        let count = |number: &AtomicU64| i64::try_from(number.load(Ordering::Relaxed)).unwrap_or(i64::MAX);
        span.set_attribute(KeyValue::new(WEBSOCKET_MESSAGES_RECEIVED, count(&self.received)));
        span.set_attribute(KeyValue::new(WEBSOCKET_MESSAGES_SENT, count(&self.sent)));
        if let Some(code) = self.close_code.get() {
            span.set_attribute(KeyValue::new(WEBSOCKET_CLOSE_CODE, i64::from(*code)));
        }
    }
}

/// One connection. Cheap to clone.
#[derive(Clone)]
pub struct WebSocket {
    telemetry: WebSocketTelemetry,
    connection: Arc<Connection>,
    context: Context,
    route: Option<Arc<str>>,
}

impl WebSocket {
    /// Runs the work on an inbound message of `bytes` under a CONSUMER span of its own: `{route} message`, the root of
    /// a trace that links to the connection's span and has its baggage.
    pub async fn received<F: Future>(&self, kind: MessageKind, bytes: usize, work: F) -> F::Output {
        self.count(Direction::Receive, kind, bytes);
        if is_untraced(&self.context) {
            return work.with_context(self.context.clone()).await;
        }
        let name = match &self.route {
            Some(route) => Cow::Owned(format!("{route} message")),
            None => Cow::Borrowed(WEBSOCKET_MESSAGE),
        };
        let connection = self.context.span().span_context().clone();
        let builder = SpanBuilder::from_name(name)
            .with_kind(SpanKind::Consumer)
            .with_attributes(self.attributes(None, kind, bytes))
            .with_links(vec![Link::new(connection, Vec::new(), 0)]);
        let entries = self.context.baggage().iter().map(|(key, (value, metadata))| {
            KeyValueMetadata::new(key.clone(), value.clone(), metadata.clone())
        });
        let root = Context::new().with_baggage(entries.collect::<Vec<_>>());
        let telemetry = &self.telemetry.telemetry;
        if !telemetry.is_enabled() {
            return work.with_context(root).await;
        }
        let span = telemetry.tracer().build_with_context(builder, &root);
        let mut ending = Ending { context: db::counted(telemetry, root.with_span(span)), is_done: false };
        let output = work.with_context(ending.context.clone()).await;
        ending.is_done = true;
        output
    }

    /// Counts a message that was sent.
    pub fn sent(&self, kind: MessageKind, bytes: usize) {
        self.count(Direction::Transmit, kind, bytes);
    }

    /// One of the sides closes with this code (RFC 6455, 7.4; 1005 where it gave none). The first one counts.
    pub fn closed(&self, code: u16) {
        let _ = self.connection.close_code.set(code);
    }

    /// The service failed the connection; `error_type` is a stable code, and `exception.type` where the error's type
    /// is not known.
    pub fn failed(&self, error_type: &'static str, error: &(impl Cause + ?Sized)) {
        if self.connection.error.set(error_type).is_ok() {
            let exception = Exception::of(error, error_type);
            self.context.span().add_event("exception", exception.attributes());
        }
    }

    fn count(&self, direction: Direction, kind: MessageKind, bytes: usize) {
        let counter = match direction {
            Direction::Receive => &self.connection.received,
            Direction::Transmit => &self.connection.sent,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if is_untraced(&self.context) {
            return;
        }
        let connection = &self.connection;
        let number = connection.received.load(Ordering::Relaxed) + connection.sent.load(Ordering::Relaxed);
        let span = self.context.span();
        if number <= MAX_EVENTS && span.is_recording() {
            span.add_event(WEBSOCKET_MESSAGE, self.attributes(Some(direction), kind, bytes));
        }
        let mut attributes = Vec::with_capacity(3);
        attributes.push(direction.attribute());
        attributes.push(KeyValue::new(WEBSOCKET_MESSAGE_TYPE, kind.as_str()));
        if let Some(route) = &self.route {
            attributes.push(KeyValue::new(attribute::HTTP_ROUTE, route.clone()));
        }
        let _current = self.context.clone().attach();
        self.telemetry.messages.add(1, &attributes);
        self.telemetry.size.record(bytes as u64, &attributes);
    }

    fn attributes(&self, direction: Option<Direction>, kind: MessageKind, bytes: usize) -> Vec<KeyValue> {
        let mut attributes = Vec::with_capacity(3);
        attributes.extend(direction.map(Direction::attribute));
        attributes.push(KeyValue::new(WEBSOCKET_MESSAGE_TYPE, kind.as_str()));
        attributes.push(KeyValue::new(WEBSOCKET_MESSAGE_SIZE, i64::try_from(bytes).unwrap_or(i64::MAX)));
        attributes
    }
}

impl Direction {
    fn attribute(self) -> KeyValue {
        let value = if self == Self::Receive { "receive" } else { "transmit" };
        KeyValue::new(attribute::NETWORK_IO_DIRECTION, value)
    }
}

/// Ends the span of a message, whichever way its work went.
struct Ending {
    context: Context,
    is_done: bool,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let span = self.context.span();
        if !self.is_done {
            let (error_type, description) = match std::thread::panicking() {
                true => (PANIC, "the work on the message panicked"),
                false => ("cancelled", "the work on the message was dropped before its end"),
            };
            span.set_attribute(KeyValue::new(attribute::ERROR_TYPE, error_type));
            span.set_status(Status::error(description));
        }
        db::tell(&self.context);
        span.end();
    }
}
