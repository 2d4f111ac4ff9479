//! After the samples: drawing further orders, or making them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use trace_viewer::model::TraceId;
use trace_viewer::{RenderOptions, render_trace};

use super::say;
use crate::shop::Shop;
use crate::system::System;
use crate::traces::{SETTLED, Traces};

/// How often the viewer is asked for news.
const POLL: Duration = Duration::from_millis(250);

/// A trace that is still incomplete after this is drawn as it is.
const PATIENCE: Duration = Duration::from_secs(20);

/// More orders in flight than this are not started: the services are slower than the rate asked for.
const MAX_IN_FLIGHT: usize = 256;

/// Draws the trace of each order that arrives from now on.
pub(super) async fn draw_further_orders(
    system: &mut System,
    traces: &Traces,
    rendering: &RenderOptions,
) -> anyhow::Result<()> {
    let mut cursor = traces.changed(None).await?.cursor;
    let mut open: BTreeMap<TraceId, Arrival> = BTreeMap::new();
    loop {
        all_alive(system)?;
        let changes = traces.changed(Some(&cursor)).await?;
        cursor = changes.cursor;
        for summary in changes.traces {
            if summary.root_name == "POST /api/orders" || open.contains_key(&summary.trace_id) {
                let arrival = open.entry(summary.trace_id).or_insert_with(Arrival::new);
                arrival.changed = Instant::now();
                arrival.complete = summary.complete;
            }
        }
        let ready: Vec<TraceId> =
            open.iter().filter(|(_, arrival)| arrival.is_ready()).map(|(trace_id, _)| *trace_id).collect();
        for trace_id in ready {
            open.remove(&trace_id);
            if let Some(trace) = traces.find(trace_id).await? {
                say(render_trace(&trace, rendering));
            }
        }
        sleep(POLL).await;
    }
}

/// A trace of which spans still arrive.
struct Arrival {
    first: Instant,
    changed: Instant,
    complete: bool,
}

impl Arrival {
    fn new() -> Self {
        Self { first: Instant::now(), changed: Instant::now(), complete: false }
    }

    fn is_ready(&self) -> bool {
        (self.complete && self.changed.elapsed() >= SETTLED) || self.first.elapsed() >= PATIENCE
    }
}

/// The mix of `--load`: mostly good orders, as in life.
const MIX: [&str; 10] = [
    "card_ok",
    "card_ok",
    "card_ok",
    "card_ok",
    "card_declined",
    "card_ok",
    "card_ok",
    "card_ok",
    "gateway_error",
    "card_ok",
];

/// Orders at this rate, an order every 1/rate seconds however long each takes, and tells every second
/// how they ended.
pub(super) async fn keep_ordering(system: &mut System, shop: &Shop, rate: f64) -> anyhow::Result<()> {
    let mut orders = interval(Duration::from_secs_f64(1.0 / rate));
    orders.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut report = interval(Duration::from_secs(1));
    let free = Arc::new(Semaphore::new(MAX_IN_FLIGHT));
    let mut running = JoinSet::new();
    let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
    let mut shop = shop.clone();
    let mut signed_in = Instant::now();
    let mut next = 0;
    loop {
        tokio::select! {
            _ = orders.tick() => {
                let Ok(permit) = free.clone().try_acquire_owned() else {
                    *outcomes.entry("not sent".to_owned()).or_default() += 1;
                    continue;
                };
                let (shop, payment_method) = (shop.clone(), MIX[next % MIX.len()]);
                next += 1;
                running.spawn(async move {
                    let _permit = permit;
                    shop.order(shop.in_stock(), payment_method).await
                });
            }
            Some(Ok(placed)) = running.join_next() => {
                let outcome = placed.map_or("no answer".to_owned(), |placed| placed.status.as_u16().to_string());
                *outcomes.entry(outcome).or_default() += 1;
            }
            _ = report.tick() => {
                all_alive(system)?;
                if !outcomes.is_empty() {
                    let counts: Vec<String> =
                        std::mem::take(&mut outcomes).iter().map(|(outcome, count)| format!("{count} × {outcome}")).collect();
                    say(format_args!("last second: {}", counts.join(", ")));
                }
                if signed_in.elapsed() > Shop::SIGN_IN_AGAIN {
                    shop.sign_in_again().await?;
                    signed_in = Instant::now();
                }
            }
        }
    }
}

fn all_alive(system: &mut System) -> anyhow::Result<()> {
    match system.ended() {
        None => Ok(()),
        Some((process, status)) => {
            bail!("{} has ended ({status}); it printed:\n{}", process.part().name(), process.printed())
        }
    }
}
