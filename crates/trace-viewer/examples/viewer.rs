//! Receives OTLP and draws each trace as it completes: `cargo run -p trace-viewer --example viewer`.
//!
//! An address as argument (`127.0.0.1:0`) replaces the default. Ctrl-C stops it.

use std::collections::HashSet;
use std::time::Duration;

use trace_viewer::model::TraceId;
use trace_viewer::{Options, RenderOptions, Store, Viewer, render_trace};

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut options = Options::default();
    if let Some(address) = std::env::args().nth(1) {
        options.address = address.parse()?;
    }
    let viewer = Viewer::bind(options)?;
    println!("send OTLP to {url}, read {url}/api/traces\n", url = viewer.url());
    let store = viewer.store();
    let stop = async {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            () = draw_complete_traces(&store) => {}
        }
    };
    viewer.run_until(stop).await?;
    Ok(())
}

/// Draws what is complete and did not change for half a second, for ever. Complete alone is not
/// enough: the first spans to arrive can look whole before their callers' are here.
async fn draw_complete_traces(store: &Store) {
    let options = RenderOptions::for_stdout();
    let mut cursor = None;
    let mut settling: HashSet<TraceId> = HashSet::new();
    loop {
        let Ok(changed) = store.traces(100, cursor.as_deref()) else { return };
        for summary in &changed.traces {
            settling.remove(&summary.trace_id);
        }
        for trace in settling.drain().filter_map(|trace_id| store.trace(trace_id)) {
            println!("{}", render_trace(&trace, &options));
        }
        settling.extend(changed.traces.iter().filter(|trace| trace.complete).map(|trace| trace.trace_id));
        cursor = Some(changed.cursor);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
