//! All of it, once.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::balancer::spawn;
use crate::cancellation::changes_mind_after;
use crate::customers::{Shop, Told, payment_method};
use crate::fleet::Fleet;
use crate::havoc::{self, Damage};
use crate::plan::{Backend, Plan};
use crate::random::Random;
use crate::verdict::{Verdict, judge};

/// Customers who wait at once: more wait at the door, as they would for a shop that is down.
const AT_ONCE: usize = 64;

/// What a trial came to.
#[derive(Debug)]
pub struct Report {
    /// What was done to the services.
    pub damage: Damage,
    /// Answers by status.
    pub told: BTreeMap<u16, usize>,
    /// Answers by status to those who called their order off.
    pub called_off: BTreeMap<u16, usize>,
    /// Times that customers asked again, by why.
    pub asked_again: BTreeMap<String, usize>,
    /// What the databases say.
    pub verdict: Verdict,
    /// How long customers ordered.
    pub ordering: Duration,
}

/// Orders, while everything is killed in turn; then the verdict.
///
/// # Errors
/// Where the trial itself goes wrong. What the services did wrong is in the verdict.
pub async fn run(program: &Path, plan: Plan) -> anyhow::Result<Report> {
    let mut random = Random::new(plan.seed);
    let methods: Vec<_> = (0..plan.orders).map(|_| payment_method(&mut random)).collect();
    let changes: Vec<_> = (0..plan.orders).map(|_| changes_mind_after(&mut random)).collect();
    let mut fleet = Fleet::start(program, plan.database, plan.replicas, &[]).await?;
    let shop = Shop::open(&fleet, i64::from(plan.orders) * 2).await?;
    let mut customers = Vec::new();
    for (method, calls_off_after) in methods.into_iter().zip(changes) {
        let shop = if calls_off_after.is_some() { shop.for_another().await? } else { shop.clone() };
        customers.push(Customer { shop, method, calls_off_after });
    }
    let (quiet, is_quiet) = watch::channel(false);
    let started = Instant::now();
    let ordering = spawn(async move {
        let told = order_all(customers, plan.rate).await;
        quiet.send_replace(true);
        (told, started.elapsed())
    });
    let damage = havoc::wreak(&mut fleet, &mut random, is_quiet).await;
    let damage = damage.with_context(|| fleet.printed())?;
    let (told, ordering) = ordering.await?;
    let mut answers = Vec::new();
    let mut silent = Vec::new();
    for told in told {
        match told {
            Ok(told) => answers.push(told),
            Err(error) => silent.push(format!("a customer was told nothing: {error:#}")),
        }
    }
    let mut verdict = judge(&fleet, &shop, &answers).await?;
    verdict.findings.extend(silent);
    Ok(report(damage, &answers, verdict, ordering))
}

/// So many customers at once for so many pieces: as many are told that they have one, and the others that it is sold
/// out. Those whom the door does not let in at once come again when they are told to.
///
/// # Errors
/// Where the trial itself goes wrong, or a customer is told anything else.
pub async fn sell_out(program: &Path, database: Backend, buyers: u32, pieces: u32) -> anyhow::Result<Report> {
    let variables = [
        ("USER_TIMEOUT_MS", "30000"),
        ("INVENTORY_TIMEOUT_MS", "30000"),
        ("PAYMENT_TIMEOUT_MS", "60000"),
        ("GATEWAY_TIMEOUT_MS", "30000"),
        ("ORDER_LEASE_MS", "120000"),
    ];
    let fleet = Fleet::start(program, database, 1, &variables).await?;
    let shop = Shop::open(&fleet, i64::from(pieces)).await?;
    let started = Instant::now();
    let mut customers = JoinSet::new();
    for _ in 0..buyers {
        let shop = shop.clone();
        customers.spawn(async move { shop.order("card_ok").await });
    }
    let told: Vec<Told> = customers.join_all().await.into_iter().collect::<Result<_, _>>()?;
    let ordering = started.elapsed();
    let mut verdict = judge(&fleet, &shop, &told).await?;
    let sold = told.iter().filter(|told| matches!(told.status, 201 | 202)).count();
    let refused = told.iter().filter(|told| told.word == "out_of_stock").count();
    if (sold, refused) != (pieces as usize, (buyers - pieces) as usize) {
        verdict.findings.push(format!("{sold} were sold one and {refused} told that it is sold out"));
    }
    let report = report(Damage::default(), &told, verdict, ordering);
    // Whoever came too early was told when to come again, and nobody anything else.
    ensure!(report.asked_again.keys().all(|why| why == "overloaded"), "{report:#?}");
    Ok(report)
}

fn report(damage: Damage, answers: &[Told], verdict: Verdict, ordering: Duration) -> Report {
    let (mut told, mut called_off, mut asked_again) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for answer in answers {
        *told.entry(answer.status).or_default() += 1;
        if let Some(called) = &answer.called_off {
            *called_off.entry(called.status).or_default() += 1;
        }
        for refusal in &answer.refusals {
            *asked_again.entry(refusal.clone()).or_default() += 1;
        }
    }
    Report { damage, told, called_off, asked_again, verdict, ordering }
}

struct Customer {
    shop: Shop,
    method: &'static str,
    calls_off_after: Option<Duration>,
}

impl Customer {
    async fn order(self) -> anyhow::Result<Told> {
        match self.calls_off_after {
            Some(after) => self.shop.order_and_call_off(self.method, after).await,
            None => self.shop.order(self.method).await,
        }
    }
}

async fn order_all(customers: Vec<Customer>, rate: u32) -> Vec<anyhow::Result<Told>> {
    let mut tick = interval(Duration::from_secs(1) / rate.max(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut ordering = JoinSet::new();
    for customer in customers {
        tick.tick().await;
        let place = places.clone().acquire_owned().await.expect("nobody closes it");
        ordering.spawn(async move {
            let told = customer.order().await;
            drop(place);
            told
        });
    }
    ordering.join_all().await
}

impl Report {
    /// Fails where anything was found that must not be.
    ///
    /// # Errors
    /// With the findings.
    pub fn approve(self) -> anyhow::Result<Self> {
        ensure!(self.verdict.findings.is_empty(), "{self:#?}");
        Ok(self)
    }
}
