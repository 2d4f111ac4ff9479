//! An order as the services trace it, built by hand so that it never changes.

use trace_viewer::model::{
    Attributes, Event, Link, LogRecord, Resource, Scope, Span, SpanId, SpanKind, SpanStatus, Trace, Value,
};

/// 2026-11-22 19:59:03.123 UTC.
pub(crate) const START: u64 = 1_795_377_543_123_000_000;

/// A span from `from` to `to`, in microseconds from the start of its trace.
pub(crate) fn span(
    id: u64,
    parent: u64,
    service: &str,
    name: &str,
    kind: SpanKind,
    from: u64,
    to: u64,
) -> Span {
    Span {
        span_id: span_id(id),
        parent_span_id: (parent != 0).then(|| span_id(parent)),
        parent_is_remote: Some(kind == SpanKind::Server),
        name: name.to_owned(),
        kind,
        service: service.to_owned(),
        resource: 0,
        scope: Scope::default(),
        start_unix_nano: START + from * 1_000,
        end_unix_nano: START + to * 1_000,
        status: SpanStatus::Unset,
        attributes: Attributes::new(),
        events: Vec::new(),
        links: Vec::new(),
        trace_state: String::new(),
        dropped_attributes_count: 0,
        dropped_events_count: 0,
        dropped_links_count: 0,
    }
}

pub(crate) fn span_id(id: u64) -> SpanId {
    SpanId::from_bytes(&(0x53ce_929d_0e0e_4700 + id).to_be_bytes()).unwrap()
}

pub(crate) fn trace(spans: Vec<Span>) -> Trace {
    Trace {
        trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".parse().unwrap(),
        resources: vec![Resource { attributes: Attributes::new() }],
        spans,
        logs: Vec::new(),
        dropped_spans: 0,
    }
}

/// Attributes, status and events in a builder's manner.
pub(crate) trait With {
    fn with<V: Into<Value>>(self, key: &str, value: V) -> Self;
    fn query(self, text: &str) -> Self;
    fn failed(self, description: &str, error_type: &str) -> Self;
    fn event(self, at: u64, name: &str, attributes: &[(&str, Value)]) -> Self;
    fn linked(self) -> Self;
}

impl With for Span {
    fn with<V: Into<Value>>(mut self, key: &str, value: V) -> Self {
        self.attributes.insert(key.to_owned(), value.into());
        self
    }

    fn query(self, text: &str) -> Self {
        self.with("db.system.name", "sqlite").with("db.query.text", text)
    }

    fn failed(mut self, description: &str, error_type: &str) -> Self {
        self.status = SpanStatus::Error { description: description.to_owned() };
        self.with("error.type", error_type)
    }

    fn event(mut self, at: u64, name: &str, attributes: &[(&str, Value)]) -> Self {
        let attributes = attributes.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        let time_unix_nano = START + at * 1_000;
        self.events.push(Event {
            time_unix_nano,
            name: name.to_owned(),
            attributes,
            dropped_attributes_count: 0,
        });
        self
    }

    fn linked(mut self) -> Self {
        self.links.push(Link {
            trace_id: "0af7651916cd43dd8448eb211c80319c".parse().unwrap(),
            span_id: span_id(0x77),
            trace_state: String::new(),
            attributes: Attributes::new(),
            dropped_attributes_count: 0,
        });
        self
    }
}

const STATUS: &str = "http.response.status_code";
const TENANT: &str = "0197a3c4-5d6e-7f80-9123-456789abcdef";
const ORDER: &str = "0197a3c4-6e7f-7081-a234-56789abcdef0";

use SpanKind::{Client, Internal, Server};

/// The part that a placed and a declined order share: who is it, and is there stock?
fn begun(end: u64, status: i64) -> Vec<Span> {
    let of_tenant = |span: Span| span.with("tenant.id", TENANT).with("tenant.name", "Acme GmbH");
    let spans = vec![
        span(1, 0, "order-service", "POST /api/orders", Server, 0, end).with(STATUS, status),
        span(2, 1, "order-service", "validate_user_token", Internal, 310, 9_840).with("auth.success", true),
        span(3, 2, "order-service", "POST /internal/tokens/validate", Client, 420, 9_700).with(STATUS, 200),
        span(4, 3, "user-service", "POST /internal/tokens/validate", Server, 1_630, 9_120)
            .with(STATUS, 200)
            .with("user.id", "0197a3c4-1111-7222-8333-444455556666"),
        span(5, 4, "user-service", "SELECT users", Client, 2_480, 4_020)
            .query("SELECT `users`.`id`, `users`.`tenant_id`, `users`.`tier`, `users`.`active` FROM `users` WHERE `users`.`id` = ? LIMIT ?"),
        span(6, 4, "user-service", "SELECT tenants", Client, 4_510, 5_730)
            .query("SELECT `tenants`.`id`, `tenants`.`name` FROM `tenants` WHERE `tenants`.`id` = ? LIMIT ?"),
        span(7, 1, "order-service", "create_order", Internal, 10_050, end - 240)
            .with("order.id", ORDER)
            .with("order.type", "standard")
            .with("order.amount", 49.98)
            .with("order.quantity", 2),
        span(8, 7, "order-service", "INSERT orders", Client, 10_420, 11_730).query(
            "INSERT INTO `orders` (`id`, `tenant_id`, `status`, `product_id`, `quantity`) VALUES (?, ?, ?, ?, ?)",
        ),
        span(9, 7, "order-service", "check_inventory", Internal, 11_900, 21_350)
            .with("product.id", "0197a3c4-aaaa-7bbb-8ccc-ddddeeeeffff")
            .with("inventory.available", true),
        span(10, 9, "order-service", "POST /internal/reservations", Client, 12_080, 21_130).with(STATUS, 201),
        span(11, 10, "inventory-service", "POST /internal/reservations", Server, 13_240, 20_560).with(STATUS, 201),
        span(12, 11, "inventory-service", "UPDATE products", Client, 14_020, 15_610)
            .query("UPDATE `products`\n   SET `stock` = `stock` - ?\n WHERE `id` = ? AND `stock` >= ?"),
        span(13, 11, "inventory-service", "INSERT reservations", Client, 15_890, 18_240)
            .query("INSERT INTO `reservations` (`id`, `order_id`, `product_id`, `quantity`) VALUES (?, ?, ?, ?)"),
    ];
    spans.into_iter().map(of_tenant).collect()
}

