//! The running system as a stage: scenarios are switched on and off on it, one or several at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::Method;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval};

use crate::parts::Part;
use crate::scenarios::{Scenario, gateway_faults, inventory_faults};
use crate::shop::{Inside, Shop};
use crate::system::System;
use crate::traffic::{Tally, Traffic};

/// How often the processes are looked after.
const LOOK: Duration = Duration::from_millis(250);

/// A system on which scenarios are switched.
pub struct Stage<'a> {
    system: &'a mut System,
    shop: Shop,
    traffic: BTreeMap<Scenario, Traffic>,
    on: watch::Sender<BTreeSet<Scenario>>,
    wishes: mpsc::Receiver<Wish>,
    desk: Desk,
}

/// Where scenarios are asked for. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    wishes: mpsc::Sender<Wish>,
    on: watch::Receiver<BTreeSet<Scenario>>,
}

struct Wish {
    scenario: Scenario,
    on: bool,
    done: oneshot::Sender<anyhow::Result<()>>,
}

impl Desk {
    /// The scenarios that are on.
    pub fn on(&self) -> BTreeSet<Scenario> {
        self.on.borrow().clone()
    }

    /// Asks for a scenario to be on or off, and waits until it is.
    ///
    /// # Errors
    /// Where a process does not start, stop or listen; or the stage is gone.
    pub async fn switch(&self, scenario: Scenario, on: bool) -> anyhow::Result<()> {
        let (done, answer) = oneshot::channel();
        self.wishes.send(Wish { scenario, on, done }).await.ok().context("the demo is stopping")?;
        answer.await.context("the demo is stopping")?
    }
}

impl<'a> Stage<'a> {
    /// A stage on which nothing is wrong.
    pub fn new(system: &'a mut System, shop: Shop) -> Self {
        let (on, states) = watch::channel(BTreeSet::new());
        let (sender, wishes) = mpsc::channel(16);
        let desk = Desk { wishes: sender, on: states };
        Self { system, shop, traffic: BTreeMap::new(), on, wishes, desk }
    }

    /// Where scenarios are asked for while the stage [runs](Stage::run).
    pub fn desk(&self) -> Desk {
        self.desk.clone()
    }

    /// Fulfils wishes for as long as every process that should run does.
    ///
    /// # Errors
    /// Where one has ended by itself, with what it printed.
    pub async fn run(&mut self) -> anyhow::Result<Infallible> {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = look.tick() => {
                    if let Some((process, status)) = self.system.ended() {
                        bail!("{} has ended ({status}); it printed:\n{}", process.part().name(), process.printed())
                    }
                }
                Some(Wish { scenario, on, done }) = self.wishes.recv() => {
                    // Whoever does not wait for the answer has no use for it.
                    let _ = done.send(self.switch(scenario, on).await);
                }
            }
        }
    }

    /// Switches a scenario on or off.
    ///
    /// # Errors
    /// Where a process does not start, stop or listen.
    pub async fn switch(&mut self, scenario: Scenario, on: bool) -> anyhow::Result<()> {
        if self.on.borrow().contains(&scenario) == on {
            return Ok(());
        }
        if let Some(part) = scenario.stops() {
            let moved = if on {
                self.system.stop_one(part).await
            } else {
                self.system.start_one(part).await.map(|_| ())
            };
            moved.with_context(|| format!("switching {}", scenario.name()))?;
        }
        self.on.send_modify(|scenarios| {
            if on {
                scenarios.insert(scenario)
            } else {
                scenarios.remove(&scenario)
            };
        });
        self.put_faults().await?;
        if on {
            let product = match scenario {
                Scenario::HotProduct => Inside::new(self.system).make_hot_product().await?,
                _ => self.shop.in_stock().clone(),
            };
            let traffic = Traffic::start(self.shop.clone(), product, scenario.traffic(), Tally::default());
            self.traffic.insert(scenario, traffic);
        } else {
            self.traffic.remove(&scenario);
        }
        Ok(())
    }

    /// Tells the processes that run, whether they were told before or are new, what to do wrong.
    async fn put_faults(&self) -> anyhow::Result<()> {
        let on = self.on.borrow().clone();
        self.put(Part::Gateway, &gateway_faults(&on)).await?;
        self.put(Part::Inventory, &inventory_faults(&on)).await
    }

    async fn put(&self, part: Part, faults: &impl Serialize) -> anyhow::Result<()> {
        if self.system.process(part).is_none() {
            return Ok(());
        }
        let request = Inside::new(self.system).request(Method::PUT, part, service_kit::faults::PATH);
        let answer = request.json(faults).send().await;
        answer
            .and_then(reqwest::Response::error_for_status)
            .with_context(|| format!("telling {} its faults", part.name()))?;
        Ok(())
    }
}
