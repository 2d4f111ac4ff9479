//! What one request costs: user-space instructions and allocations of the whole process, export thread included,
//! counted by callgrind. The counts do not depend on how busy the machine is.
//!
//! - `budget` prints the table of all subjects;
//! - `budget --check` also compares with `budgets.json`, and fails where a count has grown by more than 3 %, both by itself
//!   and against its base, which is no work of ours: another processor's or compiler's share grows in both;
//! - `budget --write` makes today's counts the budget;
//! - `budget --growth` also counts how the cost grows with spans, attributes and routes; this has no budget either;
//! - `budget --peers` also counts other instrumentations of the same service, which have no budget. Build each of them
//!   alone (`cargo build --release -p peer-contrib`, and so on, or run `compare`), so that none has another's features.
//!
//! Any other argument is the beginning of the names of the rows to count. Needs valgrind, and `subject` built beside
//! this program. A subject is run twice, with few and with many requests: the difference is what the requests cost,
//! without start and end.

mod callgrind;
mod growth;
mod load;
mod peers;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use sink::Sink;

use crate::callgrind::{Cost, Subject};
use crate::growth::GROWTH;
use crate::load::Target;
use crate::peers::PEERS;

const FEW: u32 = 500;
const MANY: u32 = 4_500;

/// How much a count may grow until it is called a growth: builds differ by less.
const TOLERANCE: f64 = 1.03;

/// One row of the table: its name, the row it is compared with, what is run, and the variables that it is run with.
struct Row {
    name: &'static str,
    base: &'static str,
    mode: &'static str,
    target: Option<Target>,
    variables: &'static [(&'static str, &'static str)],
    /// Spans for each request, all of which must arrive.
    spans: u64,
}

const ITEM: Option<Target> = Some(Target::Item);
const HOP: Option<Target> = Some(Target::Path("/hop"));
const NO_TRACES: (&str, &str) = ("OTEL_TRACES_EXPORTER", "none");

/// The loop of queries is faster than any service: what counts is the cost of all spans, so all of them are kept.
const LONG_QUEUE: [(&str, &str); 1] = [("OTEL_BSP_MAX_QUEUE_SIZE", "10000")];

