//! How many requests are at work, how many wait, and how long each may take.
//!
//! Work beyond what a process can do only makes everything late. So a bounded number of requests is at work, a bounded
//! number waits for a short while, and the rest is told at once, before anything was done, to come again
//! (503 `overloaded`, `Retry-After`). What operators and orchestrators ask is always let in.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::StatusCode;
use actix_web::middleware::Next;
use actix_web::web::Bytes;
use actix_web::{HttpMessage as _, HttpResponse, ResponseError as _};
use futures_util::stream::{self, StreamExt as _};
use telemetry_core::opentelemetry::KeyValue;
use telemetry_core::opentelemetry::metrics::{Counter, Meter};
use telemetry_core::span;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until, timeout};

use crate::config::AdmissionConfig;
use crate::problem::code;
use crate::{Problem, deadline};

/// Always let in: they are what tells that a service is overloaded, and cost next to nothing.
pub(super) const EXEMPT: [&str; 4] = ["/", "/health", "/ready", "/metrics"];

/// A body may begin as late as this, and then comes at [`BODY_BYTES_PER_SECOND`] or faster.
const BODY_PATIENCE: Duration = Duration::from_secs(10);

/// Slower than any network that anybody orders over.
const BODY_BYTES_PER_SECOND: u64 = 8 * 1024;

/// Lets requests in. Cheap to clone; all workers of a process share one.
#[derive(Clone)]
pub(super) struct Admission {
    inner: Arc<Inner>,
}

struct Inner {
    config: AdmissionConfig,
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
    shed: Counter<u64>,
}

/// Why a request was sent away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shed {
    /// As many wait as may.
    QueueFull,
    /// It has waited for as long as it may.
    WaitedTooLong,
    /// Its caller does not wait any more.
    DeadlineOver,
}

impl Shed {
    fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::WaitedTooLong => "waited_too_long",
            Self::DeadlineOver => "deadline_over",
        }
    }
}

impl Admission {
    pub(super) fn new(config: AdmissionConfig, meter: &Meter) -> Self {
        let shed = meter
            .u64_counter("overload.requests.shed")
            .with_unit("{request}")
            .with_description("Requests that were sent away before anything was done, by why.")
            .build();
        let permits = Arc::new(Semaphore::new(config.at_work));
        Self { inner: Arc::new(Inner { config, permits, waiting: AtomicUsize::new(0), shed }) }
    }

    /// Lets the request through to its handler, or answers it.
    pub(super) async fn pass<B: MessageBody + 'static>(
        self,
        mut request: ServiceRequest,
        next: Next<B>,
    ) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
        if EXEMPT.contains(&request.path()) {
            return next.call(request).await.map(ServiceResponse::map_into_boxed_body);
        }
        let arrived = Instant::now();
        let own = self.inner.config.request_timeout;
        let told = deadline::told(request.headers());
        let deadline = arrived + told.map_or(own, |told| told.min(own));
        let _permit = match self.admit(deadline).await {
            Ok(permit) => permit,
            Err(shed) => return Ok(request.into_response(self.send_away(shed))),
        };
        let last_byte = watch_body(&mut request);
        let work = deadline::within(Some(deadline), next.call(request));
        let over = async {
            loop {
                // A large body takes its time; whoever said how long they wait means all of it.
                let until = if told.is_some() { deadline } else { deadline.max(last_byte.get() + own) };
                if until <= Instant::now() {
                    break;
                }
                sleep_until(until).await;
            }
        };
        let (mut work, mut over) = (pin!(work), pin!(over));
        tokio::select! {
            biased;
            answer = &mut work => answer.map(ServiceResponse::map_into_boxed_body),
            () = &mut over => Err(Problem::new(
                StatusCode::GATEWAY_TIMEOUT,
                code::DEADLINE_EXCEEDED,
                "This took longer than it may. Some of it may have been done.",
            )
            .into()),
        }
    }

    async fn admit(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, Shed> {
        let inner = &*self.inner;
        if deadline <= Instant::now() {
            return Err(Shed::DeadlineOver);
        }
        // Nobody overtakes those who wait: the semaphore is fair.
        if let Ok(permit) = inner.permits.clone().try_acquire_owned() {
            return Ok(permit);
        }
        let _waiting = Waiting::enter(&inner.waiting, inner.config.waiting).ok_or(Shed::QueueFull)?;
        let left = deadline.saturating_duration_since(Instant::now());
        let patience = inner.config.patience.min(left);
        match timeout(patience, inner.permits.clone().acquire_owned()).await {
            Ok(permit) => Ok(permit.expect("nobody closes the semaphore")),
            Err(_) if left <= inner.config.patience => Err(Shed::DeadlineOver),
            Err(_) => Err(Shed::WaitedTooLong),
        }
    }

    fn send_away(&self, shed: Shed) -> HttpResponse {
        let reason = KeyValue::new("shed.reason", shed.as_str());
        self.inner.shed.add(1, std::slice::from_ref(&reason));
        span::set_attribute(reason.key, reason.value);
        let detail = "There is more to do here than can be done in time. Nothing of this request was done.";
        Problem::unavailable(code::OVERLOADED, detail).error_response()
    }
}

