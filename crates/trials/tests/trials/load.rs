//! Steady load, and how long its requests took.

use std::time::{Duration, Instant};

use reqwest::Client;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::service::{Service, client};

/// Requests at a time, each in a loop of its own.
const LOOPS: u32 = 4;

/// How long the requests to a service took, in order, and how many failed.
#[derive(Debug, Default)]
pub(crate) struct Times {
    took: Vec<Duration>,
    pub(crate) failed: usize,
}

impl Times {
    pub(crate) fn requests(&self) -> usize {
        self.took.len()
    }

    /// The time that this share of requests did not exceed.
    pub(crate) fn percentile(&self, share: f64) -> Duration {
        let last = self.took.len().saturating_sub(1);
        self.took.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
    }
}

/// Asks all the services for `/work`, by turns, so that whatever else the machine does meets each: so often a second, for
/// so long.
pub(crate) async fn drive<const N: usize>(
    services: [&Service; N],
    rate: u32,
    duration: Duration,
) -> [Times; N] {
    let urls = services.map(|service| service.url("/work"));
    let mut loops = JoinSet::new();
    for _ in 0..LOOPS {
        loops.spawn(ask(client(), urls.clone(), Duration::from_secs(1) * LOOPS / rate, duration));
    }
    let mut all = std::array::from_fn(|_| Times::default());
    while let Some(times) = loops.join_next().await {
        for (all, times) in all.iter_mut().zip(times.expect("no panic")) {
            all.took.extend(times.took);
            all.failed += times.failed;
        }
    }
    all.iter_mut().for_each(|times| times.took.sort_unstable());
    all
}

async fn ask<const N: usize>(
    client: Client,
    urls: [String; N],
    pause: Duration,
    duration: Duration,
) -> [Times; N] {
    let mut all = std::array::from_fn(|_| Times::default());
    let mut ticks = tokio::time::interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let start = Instant::now();
    let mut first = 0;
    while start.elapsed() < duration {
        ticks.tick().await;
        for turn in 0..N {
            let which = (first + turn) % N;
            let begin = Instant::now();
            let is_answered = get(&client, &urls[which]).await;
            all[which].took.push(begin.elapsed());
            all[which].failed += usize::from(!is_answered);
        }
        first = (first + 1) % N;
    }
    all
}

/// Whether the answer is whole and 200.
pub(crate) async fn get(client: &Client, url: &str) -> bool {
    match client.get(url).send().await {
        Ok(answer) => answer.status().as_u16() == 200 && answer.bytes().await.is_ok(),
        Err(_) => false,
    }
}
