//! The same small service bare and under each instrumentation, side by side: CPU time a request, latency, requests a
//! second on one core, memory, bytes to the collector, and whether all spans arrived.
//!
//!     cargo run --release -p compare
//!
//! builds what it measures, each package alone, and prints one table of medians. Each variant is a process of its own
//! with one worker, and runs on the first core alone, its export thread too; this program and the sink run on the
//! second. They take turns, each round in another order, so that what else the machine does meets all of them. Two
//! cores are needed, and best nothing else that runs on them. Loopback only.

mod load;
mod process;
mod variants;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Parser;
use sink::Sink;

use crate::process::Process;
use crate::variants::{Variant, Work};

/// Measures the same service bare and under each instrumentation.
#[derive(Debug, Parser)]
struct Cli {
    /// Only variants whose names begin so, and those that they are compared with
    names: Vec<String>,
    /// How often each is measured; the table has the medians, and of CPU time the least too, since whatever else the
    /// machine does only adds to it
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// How long each is measured at its rate, and again at full load, in seconds
    #[arg(long, default_value_t = 2)]
    seconds: u64,
    /// Leave out what is written in Python
    #[arg(long)]
    without_python: bool,
    /// A variable for all of them, such as OTEL_BSP_MAX_QUEUE_SIZE=8192; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    set: Vec<(String, String)>,
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("not NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// What one run of one variant came to.
#[derive(Debug, Default)]
struct Measured {
    /// CPU time a request at the variant's rate, microseconds, of all threads and in the kernel too.
    cpu: f64,
    /// How long half of the answers took at the most, microseconds, from the moment they were due to be asked for.
    p50: f64,
    /// The same of 99 in a hundred.
    p99: f64,
    /// Requests a second at full load.
    throughput: f64,
    /// What part of its core it used then: well below 1 it waited for this program.
    busy: f64,
    /// CPU time a request then, microseconds.
    cpu_full: f64,
    /// Resident memory at the end of full load, MiB.
    resident: f64,
    /// The most it ever was.
    peak: f64,
    /// Bytes sent to the collector for each span.
    bytes: f64,
    /// The part of the spans that arrived.
    arrived: f64,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let variants = wanted(&cli);
    ensure!(!variants.is_empty(), "no variant has such a name");
    build(&variants)?;
    process::this_on_second_core()?;
    let mut all: Vec<Vec<Measured>> = variants.iter().map(|_| Vec::new()).collect();
    for round in 0..cli.rounds {
        for turn in 0..variants.len() {
            let index = (round + turn) % variants.len();
            let variant = &variants[index];
            let measured = measure(variant, &cli.set, Duration::from_secs(cli.seconds))
                .with_context(|| variant.name.to_owned())?;
            eprintln!("round {} {}: {measured:.3?}", round + 1, variant.name);
            all[index].push(measured);
        }
    }
    print(&variants, &all);
    Ok(())
}

fn wanted(cli: &Cli) -> Vec<Variant> {
    let is_asked_for =
        |name: &str| cli.names.is_empty() || cli.names.iter().any(|wanted| name.starts_with(&**wanted));
    let all = variants::ALL.iter().filter(|variant| !(cli.without_python && variant.is_python()));
    let is_base = |name: &str| all.clone().any(|other| other.base == name && is_asked_for(other.name));
    all.clone().filter(|variant| is_asked_for(variant.name) || is_base(variant.name)).copied().collect()
}

/// Each package alone, so that none is built with another's features.
fn build(variants: &[Variant]) -> anyhow::Result<()> {
    let benches = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace's folder")?;
    let mut packages: Vec<&str> =
        variants.iter().filter(|variant| !variant.is_python()).map(Variant::program).collect();
    packages.sort_unstable();
    packages.dedup();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    for package in packages {
        let arguments = ["build", "--release", "--locked", "--quiet", "-p", package];
        let status = Command::new(&cargo).args(arguments).current_dir(benches).status()?;
        ensure!(status.success(), "building {package}: {status}");
    }
    if variants.iter().any(Variant::is_python) {
        process::make_python(benches)?;
    }
    Ok(())
}

fn measure(variant: &Variant, further: &[(String, String)], time: Duration) -> anyhow::Result<Measured> {
    let sink = Sink::start()?;
    match variant.work {
        Work::Requests { path, rate } => {
            let mut process = Process::start(variant, sink.port(), further, None)?;
            let port = process.port()?;
            // Whatever is made at the first request is made, and the queues are as full as they get at this rate.
            let mut served = load::steady(port, path, rate, Duration::from_secs(1))?.len() as u64;
            let before = process.cpu_time()?;
            let mut latencies = load::steady(port, path, rate, time)?;
            let cpu = process.cpu_time()? - before;
            let steady = latencies.len() as u64;
            latencies.sort_unstable();
            served += steady;
            let before = process.cpu_time()?;
            let full = load::saturate(port, path, time)?;
            let busy = (process.cpu_time()? - before).as_secs_f64() / full.took.as_secs_f64();
            served += full.requests;
            let (resident, peak) = process.memory()?;
            process.end()?;
            Ok(Measured {
                cpu: cpu.as_secs_f64() * 1e6 / steady as f64,
                p50: percentile(&latencies, 50),
                p99: percentile(&latencies, 99),
                throughput: full.requests as f64 / full.took.as_secs_f64(),
                busy,
                cpu_full: busy * 1e6 * full.took.as_secs_f64() / full.requests as f64,
                resident,
                peak,
                bytes: sink.bytes() as f64 / sink.spans() as f64,
                arrived: sink.spans() as f64 / (served * variant.spans) as f64,
            })
        }
        Work::Loop { turns } => {
            let before = process::cpu_time_of_ended()?;
            Process::start(variant, sink.port(), further, Some(turns))?.end()?;
            let cpu = process::cpu_time_of_ended()? - before;
            let each = cpu.as_secs_f64() * 1e6 / f64::from(turns);
            Ok(Measured {
                cpu: each,
                bytes: sink.bytes() as f64 / sink.spans() as f64,
                arrived: sink.spans() as f64 / (u64::from(turns) * variant.spans) as f64,
                ..Measured::default()
            })
        }
    }
}

/// The nearest-rank percentile of sorted times, in microseconds.
fn percentile(sorted: &[Duration], share: usize) -> f64 {
    let rank = (sorted.len() * share).div_ceil(100).max(1);
    sorted.get(rank - 1).map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

fn print(variants: &[Variant], all: &[Vec<Measured>]) {
    println!(
        "| | at a steady rate: requests/s | CPU µs | to base | p50 µs | p99 µs | at full load: requests/s | to base | \
         CPU µs | to base | least CPU µs | to base | busy | resident MiB | more than base | peak MiB | bytes a span | spans arrived |"
    );
    println!("|---{}|", "|--:".repeat(17));
    for (variant, runs) in variants.iter().zip(all) {
        let of = |value: fn(&Measured) -> f64| median(runs.iter().map(value));
        let base =
            variants.iter().position(|other| other.name == variant.base).map_or(runs, |base| &all[base]);
        // Each round's ratio, and of these the median: what disturbs a round disturbs both.
        let to_base = |value: fn(&Measured) -> f64| {
            median(runs.iter().zip(base).map(|(run, base)| value(run) / value(base)))
        };
        let least = |runs: &[Measured]| runs.iter().map(|run| run.cpu_full).fold(f64::INFINITY, f64::min);
        let cpu = format!("{:.2} | {:.2}", of(|run| run.cpu), to_base(|run| run.cpu));
        let network = match variant.spans {
            0 => " | ".to_owned(),
            _ => format!("{:.0} | {:.4}", of(|run| run.bytes), of(|run| run.arrived)),
        };
        match variant.work {
            Work::Requests { rate, .. } => println!(
                "| {} | {rate} | {cpu} | {:.0} | {:.0} | {:.0} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {:.1} | {:.1} | {:.1} | {network} |",
                variant.name,
                of(|run| run.p50),
                of(|run| run.p99),
                of(|run| run.throughput),
                to_base(|run| run.throughput),
                of(|run| run.cpu_full),
                to_base(|run| run.cpu_full),
                least(runs),
                least(runs) / least(base),
                of(|run| run.busy),
                of(|run| run.resident),
                of(|run| run.resident) - median(base.iter().map(|run| run.resident)),
                of(|run| run.peak),
            ),
            Work::Loop { .. } => {
                println!("| {} | | {cpu} | | | | | | | | | | | | | {network} |", variant.name)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_percentiles_are_of_the_middle() {
        assert!((median([3.0, 1.0, 2.0].into_iter()) - 2.0).abs() < 1e-9);
        assert!((median([4.0, 1.0].into_iter()) - 2.5).abs() < 1e-9);
        let times: Vec<Duration> = (1..=200).map(Duration::from_micros).collect();
        assert!((percentile(&times, 50) - 100.0).abs() < 1e-6);
        assert!((percentile(&times, 99) - 198.0).abs() < 1e-6);
    }

    #[test]
    fn every_variant_has_its_base() {
        for variant in variants::ALL {
            let base = variants::ALL.iter().find(|other| other.name == variant.base);
            assert!(base.is_some_and(|base| base.base == base.name), "{}", variant.name);
        }
    }
}