/// A place among those who wait.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(waiting: &'a AtomicUsize, most: usize) -> Option<Self> {
        let place = Self(waiting);
        (waiting.fetch_add(1, Ordering::Relaxed) < most).then_some(place)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Ends the body of whoever sends it so slowly that they only keep a place occupied; tells when the last part came.
fn watch_body(request: &mut ServiceRequest) -> Rc<Cell<Instant>> {
    let begun = Instant::now();
    let last_byte = Rc::new(Cell::new(begun));
    // What follows an upgrade is a conversation, and no body.
    if request.head().upgrade() {
        return last_byte;
    }
    let payload = match request.take_payload() {
        Payload::None => return last_byte,
        payload => payload,
    };
    let seen = last_byte.clone();
    let body = stream::unfold((payload, 0_u64), move |(mut payload, bytes)| {
        let seen = seen.clone();
        async move {
            let until = begun + BODY_PATIENCE + Duration::from_secs(bytes / BODY_BYTES_PER_SECOND);
            let part = tokio::time::timeout_at(until, payload.next()).await;
            let part: Result<Bytes, PayloadError> = match part {
                Ok(part) => part?,
                Err(_) => Err(PayloadError::Io(std::io::ErrorKind::TimedOut.into())),
            };
            seen.set(Instant::now());
            let bytes = bytes + part.as_ref().map_or(0, |part| part.len() as u64);
            Some((part, (payload, bytes)))
        }
    });
    request.set_payload(Payload::Stream { payload: body.boxed_local() });
    last_byte
}

#[cfg(test)]
mod tests {
    use telemetry_core::testing::TestTelemetry;

    use super::*;

    fn admission(telemetry: &TestTelemetry, at_work: usize, waiting: usize) -> Admission {
        let (patience, request_timeout) = (Duration::from_millis(100), Duration::from_secs(10));
        Admission::new(AdmissionConfig { at_work, waiting, patience, request_timeout }, telemetry.meter())
    }

    fn later(milliseconds: u64) -> Instant {
        Instant::now() + Duration::from_millis(milliseconds)
    }

    #[actix_web::test]
    async fn beyond_those_at_work_and_those_who_wait_everybody_is_sent_away_at_once() {
        let telemetry = TestTelemetry::new();
        let admission = admission(&telemetry, 1, 1);
        let at_work = admission.admit(later(10_000)).await.unwrap();
        let mut waits = pin!(admission.admit(later(10_000)));
        assert!(futures_util::poll!(&mut waits).is_pending());
        assert_eq!(admission.admit(later(10_000)).await.unwrap_err(), Shed::QueueFull);
        assert!(
            futures_util::poll!(&mut waits).is_pending(),
            "the other is told at once, and not after its wait"
        );
        drop(at_work);
        let at_work = waits.await.expect("whoever waits is next");
        let started = Instant::now();
        assert_eq!(admission.admit(later(10_000)).await.unwrap_err(), Shed::WaitedTooLong);
        assert!(started.elapsed() >= Duration::from_millis(100));
        drop(at_work);
        assert_eq!(admission.inner.waiting.load(Ordering::Relaxed), 0, "nobody waits any more");
        assert!(admission.admit(later(10_000)).await.is_ok());
    }

    #[actix_web::test]
    async fn nobody_waits_for_longer_than_their_caller() {
        let telemetry = TestTelemetry::new();
        let admission = admission(&telemetry, 1, 1);
        assert_eq!(admission.admit(Instant::now()).await.unwrap_err(), Shed::DeadlineOver);
        let _at_work = admission.admit(later(10_000)).await.unwrap();
        let started = Instant::now();
        assert_eq!(admission.admit(later(30)).await.unwrap_err(), Shed::DeadlineOver);
        assert!(started.elapsed() >= Duration::from_millis(30));
    }

    #[actix_web::test]
    async fn one_who_gives_up_waiting_frees_the_place() {
        let telemetry = TestTelemetry::new();
        let admission = admission(&telemetry, 1, 1);
        let _at_work = admission.admit(later(10_000)).await.unwrap();
        {
            let mut waits = pin!(admission.admit(later(10_000)));
            assert!(futures_util::poll!(&mut waits).is_pending());
        }
        assert_eq!(admission.admit(later(10_000)).await.unwrap_err(), Shed::WaitedTooLong);
    }
}