/// An order that went through.
pub(crate) fn placed_order() -> Trace {
    let mut spans = begun(48_310, 201);
    spans[6] = spans[6].clone().event(47_860, "Order created successfully", &[]);
    spans.extend([
        span(14, 7, "order-service", "process_payment", Internal, 21_540, 38_920)
            .with("payment.method", "card_ok")
            .with("payment.transaction_id", "txn_8f14e45f"),
        span(15, 14, "order-service", "POST /internal/payments", Client, 21_730, 38_700).with(STATUS, 201),
        span(16, 15, "payment-service", "POST /internal/payments", Server, 22_910, 38_140).with(STATUS, 201),
        span(17, 16, "payment-service", "INSERT payments", Client, 23_600, 25_080).query(
            "INSERT INTO `payments` (`id`, `order_id`, `amount_minor`, `currency`, `status`) VALUES (?, ?, ?, ?, ?)",
        ),
        span(18, 16, "payment-service", "POST /charges", Client, 25_370, 35_210).with(STATUS, 201),
        span(19, 16, "payment-service", "UPDATE payments", Client, 35_480, 37_020)
            .query("UPDATE `payments` SET `status` = ?, `transaction_id` = ? WHERE `id` = ?"),
        span(20, 7, "order-service", "POST /internal/reservations/{id}/commit", Client, 39_210, 45_380)
            .with(STATUS, 200),
        span(21, 20, "inventory-service", "POST /internal/reservations/{id}/commit", Server, 40_120, 44_870)
            .with(STATUS, 200),
        span(22, 21, "inventory-service", "UPDATE reservations", Client, 40_990, 43_050)
            .query("UPDATE `reservations` SET `state` = ? WHERE `id` = ? AND `state` = ?"),
        span(23, 7, "order-service", "UPDATE orders", Client, 45_610, 47_120)
            .query("UPDATE `orders` SET `status` = ? WHERE `id` = ?"),
        span(24, 1, "order-service", "send_email", Internal, 48_120, 52_640).with("email.message_length", 412),
    ]);
    trace(spans)
}

/// An order whose card was declined, and whose reservation was released again.
pub(crate) fn declined_order() -> Trace {
    let mut spans = begun(46_020, 402);
    spans[6] = spans[6].clone().failed("Payment declined", "payment_declined");
    spans.extend([
        span(14, 7, "order-service", "process_payment", Internal, 21_540, 37_020)
            .with("payment.method", "card_declined")
            .failed("Payment declined", "payment_declined")
            .event(
                36_910,
                "exception",
                &[
                    ("exception.type", "payment_declined".into()),
                    ("exception.message", "the bank declined the card: insufficient funds".into()),
                    ("exception.stacktrace", "never shown here".into()),
                ],
            ),
        span(15, 14, "order-service", "POST /internal/payments", Client, 21_730, 36_700)
            .with(STATUS, 402)
            .failed("", "402"),
        span(16, 15, "payment-service", "POST /internal/payments", Server, 22_910, 36_140).with(STATUS, 402),
        span(17, 16, "payment-service", "POST /charges", Client, 25_370, 35_210)
            .with(STATUS, 402)
            .failed("HTTP 402", "402"),
        span(20, 7, "order-service", "POST /internal/reservations/{id}/release", Client, 37_210, 43_380)
            .with(STATUS, 200)
            .with("http.request.resend_count", 1),
        span(21, 20, "inventory-service", "POST /internal/reservations/{id}/release", Server, 38_120, 42_870)
            .with(STATUS, 200),
        span(22, 21, "inventory-service", "UPDATE reservations", Client, 38_990, 41_050)
            .query("UPDATE `reservations` SET `state` = ? WHERE `id` = ? AND `state` = ?"),
    ]);
    let mut trace = trace(spans);
    trace.logs.push(LogRecord {
        time_unix_nano: START + 36_800_000,
        observed_time_unix_nano: 0,
        severity_number: 13,
        severity_text: "WARN".to_owned(),
        body: Some("payment declined, releasing the reservation".into()),
        attributes: Attributes::new(),
        event_name: String::new(),
        trace_id: Some(trace.trace_id),
        span_id: Some(span_id(7)),
        service: "order-service".to_owned(),
        resource: 0,
        scope: Scope::default(),
        dropped_attributes_count: 0,
        sequence: 0,
    });
    trace
}
