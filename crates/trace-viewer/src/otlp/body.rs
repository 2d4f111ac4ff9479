use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::http::header;
use actix_web::{HttpRequest, web};
use flate2::read::MultiGzDecoder;
use futures_util::StreamExt;

use crate::Limits;

/// Exporters give up after 10 s by default, so nobody waits for an answer after that.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Why a body could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BodyError {
    #[error("the content encoding is neither gzip nor identity")]
    UnknownContentEncoding,
    #[error("the body is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the body did not arrive within {} s", PATIENCE.as_secs())]
    TooSlow,
    #[error("too many bodies are arriving at a time")]
    Busy,
    #[error("the body broke off")]
    Broken,
    #[error("the body is not gzip, as its content encoding says")]
    NotGzip,
}

/// Bytes of bodies that are being received, of all senders together.
#[derive(Debug)]
pub(super) struct Inflow {
    bytes: AtomicUsize,
    limit: usize,
}

impl Inflow {
    pub(super) fn new(limit: usize) -> Self {
        Self { bytes: AtomicUsize::new(0), limit }
    }
}

/// One sender's part of the inflow, given back on drop.
struct Share<'a> {
    inflow: &'a Inflow,
    bytes: usize,
}

impl Share<'_> {
    fn grow(&mut self, bytes: usize) -> Result<(), BodyError> {
        self.bytes += bytes;
        let before = self.inflow.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > self.inflow.limit { Err(BodyError::Busy) } else { Ok(()) }
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.inflow.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The body, inflated where it is gzip. Read raw, since actix inflates a whole chunk, a thousand
/// times its size, before any limit is asked.
pub(super) async fn read(
    request: &HttpRequest,
    payload: web::Payload,
    inflow: &Inflow,
    limits: &Limits,
) -> Result<Vec<u8>, BodyError> {
    let gzip = is_gzip(request)?;
    let mut share = Share { inflow, bytes: 0 };
    let reading = read_raw(payload, limits.body_bytes, &mut share);
    let body = actix_web::rt::time::timeout(PATIENCE, reading).await.map_err(|_| BodyError::TooSlow)??;
    if gzip { inflate(&body, limits.body_bytes) } else { Ok(body) }
}

async fn read_raw(
    mut payload: web::Payload,
    limit: usize,
    share: &mut Share<'_>,
) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| BodyError::Broken)?;
        if body.len() + chunk.len() > limit {
            return Err(BodyError::TooLarge { limit });
        }
        share.grow(chunk.len())?;
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn is_gzip(request: &HttpRequest) -> Result<bool, BodyError> {
    let Some(encoding) = request.headers().get(header::CONTENT_ENCODING) else { return Ok(false) };
    match encoding.as_bytes().trim_ascii().to_ascii_lowercase().as_slice() {
        b"gzip" => Ok(true),
        b"" | b"identity" => Ok(false),
        _ => Err(BodyError::UnknownContentEncoding),
    }
}

fn inflate(body: &[u8], limit: usize) -> Result<Vec<u8>, BodyError> {
    let mut inflated = Vec::new();
    MultiGzDecoder::new(body)
        .take(limit as u64 + 1)
        .read_to_end(&mut inflated)
        .map_err(|_| BodyError::NotGzip)?;
    if inflated.len() > limit { Err(BodyError::TooLarge { limit }) } else { Ok(inflated) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_gzip_bomb_is_stopped_at_the_limit() {
        assert_eq!(inflate(&gzip(&[0; 1_000]), 1_000).unwrap().len(), 1_000);
        assert_eq!(inflate(&gzip(&[0; 1_001]), 1_000), Err(BodyError::TooLarge { limit: 1_000 }));
        assert_eq!(inflate(&gzip(&[0; 5_000_000]), 1_000), Err(BodyError::TooLarge { limit: 1_000 }));
    }

    #[test]
    fn broken_gzip_is_refused() {
        let whole = gzip(b"telemetry");
        assert_eq!(inflate(&whole[..whole.len() - 1], 1_000), Err(BodyError::NotGzip));
        assert_eq!(inflate(b"telemetry", 1_000), Err(BodyError::NotGzip));
    }

    #[test]
    fn senders_share_the_inflow_and_give_it_back() {
        let inflow = Inflow::new(10);
        let mut first = Share { inflow: &inflow, bytes: 0 };
        first.grow(6).unwrap();
        assert_eq!(Share { inflow: &inflow, bytes: 0 }.grow(5), Err(BodyError::Busy));
        drop(first);
        assert_eq!(Share { inflow: &inflow, bytes: 0 }.grow(10), Ok(()));
    }
}
