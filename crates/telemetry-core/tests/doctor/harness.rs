//! Servers that are wrong in one way each, on loopback, and what the doctor says of them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use telemetry_core::Config;
use telemetry_core::config::Env;
use telemetry_core::doctor::{Examination, Finding, Outcome, Reach, Report};

/// Whatever a server reads and writes by.
pub(crate) trait Connection: Read + Write {}
impl<T: Read + Write> Connection for T {}

/// A server on a port of its own. Its thread ends with the test's process.
pub(crate) struct Server {
    address: SocketAddr,
    received: Arc<Mutex<Vec<u8>>>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Serves each connection by `serve`.
    pub(crate) fn raw(serve: impl Fn(&mut dyn Connection) + Send + Sync + 'static) -> Self {
        Self::start(move |stream, _| serve(&mut { stream }))
    }

    /// Answers each request of HTTP/1 by its head: a status with its headers, such as `404 Not Found\r\nServer: x`, and
    /// a body.
    pub(crate) fn http(answer: impl Fn(&str) -> (String, Vec<u8>) + Send + Sync + 'static) -> Self {
        Self::start(move |mut stream, requests| answer_http(&mut stream, &answer, &requests))
    }

    /// As [`Server::http`] where exports are accepted as a collector does it, at the usual paths alone.
    pub(crate) fn collector() -> Self {
        Self::http(collector)
    }

    /// The same over TLS, with this certificate, which signs itself.
    pub(crate) fn encrypted(certificate: CertificateParams) -> Self {
        Self::encrypted_and_pem(certificate).0
    }

    /// The same, and the certificate in PEM.
    pub(crate) fn encrypted_and_pem(certificate: CertificateParams) -> (Self, String) {
        let (config, pem) = server_config(certificate);
        (Self::encrypted_by(config), pem)
    }

    fn encrypted_by(config: ServerConfig) -> Self {
        let config = Arc::new(config);
        Self::start(move |stream, requests| {
            let connection = ServerConnection::new(config.clone()).expect("the configuration is sound");
            let mut stream = StreamOwned::new(connection, stream);
            answer_http(&mut stream, &collector, &requests);
        })
    }

    /// Accepts connections and says nothing.
    pub(crate) fn silent() -> Self {
        Self::raw(|stream| while stream.read(&mut [0; 1024]).is_ok_and(|length| length > 0) {})
    }

    /// What a server of gRPC does: it takes the beginning of HTTP/2 and nothing else.
    pub(crate) fn http2() -> Self {
        Self::raw(|stream| {
            let _ = stream.write_all(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00");
            let mut preface = [0; 24];
            if stream.read_exact(&mut preface).is_ok() && preface.starts_with(b"PRI * HTTP/2.0") {
                while stream.read(&mut [0; 1024]).is_ok_and(|length| length > 0) {}
            }
        })
    }

    /// A collector of gRPC that accepts every export.
    pub(crate) fn grpc() -> Self {
        Self::start(|stream, requests| {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(accept_calls(stream.stream, &requests));
        })
    }

    /// A collector of HTTP that speaks HTTP/2 as well as HTTP/1, and knows nothing of gRPC.
    pub(crate) fn http_of_both_versions() -> Self {
        Self::start(|mut stream, requests| {
            let mut first = [0; 3];
            let is_http2 = stream.stream.peek(&mut first).is_ok() && first == *b"PRI";
            if !is_http2 {
                return answer_http(&mut stream, &collector, &requests);
            }
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let Ok(mut connection) = h2::server::handshake(asynchronous(stream.stream)).await else {
                    return;
                };
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    let _ = respond
                        .send_response(http::Response::builder().status(404).body(()).expect("a head"), true);
                }
            });
        })
    }

    fn start(serve: impl Fn(Counted, Arc<Mutex<Vec<String>>>) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("the listener is bound");
        let (received, requests) = (Arc::<Mutex<Vec<u8>>>::default(), Arc::<Mutex<Vec<String>>>::default());
        let (serve, counter, log) = (Arc::new(serve), received.clone(), requests.clone());
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let _ = stream.set_read_timeout(Some(Duration::from_secs(30)));
                let (serve, log) = (serve.clone(), log.clone());
                let stream = Counted { stream, received: counter.clone() };
                thread::spawn(move || serve(stream, log));
            }
        });
        Self { address, received, requests }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.address)
    }

    /// How many bytes came in.
    pub(crate) fn received(&self) -> usize {
        self.received.lock().expect("no panic").len()
    }

    /// Whether this text came in.
    pub(crate) fn has_received(&self, text: &str) -> bool {
        self.received.lock().expect("no panic").windows(text.len()).any(|bytes| bytes == text.as_bytes())
    }

    /// The request lines so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("no panic").clone()
    }
}

fn asynchronous(stream: TcpStream) -> tokio::net::TcpStream {
    stream.set_nonblocking(true).expect("a socket can be so");
    tokio::net::TcpStream::from_std(stream).expect("a runtime runs")
}

