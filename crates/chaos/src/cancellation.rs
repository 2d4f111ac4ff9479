//! Customers who change their mind: each calls off its only order at a moment that the seed decides, whether or not it
//! has heard of the order by then, and asks again until it is told what came of that.

use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::StatusCode;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::customers::{PATIENCE, Shop, Told, may_be_asked_again};
use crate::random::Random;

/// An order is on record before anything is asked for, so it is looked for as often as a step of it takes.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// What a customer was told who called an order off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalledOff {
    /// The status of the answer: 200 or 202, or 409 where it came too late.
    pub status: u16,
    /// The order.
    pub order_id: String,
}

/// After how long a customer calls its order off: one in eight does. From a millisecond to four seconds, within the first
/// milliseconds as often as within the last seconds: the one meets the order's steps, the other what becomes of it when
/// somebody was killed.
pub fn changes_mind_after(random: &mut Random) -> Option<Duration> {
    (random.below(8) == 0).then(|| Duration::from_millis(1 << random.below(13)))
}

impl Shop {
    /// Orders one piece, and calls the order off after so long. The account has no other order.
    ///
    /// # Errors
    /// Where nothing was told in time, of the one or the other.
    pub async fn order_and_call_off(&self, payment_method: &str, after: Duration) -> anyhow::Result<Told> {
        let (told, called_off) = tokio::try_join!(self.order(payment_method), self.call_off(after))?;
        Ok(Told { called_off: Some(called_off), ..told })
    }

    async fn call_off(&self, after: Duration) -> anyhow::Result<CalledOff> {
        sleep(after).await;
        let give_up = Instant::now() + PATIENCE;
        loop {
            let (answer, mut wait) = self.ask(self.get("")).await;
            match answer {
                Some((StatusCode::OK, orders)) => {
                    if let Some(order_id) = orders[0]["order_id"].as_str() {
                        let (answer, retry_after) = self.ask(self.post(&format!("/{order_id}/cancel"))).await;
                        if let Some(told) = answer.map(|answer| told(order_id, answer)).transpose()?.flatten()
                        {
                            return Ok(told);
                        }
                        wait = retry_after;
                    }
                }
                Some((status, body)) => ensure!(may_be_asked_again(status, code(&body)?), "{status}: {body}"),
                None => {}
            }
            ensure!(Instant::now() < give_up, "the order could not be called off in time");
            sleep(wait.max(LOOK_AGAIN)).await;
        }
    }
}

/// Nothing where it is not told yet.
fn told(order_id: &str, (status, body): (StatusCode, Value)) -> anyhow::Result<Option<CalledOff>> {
    let is_told = match status {
        StatusCode::OK | StatusCode::ACCEPTED => true,
        StatusCode::CONFLICT => code(&body)? == "order_not_cancellable",
        _ => false,
    };
    if is_told {
        return Ok(Some(CalledOff { status: status.as_u16(), order_id: order_id.to_owned() }));
    }
    ensure!(may_be_asked_again(status, code(&body)?), "{status}: {body}");
    Ok(None)
}

fn code(problem: &Value) -> anyhow::Result<&str> {
    problem["code"].as_str().context("a problem has a code")
}
