//! The three sample orders.

use std::time::Duration;

use reqwest::StatusCode;
use trace_viewer::model::Trace;
use trace_viewer::{RenderOptions, render_trace};

use super::say;
use crate::shop::{Product, Shop};
use crate::traces::Traces;

/// How long the spans of an order may take to arrive. The services export them every 100 ms.
const ARRIVAL: Duration = Duration::from_secs(15);

/// An order, and what its trace must show.
struct Sample<'a> {
    title: &'static str,
    product: &'a Product,
    payment_method: &'static str,
    status: StatusCode,
    /// The services that the trace must reach, each with a statement of SQL.
    services: &'static [&'static str],
    /// A span that must be there, failed or not.
    span: (&'static str, bool),
}

/// Places them, draws each trace, and tells whether each was complete.
pub(super) async fn place(shop: &Shop, traces: &Traces, rendering: &RenderOptions) -> anyhow::Result<bool> {
    let samples = [
        Sample {
            title: "an order that succeeds",
            product: shop.in_stock(),
            payment_method: "card_ok",
            status: StatusCode::CREATED,
            services: &["order-service", "user-service", "inventory-service", "payment-service"],
            span: ("send_email", false),
        },
        Sample {
            title: "an order of what is out of stock",
            product: shop.sold_out(),
            payment_method: "card_ok",
            status: StatusCode::CONFLICT,
            services: &["order-service", "user-service", "inventory-service"],
            span: ("check_inventory", true),
        },
        Sample {
            title: "an order whose payment is declined",
            product: shop.in_stock(),
            payment_method: "card_declined",
            status: StatusCode::PAYMENT_REQUIRED,
            services: &["order-service", "user-service", "inventory-service", "payment-service"],
            span: ("process_payment", true),
        },
    ];
    let mut all_complete = true;
    for (number, sample) in (1..).zip(&samples) {
        let placed = shop.order(sample.product, sample.payment_method).await?;
        say(format_args!(
            "{number}. {}: {}, {} → {} {}\n",
            sample.title,
            sample.product.name,
            sample.payment_method,
            placed.status.as_u16(),
            outcome(&placed.body)
        ));
        let trace = traces.settled(placed.trace_id, ARRIVAL).await?;
        say(render_trace(&trace, rendering));
        let mut missing = missing(sample, &trace);
        if placed.status != sample.status {
            missing.push(format!("the answer {}", sample.status));
        }
        if !missing.is_empty() {
            all_complete = false;
            say(format_args!("   INCOMPLETE: without {}\n", missing.join(", ")));
        }
    }
    Ok(all_complete)
}

/// The order's status, or the problem's code.
fn outcome(body: &serde_json::Value) -> &str {
    let text = |name: &str| body.get(name).and_then(serde_json::Value::as_str);
    text("code").or_else(|| text("status")).unwrap_or("without a word")
}

fn missing(sample: &Sample<'_>, trace: &Trace) -> Vec<String> {
    let mut missing = Vec::new();
    if !trace.is_complete() {
        missing.push("some span's parent".to_owned());
    }
    for service in sample.services {
        let has_sql = trace
            .spans
            .iter()
            .any(|span| span.service == *service && span.attribute("db.query.text").is_some());
        if !has_sql {
            missing.push(format!("a SQL span of {service}"));
        }
    }
    let (name, failed) = sample.span;
    if !trace.spans_named(name).any(|span| span.status.is_error() == failed) {
        missing.push(format!("the span {name}"));
    }
    missing
}
