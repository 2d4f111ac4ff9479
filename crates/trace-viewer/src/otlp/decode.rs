use serde::de::DeserializeOwned;

use super::signal::Signal;
use super::weigh::{self, WeighError};

/// Why a body was not decoded.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum DecodeError {
    /// In the words of the decoder.
    #[error("the body is malformed: {0}")]
    Malformed(String),
    #[error("the body would take more than {limit} bytes when decoded")]
    TooLarge { limit: usize },
}

/// Decodes protobuf, once its decoded size is known to stay below `limit` bytes.
pub(super) fn protobuf<S: Signal>(body: &[u8], limit: usize) -> Result<S, DecodeError> {
    match weigh::protobuf(body, S::shape(), limit) {
        Ok(()) => S::decode(body).map_err(|error| DecodeError::Malformed(error.to_string())),
        Err(WeighError::Malformed) => Err(DecodeError::Malformed("not a protobuf message".to_owned())),
        Err(WeighError::TooHeavy) => Err(DecodeError::TooLarge { limit }),
    }
}

/// Decodes JSON, once its decoded size is known to stay below `limit` bytes.
pub(super) fn json<T: DeserializeOwned>(body: &[u8], limit: usize) -> Result<T, DecodeError> {
    if weigh::json(body) > limit {
        return Err(DecodeError::TooLarge { limit });
    }
    // serde would also fill a struct from an array, field by field.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(DecodeError::Malformed("not a JSON object".to_owned()));
    }
    serde_json::from_slice(body).map_err(|error| DecodeError::Malformed(error.to_string()))
}
