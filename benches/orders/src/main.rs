//! The order flow at saturation with telemetry on and with `OTEL_SDK_DISABLED=true`, on SQLite and on PostgreSQL.
//!
//!     cargo run --release -p orders
//!
//! Each run starts the whole system anew: the four services and the gateway, each a process of this binary, with a sink
//! that counts spans as their collector. Customers order, each after the last answer; the runs take turns, each round in
//! another order. Everything shares this machine, this program too, so ratios count and not numbers. Loopback only.

mod usage;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use chaos::plan::Backend;
use chaos::postgres::Postgres;
use clap::{Parser, Subcommand};
use demo::parts::Part;
use demo::shop::Shop;
use demo::system::{Plan, System};
use serde_json::{Value, json};
use sink::Sink;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::usage::{Usage, children};

/// Measures the order flow with telemetry on and off.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// How often each is measured; the table has the medians
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How long, in seconds
    #[arg(long, default_value_t = 15)]
    seconds: u64,
    /// Customers at once: enough that nobody waits for them
    #[arg(long, default_value_t = 16)]
    customers: usize,
    /// Which database [default: both]
    #[arg(long, value_enum)]
    database: Option<Backend>,
    /// More variables for the services with telemetry on, NAME=VALUE
    #[arg(long, value_parser = variable)]
    set: Vec<(String, String)>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs one process of the system; how the others are started.
    #[command(hide = true)]
    Process {
        /// Which one.
        part: Part,
        /// The process's own arguments, such as `serve`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("not NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// What one run came to.
#[derive(Debug, Default)]
struct Measured {
    /// Confirmed orders a second.
    rate: f64,
    /// Milliseconds that half of the customers waited at the most.
    p50: f64,
    /// And 99 in a hundred.
    p99: f64,
    /// CPU time an order, milliseconds, of each of the four services.
    services: Vec<f64>,
    /// Of PostgreSQL, where it is not within the services.
    database: f64,
    /// Resident memory of the four services at the end, MiB.
    resident: f64,
    /// Of each of them.
    each: Vec<f64>,
    /// Spans an order.
    spans: f64,
    /// Spans that ended, of the whole run.
    ended: f64,
    /// Spans that the services say were dropped.
    dropped: f64,
    /// Spans that came to the sink.
    arrived: f64,
}

const SERVICES: [Part; 4] = [Part::Order, Part::User, Part::Inventory, Part::Payment];

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(Command::Process { part, arguments }) = cli.command {
        return part.run(arguments);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    match runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(run(&cli))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: &Cli) -> anyhow::Result<()> {
    let databases = match cli.database {
        Some(database) => vec![database],
        None => vec![Backend::Sqlite, Backend::Postgres],
    };
    let kinds: Vec<(Backend, bool)> =
        databases.into_iter().flat_map(|database| [(database, false), (database, true)]).collect();
    let mut all: Vec<Vec<Measured>> = kinds.iter().map(|_| Vec::new()).collect();
    for round in 0..cli.rounds {
        for turn in 0..kinds.len() {
            let index = (round + turn) % kinds.len();
            let (database, is_on) = kinds[index];
            let measured = measure(cli, database, is_on).await?;
            eprintln!("round {} {database:?} {}: {measured:.2?}", round + 1, name(is_on));
            all[index].push(measured);
        }
    }
    print(&kinds, &all);
    Ok(())
}

fn name(is_on: bool) -> &'static str {
    if is_on { "on" } else { "off" }
}

async fn measure(cli: &Cli, database: Backend, is_on: bool) -> anyhow::Result<Measured> {
    let sink = Sink::start()?;
    let data = tempfile::tempdir()?;
    // It lives as long as the system does.
    let postgres = (database == Backend::Postgres).then(Postgres::start).transpose()?;
    let url = postgres.as_ref().map(|postgres| postgres.url("{service}"));
    let mut variables = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), format!("http://127.0.0.1:{}", sink.port())),
        // The defaults, which the demo shortens for whoever watches it.
        ("OTEL_BSP_SCHEDULE_DELAY".to_owned(), "5000".to_owned()),
        ("OTEL_BLRP_SCHEDULE_DELAY".to_owned(), "1000".to_owned()),
        ("RUST_LOG".to_owned(), "warn".to_owned()),
    ];
    if is_on {
        variables.extend(cli.set.iter().cloned());
    } else {
        variables.push(("OTEL_SDK_DISABLED".to_owned(), "true".to_owned()));
    }
    let program = std::env::current_exe()?;
    let plan = Plan {
        program,
        data: data.path().to_owned(),
        database_url: url.clone(),
        default_ports: false,
        variables,
    };
    let system = System::start(plan, |_| ()).await?;
    let shop = Shop::open(&system).await?;

    let (before, _) = order(&system, &shop, cli.customers, Duration::from_secs(3)).await?;
    let before = before.len();
    let services = SERVICES.map(|part| system.process(part).map_or(0, demo::process::Process::id));
    let backends = || url.as_deref().map_or_else(|| Ok(Vec::new()), postmaster_and_children);
    let (services_before, database_before) = (Usage::of(&services)?, Usage::of(&backends()?)?);
    let (mut waits, took) = order(&system, &shop, cli.customers, Duration::from_secs(cli.seconds)).await?;
    let (after, database_after) = (Usage::of(&services)?, Usage::of(&backends()?)?);
    waits.sort_unstable();
    ensure!(!waits.is_empty(), "no order was confirmed");
    let orders = waits.len() as f64;
    let Spans { ended, dropped, failed, .. } = settled(&system).await?;
    system.stop().await?;
    let arrived = sink.spans();
    // What ends while the services do is not among those that they told of before.
    ensure!(
        arrived + dropped + failed >= ended,
        "of {ended} spans {arrived} arrived, and {dropped} and {failed} are said to be dropped and failed"
    );
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3 / orders;
    let spent = services_before.cpu.iter().zip(&after.cpu).map(|(before, after)| *after - *before);
    // Its backends live as long as the connections of the services.
    let of_database = |usage: &Usage| usage.cpu.iter().sum::<Duration>();
    let wait = |share: usize| waits[(waits.len() * share).div_ceil(100).max(1) - 1].as_secs_f64() * 1e3;
    let all = after.resident.iter().sum();
    Ok(Measured {
        rate: orders / took.as_secs_f64(),
        p50: wait(50),
        p99: wait(99),
        services: spent.map(milliseconds).collect(),
        database: milliseconds(of_database(&database_after).saturating_sub(of_database(&database_before))),
        resident: all,
        each: after.resident,
        spans: ended as f64 / (before as f64 + orders),
        ended: ended as f64,
        dropped: dropped as f64,
        arrived: arrived as f64,
    })
}

