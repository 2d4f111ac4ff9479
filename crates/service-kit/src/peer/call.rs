//! One call, with its tries.

use std::error::Error;
use std::time::{Duration, SystemTime};

use http::Extensions;
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Method, Request, StatusCode};
use reqwest_retry::policies::ExponentialBackoff;
use reqwest_retry::{Jitter, RetryDecision, RetryPolicy};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde::de::DeserializeOwned;
use telemetry_core::client::UrlTemplate;
use tokio::time::Instant;
use url::Url;

use super::{Peer, PeerError};
use crate::deadline;
use crate::problem::ProblemDocument;

/// Tries after the first. A peer that fails three times within a call's deadline is left alone.
const RETRIES: u32 = 2;

/// A call in the making; [`Call::send`] makes it.
#[must_use = "a call is made by `send`"]
pub struct Call {
    peer: Peer,
    method: Method,
    template: &'static str,
    parameters: Vec<String>,
    body: Option<Vec<u8>>,
    user_id: Option<String>,
    idempotent: bool,
    timeout: Duration,
}

impl Call {
    pub(super) fn new(peer: Peer, method: Method, template: &'static str, idempotent: bool) -> Self {
        let timeout = peer.inner.config.timeout;
        Self {
            peer,
            method,
            template,
            parameters: Vec::new(),
            body: None,
            user_id: None,
            idempotent,
            timeout,
        }
    }

    /// Stands for the next `{name}` of the template.
    pub fn parameter(mut self, value: impl Into<String>) -> Self {
        self.parameters.push(value.into());
        self
    }

    /// Sends this as JSON.
    pub fn json(mut self, body: &impl Serialize) -> Self {
        self.body = Some(serde_json::to_vec(body).expect("wire types have text keys only, so they are JSON"));
        self
    }

    /// Names the user for whom the call is made.
    pub fn on_behalf_of(mut self, user_id: impl Into<String>) -> Self {
        self.user_id = Some(user_id.into());
        self
    }

