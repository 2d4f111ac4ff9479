//! Why a call brought no answer to work with.

use std::error::Error;

/// A call to a peer failed. Its texts repeat nothing that was sent.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// The peer understood and refused (4xx).
    #[error("{peer} refused: {status} {code}")]
    Rejected {
        /// The peer's name.
        peer: &'static str,
        /// Its status.
        status: u16,
        /// Its problem's code; `http_{status}` where it sent none.
        code: String,
        /// Its problem's sentence.
        detail: String,
    },
    /// The peer failed (5xx other than the three of `Unavailable`).
    #[error("{peer} failed: {status} {code}")]
    Failed {
        /// The peer's name.
        peer: &'static str,
        /// Its status.
        status: u16,
        /// Its problem's code; `http_{status}` where it sent none.
        code: String,
    },
    /// The peer, or what stands before it, cannot work now (502, 503, 504).
    #[error("{peer} is unavailable: {status} {code}")]
    Unavailable {
        /// The peer's name.
        peer: &'static str,
        /// Its status.
        status: u16,
        /// Its problem's code; `http_{status}` where it sent none.
        code: String,
    },
    /// No connection was made.
    #[error("{peer} cannot be reached")]
    Unreachable {
        /// The peer's name.
        peer: &'static str,
        /// The connection's error.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The connection broke before the answer was whole.
    #[error("the connection to {peer} broke")]
    Interrupted {
        /// The peer's name.
        peer: &'static str,
        /// The connection's error.
        source: Box<dyn Error + Send + Sync>,
    },
    /// No answer in time.
    #[error("{peer} did not answer in time")]
    Timeout {
        /// The peer's name.
        peer: &'static str,
    },
    /// An answer that is not what this call's answers look like.
    #[error("{peer} gave an answer of the wrong form")]
    Garbled {
        /// The peer's name.
        peer: &'static str,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl PeerError {
    /// Whether the peer may have done what was asked although the caller does not know: then it must be
    /// asked again, with the same idempotency key, or undone.
    pub fn may_have_happened(&self) -> bool {
        match self {
            Self::Rejected { .. } | Self::Unreachable { .. } => false,
            Self::Failed { .. }
            | Self::Unavailable { .. }
            | Self::Interrupted { .. }
            | Self::Timeout { .. }
            | Self::Garbled { .. } => true,
        }
    }

    /// Whether the same call may go well later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Rejected { .. } | Self::Failed { .. } | Self::Garbled { .. } => false,
            Self::Unavailable { .. }
            | Self::Unreachable { .. }
            | Self::Interrupted { .. }
            | Self::Timeout { .. } => true,
        }
    }

    /// The peer's own code, where it gave one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Rejected { code, .. } | Self::Failed { code, .. } | Self::Unavailable { code, .. } => {
                Some(code)
            }
            Self::Unreachable { .. }
            | Self::Interrupted { .. }
            | Self::Timeout { .. }
            | Self::Garbled { .. } => None,
        }
    }
}
