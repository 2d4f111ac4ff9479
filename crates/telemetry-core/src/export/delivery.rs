//! One signal's requests to the collector: headers, deadline, and why the last one failed.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use http::{HeaderMap, header};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response, ResponseBodyTooLarge};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;

use super::connection::Connection;
use crate::config::{Endpoint, Headers, Otlp, Protocol};

/// More than any answer of a collector; what is longer comes from something else.
const LONGEST_ANSWER: usize = 4 * 1024 * 1024;

/// Sends one signal's exports, one after the other.
#[derive(Debug)]
pub(super) struct Delivery {
    connection: Arc<Connection>,
    endpoint: Endpoint,
    headers: Headers,
    protocol: Protocol,
    timeout: Duration,
    export: Mutex<Export>,
    /// What is sent in place of what the exporter encoded.
    body: Mutex<Option<Bytes>>,
}

/// The export under way. The SDK never runs two of one signal at once.
#[derive(Debug, Default)]
struct Export {
    /// When it must be over, retries included; `None` for never.
    deadline: Option<Instant>,
    outcome: Outcome,
}

/// What the collector said of an export.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Why the last try failed; what the collector wants to be known of an accepted export.
    pub(super) message: Option<String>,
    /// How many items of an accepted export it refused.
    pub(super) rejected: u64,
}

impl Delivery {
    pub(super) fn new(connection: Arc<Connection>, otlp: &Otlp, timeout: Duration) -> Self {
        Self {
            connection,
            endpoint: otlp.endpoint.clone(),
            headers: otlp.headers.clone(),
            protocol: otlp.protocol,
            timeout,
            export: Mutex::default(),
            body: Mutex::default(),
        }
    }

    /// The longest an export takes, retries included.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Starts the clock of an export.
    pub(super) fn begin(&self) {
        *self.export() = Export { deadline: Instant::now().checked_add(self.timeout), ..Export::default() };
    }

    /// Sends this body, of the same encoding and compression, in place of the exporter's own, until it is taken back by
    /// `None`.
    pub(super) fn replace_body(&self, body: Option<Bytes>) {
        *self.body.lock().unwrap_or_else(PoisonError::into_inner) = body;
    }

    /// What the collector said since [`Delivery::begin`].
    pub(super) fn outcome(&self) -> Outcome {
        self.export().outcome.clone()
    }

    fn export(&self) -> std::sync::MutexGuard<'_, Export> {
        self.export.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let body = self.body.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or(body);
        // The exporter reads variables of its own accord, beside a configuration file too.
        let its_own = [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::USER_AGENT];
        let keep = |name| Some((parts.headers.get(&name).cloned()?, name));
        let mut headers: HeaderMap =
            its_own.into_iter().filter_map(keep).map(|(value, name)| (name, value)).collect();
        for (name, value) in self.headers.expose() {
            headers.insert(name, value.clone());
        }
        let mut request =
            self.connection.client.post(self.endpoint.url().clone()).headers(headers).body(body);
        if let Some(deadline) = self.export().deadline {
            request = request.timeout(deadline.saturating_duration_since(Instant::now()));
        }
        let mut stopped = self.connection.stopped();
        #[expect(clippy::disallowed_methods, reason = "an export belongs to no trace")]
        let exchange = self.connection.runtime.spawn(async move {
            tokio::select! {
                answer = exchange(request) => answer,
                _ = stopped.wait_for(|stopped| *stopped) => Err("cut off by the shutdown".into()),
            }
        });
        exchange.await?
    }
}

#[async_trait]
impl HttpClient for Delivery {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.send(request).await;
        let outcome = match &answer {
            Ok(answer) if answer.status().is_success() => partial_success(self.protocol, answer.body()),
            Ok(answer) => Outcome { message: Some(format!("HTTP {}", answer.status())), rejected: 0 },
            Err(error) => Outcome { message: Some(chain(error.as_ref())), rejected: 0 },
        };
        self.export().outcome = outcome;
        answer
    }
}

async fn exchange(request: reqwest::RequestBuilder) -> Result<Response<Bytes>, HttpError> {
    let mut answer = request.send().await.map_err(reqwest::Error::without_url)?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(reqwest::Error::without_url)? {
        if body.len() + chunk.len() > LONGEST_ANSWER {
            return Err(Box::new(ResponseBodyTooLarge::new()));
        }
        body.extend_from_slice(&chunk);
    }
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = answer.status();
    *response.headers_mut() = std::mem::take(answer.headers_mut());
    Ok(response)
}

/// The error with its causes: reqwest tells the reason only there.
fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Reads the part of an answer that the exporter only logs. A body that is none of it refuses nothing.
fn partial_success(protocol: Protocol, body: &[u8]) -> Outcome {
    let (rejected, message) = match protocol {
        // The answers of all three signals have the same fields.
        Protocol::Protobuf => {
            let answer = ExportTraceServiceResponse::decode(body).unwrap_or_default();
            let partial = answer.partial_success.unwrap_or_default();
            (u64::try_from(partial.rejected_spans).unwrap_or_default(), partial.error_message)
        }
        Protocol::Json => {
            let answer: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
            let partial = &answer["partialSuccess"];
            let rejected = ["rejectedSpans", "rejectedDataPoints", "rejectedLogRecords"]
                .into_iter()
                // A 64-bit integer is text in protobuf's JSON; some write a number.
                .find_map(|name| partial[name].as_u64().or_else(|| partial[name].as_str()?.parse().ok()));
            (rejected.unwrap_or_default(), partial["errorMessage"].as_str().unwrap_or_default().to_owned())
        }
    };
    Outcome { message: Some(message).filter(|message| !message.is_empty()), rejected }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::logs::v1::{
        ExportLogsPartialSuccess, ExportLogsServiceResponse,
    };

    use super::*;

    #[test]
    fn what_the_collector_refuses_is_read_from_its_answer() {
        let refused = |rejected, message: &str| Outcome { rejected, message: Some(message.to_owned()) };
        let logs = ExportLogsServiceResponse {
            partial_success: Some(ExportLogsPartialSuccess {
                rejected_log_records: 3,
                error_message: "too old".to_owned(),
            }),
        };
        let json = |body: &str| partial_success(Protocol::Json, body.as_bytes());
        assert_eq!(partial_success(Protocol::Protobuf, &logs.encode_to_vec()), refused(3, "too old"));
        assert_eq!(
            json(r#"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"full"}}"#),
            refused(2, "full")
        );
        assert_eq!(
            json(r#"{"partialSuccess":{"rejectedDataPoints":4,"errorMessage":"full"}}"#),
            refused(4, "full")
        );
    }

    #[test]
    fn an_answer_that_is_none_refuses_nothing() {
        for body in [&b""[..], b"{}", b"<html>", &[0xFF; 8]] {
            assert_eq!(partial_success(Protocol::Protobuf, body), Outcome::default());
            assert_eq!(partial_success(Protocol::Json, body), Outcome::default());
        }
    }
}
