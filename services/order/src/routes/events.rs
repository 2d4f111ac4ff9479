//! The events of an order: a WebSocket that tells its status whenever it changes, until it is final.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, get, web};
use actix_ws::{CloseCode, Message, MessageStream, ProtocolError, Session};
use service_kit::Problem;
use service_kit::app::Stopping;
use service_kit::db::DatabaseError;
use service_kit::user::{AuthenticatedSocket, User};
use telemetry_core::opentelemetry::context::FutureExt as _;
use telemetry_core::server::websocket::{MessageKind, WebSocket, WebSocketTelemetry};
use telemetry_core::{Telemetry, context};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use uuid::Uuid;

use super::orders::OrderResponse;
use crate::config::EventLimits;
use crate::domain::{OrderEvent, OrderStatus};
use crate::error;
use crate::outbox::{Change, Destination, Outbox, Place};
use crate::store::Orders;

/// The protocol that is spoken, for clients that offer their token as one.
const PROTOCOL: &str = "order-events";

/// How long a client may take to read what is sent to it.
const SEND_WITHIN: Duration = Duration::from_secs(10);

/// The question that a client may ask, and how often.
const QUESTION: &str = "status";
const MAX_QUESTIONS: usize = 100;

/// What all streams of the process share.
#[derive(Clone)]
pub(crate) struct Streams {
    limits: EventLimits,
    slots: Arc<Semaphore>,
    outbox: Outbox,
    sockets: WebSocketTelemetry,
    telemetry: Telemetry,
    stopping: Stopping,
}

impl Streams {
    pub(crate) fn new(
        limits: EventLimits,
        outbox: Outbox,
        telemetry: &Telemetry,
        stopping: Stopping,
    ) -> Self {
        let slots = Arc::new(Semaphore::new(limits.connections));
        Self {
            limits,
            slots,
            outbox,
            sockets: telemetry.websockets(),
            telemetry: telemetry.clone(),
            stopping,
        }
    }
}

