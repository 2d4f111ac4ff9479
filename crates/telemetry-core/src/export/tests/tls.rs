//! Encrypted connections, with certificates made here.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::*;

/// An authority of one's own, and what it has signed: one certificate for a server on loopback, one for a client.
struct Authority {
    folder: TempDir,
}

impl Authority {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority =
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed");
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
        write("ca.pem", &authority.pem());
        for name in ["server", "client"] {
            let key = KeyPair::generate().expect("a key");
            let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
            let params = CertificateParams::new(names).expect("names");
            let certificate = params.signed_by(&key, &authority).expect("signed");
            write(&format!("{name}.pem"), &certificate.pem());
            write(&format!("{name}.key"), &key.serialize_pem());
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("UTF-8").to_owned()
    }

    /// A server of this authority, that wants to see a client's certificate or does not.
    fn server(&self, wants_certificate: bool, protocols: &[&[u8]]) -> ServerConfig {
        install_crypto_provider();
        let chain = certificates(&self.folder.path().join("server.pem"));
        let key = PrivateKeyDer::from_pem_file(self.path("server.key")).expect("a key");
        let config = ServerConfig::builder();
        let config = if wants_certificate {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(certificates(&self.folder.path().join("ca.pem")));
            let verifier = WebPkiClientVerifier::builder(roots.into()).build().expect("a verifier");
            config.with_client_cert_verifier(verifier)
        } else {
            config.with_no_client_auth()
        };
        let mut config = config.with_single_cert(chain, key).expect("a server");
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        config
    }
}

fn certificates(path: &Path) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_file_iter(path).expect("a file").collect::<Result<_, _>>().expect("certificates")
}

/// Decrypts what comes and passes it on.
struct Front {
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl Front {
    #[expect(clippy::disallowed_methods, reason = "a server belongs to no trace")]
    fn start(config: ServerConfig, behind: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("the listener is bound");
        listener.set_nonblocking(true).expect("a socket can be so");
        let (stop, stopped) = oneshot::channel::<()>();
        thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let acceptor = TlsAcceptor::from(Arc::new(config));
            let serve = async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                loop {
                    let (socket, _) = listener.accept().await.expect("loopback connects");
                    let acceptor = acceptor.clone();
                    tokio::spawn(async move {
                        let Ok(mut encrypted) = acceptor.accept(socket).await else { return };
                        let mut plain = tokio::net::TcpStream::connect(behind).await.expect("it listens");
                        let _ = tokio::io::copy_bidirectional(&mut encrypted, &mut plain).await;
                    });
                }
            };
            runtime.block_on(async {
                tokio::select! { () = serve => {}, _ = stopped => {} }
            });
        });
        Self { address, _stop: stop }
    }

    fn endpoint(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }
}