    /// Says that making this call twice does no more than making it once, because it carries a key that
    /// the peer knows it by. Then it is also tried again when nobody knows whether it arrived.
    pub fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// Another deadline than the peer's, for all tries together.
    pub fn within(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Makes the call and reads its JSON answer. `()` reads an empty one.
    ///
    /// # Errors
    /// Where there is no such answer before the deadline; see [`PeerError`].
    pub async fn send<T: DeserializeOwned>(self) -> Result<T, PeerError> {
        // Nobody works for a caller who has gone.
        let deadline = Instant::now() + deadline::at_most(self.timeout);
        self.peer.inner.budget.call();
        let backoff = ExponentialBackoff::builder()
            .retry_bounds(Duration::from_millis(50), Duration::from_secs(1))
            .jitter(Jitter::Full)
            .build_with_max_retries(RETRIES);
        // The telemetry counts resends in these, so they live as long as the call.
        let mut extensions = Extensions::new();
        extensions.insert(UrlTemplate(self.template));
        let mut retries = 0;
        let mut doubt = None;
        loop {
            let mut failure = match self.try_once(deadline, &mut extensions).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            // That the last try never arrived says nothing of those before.
            if matches!(failure.error, PeerError::Unreachable { .. })
                && let Some(earlier) = doubt.take()
            {
                failure.error = earlier;
            }
            let started = SystemTime::now();
            let RetryDecision::Retry { execute_after } = backoff.should_retry(started, retries) else {
                return Err(failure.error);
            };
            let backoff = execute_after.duration_since(started).unwrap_or_default();
            let wait = failure.retry_after.unwrap_or_default().max(backoff);
            let left = deadline.saturating_duration_since(Instant::now());
            if !self.may_repeat(&failure.error) || wait >= left || !self.peer.inner.budget.take() {
                return Err(failure.error);
            }
            tracing::debug!(
                service.peer.name = self.name(),
                error = &failure.error as &(dyn Error + 'static),
                "trying again"
            );
            tokio::time::sleep(wait).await;
            retries += 1;
            doubt = failure.error.may_have_happened().then_some(failure.error);
        }
    }

    async fn try_once<T: DeserializeOwned>(
        &self,
        deadline: Instant,
        extensions: &mut Extensions,
    ) -> Result<T, Failure> {
        // The client's own timeout, not one around it: so the span of the try learns what happened.
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(PeerError::Timeout { peer: self.name() }.into());
        }
        let request = self.request(left);
        let response = self
            .peer
            .inner
            .client
            .execute_with_extensions(request, extensions)
            .await
            .map_err(|error| self.transport(error))?;
        let status = response.status();
        let retry_after = retry_after(response.headers());
        let body = response.bytes().await.map_err(|error| self.transport(error.into()))?;
        if !status.is_success() {
            return Err(Failure { error: self.refusal(status, &body), retry_after });
        }
        let body: &[u8] = if body.is_empty() { b"null" } else { &body };
        serde_json::from_slice(body)
            .map_err(|source| Failure::from(PeerError::Garbled { peer: self.name(), source }))
    }

    fn request(&self, timeout: Duration) -> Request {
        let mut request = Request::new(self.method.clone(), self.url());
        *request.timeout_mut() = Some(timeout);
        if let Some(token) = self.peer.token(self.user_id.as_deref()) {
            let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
                .expect("a JWT is base64 and dots");
            value.set_sensitive(true);
            request.headers_mut().insert(header::AUTHORIZATION, value);
            // For services of ours: they stop when this one does not wait any more.
            let milliseconds = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
            request.headers_mut().insert(deadline::HEADER, milliseconds.into());
        }
        if let Some(body) = &self.body {
            request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *request.body_mut() = Some(body.clone().into());
        }
        request
    }

    fn url(&self) -> Url {
        let mut url = self.peer.inner.config.url.clone();
        let mut parameters = self.parameters.iter();
        {
            let mut segments = url.path_segments_mut().expect("a peer's URL has a host, so it has a path");
            segments.pop_if_empty();
            for segment in self.template.trim_start_matches('/').split('/') {
                let parameter = if segment.starts_with('{') { parameters.next() } else { None };
                segments.push(parameter.map_or(segment, String::as_str));
            }
        }
        url
    }

    fn may_repeat(&self, error: &PeerError) -> bool {
        error.is_retryable() && (self.idempotent || !error.may_have_happened())
    }

    fn refusal(&self, status: StatusCode, body: &[u8]) -> PeerError {
        let (peer, document) = (self.name(), serde_json::from_slice::<ProblemDocument>(body).ok());
        let (code, detail) = document.map_or_else(
            || (format!("http_{}", status.as_u16()), String::new()),
            |document| (document.code, document.detail),
        );
        let number = status.as_u16();
        match status {
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                PeerError::Unavailable { peer, status: number, code }
            }
            status if status.is_server_error() => PeerError::Failed { peer, status: number, code },
            _ => PeerError::Rejected { peer, status: number, code, detail },
        }
    }

    fn transport(&self, error: reqwest_middleware::Error) -> Failure {
        let peer = self.name();
        let error = error.without_url();
        Failure::from(if error.is_connect() {
            PeerError::Unreachable { peer, source: error.into() }
        } else if error.is_timeout() {
            PeerError::Timeout { peer }
        } else {
            PeerError::Interrupted { peer, source: error.into() }
        })
    }

    fn name(&self) -> &'static str {
        self.peer.inner.config.name
    }
}

struct Failure {
    error: PeerError,
    retry_after: Option<Duration>,
}

impl From<PeerError> for Failure {
    fn from(error: PeerError) -> Self {
        Self { error, retry_after: None }
    }
}

/// The seconds of `Retry-After`. Its other form, a date, is taken for none: no peer here sends it.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok().map(Duration::from_secs)
}