/// Tells one of the caller's own orders over a WebSocket, now and whenever it changes.
///
/// Each text message is the order as `GET /api/orders/{id}` answers it. The text `status` asks for it again. The service
/// closes with 1000 after a final status, with 1001 when it stops. A browser offers the protocols `order-events`
/// and `bearer.<access token>`; other clients may send the token as `Authorization` instead.
#[utoipa::path(
    params(("id" = String, Path, description = "The order's id.")),
    responses((status = 101, description = "A WebSocket; each message is an order.", body = OrderResponse)),
    security(("user_token" = []))
)]
#[get("/api/orders/{id}/events")]
pub(super) async fn order_events(
    AuthenticatedSocket(customer): AuthenticatedSocket,
    orders: web::Data<Orders>,
    streams: web::Data<Streams>,
    id: web::Path<String>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, actix_web::Error> {
    let id = Uuid::parse_str(&id).map_err(|_| error::order_not_found())?;
    // Before the order is read: no change is missed in between.
    let changes = orders.changes();
    let found = context::with_baggage(customer.baggage(), orders.find(id, &customer)).await;
    found.map_err(Problem::from)?.ok_or_else(error::order_not_found)?;
    let slot = streams.slots.clone().try_acquire_owned().map_err(|_| {
        let detail = "Too many orders are being watched here.";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_streams", detail)
    })?;
    let (mut response, session, messages) = actix_ws::handle_with_protocols(&request, payload, &[PROTOCOL])?;
    let socket = streams.sockets.observe(&request, &mut response);
    let stream = Stream {
        limits: streams.limits,
        socket,
        session,
        orders: orders.get_ref().clone(),
        id,
        customer,
        outbox: streams.outbox.clone(),
        telemetry: streams.telemetry.clone(),
        told: 0,
        questions: 0,
        _slot: slot,
    };
    context::spawn_local(stream.run(messages, changes, streams.stopping.clone()));
    Ok(response)
}

struct Stream {
    limits: EventLimits,
    socket: WebSocket,
    session: Session,
    orders: Orders,
    id: Uuid,
    customer: User,
    outbox: Outbox,
    telemetry: Telemetry,
    /// The order's version that the client knows: what is no newer is not told again.
    told: i64,
    questions: usize,
    _slot: OwnedSemaphorePermit,
}

/// Goes on, or ends: with a code, or without a word where nobody listens.
type Next = ControlFlow<Option<CloseCode>>;

const GONE: Next = ControlFlow::Break(None);

fn close(code: CloseCode) -> Next {
    ControlFlow::Break(Some(code))
}

impl Stream {
    async fn run(
        mut self,
        mut messages: MessageStream,
        mut changes: broadcast::Receiver<Change>,
        stopping: Stopping,
    ) {
        let end = Instant::now() + self.limits.lifetime;
        let mut seen = Instant::now();
        let mut ping = interval(self.limits.idle / 3);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut look = interval(self.limits.poll);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut next = self.tell().await;
        while next.is_continue() {
            next = tokio::select! {
                () = stopping.requested() => close(CloseCode::Away),
                () = sleep_until(end) => close(CloseCode::Away),
                _ = ping.tick() => self.ping(seen).await,
                _ = look.tick() => self.tell_events().await,
                changed = changes.recv() => self.changed(changed).await,
                message = messages.recv() => {
                    seen = Instant::now();
                    self.answer(message).await
                }
            };
        }
        if let ControlFlow::Break(Some(code)) = next {
            self.socket.closed(code.into());
            // A client that does not read it has gone.
            let _ = timeout(SEND_WITHIN, self.session.close(Some(code.into()))).await;
        }
    }

    async fn ping(&mut self, seen: Instant) -> Next {
        if seen.elapsed() > self.limits.idle {
            return GONE;
        }
        sent(timeout(SEND_WITHIN, self.session.ping(b"")).await)
    }

    async fn changed(&mut self, changed: Result<Change, RecvError>) -> Next {
        match changed {
            Ok(Change::Of(id)) if id != self.id => ControlFlow::Continue(()),
            // What was missed may have been this order's.
            Ok(_) | Err(RecvError::Lagged(_)) => self.tell_events().await,
            Err(RecvError::Closed) => close(CloseCode::Away),
        }
    }

    async fn answer(&mut self, message: Option<Result<Message, ProtocolError>>) -> Next {
        match message {
            Some(Ok(Message::Text(text))) if text == QUESTION => {
                self.questions += 1;
                if self.questions > MAX_QUESTIONS {
                    return close(CloseCode::Policy);
                }
                let socket = self.socket.clone();
                socket.received(MessageKind::Text, text.len(), self.tell()).await
            }
            Some(Ok(Message::Text(_) | Message::Binary(_) | Message::Continuation(_))) => {
                close(CloseCode::Unsupported)
            }
            Some(Ok(Message::Ping(bytes))) => sent(timeout(SEND_WITHIN, self.session.pong(&bytes)).await),
            Some(Ok(Message::Pong(_) | Message::Nop)) => ControlFlow::Continue(()),
            Some(Ok(Message::Close(reason))) => {
                // The first code counts, and it is the client's.
                self.socket.closed(reason.as_ref().map_or(1005, |reason| reason.code.into()));
                close(CloseCode::Normal)
            }
            Some(Err(ProtocolError::Io(_))) | None => GONE,
            Some(Err(_)) => close(CloseCode::Protocol),
        }
    }

    /// Sends the order as it is now.
    async fn tell(&mut self) -> Next {
        let found = self.orders.find(self.id, &self.customer);
        let order = match context::with_baggage(self.customer.baggage(), found).await {
            Ok(Some(order)) => order,
            Ok(None) => return close(CloseCode::Away),
            Err(error) => return self.broken(&error),
        };
        self.told = order.version;
        let status = order.status;
        self.send(order.into(), status).await
    }

    /// Sends what became of the order since it was last told: every status, in order, and once.
    async fn tell_events(&mut self) -> Next {
        // Most looks find nothing, and are no news.
        let since = self.told;
        let events = match self.telemetry.untraced(self.orders.events(self.id, since)).await {
            Ok(events) => events,
            Err(error) => return self.broken(&error),
        };
        for event in events {
            let consumer = self.outbox.process(
                Destination::Events,
                event.message_id,
                event.traceparent.as_deref(),
                Place::NewTrace,
            );
            self.tell_event(&event).with_context(consumer).await?;
        }
        ControlFlow::Continue(())
    }

    async fn tell_event(&mut self, event: &OrderEvent) -> Next {
        let found = self.orders.find(self.id, &self.customer);
        let order = match context::with_baggage(self.customer.baggage(), found).await {
            Ok(Some(order)) => order,
            Ok(None) => return close(CloseCode::Away),
            Err(error) => return self.broken(&error),
        };
        self.told = event.version;
        self.send(OrderResponse::at(&order, event), event.status).await
    }

    fn broken(&self, error: &DatabaseError) -> Next {
        self.socket.failed("database_unavailable", error);
        close(CloseCode::Error)
    }

    async fn send(&mut self, order: OrderResponse, status: OrderStatus) -> Next {
        let text = match serde_json::to_string(&order) {
            Ok(text) => text,
            Err(error) => {
                self.socket.failed("order_not_told", &error);
                return close(CloseCode::Error);
            }
        };
        let size = text.len();
        sent(timeout(SEND_WITHIN, self.session.text(text)).await)?;
        self.socket.sent(MessageKind::Text, size);
        if status.is_final() { close(CloseCode::Normal) } else { ControlFlow::Continue(()) }
    }
}

fn sent<E, T>(result: Result<Result<(), E>, T>) -> Next {
    if matches!(result, Ok(Ok(()))) { ControlFlow::Continue(()) } else { GONE }
}
