//! OTLP over gRPC: unary calls ("gRPC over HTTP2") on the HTTP client that OTLP over HTTP uses as well.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body_util::BodyExt as _;
use percent_encoding::percent_decode_str;
use prost::Message;
use reqwest::RequestBuilder;

use super::super::outcome::{Code, Status, tame};
use super::super::retry;
use super::{Accepted, LONGEST_ANSWER, Refusal, RpcStatus, accepted, execute};
use crate::config::{Compression, Signal};

pub(super) const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
pub(super) const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const STATUS: &str = "grpc-status";
const MESSAGE: &str = "grpc-message";
const DETAILS: &str = "grpc-status-details-bin";

/// A message begins with whether it is compressed, and its length.
const PREFIX: usize = 5;

/// Padding is optional in metadata.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The method that takes a signal's exports.
pub(super) fn path(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    }
}

/// A body of one message.
pub(super) fn frame(message: &[u8], compression: Compression) -> Bytes {
    let mut body = BytesMut::with_capacity(PREFIX + message.len());
    body.put_u8(u8::from(compression == Compression::Gzip));
    // An export has no four gigabytes; one that had is refused by the collector for its wrong length.
    body.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    body.put_slice(message);
    body.freeze()
}

/// How long the collector may take, in milliseconds of eight digits at most.
pub(super) fn timeout(timeout: Duration) -> HeaderValue {
    let text = format!("{}m", timeout.as_millis().clamp(1, 99_999_999));
    HeaderValue::try_from(text).expect("digits are a header's value")
}

pub(super) async fn send(request: RequestBuilder) -> Result<Accepted, Refusal> {
    let (head, mut body) = http::Response::<reqwest::Body>::from(execute(request).await?).into_parts();
    if !is_grpc(&head.headers) {
        return Err(not_grpc(head.status));
    }
    let mut message = Vec::new();
    // A failure at once comes without a body, all in the head ("Trailers-Only").
    let mut end = head.headers.contains_key(STATUS).then_some(head.headers);
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(data) if message.len() + data.len() <= LONGEST_ANSWER => message.extend_from_slice(&data),
            Ok(_) => {}
            Err(frame) => end = frame.into_trailers().ok(),
        }
    }
    let Some(end) = end else {
        return Err(Refusal::Unreachable("the answer has no end: the connection was cut".to_owned()));
    };
    match code(&end) {
        Code::OK => Ok(accepted(message.get(PREFIX..).unwrap_or_default())),
        code => Err(refusal(code, &end)),
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// What an answer without gRPC means ("HTTP to gRPC Status Code Mapping"): it comes from something between, or from no
/// collector at all.
fn not_grpc(status: StatusCode) -> Refusal {
    let code = match status.as_u16() {
        400 => Code::INTERNAL,
        401 => Code::UNAUTHENTICATED,
        403 => Code::PERMISSION_DENIED,
        404 => Code::UNIMPLEMENTED,
        429 | 502..=504 => Code::UNAVAILABLE,
        _ => Code::UNKNOWN,
    };
    let words = format!("HTTP {status}, not an answer of gRPC");
    Refusal::Answered { status: Status::Grpc(code), words, pause: None }
}

fn code(end: &HeaderMap) -> Code {
    let code = end.get(STATUS).and_then(|value| value.to_str().ok()?.parse().ok());
    code.map_or(Code::UNKNOWN, Code)
}

fn refusal(code: Code, end: &HeaderMap) -> Refusal {
    let text = end.get(MESSAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let words = tame(&percent_decode_str(text).decode_utf8_lossy());
    Refusal::Answered { status: Status::Grpc(code), words, pause: pause(end) }
}

/// The pause that the collector asks for in the details of its status.
fn pause(end: &HeaderMap) -> Option<Duration> {
    let details = BASE64.decode(end.get(DETAILS)?.as_bytes()).ok()?;
    let details = RpcStatus::decode(&details[..]).ok()?.details;
    let info = details.iter().find(|detail| detail.type_url.ends_with("/google.rpc.RetryInfo"))?;
    let delay = RetryInfo::decode(&info.value[..]).ok()?.retry_delay.unwrap_or_default();
    let seconds = u64::try_from(delay.seconds).unwrap_or_default();
    let nanoseconds = u32::try_from(delay.nanos).unwrap_or_default().min(999_999_999);
    Some(retry::bounded(Duration::new(seconds, nanoseconds)))
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[cfg(test)]
mod tests {
    use super::super::Detail;
    use super::*;

    /// The end of a call that failed with details.
    fn end(details: Vec<Detail>) -> HeaderMap {
        let status = RpcStatus { code: 8, message: "busy".to_owned(), details };
        let details = BASE64.encode(status.encode_to_vec());
        HeaderMap::from_iter([
            (HeaderName::from_static(STATUS), HeaderValue::from_static("8")),
            (HeaderName::from_static(MESSAGE), HeaderValue::from_static("too%20much%0Afor us")),
            (HeaderName::from_static(DETAILS), details.parse().expect("a value")),
        ])
    }

    fn retry_info(seconds: i64, nanos: i32) -> Detail {
        let info = RetryInfo { retry_delay: Some(Delay { seconds, nanos }) };
        Detail {
            type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
            value: info.encode_to_vec(),
        }
    }

    #[test]
    fn a_pause_is_read_from_the_details_of_a_status() {
        let other = Detail { type_url: "type.googleapis.com/google.rpc.Help".to_owned(), value: vec![1] };
        for (details, expected) in [
            (vec![], None),
            (vec![other.clone()], None),
            (vec![other, retry_info(2, 500_000_000)], Some(Duration::from_millis(2500))),
            (vec![retry_info(86_400, 0)], Some(Duration::from_secs(60))),
            (vec![retry_info(-1, -1)], Some(Duration::ZERO)),
        ] {
            assert_eq!(pause(&end(details)), expected);
        }
        let broken =
            HeaderMap::from_iter([(HeaderName::from_static(DETAILS), HeaderValue::from_static("~"))]);
        assert_eq!(pause(&broken), None);
    }

    #[test]
    fn a_refusal_is_told_in_the_words_of_the_collector() {
        let end = end(vec![retry_info(1, 0)]);
        assert_eq!(
            refusal(code(&end), &end),
            Refusal::Answered {
                status: Status::Grpc(Code::RESOURCE_EXHAUSTED),
                words: "too much for us".to_owned(),
                pause: Some(Duration::from_secs(1)),
            }
        );
        assert_eq!(code(&HeaderMap::new()), Code::UNKNOWN);
    }

    #[test]
    fn a_timeout_has_eight_digits_at_most() {
        for (given, text) in
            [(Duration::from_secs(10), "10000m"), (Duration::ZERO, "1m"), (Duration::MAX, "99999999m")]
        {
            assert_eq!(timeout(given), text);
        }
    }
}
