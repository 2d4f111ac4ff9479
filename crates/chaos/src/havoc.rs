//! Kills, stops and restarts, one after the other, while customers order.

use std::time::Duration;

use demo::parts::Part;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::fleet::{Fleet, SERVICES};
use crate::random::Random;

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Damage {
    /// Processes killed and started again.
    pub kills: u32,
    /// Times that the gateway answered nobody for a while.
    pub hangs: u32,
    /// Restarts of the database.
    pub restarts: u32,
}

/// Goes on until there are no customers any more, and each service was killed once at least.
///
/// # Errors
/// Where something does not start again.
pub async fn wreak(
    fleet: &mut Fleet,
    random: &mut Random,
    is_quiet: watch::Receiver<bool>,
) -> anyhow::Result<Damage> {
    let (soon, late) = (Duration::from_millis(300), Duration::from_millis(2500));
    let mut damage = Damage::default();
    loop {
        for part in SERVICES.into_iter().rev() {
            for replica in 0..fleet.replicas() {
                sleep(random.time(soon, late)).await;
                fleet.kill(part, replica);
                // Sometimes longer than its callers try again, sometimes not.
                sleep(random.time(Duration::ZERO, late)).await;
                fleet.start_one(part, replica).await?;
                damage.kills += 1;
            }
        }
        fleet.freeze(Part::Gateway, true)?;
        sleep(random.time(soon, late)).await;
        fleet.freeze(Part::Gateway, false)?;
        damage.hangs += 1;
        sleep(random.time(soon, late)).await;
        damage.restarts += u32::from(fleet.restart_database()?);
        if *is_quiet.borrow() {
            return Ok(damage);
        }
    }
}
