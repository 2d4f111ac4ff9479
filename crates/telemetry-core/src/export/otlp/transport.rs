//! One try: bytes go to the collector, its answer comes back.

mod grpc;
mod http;

use std::error::Error;
use std::time::Duration;

use ::http::header::{self, HeaderValue};
use ::http::{HeaderMap, HeaderName};
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use reqwest::{Client, RequestBuilder, Url};

use super::connection::Connection;
use super::outcome::{Outcome, Status, tame};
use crate::config::{Compression, Otlp, Protocol, Signal};

/// More than any answer of a collector; what is longer comes from something else, and its end is not read.
const LONGEST_ANSWER: usize = 4 * 1024 * 1024;

const USER_AGENT: &str = concat!("telemetry-core-otlp-exporter-rust/", env!("CARGO_PKG_VERSION"));

/// One signal's way to the collector.
#[derive(Debug)]
pub(in crate::export) struct Transport {
    client: Client,
    protocol: Protocol,
    compression: Compression,
    url: Url,
    headers: HeaderMap,
}

/// A request that arrived.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Accepted {
    /// How many items the collector refused.
    rejected: u64,
    /// What it wants to be known; empty for nothing.
    message: String,
}

impl From<Accepted> for Outcome {
    fn from(Accepted { rejected, message }: Accepted) -> Self {
        match rejected {
            0 => Self::Accepted { warning: Some(message).filter(|message| !message.is_empty()) },
            _ if message.is_empty() => {
                Self::PartlyRejected { rejected, message: "refused by the collector".to_owned() }
            }
            _ => Self::PartlyRejected { rejected, message },
        }
    }
}

/// A request that did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The collector said no: with a status, in its own words, asking for a pause perhaps.
    Answered { status: Status, words: String, pause: Option<Duration> },
    /// No connection, or one that broke before the answer.
    Unreachable(String),
    /// No answer in time.
    TimedOut,
}

impl Transport {
    /// # Errors
    /// Where there is no client; most often because `https://` finds no root certificates.
    pub(in crate::export) fn new(
        connection: &Connection,
        signal: Signal,
        otlp: &Otlp,
    ) -> reqwest::Result<Self> {
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        headers.extend(otlp.headers.expose().clone());
        // What the protocol rules is not the user's.
        let own: &[(HeaderName, &str)] = match otlp.protocol {
            Protocol::Protobuf => &[(header::CONTENT_TYPE, "application/x-protobuf")],
            Protocol::Json => &[(header::CONTENT_TYPE, "application/json")],
            Protocol::Grpc => &[(header::CONTENT_TYPE, "application/grpc"), (header::TE, "trailers")],
        };
        for (name, value) in own {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if otlp.compression == Compression::Gzip {
            let name = match otlp.protocol {
                Protocol::Grpc => grpc::ENCODING,
                Protocol::Protobuf | Protocol::Json => header::CONTENT_ENCODING,
            };
            headers.insert(name, HeaderValue::from_static("gzip"));
        }
        let mut url = otlp.endpoint.url().clone();
        if otlp.protocol == Protocol::Grpc {
            url.set_path(grpc::path(signal));
        }
        Ok(Self {
            client: connection.client(otlp)?,
            protocol: otlp.protocol,
            compression: otlp.compression,
            url,
            headers,
        })
    }

    /// Sends a body that is encoded and compressed as the settings say. Waits for the answer no longer than `timeout`.
    pub(super) async fn send(&self, body: Bytes, timeout: Option<Duration>) -> Result<Accepted, Refusal> {
        let mut request = self.client.post(self.url.clone()).headers(self.headers.clone());
        if let Some(timeout) = timeout {
            request = request.timeout(timeout);
        }
        match self.protocol {
            Protocol::Protobuf | Protocol::Json => http::send(self.protocol, request.body(body)).await,
            Protocol::Grpc => {
                if let Some(timeout) = timeout {
                    request = request.header(grpc::TIMEOUT, grpc::timeout(timeout));
                }
                grpc::send(request.body(grpc::frame(&body, self.compression))).await
            }
        }
    }
}

async fn execute(request: RequestBuilder) -> Result<reqwest::Response, Refusal> {
    request.send().await.map_err(Refusal::from)
}

impl From<reqwest::Error> for Refusal {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() { Self::TimedOut } else { Self::Unreachable(chain(&error.without_url())) }
    }
}

/// The error with its causes: reqwest tells the reason only there.
fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    tame(&causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}")))
}

/// What the collector refuses of a request that it accepts. An answer that is none refuses nothing. The answers of all
/// three signals have the same fields.
fn accepted(answer: &[u8]) -> Accepted {
    let answer = ExportTraceServiceResponse::decode(answer).unwrap_or_default();
    let partial = answer.partial_success.unwrap_or_default();
    Accepted {
        rejected: u64::try_from(partial.rejected_spans).unwrap_or_default(),
        message: tame(&partial.error_message),
    }
}

/// `google.rpc.Status`, with which a collector says what is wrong.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Detail>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Detail {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::logs::v1::{
        ExportLogsPartialSuccess, ExportLogsServiceResponse,
    };

    use super::*;

    #[test]
    fn what_the_collector_refuses_is_read_from_its_answer() {
        let logs = ExportLogsServiceResponse {
            partial_success: Some(ExportLogsPartialSuccess {
                rejected_log_records: 3,
                error_message: "too old".to_owned(),
            }),
        };
        let refused = Accepted { rejected: 3, message: "too old".to_owned() };
        assert_eq!(accepted(&logs.encode_to_vec()), refused);
        for none in [&b""[..], b"{}", b"<html>", &[0xFF; 8]] {
            assert_eq!(accepted(none), Accepted::default());
        }
    }
}
