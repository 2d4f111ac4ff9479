//! Messages about orders: what must happen after a change was committed, and who is told of it.
//!
//! A message is a row that is written in the transaction of the change it tells of, so there is never one without the
//! other. This module is the place of a broker: with one, [`Outbox::send`] would still write the row, something would
//! carry rows to the broker, and [`Outbox::process`] would be called by the broker's client.
//!
//! | destination | row | consumed by |
//! |---|---|---|
//! | `order.events` | `order_events`, kept as the order's history | every replica that has a WebSocket watching the order |
//! | `order.mails` | `outbox`, until it is done | one replica: the one that wrote it, or after a crash any |
//!
//! Messages arrive at least once, and consumers know what they have seen: a WebSocket by the order's version, the
//! mailer by the order's mail. Telemetry is as the conventions for messaging have it: a PRODUCER span in the trace of
//! the change, and a CONSUMER span that links to it.

mod changes;

use telemetry_core::Telemetry;
use telemetry_core::opentelemetry::trace::{Link, SpanBuilder, SpanKind, TraceContextExt as _, Tracer as _};
use telemetry_core::opentelemetry::{Context, KeyValue};
use uuid::Uuid;

pub use self::changes::{Change, Changes};

/// `messaging.system`: the table in the service's own database.
const SYSTEM: &str = "outbox";

/// Where messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// A status that an order has now.
    Events,
    /// A mail that a customer gets.
    Mails,
}

impl Destination {
    /// `messaging.destination.name`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Events => "order.events",
            Self::Mails => "order.mails",
        }
    }

    fn send(self) -> &'static str {
        match self {
            Self::Events => "send order.events",
            Self::Mails => "send order.mails",
        }
    }

    fn process(self) -> &'static str {
        match self {
            Self::Events => "process order.events",
            Self::Mails => "process order.mails",
        }
    }
}

/// Sends and receives messages. Cheap to clone.
#[derive(Clone)]
pub struct Outbox {
    telemetry: Telemetry,
}

impl Outbox {
    /// Spans are made with this telemetry.
    pub fn new(telemetry: Telemetry) -> Self {
        Self { telemetry }
    }

    /// Writes a message's row under its PRODUCER span: `write` gets the `traceparent` that belongs into it.
    ///
    /// # Errors
    /// Those of `write`.
    pub fn send<T>(
        &self,
        destination: Destination,
        message_id: Uuid,
        write: impl FnOnce(Option<String>) -> T,
    ) -> T {
        let parent = Context::current();
        let span = SpanBuilder::from_name(destination.send())
            .with_kind(SpanKind::Producer)
            .with_attributes(attributes(destination, "send", message_id));
        let span = self.telemetry.tracer().build_with_context(span, &parent);
        let _current = parent.with_span(span).attach();
        write(telemetry_core::span::traceparent())
    }

    /// The context with the CONSUMER span of a message, which ends with the context. It links to the message's PRODUCER
    /// span. A message that was sent a moment ago is worked on in its own trace; later work starts a new one.
    pub fn process(
        &self,
        destination: Destination,
        message_id: Uuid,
        traceparent: Option<&str>,
        place: Place,
    ) -> Context {
        let sent = traceparent.and_then(telemetry_core::span::stored);
        let parent = match (&sent, place) {
            (Some(sent), Place::SameTrace) => Context::current().with_remote_span_context(sent.clone()),
            _ => Context::new(),
        };
        let span = SpanBuilder::from_name(destination.process())
            .with_kind(SpanKind::Consumer)
            .with_links(sent.map(Link::with_context).into_iter().collect())
            .with_attributes(attributes(destination, "process", message_id));
        let span = self.telemetry.tracer().build_with_context(span, &parent);
        parent.with_span(span)
    }
}

/// In which trace a message is worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the one that sent it.
    SameTrace,
    /// In one of its own.
    NewTrace,
}

fn attributes(destination: Destination, operation: &'static str, message_id: Uuid) -> Vec<KeyValue> {
    vec![
        KeyValue::new("messaging.system", SYSTEM),
        KeyValue::new("messaging.operation.name", operation),
        KeyValue::new("messaging.operation.type", operation),
        KeyValue::new("messaging.destination.name", destination.as_str()),
        KeyValue::new("messaging.message.id", message_id.to_string()),
    ]
}