const ROWS: [Row; 10] = [
    Row { name: "bare", base: "bare", mode: "bare", target: ITEM, variables: &[], spans: 0 },
    Row { name: "sampled", base: "bare", mode: "telemetry", target: ITEM, variables: &[], spans: 1 },
    Row {
        name: "unsampled",
        base: "bare",
        mode: "telemetry",
        target: ITEM,
        variables: &[("OTEL_TRACES_SAMPLER", "always_off")],
        spans: 0,
    },
    Row {
        name: "metrics-only",
        base: "bare",
        mode: "telemetry",
        target: ITEM,
        variables: &[NO_TRACES],
        spans: 0,
    },
    Row {
        name: "disabled",
        base: "bare",
        mode: "telemetry",
        target: ITEM,
        variables: &[("OTEL_SDK_DISABLED", "true")],
        spans: 0,
    },
    Row { name: "hops-bare", base: "hops-bare", mode: "hops", target: HOP, variables: &[], spans: 0 },
    Row {
        name: "hops-sampled",
        base: "hops-bare",
        mode: "telemetry-hops",
        target: HOP,
        variables: &[],
        spans: 3,
    },
    Row { name: "query-bare", base: "query-bare", mode: "query", target: None, variables: &[], spans: 0 },
    Row {
        name: "query-sampled",
        base: "query-bare",
        mode: "telemetry-query",
        target: None,
        variables: &LONG_QUEUE,
        spans: 1,
    },
    Row {
        name: "query-traced",
        base: "query-bare",
        mode: "telemetry-query-traced",
        target: None,
        variables: &LONG_QUEUE,
        spans: 1,
    },
];

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Budget {
    instructions: f64,
    allocations: f64,
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let wanted: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("budgets.json");
    let budgets: BTreeMap<String, Budget> = match std::fs::read(&file) {
        Ok(json) => serde_json::from_slice(&json).context("budgets.json")?,
        Err(_) => BTreeMap::new(),
    };

    let mut counts = BTreeMap::new();
    let mut grown = Vec::new();
    println!(
        "| per request | instructions | to its base | budget | allocations | more than its base | budget |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|");
    let peers = || PEERS.iter().filter(|_| has("--peers"));
    let growth = || GROWTH.iter().filter(|_| has("--growth"));
    let rows = || ROWS.iter().chain(peers()).chain(growth());
    for row in rows() {
        let is_wanted =
            |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| name.starts_with(&***wanted));
        let is_base = rows().any(|other| other.base == row.name && is_wanted(other.name));
        if !is_wanted(row.name) && !is_base {
            continue;
        }
        let count = count(row)?;
        counts.insert(row.name.to_owned(), count);
        let base = counts.get(row.base).copied().unwrap_or(count);
        let budget = budgets.get(row.name);
        println!(
            "| {} | {:.0} | {:.3} | {} | {:.2} | {:.2} | {} |",
            row.name,
            count.instructions,
            count.instructions / base.instructions,
            budget.map(|budget| format!("{:.0}", budget.instructions)).unwrap_or_default(),
            count.allocations,
            count.allocations - base.allocations,
            budget.map(|budget| format!("{:.2}", budget.allocations)).unwrap_or_default(),
        );
        match (budget, budgets.get(row.base)) {
            (Some(budget), Some(base_budget)) => {
                let share = count.instructions / base.instructions;
                let share_budget = budget.instructions / base_budget.instructions;
                if count.instructions > budget.instructions * TOLERANCE && share > share_budget * TOLERANCE {
                    grown.push(format!("{}: instructions", row.name));
                }
                // A fraction of an allocation is a batch's or a timer's share.
                if count.allocations > budget.allocations * TOLERANCE + 0.1 {
                    grown.push(format!("{}: allocations", row.name));
                }
            }
            _ if ROWS.iter().all(|budgeted| budgeted.name != row.name) => {}
            _ => grown.push(format!("{}: there is no budget", row.name)),
        }
    }
    if has("--write") {
        counts.retain(|name, _| ROWS.iter().any(|row| row.name == name));
        let all: BTreeMap<_, _> = budgets.into_iter().chain(counts).collect();
        std::fs::write(&file, serde_json::to_string_pretty(&all)? + "\n")?;
    } else if has("--check") {
        ensure!(
            grown.is_empty(),
            "more than 3 % over budget: {}. Find out why (callgrind_annotate), or say why it is worth it and renew \
             the budget with --write.",
            grown.join(", ")
        );
    }
    Ok(())
}

/// What a request costs, by the difference of two runs.
fn count(row: &Row) -> anyhow::Result<Budget> {
    let warm_up = row.target.map_or(0, Target::warm_up);
    // With many spans each, a tenth says as much.
    let share = if row.spans > 10 { 10 } else { 1 };
    let (few, many) = (run(row, FEW / share + warm_up)?, run(row, MANY / share + warm_up)?);
    let each = |few: u64, many: u64| (many as f64 - few as f64) / f64::from((MANY - FEW) / share);
    let round = |number: f64, to: f64| (number * to).round() / to;
    Ok(Budget {
        instructions: round(each(few.instructions, many.instructions), 1.0),
        allocations: round(each(few.allocations, many.allocations), 100.0),
    })
}

/// A run that broke off is made again, once: a machine that leaves the subject no time has its connections time out.
/// One that lost spans is not.
fn run(row: &Row, requests: u32) -> anyhow::Result<Cost> {
    let subject = Subject { mode: row.mode, target: row.target, variables: row.variables, requests };
    let counted = || -> anyhow::Result<(Cost, u64)> {
        let sink = Sink::start()?;
        let cost = subject.run(sink.port())?;
        Ok((cost, sink.spans()))
    };
    let (cost, spans) = counted()
        .or_else(|error| {
            eprintln!("once more: {error:#}");
            counted()
        })
        .with_context(|| format!("{} with {requests} requests", row.name))?;
    let expected = u64::from(requests) * row.spans;
    ensure!(
        spans == expected || (row.target.is_none() && spans == expected + row.spans),
        "{}: of {expected} spans {spans} arrived",
        row.name
    );
    Ok(cost)
}
