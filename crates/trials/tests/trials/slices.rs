//! Whether a request to a service whose collector fails is slower than to one whose collector is well.
//!
//! Ratios of times taken minutes apart tell of the machine. So all services run side by side, each with a collector of
//! its own that does one thing throughout, and take turns under load, a slice of a second each, in an order that
//! changes with every round. A service is compared with the one whose collector is well in the same round; the ratio
//! told is the median of the rounds, with the quartiles. A second service whose collector is well tells how far a ratio
//! strays that is 1 by nature.
//!
//! ```sh
//! cargo test -p trials slices -- --ignored --nocapture    # SLICE_ROUNDS=3 for fewer than 40
//! ```

use std::time::Duration;

use tokio::runtime::Runtime;

use crate::collector::{Collector, Manner};
use crate::load::{Times, drive};
use crate::service::{PROTOCOLS, Service};

/// Requests a second, to the one service whose turn it is.
const RATE: u32 = 400;

/// Of load on one service.
const SLICE: Duration = Duration::from_secs(1);

const WELL: usize = 0;
const WITHOUT: usize = 6;
const NAMES: [&str; 7] =
    ["well", "well, another", "stopped", "hanging", "overloaded", "cutting", "without telemetry"];

#[test]
#[ignore = "takes minutes: SLICE_ROUNDS rounds of 7 seconds by each protocol, by default 40"]
fn slices_of_load_tell_what_an_outage_costs_a_request() {
    let rounds = std::env::var("SLICE_ROUNDS").map_or(40, |text| text.parse().expect("a number"));
    // What collectors do is no part of what the client's thread measures.
    let collectors = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let collectors = collectors.expect("a runtime");
    let client = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for protocol in PROTOCOLS {
        client.block_on(compare(protocol, rounds, &collectors));
    }
}

async fn compare(protocol: &str, rounds: usize, runtime: &Runtime) {
    let mut collectors = Vec::new();
    let mut services = Vec::new();
    for name in NAMES {
        let mut collector = {
            let _there = runtime.enter();
            Collector::start()
        };
        match name {
            "stopped" => collector.stop().await,
            "hanging" => collector.behave(Manner::Hang),
            "overloaded" => collector.behave(Manner::Refuse),
            "cutting" => collector.behave(Manner::Cut),
            _ => {}
        }
        let endpoint = collector.endpoint();
        let disabled = if name == NAMES[WITHOUT] { "true" } else { "false" };
        services.push(
            Service::serve(&[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
                ("OTEL_SDK_DISABLED", disabled),
            ])
            .await,
        );
        collectors.push(collector);
    }
    // What is done once, first connections, and queues that fill up are no part of what is compared.
    for service in &services {
        drive([service], RATE, SLICE * 4).await;
    }
    let mut all: Vec<[Times; NAMES.len()]> = Vec::new();
    for round in 0..rounds {
        let mut times = <[Times; NAMES.len()]>::default();
        for turn in 0..NAMES.len() {
            let which = order(round, turn);
            [times[which]] = drive([&services[which]], RATE, SLICE).await;
            assert_eq!(times[which].failed, 0, "{}: requests failed", NAMES[which]);
        }
        all.push(times);
    }
    println!(
        "\n{protocol}, {rounds} rounds\n\n| collector | requests | median | 90 % | 99 % |\n|---|---|---|---|---|"
    );
    for (which, name) in NAMES.iter().enumerate() {
        let requests: usize = all.iter().map(|round| round[which].requests()).sum();
        print!("| {name} | {requests} |");
        for share in [0.5, 0.9, 0.99] {
            let seconds = |times: &Times| times.percentile(share).as_secs_f64();
            let mut ratios: Vec<f64> =
                all.iter().map(|round| seconds(&round[which]) / seconds(&round[WELL])).collect();
            ratios.sort_unstable_by(f64::total_cmp);
            let quartile = |quarters: usize| ratios[(ratios.len() - 1) * quarters / 4];
            print!(" {:.2} ({:.2} to {:.2}) |", quartile(2), quartile(1), quartile(3));
        }
        println!();
    }
    let mut well: Vec<Duration> = all.iter().map(|round| round[WELL].percentile(0.5)).collect();
    well.sort_unstable();
    println!("\nmedian of those whose collector is well: {:?}", well[well.len() / 2]);
    drop(collectors);
}

/// Whose turn it is: each round begins with another service, every second one goes backwards.
fn order(round: usize, turn: usize) -> usize {
    let turn = if round.is_multiple_of(2) { turn } else { NAMES.len() - 1 - turn };
    (turn + round / 2) % NAMES.len()
}
