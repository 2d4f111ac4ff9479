//! What a port speaks, found out by a few bytes that any server survives: a GET, or the beginning of HTTP/2.
//!
//! These are questions to a port, not exports: exports go the way that [`probe`](super::probe) takes.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// Headers of any decent answer are shorter.
const LONGEST_HEAD: usize = 16 * 1024;

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Spoken {
    /// An answer of HTTP/1.
    Http1(Head),
    /// Frames of HTTP/2, which gRPC is made of.
    Http2,
    /// A record of TLS.
    Tls,
    /// Bytes of no protocol that is known here.
    Other(String),
    /// The end of the connection.
    HungUp,
    /// Nothing, for as long as was waited.
    Silence,
}

/// What is told of an answer of HTTP/1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    /// The status code.
    pub(super) status: u16,
    /// The status line.
    pub(super) line: String,
    /// The header `Server`.
    pub(super) server: Option<String>,
    /// The header `Date`.
    pub(super) date: Option<DateTime<Utc>>,
}

/// Asks for `path` as HTTP/1.1 does. No header of the configuration goes along, so no credential.
pub(super) async fn get<S>(stream: &mut S, host: &str, path: &str, deadline: Duration) -> Spoken
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: telemetry-core-doctor/{}\r\nAccept: */*\r\n\
         Connection: close\r\n\r\n",
        env!("CARGO_PKG_VERSION")
    );
    ask(stream, request.as_bytes(), deadline).await
}

/// Begins a connection of HTTP/2 (RFC 9113, 3.4): the preface and an empty SETTINGS frame.
pub(super) async fn begin_http2<S>(stream: &mut S, deadline: Duration) -> Spoken
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    ask(stream, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", deadline).await
}

async fn ask<S>(stream: &mut S, question: &[u8], deadline: Duration) -> Spoken
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut answer = Vec::new();
    let exchange = async {
        stream.write_all(question).await?;
        stream.flush().await?;
        while !is_enough(&answer) && answer.len() < LONGEST_HEAD {
            if stream.read_buf(&mut answer).await? == 0 {
                break;
            }
        }
        std::io::Result::Ok(())
    };
    let ended = timeout(deadline, exchange).await;
    match classify(&answer) {
        Some(spoken) => spoken,
        None if ended.is_err() => Spoken::Silence,
        None => Spoken::HungUp,
    }
}

/// Whether the answer can be told: the whole head of HTTP/1, or what begins anything else.
fn is_enough(answer: &[u8]) -> bool {
    if b"HTTP/1.".starts_with(&answer[..answer.len().min(7)]) {
        answer.windows(4).any(|four| four == b"\r\n\r\n")
    } else {
        answer.len() >= FRAME_HEADER
    }
}

/// Length, type, flags and stream of a frame (RFC 9113, 4.1).
const FRAME_HEADER: usize = 9;

fn classify(answer: &[u8]) -> Option<Spoken> {
    const SETTINGS: u8 = 4;
    const GO_AWAY: u8 = 7;
    Some(match answer {
        [] => return None,
        [b'H', b'T', b'T', b'P', b'/', b'1', ..] => Spoken::Http1(head(&String::from_utf8_lossy(answer))),
        // Frames of the whole connection, on stream 0; no server's are as long as to need the first byte.
        [0, _, _, SETTINGS | GO_AWAY, _, 0, 0, 0, 0, ..] => Spoken::Http2,
        // An alert or a handshake of any version (RFC 8446, 5.1).
        [0x15 | 0x16, 3, ..] => Spoken::Tls,
        other => Spoken::Other(String::from_utf8_lossy(&other[..other.len().min(80)]).into_owned()),
    })
}

fn head(text: &str) -> Head {
    let mut lines = text.split("\r\n");
    let line = lines.next().unwrap_or_default().to_owned();
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default();
    let mut head = Head { status, line, server: None, date: None };
    for (name, value) in lines.take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "server" => head.server = Some(value.to_owned()),
            "date" => head.date = DateTime::parse_from_rfc2822(value).ok().map(Into::into),
            _ => {}
        }
    }
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_told_by_how_they_begin() {
        let http2 = |kind| vec![0, 0, 6, kind, 0, 0, 0, 0, 0, 0, 3];
        for (answer, expected) in [
            (Vec::new(), None),
            (http2(4), Some(Spoken::Http2)),
            (http2(7), Some(Spoken::Http2)),
            (vec![0x15, 3, 1, 0, 2, 2, 70], Some(Spoken::Tls)),
            (b"SSH-2.0-x\r\n".to_vec(), Some(Spoken::Other("SSH-2.0-x\r\n".to_owned()))),
            (http2(9), Some(Spoken::Other("\0\0\u{6}\t\0\0\0\0\0\0\u{3}".to_owned()))),
        ] {
            assert_eq!(classify(&answer), expected, "{answer:?}");
        }
    }

    #[test]
    fn a_head_tells_status_server_and_date() {
        let answer = "HTTP/1.1 405 Method Not Allowed\r\nDATE: Sun, 06 Nov 1994 08:49:37 GMT\r\nserver: x\r\n\r\nDate: y";
        let Some(Spoken::Http1(head)) = classify(answer.as_bytes()) else { panic!("HTTP/1 is told") };
        assert_eq!((head.status, head.line.as_str()), (405, "HTTP/1.1 405 Method Not Allowed"));
        assert_eq!(head.server.as_deref(), Some("x"));
        assert_eq!(head.date.map(|date| date.timestamp()), Some(784_111_777));
    }
}
