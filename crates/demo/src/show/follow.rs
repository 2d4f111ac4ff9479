//! After the samples: drawing further orders.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use trace_viewer::model::{TraceId, TraceSummary};
use trace_viewer::{RenderOptions, render_trace};

use super::{Switches, say};
use crate::stage::Desk;
use crate::traces::{SETTLED, Traces};

/// How often the viewer is asked for news.
const POLL: Duration = Duration::from_millis(250);

/// A trace that is still incomplete after this is drawn as it is.
const PATIENCE: Duration = Duration::from_secs(20);

/// While customers come by themselves, one trace in so long is drawn, the one with most errors: nobody reads
/// five a second.
const PAUSE: Duration = Duration::from_secs(8);

/// What the root of an order's trace is called, ordered by hand or on the storefront's page.
const ROOTS: [&str; 2] = ["POST /api/orders", "place order"];

/// Draws the trace of each order that arrives from now on; while a scenario is on, of one now and then, one with
/// errors where there is one.
pub(super) async fn draw_further_orders(traces: &Traces, desk: &Desk, rendering: &RenderOptions) {
    let mut cursor: Option<String> = None;
    let mut open: BTreeMap<TraceId, Arrival> = BTreeMap::new();
    let (mut drawn, mut worst, mut switches) = (Instant::now(), None, Switches::default());
    loop {
        switches.tell(desk.on());
        // The viewer may be down on purpose; what it forgot with that is not drawn.
        match traces.changed(cursor.as_deref()).await {
            Ok(changes) => {
                let is_first = cursor.is_none();
                cursor = Some(changes.cursor);
                if !is_first {
                    take_in(&mut open, changes.traces);
                }
            }
            Err(_) => {
                cursor = None;
                open.clear();
            }
        }
        let ready: Vec<(u64, TraceId)> = open
            .iter()
            .filter(|(_, arrival)| arrival.is_ready())
            .map(|(trace_id, arrival)| (arrival.errors, *trace_id))
            .collect();
        for (_, trace_id) in &ready {
            open.remove(trace_id);
        }
        let to_draw = if desk.on().is_empty() {
            ready
        } else {
            worst = worst.max(ready.into_iter().max());
            if drawn.elapsed() >= PAUSE { worst.take().into_iter().collect() } else { Vec::new() }
        };
        for (_, trace_id) in to_draw {
            if let Ok(Some(trace)) = traces.find(trace_id).await {
                say(render_trace(&trace, rendering));
                drawn = Instant::now();
            }
        }
        sleep(POLL).await;
    }
}

fn take_in(open: &mut BTreeMap<TraceId, Arrival>, changed: Vec<TraceSummary>) {
    for summary in changed {
        if ROOTS.contains(&summary.root_name.as_str()) || open.contains_key(&summary.trace_id) {
            let arrival = open.entry(summary.trace_id).or_insert_with(Arrival::new);
            arrival.changed = Instant::now();
            arrival.complete = summary.complete;
            arrival.errors = summary.error_count as u64;
        }
    }
}

/// A trace of which spans still arrive.
struct Arrival {
    first: Instant,
    changed: Instant,
    complete: bool,
    errors: u64,
}

impl Arrival {
    fn new() -> Self {
        Self { first: Instant::now(), changed: Instant::now(), complete: false, errors: 0 }
    }

    fn is_ready(&self) -> bool {
        (self.complete && self.changed.elapsed() >= SETTLED) || self.first.elapsed() >= PATIENCE
    }
}