/// Sends three spans over an encrypted connection of either protocol: the health after, and how many requests arrived.
fn sent(
    authority: &Authority,
    wants_certificate: bool,
    variables: &[(&str, &str)],
) -> [(SignalHealth, usize); 2] {
    let quiet = [
        ("OTEL_LOGS_EXPORTER", "none"),
        ("OTEL_METRICS_EXPORTER", "none"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "2000"),
    ];
    let variables: Vec<_> = quiet.iter().chain(variables).copied().collect();
    let send = |front: &Front, protocol| {
        let variables: Vec<_> =
            variables.iter().copied().chain([("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)]).collect();
        let providers = start(&front.endpoint(), &variables);
        end_spans(&providers, 3);
        let report = providers.shutdown(DEADLINE);
        assert!(!report.traces.timed_out, "{report}");
        providers.health().traces.expect("traces are exported")
    };
    let collector = Collector::start(|_| Answer::Accept);
    let front = Front::start(authority.server(wants_certificate, &[b"http/1.1"]), collector.address());
    let http = send(&front, "http/protobuf");
    let grpc_collector = GrpcCollector::start(|_| GrpcAnswer::Accept);
    let front = Front::start(authority.server(wants_certificate, &[b"h2"]), grpc_collector.address());
    let grpc = send(&front, "grpc");
    [(http, collector.received().len()), (grpc, grpc_collector.calls().len())]
}

#[test]
fn a_collector_of_an_authority_of_ones_own_is_believed() {
    let authority = Authority::new();
    let ca = authority.path("ca.pem");
    for (health, requests) in sent(&authority, false, &[("OTEL_EXPORTER_OTLP_CERTIFICATE", &ca)]) {
        assert_eq!((health.exported, requests), (3, 1), "{health:?}");
    }
}

#[test]
fn a_collector_of_an_unknown_authority_gets_nothing() {
    let (authority, other) = (Authority::new(), Authority::new());
    let ca = other.path("ca.pem");
    for (health, requests) in sent(&authority, false, &[("OTEL_EXPORTER_OTLP_CERTIFICATE", &ca)]) {
        assert_eq!((health.exported, health.failures.unreachable, requests), (0, 3, 0));
        let error = health.last_error.expect("it failed").message;
        assert!(error.contains("certificate"), "{error}");
    }
}

#[test]
fn a_collector_that_asks_who_one_is_gets_the_clients_certificate() {
    let authority = Authority::new();
    let [ca, certificate, key] = ["ca.pem", "client.pem", "client.key"].map(|name| authority.path(name));
    let trust = ("OTEL_EXPORTER_OTLP_CERTIFICATE", &ca[..]);
    let identity = [
        trust,
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &certificate),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", &key),
    ];
    for (health, requests) in sent(&authority, true, &identity) {
        assert_eq!((health.exported, requests), (3, 1), "{health:?}");
    }
    for (health, requests) in sent(&authority, true, &[trust]) {
        assert_eq!((health.exported, health.failures.unreachable, requests), (0, 3, 0), "{health:?}");
    }
}

#[test]
fn each_signal_may_have_certificates_of_its_own() {
    let (authority, other) = (Authority::new(), Authority::new());
    let theirs = ["ca.pem", "client.pem", "client.key"].map(|name| other.path(name));
    let ours = ["ca.pem", "client.pem", "client.key"].map(|name| authority.path(name));
    let files = ["CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"];
    let variable = |signal: &str, file: &str| format!("OTEL_EXPORTER_OTLP_{signal}{file}");
    let general = || files.iter().zip(&theirs).map(|(file, path)| (variable("", file), path.clone()));
    let with_own = |signal: &str| -> Vec<(String, String)> {
        let own = files.iter().zip(&ours).map(|(file, path)| (variable(signal, file), path.clone()));
        general().chain(own).collect()
    };
    let variables = with_own("TRACES_");
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, path)| (&name[..], &path[..])).collect();
    for (health, requests) in sent(&authority, true, &variables) {
        assert_eq!((health.exported, requests), (3, 1), "{health:?}");
    }
    let read = |variables: Vec<(String, String)>| {
        let mut env = Env::of(variables);
        let config = Config::read("order-service", "1.2.3", &mut env);
        env.finish().expect("the files are right");
        [config.traces.otlp.tls, config.metrics.otlp.tls, config.logs.otlp.tls]
    };
    let shared = read(general().collect());
    for (place, signal) in ["TRACES_", "METRICS_", "LOGS_"].into_iter().enumerate() {
        let tls = read(with_own(signal));
        for other in 0..3 {
            assert_eq!(tls[other] == shared[other], other != place, "{signal}");
        }
        assert_eq!(tls[place].roots(), Some(&std::fs::read(&ours[0]).expect("a file")[..]));
        let identity = String::from_utf8(tls[place].identity().expect("one")).expect("PEM");
        for file in &ours[1..] {
            assert!(identity.contains(&std::fs::read_to_string(file).expect("a file")), "{signal}");
        }
    }
}

#[test]
fn a_collector_in_the_clear_is_told_where_encryption_is_spoken_to_it() {
    let authority = Authority::new();
    let collector = Collector::start(|_| Answer::Accept);
    let endpoint = format!("https://localhost:{}", collector.address().port());
    let providers = start(
        &endpoint,
        &[
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", &authority.path("ca.pem")),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1000"),
            ("OTEL_METRICS_EXPORTER", "none"),
        ],
    );
    end_spans(&providers, 3);
    assert_eq!(providers.shutdown(DEADLINE).traces.failed, 3);
}

#[test]
fn files_that_are_none_of_what_they_should_be_are_mistakes_that_show_nothing_of_them() {
    let (authority, other) = (Authority::new(), Authority::new());
    let [ca, certificate, key] = ["ca.pem", "client.pem", "client.key"].map(|name| authority.path(name));
    let wrong_key = other.path("client.key");
    let nowhere = authority.path("nowhere.pem");
    let secret = authority.path("secret.txt");
    std::fs::write(&secret, "-----BEGIN PRIVATE KEY-----\ns3cret\n-----END PRIVATE KEY-----")
        .expect("written");
    let [trust, who, with] = [
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_CLIENT_KEY",
    ];
    let own_key = "OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY";
    type Variables<'a> = &'a [(&'a str, &'a str)];
    let table: [(Variables<'_>, &str, &str); 9] = [
        (&[(trust, &nowhere)], trust, "No such file"),
        (&[(trust, &secret)], trust, "certificates in PEM"),
        (&[(trust, &key)], trust, "certificates in PEM"),
        (&[(who, &certificate), (with, &secret)], with, "private key in PEM"),
        (&[(who, &certificate), (with, &ca)], with, "private key in PEM"),
        (&[(who, &certificate)], with, "the private key of OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"),
        (&[(with, &key)], who, "the certificate of OTEL_EXPORTER_OTLP_CLIENT_KEY"),
        (&[(who, &certificate), (with, &wrong_key)], with, "the private key of"),
        (&[(who, &certificate), (with, &key), (own_key, &wrong_key)], own_key, "the private key of"),
    ];
    for (variables, variable, expected) in table {
        let mut env = Env::of(variables.iter().copied());
        let config = Config::read("order-service", "1.2.3", &mut env);
        assert!(!format!("{config:?}").contains("BEGIN"), "{config:?}");
        let error = env.finish().expect_err("it is a mistake");
        let [mistake] = error.mistakes() else { panic!("{error}") };
        assert_eq!(mistake.variable, variable, "{error}");
        assert!(mistake.to_string().contains(expected), "{error}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}
