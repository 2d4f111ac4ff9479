//! From messages to the bytes of a request (OTLP, "Binary Protobuf Encoding" and "JSON Protobuf Encoding").

mod message;
mod spans;

use std::io::Write as _;

use flate2::write::GzEncoder;
use prost::Message;
use serde::Serialize;

use crate::config::{Compression, Protocol};

pub(in crate::export) use spans::spans;

/// The body of a request.
///
/// # Errors
/// What JSON cannot say.
pub(super) fn request<R: Message + Serialize>(request: &R, protocol: Protocol) -> std::io::Result<Vec<u8>> {
    match protocol {
        Protocol::Protobuf | Protocol::Grpc => Ok(request.encode_to_vec()),
        Protocol::Json => Ok(serde_json::to_vec(request)?),
    }
}

/// The body, compressed where that is asked for.
pub(super) fn compressed(body: Vec<u8>, compression: Compression) -> std::io::Result<Vec<u8>> {
    match compression {
        Compression::None => Ok(body),
        Compression::Gzip => {
            let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::default());
            gzip.write_all(&body)?;
            gzip.finish()
        }
    }
}
