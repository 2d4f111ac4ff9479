//! The port of its own for a Prometheus server. This file is a process of its own, with one test.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use telemetry_core::config::Env;
use telemetry_core::{Config, InitError, TelemetryGuard};

fn init(port: &str) -> Result<TelemetryGuard, InitError> {
    let mut env = Env::of([
        ("OTEL_METRICS_EXPORTER", "prometheus"),
        ("OTEL_EXPORTER_PROMETHEUS_HOST", "127.0.0.1"),
        ("OTEL_EXPORTER_PROMETHEUS_PORT", port),
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_INSTRUMENTATION_RUNTIME_METRICS_ENABLED", "false"),
        ("RUST_LOG", "warn"),
    ]);
    let config = Config::read("test-service", "1.2.3", &mut env);
    env.finish().unwrap();
    assert!(config.warnings().is_empty());
    telemetry_core::init(config)
}

/// The whole answer to a request of HTTP/1.1.
fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    write!(stream, "{request} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn metrics_are_served_on_a_port_of_their_own_until_the_shutdown() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let Err(error) = init(&port) else { panic!("the port is taken") };
    assert!(matches!(error, InitError::Prometheus { .. }), "{error}");
    assert!(error.to_string().contains(&format!("127.0.0.1:{port}")), "{error}");
    assert!(error.to_string().contains("OTEL_EXPORTER_PROMETHEUS_PORT"), "{error}");

    let telemetry = init("0").expect("a start that failed leaves nothing behind");
    let &[address] = telemetry.prometheus_addresses() else { panic!("one address") };
    telemetry.meter().u64_counter("orders.created").build().add(2, &[]);

    let answer = ask(address, "GET /metrics");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    assert!(head.to_lowercase().contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    assert_eq!(Some(body), telemetry.prometheus().as_deref());
    assert!(body.contains("orders_created_total"), "{body}");

    assert!(ask(address, "HEAD /metrics").starts_with("HTTP/1.1 200 OK"));
    assert!(ask(address, "GET /").starts_with("HTTP/1.1 404"));
    assert!(ask(address, "POST /metrics").starts_with("HTTP/1.1 405"));

    assert!(telemetry.shutdown(Duration::from_secs(60)).is_complete());
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
}