async fn accept_calls(stream: TcpStream, requests: &Mutex<Vec<String>>) {
    let Ok(mut connection) = h2::server::handshake(asynchronous(stream)).await else { return };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        requests.lock().expect("no panic").push(request.uri().path().to_owned());
        let head =
            http::Response::builder().header("content-type", "application/grpc").body(()).expect("a head");
        let mut stream = respond.send_response(head, false).expect("the stream is open");
        // A frame with an empty message, and the code for a success.
        let _ = stream.send_data(vec![0; 5].into(), false);
        let mut trailers = http::HeaderMap::new();
        trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
        let _ = stream.send_trailers(trailers);
    }
}

/// A port where nobody listens.
pub(crate) fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("the listener is bound").port()
}

struct Counted {
    stream: TcpStream,
    received: Arc<Mutex<Vec<u8>>>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.stream.read(buffer)?;
        self.received.lock().expect("no panic").extend_from_slice(&buffer[..length]);
        Ok(length)
    }
}

impl Write for Counted {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        self.stream.write(buffer)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush()
    }
}

/// One request, one answer, and the end of the connection.
fn answer_http(
    stream: &mut dyn Connection,
    answer: &dyn Fn(&str) -> (String, Vec<u8>),
    requests: &Mutex<Vec<String>>,
) {
    let Some(head) = read_request(stream) else {
        // As nginx does to what is no HTTP.
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n");
        return;
    };
    requests.lock().expect("no panic").push(head.lines().next().unwrap_or_default().to_owned());
    let (status, body) = answer(&head);
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(&body);
    let _ = stream.flush();
}

fn read_request(stream: &mut dyn Connection) -> Option<String> {
    let mut request = Vec::new();
    let end = loop {
        if let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk) {
            Ok(length) if length > 0 => request.extend_from_slice(&chunk[..length]),
            _ => return None,
        }
    };
    let head = String::from_utf8(request[..end].to_vec()).ok()?;
    if !["GET ", "POST "].iter().any(|method| head.starts_with(method)) {
        return None;
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    let mut missing = length.unwrap_or(0_usize).saturating_sub(request.len() - end - 4);
    while missing > 0 {
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk) {
            Ok(length) if length > 0 => missing = missing.saturating_sub(length),
            _ => return None,
        }
    }
    Some(head)
}

/// A collector's answer.
pub(crate) fn collector(head: &str) -> (String, Vec<u8>) {
    let path = head.split(' ').nth(1).unwrap_or_default();
    let is_export = ["/v1/traces", "/v1/metrics", "/v1/logs"].contains(&path);
    let status = match (is_export, head.starts_with("POST ")) {
        (true, true) => "200 OK",
        (true, false) => "405 Method Not Allowed",
        (false, _) => "404 Not Found",
    };
    (status.to_owned(), Vec::new())
}

fn server_config(certificate: CertificateParams) -> (ServerConfig, String) {
    let key = KeyPair::generate().expect("a key");
    let signed = certificate.self_signed(&key).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has the versions")
        .with_no_client_auth()
        .with_single_cert(vec![signed.der().clone()], key)
        .expect("key and certificate belong together");
    (config, signed.pem())
}

/// What the doctor says where spans go by these variables, and metrics and logs nowhere.
pub(crate) fn examine(variables: &[(&str, &str)]) -> Report {
    examination(variables).examine()
}

pub(crate) fn examination(variables: &[(&str, &str)]) -> Examination {
    let spans_only = [
        ("OTEL_TRACES_EXPORTER", "otlp"),
        ("OTEL_METRICS_EXPORTER", "console"),
        ("OTEL_LOGS_EXPORTER", "console"),
    ];
    all_signals(&[&spans_only, variables].concat())
}

/// The same without a word on exporters.
pub(crate) fn all_signals(variables: &[(&str, &str)]) -> Examination {
    let mut env = Env::of(variables.iter().copied());
    let config = Config::read("shop", "1.2.3", &mut env);
    Examination::new(&config, env).stage_deadline(Duration::from_secs(3))
}

/// The only endpoint of a report.
pub(crate) fn endpoint(report: &Report) -> &Reach {
    let [reach] = &report.endpoints[..] else { panic!("one endpoint in\n{report}") };
    reach
}

/// The finding on this subject.
pub(crate) fn stage<'a>(report: &'a Report, subject: &str) -> &'a Finding {
    report
        .findings()
        .find(|finding| finding.subject == subject)
        .unwrap_or_else(|| panic!("no {subject} in\n{report}"))
}

/// The codes of what does not work.
pub(crate) fn failures(report: &Report) -> Vec<&'static str> {
    codes(report, Outcome::Failed)
}

/// The codes of what has this outcome.
pub(crate) fn codes(report: &Report, outcome: Outcome) -> Vec<&'static str> {
    report
        .findings()
        .filter(|finding| finding.outcome == outcome)
        .filter_map(|finding| finding.code)
        .collect()
}
