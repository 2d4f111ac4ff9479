//! `Idempotency-Key`: a request that is sent again, because its answer got lost, gets the answer it would have got, and
//! does nothing twice. (IETF draft-ietf-httpapi-idempotency-key-header.)
//!
//! | the key was seen | with | answer |
//! |---|---|---|
//! | never, or so long ago that it was purged | | what the request comes to |
//! | and answered | the same request | the stored answer, with `Idempotency-Replayed: true` |
//! | and not answered yet | the same request | 409 `idempotency_key_in_use` |
//! | | another request | 422 `idempotency_key_reused` |
//!
//! A key belongs to its caller: two callers may use the same one. Which answers stay, the handler decides. One that says
//! "not now" does not: then the request is worked on again, under the id that the key has reserved for what it makes, so
//! that the handler finds what an attempt before has made.
//!
//! The service's migrations make the table `idempotency_keys`; of caller, key and request it holds hashes.

mod key;
mod table;

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, Responder};
use chrono::NaiveDateTime;
use serde::Serialize;
use telemetry_core::config::Env;
use telemetry_core::opentelemetry::KeyValue;
use telemetry_core::opentelemetry::metrics::Counter;
use telemetry_core::{Telemetry, context, span};
use uuid::Uuid;

use self::table::{Found, Keys};
use crate::Problem;
use crate::app::Stopping;
use crate::config::number_within;
use crate::db::{Database, DatabaseError};
use crate::problem::{MEDIA_TYPE, code};

pub use self::key::IdempotencyKey;

/// The header that marks an answer that was given before.
pub const REPLAYED: &str = "idempotency-replayed";

/// How often keys that are too old are deleted.
const PURGE_INTERVAL: Duration = Duration::from_secs(600);

/// For how long keys are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdempotencySettings {
    /// `IDEMPOTENCY_KEY_TTL_S`, 1 to 2592000 seconds, default 86400, a day: who repeats a request later makes a new one.
    pub keep_for: Duration,
}

impl IdempotencySettings {
    /// Reads the variable; mistakes stay in `env`.
    pub fn read(env: &mut Env) -> Self {
        let seconds = number_within(env, "IDEMPOTENCY_KEY_TTL_S", 86_400, 1..=2_592_000, "whole seconds");
        Self { keep_for: Duration::from_secs(seconds) }
    }
}

/// The keys that this service has seen. Cheap to clone.
#[derive(Clone)]
pub struct Idempotency {
    keys: Keys,
    requests: Counter<u64>,
}

/// A request that is to be worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// The id of what the request makes: of every attempt the same.
    pub resource: Uuid,
    /// Whether an attempt before this one came to no answer that stays. What it may have made is there under `resource`.
    pub is_again: bool,
    /// Tells it from later attempts.
    locked_until: NaiveDateTime,
}

/// What a request came to.
#[derive(Debug)]
pub struct Outcome {
    answer: Result<Answer, Problem>,
    stays: bool,
}

impl Outcome {
    /// This answer, now and whenever the request is repeated.
    pub fn kept(status: StatusCode, body: &impl Serialize) -> Self {
        Self { answer: Ok(Answer::new(status, body)), stays: true }
    }

    /// This answer, now: the request may come to another one when it is repeated.
    pub fn for_now(status: StatusCode, body: &impl Serialize) -> Self {
        Self { answer: Ok(Answer::new(status, body)), stays: false }
    }

    /// This problem, now and whenever the request is repeated.
    pub fn failed(problem: Problem) -> Self {
        Self { answer: Err(problem), stays: true }
    }
}

/// Nothing was changed, as far as anyone knows: the request may be repeated, and may come to something else.
impl From<Problem> for Outcome {
    fn from(problem: Problem) -> Self {
        Self { answer: Err(problem), stays: false }
    }
}

/// An answer, with its whole body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    status: StatusCode,
    body: String,
    is_replayed: bool,
}

impl Answer {
    fn new(status: StatusCode, body: &impl Serialize) -> Self {
        let body = serde_json::to_string(body).expect("wire types have text keys only, so they are JSON");
        Self { status, body, is_replayed: false }
    }
}

