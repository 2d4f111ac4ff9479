//! How an export ended.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use http::StatusCode;
use opentelemetry::KeyValue;
use opentelemetry_sdk::error::OTelSdkError;
use opentelemetry_semantic_conventions::attribute;

/// The end of an export, and what it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::export) struct Delivered {
    pub(in crate::export) outcome: Outcome,
    /// Tries after the first.
    pub(in crate::export) retries: u64,
    /// From the first try to the end of the last.
    pub(in crate::export) took: Duration,
}

impl Delivered {
    pub(super) fn at_once(outcome: Outcome) -> Self {
        Self { outcome, retries: 0, took: Duration::ZERO }
    }
}

/// What became of the items of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::export) enum Outcome {
    /// The collector has all of them; it may want something to be known.
    Accepted { warning: Option<String> },
    /// The collector has all but so many, and says why.
    PartlyRejected { rejected: u64, message: String },
    /// The collector has none, as far as one can know.
    Failed(Failure),
}

impl Outcome {
    /// `error.type` of what was not accepted: the collector's status, else what kept the request from it.
    pub(in crate::export) fn error_type(&self) -> Option<Cow<'static, str>> {
        let failure = match self {
            Self::Accepted { .. } => return None,
            Self::PartlyRejected { .. } => return Some("rejected".into()),
            Self::Failed(failure) => failure,
        };
        Some(match (failure.status, failure.reason) {
            (Some(Status::Http(status)), _) => status.as_str().to_owned().into(),
            (Some(Status::Grpc(code)), _) => code.name().into(),
            (None, Reason::Rejected) => "rejected".into(),
            (None, Reason::RetriesExhausted) => "throttled".into(),
            (None, Reason::Timeout) => "timeout".into(),
            (None, Reason::Unreachable) => "unreachable".into(),
            (None, Reason::Encoding) => "encoding".into(),
            (None, Reason::Own) => "_OTHER".into(),
            (None, Reason::Shutdown) => "shutdown".into(),
        })
    }

    /// The status of the last answer, where it was no success.
    pub(in crate::export) fn status_attribute(&self) -> Option<KeyValue> {
        let Self::Failed(Failure { status: Some(status), .. }) = self else { return None };
        Some(match status {
            Status::Http(status) => {
                KeyValue::new(attribute::HTTP_RESPONSE_STATUS_CODE, i64::from(status.as_u16()))
            }
            Status::Grpc(code) => KeyValue::new(attribute::RPC_RESPONSE_STATUS_CODE, code.name()),
        })
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Why nothing was exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::export) struct Failure {
    pub(in crate::export) reason: Reason,
    /// What the collector answered to the last try.
    pub(in crate::export) status: Option<Status>,
    /// For people: the status with the collector's own words, or what kept the request from it.
    pub(in crate::export) message: String,
}

impl Failure {
    /// The request could not be made.
    pub(super) fn encoding(error: &dyn Error) -> Self {
        Self { reason: Reason::Encoding, status: None, message: format!("cannot be encoded: {error}") }
    }

    /// An exporter of the application's own answered this.
    pub(in crate::export) fn of_own(error: &OTelSdkError) -> Self {
        let reason = match error {
            OTelSdkError::Timeout(_) => Reason::Timeout,
            OTelSdkError::AlreadyShutdown => Reason::Shutdown,
            OTelSdkError::InternalFailure(_) => Reason::Own,
        };
        Self { reason, status: None, message: tame(&error.to_string()) }
    }

    /// The process ends.
    pub(super) fn shutdown() -> Self {
        let message = "cut off by the shutdown".to_owned();
        Self { reason: Reason::Shutdown, status: None, message }
    }
}

/// The kinds of failure that are counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::export) enum Reason {
    /// The collector refused them for good.
    Rejected,
    /// The collector was busy or out of order at every try.
    RetriesExhausted,
    /// No answer within the time of an export.
    Timeout,
    /// No connection, or one that broke.
    Unreachable,
    /// No request could be made of them.
    Encoding,
    /// An exporter of the application's own failed.
    Own,
    /// The shutdown ended the export.
    Shutdown,
}

/// What a collector answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::export) enum Status {
    Http(StatusCode),
    Grpc(Code),
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(status) => write!(f, "HTTP {status}"),
            Self::Grpc(code) => write!(f, "gRPC {}", code.name()),
        }
    }
}

/// A status code of gRPC ("Status codes and their use in gRPC").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::export) struct Code(pub(in crate::export) u32);

impl Code {
    pub(super) const OK: Self = Self(0);
    pub(super) const CANCELLED: Self = Self(1);
    pub(super) const UNKNOWN: Self = Self(2);
    pub(super) const DEADLINE_EXCEEDED: Self = Self(4);
    pub(super) const PERMISSION_DENIED: Self = Self(7);
    pub(super) const RESOURCE_EXHAUSTED: Self = Self(8);
    pub(super) const ABORTED: Self = Self(10);
    pub(super) const OUT_OF_RANGE: Self = Self(11);
    pub(super) const UNIMPLEMENTED: Self = Self(12);
    pub(super) const INTERNAL: Self = Self(13);
    pub(super) const UNAVAILABLE: Self = Self(14);
    pub(super) const DATA_LOSS: Self = Self(15);
    pub(super) const UNAUTHENTICATED: Self = Self(16);

    /// As the specification of gRPC writes it; `UNKNOWN` for a code that it does not have.
    pub(in crate::export) fn name(self) -> &'static str {
        const NAMES: [&str; 17] = [
            "OK",
            "CANCELLED",
            "UNKNOWN",
            "INVALID_ARGUMENT",
            "DEADLINE_EXCEEDED",
            "NOT_FOUND",
            "ALREADY_EXISTS",
            "PERMISSION_DENIED",
            "RESOURCE_EXHAUSTED",
            "FAILED_PRECONDITION",
            "ABORTED",
            "OUT_OF_RANGE",
            "UNIMPLEMENTED",
            "INTERNAL",
            "UNAVAILABLE",
            "DATA_LOSS",
            "UNAUTHENTICATED",
        ];
        NAMES.get(self.0 as usize).copied().unwrap_or("UNKNOWN")
    }
}

/// Words of a stranger, as short and as tame as a log line wants them: one line, no control characters.
pub(super) fn tame(words: &str) -> String {
    const LONGEST: usize = 256;
    let words = words.replace(|c: char| c.is_control() || c.is_whitespace(), " ");
    let words = words.trim();
    match super::super::cut(words, LONGEST) {
        Some(start) => format!("{start}…"),
        None => words.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_collector_stay_on_one_short_line() {
        assert_eq!(tame("  quota\r\nexceeded\u{1b}[2J\0 "), "quota  exceeded [2J");
        assert_eq!(tame(&"é".repeat(1000)).chars().count(), 257);
    }

    #[test]
    fn a_code_is_told_by_its_name() {
        assert_eq!(Status::Grpc(Code::UNAVAILABLE).to_string(), "gRPC UNAVAILABLE");
        assert_eq!(Status::Grpc(Code::UNAUTHENTICATED).to_string(), "gRPC UNAUTHENTICATED");
        assert_eq!(Status::Grpc(Code(99)).to_string(), "gRPC UNKNOWN");
        assert_eq!(Status::Http(StatusCode::BAD_REQUEST).to_string(), "HTTP 400 Bad Request");
    }
}
