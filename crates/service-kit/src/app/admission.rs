//! How many requests are at work, how many wait, and how long each may take.
//!
//! Work beyond what a process can do only makes everything late. So a bounded number of requests is at work, a bounded
//! number waits for a short while, and the rest is told at once, before anything was done, to come again
//! (503 `overloaded`, `Retry-After`). What operators and orchestrators ask is always let in.
//!
//! Calls of other services have a [gate](Gate) of their own, and a wider one: what they belong to was let in elsewhere,
//! and is to be finished before more is begun.

mod gate;

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
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
use tokio::time::{Instant, sleep_until};

use self::gate::{Gate, Shed};
use crate::config::AdmissionConfig;
use crate::problem::code;
use crate::{Problem, deadline, token};

/// Always let in: they are what tells that a service is overloaded, and cost next to nothing.
pub(super) const EXEMPT: [&str; 4] = ["/", "/health", "/ready", "/metrics"];

/// How much wider the gate for services is: their doors may be more than this one.
const WIDER: usize = 2;

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
    request_timeout: Duration,
    door: Gate,
    from_services: Gate,
    shed: Counter<u64>,
}

impl Admission {
    pub(super) fn new(config: AdmissionConfig, meter: &Meter) -> Self {
        let shed = meter
            .u64_counter("overload.requests.shed")
            .with_unit("{request}")
            .with_description("Requests that were sent away before anything was done, by why.")
            .build();
        let AdmissionConfig { at_work, waiting, patience, request_timeout } = config;
        let door = Gate::new(at_work, waiting, patience);
        let from_services = Gate::new(at_work * WIDER, waiting * WIDER, patience);
        Self { inner: Arc::new(Inner { request_timeout, door, from_services, shed }) }
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
        let own = self.inner.request_timeout;
        let told = deadline::told(request.headers());
        let deadline = arrived + told.map_or(own, |told| told.min(own));
        let _at_work = match self.gate(&request).admit(deadline).await {
            Ok(at_work) => at_work,
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

    fn gate(&self, request: &ServiceRequest) -> &Gate {
        let is_from_service =
            request.path().starts_with("/internal/") && token::is_from_service(request.request());
        if is_from_service { &self.inner.from_services } else { &self.inner.door }
    }

    fn send_away(&self, shed: Shed) -> HttpResponse {
        let reason = KeyValue::new("shed.reason", shed.as_str());
        self.inner.shed.add(1, std::slice::from_ref(&reason));
        span::set_attribute(reason.key, reason.value);
        let detail = "There is more to do here than can be done in time. Nothing of this request was done.";
        Problem::unavailable(code::OVERLOADED, detail).error_response()
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
