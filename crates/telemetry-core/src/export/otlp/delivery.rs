//! One signal's requests to the collector: tried until they arrive, are refused, or their time is over.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep_until};

use super::connection::Connection;
use super::outcome::{Delivered, Failure, Outcome, Reason};
use super::retry;
use super::transport::{Refusal, Transport};

/// Sends one signal's exports, one after the other, on the thread of exports.
#[derive(Debug)]
pub(in crate::export) struct Delivery {
    connection: Arc<Connection>,
    courier: Arc<Courier>,
}

impl Delivery {
    /// `timeout` is the longest an export takes, retries included; [`Duration::MAX`] for no limit.
    pub(in crate::export) fn new(
        connection: Arc<Connection>,
        transport: Transport,
        timeout: Duration,
    ) -> Self {
        let courier = Courier { transport, timeout, rest: Mutex::default() };
        Self { connection, courier: Arc::new(courier) }
    }

    /// Brings a request to the collector. May be polled by any executor.
    pub(super) async fn deliver(&self, body: Bytes) -> Delivered {
        let courier = self.courier.clone();
        let mut stopped = self.connection.stopped();
        #[expect(clippy::disallowed_methods, reason = "an export belongs to no trace")]
        let export = self.connection.runtime().spawn(async move {
            let start = Instant::now();
            tokio::select! {
                delivered = courier.deliver(body) => delivered,
                _ = stopped.wait_for(|stopped| *stopped) => Delivered {
                    took: start.elapsed(),
                    ..Delivered::at_once(Failure::shutdown().into())
                },
            }
        });
        // It ends with the runtime otherwise.
        export.await.unwrap_or_else(|_| Delivered::at_once(Failure::shutdown().into()))
    }
}

#[derive(Debug)]
struct Courier {
    transport: Transport,
    timeout: Duration,
    /// Until when the collector wants to be left alone.
    rest: Mutex<Option<Instant>>,
}

impl Courier {
    async fn deliver(&self, body: Bytes) -> Delivered {
        let start = Instant::now();
        let deadline = start.checked_add(self.timeout);
        let mut retries = 0;
        let outcome = self.try_until(body, deadline, &mut retries).await;
        Delivered { outcome, retries, took: start.elapsed() }
    }

    async fn try_until(&self, body: Bytes, deadline: Option<Instant>, retries: &mut u64) -> Outcome {
        if let Some(failure) = self.rest(deadline).await {
            return failure.into();
        }
        let mut pauses = retry::pauses();
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let refusal = match self.transport.send(body.clone(), left).await {
                Ok(accepted) => return accepted.into(),
                Err(refusal) => refusal,
            };
            let asked = refusal.pause();
            if let Some(pause) = asked {
                self.be_asked_to_rest(pause);
            }
            if !refusal.is_retryable() {
                return refusal.into_failure().into();
            }
            let again = pauses.next().map(|pause| Instant::now() + pause.max(asked.unwrap_or_default()));
            match again {
                Some(again) if deadline.is_none_or(|deadline| again < deadline) => sleep_until(again).await,
                // The next try would come too late, so there is no need to wait for it.
                _ => return refusal.into_failure().into(),
            }
            *retries += 1;
        }
    }

    /// Waits for the end of the pause that an earlier answer asked for. A request whose time is over before is not
    /// sent at all.
    async fn rest(&self, deadline: Option<Instant>) -> Option<Failure> {
        let until = (*self.rest.lock().unwrap_or_else(PoisonError::into_inner))?;
        match deadline.filter(|deadline| *deadline < until) {
            None => {
                sleep_until(until).await;
                None
            }
            Some(deadline) => {
                sleep_until(deadline).await;
                let message = "the collector asked for a longer pause than an export may take".to_owned();
                Some(Failure { reason: Reason::RetriesExhausted, status: None, message })
            }
        }
    }

    fn be_asked_to_rest(&self, pause: Duration) {
        *self.rest.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + pause);
    }
}

impl Refusal {
    fn is_retryable(&self) -> bool {
        match self {
            Self::Answered { status, pause, .. } => retry::is_retryable(*status, *pause),
            Self::Unreachable(_) => true,
            // Its time was all that the export had left.
            Self::TimedOut => false,
        }
    }

    fn pause(&self) -> Option<Duration> {
        match self {
            Self::Answered { pause, .. } => *pause,
            Self::Unreachable(_) | Self::TimedOut => None,
        }
    }

    /// What it is as the last word.
    fn into_failure(self) -> Failure {
        let is_retryable = self.is_retryable();
        match self {
            Self::Answered { status, words, .. } => {
                let reason = if is_retryable { Reason::RetriesExhausted } else { Reason::Rejected };
                let message =
                    if words.is_empty() { status.to_string() } else { format!("{status}: {words}") };
                Failure { reason, status: Some(status), message }
            }
            Self::Unreachable(message) => Failure { reason: Reason::Unreachable, status: None, message },
            Self::TimedOut => {
                let message = "timed out: no answer within the time of an export".to_owned();
                Failure { reason: Reason::Timeout, status: None, message }
            }
        }
    }
}
