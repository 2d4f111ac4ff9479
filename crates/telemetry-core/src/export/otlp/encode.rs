//! From messages to the bytes of a request (OTLP, "Binary Protobuf Encoding" and "JSON Protobuf Encoding").

use std::io::Write as _;

use flate2::write::GzEncoder;
use prost::Message;
use serde::Serialize;

use crate::config::{Compression, Protocol};

/// The body of a request, compressed where that is asked for.
///
/// # Errors
/// What JSON cannot say.
pub(super) fn request<R: Message + Serialize>(
    request: &R,
    protocol: Protocol,
    compression: Compression,
) -> std::io::Result<Vec<u8>> {
    let body = match protocol {
        Protocol::Protobuf | Protocol::Grpc => request.encode_to_vec(),
        Protocol::Json => serde_json::to_vec(request)?,
    };
    match compression {
        Compression::None => Ok(body),
        Compression::Gzip => {
            let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::default());
            gzip.write_all(&body)?;
            gzip.finish()
        }
    }
}