/// What became of the spans of all services, by their own word.
#[derive(Debug, Default, Clone, PartialEq)]
struct Spans {
    ended: u64,
    queued: u64,
    dropped: u64,
    failed: u64,
}

/// Waits until all that the orders have begun has ended, their mails too, and has been sent.
async fn settled(system: &System) -> anyhow::Result<Spans> {
    let end = Instant::now() + Duration::from_secs(60);
    let mut before = told(system).await?;
    loop {
        // Longer than a mail waits to be sent.
        sleep(Duration::from_secs(2)).await;
        let now = told(system).await?;
        if now.queued == 0 && now == before {
            return Ok(now);
        }
        ensure!(Instant::now() < end, "it goes on and on: {before:?}, then {now:?}");
        before = now;
    }
}

async fn told(system: &System) -> anyhow::Result<Spans> {
    let mut all = Spans::default();
    for part in SERVICES {
        let health: Value =
            system.client().get(format!("{}/health", system.url(part))).send().await?.json().await?;
        let count = |name: &str| health["exporters"]["traces"][name].as_u64().unwrap_or_default();
        all.ended += count("ended");
        all.queued += count("queued");
        all.dropped += count("dropped");
        all.failed += count("failed");
    }
    Ok(all)
}

/// Customers order for so long, each after the last answer; how long each confirmed order took, and how long it was
/// until the last.
async fn order(
    system: &System,
    shop: &Shop,
    customers: usize,
    time: Duration,
) -> anyhow::Result<(Vec<Duration>, Duration)> {
    let start = Instant::now();
    let end = start + time;
    let url = format!("{}/api/orders", system.url(Part::Order));
    let mut tasks: JoinSet<anyhow::Result<Vec<Duration>>> = JoinSet::new();
    for _ in 0..customers {
        let body = json!({
            "product_id": shop.in_stock().id, "quantity": 1, "payment_method": "card_ok", "order_type": "standard",
        });
        let request = system.client().post(&url).bearer_auth(shop.access_token()).json(&body);
        tasks.spawn(async move {
            let mut waits = Vec::new();
            while Instant::now() < end {
                let asked = Instant::now();
                let answer = request.try_clone().context("its body is a text")?.send().await?;
                let (status, text) = (answer.status().as_u16(), answer.text().await?);
                ensure!(status == 201, "{status}: {text}");
                waits.push(asked.elapsed());
            }
            Ok(waits)
        });
    }
    let mut all = Vec::new();
    while let Some(waits) = tasks.join_next().await {
        all.extend(waits??);
    }
    Ok((all, start.elapsed()))
}

/// The processes of the PostgreSQL at this URL.
fn postmaster_and_children(url: &str) -> anyhow::Result<Vec<u32>> {
    let port = url.rsplit(':').next().and_then(|rest| rest.split('/').next()).context("a port")?;
    let postmaster = usage::find(&format!("port={port}")).context("finding PostgreSQL")?;
    let mut all = children(postmaster)?;
    all.push(postmaster);
    Ok(all)
}

fn median(runs: &[Measured], value: impl Fn(&Measured) -> f64) -> f64 {
    let mut values: Vec<f64> = runs.iter().map(value).collect();
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

fn print(kinds: &[(Backend, bool)], all: &[Vec<Measured>]) {
    println!(
        "| database | telemetry | orders/s | to off | p50 ms | p99 ms | CPU ms an order, services | to off | order | user | \
         inventory | payment | \
         orders/s on a core of theirs | PostgreSQL | resident MiB, four services | order service | spans an order | \
         ended | dropped | arrived |"
    );
    println!("|---|---{}|", "|--:".repeat(18));
    for (index, (database, is_on)) in kinds.iter().enumerate() {
        let (runs, off) = (&all[index], &all[index - index % 2]);
        let all_services = |run: &Measured| run.services.iter().sum();
        let services = median(runs, all_services);
        let service = |index: usize| median(runs, |run| run.services[index]);
        println!(
            "| {database:?} | {} | {:.0} | {:.2} | {:.1} | {:.1} | {services:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {:.0} | {:.2} | {:.1} | {:.1} | \
             {:.1} | {:.0} | {:.0} | {:.0} |",
            name(*is_on),
            median(runs, |run| run.rate),
            median(runs, |run| run.rate) / median(off, |run| run.rate),
            median(runs, |run| run.p50),
            median(runs, |run| run.p99),
            services / median(off, all_services),
            service(0),
            service(1),
            service(2),
            service(3),
            1e3 / services,
            median(runs, |run| run.database),
            median(runs, |run| run.resident),
            median(runs, |run| run.each[0]),
            median(runs, |run| run.spans),
            median(runs, |run| run.ended),
            median(runs, |run| run.dropped),
            median(runs, |run| run.arrived),
        );
    }
}
