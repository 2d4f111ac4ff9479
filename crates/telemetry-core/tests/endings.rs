//! How a process may end, and what its telemetry says then. Each end is that of a process of its own.

use std::io::Read as _;
use std::net::TcpListener;
use std::process::{Command, Output};
use std::time::Duration;

use opentelemetry::trace::Tracer as _;
use telemetry_core::{Config, TelemetryGuard, opentelemetry};

/// Says, in this process, that it is to end, and how.
const ENDING: &str = "TEST_ENDING";

/// A telemetry with a hundred spans that wait. What the child does in place of a service.
fn child() -> Option<TelemetryGuard> {
    std::env::var_os(ENDING)?;
    let config = Config::from_env("test-service", "1.2.3").expect("the variables are right");
    let telemetry = telemetry_core::init(config).expect("it starts");
    for _ in 0..100 {
        telemetry.tracer().in_span("work", |_| {});
    }
    Some(telemetry)
}

/// Runs the test of that name in a process of its own, to its end.
fn end(test: &str, endpoint: &str, protocol: &str, variables: &[(&str, &str)]) -> Output {
    Command::new(std::env::current_exe().expect("this file"))
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env_clear()
        .envs(variables.iter().copied())
        .envs([
            (ENDING, "yes"),
            ("ENVIRONMENT", "production"),
            ("OTEL_METRICS_EXPORTER", "none"),
            ("OTEL_LOGS_EXPORTER", "none"),
            ("OTEL_BSP_SCHEDULE_DELAY", "3600000"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ])
        .output()
        .expect("it runs")
}

/// A collector that takes connections and answers nothing.
fn hanging() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = listener.local_addr().expect("the listener is bound");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || stream.expect("loopback connects").read_to_end(&mut Vec::new()));
        }
    });
    format!("http://{address}")
}

#[test]
#[ignore = "needs to be the process that ends; the others start it"]
fn returns_an_error() {
    let fail = || -> Result<(), String> {
        match child() {
            Some(_telemetry) => Err("the port is taken".to_owned()),
            None => Ok(()),
        }
    };
    fail().expect("it fails in the child");
}

#[test]
#[ignore = "needs to be the process that ends; the others start it"]
fn panics() {
    let telemetry = child();
    assert!(telemetry.is_none(), "something broke");
}

#[test]
#[ignore = "needs to be the process that ends; the others start it"]
fn shuts_down() {
    if let Some(telemetry) = child() {
        println!("{}", telemetry.shutdown(Duration::from_millis(500)));
    }
}

#[test]
fn an_error_or_a_panic_in_main_loses_nothing_unseen() {
    for test in ["returns_an_error", "panics"] {
        for protocol in ["http/protobuf", "grpc"] {
            let output = end(test, &hanging(), protocol, &[]);
            let told = String::from_utf8(output.stderr).expect("UTF-8");
            assert!(!output.status.success(), "{told}");
            assert!(told.contains("traces: 0 exported, 100 dropped (shutdown), timed out"), "{told}");
        }
    }
}

#[test]
fn a_hanging_collector_ends_no_process_late_and_the_report_says_what_was_lost() {
    for protocol in ["http/protobuf", "http/json", "grpc"] {
        let output = end("shuts_down", &hanging(), protocol, &[]);
        let told = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(output.status.success(), "{told}");
        assert!(told.contains("traces: 0 exported, 100 dropped (shutdown), timed out"), "{told}");
    }
}

#[test]
fn without_root_certificates_on_the_machine_http_works_and_https_is_refused_at_the_start() {
    let nothing = tempfile::tempdir().expect("a folder");
    let nothing = nothing.path().to_str().expect("UTF-8");
    let none = [("SSL_CERT_FILE", "/dev/null"), ("SSL_CERT_DIR", nothing)];
    for protocol in ["http/protobuf", "grpc"] {
        let output = end("shuts_down", &hanging(), protocol, &none);
        assert!(output.status.success(), "{output:?}");
        let output = end("shuts_down", "https://127.0.0.1:1", protocol, &none);
        let told = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(!output.status.success() && told.contains("No CA certificates"), "{told}");
    }
}
