//! A collector that counts, so that what is lost is seen: OTLP/HTTP with protobuf, plain or gzip.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use flate2::read::GzDecoder;
use prost::Message;

/// OTLP/HTTP on a free port of 127.0.0.1; it accepts everything.
pub struct Sink {
    port: u16,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    spans: AtomicU64,
    exports: AtomicU64,
    bytes: AtomicU64,
}

impl Sink {
    /// Listens until this process ends.
    ///
    /// # Errors
    /// Where there is no port.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let counts = Arc::new(Counts::default());
        let counted = counts.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counted = counted.clone();
                // Ends with the connection.
                std::thread::spawn(move || serve(stream, &counted));
            }
        });
        Ok(Self { port, counts })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Spans that have come.
    pub fn spans(&self) -> u64 {
        self.counts.spans.load(Ordering::Acquire)
    }

    /// Requests with spans.
    pub fn exports(&self) -> u64 {
        self.counts.exports.load(Ordering::Acquire)
    }

    /// What these were in bytes, heads and bodies, as sent.
    pub fn bytes(&self) -> u64 {
        self.counts.bytes.load(Ordering::Acquire)
    }
}

/// The messages of OTLP down to the spans, which are counted and not read: the sink shares a machine with what is
/// measured.
#[derive(Message)]
struct Traces {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<Resource>,
}

#[derive(Message)]
struct Resource {
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<Scope>,
}

#[derive(Message)]
struct Scope {
    #[prost(bytes = "bytes", repeated, tag = "2")]
    spans: Vec<Bytes>,
}

fn serve(stream: TcpStream, counts: &Counts) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream;
    loop {
        let (head, body) = read_message(&mut reader).ok()?;
        if head.starts_with("POST /v1/traces") {
            let size = head.len() + body.len();
            counts.spans.fetch_add(spans(&head, body).ok()?, Ordering::AcqRel);
            counts.exports.fetch_add(1, Ordering::AcqRel);
            counts.bytes.fetch_add(size as u64, Ordering::AcqRel);
        }
        writer
            .write_all(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n",
            )
            .ok()?;
    }
}

fn spans(head: &str, body: Vec<u8>) -> io::Result<u64> {
    let body = match header(head, "content-encoding") {
        Some("gzip") => {
            let mut plain = Vec::new();
            GzDecoder::new(&body[..]).read_to_end(&mut plain)?;
            plain
        }
        _ => body,
    };
    let traces = Traces::decode(Bytes::from(body))?;
    let scopes = traces.resources.iter().flat_map(|resource| &resource.scopes);
    Ok(scopes.map(|scope| scope.spans.len() as u64).sum())
}

/// Head and body of a message that tells its length.
///
/// # Errors
/// Where the connection ends before the message does.
pub fn read_message(reader: &mut impl BufRead) -> io::Result<(String, Vec<u8>)> {
    let mut head = String::new();
    loop {
        let start = head.len();
        if reader.read_line(&mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if head[start..].trim_end().is_empty() {
            break;
        }
    }
    let length = header(&head, "content-length").map_or(Ok(0), str::parse).map_err(io::Error::other)?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok((head, body))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    /// Two spans of 3 bytes in one scope, which has a name, of one resource.
    const BODY: [u8; 17] = [10, 15, 18, 13, 10, 1, b'x', 18, 3, 1, 2, 3, 18, 3, 4, 5, 6];

    fn send(sink: &Sink, encoding: &str, body: &[u8]) -> usize {
        let mut stream = TcpStream::connect(("127.0.0.1", sink.port())).unwrap();
        let head = format!(
            "POST /v1/traces HTTP/1.1\r\nhost: sink\r\n{encoding}Content-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let (answer, _) = read_message(&mut BufReader::new(stream)).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        head.len() + body.len()
    }

    #[test]
    fn spans_and_bytes_are_counted_as_they_come() {
        let sink = Sink::start().unwrap();
        let mut bytes = send(&sink, "", &BODY);
        assert_eq!((sink.spans(), sink.exports(), sink.bytes()), (2, 1, bytes as u64));
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&BODY).unwrap();
        bytes += send(&sink, "Content-Encoding: gzip\r\n", &gzip.finish().unwrap());
        assert_eq!((sink.spans(), sink.exports(), sink.bytes()), (4, 2, bytes as u64));
    }
}
