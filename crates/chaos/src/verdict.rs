//! What the databases and the gateway's books say afterwards, and what of it must not be.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, ensure};
use demo::parts::Part;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::{QueryableByName, RunQueryDsl as _, sql_query};
use tokio::time::{Instant, sleep};

use crate::customers::{Shop, Told};
use crate::fleet::Fleet;

/// Everything is at its end well before: leases last seconds here.
const SETTLED_WITHIN: Duration = Duration::from_secs(150);

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Orders by their status.
    pub orders: BTreeMap<String, usize>,
    /// Payments by their status.
    pub payments: BTreeMap<String, usize>,
    /// Orders that went on in a trace other than the one they were placed in. Without traces, by their versions: each
    /// time that somebody took an order over counts.
    pub taken_over: usize,
    /// What must not be.
    pub findings: Vec<String>,
}

#[derive(QueryableByName)]
struct OrderRow {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Text)]
    status: String,
    #[diesel(sql_type = Text)]
    product_id: String,
    #[diesel(sql_type = Nullable<Text>)]
    parked_reason: Option<String>,
    #[diesel(sql_type = BigInt)]
    mails: i64,
    #[diesel(sql_type = BigInt)]
    gaps: i64,
}

#[derive(QueryableByName)]
struct PaymentRow {
    #[diesel(sql_type = Text)]
    order_id: String,
    #[diesel(sql_type = Text)]
    status: String,
    #[diesel(sql_type = Nullable<Text>)]
    failure_code: Option<String>,
}