impl Responder for Answer {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let is_problem = self.status.is_client_error() || self.status.is_server_error();
        let mut response = HttpResponse::build(self.status);
        response.content_type(if is_problem { MEDIA_TYPE } else { "application/json" });
        if self.is_replayed {
            response.insert_header((REPLAYED, "true"));
        }
        response.body(self.body)
    }
}

/// What a request was found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    First,
    Replayed,
    InProgress,
    Reused,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Replayed => "replayed",
            Self::InProgress => "in_progress",
            Self::Reused => "reused",
        }
    }
}

impl Idempotency {
    /// The keys in this database, where the service's migrations have made the table. A request that came to no answer
    /// after `locked_for` may be tried again. Starts purging, until `stopping`.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn new(
        database: Database,
        settings: IdempotencySettings,
        locked_for: Duration,
        telemetry: &Telemetry,
        stopping: Stopping,
    ) -> Self {
        let keys = Keys::new(database, settings.keep_for, locked_for);
        context::spawn(purge(keys.clone(), telemetry.clone(), stopping));
        let requests = telemetry
            .meter()
            .u64_counter("idempotency.requests")
            .with_unit("{request}")
            .with_description("Requests with an Idempotency-Key, by what the key was found to be.")
            .build();
        Self { keys, requests }
    }

    /// Answers a request: by what `work` comes to, or as it was answered before. `scope` is who calls what; `request` is
    /// what makes it the same request. Without a key the work is always done.
    ///
    /// # Errors
    /// The work's problem, or one of the key's.
    pub async fn answer<F>(
        &self,
        key: IdempotencyKey,
        scope: &[&str],
        request: &impl Serialize,
        work: impl FnOnce(Attempt) -> F,
    ) -> Result<Answer, Problem>
    where
        F: Future<Output = Outcome>,
    {
        let Some(key) = key.as_str() else {
            let attempt =
                Attempt { resource: Uuid::now_v7(), is_again: false, locked_until: NaiveDateTime::MIN };
            return work(attempt).await.answer;
        };
        let id = table::hash(scope.iter().chain([&key]).copied());
        let request =
            serde_json::to_string(request).expect("wire types have text keys only, so they are JSON");
        let fingerprint = table::hash([request.as_str()]);
        let attempt = match self.keys.begin(id.clone(), fingerprint).await? {
            Found::Free(attempt) => attempt,
            Found::Answered { status, body } => {
                self.count(Kind::Replayed);
                span::set_attribute("idempotency.replayed", true);
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                return Ok(Answer { status, body, is_replayed: true });
            }
            Found::Locked => {
                self.count(Kind::InProgress);
                return Err(in_use());
            }
            Found::OfAnother => {
                self.count(Kind::Reused);
                return Err(reused());
            }
        };
        self.count(Kind::First);
        let Outcome { answer, stays } = work(attempt).await;
        if stays {
            let (status, body) = match &answer {
                Ok(answer) => (answer.status.as_u16(), answer.body.clone()),
                Err(problem) => problem.to_stored(),
            };
            note(self.keys.keep(id, status, body).await);
        } else {
            note(self.keys.unlock(id, attempt).await);
        }
        answer
    }

    fn count(&self, kind: Kind) {
        self.requests.add(1, &[KeyValue::new("idempotency.outcome", kind.as_str())]);
    }
}

/// The request is answered all the same: repeated, it is worked on again, and finds what it made.
fn note(result: Result<(), DatabaseError>) {
    if let Err(error) = result {
        tracing::warn!(
            error = &error as &(dyn Error + 'static),
            "an answer was not kept for its Idempotency-Key"
        );
    }
}

fn in_use() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        code::IDEMPOTENCY_KEY_IN_USE,
        "The request with this Idempotency-Key is still being worked on.",
    )
    .with_header(header::RETRY_AFTER, HeaderValue::from_static("1"))
}

fn reused() -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        code::IDEMPOTENCY_KEY_REUSED,
        "This Idempotency-Key belongs to another request.",
    )
}

async fn purge(keys: Keys, telemetry: Telemetry, stopping: Stopping) {
    loop {
        // Not worth a trace.
        if let Err(error) = telemetry.untraced(keys.purge()).await {
            tracing::warn!(error = &error as &(dyn Error + 'static), "old Idempotency-Keys were not deleted");
        }
        tokio::select! {
            () = stopping.requested() => return,
            () = tokio::time::sleep(PURGE_INTERVAL) => {}
        }
    }
}
