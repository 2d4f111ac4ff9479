//! A collector that answers as it is told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

/// How a request is answered.
pub(super) enum Answer {
    Accept,
    /// Accepted but for so many items, for this reason.
    Refuse(i64, &'static str),
    /// A status line without its version.
    Status(&'static str),
    /// A status line without its version, further headers of which each ends its line, and a body.
    Reply(&'static str, &'static str, &'static [u8]),
    /// Not at all, until the client hangs up.
    Hang,
}

/// A request as it arrived, decompressed.
#[derive(Debug, Clone)]
pub(super) struct Received {
    pub(super) path: String,
    pub(super) time: Instant,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Received {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// Spans, log records, or metrics in it.
    pub(super) fn items(&self) -> usize {
        match self.path.as_str() {
            "/v1/traces" => self
                .traces()
                .resource_spans
                .iter()
                .flat_map(|spans| &spans.scope_spans)
                .map(|scope| scope.spans.len())
                .sum(),
            "/v1/logs" => self
                .logs()
                .resource_logs
                .iter()
                .flat_map(|logs| &logs.scope_logs)
                .map(|scope| scope.log_records.len())
                .sum(),
            "/v1/metrics" => self
                .metrics()
                .resource_metrics
                .iter()
                .flat_map(|metrics| &metrics.scope_metrics)
                .map(|scope| scope.metrics.len())
                .sum(),
            other => panic!("{other} is no path of OTLP"),
        }
    }

    pub(super) fn service_name(&self) -> Option<String> {
        let resource: Option<Resource> = match self.path.as_str() {
            "/v1/traces" => self.traces().resource_spans[0].resource.clone(),
            "/v1/logs" => self.logs().resource_logs[0].resource.clone(),
            "/v1/metrics" => self.metrics().resource_metrics[0].resource.clone(),
            other => panic!("{other} is no path of OTLP"),
        };
        let attributes = resource?.attributes;
        let name = attributes.into_iter().find(|attribute| attribute.key == "service.name")?;
        match name.value?.value? {
            Value::StringValue(name) => Some(name),
            _ => None,
        }
    }

    pub(super) fn traces(&self) -> ExportTraceServiceRequest {
        ExportTraceServiceRequest::decode(self.body.as_slice()).expect("the body is a trace export")
    }

    pub(super) fn logs(&self) -> ExportLogsServiceRequest {
        ExportLogsServiceRequest::decode(self.body.as_slice()).expect("the body is a log export")
    }

    pub(super) fn metrics(&self) -> ExportMetricsServiceRequest {
        ExportMetricsServiceRequest::decode(self.body.as_slice()).expect("the body is a metric export")
    }
}

/// Listens on loopback until it is dropped.
pub(super) struct Collector {
    address: SocketAddr,
    seen: Arc<Seen>,
}

struct Seen {
    /// The answer to a request, by how many came before it.
    answer: Box<dyn Fn(usize) -> Answer + Send + Sync>,
    requests: Mutex<Vec<Received>>,
    hung_up: Mutex<usize>,
    changed: Condvar,
    stopped: AtomicBool,
}

impl Collector {
    /// `answer` gets the number of requests before the one to answer.
    pub(super) fn start(answer: impl Fn(usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("the listener is bound");
        let seen = Arc::new(Seen {
            answer: Box::new(answer),
            requests: Mutex::default(),
            hung_up: Mutex::default(),
            changed: Condvar::new(),
            stopped: AtomicBool::new(false),
        });
        let shared = seen.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.stopped.load(Ordering::Acquire) {
                    return;
                }
                let shared = shared.clone();
                let stream = stream.expect("loopback connects");
                thread::spawn(move || shared.serve(&stream));
            }
        });
        Self { address, seen }
    }

    /// An address where nobody listens.
    pub(super) fn nowhere() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        format!("http://{}", listener.local_addr().expect("the listener is bound"))
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn received(&self) -> Vec<Received> {
        self.seen.requests.lock().expect("no panic").clone()
    }

    /// Waits until clients have hung up on so many requests that got no answer.
    pub(super) fn wait_until_hung_up(&self, count: usize) {
        let hung_up = self.seen.hung_up.lock().expect("no panic");
        let limit = Duration::from_secs(10);
        let fewer = |hung_up: &mut usize| *hung_up < count;
        let (hung_up, timeout) =
            self.seen.changed.wait_timeout_while(hung_up, limit, fewer).expect("no panic");
        assert!(!timeout.timed_out(), "{} of {count} hung up", *hung_up);
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.seen.stopped.store(true, Ordering::Release);
        // Wakes the listener.
        drop(TcpStream::connect(self.address));
    }
}

impl Seen {
    fn serve(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        while let Some(request) = read(&mut reader) {
            let earlier = {
                let mut requests = self.requests.lock().expect("no panic");
                requests.push(request);
                requests.len() - 1
            };
            let (status, headers, body) = match (self.answer)(earlier) {
                Answer::Accept => ("200 OK", "", Vec::new()),
                Answer::Refuse(rejected, message) => ("200 OK", "", partial(rejected, message)),
                Answer::Status(status) => (status, "", Vec::new()),
                Answer::Reply(status, headers, body) => (status, headers, body.to_vec()),
                Answer::Hang => {
                    let _ = reader.read(&mut [0; 1]);
                    *self.hung_up.lock().expect("no panic") += 1;
                    self.changed.notify_all();
                    return;
                }
            };
            let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len());
            let mut writer = stream;
            if writer.write_all(head.as_bytes()).and_then(|()| writer.write_all(&body)).is_err() {
                return;
            }
        }
    }
}

/// An answer that accepts all but so many items.
pub(super) fn partial(rejected_spans: i64, message: &str) -> Vec<u8> {
    let partial = ExportTracePartialSuccess { rejected_spans, error_message: message.to_owned() };
    ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec()
}

/// The next request; `None` at the end of the connection.
fn read(reader: &mut impl BufRead) -> Option<Received> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let header =
        |name: &str| headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str());
    let mut body = vec![0; header("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    if header("content-encoding") == Some("gzip") {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(body.as_slice()).read_to_end(&mut plain).expect("the body is gzip");
        body = plain;
    }
    Some(Received { path, time: Instant::now(), headers, body })
}