#[derive(QueryableByName)]
struct StockRow {
    #[diesel(sql_type = BigInt)]
    on_hand: i64,
    #[diesel(sql_type = BigInt)]
    reserved: i64,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// Waits until nothing changes any more, and looks.
///
/// # Errors
/// Where a database or the gateway cannot be asked.
pub async fn judge(fleet: &Fleet, shop: &Shop, told: &[Told]) -> anyhow::Result<Verdict> {
    let mut verdict = Verdict::default();
    if let Err(unsettled) = settle(fleet).await {
        verdict.findings.push(format!("{unsettled:#}"));
    }
    let orders = orders(fleet)?;
    let payments: BTreeMap<String, PaymentRow> =
        payments(fleet)?.into_iter().map(|payment| (payment.order_id.clone(), payment)).collect();
    for order in &orders {
        *verdict.orders.entry(order.status.clone()).or_default() += 1;
        verdict.taken_over += usize::from(order.gaps > 0);
        judge_order(fleet, order, payments.get(&order.id), &mut verdict.findings).await?;
    }
    for payment in payments.values() {
        *verdict.payments.entry(payment.status.clone()).or_default() += 1;
    }
    judge_stock(fleet, shop, &orders, &mut verdict.findings)?;
    judge_answers(told, &orders, &mut verdict.findings);
    Ok(verdict)
}

/// Every order final, every payment decided, every message acted on.
async fn settle(fleet: &Fleet) -> anyhow::Result<()> {
    const OPEN: [(Part, &str); 4] = [
        (Part::Order, "orders WHERE status NOT IN ('confirmed', 'failed', 'cancelled')"),
        (Part::Order, "outbox"),
        (Part::Inventory, "reservations WHERE state = 'reserved'"),
        (
            Part::Payment,
            "payments WHERE status = 'pending' OR (status = 'failed' AND failure_code <> 'gateway_unavailable')",
        ),
    ];
    let give_up = Instant::now() + SETTLED_WITHIN;
    loop {
        let mut open = Vec::new();
        for (part, what) in OPEN {
            let query = sql_query(format!("SELECT COUNT(*) AS count FROM {what}"));
            let rows: Vec<Count> = query.load(&mut fleet.database(part)?)?;
            let count = rows.first().map_or(0, |row| row.count);
            if count > 0 {
                open.push(format!("{count} of {what}"));
            }
        }
        if open.is_empty() {
            return Ok(());
        }
        ensure!(Instant::now() < give_up, "not settled in time: {}", open.join("; "));
        sleep(Duration::from_millis(250)).await;
    }
}

fn orders(fleet: &Fleet) -> anyhow::Result<Vec<OrderRow>> {
    let sql = "SELECT id, status, product_id, parked_reason, \
               (SELECT COUNT(*) FROM mails WHERE mails.order_id = orders.id) AS mails, \
               version - (SELECT COUNT(*) FROM order_events WHERE order_events.order_id = orders.id) AS gaps \
               FROM orders";
    Ok(sql_query(sql).load(&mut fleet.database(Part::Order)?)?)
}

fn payments(fleet: &Fleet) -> anyhow::Result<Vec<PaymentRow>> {
    let sql = "SELECT order_id, status, failure_code FROM payments";
    Ok(sql_query(sql).load(&mut fleet.database(Part::Payment)?)?)
}

async fn judge_order(
    fleet: &Fleet,
    order: &OrderRow,
    payment: Option<&PaymentRow>,
    findings: &mut Vec<String>,
) -> anyhow::Result<()> {
    let id = &order.id;
    let gateway = gateway_status(fleet, id).await?;
    let paid = payment.map_or("none", |payment| payment.status.as_str());
    let is_never_reached = payment.is_some_and(|payment| {
        payment.status == "failed" && payment.failure_code.as_deref() == Some("gateway_unavailable")
    });
    match order.status.as_str() {
        "confirmed" => {
            if (paid, gateway.as_str()) != ("captured", "captured") {
                findings.push(format!("{id} is confirmed, its payment {paid}, at the gateway {gateway}"));
            }
            if order.mails != 1 {
                findings.push(format!("{id} is confirmed, with {} mails", order.mails));
            }
        }
        end @ ("failed" | "cancelled") => {
            let is_free = matches!(paid, "none" | "declined" | "voided" | "refunded" | "cancelled");
            if !is_free && !is_never_reached {
                findings.push(format!("{id} is {end}, its payment {paid}"));
            }
            if !matches!(gateway.as_str(), "none" | "declined" | "failed" | "voided" | "refunded") {
                findings.push(format!("{id} is {end}, and {gateway} at the gateway (payment {paid})"));
            }
            if order.mails != 0 {
                findings.push(format!("{id} is {end}, and has a mail"));
            }
        }
        status => findings.push(format!("{id} is {status}, its payment {paid}")),
    }
    if let Some(reason) = &order.parked_reason {
        findings.push(format!("{id} is parked: {reason}"));
    }
    Ok(())
}

async fn gateway_status(fleet: &Fleet, order_id: &str) -> anyhow::Result<String> {
    let url = format!("{}/charges/{order_id}", fleet.url(Part::Gateway));
    let response = fleet.client().get(url).send().await?;
    if response.status() == reqwest::StatusCode::NOT_FOUND {
        return Ok("none".to_owned());
    }
    let charge: serde_json::Value = response.error_for_status()?.json().await?;
    Ok(charge["status"].as_str().context("a charge has a status")?.to_owned())
}

fn judge_stock(
    fleet: &Fleet,
    shop: &Shop,
    orders: &[OrderRow],
    findings: &mut Vec<String>,
) -> anyhow::Result<()> {
    let sql = format!("SELECT on_hand, reserved FROM stock WHERE product_id = '{}'", shop.product_id);
    let rows: Vec<StockRow> = sql_query(sql).load(&mut fleet.database(Part::Inventory)?)?;
    let stock = rows.first().context("the product has a stock")?;
    let sold = orders
        .iter()
        .filter(|order| order.status == "confirmed" && order.product_id == shop.product_id)
        .count() as i64;
    if sold + stock.on_hand != shop.stock || stock.reserved != 0 {
        findings.push(format!(
            "{sold} sold and {} left ({} reserved) are not the {} there were",
            stock.on_hand, stock.reserved, shop.stock
        ));
    }
    Ok(())
}

/// What customers were told must be so; nobody has an order more than they know of, and nothing is called off that
/// nobody called off.
fn judge_answers(told: &[Told], orders: &[OrderRow], findings: &mut Vec<String>) {
    let known: BTreeMap<&str, &str> =
        orders.iter().map(|order| (order.id.as_str(), order.status.as_str())).collect();
    let mut seen = BTreeSet::new();
    for answer in told {
        let Some(id) = answer.order_id.as_deref() else { continue };
        if !seen.insert(id) {
            findings.push(format!("two customers have {id}"));
        }
        let now = known.get(id).copied().unwrap_or("unknown");
        let is_kept = match (answer.status, answer.word.as_str()) {
            (201, _) => now == "confirmed",
            (202, _) => matches!(now, "confirmed" | "failed" | "cancelled"),
            (_, "order_cancelled") => now == "cancelled",
            _ => now == "failed",
        };
        if !is_kept {
            findings.push(format!("{id} was told as {} {}, and is {now}", answer.status, answer.word));
        }
        let is_called_off = match &answer.called_off {
            Some(called_off) if called_off.order_id != id => {
                findings.push(format!("{id} was not called off, but {}", called_off.order_id));
                continue;
            }
            // It came too late.
            Some(called_off) => called_off.status != 409,
            None => false,
        };
        if is_called_off != (now == "cancelled") {
            findings.push(format!("{id} is {now}, and its customer was told {:?}", answer.called_off));
        }
    }
    for id in known.keys().filter(|id| !seen.contains(**id)) {
        findings.push(format!("nobody knows of {id}: a customer's second order"));
    }
}
