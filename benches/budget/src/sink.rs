//! A collector that counts spans.

use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use crate::load::read_message;

/// OTLP/HTTP on a free port of 127.0.0.1; it accepts everything.
pub(crate) struct Sink {
    port: u16,
    spans: Arc<AtomicU64>,
}

impl Sink {
    pub(crate) fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let spans = Arc::new(AtomicU64::new(0));
        let counted = spans.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counted = counted.clone();
                // Ends with the connection.
                std::thread::spawn(move || serve(stream, &counted));
            }
        });
        Ok(Self { port, spans })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn spans(&self) -> u64 {
        self.spans.load(Ordering::Acquire)
    }
}

fn serve(stream: TcpStream, spans: &AtomicU64) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream;
    loop {
        let (head, body) = read_message(&mut reader).ok()?;
        if head.starts_with("POST /v1/traces") {
            let request = ExportTraceServiceRequest::decode(&body[..]).ok()?;
            let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
            let number: usize = scopes.map(|scope| scope.spans.len()).sum();
            spans.fetch_add(number as u64, Ordering::AcqRel);
        }
        writer
            .write_all(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n",
            )
            .ok()?;
    }
}
