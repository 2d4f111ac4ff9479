//! Asks the whole system for four times what it can do, and tells what it does then:
//! `cargo build --release -p demo && cargo run --release -p demo --example overload`.
//!
//! First orders are placed by more and more customers at once, each after the last answer; the most orders a second
//! that come of it is the best. Then orders come at four times that rate, whoever is answered or not. Everything runs
//! on one machine, this program too, so ratios count and not numbers. About a minute; loopback only. Variables for all
//! services may follow: `-- MAX_CONCURRENT_REQUESTS=64`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use demo::shop::Shop;
use demo::system::{Plan, System};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How long each number of customers orders.
const STEP: Duration = Duration::from_secs(4);
const CUSTOMERS: [usize; 5] = [2, 4, 8, 16, 32];

/// How long there is too much, and how much that is.
const FLOOD: Duration = Duration::from_secs(15);
const TIMES: f64 = 4.0;

/// An answer, how long it took, and its problem's code.
type Answered = (u16, Duration, String);

#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let examples = std::env::current_exe()?;
    let program = examples.parent().and_then(Path::parent).context("finding the demo")?.join("demo");
    ensure!(program.exists(), "{} is not there: cargo build -p demo", program.display());
    let data = tempfile::tempdir()?;
    // What is measured is the services, and not how much telemetry a viewer takes.
    let mut variables = vec![("OTEL_TRACES_SAMPLER".to_owned(), "always_off".to_owned())];
    for argument in std::env::args().skip(1) {
        let (name, value) = argument.split_once('=').context("an argument is NAME=value")?;
        variables.push((name.to_owned(), value.to_owned()));
    }
    let plan =
        Plan { program, data: data.path().to_owned(), database_url: None, default_ports: false, variables };
    let system = System::start(plan, |_| ()).await?;
    let shop = Arc::new(Shop::open(&system).await?);
    let (mut best, mut at_best) = (0.0, Vec::new());
    println!("{:>10} {:>12} {:>10} {:>10}", "customers", "orders/s", "median ms", "99 % ms");
    for customers in CUSTOMERS {
        let answered = closed(&shop, customers).await;
        let rate = confirmed(&answered).len() as f64 / STEP.as_secs_f64();
        println!(
            "{customers:>10} {rate:>12.0} {:>10} {:>10}",
            of(&answered, 201, 0.5),
            of(&answered, 201, 0.99)
        );
        if rate > best {
            (best, at_best) = (rate, answered);
        }
    }
    ensure!(best > 0.0, "no order was confirmed");
    let answered = open(&shop, best * TIMES).await;
    let rate = confirmed(&answered).len() as f64 / FLOOD.as_secs_f64();
    let mut refusals = BTreeMap::new();
    for (_, _, code) in answered.iter().filter(|(status, ..)| *status == 503) {
        *refusals.entry(code).or_insert(0) += 1;
    }
    let shed: usize = refusals.values().sum();
    let others = answered.len() - shed - confirmed(&answered).len();
    println!(
        "\nat {TIMES} times the best: {} came, {} confirmed, {shed} told 503, {others} other answers",
        answered.len(),
        confirmed(&answered).len(),
    );
    println!("told 503 by why: {refusals:?}");
    println!("confirmed a second, to the best: {:.2}", rate / best);
    println!(
        "99 % of the confirmed took {} ms, at the best {} ms",
        of(&answered, 201, 0.99),
        of(&at_best, 201, 0.99)
    );
    println!(
        "half of those told 503 took {} ms, 99 % {} ms",
        of(&answered, 503, 0.5),
        of(&answered, 503, 0.99)
    );
    system.stop().await
}

/// Each customer orders after the last answer.
async fn closed(shop: &Arc<Shop>, customers: usize) -> Vec<Answered> {
    let end = Instant::now() + STEP;
    let mut tasks = JoinSet::new();
    for _ in 0..customers {
        let shop = shop.clone();
        tasks.spawn(async move {
            let mut answered = Vec::new();
            while Instant::now() < end {
                answered.extend(order(&shop).await);
            }
            answered
        });
    }
    tasks.join_all().await.concat()
}

/// So many orders a second, answered or not.
async fn open(shop: &Arc<Shop>, rate: f64) -> Vec<Answered> {
    let answered = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    let mut tick = interval(Duration::from_secs_f64(1.0 / rate));
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let end = Instant::now() + FLOOD;
    while Instant::now() < end {
        tick.tick().await;
        let (shop, answered) = (shop.clone(), answered.clone());
        tasks.spawn(async move {
            if let Some(answer) = order(&shop).await {
                answered.lock().await.push(answer);
            }
        });
        while tasks.try_join_next().is_some() {}
    }
    tasks.join_all().await;
    Arc::try_unwrap(answered).expect("all customers are gone").into_inner()
}

/// Nothing where the connection itself was refused.
async fn order(shop: &Shop) -> Option<Answered> {
    let asked = Instant::now();
    let placed = shop.order(shop.in_stock(), "card_ok").await.ok()?;
    let code = placed.body["code"].as_str().unwrap_or_default().to_owned();
    Some((placed.status.as_u16(), asked.elapsed(), code))
}

fn confirmed(answered: &[Answered]) -> Vec<Duration> {
    answered.iter().filter(|(status, ..)| *status == 201).map(|(_, took, _)| *took).collect()
}

/// The milliseconds that this part of the answers of this status took at the most.
fn of(answered: &[Answered], status: u16, part: f64) -> u128 {
    let mut times: Vec<_> =
        answered.iter().filter(|answer| answer.0 == status).map(|answer| answer.1).collect();
    times.sort_unstable();
    let at = (times.len() as f64 * part) as usize;
    times.get(at.min(times.len().saturating_sub(1))).map_or(0, Duration::as_millis)
}
